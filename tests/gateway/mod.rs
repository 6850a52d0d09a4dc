//! The gateway as real clients meet it: curl, node, Python and gRPC, each with its own idea of HTTP,
//! before `msctl gateway` as a process, with a service of Python's own library behind it.
//!
//! What each client does stands in a script of its own language beside this file. A client that the
//! machine does not have is skipped, said and counted.

mod clients;
mod stage;
