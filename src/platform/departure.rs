//! A platform process lets another one take over: the old one's side of `succession`.

use std::os::fd::AsFd;

use super::note::{ADMIN, LOCK, Note};
use super::running::{DISMISSAL, Running, write_access_log};
use crate::engine::Rest;
use crate::engine::ports::{Announcer as _, Traffic as _};
use crate::gateway::Farewell;
use crate::handover::{Newcomer, OfferError, Successor};
use crate::model::event::EventKind;

impl Running {
    /// Completes when another process wants to take over; never, where none may.
    pub async fn newcomer(&self) -> Newcomer {
        match &self.post {
            Some(post) => post.newcomer().await,
            None => std::future::pending().await,
        }
    }

    /// Has `newcomer` take over. When it does not, everything goes on as if it had not come.
    pub async fn give_way(&self, newcomer: Newcomer) -> Option<Successor> {
        // Whoever wants something meanwhile waits, and is answered by whichever process it will be.
        self.admin.shut();
        let offered = match self.control.engine.rest().await {
            Ok(rest) => {
                // Whoever takes over goes on from what is written.
                self.recorder.flush().await;
                self.offer(newcomer, rest).await
            }
            // It is stopping: what it runs is being removed.
            Err(_) => None,
        };
        if offered.is_none() {
            self.admin.open();
        }
        offered
    }

    async fn offer(&self, newcomer: Newcomer, rest: Rest) -> Option<Successor> {
        let pid = newcomer.pid;
        match self.offer_all(newcomer, &rest).await {
            Ok(successor) => {
                rest.end();
                self.control.bus.announce(EventKind::Replaced);
                Some(successor)
            }
            Err(error) => {
                tracing::warn!(pid, %error, "goes on: nobody has taken over");
                None
            }
        }
    }

    async fn offer_all(&self, newcomer: Newcomer, rest: &Rest) -> Result<Successor, OfferError> {
        let pid = newcomer.pid;
        let copies = self.sockets.copies().map_err(|source| OfferError::Io { pid, source })?;
        let mut all: Vec<_> = copies.iter().map(|(name, socket)| (name.clone(), socket.as_fd())).collect();
        all.push((ADMIN.to_owned(), self.admin.as_fd()));
        all.push((LOCK.to_owned(), self.lock.as_fd()));
        let post = self.post.as_ref().expect("a newcomer came by it");
        let note = Note::new(
            self.control.runtime.clone(),
            self.control.runtime_reason.clone(),
            self.docker_host.clone(),
            self.control.watching,
            &self.control.traffic.catalog(),
            rest.wishes.as_ref(),
        );
        newcomer.offer(&note, &all, post).await
    }

    /// Finishes what clients have begun here, and what those before have not finished yet. Nothing
    /// else of the platform is this process's any more.
    pub async fn depart(self, mut successor: Successor) {
        let Self { control, tasks, ending, lock, sockets, post, admin, runtime, .. } = self;
        ending.0.tell(Farewell::Succeeded);
        sockets.let_go();
        drop((lock, post, runtime));
        tasks.close();
        let done = async {
            tokio::join!(tasks.wait(), admin.close());
            control.traffic.predecessor_gone().await;
        };
        tokio::select! {
            () = done => {}
            () = successor.over() => control.traffic.dismiss_predecessor(DISMISSAL).await,
        }
        ending.0.report();
        write_access_log(&control).await;
    }
}
