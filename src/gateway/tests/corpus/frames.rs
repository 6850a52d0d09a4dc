//! HTTP/2 by hand: frames as they are, so that everything can be sent that no client would.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::gateway::tests::wire::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Error codes (RFC 9113, section 7).
pub const CANCEL: u32 = 8;
pub const REFUSED_STREAM: u32 = 7;
pub const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug, Clone)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// How a request, or the connection, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    Reset(u32),
    GoAway(u32),
    Closed,
}

/// A client's end of a connection.
#[derive(Debug)]
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// With the settings exchanged, ours being these: identifier and value.
    pub async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut client = Self { stream, buffer: Vec::new() };
        let pairs = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat());
        client.send(SETTINGS, 0, 0, &pairs.collect::<Vec<u8>>()).await;
        while client.next().await.expect("settings").kind != SETTINGS {}
        client.send(SETTINGS, ACK, 0, &[]).await;
        client
    }

    /// Whether it could be written: not if the other side has closed.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        timeout(PATIENCE, self.stream.write_all(&frame(kind, flags, stream, payload)))
            .await
            .expect("room to write")
            .is_ok()
    }

    pub async fn request(&mut self, stream: u32, flags: u8, fields: &[(&[u8], &[u8])]) -> bool {
        self.send(HEADERS, END_HEADERS | flags, stream, &block(fields)).await
    }

    pub async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.read()).await.expect("a frame or an end within the time")
    }

    async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(length) = self.buffer.get(..9).map(|head| 9 + number(&head[..3]) as usize)
                && self.buffer.len() >= length
            {
                let bytes: Vec<u8> = self.buffer.drain(..length).collect();
                let stream = number(&bytes[5..9]) & 0x7fff_ffff;
                return Some(Frame { kind: bytes[3], flags: bytes[4], stream, payload: bytes[9..].to_vec() });
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// What becomes of the request on `stream`.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        while let Some(frame) = self.next().await {
            match frame.kind {
                HEADERS if frame.stream == stream => return Outcome::Status(status(&frame.payload)),
                RST_STREAM if frame.stream == stream => return Outcome::Reset(number(&frame.payload)),
                GOAWAY => return Outcome::GoAway(number(&frame.payload[4..8])),
                _ => {}
            }
        }
        Outcome::Closed
    }

    /// What becomes of the connection.
    pub async fn end(&mut self) -> Outcome {
        self.outcome(u32::MAX).await
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals that are never indexed (RFC 7541, section 6.2.2), to the byte.
pub fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            push_length(&mut block, text.len());
            block.extend_from_slice(text);
        }
    }
    block
}

/// RFC 7541, section 5.1, with a prefix of seven bits.
pub fn push_length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return block.push(u8::try_from(length).unwrap());
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// The status of a response, which is its first field: one of the static table, or three digits in
/// Huffman's code (RFC 7541, appendices A and B).
fn status(block: &[u8]) -> u16 {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let updates = block.iter().take_while(|&&byte| byte & 0xe0 == 0x20).count();
    let block = &block[updates..];
    if let Some(known) = (block[0] & 0x7f).checked_sub(8).filter(|_| block[0] >= 0x80) {
        return INDEXED[usize::from(known)];
    }
    let bits: Vec<u8> =
        block[2..].iter().take(3).flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let mut at = 0;
    let mut digit = || {
        let code =
            |length: usize| bits[at..at + length].iter().fold(0, |code, bit| code << 1 | u16::from(*bit));
        let (digit, length) = if code(5) < 3 { (code(5), 5) } else { (code(6) - 22, 6) };
        at += length;
        digit
    };
    digit() * 100 + digit() * 10 + digit()
}
