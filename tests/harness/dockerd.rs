//! A Docker engine of the test's own, to be ended and begun again: the machine's is everybody's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::engine::{Engine, engine};
use super::processes::processes_of;
use super::skipped::skip;
use super::wait::until;

/// To begin, and to end with all of its containers.
const LIMIT: Duration = Duration::from_secs(60);

/// A dockerd with folders and a bridge of its own: without one it would take away the machine's. It changes no
/// rules of the machine's firewall, as the gateway reaches containers over their bridge. Dropped, it ends and
/// leaves nothing.
pub struct Dockerd {
    process: Child,
    folder: tempfile::TempDir,
    bridge: String,
}

impl Dockerd {
    /// `None` skips the calling test, which is said and counted.
    pub fn begin() -> Option<Self> {
        engine()?;
        if !rustix::process::geteuid().is_root() || !is_there("dockerd") || !is_there("ip") {
            skip("an engine of one's own takes root, dockerd and ip");
            return None;
        }
        // A short name: sockets are made in it.
        let folder = tempfile::Builder::new().prefix("eng").tempdir().unwrap();
        let bridge = folder.path().file_name().expect("it has one").to_string_lossy().into_owned();
        assert!(link(&["add", &bridge, "type", "bridge"]), "a bridge can be made");
        let process = start(folder.path(), &bridge);
        let dockerd = Self { process, folder, bridge };
        dockerd.answers();
        Some(dockerd)
    }

    /// For those who ask for one.
    pub fn engine(&self) -> Engine {
        Engine::at(&format!("unix://{}", self.socket().display()))
    }

    /// Begins anew, once it has ended.
    pub fn begin_again(&mut self) {
        self.process = start(self.folder.path(), &self.bridge);
        self.answers();
    }

    /// Ends it by a signal. Containers end with it when it may finish (`TERM`), and go on when it may not.
    pub fn end(&mut self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().cast_signed()).expect("a process has a number");
        kill_process(pid, signal).expect("it is our own and was not waited for");
        until(LIMIT, "the end of dockerd", || self.process.try_wait().unwrap());
        // Its containerd dies of its death, and where nobody buries it, it would be taken for alive.
        let record = self.folder.path().join("exec/containerd/containerd.pid");
        let Ok(containerd) = fs::read_to_string(&record) else { return };
        until(LIMIT, "the end of containerd", || {
            let line = fs::read(format!("/proc/{}/cmdline", containerd.trim())).unwrap_or_default();
            line.is_empty().then_some(())
        });
        let _ = fs::remove_file(record);
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    fn answers(&self) {
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let mut patience = 0;
        until(LIMIT, "dockerd answers", || {
            patience += 1;
            assert!(patience < 5_000, "{}", log());
            log().contains("API listen on").then_some(())
        });
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--help").output().is_ok()
}

/// `ip link`, and whether it did as it was told.
fn link(arguments: &[&str]) -> bool {
    Command::new("ip").arg("link").args(arguments).status().is_ok_and(|status| status.success())
}

fn start(folder: &Path, bridge: &str) -> Child {
    let log = File::create(folder.join("log")).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let mut command = Command::new("dockerd");
    command.args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")]);
    command.args(["--host", &format!("unix://{}", path("sock")), "--storage-driver", "vfs"]);
    command.args(["--bridge", bridge, "--iptables=false", "--ip6tables=false"]);
    // No proxy of the surroundings, no configuration of the machine's engine.
    command.args(["--config-file", &path("none.json")]);
    fs::write(folder.join("none.json"), "{}").unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it was found before")
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.end(Signal::TERM);
        }
        link(&["delete", &self.bridge]);
        // What one that was killed left: shims without a master, and mounts below its folder.
        for process in processes_of(self.folder.path()) {
            let number = process.split(' ').next().and_then(|number| number.parse().ok());
            let _ = number.and_then(Pid::from_raw).map(|shim| kill_process(shim, Signal::KILL));
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = self.folder.path().display().to_string();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for point in points.filter(|point| point.starts_with(&below)) {
            let _ = Command::new("umount").args(["--lazy", point]).status();
        }
    }
}
