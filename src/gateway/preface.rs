//! Which protocol a client in clear speaks, told by its first bytes.
//!
//! hyper can tell that, too, but reads those bytes into a buffer that then grows to twice what a
//! connection needs, for as long as it lasts.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::tls::Protocol;

/// With what every connection of HTTP/2 begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The head of most requests.
const ROOM: usize = 512;

/// A stream whose first bytes were looked at.
#[derive(Debug)]
pub(super) struct Heard<S> {
    stream: S,
    ahead: Vec<u8>,
}

/// Waits until it is clear what the client speaks. One that says nothing more speaks HTTP/1, which
/// knows what to make of it.
pub(super) async fn listen<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(Protocol, Heard<S>)> {
    let mut ahead = Vec::with_capacity(ROOM);
    loop {
        let is_over = stream.read_buf(&mut ahead).await? == 0;
        let common = ahead.len().min(PREFACE.len());
        if is_over || ahead[..common] != PREFACE[..common] {
            return Ok((Protocol::Http1, Heard { stream, ahead }));
        }
        if common == PREFACE.len() {
            return Ok((Protocol::Http2, Heard { stream, ahead }));
        }
    }
}

impl<S> Heard<S> {
    /// Of which nothing was read.
    pub(super) fn nothing_of(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let fits = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..fits]);
        self.ahead = self.ahead.split_off(fits);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    /// What is heard of a client that says these things one after the other, and what is read then.
    async fn heard(said: &[&[u8]]) -> (Protocol, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(64);
        let said: Vec<Vec<u8>> = said.iter().map(|part| part.to_vec()).collect();
        let saying = async move {
            for part in said {
                client.write_all(&part).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let hearing = async {
            let (protocol, mut stream) = listen(server).await.unwrap();
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.unwrap();
            (protocol, read)
        };
        tokio::join!(saying, hearing).1
    }

    #[tokio::test]
    async fn the_preface_tells_http_2_however_it_comes() {
        let whole: &[&[u8]] = &[PREFACE, b"frames"];
        let torn: &[&[u8]] = &[b"P", b"RI * HTTP/2.0\r\n", b"\r\nSM\r\n\r", b"\nframes"];
        for said in [whole, torn] {
            let (protocol, read) = heard(said).await;
            assert_eq!(protocol, Protocol::Http2);
            assert_eq!(read, said.concat());
        }
    }

    #[tokio::test]
    async fn anything_else_is_http_1_and_nothing_of_it_is_lost() {
        let nothing: &[&[u8]] = &[];
        let almost: &[&[u8]] = &[b"PRI * HTTP/2.0\r\n\r\nSMALL"];
        let broken_off: &[&[u8]] = &[b"PRI * HT"];
        let request: &[&[u8]] = &[b"GET / HT", b"TP/1.1\r\n\r\n"];
        for said in [nothing, almost, broken_off, request] {
            let (protocol, read) = heard(said).await;
            assert_eq!(protocol, Protocol::Http1);
            assert_eq!(read, said.concat());
        }
    }

    #[tokio::test]
    async fn a_small_buffer_gets_it_in_parts() {
        let (_, stream) = tokio::io::duplex(1);
        let mut stream = Heard { stream, ahead: b"abc".to_vec() };
        let mut two = [0; 2];
        assert_eq!(stream.read(&mut two).await.unwrap(), 2);
        assert_eq!(&two, b"ab");
        assert_eq!(stream.read(&mut two).await.unwrap(), 1);
        assert_eq!(two[0], b'c');
    }
}
