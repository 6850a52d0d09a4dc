//! How long each part of an exchange may take, and the timer that says when it is over.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use tokio::time::{Instant, Sleep, sleep_until};

use super::grpc;
use super::limits::Limits;
use crate::model::traffic::RoutePolicy;

#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// When the try began that is under way.
    pub(super) began: Instant,
    /// From the end of the request to the head of the response, in each try.
    pub(super) head: Duration,
    /// The client's longest pause within the request body, up to the head of the response.
    pub(super) upload: Duration,
    /// The longest pause of both sides within the response body.
    pub(super) idle: Duration,
    /// When everything has to be over.
    pub(super) deadline: Option<Instant>,
}

impl Patience {
    /// A gRPC call may begin with a long silence on either side; what it may take altogether is for
    /// its caller to say. One on the web may not.
    pub(super) fn of(
        policy: &RoutePolicy,
        limits: &Limits,
        call: Option<&grpc::Call>,
        began: Instant,
    ) -> Self {
        let timeouts = &policy.timeouts;
        let idle = timeouts.idle;
        match call.filter(|call| call.reads_trailers()) {
            None => Self {
                began,
                head: timeouts.response / policy.retries.tries_of_late(),
                upload: limits.upload_idle,
                idle,
                deadline: Some(began + timeouts.total),
            },
            Some(call) => {
                let deadline = call.timeout.map(|timeout| began + timeout.min(timeouts.total));
                Self { began, head: idle, upload: idle, idle, deadline }
            }
        }
    }

    /// The time until everything has to be over goes on.
    pub(super) fn tries_again(&mut self, now: Instant) {
        self.began = now;
    }

    /// For a response of this head: a stream of events has no end that could be late.
    pub(super) fn for_body(mut self, headers: &HeaderMap) -> Self {
        let content = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if content.is_some_and(|content| content.starts_with(b"text/event-stream")) {
            self.deadline = None;
        }
        self
    }
}

/// A timer that is touched only when something is waited for, and is then left to run out: the next
/// wait, perhaps of another request, mostly finds it armed for a time that is early enough.
#[derive(Debug, Default)]
pub(super) struct LazyTimer(Option<Pin<Box<Sleep>>>);

impl LazyTimer {
    /// Ready when `deadline` has passed.
    pub(super) fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_armed_for_another_wait_says_the_time_of_this_one() {
        let mut timer = LazyTimer::default();
        let began = Instant::now();
        for after in [20, 500, 30_000, 30_010] {
            let due = began + Duration::from_millis(after);
            poll_fn(|context| timer.poll(due, context)).await;
            assert!(Instant::now() >= due && Instant::now() < due + Duration::from_millis(5), "{after}");
        }
        let far = Instant::now() + Duration::from_secs(300);
        let soon = Instant::now() + Duration::from_secs(1);
        assert!(poll_fn(|context| Poll::Ready(timer.poll(far, context))).await.is_pending());
        poll_fn(|context| timer.poll(soon, context)).await;
        assert!(Instant::now() < far);
    }

    #[test]
    fn a_call_says_how_long_it_may_take_and_the_route_how_long_at_most() {
        let (policy, limits, now) = (RoutePolicy::default(), Limits::default(), Instant::now());
        let deadline = |timeout: Option<&str>| {
            let mut request = http::Request::post("/").version(http::Version::HTTP_2).body(()).unwrap();
            let headers = request.headers_mut();
            headers.insert("content-type", "application/grpc".parse().unwrap());
            timeout.map(|timeout| headers.insert("grpc-timeout", timeout.parse().unwrap()));
            let call = grpc::Call::of(&request).unwrap();
            Patience::of(&policy, &limits, Some(&call), now).deadline.map(|deadline| deadline - now)
        };
        assert_eq!(deadline(None), None);
        assert_eq!(deadline(Some("5S")), Some(Duration::from_secs(5)));
        assert_eq!(deadline(Some("5H")), Some(policy.timeouts.total));
    }
}
