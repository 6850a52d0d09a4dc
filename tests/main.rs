//! The one integration binary: every topic is a module, what they share is in `harness`.

mod harness;
