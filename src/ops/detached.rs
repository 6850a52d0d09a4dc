//! Starting the platform process apart from this one, and hearing whether it came up.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::context::Context;
use super::error::OpsError;
use super::host::Beginning;
use super::program::is_another_build;
use super::target::{RuntimeChoice, Terms, Watching};
use super::up::Manner;
use crate::admin::client::{Client, ClientError};
use crate::model::exit::ExitCode;
use crate::model::platform::Platform;
use crate::model::status::PlatformStatus;
use crate::platform::folder::{FolderError, StateFolder};

/// How long the process has until it answers. It looks at the engine and binds sockets; nothing is
/// built or started before that.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long another process that holds the lock has until it answers.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// How long a platform process that is about to end has for it.
const END_LIMIT: Duration = Duration::from_secs(60);

/// How often is looked whether something has become true that nobody tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The hidden command that the detached process runs.
pub const HOST_COMMAND: &str = "host";
/// Its flag that has it take over from the process that runs the platform.
const TAKE_OVER: &str = "--take-over";
/// Its flag that has it not follow what is saved.
const NO_WATCH: &str = "--no-watch";

/// The first and only line that the process writes to its stdout.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Report {
    Started {
        replaced: Option<Replaced>,
    },
    Failed {
        message: String,
        hint: Option<String>,
        code: u8,
    },
    /// Another process runs the platform already.
    Taken {
        holder: Option<u32>,
    },
}

/// The process that another one has taken over from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    pub pid: i32,
    /// Its version of msctl.
    pub program: String,
}

/// What became of a platform process that is not the same program as this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherBuild {
    Replaced(Replaced),
    /// It cannot be: it is attached to a terminal, or too old for that.
    Stays {
        pid: u32,
    },
}

/// How the platform process was come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub manner: Manner,
    pub other_build: Option<OtherBuild>,
}

impl From<Manner> for Arrival {
    fn from(manner: Manner) -> Self {
        Self { manner, other_build: None }
    }
}

/// Makes sure that a platform process of this build answers at `client`, starting one if need be.
///
/// # Errors
/// Why the process could not come up.
pub async fn ensure(
    context: &Context,
    platform: &Platform,
    folder: &StateFolder,
    terms: Terms,
    client: &Client,
) -> Result<Arrival, OpsError> {
    loop {
        match client.status().await {
            Ok(PlatformStatus { pid: Some(pid), .. }) if is_another_build(pid) => {
                return match replace(context, platform, folder).await {
                    Ok(Some(replaced)) => Ok(joined(OtherBuild::Replaced(replaced))),
                    Ok(None) => Ok(Manner::Detached.into()),
                    Err(OpsError::Folder(FolderError::Locked { .. })) => {
                        Ok(joined(OtherBuild::Stays { pid }))
                    }
                    Err(error) => Err(error),
                };
            }
            Ok(_) => return Ok(Manner::Joined.into()),
            Err(ClientError::NotRunning) => {}
            Err(error) => return Err(error.into()),
        }
        match start(context, platform, folder, terms, Beginning::Fresh).await {
            Ok(_) => return Ok(Manner::Detached.into()),
            // Somebody else was quicker: theirs is as good, if it does not turn out to be a `down`.
            Err(OpsError::Folder(FolderError::Locked { .. })) => await_holder(client, folder).await?,
            Err(error) => return Err(error),
        }
    }
}

fn joined(other_build: OtherBuild) -> Arrival {
    Arrival { manner: Manner::Joined, other_build: Some(other_build) }
}

/// Has a new process of this build take over from the one that runs the platform. `None` when that
/// has ended meanwhile, and the new one has begun afresh.
///
/// # Errors
/// [`FolderError::Locked`] when it cannot be replaced. Whatever the error, it goes on.
pub async fn replace(
    context: &Context,
    platform: &Platform,
    folder: &StateFolder,
) -> Result<Option<Replaced>, OpsError> {
    start(context, platform, folder, Terms::default(), Beginning::TakingOver).await
}

