//! Running a command inside an instance.

use std::io::Write;
use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ContainerSummaryStateEnum as State;
use futures_util::{Stream, TryStreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Docker;
use super::terminal::{self, RawTerminal};
use crate::model::instance::InstanceName;
use crate::runtime::{ExecRequest, RuntimeError, Terminal};

/// For how long the exit code may lag behind the end of the output: one second.
const EXIT_ATTEMPTS: u32 = 50;
const EXIT_PAUSE: Duration = Duration::from_millis(20);

impl Docker {
    pub(super) async fn run_inside(
        &self,
        instance: &InstanceName,
        request: &ExecRequest,
    ) -> Result<i32, RuntimeError> {
        let container = self.existing(instance).await?;
        if container.state != Some(State::RUNNING) {
            return Err(RuntimeError::NotRunning(instance.clone()));
        }
        let terminal = match request.terminal {
            Terminal::Attached if terminal::is_there() => Terminal::Attached,
            _ => Terminal::None,
        };
        let session = self.start_session(&container.id.unwrap_or_default(), request, terminal).await?;
        let _raw = match terminal {
            Terminal::Attached => Some(RawTerminal::enter().map_err(broken("use", "/dev/tty"))?),
            Terminal::None => None,
        };
        let feeding = feed(terminal::input(), session.input);
        let (resizing, showing) = (self.follow_size(&session.id, terminal), self.show(session.output));
        // Cancel-safe: whatever input was not read when the output ended is of no use to anybody.
        tokio::select! {
            shown = showing => shown?,
            never = async { tokio::join!(feeding, resizing); std::future::pending().await } => never,
        }
        self.exit_code(&session.id).await
    }

    async fn start_session(
        &self,
        container: &str,
        request: &ExecRequest,
        terminal: Terminal,
    ) -> Result<Session, RuntimeError> {
        let tty = terminal == Terminal::Attached;
        let what = || format!("run {}", request.argv.join(" "));
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(tty),
            cmd: Some(request.argv.clone()),
            ..CreateExecOptions::default()
        };
        let created = self.api.create_exec(container, options).await;
        let id = created.map_err(self.engine.failed_to(what()))?.id;
        let start = StartExecOptions { tty, ..StartExecOptions::default() };
        let started = self.api.start_exec(&id, Some(start)).await;
        match started.map_err(self.engine.failed_to(what()))? {
            StartExecResults::Attached { output, input } => Ok(Session { id, output, input }),
            StartExecResults::Detached => Err(RuntimeError::Refused {
                what: what(),
                reason: "it runs, but the engine did not attach to it".to_owned(),
            }),
        }
    }

    /// Tells the engine the terminal's size, now and whenever it changes.
    async fn follow_size(&self, id: &str, terminal: Terminal) {
        if terminal == Terminal::None {
            return;
        }
        let Ok(mut resized) = signal(SignalKind::window_change()) else { return };
        loop {
            if let Some((width, height)) = terminal::size() {
                // A program that has just ended cannot be resized, and need not be.
                let _ = self.api.resize_exec(id, ResizeExecOptions { height, width }).await;
            }
            resized.recv().await;
        }
    }

    /// Writes the command's output to ours until it ends, or until nobody reads ours.
    async fn show(&self, mut output: Output) -> Result<(), RuntimeError> {
        let what = "read the command's output";
        while let Some(piece) = output.try_next().await.map_err(self.engine.failed_to(what))? {
            let written = match piece {
                LogOutput::StdErr { message } => write(std::io::stderr(), &message),
                other => write(std::io::stdout(), &other.into_bytes()),
            };
            match written {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                other => other.map_err(broken("write to", "/dev/stdout"))?,
            }
        }
        Ok(())
    }

    async fn exit_code(&self, id: &str) -> Result<i32, RuntimeError> {
        for _ in 0..EXIT_ATTEMPTS {
            let inspected = self.api.inspect_exec(id).await;
            let exec = inspected.map_err(self.engine.failed_to("read the command's exit code"))?;
            if let (Some(false), Some(code)) = (exec.running, exec.exit_code) {
                return Ok(i32::try_from(code).unwrap_or(i32::MAX));
            }
            tokio::time::sleep(EXIT_PAUSE).await;
        }
        Err(RuntimeError::Refused {
            what: "read the command's exit code".to_owned(),
            reason: "its output ended, but the engine says that it still runs".to_owned(),
        })
    }
}

/// A command that was started, with its streams.
struct Session {
    id: String,
    output: Output,
    input: Input,
}

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Passes the caller's input on until it ends, and then says so.
async fn feed(mut pieces: mpsc::Receiver<Vec<u8>>, mut input: Input) {
    while let Some(piece) = pieces.recv().await {
        // A program that no longer reads is no failure.
        if input.write_all(&piece).await.is_err() {
            return;
        }
    }
    let _ = input.shutdown().await;
}

/// Blocks while nobody reads, and so, rightly, holds up the command: its output has nowhere to go.
fn write(mut to: impl Write, bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

fn broken(what: &'static str, path: &'static str) -> impl FnOnce(std::io::Error) -> RuntimeError {
    move |source| RuntimeError::File { what, path: path.into(), source }
}
