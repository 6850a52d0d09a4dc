//! Both sides in one process, and each of them going wrong at each step.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::Shutdown;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use super::wire::{self, FromNew, FromOld, VERSION};
use super::{Estate, OfferError, Post, Predecessor, Successor, TakeError, take};

const PATIENCE: Duration = Duration::from_secs(10);

/// A process that serves: one public socket, and a post.
struct Serving {
    folder: TempDir,
    public: TcpListener,
    post: Post,
}

impl Serving {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let post = Post::open(&folder.path().join("post")).unwrap();
        Self { folder, public, post }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("post")
    }

    fn address(&self) -> SocketAddr {
        self.public.local_addr().unwrap()
    }

    /// Makes one offer to whoever comes first.
    async fn offer(&self) -> Result<Successor, OfferError> {
        let newcomer = self.post.newcomer().await;
        newcomer.offer(&"a note", &[("public".to_owned(), self.public.as_fd())], &self.post).await
    }
}

async fn estate(path: PathBuf) -> Estate {
    take(&path).await.unwrap().expect("somebody serves")
}

async fn taken(path: PathBuf) -> (TcpListener, Post, Predecessor) {
    let mut estate = estate(path).await;
    assert_eq!((estate.note::<String>().unwrap().as_str(), estate.program.as_str()), ("a note", "0.1.0"));
    let (public, post) = (estate.tcp_listener("public").unwrap(), estate.post().unwrap());
    assert_eq!(estate.names().count(), 0);
    (public, post, estate.accept().await.unwrap())
}

#[tokio::test]
async fn who_waited_at_the_old_one_is_served_by_the_new_one_and_nobody_is_refused() {
    let old = Serving::new().await;
    let (address, path) = (old.address(), old.path());
    let mut waited = TcpStream::connect(address).await.unwrap();
    let (successor, (public, post, predecessor)) = tokio::join!(old.offer(), taken(path.clone()));
    let Serving { folder, public: closed, post: left } = old;
    drop((closed, left));
    let mut late = TcpStream::connect(address).await.unwrap();
    for stream in [&mut waited, &mut late] {
        public.accept().await.unwrap().0.write_all(b"new").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "new");
    }
    assert!(timeout(Duration::from_millis(20), predecessor.gone()).await.is_err());
    drop(successor.unwrap());
    timeout(PATIENCE, predecessor.gone()).await.unwrap();

    let next = Serving { folder, public, post };
    let (successor, (again, ..)) = tokio::join!(next.offer(), taken(path));
    assert_eq!((successor.is_ok(), again.local_addr().unwrap()), (true, address));
}

#[tokio::test]
async fn nobody_at_the_post_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("post");
    assert!(take(&path).await.unwrap().is_none());
    drop(Post::open(&path).unwrap());
    assert!(take(&path).await.unwrap().is_none(), "what an ended process left is nobody");
    Post::open(&path).unwrap();
    assert!(take(&folder.path().join("x".repeat(200))).await.unwrap().is_none());
}

#[tokio::test]
async fn a_newcomer_that_dies_before_it_is_ready_changes_nothing() {
    let old = Serving::new().await;
    // With the offer in its hands, and before it even came.
    let (offered, ()) = tokio::join!(old.offer(), async { drop(estate(old.path()).await) });
    assert!(matches!(offered, Err(OfferError::Died { pid }) if pid.cast_unsigned() == std::process::id()));
    let mut stream = UnixStream::connect(old.path()).await.unwrap();
    wire::write(&mut stream, &FromNew::Hello { version: VERSION }).await.unwrap();
    drop(stream);
    assert!(old.offer().await.is_err());
    let (successor, _) = tokio::join!(old.offer(), taken(old.path()));
    successor.unwrap();
}

#[tokio::test]
async fn an_old_one_that_was_killed_after_its_offer_leaves_everything_to_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("post");
    let listener = UnixListener::bind(&path).unwrap();
    let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let killed = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        say_offer(&mut stream, 1, &[public.as_fd()]).await;
        // Closed without a word, as the kernel does it.
    };
    let (mut estate, ()) = tokio::join!(estate(path.clone()), killed);
    let socket = estate.tcp_listener("0").unwrap();
    let predecessor = estate.accept().await.unwrap();
    timeout(PATIENCE, predecessor.gone()).await.unwrap();
    assert_eq!(socket.local_addr().unwrap(), public.local_addr().unwrap());
}

