//! Running a build command: its output line by line, all of it in a file, its end with its cause.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use crate::model::name::ServiceName;
use crate::runtime::OutputSink;

use super::error::BuildError;

/// How much of the end of the output an error carries, in lines.
const TAIL: usize = 40;
/// Longer lines are broken.
const MAX_LINE: u64 = 64 * 1024;
/// What the command left running may keep its output open; only so long is waited for the rest.
const REST: Duration = Duration::from_millis(500);

/// A shell command of a service.
pub struct BuildCommand<'a> {
    pub service: &'a ServiceName,
    pub command: &'a str,
    pub folder: &'a Path,
    pub environment: Vec<(&'static str, String)>,
    pub log: PathBuf,
}

/// Runs the command to its end. Dropping the future kills it with everything that it started.
pub async fn run(request: &BuildCommand<'_>, output: OutputSink<'_>) -> Result<(), BuildError> {
    let start = |source| BuildError::file("run a build command in", request.folder, source);
    let (reader, writer) = std::io::pipe().map_err(start)?;
    let copy = writer.try_clone().map_err(start)?;
    let mut command = Command::new("sh");
    command.args(["-c", request.command]).current_dir(request.folder).process_group(0);
    command.envs(request.environment.iter().cloned());
    // One pipe for both streams keeps their lines in order.
    command.stdin(Stdio::null()).stdout(writer).stderr(copy);
    let child = command.spawn().map_err(start)?;
    // The command holds the writing ends too; ours have to go for the end to be seen.
    drop(command);
    let reader = Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(start)?;
    let mut group = Group::of(child);
    let mut transcript = Transcript::open(&request.log).await?;
    let status = copy_output(&mut group, reader, &mut transcript, output).await;
    group.is_over = true;
    let status = status.map_err(start)?;
    transcript.close().await;
    if status.success() { Ok(()) } else { Err(failure(request, status, transcript)) }
}

fn failure(request: &BuildCommand<'_>, status: ExitStatus, transcript: Transcript) -> BuildError {
    BuildError::CommandFailed {
        service: request.service.clone(),
        command: request.command.to_owned(),
        ending: status.code().map_or_else(|| status.to_string(), |code| format!("code {code}")),
        tail: transcript.tail.into(),
        log: request.log.clone(),
    }
}

async fn copy_output(
    group: &mut Group,
    reader: Receiver,
    transcript: &mut Transcript,
    output: OutputSink<'_>,
) -> std::io::Result<ExitStatus> {
    let mut lines = Lines { reader: BufReader::new(reader), line: Vec::new() };
    let status = loop {
        tokio::select! {
            // Cancel-safe: a line half read stays in `lines`.
            line = lines.next() => match line? {
                Some(line) => transcript.add(line, output).await,
                None => return group.child.wait().await,
            },
            // Cancel-safe, says tokio.
            status = group.child.wait() => break status?,
        }
    };
    while let Ok(Some(line)) = tokio::time::timeout(REST, lines.next()).await.unwrap_or(Ok(None)) {
        transcript.add(line, output).await;
    }
    Ok(status)
}

/// The process group of a command; killed as a whole unless it is over.
struct Group {
    child: Child,
    leader: Option<Pid>,
    is_over: bool,
}

impl Group {
    fn of(child: Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { child, leader, is_over: false }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Until the child has been waited for, no other process can get its number.
        if let Some(leader) = self.leader.filter(|_| !self.is_over && self.child.id().is_some()) {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

struct Lines {
    reader: BufReader<Receiver>,
    line: Vec<u8>,
}

impl Lines {
    async fn next(&mut self) -> std::io::Result<Option<String>> {
        let room = MAX_LINE.saturating_sub(self.line.len() as u64);
        (&mut self.reader).take(room).read_until(b'\n', &mut self.line).await?;
        if self.line.is_empty() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

/// All of the output in a file, the end of it in memory.
struct Transcript {
    file: tokio::fs::File,
    tail: VecDeque<String>,
}

impl Transcript {
    async fn open(path: &Path) -> Result<Self, BuildError> {
        let fault = |source| BuildError::file("write", path, source);
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await.map_err(fault)?;
        }
        let file = tokio::fs::File::create(path).await.map_err(fault)?;
        Ok(Self { file, tail: VecDeque::new() })
    }

    /// A full disk must not fail a build that works: what cannot be written is only shown.
    async fn add(&mut self, line: String, output: OutputSink<'_>) {
        let _ = self.file.write_all(format!("{line}\n").as_bytes()).await;
        output(&line);
        self.tail.push_back(line);
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
    }

    async fn close(&mut self) {
        let _ = self.file.flush().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::Mutex;

    async fn run_in(folder: &Path, command: &str) -> (Result<(), BuildError>, Vec<String>) {
        let lines = Mutex::new(Vec::new());
        let service = "order".parse().unwrap();
        let environment = vec![("MSCTL_TARGET", "here".to_owned())];
        let log = folder.join("logs/build.log");
        let request = BuildCommand { service: &service, command, folder, environment, log };
        let outcome = run(&request, &|line| lines.lock().unwrap().push(line.to_owned())).await;
        (outcome, lines.into_inner().unwrap())
    }

    #[tokio::test]
    async fn the_lines_of_both_streams_come_in_order_and_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (outcome, lines) = run_in(folder.path(), "echo 1; echo 2 >&2; printf \"3 $MSCTL_TARGET\"").await;
        outcome.unwrap();
        assert_eq!(lines, ["1", "2", "3 here"]);
        assert_eq!(fs::read_to_string(folder.path().join("logs/build.log")).unwrap(), "1\n2\n3 here\n");
    }

    #[tokio::test]
    async fn a_failure_carries_the_end_of_what_the_compiler_said() {
        let folder = tempfile::tempdir().unwrap();
        let (outcome, _) = run_in(folder.path(), "seq 1 100; echo 'error: no' >&2; exit 3").await;
        let error = outcome.unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("the build command of order ended with code 3: seq 1 100"), "{message}");
        assert_eq!(error.excerpt().len(), TAIL);
        assert_eq!(error.excerpt().last().map(String::as_str), Some("error: no"));
        assert_eq!(fs::read_to_string(error.log().unwrap()).unwrap().lines().count(), 101);
    }

    #[tokio::test]
    async fn something_left_running_does_not_hold_the_build_up() {
        let folder = tempfile::tempdir().unwrap();
        let started = std::time::Instant::now();
        let (outcome, lines) = run_in(folder.path(), "sleep 5 & echo done").await;
        outcome.unwrap();
        assert_eq!(lines, ["done"]);
        assert!(started.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn dropping_the_build_kills_everything_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        // A child of the shell, so that killing the shell alone would not be enough.
        let command = "sh -c 'echo $$; exec sleep 60' & wait";
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<String>();
        let service = "order".parse().unwrap();
        let log = folder.path().join("build.log");
        let request =
            BuildCommand { service: &service, command, folder: folder.path(), environment: vec![], log };
        let output = move |line: &str| drop(sender.send(line.to_owned()));
        let pid = tokio::select! {
            _ = run(&request, &output) => panic!("it runs for a minute"),
            pid = receiver.recv() => pid.unwrap(),
        };
        let stat = PathBuf::from(format!("/proc/{pid}/stat"));
        let is_over = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        for _ in 0..500 {
            if is_over() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("process {pid} still runs");
    }
}
