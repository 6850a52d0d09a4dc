//! The public door by TLS: handshakes, protocols, certificates, and the way there from plain HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::backend::Backend;
use super::harness::World;
use super::wire::{PATIENCE, Wire};
use crate::gateway::{Limits, Tls};

/// A certificate for these names that signs itself.
fn certificate(names: &[&str]) -> Arc<CertifiedKey> {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let chain = vec![certificate.der().clone()];
    Arc::new(CertifiedKey::from_der(chain, key, &default_provider()).unwrap())
}

fn door(certificates: &[&Arc<CertifiedKey>]) -> Arc<Tls> {
    let certificates = certificates.iter().copied().cloned().collect();
    Arc::new(Tls::new(certificates, &Limits::default()).unwrap())
}

fn client(trusted: &[&Arc<CertifiedKey>], protocols: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certified in trusted {
        roots.add(certified.cert[0].clone()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

async fn connect(
    config: ClientConfig,
    address: SocketAddr,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

async fn exchange(stream: &mut TlsStream<TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Some ends come without a word.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn presented(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

async fn world(tls: Arc<Tls>) -> (World, Backend) {
    let backend = Backend::echo().await;
    let mut world = World::by_tls(tls, Limits::default()).await;
    world.set("order", &[(1, backend.address, crate::model::catalog::EndpointState::Ready)]);
    (world, backend)
}

#[tokio::test]
async fn a_request_by_tls_is_served_and_its_service_knows() {
    let own = certificate(&["store.localhost"]);
    let (world, _backend) = world(door(&[&own])).await;
    let mut stream = connect(client(&[&own], &[]), world.public, "store.localhost").await.unwrap();
    let request = "GET /orders HTTP/1.1\r\nHost: store.localhost\r\nConnection: close\r\n\r\n";
    let answer = exchange(&mut stream, request).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("x-forwarded-proto: https\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn both_versions_of_tls_and_both_protocols_are_spoken() {
    let own = certificate(&["store.localhost"]);
    let (world, _backend) = world(door(&[&own])).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (offered, agreed) in
            [(&[b"h2" as &[u8], b"http/1.1"][..], b"h2" as &[u8]), (&[b"http/1.1"], b"http/1.1")]
        {
            let mut roots = RootCertStore::empty();
            roots.add(own.cert[0].clone()).unwrap();
            let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
            let builder = builder.with_protocol_versions(&[version]).unwrap();
            let mut config = builder.with_root_certificates(roots).with_no_client_auth();
            config.alpn_protocols = offered.iter().map(|protocol| protocol.to_vec()).collect();
            let stream = connect(config, world.public, "store.localhost").await.unwrap();
            let session = stream.get_ref().1;
            assert_eq!(session.alpn_protocol(), Some(agreed));
            assert_eq!(session.protocol_version(), Some(version.version));
        }
    }
    let refused = connect(client(&[&own], &[b"spdy/3"]), world.public, "store.localhost").await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

async fn get_by_h2(stream: TlsStream<TcpStream>, uri: &str) -> (u16, String) {
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = http::Request::get(uri).body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = timeout(PATIENCE, send.send_request(request)).await.unwrap().unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    driving.abort();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn http_2_is_served_by_tls() {
    let own = certificate(&["store.localhost"]);
    let (world, _backend) = world(door(&[&own])).await;
    let stream = connect(client(&[&own], &[b"h2"]), world.public, "store.localhost").await.unwrap();
    let (status, text) = get_by_h2(stream, "https://store.localhost/orders").await;
    assert!(status == 200 && text.contains("x-forwarded-proto: https\r\n"), "{status} {text}");
}

#[tokio::test]
async fn a_request_on_a_connection_for_another_certificate_is_misdirected() {
    let (own, other) =
        (certificate(&["store.localhost", "*.store.localhost"]), certificate(&["shop.example"]));
    let (world, _backend) = world(door(&[&own, &other])).await;
    for (name, host, expected) in [
        ("store.localhost", "store.localhost", 200),
        ("store.localhost", "order.store.localhost:8443", 200),
        ("store.localhost", "shop.example", 421),
        ("shop.example", "store.localhost", 421),
    ] {
        let stream = connect(client(&[&own, &other], &[b"h2"]), world.public, name).await.unwrap();
        let (status, text) = get_by_h2(stream, &format!("https://{host}/orders")).await;
        assert_eq!(status, expected, "{name} {host} {text}");
    }
}

#[tokio::test]
async fn the_name_asked_for_chooses_the_certificate() {
    let (own, other) = (certificate(&["store.localhost"]), certificate(&["shop.example"]));
    let (world, _backend) = world(door(&[&own, &other])).await;
    for (name, expected) in [("store.localhost", &own), ("shop.example", &other)] {
        let stream = connect(client(&[&own, &other], &[]), world.public, name).await.unwrap();
        assert_eq!(presented(&stream), expected.cert[0], "{name}");
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_under_open_connections() {
    let (old, new) = (certificate(&["store.localhost"]), certificate(&["store.localhost"]));
    let tls = door(&[&old]);
    let (world, _backend) = world(Arc::clone(&tls)).await;
    let mut open = connect(client(&[&old], &[]), world.public, "store.localhost").await.unwrap();
    tls.present(vec![Arc::clone(&new)]);
    let later = connect(client(&[&new], &[]), world.public, "store.localhost").await.unwrap();
    assert_eq!(presented(&later), new.cert[0]);
    let answer = exchange(&mut open, "GET /auth HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_session_is_resumed() {
    let own = certificate(&["store.localhost"]);
    let (world, _backend) = world(door(&[&own])).await;
    let config = client(&[&own], &[]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(config.clone(), world.public, "store.localhost").await.unwrap();
        exchange(&mut stream, "GET /auth HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        kinds.push(stream.get_ref().1.handshake_kind());
    }
    assert_eq!(kinds, [Some(rustls::HandshakeKind::Full), Some(rustls::HandshakeKind::Resumed)]);
}

#[tokio::test]
async fn whoever_talks_http_to_tls_is_told_so() {
    let own = certificate(&["store.localhost"]);
    let (world, _backend) = world(door(&[&own])).await;
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /orders HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = wire.read().await.unwrap();
    assert_eq!((answer.status(), answer.header("connection")), (400, Some("close")));
    let expected = format!("this port speaks HTTPS: https://localhost:{}\n", world.public.port());
    assert_eq!(answer.text(), expected);
    assert_eq!(wire.read_to_end().await, b"");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_in_time_ends_the_connection() {
    let own = certificate(&["store.localhost"]);
    let limits = Limits { tls_handshake: Duration::from_millis(50), ..Limits::default() };
    let world = World::by_tls(door(&[&own]), limits).await;
    for sent in [&b""[..], b"\x16\x03\x01\x02\x00"] {
        let mut wire = Wire::connect(world.public).await;
        wire.write(sent).await;
        assert_eq!(wire.read_to_end().await, b"");
    }
}

/// The first message of a handshake.
fn hello(config: ClientConfig) -> Vec<u8> {
    let name = ServerName::try_from("store.localhost").unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn handshakes_take_turns_and_silence_takes_none() {
    let own = certificate(&["store.localhost"]);
    let limits = Limits { handshakes: 1, ..Limits::default() };
    let tls = Arc::new(Tls::new(vec![Arc::clone(&own)], &limits).unwrap());
    let (world, _backend) = world(tls).await;
    let _silent = Wire::connect(world.public).await;
    connect(client(&[&own], &[]), world.public, "store.localhost").await.unwrap();
    // Neither does half a word, nor a whole one that is followed by nothing.
    let mut half = Wire::connect(world.public).await;
    half.write(b"\x16").await;
    connect(client(&[&own], &[]), world.public, "store.localhost").await.unwrap();
    let mut mute = Wire::connect(world.public).await;
    mute.write(hello(client(&[&own], &[]))).await;
    assert_eq!(mute.read_some().await[0], 0x16, "the answer to it");
    connect(client(&[&own], &[]), world.public, "store.localhost").await.unwrap();
}

#[tokio::test]
async fn an_upgraded_connection_is_carried_by_tls() {
    let own = certificate(&["store.localhost"]);
    let backend = super::tunnels::tunnelling().await;
    let mut world = World::by_tls(door(&[&own]), Limits::default()).await;
    world.set("order", &[(1, backend.address, crate::model::catalog::EndpointState::Ready)]);
    let mut stream = connect(client(&[&own], &[b"http/1.1"]), world.public, "store.localhost").await.unwrap();
    let head = "GET /orders HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        assert_ne!(timeout(PATIENCE, stream.read_buf(&mut seen)).await.unwrap().unwrap(), 0);
    }
    assert!(seen.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&seen));
    stream.write_all(b"ping").await.unwrap();
    let mut echoed = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut echoed)).await.unwrap().unwrap();
    assert_eq!(&echoed, b"ping");
}

#[tokio::test]
async fn browsers_that_come_by_tls_are_told_to_stay_with_it() {
    let own = certificate(&["store.localhost"]);
    let backend = Backend::new(|mut wire, _| async move {
        while let Some(request) = wire.read().await {
            let line = if request.head.contains("/orders/own") {
                "\r\nStrict-Transport-Security: max-age=1"
            } else {
                ""
            };
            wire.write(format!("HTTP/1.1 200 OK{line}\r\nContent-Length: 0\r\n\r\n")).await;
        }
    })
    .await;
    let mut world = World::by_tls_alone(door(&[&own]), Duration::from_secs(86_400)).await;
    world.set("order", &[(1, backend.address, crate::model::catalog::EndpointState::Ready)]);
    for (path, expected) in [
        ("/orders", "strict-transport-security: max-age=86400\r\n"),
        ("/private", "strict-transport-security: max-age=86400\r\n"),
        ("/orders/own", "strict-transport-security: max-age=1\r\n"),
    ] {
        let mut stream = connect(client(&[&own], &[]), world.public, "store.localhost").await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: store.localhost\r\nConnection: close\r\n\r\n");
        let answer = exchange(&mut stream, &request).await;
        assert!(answer.contains(expected), "{answer}");
        assert_eq!(answer.matches("strict-transport-security").count(), 1, "{answer}");
    }
    // In clear it would count for nothing (RFC 6797, section 7.2).
    let inside = super::harness::send(world.platform_door, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(inside.header("strict-transport-security"), None);
}

#[tokio::test]
async fn plain_http_is_led_to_the_same_place_by_tls() {
    let world = World::new().await;
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: Store.localhost:8081\r\n\r\n", "https://store.localhost:8443/"),
        (
            "POST /a%20b?c=/d//e HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 1\r\n\r\nx",
            "https://[::1]:8443/a%20b?c=/d//e",
        ),
        ("GET http://a.example/x HTTP/1.1\r\nHost: b\r\n\r\n", "https://a.example:8443/x"),
        ("GET //evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n", "https://a:8443//evil.example/"),
    ] {
        let answer = super::harness::send(world.redirect, request).await;
        assert_eq!((answer.status(), answer.header("location")), (308, Some(expected)), "{}", answer.head);
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    let answer = super::harness::send(world.redirect, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n").await;
    assert_eq!((answer.status(), answer.problem("code").as_str()), (400, "host_invalid"));
}
