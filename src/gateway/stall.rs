//! Clients that do not take what they have asked for.
//!
//! A response holds its place at the service until its last byte is handed on. hyper asks a body for more
//! only once there is room for it, so a body of which nobody reads anything is never asked, and cannot
//! see the time pass. Instead each body leaves a mark whenever it is asked, and one task looks at the marks of
//! all open requests every few seconds: no clock is read and no timer is touched for a request's sake.
//!
//! What has stalled is cut: of HTTP/2 the one stream, of HTTP/1 the connection. Here is nothing about
//! instances that do not send; the body waits for these itself.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::task::AbortHandle;
use tokio::task_local;
use tokio::time::Instant;

use super::activity::Activity;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Between two pieces of a body.
    pub(super) idle: Duration,
    /// When everything has to be over.
    pub(super) deadline: Option<Instant>,
}

/// How one response comes along.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Changes whenever the body is asked for more. Odd: it has nothing, and waits itself.
    moves: AtomicU64,
    is_cut: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: nothing is answered yet.
    bounds: Option<Bounds>,
    /// What carries the response, where that is not the connection's own task.
    task: Option<AbortHandle>,
}

/// The paces of one connection's requests.
#[derive(Debug, Default)]
pub(super) struct Paces(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Those that nobody else has are used again.
    all: Vec<Seen>,
    next: usize,
}

/// A pace as it was when it was looked at last.
#[derive(Debug)]
struct Seen {
    pace: Arc<Pace>,
    moves: u64,
    since: Instant,
}

impl Pace {
    /// A response is on its way.
    pub(super) fn answers(&self, bounds: Bounds) {
        lock(&self.state).bounds = Some(bounds);
    }

    /// The body was asked for more, and had it. Only its own task says so.
    pub(super) fn moves(&self) {
        let moves = self.moves.load(Ordering::Relaxed);
        self.moves.store((moves | 1) + 1, Ordering::Relaxed);
    }

    /// The body was asked for more, and has to wait for it.
    pub(super) fn waits(&self) {
        let moves = self.moves.load(Ordering::Relaxed);
        self.moves.store(moves | 1, Ordering::Relaxed);
    }

    /// Whether the client was waited for in vain.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    fn begins_anew(&self) {
        self.moves();
        self.is_cut.store(false, Ordering::Relaxed);
        self.ends();
    }

    /// A task's memory is not free before nobody can cut it any more.
    fn ends(&self) {
        *lock(&self.state) = State::default();
    }
}

impl Paces {
    /// For a request that begins now.
    pub(super) fn begin(&self) -> Arc<Pace> {
        let mut known = lock(&self.0);
        let Known { all, next } = &mut *known;
        let mut order = (*next..all.len()).chain(0..*next);
        let at = order.find(|&at| Arc::strong_count(&all[at].pace) == 1).unwrap_or(all.len());
        match all.get(at) {
            Some(free) => free.pace.begins_anew(),
            None => all.push(Seen { pace: Arc::default(), moves: 0, since: Instant::now() }),
        }
        *next = (at + 1) % all.len();
        Arc::clone(&all[at].pace)
    }

    /// Cuts what its client has kept waiting for too long. `cut_all` is for a response that the
    /// connection itself carries.
    pub(super) fn sweep(&self, now: Instant, cut_all: impl Fn()) {
        let mut known = lock(&self.0);
        for seen in known.all.iter_mut().filter(|seen| Arc::strong_count(&seen.pace) > 1) {
            if !seen.has_stalled(now) {
                continue;
            }
            seen.pace.is_cut.store(true, Ordering::Relaxed);
            match &lock(&seen.pace.state).task {
                Some(task) => task.abort(),
                None => cut_all(),
            }
        }
    }
}

impl Seen {
    fn has_stalled(&mut self, now: Instant) -> bool {
        let moves = self.pace.moves.load(Ordering::Relaxed);
        if moves != self.moves {
            (self.moves, self.since) = (moves, now);
        }
        let Some(bounds) = lock(&self.pace.state).bounds else { return false };
        let is_late = now.duration_since(self.since) >= bounds.idle
            || bounds.deadline.is_some_and(|deadline| deadline <= now);
        moves.is_multiple_of(2) && is_late
    }
}

task_local! {
    /// Of the stream that a task carries.
    static STREAM: Arc<Pace>;
}

/// The pace of the request that is being handled.
pub(super) fn pace(of_connection: &Paces) -> Arc<Pace> {
    STREAM.try_with(Arc::clone).unwrap_or_else(|_| of_connection.begin())
}

/// Runs the streams of an HTTP/2 connection, each in a task that can be cut.
#[derive(Debug, Clone)]
pub(super) struct Streams(pub(super) Arc<Activity>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let pace = self.0.paces().begin();
        let own = Arc::clone(&pace);
        // Locked, so that a stream that ends at once finds what it has to let go of.
        let mut state = lock(&pace.state);
        let task = tokio::spawn(async move {
            STREAM.scope(Arc::clone(&own), stream).await;
            own.ends();
        });
        state.task = Some(task.abort_handle());
    }
}

/// What is behind these locks is whole after every line.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn is_cut(paces: &Paces, now: Instant) -> bool {
        let cut = Cell::new(false);
        paces.sweep(now, || cut.set(true));
        cut.get()
    }

    fn started(deadline: Option<Instant>) -> (Paces, Arc<Pace>) {
        let paces = Paces::default();
        let pace = paces.begin();
        pace.answers(Bounds { idle: 3 * SECOND, deadline });
        pace.moves();
        (paces, pace)
    }

    #[test]
    fn only_a_client_that_takes_nothing_for_long_has_stalled() {
        let (paces, pace) = started(None);
        let now = Instant::now();
        let at = |seconds| now + seconds * SECOND;
        assert!(!is_cut(&paces, at(0)) && !is_cut(&paces, at(2)));
        pace.moves();
        assert!(!is_cut(&paces, at(4)) && !is_cut(&paces, at(6)));
        // The body waits for the instance: that is for the body to end.
        pace.waits();
        assert!(!is_cut(&paces, at(60)) && !is_cut(&paces, at(120)));
        pace.moves();
        assert!(!is_cut(&paces, at(121)) && is_cut(&paces, at(124)) && pace.is_cut());
    }

    #[test]
    fn a_client_that_takes_little_by_little_has_until_the_deadline() {
        let now = Instant::now();
        let (paces, pace) = started(Some(now + 5 * SECOND));
        for second in 0..5 {
            assert!(!is_cut(&paces, now + second * SECOND));
            pace.moves();
        }
        assert!(is_cut(&paces, now + 5 * SECOND));
    }

    #[test]
    fn a_pace_is_used_again_and_then_knows_nothing_of_before() {
        let (paces, pace) = started(None);
        let now = Instant::now();
        let other = paces.begin();
        assert!(!is_cut(&paces, now) && is_cut(&paces, now + 3 * SECOND));
        drop(pace);
        let next = paces.begin();
        assert!(!next.is_cut() && !Arc::ptr_eq(&next, &other));
        assert_eq!(lock(&paces.0).all.len(), 2);
        assert!(!is_cut(&paces, now + 10 * SECOND));
        next.answers(Bounds { idle: 3 * SECOND, deadline: None });
        assert!(!is_cut(&paces, now + 12 * SECOND));
    }
}
