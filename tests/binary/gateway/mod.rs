//! `msctl gateway`: the gateway alone, before endpoints of the tests' own.

mod backend;
mod configuring;
mod library;
mod probing;
mod reloading;
mod replacing;
mod serving;
mod stopping;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::http::{Answer, get};
use crate::harness::msctl::{Msctl, Running};
use crate::harness::wait::until;

const SOON: Duration = Duration::from_secs(20);

/// A gateway that follows a file.
pub struct TestGateway {
    folder: tempfile::TempDir,
    running: Running,
    pub address: SocketAddr,
    pub admin: SocketAddr,
}

/// Both on free ports.
const HEAD: &str = "[[listeners]]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";

/// A service `name` at `/name`, open to everybody.
pub fn service(name: &str, endpoints: &[SocketAddr]) -> String {
    let urls: Vec<_> = endpoints.iter().map(|address| format!("\"http://{address}\"")).collect();
    format!(
        "[[services]]\nname = \"{name}\"\nendpoints = [{}]\n\
         probe = {{ interval = \"20ms\", fast_interval = \"20ms\" }}\n\
         [[services.routes]]\npath = \"/{name}\"\naccess = \"public\"\nstrip_prefix = true\n",
        urls.join(", ")
    )
}

impl TestGateway {
    /// With these services, and whatever else stands before them.
    pub fn of(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gateway.toml"), format!("{HEAD}{content}")).unwrap();
        let running =
            Msctl::new(folder.path(), &["gateway", "--config", "gateway.toml"]).within(folder.path()).spawn();
        running.says("admin at http://");
        let (address, admin) =
            (address_after(&running, "gateway at http://"), address_after(&running, "admin at http://"));
        Self { folder, running, address, admin }
    }

    pub fn running(&self) -> &Running {
        &self.running
    }

    pub fn into_running(self) -> Running {
        self.running
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another content for its file, at once and as a whole.
    pub fn write(&self, content: &str) {
        self.write_whole(&format!("{HEAD}{content}"));
    }

    fn write_whole(&self, text: &str) {
        let next = self.path("next.toml");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.path("gateway.toml")).unwrap();
    }

    /// The same services, and a listener that says so besides.
    pub fn write_listener(&self, line: &str, content: &str) {
        self.write_whole(&format!("{HEAD}{content}").replacen("[admin]", &format!("{line}\n[admin]"), 1));
    }

    /// The same, and waits until the gateway goes by it.
    pub fn reload(&self, content: &str) {
        let before = self.generation();
        self.write(content);
        self.running.signal(Signal::HUP);
        until(SOON, "the next configuration", || (self.generation() > before).then_some(()));
    }

    pub fn get(&self, path: &str) -> Answer {
        get(&format!("http://{}{path}", self.address))
    }

    pub fn asked(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&get(&format!("http://{}{path}", self.admin)).body).unwrap()
    }

    pub fn generation(&self) -> u64 {
        self.asked("/config")["generation"].as_u64().unwrap()
    }

    /// How many endpoints take requests.
    pub fn ready(&self) -> usize {
        let routes = self.asked("/routes");
        let endpoints = routes["endpoints"].as_array().unwrap();
        endpoints.iter().filter(|endpoint| endpoint["state"] == "ready").count()
    }
}

fn address_after(running: &Running, mark: &str) -> SocketAddr {
    let said = running.stderr();
    let rest = said.split(mark).nth(1).unwrap();
    rest.split_whitespace().next().unwrap().trim_end_matches(',').parse().unwrap()
}
