//! The direction of dependencies inside the one crate, which the compiler does not watch.
//!
//! `table` says which room may import which, and which outside names stay where; read that one.
//! `tokens` reads source text, `arrows` finds the imports in it, `check` compares the two.

mod arrows;
mod check;
mod table;
mod tests;
mod tokens;
