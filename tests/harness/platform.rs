//! A platform in a folder of its own whose services are the responder, so that nothing is compiled.
//! Dropped, it is taken down with all its data, whatever became of the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::engine::Engine;
use super::http::{Answer, get};
use super::msctl::{Msctl, Ran};
use super::responder::responder;

/// Where the platform's instances run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsOn {
    Processes,
    /// Containers of this engine; `None` for the usual places.
    Containers(Option<String>),
}

impl From<&Engine> for RunsOn {
    fn from(engine: &Engine) -> Self {
        Self::Containers(engine.host().map(str::to_owned))
    }
}

/// The text of a service.toml, put together.
#[derive(Debug, Clone)]
pub struct TestService {
    pub name: String,
    build: String,
    run: String,
    health: String,
    calls: Vec<String>,
    settings: String,
    rest: String,
}

impl TestService {
    /// The responder at `/NAME` for everybody; ready within ten seconds.
    pub fn named(name: &str) -> Self {
        let folder = "$MSCTL_CACHE/responder";
        let command = format!("mkdir -p {folder} && cp '{}' {folder}/{name}", responder().display());
        Self {
            name: name.to_owned(),
            build: String::new(),
            run: String::new(),
            health: "health = { start_period = \"10s\" }".to_owned(),
            calls: Vec::new(),
            settings: String::new(),
            rest: format!("[[routes]]\npath = \"/{name}\"\naccess = \"public\"\n"),
        }
        .built_by(&command, &format!("{folder}/{name}"))
    }

    /// Another build command, which leaves `artifact`.
    pub fn built_by(mut self, command: &str, artifact: &str) -> Self {
        self.build = format!("strategy = \"pack\"\ncommand = {command:?}\nartifact = {artifact:?}\n");
        self
    }

    /// Built from this folder, too.
    pub fn shares(mut self, folder: &str) -> Self {
        self.build = format!("{}shared = [{folder:?}]\n", self.build);
        self
    }

    pub fn image(mut self, reference: &str) -> Self {
        self.build = format!("strategy = \"image\"\nimage = {reference:?}\n");
        self
    }

    /// A variable of its environment: a fault of the responder's, say.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings = format!("{}{name} = {value:?}\n", self.settings);
        self
    }

    pub fn calls(mut self, service: &str) -> Self {
        self.calls.push(service.to_owned());
        self
    }

    pub fn start_period(mut self, period: &str) -> Self {
        self.health = format!("health = {{ start_period = {period:?} }}");
        self
    }

    /// A line of the table [run], such as `replicas = 3`.
    pub fn run(mut self, line: &str) -> Self {
        self.run = format!("{}{line}\n", self.run);
        self
    }

    /// More text of service.toml.
    pub fn and(mut self, text: &str) -> Self {
        self.rest = format!("{}{text}\n", self.rest);
        self
    }

    fn text(&self) -> String {
        let Self { name, build, run, health, calls, settings, rest } = self;
        format!(
            "[service]\nname = {name:?}\n[build]\n{build}[run]\n{run}{health}\n[calls]\nservices = {calls:?}\n\
             [configuration]\n{settings}{rest}"
        )
    }
}

pub struct TestPlatform {
    folder: tempfile::TempDir,
    runs_on: RunsOn,
    is_watched: bool,
}

impl TestPlatform {
    /// The files of a platform called `shop`; nothing runs yet.
    pub fn new(runs_on: impl Into<RunsOn>, services: &[TestService]) -> Self {
        let platform =
            Self { folder: tempfile::tempdir().unwrap(), runs_on: runs_on.into(), is_watched: false };
        fs::create_dir_all(platform.root().join("services")).unwrap();
        platform.write_manifest("");
        for service in services {
            platform.write(service);
        }
        platform
    }

    /// On processes.
    pub fn of(services: &[TestService]) -> Self {
        Self::new(RunsOn::Processes, services)
    }

    /// What is saved is deployed, as everywhere but in tests that write several files before they ask.
    pub fn watched(mut self) -> Self {
        self.is_watched = true;
        self
    }

    /// Writes msctl.toml anew, with more tables.
    pub fn write_manifest(&self, more: &str) {
        let text = format!(
            "[platform]\nname = \"shop\"\nservices = [\"services/*\"]\n[gateway]\nlisten = \"127.0.0.1:0\"\n{more}"
        );
        fs::write(self.root().join("msctl.toml"), text).unwrap();
    }

    /// Writes a service's folder, or changes it.
    pub fn write(&self, service: &TestService) {
        let folder = self.service_folder(&service.name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("service.toml"), service.text()).unwrap();
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    pub fn service_folder(&self, service: &str) -> PathBuf {
        self.root().join("services").join(service)
    }

    /// The home folder of every command, which is the test's own.
    pub fn home(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The platform's own state folder; it is there once a command has looked at the platform.
    pub fn state(&self) -> PathBuf {
        let folders = fs::read_dir(self.home().join("state")).unwrap();
        folders.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).expect("one platform")
    }

    /// A command inside the platform.
    pub fn command(&self, arguments: &[&str]) -> Msctl {
        let command = Msctl::new(&self.home(), arguments).within(self.root());
        let command = if self.is_watched { command } else { command.env("MSCTL_NO_WATCH", "true") };
        match &self.runs_on {
            RunsOn::Processes => command.env("MSCTL_RUNTIME", "process"),
            RunsOn::Containers(None) => command.env("MSCTL_RUNTIME", "docker"),
            RunsOn::Containers(Some(host)) => command.env("MSCTL_RUNTIME", "docker").env("DOCKER_HOST", host),
        }
    }

    pub fn msctl(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).run()
    }

    /// `up -d`, which has to succeed.
    #[track_caller]
    pub fn up(&self) -> Ran {
        self.msctl(&["up", "-d"]).success()
    }

    /// What `msctl ps --format json` says.
    #[track_caller]
    pub fn ps(&self) -> Value {
        self.msctl(&["ps", "--format", "json"]).success().json()
    }

    /// The instances of a service, as name and handle (a process id, a container id).
    #[track_caller]
    pub fn instances(&self, service: &str) -> Vec<(String, String)> {
        let status = self.ps();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let services = status["services"].as_array().expect("a list of services");
        let found = services.iter().find(|found| found["name"] == service);
        let instances = found.expect("the service is known")["instances"].as_array();
        let instances = instances.expect("a list of instances").iter();
        instances.map(|instance| (text(&instance["name"]), text(&instance["handle"]))).collect()
    }

    /// The gateway's URL.
    #[track_caller]
    pub fn url(&self) -> String {
        self.ps()["gateway"]["url"].as_str().expect("the platform is up").to_owned()
    }

    /// GET through the gateway, without a token.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        get(&format!("{}{path}", self.url()))
    }

    /// The text with this test's folder, ports, times and process ids taken out of it.
    pub fn plain(&self, text: &str) -> String {
        super::plain::plain(text, self.folder.path())
    }
}

impl AsRef<Path> for TestPlatform {
    fn as_ref(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for TestPlatform {
    fn drop(&mut self) {
        // A manifest that the test broke must not keep the platform from being found.
        self.write_manifest("");
        let _ = fs::remove_dir_all(self.root().join("services"));
        let gone =
            self.command(&["down", "--volumes", "--yes"]).spawn().finish_within(Duration::from_secs(60));
        assert!(gone.code == 0 || std::thread::panicking(), "something is left: {}", gone.stderr);
    }
}
