//! Starting an instance.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::model::instance::{InstanceSpec, Program};
use crate::runtime::RuntimeError;

use super::table::{self, ProcessId};
use super::world::{Known, World};
use super::{exits, folders, labels, output, stop};

/// What a process takes over from ours: where programs, homes and trusted certificates are. All
/// else that it gets is in its specification.
const INHERITED: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TMPDIR",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "JAVA_HOME",
];

/// What instances get of ours, as it was at the beginning.
pub struct Inherited {
    environment: BTreeMap<String, OsString>,
    /// How many files one may have open. The gateway raises this process's own limit, but programs that
    /// use `select` must not have descriptors above the usual limit, and some size their tables by it.
    files: Rlimit,
}

impl Inherited {
    pub fn now() -> Self {
        let value = |name: &str| Some((name.to_owned(), std::env::var_os(name)?));
        let environment = INHERITED.into_iter().filter_map(value).collect();
        Self { environment, files: getrlimit(Resource::Nofile) }
    }

    /// It has only just been started: nothing of it has so many files open yet.
    fn limit(&self, child: &Child) {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // One that has ended already needs no limit.
        let _ = id.map(|id| prlimit(Some(id), Resource::Nofile, self.files));
    }
}

pub async fn launch(
    world: &Arc<World>,
    inherited: &Inherited,
    spec: &InstanceSpec,
) -> Result<(), RuntimeError> {
    let (argv, folder) = command_of(spec)?;
    if let Some(running) = world.find(&spec.name).await {
        if running.hash == spec.hash {
            return Ok(());
        }
        let reason = format!("another version of it runs already, as process {}", running.id.pid);
        return Err(RuntimeError::Refused { what: format!("start {}", spec.name), reason });
    }
    clear_leftovers(world, spec).await?;
    let port = world.free_port()?;
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).current_dir(folder).env_clear().envs(&inherited.environment);
    // Only the gateway is to be reached from elsewhere; a program that knows HOST keeps to itself.
    command.env("HOST", "127.0.0.1");
    command.envs(spec.environment.iter().cloned()).env("PORT", port.to_string());
    command.envs(labels::to_variables(&world.platform, spec, port));
    attach_output(&mut command, &folders::log_file(&world.state, &spec.name))?;
    folders::check_room(&folders::logs(&world.state))?;
    let child = command.process_group(0).spawn().map_err(|error| cannot_run(&argv[0], &error.to_string()))?;
    inherited.limit(&child);
    keep(world, spec, port, child)
}

fn command_of(spec: &InstanceSpec) -> Result<(&[String], &Path), RuntimeError> {
    match &spec.program {
        Program::Image { reference } => Err(cannot_run(
            &format!("image {reference}"),
            "local processes have no images; it needs a container engine, or a [process] section with a \
             command in service.toml",
        )),
        Program::Command { argv, .. } if argv.is_empty() => {
            Err(cannot_run(&spec.name.to_string(), "its command line is empty"))
        }
        Program::Command { folder, .. } if !folder.is_dir() => {
            Err(cannot_run(&spec.name.to_string(), &format!("there is no folder {}", folder.display())))
        }
        Program::Command { argv, folder } => Ok((argv, folder)),
    }
}

fn cannot_run(program: &str, reason: &str) -> RuntimeError {
    RuntimeError::CannotRun { program: program.to_owned(), reason: reason.to_owned() }
}

/// What an earlier process of that name left: strays, its record, its output.
async fn clear_leftovers(world: &World, spec: &InstanceSpec) -> Result<(), RuntimeError> {
    stop::kill_strays(world, &spec.name).await?;
    world.forget(&spec.name)?;
    folders::make_private(&folders::logs(&world.state))?;
    match &spec.storage {
        Some(storage) => folders::make_private(&folders::data_folder(&world.state, &storage.service)),
        None => Ok(()),
    }
}

/// The process writes its output itself, so that it survives us.
fn attach_output(command: &mut Command, path: &Path) -> Result<(), RuntimeError> {
    let fault = |source| RuntimeError::File { what: "open", path: path.to_owned(), source };
    let file = output::open(path).map_err(fault)?;
    let copy = file.try_clone().map_err(fault)?;
    command.stdin(Stdio::null()).stdout(Stdio::from(file)).stderr(Stdio::from(copy));
    Ok(())
}

/// Remembers the child and records its end when it comes.
fn keep(world: &Arc<World>, spec: &InstanceSpec, port: u16, child: Child) -> Result<(), RuntimeError> {
    let id = identify(&child).ok_or_else(|| RuntimeError::Refused {
        what: format!("start {}", spec.name),
        reason: "its process is not in /proc".to_owned(),
    })?;
    let (reaped, receiver) = watch::channel(false);
    world.remember(&spec.name, Known { hash: spec.hash.clone(), port, id, reaped: Some(receiver) });
    let (world, name) = (Arc::clone(world), spec.name.clone());
    tokio::spawn(async move {
        let mut child = child;
        let status = child.wait().await;
        world.record_end(&name, id, status.ok().and_then(exits::code_of));
        // Nobody may be waiting.
        let _ = reaped.send(true);
    });
    Ok(())
}

/// An unreaped child keeps its number and its entry, so this finds it even when it has ended.
fn identify(child: &Child) -> Option<ProcessId> {
    Some(table::stat(i32::try_from(child.id()?).ok()?)?.id)
}
