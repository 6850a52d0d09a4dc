//! What is known about the platform's processes.
//!
//! Two sources meet here: the process table, which shows every live instance whoever started it,
//! and the children of this process, whose exit codes only it can learn. The lock on what is known
//! also guards the exit records, so that a removed instance never comes back as an ended one.

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use crate::model::instance::{InstanceName, SpecHash};
use crate::model::name::PlatformId;
use crate::model::observed::{InstanceState, ObservedInstance};
use crate::runtime::{Change, RuntimeError};

use super::exits::{self, ExitRecord};
use super::folders;
use super::table::{self, Carrier, ProcessId, State};

/// A reaper needs a moment between the end of a child and its record.
const REAPING: Duration = Duration::from_secs(2);
const PENDING_CHANGES: usize = 64;
/// How many of the last ports are not given out again at once.
const PORT_MEMORY: usize = 256;

pub struct World {
    pub platform: PlatformId,
    /// The folder that everything is kept in.
    pub state: PathBuf,
    known: Mutex<BTreeMap<InstanceName, Known>>,
    /// Ends that could not be written down: they are known for as long as this process is.
    unwritten: Mutex<BTreeMap<InstanceName, ExitRecord>>,
    ports: Mutex<VecDeque<u16>>,
    pub changes: broadcast::Sender<Change>,
}

/// A live instance.
#[derive(Clone)]
pub struct Known {
    pub hash: SpecHash,
    pub port: u16,
    pub id: ProcessId,
    /// For a child of this process: turns true when its end has been recorded.
    pub reaped: Option<watch::Receiver<bool>>,
}

impl World {
    pub fn new(platform: PlatformId, state: PathBuf) -> Self {
        let changes = broadcast::Sender::new(PENDING_CHANGES);
        let (known, unwritten, ports) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { platform, state, known, unwritten, ports, changes }
    }

    /// Every instance, sorted by name: live ones, and those whose end is on record.
    pub async fn look(&self) -> Vec<ObservedInstance> {
        self.adopt(&self.carriers().await);
        self.settle().await;
        let known = self.lock();
        let live = known.iter().map(|(name, known)| (name.clone(), show_live(name, known)));
        let unwritten: Vec<ExitRecord> = self.unwritten().values().cloned().collect();
        let ended = exits::read_all(&self.state).into_iter().chain(unwritten);
        let ended = ended.map(|end| (end.name.clone(), show_ended(end)));
        // Live ones are collected last: they win.
        let all: BTreeMap<InstanceName, ObservedInstance> = ended.chain(live).collect();
        all.into_values().collect()
    }

    /// The live instance of that name, whoever started it.
    pub async fn find(&self, name: &InstanceName) -> Option<Known> {
        self.adopt(&self.carriers().await);
        self.settle().await;
        self.lock().get(name).cloned()
    }

    /// Reading the whole table takes milliseconds, too long for an async thread.
    pub async fn carriers(&self) -> Vec<Carrier> {
        let platform = self.platform.clone();
        let read = tokio::task::spawn_blocking(move || table::carriers(&platform)).await;
        read.expect("reading the process table does not panic")
    }

    pub fn remember(&self, name: &InstanceName, known: Known) {
        self.lock().insert(name.clone(), known);
        self.announce(name);
    }

    /// The process is over. An exit code that somebody saw is never replaced by an unknown one.
    pub fn record_end(&self, name: &InstanceName, id: ProcessId, code: Option<i32>) {
        let mut known = self.lock();
        let Some(ended) = known.get(name).filter(|known| known.id == id) else { return };
        let record = ExitRecord { name: name.clone(), hash: ended.hash.clone(), code };
        let is_news = code.is_some() || exits::read(&self.state, name).is_none();
        if is_news && let Err(error) = exits::write(&self.state, &record) {
            tracing::warn!("the end of {name} is not on record: {error}");
            self.unwritten().insert(name.clone(), record);
        }
        known.remove(name);
        drop(known);
        self.announce(name);
    }

    /// Forgets an instance that is over: its record and its output.
    pub fn forget(&self, name: &InstanceName) -> Result<(), RuntimeError> {
        let mut known = self.lock();
        known.remove(name);
        self.unwritten().remove(name);
        exits::remove(&self.state, name)?;
        let log = folders::log_file(&self.state, name);
        folders::remove_file(&super::output::older(&log))?;
        folders::remove_file(&log)
    }

    /// Notices live instances that are over by now.
    pub async fn settle(&self) {
        let over = |known: &Known| table::state(known.id) == State::Over;
        let ended: Vec<(InstanceName, Known)> = {
            let known = self.lock();
            known.iter().filter(|(_, known)| over(known)).map(|(n, k)| (n.clone(), k.clone())).collect()
        };
        for (name, known) in ended {
            if let Some(mut reaped) = known.reaped {
                let _ = tokio::time::timeout(REAPING, reaped.wait_for(|reaped| *reaped)).await;
            }
            self.record_end(&name, known.id, None);
        }
    }

    /// A loopback port that nobody listens on and that was not given out lately.
    pub fn free_port(&self) -> Result<u16, RuntimeError> {
        let mut given = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..=PORT_MEMORY {
            let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
            let port = bound.map_err(|error| no_port(&error.to_string()))?.port();
            if !given.contains(&port) {
                given.push_back(port);
                if given.len() > PORT_MEMORY {
                    given.pop_front();
                }
                return Ok(port);
            }
        }
        Err(no_port("every port offered was given out already"))
    }

    pub fn announce(&self, name: &InstanceName) {
        // Nobody listening is no fault: whoever subscribes later looks first.
        let _ = self.changes.send(Change { service: Some(name.service.clone()) });
    }

    fn adopt(&self, carriers: &[Carrier]) {
        let mut known = self.lock();
        for Carrier { labelled, .. } in carriers {
            let name = &labelled.name;
            // A record means that what still carries the labels was only left behind.
            if known.contains_key(name) || exits::read(&self.state, name).is_some() {
                continue;
            }
            let leader = table::leader(carriers, name).map(|leader| leader.stat.id);
            if let Some(id) = leader.filter(|&id| table::state(id) != State::Over) {
                let adopted = Known { hash: labelled.hash.clone(), port: labelled.port, id, reaped: None };
                known.insert(name.clone(), adopted);
            }
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeMap<InstanceName, ExitRecord>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InstanceName, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_port(reason: &str) -> RuntimeError {
    RuntimeError::Refused { what: "find a free loopback port".to_owned(), reason: reason.to_owned() }
}

fn show_live(name: &InstanceName, known: &Known) -> ObservedInstance {
    let paused = table::state(known.id) == State::Stopped;
    let running = InstanceState::Running { since: table::started_at(known.id) };
    ObservedInstance {
        name: name.clone(),
        hash: known.hash.clone(),
        state: if paused { InstanceState::Paused } else { running },
        address: Some(SocketAddr::from(([127, 0, 0, 1], known.port))),
        handle: known.id.pid.to_string(),
        program: table::program(known.id),
    }
}

fn show_ended(end: ExitRecord) -> ObservedInstance {
    ObservedInstance {
        name: end.name,
        hash: end.hash,
        state: InstanceState::Exited { code: end.code, out_of_memory: false },
        address: None,
        handle: "-".to_owned(),
        program: None,
    }
}
