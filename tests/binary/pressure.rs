//! The gateway when the system has no file descriptors left.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::wait::until;

/// The gateway alone, with room for so many open files.
struct Cramped {
    process: Child,
    folder: tempfile::TempDir,
}

impl Cramped {
    fn start(files: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let said = std::fs::File::create(folder.path().join("said")).unwrap();
        let run = format!(
            "ulimit -n {files}; exec '{}' gateway --listen 127.0.0.1:0 --no-probe --route /=http://127.0.0.1:1",
            env!("CARGO_BIN_EXE_msctl")
        );
        let mut command = Command::new("sh");
        command.args(["-c", &run]).env("HOME", folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        Self { process: command.stderr(said).spawn().unwrap(), folder }
    }

    fn address(&self) -> String {
        until(Duration::from_secs(20), "the gateway to listen", || {
            let said = std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default();
            let address = said.split("http://").nth(1)?.split_whitespace().next()?;
            Some(address.trim_end_matches(|c: char| !c.is_ascii_digit()).to_owned())
        })
    }
}

impl Drop for Cramped {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn connections_that_rest_give_way_to_new_ones() {
    let gateway = Cramped::start(200);
    let address = gateway.address();
    let mut open = Vec::new();
    for number in 0..300 {
        let mut client = TcpStream::connect(&address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).unwrap_or_else(|error| panic!("connection {number}: {error}"));
        assert_eq!(&answer[..9], b"HTTP/1.1 ");
        open.push(client);
    }
    // The oldest has ended; the newest still serves.
    let mut rest = Vec::new();
    open.first_mut().unwrap().read_to_end(&mut rest).unwrap();
    let last = open.last_mut().unwrap();
    last.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_ne!(last.read(&mut [0; 64]).unwrap(), 0);
}
