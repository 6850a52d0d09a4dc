//! The side of the process that comes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::post::{POST, Post, is_own};
use super::wire::{self, FromNew, FromOld, VERSION};

/// How long the old one has to make its offer: it may have something to finish first.
const OFFER_LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error("process {pid} runs under another user, and nothing is taken from it")]
    Stranger { pid: i32 },
    #[error("process {pid} does not hand over: {reason}")]
    Refused { pid: i32, reason: String },
    #[error("process {pid} made no offer within {}", humantime::format_duration(OFFER_LIMIT))]
    Silent { pid: i32 },
    #[error("process {pid} took its offer back and goes on by itself")]
    Withdrawn { pid: i32 },
    #[error("process {pid} did not pass on {what}")]
    Missing { pid: i32, what: String },
    #[error("cannot understand process {pid}: {source}")]
    Garbled { pid: i32, source: io::Error },
    #[error("cannot ask for what is served now: {0}")]
    Io(#[from] io::Error),
}

/// Everything of the old process, as long as it is still the old one's. Dropped, it stays there.
#[derive(Debug)]
pub struct Estate {
    pub pid: i32,
    /// The version of the program that the old process runs.
    pub program: String,
    note: serde_json::Value,
    descriptors: Vec<(String, OwnedFd)>,
    stream: UnixStream,
}

/// Asks whoever has the post at `path` for its sockets; `None` where nobody has.
///
/// # Errors
/// When it does not give them.
pub async fn take(path: &Path) -> Result<Option<Estate>, TakeError> {
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let peer = stream.peer_cred()?;
    let pid = peer.pid().unwrap_or_default();
    if !is_own(peer.uid()) {
        return Err(TakeError::Stranger { pid });
    }
    let offered = timeout(OFFER_LIMIT, receive(&mut stream)).await.map_err(|_| TakeError::Silent { pid })?;
    match offered.map_err(|source| TakeError::Garbled { pid, source })? {
        (FromOld::Offer { program, descriptors: names, note }, received) => {
            let descriptors = names.into_iter().zip(received).collect();
            Ok(Some(Estate { pid, program, note, descriptors, stream }))
        }
        (FromOld::Refused { reason }, _) => Err(TakeError::Refused { pid, reason }),
        (FromOld::Withdrawn, _) => Err(TakeError::Withdrawn { pid }),
    }
}

fn is_nobody(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound};
    // A path that no socket can have: nobody listens there.
    matches!(error.kind(), NotFound | ConnectionRefused | InvalidInput)
}

async fn receive(stream: &mut UnixStream) -> io::Result<(FromOld, Vec<OwnedFd>)> {
    wire::write(stream, &FromNew::Hello { version: VERSION }).await?;
    let said: FromOld = wire::read(stream).await?;
    let count = match &said {
        FromOld::Offer { descriptors, .. } => descriptors.len(),
        FromOld::Refused { .. } | FromOld::Withdrawn => 0,
    };
    let received = wire::receive_descriptors(stream, count).await?;
    Ok((said, received))
}

impl Estate {
    /// What the old one wrote down beside its sockets.
    ///
    /// # Errors
    /// When that is another kind of note.
    pub fn note<T: DeserializeOwned>(&self) -> Result<T, TakeError> {
        T::deserialize(&self.note)
            .map_err(|error| TakeError::Garbled { pid: self.pid, source: io::Error::other(error) })
    }

    /// Takes the first descriptor of that name out.
    ///
    /// # Errors
    /// When there is none.
    pub fn descriptor(&mut self, name: &str) -> Result<OwnedFd, TakeError> {
        let at = self.descriptors.iter().position(|(known, _)| known == name);
        let at = at.ok_or_else(|| TakeError::Missing { pid: self.pid, what: name.to_owned() })?;
        Ok(self.descriptors.remove(at).1)
    }

    /// # Errors
    /// As [`Self::descriptor`], and when it is no listening socket.
    pub fn tcp_listener(&mut self, name: &str) -> Result<TcpListener, TakeError> {
        let listener = std::net::TcpListener::from(self.descriptor(name)?);
        listener.set_nonblocking(true)?;
        Ok(TcpListener::from_std(listener)?)
    }

    /// # Errors
    /// As [`Self::tcp_listener`].
    pub fn unix_listener(&mut self, name: &str) -> Result<UnixListener, TakeError> {
        let listener = std::os::unix::net::UnixListener::from(self.descriptor(name)?);
        listener.set_nonblocking(true)?;
        Ok(UnixListener::from_std(listener)?)
    }

    /// The old one's post: the same socket, for whoever comes next.
    ///
    /// # Errors
    /// As [`Self::tcp_listener`].
    pub fn post(&mut self) -> Result<Post, TakeError> {
        Ok(Post::from(self.unix_listener(POST)?))
    }

    /// The names of the descriptors that nobody has taken out.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.descriptors.iter().map(|(name, _)| name.as_str())
    }

    /// Says that this process serves from now on. Nothing may fail after this.
    ///
    /// # Errors
    /// When the old one has taken its offer back: then that one serves.
    pub async fn accept(mut self) -> Result<Predecessor, TakeError> {
        let pid = self.pid;
        if wire::write(&mut self.stream, &FromNew::Taken).await.is_err()
            && let Ok(FromOld::Withdrawn) = wire::read(&mut self.stream).await
        {
            return Err(TakeError::Withdrawn { pid });
        }
        Ok(Predecessor::watch(pid, self.stream))
    }
}

/// The process that was replaced, until its last connection has ended.
#[derive(Debug)]
pub struct Predecessor {
    pub pid: i32,
    gone: CancellationToken,
    to_it: Mutex<OwnedWriteHalf>,
}

impl Predecessor {
    fn watch(pid: i32, stream: UnixStream) -> Self {
        let (mut from_it, to_it) = stream.into_split();
        let gone = CancellationToken::new();
        let end = gone.clone().drop_guard();
        tokio::spawn(async move {
            // It has nothing more to say: whatever comes, what matters is the end.
            while from_it.read_u8().await.is_ok() {}
            drop(end);
        });
        Self { pid, gone, to_it: Mutex::new(to_it) }
    }

    /// Completes when it has ended.
    pub async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Has it cut what it still serves, and waits for its end, but no longer than `limit`.
    pub async fn dismiss(&self, limit: Duration) {
        // One that cannot be told has ended already.
        let _ = wire::write(&mut *self.to_it.lock().await, &FromNew::Over).await;
        let _ = timeout(limit, self.gone()).await;
    }
}

/// Makes this process the one that a client of `listener` sees at the other end (SO_PEERCRED): the
/// kernel remembers who said `listen` last.
pub fn claim(listener: &impl AsFd) -> io::Result<()> {
    const BACKLOG: i32 = 1024;
    Ok(rustix::net::listen(listener, BACKLOG)?)
}
