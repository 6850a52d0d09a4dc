//! A service, the gateway before it, and the programs that ask it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::msctl::{Msctl, Running};
use crate::harness::skipped::skip;
use crate::harness::wait::until;

pub struct Stage {
    /// Of the gateway, without a slash at its end.
    pub url: String,
    _home: tempfile::TempDir,
    _gateway: Running,
    _service: Service,
}

/// A script that says its port and serves until it is dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    /// The gateway before this service, which speaks this protocol (`http`, `h2c`).
    pub fn new(python: &Path, service: &str, protocol: &str) -> Self {
        let mut child = Command::new(python).arg(script(service)).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let service = Service(child);
        let home = tempfile::tempdir().unwrap();
        let route = format!("/={protocol}://127.0.0.1:{}", port.trim());
        let arguments = ["gateway", "--no-probe", "--listen", "127.0.0.1:0", "--route", &route];
        let gateway = Msctl::new(home.path(), &arguments).spawn();
        let url = until(Duration::from_secs(10), "the gateway serves", || {
            let said = gateway.stderr() + &gateway.stdout();
            let url = said.split("gateway at ").nth(1)?.split_whitespace().next()?.to_owned();
            said.contains('\n').then_some(url)
        });
        Self { url, _home: home, _gateway: gateway, _service: service }
    }

    /// Runs a program with the gateway's URL as its last argument, which has to succeed.
    #[track_caller]
    pub fn client(&self, program: impl AsRef<Path>, arguments: &[&str], name: &str) -> String {
        let output = Command::new(program.as_ref())
            .args(arguments)
            .arg(script(name))
            .arg(&self.url)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.as_ref().display()));
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        write!(said, "{}", String::from_utf8_lossy(&output.stderr)).unwrap();
        assert!(output.status.success(), "{name}: {said}");
        said
    }
}

/// A file beside this one.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateway").join(name)
}

/// Whether the machine has a program; else the calling test is skipped.
pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        skip(&format!("no {program}"));
    }
    found
}

/// A Python with gRPC, installed once and kept below `target`; `None` skips the calling test.
pub fn python_with_grpc() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-grpc");
    let python = folder.join("bin/python");
    let works =
        || Command::new(&python).args(["-c", "import grpc"]).status().is_ok_and(|status| status.success());
    let run = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let installed = (folder.exists() && works())
        || (run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            && run(Command::new(&python).args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "grpcio",
            ]))
            && works());
    if !installed {
        skip("grpcio cannot be installed");
    }
    installed.then_some(python)
}
