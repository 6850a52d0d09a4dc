//! The side of the process that serves: where it can be asked for its sockets, and the offer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::net::Shutdown;
use serde::Serialize;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::wire::{self, FromNew, FromOld, VERSION};

/// The name of the post's own socket among those that are passed on.
pub const POST: &str = "post";

/// How long a message may take once it has to be there.
const MESSAGE_LIMIT: Duration = Duration::from_secs(5);

/// How long a newcomer may prepare itself. Until then this process serves as ever.
const TAKE_LIMIT: Duration = Duration::from_secs(30);

/// After the system ran out of something, usually of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    #[error("process {pid} has ended before it was ready")]
    Died { pid: i32 },
    #[error("process {pid} was not ready within {}", humantime::format_duration(TAKE_LIMIT))]
    Late { pid: i32 },
    #[error("cannot talk to process {pid}: {source}")]
    Io { pid: i32, source: io::Error },
}

/// Where this process can be asked for its sockets.
#[derive(Debug)]
pub struct Post(UnixListener);

impl From<UnixListener> for Post {
    fn from(listener: UnixListener) -> Self {
        Self(listener)
    }
}

impl Post {
    /// Opens a post at `path`. What an ended process has left there is replaced, so whoever calls this
    /// has asked there first ([`take`](super::take())).
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self(listener))
    }

    /// Waits for somebody of the same user who speaks this protocol. Dropping the wait loses at most a
    /// newcomer that has not been offered anything.
    pub async fn newcomer(&self) -> Newcomer {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => match Newcomer::greet(stream).await {
                    Ok(newcomer) => return newcomer,
                    Err(error) => tracing::warn!(%error, "somebody asked for the sockets in vain"),
                },
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a newcomer");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl AsFd for Post {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether a process of that user is one of ours.
pub fn is_own(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw()
}

/// Somebody who wants to replace this process. Dropped without an offer, it hears that there is none.
#[derive(Debug)]
pub struct Newcomer {
    pub pid: i32,
    stream: Withdrawing,
}

impl Newcomer {
    async fn greet(mut stream: UnixStream) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        if !is_own(peer.uid()) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("user {}", peer.uid())));
        }
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let said: FromNew = timeout(MESSAGE_LIMIT, wire::read(&mut stream)).await.map_err(|_| late())??;
        if said != (FromNew::Hello { version: VERSION }) {
            let reason = format!("it speaks version {VERSION} of the handover");
            let _ = wire::write(&mut stream, &FromOld::Refused { reason }).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{said:?}")));
        }
        Ok(Self { pid: peer.pid().unwrap_or_default(), stream: Withdrawing(Some(stream)) })
    }

    /// Offers these sockets, and `post` with them, and waits until they are taken. Meanwhile this
    /// process has to go on accepting, and to leave alone whatever the new one will be in charge of.
    ///
    /// # Errors
    /// When they are not taken, for whatever reason: then this process serves as if nothing had been.
    pub async fn offer(
        mut self,
        note: &(impl Serialize + Sync),
        sockets: &[(String, BorrowedFd<'_>)],
        post: &Post,
    ) -> Result<Successor, OfferError> {
        let pid = self.pid;
        let broken = |source| OfferError::Io { pid, source };
        let note = serde_json::to_value(note).map_err(|error| broken(io::Error::other(error)))?;
        let (mut names, mut descriptors): (Vec<_>, Vec<_>) = sockets.iter().cloned().unzip();
        names.push(POST.to_owned());
        descriptors.push(post.as_fd());
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let stream = self.stream.get();
        let sending = async {
            wire::write(stream, &FromOld::Offer { program, descriptors: names, note }).await?;
            wire::send_descriptors(stream, &descriptors).await
        };
        let late = || OfferError::Late { pid };
        timeout(MESSAGE_LIMIT, sending).await.map_err(|_| late())?.map_err(broken)?;
        match answer(stream).await {
            Ok(FromNew::Taken) => Ok(Successor { pid, stream: self.stream.keep() }),
            Ok(other) => Err(broken(io::Error::new(io::ErrorKind::InvalidData, format!("{other:?}")))),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(late()),
            Err(error) if is_end(&error) => Err(OfferError::Died { pid }),
            Err(error) => Err(broken(error)),
        }
    }
}

/// The newcomer's decision. One that does not come in time cannot come later either.
async fn answer(stream: &mut UnixStream) -> io::Result<FromNew> {
    let in_time = timeout(TAKE_LIMIT, stream.readable()).await.is_ok();
    if !in_time {
        // What was written before this is still read below.
        rustix::net::shutdown(&*stream, Shutdown::Read)?;
    }
    let read =
        timeout(MESSAGE_LIMIT, wire::read(stream)).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()));
    match read {
        Err(error) if !in_time && is_end(&error) => Err(io::ErrorKind::TimedOut.into()),
        read => read,
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

/// A stream that says goodbye by itself, so that whoever is at the other end can tell a change of mind,
/// or a panic, from a death.
#[derive(Debug)]
struct Withdrawing(Option<UnixStream>);

impl Withdrawing {
    fn get(&mut self) -> &mut UnixStream {
        self.0.as_mut().expect("it is only taken out by value")
    }

    fn keep(mut self) -> UnixStream {
        self.0.take().expect("it is only taken out by value")
    }
}

impl Drop for Withdrawing {
    fn drop(&mut self) {
        let Some(stream) = self.0.take() else { return };
        // From here on nothing can be taken; a message of some bytes always fits.
        let _ = rustix::net::shutdown(&stream, Shutdown::Read);
        let _ = stream.try_write(&wire::frame(&FromOld::Withdrawn));
    }
}

/// The process that serves now. Dropped, it hears that this one has ended.
#[derive(Debug)]
pub struct Successor {
    pub pid: i32,
    stream: UnixStream,
}

impl Successor {
    /// Completes when it wants this process to cut what it still serves; never, if it does not.
    pub async fn over(&mut self) {
        if let Ok(FromNew::Over) = wire::read(&mut self.stream).await {
            return;
        }
        // It died: what goes on here is all that is left, and goes on to its own end.
        std::future::pending().await
    }
}
