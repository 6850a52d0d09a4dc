//! What the requests of a connection, its bytes and its keeper tell each other.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

use http::{HeaderMap, StatusCode, Version};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::head_scan::Framing;
use super::headers::remove_hop_by_hop;
use super::stall::{self, Pace, Paces};

/// What may wait to be written of informational responses.
const MOST_NEWS: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Activity {
    /// Requests that ever began, those of them that are not over, and those whose final response hyper
    /// has been given.
    begun: AtomicU64,
    open: AtomicUsize,
    answered: AtomicU64,
    /// Requests that the client gave up before they were answered.
    abandoned: AtomicU64,
    /// Whether what is read is no HTTP/1 any more: HTTP/2 frames, or a tunnel.
    opaque: AtomicBool,
    multiplexed: AtomicBool,
    /// Whether the client of the current request understands informational responses.
    informs: AtomicBool,
    /// The number of the first request whose framing is in doubt.
    ambiguous_from: AtomicU64,
    has_news: AtomicBool,
    news: Mutex<News>,
    task: OnceLock<Waker>,
    /// How the responses come along, and whether one of HTTP/1 does not any more.
    paces: Paces,
    stalled: AtomicBool,
    /// Cancelled when the connection shall end once it can do so without harm.
    end: CancellationToken,
}

/// The heads of informational responses to one request.
#[derive(Debug, Default)]
struct News {
    request: u64,
    bytes: Vec<u8>,
}

/// One request of a connection. The connection rests when none is left.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Arc<Activity>,
    pace: Arc<Pace>,
    answered: bool,
}

/// So many requests may be given up on a connection before their share counts.
const TOLERATED: u64 = 100;

impl Busy {
    pub(super) fn is_answered(&mut self) {
        self.answered = true;
    }

    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }
}

impl Activity {
    pub(super) fn ending_with(end: CancellationToken) -> Self {
        Self {
            begun: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            opaque: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            informs: AtomicBool::new(false),
            ambiguous_from: AtomicU64::new(u64::MAX),
            has_news: AtomicBool::new(false),
            news: Mutex::default(),
            task: OnceLock::new(),
            paces: Paces::default(),
            stalled: AtomicBool::new(false),
            end,
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.begun.fetch_add(1, Ordering::AcqRel);
        Busy { activity: Arc::clone(self), pace: stall::pace(&self.paces), answered: false }
    }

    /// Whether the client asks for things only to give most of them up (CVE-2023-44487): each costs an
    /// instance a connection, and the client next to nothing. h2 itself bounds only those that it has
    /// not handed over yet.
    pub(super) fn is_abused(&self) -> bool {
        let abandoned = self.abandoned.load(Ordering::Acquire);
        abandoned > TOLERATED && abandoned > self.begun() / 2
    }

    pub(super) fn paces(&self) -> &Paces {
        &self.paces
    }

    /// Ends what the client has stopped taking.
    pub(super) fn sweep(&self, now: Instant) {
        self.paces.sweep(now, || {
            self.stalled.store(true, Ordering::Release);
            self.task.get().inspect(|task| task.wake_by_ref());
        });
    }

    /// Whether the client takes nothing of a response that the connection itself carries.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Acquire)
    }

    /// How many requests ever began.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// From now on the bytes are not to be looked at, nor the connection to be timed.
    pub(super) fn becomes_opaque(&self) {
        self.opaque.store(true, Ordering::Release);
    }

    pub(super) fn is_opaque(&self) -> bool {
        self.opaque.load(Ordering::Acquire)
    }

    /// A request of this version has come.
    pub(super) fn hears(&self, version: Version) {
        self.informs.store(version == Version::HTTP_11, Ordering::Release);
        if version == Version::HTTP_2 && !self.multiplexed.load(Ordering::Acquire) {
            self.multiplexed.store(true, Ordering::Release);
            self.becomes_opaque();
        }
    }

