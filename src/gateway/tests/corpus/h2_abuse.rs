//! Peers of HTTP/2 that work the gateway harder than themselves. Each is ended or held back, and
//! nobody else notices.

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::frames::{
    ACK, CANCEL, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS,
    Outcome, PING, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
    push_length,
};
use super::run::world;
use crate::gateway::tests::backend::Backend;
use crate::gateway::tests::harness::{World, instance};
use crate::gateway::tests::wire::PATIENCE;

const GET: [(&[u8], &[u8]); 4] =
    [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/orders")];
const POST: [(&[u8], &[u8]); 4] =
    [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/orders")];

/// An instance that reads a request and never answers. Its connections are told about.
async fn silent() -> (Backend, mpsc::UnboundedReceiver<()>) {
    let (began, seen) = mpsc::unbounded_channel();
    let backend = Backend::new(move |mut wire, _| {
        let began = began.clone();
        async move {
            wire.read_head().await;
            began.send(()).unwrap();
            wire.stream.readable().await.unwrap();
        }
    })
    .await;
    (backend, seen)
}

async fn until_idle(world: &World) {
    let idle = async {
        while world.upstreams.in_flight(&instance("order", 1)) > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, idle).await.expect("every request has ended at the instance");
}

/// Sends pieces until the other side has had enough of them.
async fn flood(client: &mut Client, pieces: impl Iterator<Item = Vec<u8>>) -> Outcome {
    use tokio::io::AsyncWriteExt;
    for piece in pieces {
        if timeout(PATIENCE, client.stream.write_all(&piece)).await.expect("it is read or closed").is_err() {
            return Outcome::Closed;
        }
        tokio::task::yield_now().await;
    }
    client.end().await
}

fn has_ended(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::GoAway(_) | Outcome::Closed)
}

#[tokio::test]
async fn requests_that_are_cancelled_at_once_end_the_connection() {
    let (backend, _begun) = silent().await;
    let world = World::serving(backend.address).await;
    let mut client = Client::connect(world.public, &[]).await;
    let pairs = (0..5_000_u32).map(|n| {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &block(&GET));
        [request, frame(RST_STREAM, 0, 2 * n + 1, &CANCEL.to_be_bytes())].concat()
    });
    let outcome = flood(&mut client, pairs).await;
    assert!(has_ended(outcome), "CVE-2023-44487: {outcome:?}");
    drop(client);
    until_idle(&world).await;
    assert!(backend.connections() < 200, "{} requests got through", backend.connections());
}

#[tokio::test]
async fn requests_that_the_gateway_is_made_to_cancel_end_the_connection() {
    let (backend, _begun) = silent().await;
    let world = World::serving(backend.address).await;
    let mut client = Client::connect(world.public, &[]).await;
    // A window that overflows is the stream's own fault, and the gateway resets it.
    let pairs = (0..5_000_u32).map(|n| {
        let request = frame(HEADERS, END_HEADERS, 2 * n + 1, &block(&POST));
        [request, frame(WINDOW_UPDATE, 0, 2 * n + 1, &0x7fff_ffff_u32.to_be_bytes())].concat()
    });
    let outcome = flood(&mut client, pairs).await;
    assert!(has_ended(outcome), "CVE-2025-8671: {outcome:?}");
    drop(client);
    until_idle(&world).await;
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let (world, recorder) = world().await;
    let mut client = Client::connect(world.public, &[]).await;
    client.send(HEADERS, END_STREAM, 1, &block(&GET)).await;
    let more = block(&[(b"x", &[b'x'; 1000])]);
    let outcome = flood(&mut client, (0..10_000).map(|_| frame(CONTINUATION, 0, 1, &more))).await;
    assert!(has_ended(outcome), "CVE-2024-27316: {outcome:?}");
    let mut client = Client::connect(world.public, &[]).await;
    client.send(HEADERS, END_STREAM, 1, &block(&GET)).await;
    let outcome = flood(&mut client, (0..100_000).map(|_| frame(CONTINUATION, 0, 1, &[]))).await;
    assert!(has_ended(outcome), "empty ones: {outcome:?}");
    assert!(recorder.take().is_empty());
}

#[tokio::test]
async fn a_small_head_that_unpacks_to_a_large_one_is_refused() {
    let (world, recorder) = world().await;
    let mut client = Client::connect(world.public, &[]).await;
    let mut bomb = block(&GET);
    // A field of 4 000 bytes goes into the table once and is named 10 000 times by one byte.
    bomb.extend([0x40, 1, b'x']);
    push_length(&mut bomb, 4_000);
    bomb.extend([b'x'; 4_000]);
    bomb.extend([0xbe; 10_000]);
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &bomb).await;
    let outcome = client.outcome(1).await;
    assert!(matches!(outcome, Outcome::Status(431) | Outcome::Reset(_)) || has_ended(outcome), "{outcome:?}");
    let mut client = Client::connect(world.public, &[]).await;
    let many: Vec<(&[u8], &[u8])> =
        GET.into_iter().chain(std::iter::repeat_n((&b"x"[..], &b"1"[..]), 150)).collect();
    client.request(1, END_STREAM, &many).await;
    assert_eq!(client.outcome(1).await, Outcome::Status(431), "150 fields");
    let mut client = Client::connect(world.public, &[]).await;
    let crumbs: Vec<(&[u8], &[u8])> =
        GET.into_iter().chain(std::iter::repeat_n((&b"cookie"[..], &b"a=b"[..]), 150)).collect();
    client.request(1, END_STREAM, &crumbs).await;
    assert_eq!(client.outcome(1).await, Outcome::Status(431), "150 crumbs of a cookie");
    assert!(recorder.take().is_empty());
}

