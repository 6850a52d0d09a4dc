//! TLS at a door: who the gateway says it is, and the handshake (RFC 8446, RFC 5246).
//!
//! Certificates are given, never made or read here, and can be replaced while connections are open:
//! a handshake takes those of its moment. A handshake runs in the task of its own connection, for a
//! bounded time. What it costs is a signature, in the answer to the client's first message: only so
//! many are made at once. Nobody's turn lasts for as long as a client likes.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;

use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::ServerName;
use rustls::server::{Acceptor, ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::limits::Limits;

const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";
/// The first byte of every handshake (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// The TLS side of a listener.
pub struct Tls {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    handshakes: Semaphore,
}

/// What became of a connection's first bytes.
pub(super) enum Greeting {
    Secure(Box<TlsStream<TcpStream>>, Secured),
    /// Whoever is there does not speak TLS.
    Plain(TcpStream),
}

/// What the requests of a connection need to know of its TLS.
#[derive(Debug, Clone)]
pub(super) struct Secured {
    /// The host that the client asked for by SNI.
    name: Option<Box<str>>,
    pub(super) protocol: Protocol,
    certificates: Arc<Certificates>,
}

/// What is spoken: by TLS as ALPN agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

impl Tls {
    /// Presents the first of `certificates` that covers the name asked for, else the first.
    ///
    /// # Errors
    /// When the system gives no randomness for session tickets.
    pub fn new(certificates: Vec<Arc<CertifiedKey>>, limits: &Limits) -> Result<Self, rustls::Error> {
        let certificates = Arc::new(Certificates(RwLock::new(certificates.into())));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&certificates) as _;
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        config.ticketer = Ticketer::new()?;
        Ok(Self { config: Arc::new(config), certificates, handshakes: Semaphore::new(limits.handshakes) })
    }

    /// From the next handshake on.
    pub fn present(&self, certificates: Vec<Arc<CertifiedKey>>) {
        *self.certificates.0.write().unwrap_or_else(PoisonError::into_inner) = certificates.into();
    }

    pub(super) async fn greet(&self, stream: TcpStream, limits: &Limits) -> io::Result<Greeting> {
        timeout(limits.tls_handshake, self.handshake(stream)).await?
    }

    async fn handshake(&self, stream: TcpStream) -> io::Result<Greeting> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[0] != HANDSHAKE_RECORD {
            return Ok(Greeting::Plain(stream));
        }
        let stream = self.shake_hands(stream).await?;
        let (_, session) = stream.get_ref();
        let protocol =
            if session.alpn_protocol() == Some(HTTP_2) { Protocol::Http2 } else { Protocol::Http1 };
        let name = session.server_name().map(|name| name.trim_end_matches('.').to_ascii_lowercase().into());
        let secured = Secured { name, protocol, certificates: Arc::clone(&self.certificates) };
        Ok(Greeting::Secure(Box::new(stream), secured))
    }

    /// Whoever says nothing, or half of something, takes nobody's turn.
    async fn shake_hands(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let turn = self.handshakes.acquire().await.map_err(io::Error::other)?;
        let mut handshake = pin!(hello.into_stream(Arc::clone(&self.config)));
        let answered = poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await;
        drop(turn);
        match answered {
            Poll::Ready(done) => done,
            Poll::Pending => handshake.await,
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Secured {
    /// Whether a request for `host` belongs on a connection that was opened for another one: only where
    /// the same certificate answers for both (RFC 9110, section 7.4).
    pub(super) fn is_misdirected(&self, host: &str) -> bool {
        let Some(name) = self.name.as_deref() else { return false };
        self.protocol == Protocol::Http2 && name != host && self.certificates.differ(name, host)
    }
}

/// Those that are presented now. Never empty.
#[derive(Debug)]
struct Certificates(RwLock<Arc<[Arc<CertifiedKey>]>>);

impl Certificates {
    fn now(&self) -> Arc<[Arc<CertifiedKey>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn differ(&self, one: &str, other: &str) -> bool {
        let all = self.now();
        all.len() > 1 && position(&all, Some(one)) != position(&all, Some(other))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = self.now();
        let at = position(&all, hello.server_name());
        all.get(at).cloned()
    }
}

fn position(all: &[Arc<CertifiedKey>], name: Option<&str>) -> usize {
    let name = name.and_then(|name| ServerName::try_from(name).ok());
    let covers = |name: &ServerName<'_>| all.iter().position(|certified| is_for(certified, name));
    name.as_ref().filter(|_| all.len() > 1).and_then(covers).unwrap_or(0)
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certified.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, name).is_ok())
}

/// What is said in clear to whoever talks HTTP at this port.
pub(super) fn speaks_https(at: Option<SocketAddr>) -> String {
    let place = at.map_or_else(String::new, |at| {
        let host =
            if at.ip().is_loopback() { "localhost".to_owned() } else { at.ip().to_canonical().to_string() };
        format!(": https://{host}:{}", at.port())
    });
    let text = format!("this port speaks HTTPS{place}\n");
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    )
}
