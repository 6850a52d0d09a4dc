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

use super::wire::{Change, Message, Refusal, RouteRow};
use crate::model::status::PlatformStatus;

/// How long the platform process has to begin its answer. Streams begin at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Failing to talk to the platform process.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there: the platform is not up.
    #[error("the platform is not running")]
    NotRunning,
    #[error("the platform process at {path} broke off: {reason}")]
    Broken { path: PathBuf, reason: String },
    #[error("the platform process answers {status}; is it another version of msctl?")]
    Unexpected { status: StatusCode },
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

    /// The text of the plan that applying the manifest would carry out now.
    pub async fn plan(
        &self,
        services: Option<BTreeSet<String>>,
    ) -> Result<Result<String, Refusal>, ClientError> {
        let body = serde_json::to_vec(&services).map_err(|error| self.broken(&error))?;
        self.read(self.send(Method::POST, "/v1/plan", body.into()).await?).await
    }

    /// What happens on the platform, from its start.
    pub async fn events(
        &self,
    ) -> Result<impl Stream<Item = Result<Message, ClientError>> + use<>, ClientError> {
        let response = self.send(Method::GET, "/v1/events?from_start=true", Bytes::new()).await?;
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
        let no_answer = format!("no answer within {}", humantime::format_duration(ANSWER_LIMIT));
        // A connection that ends without an answer is a process that has just ended.
        let response = answered.map_err(|_| self.broken(&no_answer))?.map_err(|_| ClientError::NotRunning)?;
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
