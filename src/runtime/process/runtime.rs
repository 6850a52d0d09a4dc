//! The contract, kept with local processes.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::broadcast::error::RecvError;

use crate::model::instance::{InstanceName, InstanceSpec};
use crate::model::name::PlatformId;
use crate::model::observed::{Observed, Resource};
use crate::runtime::{
    CallerIdentity, Change, DataFate, ExecRequest, Images, LogLine, LogQuery, Runtime, RuntimeError,
    RuntimeKind, StopOutcome, Underlay,
};

use super::launch::Inherited;
use super::table::{self, State};
use super::world::{Known, World};
use super::{exits, folders, follow, labels, launch, output, stop};

/// How often processes that are not our children are looked at, and output is rotated.
const KEEPING: Duration = Duration::from_secs(1);

/// Runs one platform's instances as processes of this machine.
pub struct Process {
    world: Arc<World>,
    inherited: Inherited,
    keeper: OnceLock<()>,
}

impl Process {
    /// Keeps its files under `state`, which is made if it is not there.
    ///
    /// # Errors
    /// Where there is no `/proc` to find processes in, or the folder cannot be made.
    pub fn new(platform: PlatformId, state: PathBuf) -> Result<Self, RuntimeError> {
        if !Path::new("/proc/self/environ").exists() {
            let what = "work here: it needs Linux with /proc; use a container engine (--runtime docker)";
            return Err(RuntimeError::Unsupported { kind: RuntimeKind::Process, what });
        }
        folders::make_private(&state)?;
        let world = Arc::new(World::new(platform, state));
        Ok(Self { world, inherited: Inherited::now(), keeper: OnceLock::new() })
    }

    fn ensure_keeper(&self) {
        self.keeper.get_or_init(|| drop(tokio::spawn(keep(Arc::downgrade(&self.world)))));
    }

    async fn running(&self, name: &InstanceName) -> Result<Known, RuntimeError> {
        match self.world.find(name).await {
            Some(known) => Ok(known),
            None if exits::read(&self.world.state, name).is_some() => {
                Err(RuntimeError::NotRunning(name.clone()))
            }
            None => Err(RuntimeError::NoSuchInstance(name.clone())),
        }
    }
}

/// Looks after what sends no events: processes that others started, and the size of files.
async fn keep(world: Weak<World>) {
    let mut ticks = tokio::time::interval(KEEPING);
    loop {
        ticks.tick().await;
        let Some(world) = world.upgrade() else { return };
        world.settle().await;
        let logs = folders::logs(&world.state);
        let rotated = tokio::task::spawn_blocking(move || output::rotate_all(&logs)).await;
        if let Ok(Err(error)) = rotated {
            tracing::debug!("output is not rotated: {error}");
        }
    }
}

#[async_trait]
impl Runtime for Process {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    fn description(&self) -> String {
        "local processes (no isolation, no limits)".to_owned()
    }

    async fn prepare(&self) -> Result<Underlay, RuntimeError> {
        folders::make_private(&self.world.state)?;
        let door = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Ok(Underlay { door, callers: CallerIdentity::PortPerCall })
    }

    async fn observe(&self) -> Result<Observed, RuntimeError> {
        Ok(Observed { instances: self.world.look().await })
    }

    async fn resources(&self) -> Result<Vec<Resource>, RuntimeError> {
        Ok(folders::storage(&self.world.state))
    }

    async fn launch(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        self.ensure_keeper();
        launch::launch(&self.world, &self.inherited, spec).await
    }

    async fn stop(&self, instance: &InstanceName, grace: Duration) -> Result<StopOutcome, RuntimeError> {
        stop::stop(&self.world, instance, grace).await
    }

    async fn remove(&self, instance: &InstanceName) -> Result<(), RuntimeError> {
        if let Some(running) = self.world.find(instance).await {
            let reason = format!("it still runs, as process {}", running.id.pid);
            return Err(RuntimeError::Refused { what: format!("remove {instance}"), reason });
        }
        stop::kill_strays(&self.world, instance).await?;
        self.world.forget(instance)?;
        self.world.announce(instance);
        Ok(())
    }

    async fn changes(&self) -> Result<BoxStream<'static, Change>, RuntimeError> {
        self.ensure_keeper();
        let receiver = self.world.changes.subscribe();
        // Those that run already have to be known for their end to be noticed.
        self.world.look().await;
        Ok(stream::unfold(receiver, |mut receiver| async {
            match receiver.recv().await {
                Ok(change) => Some((change, receiver)),
                Err(RecvError::Lagged(_)) => Some((Change { service: None }, receiver)),
                Err(RecvError::Closed) => None,
            }
        })
        .boxed())
    }

    async fn logs(
        &self,
        instance: &InstanceName,
        query: &LogQuery,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError> {
        let path = folders::log_file(&self.world.state, instance);
        if !path.exists() {
            return Err(RuntimeError::NoSuchInstance(instance.clone()));
        }
        let process = self.world.find(instance).await.map(|known| known.id);
        let is_over = move || process.is_none_or(|process| table::state(process) == State::Over);
        Ok(follow::stream(path, query.clone(), is_over))
    }

    /// The command runs beside the instance, in its working folder and with its environment, labels
    /// excepted: it is not a part of the instance. Its terminal or pipes are the caller's.
    async fn exec(&self, instance: &InstanceName, request: &ExecRequest) -> Result<i32, RuntimeError> {
        let running = self.running(instance).await?;
        let proc = PathBuf::from(format!("/proc/{}", running.id.pid));
        let unreadable = |source| RuntimeError::File { what: "read", path: proc.clone(), source };
        let environ = std::fs::read(proc.join("environ")).map_err(unreadable)?;
        let folder = std::fs::read_link(proc.join("cwd")).map_err(unreadable)?;
        let Some((program, arguments)) = request.argv.split_first() else {
            let reason = "there is no command".to_owned();
            return Err(RuntimeError::CannotRun { program: instance.to_string(), reason });
        };
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).current_dir(folder).env_clear().envs(variables(&environ)).kill_on_drop(true);
        let cannot_run = |error: std::io::Error| RuntimeError::CannotRun {
            program: program.clone(),
            reason: error.to_string(),
        };
        let status = command.status().await.map_err(cannot_run)?;
        Ok(exits::code_of(status).unwrap_or(1))
    }

    async fn tear_down(&self, data: DataFate) -> Result<Vec<Resource>, RuntimeError> {
        let running = self.world.look().await.into_iter().find(|instance| instance.address.is_some());
        if let Some(running) = running {
            let reason = format!("{} still runs, as process {}", running.name, running.handle);
            return Err(RuntimeError::Refused { what: "remove the platform".to_owned(), reason });
        }
        let state = &self.world.state;
        folders::remove(&folders::logs(state))?;
        folders::remove(&folders::exits(state))?;
        if data == DataFate::Keep {
            return Ok(Vec::new());
        }
        let removed = folders::storage(state);
        folders::remove(&state.join("data"))?;
        Ok(removed)
    }

    fn images(&self) -> Option<&dyn Images> {
        None
    }
}

fn variables(environ: &[u8]) -> impl Iterator<Item = (&OsStr, &OsStr)> {
    let variables = environ.split(|&byte| byte == 0).filter(|variable| !labels::is_label(variable));
    variables.filter_map(|variable| {
        let end = variable.iter().position(|&byte| byte == b'=')?;
        Some((OsStr::from_bytes(&variable[..end]), OsStr::from_bytes(variable.get(end + 1..)?)))
    })
}
