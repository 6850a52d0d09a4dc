//! The msctl binary as people and scripts run it, mostly on local processes.

mod running;
