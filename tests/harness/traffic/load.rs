//! Who asks what, and when.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use hyper::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::http1::Http1;
use super::http2::Http2;
use super::ledger::{Entries, Kind, Ledger};
use super::message::{Question, within_limit};
use super::socket::{Talk, talk};
use super::stream::listen;

/// So many of a thousand requests are of this kind. The messages of a WebSocket are requests, too; events are
/// none.
const GETS: u32 = 400;
const POSTS: u32 = 120;
const HTTP2: u32 = 300;
const SOCKETS: u32 = 15;
const STREAMS: u32 = 15;

/// What is said on a WebSocket, and listened to on a stream, that does not stay.
const MESSAGES: usize = 10;
const EVENTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(25);

/// One in so many requests has the instance take its time, so that some are always under way.
const EVERY: usize = 8;
const SLOW: Duration = Duration::from_millis(100);

/// Between two messages of a WebSocket, and two events of a stream, that stay.
const CALM: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Requests a second, of all kinds together.
    pub rate: u32,
    /// WebSockets that stay until the other side closes them, and as many streams. They are opened anew then.
    pub sitters: usize,
}

/// Clients that ask until they are told to stop; dropping it ends them at once.
pub struct Load {
    pub ledger: Arc<Ledger>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

/// What every client needs.
#[derive(Clone)]
struct Client {
    gateway: SocketAddr,
    route: String,
    ledger: Arc<Ledger>,
    http1: Arc<Http1>,
    http2: Arc<Http2>,
    stop: CancellationToken,
}

impl Load {
    /// On the service behind this route.
    pub fn on(gateway: SocketAddr, route: &str, mix: Mix) -> Self {
        let (ledger, stop) = (Arc::<Ledger>::default(), CancellationToken::new());
        let client = Client {
            gateway,
            route: route.to_owned(),
            ledger: Arc::clone(&ledger),
            http1: Arc::new(Http1::new(gateway)),
            http2: Arc::new(Http2::new(gateway)),
            stop: stop.clone(),
        };
        let mut clients = JoinSet::new();
        for (kind, share) in [
            (Kind::Get, GETS),
            (Kind::Post, POSTS),
            (Kind::Http2, HTTP2),
            (Kind::Socket, SOCKETS),
            (Kind::Stream, STREAMS),
        ] {
            clients.spawn(client.clone().ask_again_and_again(kind, 1000 * SECOND / (mix.rate * share)));
        }
        for _ in 0..mix.sitters {
            clients.spawn(client.clone().keep_talking());
            clients.spawn(client.clone().keep_listening());
        }
        Self { ledger, stop, clients }
    }

    /// Asks nothing more, waits for what is still to be answered, and gives everything that was noted.
    pub async fn stop(mut self) -> Entries {
        self.stop.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("no client panics");
        }
        self.ledger.copy()
    }
}

const SECOND: Duration = Duration::from_secs(1);

impl Client {
    /// At fixed times, whatever became of what was asked before.
    async fn ask_again_and_again(self, kind: Kind, period: Duration) {
        let begin = Instant::now() + period;
        let mut times = interval_at(begin.into(), period);
        times.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut asked = JoinSet::new();
        for number in 1.. {
            let due = tokio::select! {
                due = times.tick() => due.into_std(),
                () = self.stop.cancelled() => break,
            };
            asked.spawn(self.clone().ask(kind, number, due));
            while let Some(ended) = asked.try_join_next() {
                ended.expect("no request panics");
            }
        }
        while let Some(ended) = asked.join_next().await {
            ended.expect("no request panics");
        }
    }

    async fn ask(self, kind: Kind, number: usize, due: Instant) {
        match kind {
            Kind::Socket => {
                let what = Talk { messages: MESSAGES, pause: PAUSE };
                talk(self.gateway, &self.target("socket"), what, due, &self.stop, &self.ledger).await;
            }
            Kind::Stream => {
                let target = self.events(EVENTS, PAUSE);
                listen(self.gateway, target, due, &self.ledger).await;
            }
            _ => self.exchange(kind, number, due).await,
        }
    }

    async fn exchange(self, kind: Kind, number: usize, due: Instant) {
        let pause = if number.is_multiple_of(EVERY) { SLOW } else { Duration::ZERO };
        let target = self.target(&format!("?pause_ms={}", pause.as_millis()));
        let question = match kind {
            Kind::Post => Question { method: Method::POST, target, body: letter(number) },
            _ => Question::get(target),
        };
        let asked = self.ledger.ask_slow(kind, due, pause);
        let answer = within_limit(async {
            match kind {
                Kind::Http2 => self.http2.exchange(&question, &self.ledger).await,
                _ => self.http1.exchange(&question, &self.ledger).await,
            }
        });
        match answer.await {
            Ok((by, body)) if kind == Kind::Post && body == question.body => self.ledger.answered(asked, by),
            Ok((by, body)) if kind != Kind::Post && body == by.generation.to_string() => {
                self.ledger.answered(asked, by)
            }
            Ok((by, body)) => self.ledger.failed(kind, format!("{by:?} answers with {body:?}")),
            Err(failure) => self.ledger.failed(kind, failure),
        }
    }

    async fn keep_talking(self) {
        let what = Talk { messages: usize::MAX, pause: CALM };
        while !self.stop.is_cancelled() {
            let now = Instant::now();
            talk(self.gateway, &self.target("socket"), what, now, &self.stop, &self.ledger).await;
        }
    }

    async fn keep_listening(self) {
        while !self.stop.is_cancelled() {
            let target = self.events(usize::MAX, CALM);
            let listening = listen(self.gateway, target, Instant::now(), &self.ledger);
            // Whoever listens may leave at any time.
            self.stop.run_until_cancelled(listening).await;
        }
    }

    fn events(&self, count: usize, pause: Duration) -> String {
        self.target(&format!("events?count={count}&pause_ms={}", pause.as_millis()))
    }

    fn target(&self, rest: &str) -> String {
        format!("{}/{rest}", self.route)
    }
}

/// A body that no other request has.
fn letter(number: usize) -> Bytes {
    format!("{number} ").repeat(100).into()
}
