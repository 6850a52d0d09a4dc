//! Asks a running platform over its admin socket.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::wire::{Change, Message, Refusal, RouteRow, TrafficReport};
use crate::model::explanation::{Explanation, Question};
use crate::model::status::PlatformStatus;

/// How long the platform process has to begin its answer. Streams begin at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Which events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Past,
    PastAndFuture,
}

/// Failing to talk to the platform process.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there: the platform is not up.
    #[error("the platform is not running")]
    NotRunning,
    #[error("the platform process at {path} broke off: {reason}")]
    Broken { path: PathBuf, reason: String },
    /// It is there, and does nothing.
    #[error("{} does not answer within {}", named(.pid.as_ref()), humantime::format_duration(ANSWER_LIMIT))]
    Hangs { pid: Option<i32> },
    #[error("the platform process answers {status}; is it another version of msctl?")]
    Unexpected { status: StatusCode },
}

impl ClientError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning => Some("start it with: msctl up".to_owned()),
            Self::Hangs { pid: Some(pid) } if is_stopped(*pid) => {
                Some(format!("it was stopped by a signal; let it go on with: kill -CONT {pid}"))
            }
            Self::Hangs { pid: Some(pid) } => Some(format!(
                "end it with: kill -9 {pid} ; its services go on running, and the next msctl up takes them over"
            )),
            _ => None,
        }
    }
}

fn named(pid: Option<&i32>) -> String {
    pid.map_or("the platform process".to_owned(), |pid| format!("the platform process (process {pid})"))
}

/// By a signal, as its state in /proc says (proc_pid_stat(5)).
fn is_stopped(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with(['T', 't']))
}

/// One platform's admin door. Each call opens a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    pub async fn status(&self) -> Result<PlatformStatus, ClientError> {
        self.document("/v1/status").await
    }

    pub async fn routes(&self) -> Result<Vec<RouteRow>, ClientError> {
        self.document("/v1/routes").await
    }

    pub async fn traffic(&self) -> Result<TrafficReport, ClientError> {
        self.document("/v1/traffic").await
    }

    /// Which way a request would take.
    pub async fn explain(&self, question: &Question) -> Result<Result<Explanation, Refusal>, ClientError> {
        let body = serde_json::to_vec(question).map_err(|error| self.broken(&error))?;
        self.read(self.send(Method::POST, "/v1/routes/explain", body.into()).await?).await
    }

    /// The text of the plan that applying the manifest would carry out now.
    pub async fn plan(
        &self,
        services: Option<BTreeSet<String>>,
    ) -> Result<Result<String, Refusal>, ClientError> {
        let body = serde_json::to_vec(&services).map_err(|error| self.broken(&error))?;
        self.read(self.send(Method::POST, "/v1/plan", body.into()).await?).await
    }

    /// What has happened on the platform since its start, as far as that is remembered, and what is to
    /// come.
    pub async fn events(
        &self,
        extent: Extent,
    ) -> Result<impl Stream<Item = Result<Message, ClientError>> + use<>, ClientError> {
        let path = match extent {
            Extent::PastAndFuture => "/v1/events?from_start=true",
            Extent::Past => "/v1/events?past_only=true",
        };
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        Ok(self.messages(response))
    }

    /// Makes a change; the last message is its outcome or the refusal.
    pub async fn change(
        &self,
        change: &Change,
    ) -> Result<impl Stream<Item = Result<Message, ClientError>> + use<>, ClientError> {
        let body = serde_json::to_vec(change).map_err(|error| self.broken(&error))?;
        let response = self.send(Method::POST, "/v1/changes", body.into()).await?;
        Ok(self.messages(response))
    }

    /// Asks the platform process to end; the stream ends when it has.
    pub async fn stop(
        &self,
    ) -> Result<impl Stream<Item = Result<Message, ClientError>> + use<>, ClientError> {
        let response = self.send(Method::POST, "/v1/stop", Bytes::new()).await?;
        Ok(self.messages(response))
    }

    async fn document<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.read(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    async fn read<T: DeserializeOwned>(&self, response: http::Response<Incoming>) -> Result<T, ClientError> {
        let body = response.into_body().collect().await.map_err(|error| self.broken(&error))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| self.broken(&error))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unconnected(&error))?;
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| ClientError::NotRunning)?;
        // The connection ends with the response body; its errors show there.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "msctl")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.broken(&error))?;
        let answered = tokio::time::timeout(ANSWER_LIMIT, sender.send_request(request)).await;
        // A connection that ends without an answer is a process that has just ended.
        let response =
            answered.map_err(|_| ClientError::Hangs { pid })?.map_err(|_| ClientError::NotRunning)?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status => Err(ClientError::Unexpected { status }),
        }
    }

    fn messages(
        &self,
        response: http::Response<Incoming>,
    ) -> impl Stream<Item = Result<Message, ClientError>> + use<> {
        let reader = Lines { body: response.into_body(), buffer: BytesMut::new() };
        let client = self.clone();
        futures_util::stream::unfold(Some(reader), move |reader| {
            let client = client.clone();
            async move {
                let mut reader = reader?;
                match reader.next_line().await {
                    Ok(Some(line)) => {
                        let message = serde_json::from_slice(&line).map_err(|error| client.broken(&error));
                        let rest = message.is_ok().then_some(reader);
                        Some((message, rest))
                    }
                    Ok(None) => None,
                    Err(error) => Some((Err(client.broken(&error)), None)),
                }
            }
        })
    }

    fn unconnected(&self, error: &std::io::Error) -> ClientError {
        match error.kind() {
            std::io::ErrorKind::NotFound
            | std::io::ErrorKind::ConnectionRefused
            // It ended before it had accepted.
            | std::io::ErrorKind::ConnectionReset
            // A path that no socket can have: nobody listens there.
            | std::io::ErrorKind::InvalidInput => ClientError::NotRunning,
            _ => self.broken(error),
        }
    }

    fn broken(&self, reason: &dyn std::fmt::Display) -> ClientError {
        ClientError::Broken { path: self.socket.clone(), reason: reason.to_string() }
    }
}