/// An offer of `count` descriptors, named by their number, and those that are really sent.
async fn say_offer(stream: &mut UnixStream, count: usize, sent: &[BorrowedFd<'_>]) {
    let hello: FromNew = wire::read(stream).await.unwrap();
    assert_eq!(hello, FromNew::Hello { version: VERSION });
    let descriptors = (0..count).map(|number| number.to_string()).collect();
    let offer = FromOld::Offer { program: String::new(), descriptors, note: serde_json::Value::Null };
    wire::write(stream, &offer).await.unwrap();
    wire::send_descriptors(stream, sent).await.unwrap();
}

#[tokio::test]
async fn an_offer_that_is_given_up_cannot_be_taken_any_more() {
    let old = Serving::new().await;
    // Given up by being dropped, as by a panic or a wish to end.
    let estate = tokio::select! {
        estate = estate(old.path()) => estate,
        _ = old.offer() => unreachable!("nobody takes it"),
    };
    assert!(matches!(estate.accept().await, Err(TakeError::Withdrawn { .. })));
    let (successor, _) = tokio::join!(old.offer(), taken(old.path()));
    successor.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_that_hangs_is_not_waited_for_and_cannot_take_over_later() {
    let old = Serving::new().await;
    let (offered, estate) = tokio::join!(old.offer(), estate(old.path()));
    assert!(matches!(offered, Err(OfferError::Late { .. })), "{offered:?}");
    assert!(matches!(estate.accept().await, Err(TakeError::Withdrawn { .. })));
}

#[tokio::test]
async fn what_was_said_before_the_closing_is_heard_and_nothing_can_be_said_after_it() {
    let (mut new, mut old) = UnixStream::pair().unwrap();
    wire::write(&mut new, &FromNew::Taken).await.unwrap();
    rustix::net::shutdown(&old, Shutdown::Read).unwrap();
    let after = wire::write(&mut new, &FromNew::Taken).await.unwrap_err();
    assert_eq!(after.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(wire::read::<FromNew>(&mut old).await.unwrap(), FromNew::Taken);
    let end = wire::read::<FromNew>(&mut old).await.unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn garbage_at_the_post_is_shown_the_door_and_the_next_one_is_served() {
    let old = Serving::new().await;
    let hello = |version| wire::frame(&FromNew::Hello { version });
    for garbage in
        [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0, 0, 0, 2, b'{', b'}'], hello(VERSION + 1), vec![]]
    {
        let (path, mut said) = (old.path(), Vec::new());
        let visit = async {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(&garbage).await.unwrap();
            stream.shutdown().await.unwrap();
            // Reset or closed: what matters is what was said.
            let _ = stream.read_to_end(&mut said).await;
        };
        tokio::select! {
            () = visit => {}
            _ = old.offer() => unreachable!("nothing is offered to {garbage:?}"),
        }
        let refused = String::from_utf8_lossy(&said).contains("it speaks version 1 of the handover");
        assert_eq!(refused, garbage == hello(VERSION + 1), "{garbage:?}");
    }
    let (successor, _) = tokio::join!(old.offer(), taken(old.path()));
    successor.unwrap();
}

#[tokio::test(start_paused = true)]
async fn somebody_who_says_nothing_is_not_waited_for() {
    let old = Serving::new().await;
    let _silent = UnixStream::connect(old.path()).await.unwrap();
    let (successor, _) = tokio::join!(old.offer(), taken(old.path()));
    successor.unwrap();
    let mute = old.folder.path().join("mute");
    let _mute = UnixListener::bind(&mute).unwrap();
    assert!(matches!(take(&mute).await, Err(TakeError::Silent { .. })));
}

#[tokio::test]
async fn garbage_from_the_old_one_and_a_refusal_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("post");
    let listener = UnixListener::bind(&path).unwrap();
    let refused = wire::frame(&FromOld::Refused { reason: "not now".to_owned() });
    for (said, error) in [(b"\xff\xff\xff\xffhello".to_vec(), "cannot understand"), (refused, "not now")] {
        let old = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            wire::read::<FromNew>(&mut stream).await.unwrap();
            stream.write_all(&said).await.unwrap();
        };
        let (taken, ()) = tokio::join!(take(&path), old);
        let failure = taken.unwrap_err().to_string();
        assert!(failure.contains(error), "{failure}");
    }
    let short = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        say_offer(&mut stream, 2, &[listener.as_fd()]).await;
    };
    let (taken, ()) = tokio::join!(take(&path), short);
    assert!(matches!(taken, Err(TakeError::Garbled { .. })), "{taken:?}");
}

#[tokio::test]
async fn more_descriptors_than_go_into_one_message_arrive_in_their_order() {
    let old = Serving::new().await;
    let files: Vec<OwnedFd> = (0..150_u8).map(numbered).collect();
    let named: Vec<_> = files.iter().enumerate().map(|(i, file)| (i.to_string(), file.as_fd())).collect();
    let offer = async { old.post.newcomer().await.offer(&(), &named, &old.post).await };
    let (offered, ()) = tokio::join!(offer, async {
        let mut estate = estate(old.path()).await;
        for number in (0..150_u8).rev() {
            let file = std::fs::File::from(estate.descriptor(&number.to_string()).unwrap());
            let mut byte = [0];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, 0).unwrap();
            assert_eq!(byte, [number]);
        }
        let missing = estate.descriptor("150").unwrap_err().to_string();
        assert!(missing.ends_with("did not pass on 150"), "{missing}");
        estate.accept().await.unwrap();
    });
    offered.unwrap();
}

fn numbered(number: u8) -> OwnedFd {
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, &[number]).unwrap();
    file.into()
}

#[tokio::test]
async fn the_post_is_closed_to_other_users() {
    let old = Serving::new().await;
    let mode = std::fs::metadata(old.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!super::post::is_own(rustix::process::geteuid().as_raw() + 1));
}

#[tokio::test]
async fn a_successor_that_ends_has_the_old_one_end_and_one_that_dies_has_not() {
    let old = Serving::new().await;
    let (successor, (_, _, predecessor)) = tokio::join!(old.offer(), taken(old.path()));
    let mut successor = successor.unwrap();
    let end = async {
        successor.over().await;
        drop(successor);
    };
    timeout(PATIENCE, async { tokio::join!(predecessor.dismiss(PATIENCE), end) }).await.unwrap();

    let (successor, parts) = tokio::join!(old.offer(), taken(old.path()));
    drop(parts);
    assert!(timeout(Duration::from_millis(20), successor.unwrap().over()).await.is_err());
}
