//! The msctl binary, run as users and scripts run it: an environment of its own, no terminal, every
//! wait with a deadline.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::until;

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(90);

/// A command line of msctl, not run yet.
pub struct Msctl {
    command: Command,
}

impl Msctl {
    /// With `home` as the home folder and nothing of the tests' environment but PATH.
    pub fn new(home: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_msctl"));
        command.args(arguments).env_clear().env("HOME", home).env("TERM", "xterm").stdin(Stdio::null());
        command.env("MSCTL_STATE_DIR", home.join("state"));
        for inherited in ["PATH", "LLVM_PROFILE_FILE"] {
            command.envs(std::env::var_os(inherited).map(|value| (inherited, value)));
        }
        Self { command }
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The same command line for another program.
    pub fn program(self, path: &str) -> Self {
        let mut command = Command::new(path);
        command.args(self.command.get_args()).env_clear().stdin(Stdio::null());
        for (name, value) in self.command.get_envs() {
            command.envs(value.map(|value| (name, value)));
        }
        command.current_dir(self.command.get_current_dir().unwrap_or(Path::new("/")));
        Self { command }
    }

    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub fn input(mut self, text: &str) -> Self {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        self.command.stdin(file);
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Ran {
        self.spawn().finish()
    }

    /// Starts it. Its output goes to files, so that nothing that inherits them can hold us up.
    pub fn spawn(mut self) -> Running {
        let said = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        self.command.stdout(file("stdout")).stderr(file("stderr"));
        let child = self.command.spawn().expect("the binary was just built");
        Running { child, said, output: folder.path().to_owned(), _folder: folder }
    }
}

/// A msctl that runs. Dropped, it is killed.
pub struct Running {
    child: Child,
    said: String,
    output: PathBuf,
    _folder: tempfile::TempDir,
}

impl Running {
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process has a number");
        kill_process(pid, signal).expect("the process is our own and was not waited for");
    }

    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// Waits until it has said `text`.
    pub fn says(&self, text: &str) {
        let start = Instant::now();
        until(LIMIT, &format!("{} says {text:?}", self.said), || {
            let said = self.stderr() + &self.stdout();
            assert!(start.elapsed() < LIMIT, "{} does not say {text:?}, but: {said}", self.said);
            said.contains(text).then_some(())
        });
    }

    /// Waits for its end.
    pub fn finish(self) -> Ran {
        self.finish_within(LIMIT)
    }

    pub fn finish_within(mut self, limit: Duration) -> Ran {
        let start = Instant::now();
        let status = until(limit, &format!("the end of {}", self.said), || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_some() || start.elapsed() < limit, "{} goes on: {}", self.said, self.stderr());
            ended
        });
        Ran { code: code(status), stdout: self.stdout(), stderr: self.stderr() }
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.output.join(name)).unwrap()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As a shell would say it.
fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// A msctl that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Fails the test, with all that was said, unless the exit code is this.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn success(self) -> Self {
        self.expect_code(0)
    }

    /// stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {:?}", self.stdout))
    }
}
