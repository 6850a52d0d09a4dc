//! Everything that a verb can fail with, and what that means for the caller.

use super::rollback::RollbackError;
use crate::admin::Refusal;
use crate::admin::client::ClientError;
use crate::auth::AuthError;
use crate::auth::accounts::AccountError;
use crate::auth::issue::IssueError;
use crate::certificates::AuthorityError;
use crate::manifest::{Diagnostics, ManifestError};
use crate::model::event::Failure;
use crate::model::exit::ExitCode;
use crate::model::name::{NameError, PlatformName};
use crate::model::route::ScopeError;
use crate::platform::folder::FolderError;
use crate::platform::history::HistoryError;
use crate::platform::port_holder::describe_port;
use crate::platform::start_error::StartError;
use crate::runtime::{RuntimeError, RuntimeKind};
use crate::scaffold::ScaffoldError;
use crate::standalone::StandaloneError;

#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    #[error("{}", of_manifest(.0))]
    Manifest(#[from] ManifestError),
    #[error("the configuration is not valid\n\n{0}")]
    Configuration(Diagnostics),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("failed to {0}")]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{}{}", .0, holder_of(.0))]
    Gateway(#[from] StandaloneError),
    #[error("failed to {0}")]
    Scaffold(#[from] ScaffoldError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error("no service {name:?} is in this platform")]
    NoSuchService { name: String, known: Vec<String> },
    #[error("a service named {name:?} exists already, in {}", .folder.display())]
    ServiceExists { name: String, folder: std::path::PathBuf },
    #[error("{what} {text:?} cannot be used: {reason}")]
    Argument { what: &'static str, text: String, reason: String },
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    #[error("failed to {0}")]
    Authority(#[from] AuthorityError),
    #[error("failed to {0}")]
    Token(#[from] IssueError),
    #[error("failed to {0}")]
    Account(#[from] AccountError),
    #[error("{service} has no instance that runs")]
    NothingRuns { service: String },
    /// The runtime could not be looked at, or an instance not let go of.
    #[error("{}", .0.message)]
    Failed(Failure),
    #[error("the platform runs already, on the {runs_on} runtime")]
    OtherRuntime { runs_on: String },
    /// Of a process that has ended meanwhile.
    #[error("some of the platform runs on the {runs_on} runtime still, and {asked_for} was asked for")]
    LeftElsewhere { runs_on: RuntimeKind, asked_for: RuntimeKind },
    /// The name in the manifest was changed while it ran.
    #[error("the platform of this folder runs still, by its earlier name {runs_as}")]
    Renamed { runs_as: PlatformName },
    /// The running platform did not begin with it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the platform process{} cannot be replaced while it runs: it is attached to a terminal, or of an msctl that is too old for that", holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    CannotReplace { holder: Option<u32> },
    /// The detached process ended before it was up.
    #[error("{message}")]
    Detached { message: String, hint: Option<String>, code: u8 },
    #[error("the engine went away before this was done")]
    EngineGone,
    #[error("something of the platform is left: {}", .left.join(", "))]
    Leftovers { left: Vec<String> },
    #[error("this would delete data for good; say so with --yes")]
    NeedsYes,
    #[error("cannot {what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("cancelled")]
    Cancelled,
}

impl From<Failure> for OpsError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl OpsError {
    /// The platform process has ended, or is about to, because somebody wanted it to.
    #[must_use]
    pub fn is_of_an_end(&self) -> bool {
        match self {
            Self::Client(ClientError::NotRunning) => true,
            Self::Refused(refusal) => *refusal == Refusal::stopping(),
            _ => false,
        }
    }

    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Manifest(ManifestError::Invalid(_))
            | Self::Configuration(_)
            | Self::Name(_)
            | Self::Scope(_)
            | Self::Argument { .. }
            | Self::NoSuchService { .. }
            | Self::Rollback(_)
            | Self::NeedsYes => ExitCode::Usage,
            Self::Folder(FolderError::Locked { .. })
            | Self::ServiceExists { .. }
            | Self::CannotReplace { .. }
            | Self::OtherRuntime { .. }
            | Self::Renamed { .. }
            | Self::LeftElsewhere { .. } => ExitCode::Conflict,
            Self::Runtime(error) if error.is_unreachable() => ExitCode::EngineUnreachable,
            Self::Start(error) => error.exit_code(),
            Self::Gateway(StandaloneError::Listen { source, .. })
                if source.kind() == std::io::ErrorKind::AddrInUse =>
            {
                ExitCode::Conflict
            }
            Self::Scaffold(error) => of_scaffold(error),
            Self::EngineGone => ExitCode::EngineUnreachable,
            Self::Client(ClientError::Hangs { .. }) => ExitCode::TimedOut,
            Self::Detached { code, .. } => ExitCode::Child(*code),
            Self::Cancelled => ExitCode::Cancelled,
            Self::Failed(failure) if failure.engine_lost => ExitCode::EngineUnreachable,
            _ => ExitCode::Failed,
        }
    }

    /// The next thing to try, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Manifest(error) => error.hint().map(str::to_owned),
            Self::Runtime(error) => error.hint().map(str::to_owned),
            Self::Start(error) => error.hint(),
            Self::Gateway(StandaloneError::Certificate(error)) => error.hint(),
            Self::Scaffold(error) => error.hint(),
            Self::Failed(failure) => failure.hint.clone(),
            Self::OtherRuntime { .. } | Self::Renamed { .. } => {
                Some("stop it first with: msctl down".to_owned())
            }
            Self::LeftElsewhere { runs_on, .. } => {
                Some(format!("go on there with: msctl up --runtime {runs_on}, or remove it with: msctl down"))
            }
            Self::CannotReplace { .. } => Some(
                "end it with msctl down, or Ctrl-C where it is attached, and start it with: msctl up -d"
                    .to_owned(),
            ),
            Self::Refused(refusal) => refusal.hint.clone(),
            Self::Detached { hint, .. } => hint.clone(),
            Self::Client(error) => error.hint(),
            Self::Folder(FolderError::Locked { .. }) => {
                Some("wait for it, or stop it with: msctl down".to_owned())
            }
            Self::Folder(_) => Some("set MSCTL_STATE_DIR to a folder that you may write to".to_owned()),
            Self::Rollback(error) => Some(error.hint()),
            Self::NoSuchService { name, known } => Some(did_you_mean(name, known)),
            Self::ServiceExists { .. } => Some("choose another name, or move that folder away".to_owned()),
            Self::NothingRuns { service } => Some(format!("see why with: msctl describe {service}")),
            Self::EngineGone => Some(
                "when it answers again, msctl up goes on from there and msctl down removes what is left"
                    .to_owned(),
            ),
            Self::Leftovers { .. } => {
                Some("try again; if it stays, the engine's own log says why".to_owned())
            }
            _ => None,
        }
    }

    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

fn of_manifest(error: &ManifestError) -> String {
    match error {
        // Each problem has its place and its hint with it.
        ManifestError::Invalid(diagnostics) => format!("the manifest is not valid\n\n{diagnostics}"),
        ManifestError::Unreadable { source, .. } => format!("failed to {error}: {source}"),
        ManifestError::NotFound { .. } => format!("failed to {error}"),
    }
}

/// Who has the address that the gateway cannot have.
fn holder_of(error: &StandaloneError) -> String {
    match error {
        StandaloneError::Listen { address, source } if source.kind() == std::io::ErrorKind::AddrInUse => {
            describe_port(address.port())
        }
        _ => String::new(),
    }
}

fn of_scaffold(error: &ScaffoldError) -> ExitCode {
    match error {
        ScaffoldError::Exists { .. } => ExitCode::Conflict,
        ScaffoldError::UnknownTemplate { .. }
        | ScaffoldError::WrongKind { .. }
        | ScaffoldError::ReservedName { .. }
        | ScaffoldError::Variable { .. } => ExitCode::Usage,
        _ => ExitCode::Failed,
    }
}

fn did_you_mean(name: &str, known: &[String]) -> String {
    let nearest = known.iter().max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
    match nearest {
        Some(nearest) if strsim::jaro(name, nearest) > 0.7 => format!("did you mean {nearest:?}?"),
        Some(_) => format!("it has: {}", known.join(", ")),
        None => "it has none yet; make one with: msctl new service <name>".to_owned(),
    }
}
