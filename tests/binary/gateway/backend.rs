//! An endpoint: answers with its name and what it was asked, waits where it is told to, and speaks
//! back whatever comes over an upgraded connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    state: Mutex<State>,
    changed: Condvar,
    /// What is answered to everything, if it is not the usual.
    document: Option<String>,
}

#[derive(Default)]
struct State {
    /// Requests for `/slow` that wait.
    waiting: usize,
    released: bool,
    closed: bool,
    open: Vec<TcpStream>,
}

impl Backend {
    pub fn named(name: &'static str) -> Self {
        Self::at(name, "127.0.0.1:0".parse().unwrap())
    }

    pub fn at(name: &'static str, address: SocketAddr) -> Self {
        Self::new(name, address, None)
    }

    pub fn with_document(document: String, address: SocketAddr) -> Self {
        Self::new("document", address, Some(document))
    }

    fn new(name: &'static str, address: SocketAddr, document: Option<String>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { name, state: Mutex::default(), changed: Condvar::new(), document });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut state = own.state.lock().unwrap();
                if state.closed {
                    return;
                }
                state.open.push(stream.try_clone().unwrap());
                drop(state);
                let own = Arc::clone(&own);
                std::thread::spawn(move || own.serve(stream));
            }
        });
        Self { address, shared }
    }

    /// Waits until somebody waits for `/slow`.
    pub fn is_asked(&self) {
        let state = self.shared.state.lock().unwrap();
        drop(self.shared.changed.wait_while(state, |state| state.waiting == 0).unwrap());
    }

    /// Answers `/slow` from now on.
    pub fn release(&self) {
        self.shared.state.lock().unwrap().released = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.release();
        let mut state = self.shared.state.lock().unwrap();
        state.closed = true;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        drop(state);
        // Wakes the one that accepts, so that the address is free again.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(head) = read_head(&mut reader) {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if path == "/ws" {
                return echo(&mut stream, &mut reader);
            }
            if path == "/slow" {
                self.wait();
            }
            let user = head.lines().find_map(|line| line.strip_prefix("x-user-id: ")).unwrap_or("nobody");
            let usual = || format!("{} {path} {user}", self.name);
            let body = self.document.clone().unwrap_or_else(usual);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.released).unwrap());
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let read = reader.read_line(&mut head).ok()?;
        if read == 0 {
            return None;
        }
        if head.ends_with("\r\n\r\n") {
            return Some(head);
        }
    }
}

fn echo(stream: &mut TcpStream, reader: &mut impl Read) {
    let accepted = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let mut bytes = [0; 1024];
    let mut sent = stream.write_all(accepted.as_bytes());
    while let (Ok(()), Ok(read @ 1..)) = (&sent, reader.read(&mut bytes)) {
        sent = stream.write_all(&bytes[..read]);
    }
}
