//! The admin socket of a running platform: served, or held shut while another process takes over.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::{Control, server};

/// How long whoever is still being told something has to hear it.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct AdminDoor {
    socket: StdListener,
    control: Arc<dyn Control>,
    /// Cancelled, nobody else is let in; those that are, go on. One for each time that it is opened.
    shut: Mutex<CancellationToken>,
    over: CancellationToken,
    tasks: TaskTracker,
}

impl AdminDoor {
    /// Nobody is served before it is opened.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn new(socket: UnixListener, control: Arc<dyn Control>) -> std::io::Result<Self> {
        let (shut, over, tasks) = (Mutex::default(), CancellationToken::new(), TaskTracker::new());
        Ok(Self { socket: socket.into_std()?, control, shut, over, tasks })
    }

    pub fn open(&self) {
        let socket = match self.socket.try_clone().and_then(UnixListener::from_std) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "the admin socket cannot be served"),
        };
        let (shut, over, control) = (CancellationToken::new(), self.over.clone(), Arc::clone(&self.control));
        self.replace(shut.clone());
        self.tasks.spawn(async move {
            if let Err(error) = server::run(socket, control, shut, over).await {
                tracing::error!(%error, "the admin socket failed");
            }
        });
    }

    /// Whoever comes from now on waits in the socket.
    pub fn shut(&self) {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }

    /// Serves nobody any more. Completes once those that were served have heard all that there was to
    /// say, or do not listen.
    pub async fn close(&self) {
        self.shut();
        self.over.cancel();
        self.tasks.close();
        // Who does not hang up wants more than there is.
        let _ = timeout(PATIENCE, self.tasks.wait()).await;
    }

    fn replace(&self, shut: CancellationToken) {
        *self.shut.lock().unwrap_or_else(PoisonError::into_inner) = shut;
    }
}

impl AsFd for AdminDoor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for AdminDoor {
    fn drop(&mut self) {
        self.shut();
        self.over.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use futures_util::StreamExt;
    use futures_util::stream::BoxStream;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixStream;
    use tokio::sync::Notify;

    use super::*;
    use crate::admin::client::Client;
    use crate::admin::{Change, Message, Refusal, RouteRow, TrafficReport};
    use crate::engine::ports::Announcer as _;
    use crate::model::event::{Event, EventKind};
    use crate::model::explanation::{Explanation, Question};
    use crate::model::outcome::Outcome;
    use crate::model::status::PlatformStatus;
    use crate::platform::bus::Bus;

    /// Refuses a change, once it may.
    #[derive(Default)]
    struct Ending {
        bus: Bus,
        asked: Notify,
        may_answer: Notify,
    }

    #[async_trait::async_trait]
    impl Control for Ending {
        async fn change(&self, _: Change) -> Result<Outcome, Refusal> {
            self.asked.notify_one();
            self.may_answer.notified().await;
            Err(Refusal::stopping())
        }

        fn events(&self, from_start: bool) -> BoxStream<'static, Event> {
            self.bus.events(from_start)
        }

        async fn status(&self) -> PlatformStatus {
            unreachable!("nobody asks for it")
        }

        async fn routes(&self) -> Vec<RouteRow> {
            unreachable!("nobody asks for them")
        }

        async fn traffic(&self) -> TrafficReport {
            unreachable!("nobody asks for it")
        }

        async fn metrics(&self) -> (&'static str, String) {
            unreachable!("nobody asks for them")
        }

        async fn explain(&self, _: Question) -> Result<Explanation, Refusal> {
            unreachable!("nobody asks for it")
        }

        async fn plan(&self, _: Option<BTreeSet<String>>) -> Result<String, Refusal> {
            unreachable!("nobody asks for it")
        }

        fn past_events(&self) -> Vec<Event> {
            self.bus.past()
        }

        fn stop(&self) {
            unreachable!("nobody asks for it")
        }
    }

    struct Opened {
        door: AdminDoor,
        control: Arc<Ending>,
        socket: PathBuf,
        _folder: tempfile::TempDir,
    }

    fn opened() -> Opened {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("admin.sock");
        let control = Arc::<Ending>::default();
        let door = AdminDoor::new(server::bind(&socket).unwrap(), Arc::clone(&control) as _).unwrap();
        door.open();
        Opened { door, control, socket, _folder: folder }
    }

    /// Asks on a connection that is kept; the first line of the answer, all of which is read.
    async fn ask(connection: &mut BufReader<UnixStream>) -> String {
        let request = b"GET /v1/events?past_only=true HTTP/1.1\r\nHost: msctl\r\n\r\n";
        connection.write_all(request).await.unwrap();
        let mut status = String::new();
        connection.read_line(&mut status).await.unwrap();
        let mut line = status.clone();
        // Nothing has happened, so the body is the last chunk alone.
        while line != "0\r\n" {
            line.clear();
            connection.read_line(&mut line).await.unwrap();
        }
        connection.read_line(&mut line).await.unwrap();
        status
    }

    #[tokio::test]
    async fn while_it_is_shut_whoever_is_in_is_served_and_whoever_comes_waits() {
        let Opened { door, socket, .. } = &opened();
        let mut inside = BufReader::new(UnixStream::connect(socket).await.unwrap());
        assert_eq!(ask(&mut inside).await, "HTTP/1.1 200 OK\r\n");
        door.shut();
        let mut outside = BufReader::new(UnixStream::connect(socket).await.unwrap());
        let mut waiting = std::pin::pin!(ask(&mut outside));
        tokio::select! {
            biased;
            said = &mut waiting => panic!("{said}"),
            said = ask(&mut inside) => assert_eq!(said, "HTTP/1.1 200 OK\r\n"),
        }
        door.open();
        assert_eq!(waiting.await, "HTTP/1.1 200 OK\r\n");
    }

    #[tokio::test]
    async fn whoever_is_served_when_it_closes_is_told_the_end() {
        let Opened { door, control, socket, _folder } = opened();
        let client = Client::new(&socket);
        let asking = tokio::spawn(async move {
            let change = Change::Apply { services: None };
            client.change(&change).await.unwrap().map(Result::unwrap).collect::<Vec<_>>().await
        });
        control.asked.notified().await;
        control.bus.announce(EventKind::Stopping);
        control.bus.close();
        control.may_answer.notify_one();
        door.close().await;
        assert!(door.tasks.is_empty(), "it waits until they have heard it");
        let told = asking.await.unwrap();
        let [Message::Event(Event { kind: EventKind::Stopping, .. }), Message::Refused(refusal)] = &told[..]
        else {
            panic!("{told:?}");
        };
        assert_eq!(*refusal, Refusal::stopping());
    }
}
