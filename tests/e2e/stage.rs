//! A platform of the test's own, driven by `msctl`, which leaves nothing behind whatever happens.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::client::{Answer, Client};
use super::services::{Service, write_platform};
use super::witness;
use crate::harness::engine::{Engine, engine};
use crate::harness::wait::eventually;

/// How long anything may take on a machine that does other things, too.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Where instances run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    Docker,
    Process,
}

pub struct Stage {
    folder: PathBuf,
    state: PathBuf,
    runtime: Runtime,
    pub engine: Option<Engine>,
    /// Longer where programs are compiled.
    pub patience: Duration,
    /// Every command and what came of it.
    transcript: Mutex<String>,
    _root: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a scenario with these services as containers; skipped where there is no engine.
pub async fn on_docker(services: &[Service], scenario: impl AsyncFn(&Stage)) {
    let Some(engine) = engine() else { return };
    let stage = Stage::new(Runtime::Docker, Some(engine));
    write_platform(&stage.folder, "e2e", services);
    stage.play(scenario).await;
}

/// Runs a scenario with these services as local processes.
pub async fn as_processes(services: &[Service], scenario: impl AsyncFn(&Stage)) {
    let stage = Stage::new(Runtime::Process, None);
    write_platform(&stage.folder, "e2e", services);
    stage.play(scenario).await;
}

impl Stage {
    /// A stage without a platform. Its folders have short names: sockets are made in them.
    pub fn new(runtime: Runtime, engine: Option<Engine>) -> Self {
        let root = tempfile::Builder::new().prefix("e2e").tempdir().expect("there is room for a folder");
        Self {
            folder: root.path().join("platform"),
            state: root.path().join("state"),
            runtime,
            engine,
            patience: DEADLINE,
            transcript: Mutex::default(),
            _root: root,
        }
    }

    /// Runs the scenario, then takes everything down; keeps the traces of one that failed.
    pub async fn play(self, scenario: impl AsyncFn(&Self)) {
        let outcome = AssertUnwindSafe(scenario(&self)).catch_unwind().await;
        if outcome.is_err() {
            witness::keep_traces(&self).await;
        }
        let down = self.msctl(&["down", "--volumes", "--yes"]).await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        assert_eq!(down.code, 0, "what was left cannot be removed: {}", down.stderr);
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The platform's identity, `name-worktree`: the name of its state folder.
    pub async fn id(&self) -> String {
        self.ps().await;
        let mut entries = fs::read_dir(&self.state).expect("msctl has just made it");
        let entry = entries.next().expect("one platform has one folder").expect("it can be read");
        entry.file_name().into_string().expect("names are plain")
    }

    pub fn transcript(&self) -> String {
        self.transcript.lock().expect("nobody panics while writing it").clone()
    }

    /// A command that belongs to this platform, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_msctl"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MSCTL_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(&self.folder).env("MSCTL_STATE_DIR", &self.state);
        command.stdin(Stdio::null()).kill_on_drop(true);
        if let Some(host) = self.engine.as_ref().and_then(Engine::host) {
            command.env("DOCKER_HOST", host);
        }
        command
    }

    pub async fn msctl(&self, arguments: &[&str]) -> Done {
        self.run(&mut self.command(arguments)).await
    }

    pub async fn run(&self, command: &mut Command) -> Done {
        let shown = format!("{:?}", command.as_std());
        let output = timeout(self.patience, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("not within {:?}: {shown}", self.patience));
        let output = output.expect("the program can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let done = Done {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        let Done { code, stdout, stderr } = &done;
        let entry = format!("$ {shown}\n{stdout}{stderr}→ {code}\n\n");
        self.transcript.lock().expect("nobody panics while writing it").push_str(&entry);
        done
    }

    /// `up -d` where instances of this stage run.
    pub fn up_arguments(&self) -> [&'static str; 4] {
        let runtime = match self.runtime {
            Runtime::Docker => "docker",
            Runtime::Process => "process",
        };
        ["up", "-d", "--runtime", runtime]
    }

    /// `up -d`, however it ends.
    pub async fn try_up(&self) -> Done {
        self.msctl(&self.up_arguments()).await
    }

    /// `up -d`, after which all is well.
    pub async fn up(&self) -> Client {
        let done = self.try_up().await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        self.gateway().await
    }

    /// `down`, which leaves nothing but data.
    pub async fn down(&self) {
        let done = self.msctl(&["down"]).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
    }

    pub async fn ps(&self) -> Value {
        let done = self.msctl(&["ps", "--format", "json"]).await;
        assert_eq!(done.code, 0, "{}", done.stderr);
        serde_json::from_str(&done.stdout).expect("ps speaks JSON")
    }

    /// What `ps` says of one service.
    pub async fn service(&self, name: &str) -> Value {
        let mut ps = self.ps().await;
        let services = ps["services"].as_array_mut().expect("a list of services");
        services.iter_mut().find(|service| service["name"] == name).expect("it is in the manifest").take()
    }

    /// Waits until a service looks as wanted, and gives what `ps` then says.
    pub async fn until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(DEADLINE, what, async || Some(self.service(name).await).filter(|service| holds(service)))
            .await
    }

    pub async fn gateway(&self) -> Client {
        let ps = self.ps().await;
        let url = ps["gateway"]["url"].as_str().expect("the platform is up");
        Client(url.trim_start_matches("http://").parse().expect("an address"))
    }

    /// The body of a good answer.
    pub async fn get(&self, path: &str) -> String {
        let Answer { status, body, .. } = self.gateway().await.get(path).await.expect("the gateway answers");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// What a variable of a running service says.
    pub async fn variable(&self, service: &str, name: &str) -> String {
        let program = format!("/app/{service}");
        let shown = self.msctl(&["exec", service, "--", &program, "env", name]).await;
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        shown.stdout.trim().to_owned()
    }

    pub async fn token(&self, subject: &str) -> String {
        let issued = self.msctl(&["token", "issue", "--subject", subject]).await;
        assert_eq!(issued.code, 0, "{}", issued.stderr);
        issued.stdout.trim().to_owned()
    }

    /// The process that serves the platform, `None` where none does.
    pub fn host_process(&self) -> Option<i32> {
        let folder = fs::read_dir(&self.state).ok()?.next()?.ok()?.path();
        let pid: i32 = fs::read_to_string(folder.join("lock")).ok()?.trim().parse().ok()?;
        // The file outlives its writer, whose number may have become somebody else's.
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let ours = format!("MSCTL_STATE_DIR={}", self.state.display());
        environment.split(|byte| *byte == 0).any(|variable| variable == ours.as_bytes()).then_some(pid)
    }
}
