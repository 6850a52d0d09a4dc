//! Platforms to try: folders whose services are all the responder, each with faults of its own.

use std::fs;
use std::path::Path;

use crate::harness::responder::responder;

/// A service that is the responder. Its route is `/<name>`, which it does not see.
#[derive(Debug, Clone)]
pub struct Service {
    pub name: &'static str,
    calls: Vec<&'static str>,
    variables: Vec<(String, String)>,
    run: Vec<(&'static str, String)>,
    access: &'static str,
    database: &'static str,
}

impl Service {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            calls: Vec::new(),
            variables: Vec::new(),
            run: vec![("stop_grace", "\"2s\"".to_owned())],
            access: "public",
            database: "none",
        }
    }

    pub fn calls(mut self, callee: &'static str) -> Self {
        self.calls.push(callee);
        self
    }

    /// A variable of its environment: what it is to do, see the responder.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A key of `[run]`, with its value as TOML.
    pub fn run(mut self, key: &'static str, value: &str) -> Self {
        self.run.retain(|(known, _)| *known != key);
        self.run.push((key, value.to_owned()));
        self
    }

    /// Gives it so long to get ready.
    pub fn start_period(self, period: &str) -> Self {
        self.run("health", &format!("{{ start_period = \"{period}\" }}"))
    }

    pub fn for_people_with_a_token(mut self) -> Self {
        self.access = "authenticated";
        self
    }

    pub fn with_a_database(mut self) -> Self {
        self.database = "sqlite";
        self
    }

    fn manifest(&self) -> String {
        let Self { name, access, database, .. } = self;
        let run: Vec<_> = self.run.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let variables: Vec<_> =
            self.variables.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
        format!(
            "[service]\nname = \"{name}\"\n\
             [build]\nstrategy = \"pack\"\ncommand = \"true\"\nartifact = \"responder\"\n\
             [process]\ncommand = \"exec ./responder\"\n\
             [run]\n{run}\
             [[routes]]\npath = \"/{name}\"\naccess = \"{access}\"\nstrip_prefix = true\n\
             [calls]\nservices = {:?}\n\
             [database]\nengine = \"{database}\"\n\
             [configuration]\n{variables}",
            self.calls,
            run = run.concat(),
            variables = variables.concat(),
        )
    }

    /// Writes the service as it is now into a platform's folder.
    pub fn write(&self, platform: &Path) {
        let folder = platform.join("services").join(self.name);
        fs::create_dir_all(&folder).expect("the folder is ours");
        if !folder.join("responder").exists() {
            fs::copy(responder(), folder.join("responder")).expect("the responder was just built");
        }
        fs::write(folder.join("service.toml"), self.manifest()).expect("the folder is ours");
    }
}

/// Writes a whole platform, which listens wherever there is room.
pub fn write_platform(folder: &Path, name: &str, services: &[Service]) {
    let manifest = format!(
        "[platform]\nname = \"{name}\"\nservices = [\"services/*\"]\n[gateway]\nlisten = \"127.0.0.1:0\"\n"
    );
    fs::create_dir_all(folder).expect("the folder is ours");
    fs::write(folder.join("msctl.toml"), manifest).expect("the folder is ours");
    for service in services {
        service.write(folder);
    }
}
