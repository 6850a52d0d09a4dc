//! Ending an instance: asked first, then killed, with everything that it started.
//!
//! No signal ever goes to a number: a process is opened first (pidfd), then checked to be the one
//! that is meant, and the signal goes to what was opened. A reused number cannot be hit.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use crate::model::instance::InstanceName;
use crate::runtime::{RuntimeError, StopOutcome};

use super::table::{self, ProcessId, State};
use super::world::World;

/// How long the kernel has to end a killed process.
const KILLING: Duration = Duration::from_secs(5);
/// A process may fork while it is being killed; a second look catches the children of the first.
const ROUNDS: usize = 10;
/// What shells and engines report for a process that SIGKILL ended.
const KILLED: i32 = 137;

pub async fn stop(world: &World, name: &InstanceName, grace: Duration) -> Result<StopOutcome, RuntimeError> {
    let Some(known) = world.find(name).await else {
        kill_strays(world, name).await?;
        return Ok(StopOutcome::Stopped);
    };
    let members = table::members(&world.carriers().await, name, Some(known.id));
    for &member in &members {
        signal(member, Signal::TERM)?;
    }
    // All of them, not only the leader: a shell obeys at once, and its child may still be tidying up.
    let outcome = match timeout(grace, all_ended(&members)).await {
        Ok(waited) => waited.map(|()| StopOutcome::Stopped)?,
        Err(_) => StopOutcome::Killed,
    };
    kill(&members).await?;
    kill_strays(world, name).await?;
    let code = (outcome == StopOutcome::Killed && known.reaped.is_none()).then_some(KILLED);
    match code {
        Some(_) => world.record_end(name, known.id, code),
        None => world.settle().await,
    }
    Ok(outcome)
}

/// Kills whatever still carries the labels of an instance that is over.
pub async fn kill_strays(world: &World, name: &InstanceName) -> Result<(), RuntimeError> {
    for _ in 0..ROUNDS {
        let strays = table::members(&world.carriers().await, name, None);
        if strays.is_empty() {
            return Ok(());
        }
        kill(&strays).await?;
    }
    Err(refused(&format!("end what {name} started"), "it starts new processes faster than they are killed"))
}

async fn kill(processes: &[ProcessId]) -> Result<(), RuntimeError> {
    for &process in processes {
        signal(process, Signal::KILL)?;
    }
    for &process in processes {
        let over = timeout(KILLING, ended(process)).await;
        over.map_err(|_| refused(&format!("kill process {}", process.pid), "it does not end"))??;
    }
    Ok(())
}

/// Sends a signal to exactly this process; one that is over gets none.
fn signal(process: ProcessId, signal: Signal) -> Result<(), RuntimeError> {
    let Some(opened) = open(process)? else { return Ok(()) };
    match pidfd_send_signal(&opened, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(refused(&format!("signal process {}", process.pid), &error.to_string())),
    }
}

async fn all_ended(processes: &[ProcessId]) -> Result<(), RuntimeError> {
    for &process in processes {
        ended(process).await?;
    }
    Ok(())
}

/// Returns when this process is over.
async fn ended(process: ProcessId) -> Result<(), RuntimeError> {
    let Some(opened) = open(process)? else { return Ok(()) };
    let fault = |error: std::io::Error| {
        refused(&format!("wait for the end of process {}", process.pid), &error.to_string())
    };
    // A process descriptor becomes readable when its process ends (pidfd_open(2)).
    #[expect(deprecated, reason = "its replacement is unsafe; an OwnedFd stays open for as long as it must")]
    let opened = AsyncFd::with_interest(opened, Interest::READABLE).map_err(fault)?;
    opened.readable().await.map(drop).map_err(fault)
}

/// Opens the process, and only then checks that it is the one that is meant; `None` if it is over.
fn open(process: ProcessId) -> Result<Option<OwnedFd>, RuntimeError> {
    let Some(pid) = Pid::from_raw(process.pid) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(opened) => Ok((table::state(process) != State::Over).then_some(opened)),
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(refused(&format!("open process {}", process.pid), &error.to_string())),
    }
}

fn refused(what: &str, reason: &str) -> RuntimeError {
    RuntimeError::Refused { what: what.to_owned(), reason: reason.to_owned() }
}
