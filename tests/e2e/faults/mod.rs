//! Scenarios of faults that belong to no other topic. README.md beside this file has all faults, what is
//! done to msctl by each, and by which tests.

mod clock;
mod crashing;
mod engine;
mod files;
mod ports;
mod standstill;
