//! What travels: frames of JSON, each with its length before it, and batches of descriptors.
//!
//! Never a byte more is read than belongs to a frame: descriptors travel with the byte that they were
//! sent with, and are lost when somebody else reads that.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Grows when a message changes its meaning.
pub const VERSION: u32 = 1;

/// No frame is longer. Names and addresses of some thousand instances fit.
const LONGEST: u32 = 4 << 20;

/// How many descriptors go with one byte; the kernel takes 253.
const BATCH: usize = 64;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromNew {
    Hello { version: u32 },
    Taken,
    Over,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromOld {
    Offer {
        /// The program's own version, for people.
        program: String,
        /// What the descriptors are that follow, in their order.
        descriptors: Vec<String>,
        note: serde_json::Value,
    },
    Refused {
        reason: String,
    },
    Withdrawn,
}

pub fn frame(message: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_vec(message).expect("messages have string keys and no failing Serialize");
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &text].concat()
}

pub async fn write(to: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    to.write_all(&frame(message)).await
}

/// # Errors
/// `UnexpectedEof` when the other side has closed, `InvalidData` for what is no message.
pub async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = from.read_u32().await?;
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes")));
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text).await?;
    serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

pub async fn send_descriptors(stream: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    for batch in descriptors.chunks(BATCH) {
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(batch));
            Ok(sendmsg(stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?)
        };
        stream.async_io(Interest::WRITABLE, send).await?;
    }
    Ok(())
}

/// # Errors
/// When other than `count` of them come.
pub async fn receive_descriptors(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut received = Vec::new();
    while received.len() < count {
        let batch = stream.async_io(Interest::READABLE, || receive_batch(stream)).await?;
        if batch.is_empty() || batch.len() > count - received.len() {
            let what = format!("{} descriptors where {count} were announced", received.len() + batch.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        received.extend(batch);
    }
    Ok(received)
}

fn receive_batch(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(rights.flatten().collect())
}