/// Cuts a body into lines, holding at most one incomplete line.
struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    async fn next_line(&mut self) -> Result<Option<BytesMut>, hyper::Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                return Ok(Some(line));
            }
            match self.body.frame().await.transpose()? {
                Some(frame) => self.buffer.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process};

    #[tokio::test(start_paused = true)]
    async fn a_process_that_does_nothing_is_named_and_so_is_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("admin.sock");
        let _hanging = tokio::net::UnixListener::bind(&socket).unwrap();
        let error = Client::new(&socket).status().await.unwrap_err();
        let own = std::process::id();
        assert_eq!(
            error.to_string(),
            format!("the platform process (process {own}) does not answer within 10s")
        );
        let hint = error.hint().unwrap();
        assert!(hint.starts_with(&format!("end it with: kill -9 {own} ;")), "{hint}");
    }

    #[test]
    fn a_call_that_was_never_accepted_says_that_nobody_runs() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("admin.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let caller = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        drop(listener);
        let error = caller.take_error().unwrap().expect("nobody will ever accept it");
        let error = Client::new(&socket).unconnected(&error);
        assert!(matches!(error, ClientError::NotRunning), "{error:?}");
    }

    #[test]
    fn one_that_was_stopped_is_to_go_on() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let hint = || ClientError::Hangs { pid: Some(pid) }.hint().unwrap();
        assert!(hint().starts_with("end it"));
        kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
        // The signal was sent by this very process, so the stop has begun; it shows soon.
        while !is_stopped(pid) {
            std::thread::yield_now();
        }
        assert_eq!(hint(), format!("it was stopped by a signal; let it go on with: kill -CONT {pid}"));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
