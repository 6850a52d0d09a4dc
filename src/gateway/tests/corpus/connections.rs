//! Switching protocols, and connections that carry more than one request.

use super::row::{get, served};
use super::run::{check, whole, world};
use crate::gateway::tests::wire::Wire;

const UPGRADE: &str = "RFC 9110, section 7.8";
const WEBSOCKET: &str = "RFC 6455, section 4.1";

#[tokio::test]
async fn nothing_but_a_whole_websocket_handshake_is_handed_on() {
    let plain = "GET /orders HTTP/1.1\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let seen = |lines: &str| format!("{plain}{}", lines.to_lowercase().replace("\r\n", "\n"));
    let exact = |lines: &str| {
        format!(
            "{plain}{}",
            lines
                .replace("Sec-WebSocket-Key", "sec-websocket-key")
                .replace("Sec-WebSocket-Version", "sec-websocket-version")
                .replace("\r\n", "\n")
        )
    };
    let asked = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    check([
        served(UPGRADE, "h2c", get("/orders", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"), plain),
        served(UPGRADE, "TLS", get("/orders", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n"), plain),
        served(UPGRADE, "h2c before websocket", get("/orders", "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n"), plain),
        served(UPGRADE, "not named by Connection", get("/orders", &format!("Upgrade: websocket\r\n{key}{version}")), &exact(&format!("{key}{version}"))),
        served(WEBSOCKET, "without key", get("/orders", &format!("{asked}{version}")), &seen(version)),
        served(WEBSOCKET, "without version", get("/orders", &format!("{asked}{key}")), &exact(key)),
        served(WEBSOCKET, "of another version", get("/orders", &format!("{asked}{key}Sec-WebSocket-Version: 8\r\n")), &exact(&format!("{key}Sec-WebSocket-Version: 8\r\n"))),
        served(WEBSOCKET, "with another method", format!("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{asked}{key}{version}\r\n"), &exact(&format!("content-length: 0\r\n{key}{version}")).replace("GET", "POST")),
        served(WEBSOCKET, "with content", format!("GET /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n{asked}{key}{version}\r\nabc"), &(exact(&format!("content-length: 3\r\n{key}{version}")) + "\nabc")),
        served(WEBSOCKET, "in HTTP/1.0", format!("GET /orders HTTP/1.0\r\nHost: a\r\n{asked}{key}{version}\r\n"), &exact(&format!("{key}{version}"))).then(super::row::Then::Closed),
    ])
    .await;
}

/// A client that believes itself in a tunnel after an answer other than 101 is not.
#[tokio::test]
async fn a_handshake_that_an_instance_declines_opens_no_tunnel() {
    let (world, recorder) = world().await;
    recorder.say(b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n");
    let mut wire = Wire::connect(world.public).await;
    let lines = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    wire.write(get("/orders", lines)).await;
    assert_eq!(wire.read().await.unwrap().status(), 426);
    wire.write(get("/private", "X-User-Id: root\r\n")).await;
    assert_eq!(wire.read().await.unwrap().status(), 401);
    assert_eq!(whole(&recorder.take()).len(), 1);
}
