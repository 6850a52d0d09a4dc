//! HTTP/1.1 by hand: just enough to send anything and to read answers.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Nothing on loopback takes this long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A message: its head as text, and its body, decoded.
#[derive(Debug, Clone)]
pub struct Message {
    pub head: String,
    pub body: Vec<u8>,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// A member of a problem document.
    pub fn problem(&self, member: &str) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.head);
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        match &document[member] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct Wire {
    pub stream: TcpStream,
    /// The lines after the last chunk of the last message that had chunks.
    pub trailers: Vec<String>,
    buffer: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, trailers: Vec::new(), buffer: Vec::new() }
    }

    pub async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.unwrap())
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next message, or `None` when the other side closed.
    pub async fn read(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.read_message(true)).await.expect("a message within the time")
    }

    pub async fn read_head(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.read_message(false)).await.expect("a head within the time")
    }

    /// What comes next, whatever it is; empty at the end.
    pub async fn read_some(&mut self) -> Vec<u8> {
        if self.buffer.is_empty() {
            timeout(PATIENCE, self.fill()).await.expect("bytes or an end within the time");
        }
        std::mem::take(&mut self.buffer)
    }

    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let reading = async { while self.fill().await {} };
        timeout(PATIENCE, reading).await.expect("an end within the time");
        std::mem::take(&mut self.buffer)
    }

    async fn read_message(&mut self, with_body: bool) -> Option<Message> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "half a head: {:?}", String::from_utf8_lossy(&self.buffer));
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut message = Message { head, body: Vec::new() };
        if with_body {
            message.body = self.read_body(&message).await;
        }
        Some(message)
    }

    async fn read_body(&mut self, message: &Message) -> Vec<u8> {
        if message.header("transfer-encoding").is_some() {
            return self.read_chunks().await;
        }
        let length = message.header("content-length").map_or(0, |length| length.parse().unwrap());
        self.take(length).await
    }

    async fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            match usize::from_str_radix(&self.read_line().await, 16).unwrap() {
                0 => {
                    self.trailers = self.read_trailers().await;
                    return body;
                }
                size => body.extend(self.take(size).await),
            }
            self.read_line().await;
        }
    }

    async fn read_trailers(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.read_line().await {
                line if line.is_empty() => return lines,
                line => lines.push(line),
            }
        }
    }

    pub async fn read_line(&mut self) -> String {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return String::from_utf8(line[..at].to_vec()).unwrap();
            }
            assert!(self.fill().await, "closed within a line");
        }
    }

    pub async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill().await, "closed within a body");
        }
        self.buffer.drain(..count).collect()
    }

    async fn fill(&mut self) -> bool {
        self.buffer.reserve(16 * 1024);
        // A reset is an end like any other here.
        self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) > 0
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
