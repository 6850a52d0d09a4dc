//! The msctl binary as people and scripts run it, mostly on local processes.

mod adopting;
mod conventions;
mod damaged;
mod disk;
mod engine;
mod failing;
mod gateway;
mod help;
mod history;
mod interrupted;
mod keeping;
mod logs;
mod names;
mod pressure;
mod processes;
mod replacing;
mod rolling_back;
mod running;
mod seeing;
mod surroundings;
mod tls;
mod watching;
mod worktrees;
