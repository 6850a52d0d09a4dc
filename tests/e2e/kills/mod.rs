//! msctl dies in the middle, or runs twice at once: the next `up` puts everything right, and nothing
//! of anybody else's is touched.
//!
//! The tests here are the short form of the loop of kills; `tests/bench/kills` has the long one.

mod long;
mod short;
mod strike;
