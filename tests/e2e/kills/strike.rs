//! Who is killed, when, and whether all is well afterwards.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::e2e::services::Service;
use crate::e2e::stage::{DEADLINE, Stage};
use crate::e2e::witness;
use crate::harness::wait::eventually;

/// Which processes die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The one that serves the platform.
    Host,
    /// The one that was typed.
    Command,
    Both,
}

/// Three services, with a call, a database and `mood`, which makes it another version.
pub fn services(mood: &str) -> Vec<Service> {
    let service = |name| Service::new(name).with("MOOD", mood);
    vec![service("order").calls("product"), service("product").with_a_database(), service("cart")]
}

/// Starts a command and kills after `moment`. Says whether the command was still at it.
pub async fn strike(stage: &Stage, arguments: &[&str], moment: Duration, victim: Victim) -> bool {
    let mut command = stage.command(arguments);
    let mut command = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The moment of death is the fault that is injected, not something to wait for.
    let is_at_it = tokio::time::timeout(moment, command.wait()).await.is_err();
    if victim != Victim::Command {
        kill_host(stage).await;
    }
    if victim != Victim::Host {
        let _ = command.kill().await;
    }
    if victim == Victim::Both {
        // The command may have been about to start it.
        kill_host(stage).await;
    }
    tokio::time::timeout(stage.patience, command.wait()).await.expect("it ends by itself").unwrap();
    is_at_it
}

/// Kills the process that serves the platform, and waits until it is gone.
pub async fn kill_host(stage: &Stage) {
    if let Some(process) = stage.host_process() {
        kill(process);
        eventually(DEADLINE, "the process is gone", async || stage.host_process().is_none().then_some(()))
            .await;
    }
}

fn kill(process: i32) {
    if let Some(process) = Pid::from_raw(process) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(process, Signal::KILL);
    }
}

/// Every service has exactly one instance, which runs and serves.
pub async fn all_is_well(stage: &Stage) {
    let ps = stage.ps().await;
    let services = ps["services"].as_array().unwrap();
    assert_eq!(services.len(), 3);
    for service in services {
        assert_eq!((&service["state"], &service["failures"]), (&"ready".into(), &0.into()), "{service}");
        assert_eq!(service["instances"].as_array().map(Vec::len), Some(1), "{service}");
    }
    if stage.engine.is_some() {
        let names = witness::container_names(stage).await;
        let one = |name| names.iter().filter(|container| container.contains(name)).count() == 1;
        assert!(names.len() == 3 && ["-order-v", "-product-v", "-cart-v"].into_iter().all(one), "{names:?}");
    }
}
