//! What the access log says about a request.

use std::io;
use std::sync::{Arc, Mutex};

use super::backend::Backend;
use super::harness::World;
use super::wire::Wire;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The first line with `part` in it, once it is there.
    async fn with(&self, part: &str) -> String {
        let waiting = async {
            loop {
                let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
                if let Some(line) = text.lines().find(|line| line.contains(part)) {
                    return line.to_owned();
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(super::wire::PATIENCE, waiting).await.expect("a line in the log")
    }
}

#[tokio::test]
async fn every_request_leaves_one_line_without_its_query() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    // With a single subscriber, tracing asks the subscriber of whichever thread comes first whether
    // an event is wanted, and remembers the answer: here that would be another test without any.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
    let _guard = tracing::subscriber::set_default(log);
    let backend = Backend::named("12345").await;
    let world = World::serving(backend.address).await;

    let answer = world.get("/orders/7?secret=1", "Authorization: Bearer ann\r\n").await;
    let line = lines.with("/orders/7").await;
    let id = format!("request_id=\"{}\"", answer.header("x-request-id").unwrap());
    for part in [
        "access:",
        &id,
        "method=GET",
        "status=200",
        "service=\"order\"",
        "instance=order.v1.1",
        "subject=\"ann\"",
        "bytes_out=5",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!line.contains("secret") && !line.contains("Bearer"), "{line}");

    world.get("/private", "").await;
    assert!(lines.with("status=401").await.contains("code=\"token_missing\""));

    let mut leaving = Wire::connect(world.public).await;
    leaving.write("POST /orders/left HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    while world.upstreams.in_flight(&super::harness::instance("order", 1)) == 0 {
        tokio::task::yield_now().await;
    }
    drop(leaving);
    let line = lines.with("/orders/left").await;
    assert!(line.contains("status=499") || line.contains("body_incomplete"), "{line}");
}
