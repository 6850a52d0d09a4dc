//! HTTP/2 by hand: clients and instances whose every frame is chosen.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client, server};
use http::{HeaderMap, Request, Response, response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::wire::PATIENCE;

/// One request that an instance was asked, on its `connection`-th connection.
pub struct Asked {
    pub head: Request<()>,
    pub body: RecvStream,
    pub respond: server::SendResponse<Bytes>,
    pub connection: usize,
}

impl Asked {
    /// Answers with this body; ends the answer.
    pub fn answer(&mut self, body: &str) {
        let mut stream = self.begin();
        stream.send_data(Bytes::copy_from_slice(body.as_bytes()), true).unwrap();
    }

    /// Answers 200, with the body to come.
    pub fn begin(&mut self) -> SendStream<Bytes> {
        self.respond.send_response(Response::new(()), false).unwrap()
    }

    /// How the gateway takes back what it asked.
    pub async fn is_reset(&mut self) -> Reason {
        let reset = poll_fn(|context| self.respond.poll_reset(context));
        timeout(PATIENCE, reset).await.expect("a reset within the time").unwrap()
    }
}

/// A listening instance. It stops when it is dropped.
pub struct Streams {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Streams {
    /// Runs `serve` on each request.
    pub async fn new<F, S>(serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(Asked) -> F + Clone + Send + 'static,
    {
        Self::with(server::Builder::new(), serve).await
    }

    pub async fn with<F, S>(settings: server::Builder, serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(Asked) -> F + Clone + Send + 'static,
    {
        Self::connected(settings, move |asked, _| serve(asked)).await
    }

    /// `serve` may also end the connection, through the channel that it is given.
    pub async fn connected<F, S>(settings: server::Builder, serve: S) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(Asked, Ending) -> F + Clone + Send + 'static,
    {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve_connection(stream, number, settings.clone(), serve.clone()));
            }
        });
        Self { address, connections, task }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells a connection how to end.
pub type Ending = tokio::sync::mpsc::UnboundedSender<End>;

#[derive(Debug, Clone, Copy)]
pub enum End {
    /// GOAWAY; what has begun is finished.
    GoAway,
    /// The socket is closed.
    Close,
}

async fn serve_connection<F, S>(stream: TcpStream, number: usize, settings: server::Builder, serve: S)
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(Asked, Ending) -> F,
{
    stream.set_nodelay(true).unwrap();
    let Ok(mut connection) = settings.handshake(stream).await else { return };
    let (ending, mut ends) = tokio::sync::mpsc::unbounded_channel();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                let (head, body) = request.into_parts();
                let head = Request::from_parts(head, ());
                tokio::spawn(serve(Asked { head, body, respond, connection: number }, ending.clone()));
            }
            Some(end) = ends.recv() => match end {
                End::GoAway => connection.graceful_shutdown(),
                End::Close => return,
            },
        }
    }
}

/// Everything of a body that comes, and its trailers.
pub async fn read(body: &mut RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len()).unwrap();
            bytes.extend_from_slice(&data);
        }
        Ok((bytes, body.trailers().await?))
    };
    timeout(PATIENCE, reading).await.expect("the end of a body within the time")
}

/// A client's connection.
pub struct Client {
    sender: client::SendRequest<Bytes>,
    task: JoinHandle<()>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = client::handshake(stream).await.unwrap();
        let task = tokio::spawn(async move { drop(connection.await) });
        Self { sender, task }
    }

    /// Begins a request whose body is still to be sent.
    pub async fn begin(&self, request: Request<()>) -> (client::ResponseFuture, SendStream<Bytes>) {
        self.sender.clone().ready().await.unwrap().send_request(request, false).unwrap()
    }

    /// A request without a body.
    pub async fn ask(&self, request: Request<()>) -> Result<Answer, h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        Answer::of(sender.send_request(request, true)?.0).await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    pub head: response::Parts,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub async fn of(response: client::ResponseFuture) -> Result<Self, h2::Error> {
        let (head, mut body) = head_of(response).await?;
        let (body, trailers) = read(&mut body).await?;
        Ok(Self { head, body, trailers })
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// The head of a response, with the body to come.
pub async fn head_of(response: client::ResponseFuture) -> Result<(response::Parts, RecvStream), h2::Error> {
    Ok(timeout(PATIENCE, response).await.expect("a head within the time")?.into_parts())
}
