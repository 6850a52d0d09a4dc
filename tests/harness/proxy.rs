//! A way to the container engine on which things can go wrong.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::engine::Engine;

/// What the engine says of a container that it is removing already.
const BUSY: &str = "{\"message\":\"removal of container is already in progress\"}";

/// How an endless answer begins.
const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

/// What goes wrong from now on.
#[derive(Default)]
struct Faults {
    refused_removals: AtomicUsize,
    events_are_lost: AtomicBool,
}

/// Forwards a unix socket to the engine's until it is dropped, which cuts every connection.
pub struct Proxy {
    socket: PathBuf,
    open: Arc<Mutex<Option<Vec<UnixStream>>>>,
    faults: Arc<Faults>,
    _folder: tempfile::TempDir,
}

impl Proxy {
    pub fn before(engine: &Engine) -> Self {
        let real = engine.host().unwrap_or("unix:///var/run/docker.sock");
        let real = Path::new(real.strip_prefix("unix://").expect("a unix socket")).to_owned();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (open, faults) = (Arc::new(Mutex::new(Some(Vec::new()))), Arc::<Faults>::default());
        let (shared, injected) = (Arc::clone(&open), Arc::clone(&faults));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Some(open) = &mut *shared.lock().unwrap() else { return };
                let engine = UnixStream::connect(&real).unwrap();
                forward_requests(&client, &engine, &injected);
                forward(&engine, &client);
                open.extend([client, engine]);
            }
        });
        Self { socket, open, faults, _folder: folder }
    }

    /// For DOCKER_HOST.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// So many requests to remove a container are answered with a conflict from now on, and never arrive.
    pub fn refuse_removals(&self, count: usize) {
        self.faults.refused_removals.store(count, Ordering::SeqCst);
    }

    /// Whoever asks for events from now on is told of none.
    pub fn lose_events(&self) {
        self.faults.events_are_lost.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        for stream in self.open.lock().unwrap().take().into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn forward(from: &UnixStream, to: &UnixStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// Requests without a body come in one piece, and none before the last one was answered.
fn forward_requests(client: &UnixStream, engine: &UnixStream, faults: &Arc<Faults>) {
    let (mut from, mut to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
    let faults = Arc::clone(faults);
    thread::spawn(move || {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            let sent = match faults.answer_to(&chunk[..length]) {
                Some(answer) => from.write_all(answer.as_bytes()),
                None => to.write_all(&chunk[..length]),
            };
            if sent.is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

impl Faults {
    /// What is said in the engine's place, which then never hears of it.
    fn answer_to(&self, request: &[u8]) -> Option<String> {
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        if line.starts_with("DELETE ") && line.contains("/containers/") && take_one(&self.refused_removals) {
            let head = "HTTP/1.1 409 Conflict\r\ncontent-type: application/json\r\ncontent-length: ";
            return Some(format!("{head}{}\r\n\r\n{BUSY}", BUSY.len()));
        }
        let asks_for_events = line.starts_with("GET ") && line.contains("/events");
        (asks_for_events && self.events_are_lost.load(Ordering::SeqCst)).then(|| STREAM.to_owned())
    }
}

fn take_one(count: &AtomicUsize) -> bool {
    let fewer = |count: usize| (count > 0).then(|| if count == usize::MAX { count } else { count - 1 });
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok()
}
