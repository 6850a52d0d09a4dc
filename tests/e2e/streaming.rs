//! Bodies that flow both ways, and connections that stop being HTTP, through the gateway to a
//! container.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::Client;
use super::services::Service;
use super::stage::{DEADLINE, on_docker};

/// Reads until `text` has come.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let mut some = [0; 1024];
        let length = timeout(DEADLINE, stream.read(&mut some)).await;
        let length = length.unwrap_or_else(|_| panic!("{text:?} did not come after {read:?}")).unwrap();
        assert_ne!(length, 0, "the end came instead of {text:?}, after {read:?}");
        read.push_str(&String::from_utf8_lossy(&some[..length]));
    }
    read
}

async fn send(gateway: Client, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.0).await.unwrap();
    stream.write_all(format!("{head}\r\nhost: localhost\r\n").as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn each_piece_of_a_body_is_answered_before_the_next_one_is_sent() {
    on_docker(&[Service::new("order")], async |stage| {
        let mut stream = send(stage.up().await, "POST /order/echo HTTP/1.1").await;
        stream.write_all(b"transfer-encoding: chunked\r\n\r\n").await.unwrap();
        for piece in ["first", "second", "third"] {
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            stream.write_all(chunk.as_bytes()).await.unwrap();
            read_until(&mut stream, piece).await;
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        read_until(&mut stream, "0\r\n\r\n").await;
    })
    .await;
}

#[tokio::test]
async fn an_upgraded_connection_carries_whatever_the_two_ends_agree_on() {
    on_docker(&[Service::new("order")], async |stage| {
        let mut stream = send(stage.up().await, "GET /order/upgrade HTTP/1.1").await;
        let lines = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n\r\n";
        stream.write_all(lines.as_bytes()).await.unwrap();
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        for words in ["hello", "\u{1f980} is not HTTP"] {
            stream.write_all(words.as_bytes()).await.unwrap();
            read_until(&mut stream, words).await;
        }
    })
    .await;
}
