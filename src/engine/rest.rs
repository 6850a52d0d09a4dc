//! An engine that holds still while it is being replaced.

use tokio::sync::oneshot;

use super::input::Wishes;

/// An engine at rest: it looks at nothing and changes nothing. Dropped, it goes on.
#[derive(Debug)]
pub struct Rest {
    /// What the next one has to know; `None` when nobody has asked for anything yet.
    pub wishes: Option<Wishes>,
    verdict: oneshot::Sender<Verdict>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Resume,
    End,
}

impl Rest {
    pub(super) fn new(wishes: Option<Wishes>) -> (Self, oneshot::Receiver<Verdict>) {
        let (verdict, receiver) = oneshot::channel();
        (Self { wishes, verdict }, receiver)
    }

    /// Ends the engine, and leaves every instance as it is.
    pub fn end(self) {
        // A loop that is gone has ended.
        let _ = self.verdict.send(Verdict::End);
    }
}
