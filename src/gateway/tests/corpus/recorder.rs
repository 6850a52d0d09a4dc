//! An instance that writes down what it gets, to the byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::gateway::tests::backend::Backend;

/// Names that the gateway says on its own account. A test of their own looks at them.
pub const OURS: [&str; 10] = [
    "host",
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-prefix",
    "x-real-ip",
    "x-msctl-hops",
    "traceparent",
];

/// What came over one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Whole(Request),
    /// The connection ended before the request did.
    Unfinished(Vec<u8>),
}

/// A request to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// The first line, the lines that are not [`OURS`] in the order of their names, and the body as it
    /// was framed. Lines end in `\n`.
    pub fn plain(&self) -> String {
        let mut lines = self.head.trim_end().split("\r\n");
        let mut plain = lines.next().unwrap_or_default().to_owned() + "\n";
        let name = |line: &&str| line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let mut theirs: Vec<&str> = lines.filter(|line| !OURS.contains(&name(line).as_str())).collect();
        // The order of different names means nothing (RFC 9110, section 5.3), that of equal ones does.
        theirs.sort_by_key(name);
        for line in theirs {
            plain.push_str(line.trim_end());
            plain.push('\n');
        }
        if !self.body.is_empty() {
            plain.push('\n');
            plain.push_str(&String::from_utf8_lossy(&self.body).replace("\r\n", "\n"));
        }
        plain
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}

/// The instance, what it got, and what it says.
#[derive(Debug)]
pub struct Recorder {
    pub backend: Backend,
    seen: watch::Receiver<Vec<Seen>>,
    clear: watch::Sender<Vec<Seen>>,
    says: Arc<Mutex<Vec<u8>>>,
}

pub const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

impl Recorder {
    pub async fn new() -> Self {
        let (sender, seen) = watch::channel(Vec::new());
        let says = Arc::new(Mutex::new(FINE.to_vec()));
        let (clear, answer) = (sender.clone(), Arc::clone(&says));
        let backend =
            Backend::new(move |wire, _| record(wire.stream, sender.clone(), Arc::clone(&answer))).await;
        Self { backend, seen, clear, says }
    }

    /// From now on every request is answered with these bytes; an answer that ends with the connection
    /// ends it.
    pub fn say(&self, answer: &[u8]) {
        *self.says.lock().unwrap() = answer.to_vec();
    }

    /// What came since the last time.
    pub fn take(&self) -> Vec<Seen> {
        self.clear.send_replace(Vec::new())
    }

    /// Waits until something has come.
    pub async fn wait(&self) {
        self.seen.clone().wait_for(|seen| !seen.is_empty()).await.unwrap();
    }
}

async fn record(mut stream: TcpStream, seen: watch::Sender<Vec<Seen>>, says: Arc<Mutex<Vec<u8>>>) {
    let mut bytes = Vec::new();
    loop {
        while let Some((request, length)) = whole(&bytes) {
            bytes.drain(..length);
            let (answer, is_last) = answer_to(&request, &says.lock().unwrap());
            seen.send_modify(|seen| seen.push(Seen::Whole(request)));
            if stream.write_all(&answer).await.is_err() || is_last {
                return;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            if !bytes.is_empty() {
                seen.send_modify(|seen| seen.push(Seen::Unfinished(bytes)));
            }
            return;
        }
    }
}

/// The answer, and whether the connection ends with it.
fn answer_to(request: &Request, says: &[u8]) -> (Vec<u8>, bool) {
    // The request that proves a connection alive is answered properly, whatever the row is about.
    if request.head.starts_with("GET /orders/proof ") {
        return (FINE.to_vec(), false);
    }
    let end = says.windows(4).position(|window| window == b"\r\n\r\n").map_or(says.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&says[..end]).to_ascii_lowercase();
    let delimited = ["content-length", "transfer-encoding: chunked\r\n", " 204 ", " 304 "];
    let closes = head.contains("connection: close") || !delimited.iter().any(|word| head.contains(word));
    let bodyless = request.head.starts_with("HEAD ") && says == FINE;
    (if bodyless { &says[..end] } else { says }.to_vec(), closes)
}

/// The first request in `bytes`, if it is all there, and its length. Its body is as it was framed.
fn whole(bytes: &[u8]) -> Option<(Request, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let request = Request { head: text, body: Vec::new() };
    let length =
        match (request.headers("transfer-encoding").first(), request.headers("content-length").first()) {
            (Some(_), _) => chunks(&bytes[head..])?,
            (None, Some(length)) => length.parse().ok()?,
            (None, None) => 0,
        };
    let body = bytes.get(head..head + length)?.to_vec();
    Some((Request { body, ..request }, head + length))
}

/// The length of a chunked body with its trailers.
fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = line(&bytes[at..])?;
        let size = usize::from_str_radix(std::str::from_utf8(line).ok()?, 16).ok()?;
        at += line.len() + 2;
        if size == 0 {
            break;
        }
        at += size + 2;
        if at > bytes.len() {
            return None;
        }
    }
    loop {
        let line = line(&bytes[at..])?;
        at += line.len() + 2;
        if line.is_empty() {
            return Some(at);
        }
    }
}

fn line(bytes: &[u8]) -> Option<&[u8]> {
    bytes.windows(2).position(|window| window == b"\r\n").map(|end| &bytes[..end])
}
