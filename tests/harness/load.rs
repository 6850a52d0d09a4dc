//! Constant load on a gateway, by clients that take no failure for an answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::wait::until;

const LIMIT: Duration = Duration::from_secs(10);

/// Clients that ask until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Half of the clients keep their connection for as long as the server does. Every answer has to be
    /// what the first one is; that the responder knows no such path is an answer, too.
    pub fn on(address: &str, path: &str) -> Self {
        let (expected, _) = exchange(address, path, None).unwrap();
        assert!(["200", "404"].iter().any(|status| expected.starts_with(status)), "{expected}");
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = [true, true, false, false].map(|keep| {
            let (address, path, expected) = (address.to_owned(), path.to_owned(), expected.clone());
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                let mut kept = None;
                while !stop.load(Ordering::Relaxed) {
                    match exchange(&address, &path, kept.take()) {
                        Ok((answer, stream)) if answer == expected => kept = stream.filter(|_| keep),
                        Ok((other, _)) => failures.push(other),
                        Err(failure) => failures.push(failure),
                    }
                    served.fetch_add(1, Ordering::Relaxed);
                }
                failures
            })
        });
        Self { stop, served, clients: clients.into() }
    }

    /// Waits until as many more requests have been answered.
    pub fn goes_on(&self) {
        let goal = self.served.load(Ordering::Relaxed) + 50;
        until(LIMIT, "answers", || (self.served.load(Ordering::Relaxed) >= goal).then_some(()));
    }

    #[track_caller]
    pub fn failed_nothing(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            assert_eq!(client.join().unwrap(), Vec::<String>::new());
        }
    }
}

/// One POST, which nobody may send twice; gives status and body, and the connection if it can be used
/// again.
fn exchange(
    address: &str,
    path: &str,
    kept: Option<BufReader<TcpStream>>,
) -> Result<(String, Option<BufReader<TcpStream>>), String> {
    let was_kept = kept.is_some();
    let told = |what: &str, error: &dyn std::fmt::Display| format!("{what} (kept: {was_kept}): {error}");
    let mut stream = match kept {
        Some(stream) => stream,
        None => BufReader::new(TcpStream::connect(address).map_err(|error| told("connect", &error))?),
    };
    stream.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).map_err(|error| told("write", &error))?;
    let head = read_head(&mut stream).map_err(|error| told("read", &error))?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.ok_or_else(|| told("answer", &head))?];
    stream.read_exact(&mut body).map_err(|error| told("body", &error))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    let answer = format!("{status} {}", String::from_utf8_lossy(&body));
    Ok((answer, (!head.contains("connection: close")).then_some(stream)))
}

fn read_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, head));
        }
    }
    Ok(head)
}

/// A WebSocket, or what the responder takes for one.
pub fn tunnel(address: &str, path: &str) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    stream.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let head = read_head(&mut stream).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream
}

pub fn echoes(tunnel: &mut BufReader<TcpStream>) {
    tunnel.get_mut().write_all(b"there?").unwrap();
    let mut answer = [0; 6];
    tunnel.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"there?");
}
