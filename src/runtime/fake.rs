//! A runtime in memory, for tests of what only decides.