    pub(super) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Acquire)
    }

    /// Whether nobody would miss the connection: no request is open, and it is no tunnel.
    pub(super) fn is_resting(&self) -> bool {
        !self.is_busy() && (!self.is_opaque() || self.is_multiplexed())
    }

    /// Lets the connection end once nothing is open on it.
    pub(super) fn end(&self) {
        self.end.cancel();
    }

    pub(super) fn ending(&self) -> &CancellationToken {
        &self.end
    }

    /// Requests from this one on are not to be trusted to end where they seem to.
    pub(super) fn doubts(&self, request: u64) {
        self.ambiguous_from.store(request, Ordering::Release);
    }

    /// The framing of the request that is being looked at.
    pub(super) fn framing(&self) -> Framing {
        let from = self.ambiguous_from.load(Ordering::Acquire);
        if self.begun() >= from && !self.is_opaque() { Framing::Ambiguous } else { Framing::Clear }
    }

    /// Sends a 1xx response before the final one, where that can be done: over HTTP/1.1, while exactly
    /// one request is open that was not answered yet. 100 is left to hyper, which says it itself once
    /// the body is asked for.
    pub(super) fn send_informational(&self, status: StatusCode, headers: &HeaderMap) {
        let switches = matches!(status, StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS);
        if !status.is_informational() || switches || self.is_opaque() || !self.informs.load(Ordering::Acquire)
        {
            return;
        }
        let head = head_of(status, headers);
        let mut news = self.news();
        let request = self.begun();
        if self.open.load(Ordering::Acquire) != 1 || self.answered.load(Ordering::Acquire) >= request {
            return;
        }
        if news.request != request {
            *news = News { request, bytes: Vec::new() };
        }
        if news.bytes.len() + head.len() > MOST_NEWS {
            return;
        }
        news.bytes.extend_from_slice(&head);
        self.has_news.store(true, Ordering::Release);
        drop(news);
        self.task.get().inspect(|task| task.wake_by_ref());
    }

    /// Waits until what was said before the final response is on its way.
    pub(super) async fn answers(&self) {
        // Whoever takes the news wakes the connection's task, which this is a part of.
        poll_fn(|_| if self.has_news() { Poll::Pending } else { Poll::Ready(()) }).await;
        self.answered.store(self.begun(), Ordering::Release);
    }

    pub(super) fn has_news(&self) -> bool {
        self.has_news.load(Ordering::Acquire)
    }

    /// What there is to say before the final response; nothing, if it comes too late.
    pub(super) fn take_news(&self) -> Vec<u8> {
        let mut news = self.news();
        let News { request, bytes } = std::mem::take(&mut *news);
        self.has_news.store(false, Ordering::Release);
        let is_open = request == self.begun() && self.answered.load(Ordering::Acquire) < request;
        if is_open { bytes } else { Vec::new() }
    }

    /// The task that reads and writes the connection.
    pub(super) fn is_served_by(&self, task: &Waker) {
        self.task.get_or_init(|| task.clone());
    }

    fn news(&self) -> MutexGuard<'_, News> {
        // Each change is a single one.
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.abandoned.fetch_add(u64::from(!self.answered), Ordering::AcqRel);
        let was = activity.open.fetch_sub(1, Ordering::AcqRel);
        // Over HTTP/2 the requests have tasks of their own, and the connection's has to see that it rests.
        if was == 1 && activity.is_multiplexed() {
            activity.task.get().inspect(|task| task.wake_by_ref());
        }
    }
}

fn head_of(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut headers = headers.clone();
    remove_hop_by_hop(&mut headers);
    // An informational response has no content (RFC 9110, section 15.2).
    headers.remove(http::header::CONTENT_LENGTH);
    let reason = status.canonical_reason().unwrap_or("Informational");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in &headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity() -> Arc<Activity> {
        let activity = Arc::new(Activity::ending_with(CancellationToken::new()));
        activity.hears(Version::HTTP_11);
        activity
    }

    fn hint(activity: &Activity) {
        let mut headers = HeaderMap::new();
        headers.insert("link", "</a.css>; rel=preload".parse().unwrap());
        headers.insert("connection", "x-secret".parse().unwrap());
        headers.insert("x-secret", "1".parse().unwrap());
        headers.insert("content-length", "3".parse().unwrap());
        activity.send_informational(StatusCode::EARLY_HINTS, &headers);
    }

    fn said(activity: &Activity) -> String {
        String::from_utf8(activity.take_news()).unwrap()
    }

    #[test]
    fn an_informational_response_is_a_head_without_what_concerns_one_connection() {
        let activity = activity();
        let _request = activity.begin();
        hint(&activity);
        assert!(activity.has_news());
        assert_eq!(said(&activity), "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
        assert!(!activity.has_news());
    }

    #[test]
    fn nothing_is_said_where_it_would_not_be_understood() {
        let check = |prepare: &dyn Fn(&Arc<Activity>) -> Vec<Busy>| {
            let activity = activity();
            let _requests = prepare(&activity);
            hint(&activity);
            assert!(!activity.has_news());
        };
        check(&|_| Vec::new());
        check(&|activity| vec![activity.begin(), activity.begin()]);
        for version in [Version::HTTP_10, Version::HTTP_2] {
            check(&|activity| {
                activity.hears(version);
                vec![activity.begin()]
            });
        }
        check(&|activity| {
            activity.becomes_opaque();
            vec![activity.begin()]
        });
    }

    #[test]
    fn what_hyper_says_itself_is_left_to_it() {
        let activity = activity();
        let _request = activity.begin();
        for status in [StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS, StatusCode::OK] {
            activity.send_informational(status, &HeaderMap::new());
        }
        assert!(!activity.has_news());
    }

    #[tokio::test]
    async fn nothing_is_said_after_the_final_response() {
        let activity = activity();
        let request = activity.begin();
        activity.answers().await;
        hint(&activity);
        assert!(!activity.has_news());
        drop(request);
        let _next = activity.begin();
        hint(&activity);
        assert!(activity.has_news());
    }

    #[test]
    fn what_was_meant_for_another_request_is_not_said() {
        let activity = activity();
        let request = activity.begin();
        hint(&activity);
        drop(request);
        let _next = activity.begin();
        assert_eq!(said(&activity), "");
    }

    #[test]
    fn there_is_an_end_to_what_waits() {
        let activity = activity();
        let _request = activity.begin();
        (0..10_000).for_each(|_| hint(&activity));
        assert!(activity.take_news().len() <= MOST_NEWS);
    }

    #[test]
    fn doubt_begins_with_the_request_that_causes_it() {
        let activity = activity();
        activity.doubts(2);
        let _first = activity.begin();
        assert_eq!(activity.framing(), Framing::Clear);
        let _second = activity.begin();
        assert_eq!(activity.framing(), Framing::Ambiguous);
    }
}