#[tokio::test]
async fn frames_that_only_want_an_answer_get_it_or_end_the_connection() {
    let (world, _recorder) = world().await;
    for (kind, payload) in [(PING, &[7; 8][..]), (SETTINGS, &[])] {
        let mut client = Client::connect(world.public, &[]).await;
        let mut answered = 0;
        for _ in 0..20 {
            let burst = frame(kind, 0, 0, payload).repeat(100);
            tokio::io::AsyncWriteExt::write_all(&mut client.stream, &burst).await.unwrap();
            while answered % 100 != 99 {
                match client.next().await {
                    Some(frame) if frame.kind == kind && frame.flags == ACK => answered += 1,
                    Some(frame) if frame.kind == GOAWAY => return,
                    Some(_) => {}
                    None => return,
                }
            }
            answered += 1;
        }
        assert_eq!(world.get("/orders", "").await.status(), 200);
    }
}

#[tokio::test]
async fn empty_frames_are_no_end_and_take_no_room() {
    let (world, recorder) = world().await;
    let mut client = Client::connect(world.public, &[]).await;
    client.request(1, 0, &POST).await;
    let empty = frame(DATA, 0, 1, &[]).repeat(100);
    for _ in 0..100 {
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, &empty).await.unwrap();
    }
    assert_eq!(world.get("/orders/other", "").await.status(), 200);
    client.send(DATA, END_STREAM, 1, b"abc").await;
    let outcome = client.outcome(1).await;
    assert!(outcome == Outcome::Status(200) || has_ended(outcome), "{outcome:?}");
    let seen = recorder.take();
    let bodies: Vec<_> = super::run::whole(&seen).iter().map(|request| request.body.clone()).collect();
    assert!(bodies.iter().all(|body| body.is_empty() || body == b"3\r\nabc\r\n0\r\n\r\n"), "{seen:?}");
}

#[tokio::test]
async fn more_requests_at_once_than_were_offered_are_refused() {
    let (backend, mut begun) = silent().await;
    let world = World::serving(backend.address).await;
    let mut client = Client::connect(world.public, &[]).await;
    for n in 0..101_u32 {
        client.request(2 * n + 1, END_STREAM, &GET).await;
    }
    assert_eq!(client.outcome(201).await, Outcome::Reset(REFUSED_STREAM), "RFC 9113, section 5.1.2");
    for _ in 0..100 {
        timeout(PATIENCE, begun.recv()).await.unwrap().unwrap();
    }
    assert_eq!(world.upstreams.in_flight(&instance("order", 1)), 100);
    drop(client);
    until_idle(&world).await;
}

/// A client that opens no window gets no body, and the instance is not read from for it.
#[tokio::test]
async fn a_response_that_nobody_reads_fills_no_memory() {
    let (told, mut written) = mpsc::unbounded_channel();
    let backend = Backend::new(move |mut wire, _| {
        let told = told.clone();
        async move {
            wire.read_head().await;
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
            let block = vec![b'x'; 64 * 1024];
            let mut total = 0;
            // Full when nothing more goes in for a while.
            while timeout(std::time::Duration::from_millis(200), wire.write(&block)).await.is_ok() {
                total += block.len();
            }
            told.send(total).unwrap();
            wire.read_to_end().await;
            told.send(0).unwrap();
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    let mut client = Client::connect(world.public, &[(4, 0)]).await;
    client.request(1, END_STREAM, &GET).await;
    assert_eq!(client.outcome(1).await, Outcome::Status(200));
    let total = timeout(PATIENCE, written.recv()).await.unwrap().unwrap();
    assert!(total < 32 << 20, "{total} bytes were taken from the instance: more than sockets buffer");
    client.send(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()).await;
    assert_eq!(timeout(PATIENCE, written.recv()).await.unwrap(), Some(0), "the instance is let go");
    until_idle(&world).await;
}

#[tokio::test]
async fn frames_out_of_place_end_the_connection() {
    let (world, recorder) = world().await;
    let bad = [
        ("data on a stream that was never opened", frame(DATA, 0, 1, b"x")),
        ("a head on stream 0", frame(HEADERS, END_HEADERS | END_STREAM, 0, &block(&GET))),
        ("a head on an even stream", frame(HEADERS, END_HEADERS | END_STREAM, 2, &block(&GET))),
        ("a push by a client", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
        ("the continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &[])),
        ("too long a frame", frame(DATA, 0, 1, &vec![0; 20_000])),
        ("a ping that is too short", frame(PING, 0, 0, &[0; 7])),
        ("settings of half a pair", frame(SETTINGS, 0, 0, &[0; 5])),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[])),
        ("a window of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("a reset of nothing", frame(RST_STREAM, 0, 1, &[0; 4])),
        ("a head that is no HPACK", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 16])),
    ];
    for (what, bytes) in bad {
        let mut client = Client::connect(world.public, &[]).await;
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, &bytes).await.unwrap();
        let outcome = client.end().await;
        assert!(has_ended(outcome), "{what}: {outcome:?}");
        assert!(
            outcome != Outcome::GoAway(0) && outcome != Outcome::GoAway(ENHANCE_YOUR_CALM),
            "{what}: {outcome:?}"
        );
    }
    assert!(recorder.take().is_empty());
}
