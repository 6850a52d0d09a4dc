//! The built-in templates are embedded: a file that is new among them has to be noticed.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=templates");
}
