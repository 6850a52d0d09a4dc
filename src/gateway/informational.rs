//! Responses that come before the response (RFC 9110, section 15.2): handed on as they come, and
//! counted, since nothing else bounds them.
//!
//! `100 Continue` is the exception. hyper says it to the client when the body is first asked for,
//! which is when the instance takes it; one more from the instance would be one too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use http::{Request, StatusCode, Version};

use super::client_io::Activity;
use super::headers::remove_hop_by_hop;

/// More than this are taken for an attack or a fault.
const MOST: u32 = 16;

/// What an instance said early to one request.
#[derive(Debug)]
pub(super) struct Early {
    /// Where to hand it on; clients of HTTP/1.0 know nothing of it.
    client: Option<Arc<Activity>>,
    count: AtomicU32,
    waiting: AtomicWaker,
}

impl Early {
    pub(super) fn new(client: &Arc<Activity>, version: Version) -> Arc<Self> {
        let client = (version != Version::HTTP_10).then(|| Arc::clone(client));
        Arc::new(Self { client, count: AtomicU32::new(0), waiting: AtomicWaker::new() })
    }

    /// To be asked for each attempt.
    pub(super) fn listen<B>(self: &Arc<Self>, request: &mut Request<B>) {
        let early = Arc::clone(self);
        hyper::ext::on_informational(request, move |response| {
            early.hear(response.status(), response.headers());
        });
    }

    fn hear(&self, status: StatusCode, headers: &http::HeaderMap) {
        if self.count.fetch_add(1, Ordering::AcqRel) >= MOST {
            self.waiting.wake();
            return;
        }
        if let Some(client) = self.client.as_ref().filter(|_| status != StatusCode::CONTINUE) {
            let mut headers = headers.clone();
            remove_hop_by_hop(&mut headers);
            client.send_informational(status, &headers);
        }
    }

    /// Ready once there were too many.
    pub(super) fn poll_flood(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waiting.register(context.waker());
        if self.count.load(Ordering::Acquire) > MOST { Poll::Ready(()) } else { Poll::Pending }
    }
}
