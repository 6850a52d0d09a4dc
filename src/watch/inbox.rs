//! What the sentry is told, by the kernel and by its owner. Bounded: what does not fit is counted as
//! lost, which means that everything is affected.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::ears::Signal;
use super::layout::Layout;

/// As many as the kernel keeps itself by default.
const CAPACITY: usize = 16_384;

#[derive(Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    mail: Mail,
    is_closed: bool,
}

/// Everything since the last time.
#[derive(Default)]
pub struct Mail {
    pub signals: Vec<Signal>,
    /// Some were lost.
    pub is_overflowed: bool,
    /// The latest that is to be watched.
    pub layout: Option<Layout>,
}

impl Inbox {
    /// One path is often told of several times in a row.
    pub fn push(&self, signal: Signal) {
        self.tell(|Mail { signals, is_overflowed, .. }| {
            let is_full = signals.len() >= CAPACITY;
            match signals.last_mut() {
                Some(last) if last.path == signal.path && last.kind == signal.kind => last.at = signal.at,
                _ if is_full => *is_overflowed = true,
                _ => signals.push(signal),
            }
        });
    }

    pub fn overflow(&self) {
        self.tell(|mail| mail.is_overflowed = true);
    }

    pub fn follow(&self, layout: Layout) {
        self.tell(|mail| mail.layout = Some(layout));
    }

    pub fn close(&self) {
        self.waiting().is_closed = true;
        self.arrived.notify_one();
    }

    /// Waits for something, or until then; `None` once it is closed.
    pub fn wait(&self, until: Option<Instant>) -> Option<Mail> {
        let mut waiting = self.waiting();
        while waiting.mail.is_empty() && !waiting.is_closed {
            let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
            waiting = match rest {
                None => self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(rest) if rest.is_zero() => break,
                Some(rest) => {
                    self.arrived.wait_timeout(waiting, rest).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        if waiting.is_closed { None } else { Some(std::mem::take(&mut waiting.mail)) }
    }

    fn tell(&self, change: impl FnOnce(&mut Mail)) {
        change(&mut self.waiting().mail);
        self.arrived.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.signals.is_empty() && !self.is_overflowed && self.layout.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::watch::ears::Kind;

    fn signal(number: usize) -> Signal {
        Signal { path: PathBuf::from(number.to_string()), kind: Kind::Writing, at: Instant::now() }
    }

    #[test]
    fn what_does_not_fit_is_counted_as_lost() {
        let inbox = Inbox::default();
        (0..CAPACITY + 1000).for_each(|number| inbox.push(signal(number)));
        let mail = inbox.wait(None).unwrap();
        assert!(mail.is_overflowed);
        assert_eq!(mail.signals.len(), CAPACITY);

        inbox.push(signal(0));
        let mail = inbox.wait(None).unwrap();
        assert_eq!((mail.is_overflowed, mail.signals.len()), (false, 1));
    }

    #[test]
    fn one_path_that_is_told_of_again_takes_no_more_room() {
        let inbox = Inbox::default();
        (0..CAPACITY + 1000).for_each(|_| inbox.push(signal(1)));
        assert_eq!(inbox.wait(None).unwrap().signals.len(), 1);
    }

    #[test]
    fn a_time_that_is_over_is_not_waited_for() {
        assert!(Inbox::default().wait(Some(Instant::now())).unwrap().is_empty());
    }
}