/// Waits until whoever holds the lock either answers or has let go of it.
///
/// # Errors
/// [`FolderError::Locked`] when it does neither in time.
pub async fn await_holder(client: &Client, folder: &StateFolder) -> Result<(), FolderError> {
    let deadline = Instant::now() + JOIN_LIMIT;
    while client.status().await.is_err() {
        match folder.lock() {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(LOOK_AGAIN).await,
        }
    }
    Ok(())
}

/// Waits until nobody holds the lock. Who has asked for the end looks more often, and so goes first.
///
/// # Errors
/// [`FolderError::Locked`] when somebody still does when time is up.
pub async fn await_end(folder: &StateFolder) -> Result<(), FolderError> {
    let deadline = Instant::now() + END_LIMIT;
    let mut was_free = false;
    loop {
        match folder.lock() {
            Ok(_) if was_free => return Ok(()),
            Ok(_) => was_free = true,
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => was_free = false,
        }
        // The kernel tells nobody when a lock becomes free.
        sleep(LOOK_AGAIN).await;
    }
}

async fn start(
    context: &Context,
    platform: &Platform,
    folder: &StateFolder,
    terms: Terms,
    beginning: Beginning,
) -> Result<Option<Replaced>, OpsError> {
    let log = folder.platform_log();
    let file = open_log(&log, beginning).map_err(OpsError::io(format!("write {}", log.display())))?;
    let program = std::env::current_exe().map_err(OpsError::io("find the msctl program"))?;
    let mut child = Command::new(program)
        .arg(HOST_COMMAND)
        .arg("--runtime")
        .arg(runtime_name(terms.runtime))
        .args((terms.watching == Watching::Off).then_some(NO_WATCH))
        .args((beginning == Beginning::TakingOver).then_some(TAKE_OVER))
        .env("MSCTL_DIRECTORY", &platform.root)
        .envs(context.state_dir.iter().map(|path| ("MSCTL_STATE_DIR", path)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .map_err(OpsError::io("start the platform process"))?;
    let stdout = child.stdout.take().expect("piped above");
    let mut line = String::new();
    let read = timeout(START_LIMIT, BufReader::new(stdout).read_line(&mut line)).await;
    match read.ok().and_then(Result::ok).and_then(|_| serde_json::from_str(&line).ok()) {
        Some(Report::Started { replaced }) => Ok(replaced),
        Some(Report::Failed { message, hint, code }) => Err(OpsError::Detached { message, hint, code }),
        Some(Report::Taken { holder }) => Err(FolderError::Locked { holder }.into()),
        None => {
            // It said nothing: whatever it is doing, it is not to go on unattended.
            let _ = child.kill().await;
            let message = "the platform process ended without a word".to_owned();
            let hint = Some(format!("its output is in {}", log.display()));
            Err(OpsError::Detached { message, hint, code: ExitCode::Failed.number() })
        }
    }
}

/// The one that is replaced still writes to its log.
fn open_log(path: &Path, beginning: Beginning) -> std::io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if beginning == Beginning::Fresh {
        file.set_len(0)?;
    }
    Ok(file)
}

fn runtime_name(choice: RuntimeChoice) -> &'static str {
    match choice {
        RuntimeChoice::Auto => "auto",
        RuntimeChoice::Docker => "docker",
        RuntimeChoice::Process => "process",
    }
}

/// Tells the process that started this one how it went. Nothing else may go to stdout.
pub fn report(started: Result<Option<&Replaced>, &OpsError>) {
    let report = match started {
        Ok(replaced) => Report::Started { replaced: replaced.cloned() },
        Err(OpsError::Folder(FolderError::Locked { holder })) => Report::Taken { holder: *holder },
        Err(error) => Report::Failed {
            message: error.to_string(),
            hint: error.hint(),
            code: error.exit_code().number(),
        },
    };
    let mut line = serde_json::to_vec(&report).expect("an enum of strings");
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    // Whoever started this may have gone away; the platform runs all the same.
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}
