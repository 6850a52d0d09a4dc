//! WebSockets whose messages are all to be answered, by whoever answered the first.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::frames::{self, Heard};
use super::ledger::{Asked, Kind, Ledger, Voice};
use super::message::{connect, voice, within_limit};

const NORMAL: u16 = 1000;
/// What a server says that goes away, or starts anew.
const GOODBYES: [u16; 2] = [1001, 1012];

/// How many messages are sent, and how far apart.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    pub messages: usize,
    pub pause: Duration,
}

/// Opens a socket, sends what is to be sent at its times, or less if it is to `stop`, and closes it when all
/// is answered.
pub async fn talk(
    gateway: SocketAddr,
    path: &str,
    talk: Talk,
    due: Instant,
    stop: &CancellationToken,
    ledger: &Ledger,
) {
    let asked = ledger.ask(Kind::Socket, due);
    match within_limit(open(gateway, path)).await {
        Err(failure) => ledger.failed(Kind::Socket, failure),
        Ok((stream, heard, by)) => {
            ledger.answered(asked, by);
            ledger.connected(Kind::Socket);
            let socket = Socket { stream, heard, by, ledger, open: BTreeMap::new() };
            socket.converse(talk, due, stop).await;
        }
    }
}

async fn open(gateway: SocketAddr, path: &str) -> Result<(TcpStream, Vec<u8>, Voice), String> {
    let mut stream = connect(gateway).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let fault = |error: std::io::Error| format!("open: {error}");
    stream.write_all(request.as_bytes()).await.map_err(fault)?;
    let mut head = Vec::new();
    loop {
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = head.split_off(end + 4);
            let head = String::from_utf8_lossy(&head).into_owned();
            let by = head.starts_with("HTTP/1.1 101 ").then(|| voice(&headers(&head)));
            return Ok((stream, rest, by.ok_or_else(|| format!("open: {head}"))??));
        }
        if stream.read_buf(&mut head).await.map_err(fault)? == 0 {
            return Err(format!("open: the end came after {:?}", String::from_utf8_lossy(&head)));
        }
    }
}

fn headers(head: &str) -> HeaderMap {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let fields = fields.map(|(name, value)| {
        let name = HeaderName::try_from(name).expect("the gateway knows how to write one");
        (name, HeaderValue::try_from(value).expect("the gateway knows how to write one"))
    });
    fields.collect()
}

struct Socket<'l> {
    stream: TcpStream,
    /// What came, up to what makes a whole frame.
    heard: Vec<u8>,
    by: Voice,
    ledger: &'l Ledger,
    /// What was sent and is not answered, by its words.
    open: BTreeMap<String, Asked>,
}

impl Socket<'_> {
    async fn converse(mut self, talk: Talk, begun: Instant, stop: &CancellationToken) {
        let mut said = 0;
        loop {
            let due = begun + talk.pause * u32::try_from(said).expect("nobody talks for so long");
            let spoken = said == talk.messages || stop.is_cancelled();
            if spoken && self.open.is_empty() {
                return self.part().await;
            }
            tokio::select! {
                // A frame of which a part has come stays in `heard`.
                heard = within_limit(hear(&mut self.stream, &mut self.heard)) => match heard {
                    Ok(Some(Heard::Text(words))) => self.answered(&words),
                    other => return self.left(&other),
                },
                () = sleep_until(due.into()), if !spoken => {
                    if let Err(error) = self.say(said, due).await {
                        return self.left(&Err(error));
                    }
                    said += 1;
                }
            }
        }
    }

    async fn say(&mut self, number: usize, due: Instant) -> Result<(), String> {
        let asked = self.ledger.ask(Kind::Message, due);
        let words = number.to_string();
        let frame = frames::text(&words);
        self.open.insert(words, asked);
        self.stream.write_all(&frame).await.map_err(|error| format!("send: {error}"))
    }

    fn answered(&mut self, words: &str) {
        let told = words.split_once(' ').and_then(|(by, words)| Some((by.parse::<u32>().ok()?, words)));
        match told.and_then(|(by, words)| Some((by, self.open.remove(words)?))) {
            Some((by, asked)) if by == self.by.generation => self.ledger.answered(asked, self.by),
            _ => self.ledger.failed(Kind::Message, format!("{words:?} is no answer of {:?}", self.by)),
        }
    }

    /// The other side has ended it.
    fn left(self, how: &Result<Option<Heard>, String>) {
        let unanswered = self.open.len();
        let how = match how {
            Ok(Some(Heard::Close(code))) if GOODBYES.contains(code) => format!("goodbye ({code})"),
            Ok(Some(Heard::Close(code))) => format!("closed with code {code}"),
            Ok(Some(Heard::Text(_)) | None) => "the connection ended".to_owned(),
            Err(error) => error.clone(),
        };
        let what = format!("{how}, {unanswered} messages unanswered");
        self.ledger.cut(Kind::Message, self.by, what);
    }

    /// Closes it as one closes a WebSocket: with words, that are answered.
    async fn part(mut self) {
        let parted = within_limit(async {
            let fault = |error: std::io::Error| format!("close: {error}");
            self.stream.write_all(&frames::close(NORMAL)).await.map_err(fault)?;
            hear(&mut self.stream, &mut self.heard).await
        });
        match parted.await {
            // The other side's goodbye may have been on its way already.
            Ok(Some(Heard::Close(code))) if code == NORMAL || GOODBYES.contains(&code) => {}
            other => self.left(&other),
        }
    }
}

/// The next frame; `None` where the connection ends instead.
async fn hear(stream: &mut TcpStream, heard: &mut Vec<u8>) -> Result<Option<Heard>, String> {
    loop {
        if let Some(frame) = frames::take(heard) {
            return frame.map(Some);
        }
        if stream.read_buf(heard).await.map_err(|error| format!("read: {error}"))? == 0 {
            return Ok(None);
        }
    }
}
