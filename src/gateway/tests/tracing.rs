//! Which trace a request belongs to, on the way and in the log.

use super::backend::{Backend, ok};
use super::harness::World;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Of the head that an instance was given.
fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

#[tokio::test]
async fn a_clients_trace_goes_on_to_the_instance_and_into_the_log() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let lines = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\ntracestate: a=1\r\n");
    let head = world.get("/orders/1", &lines).await.text();
    let parent = header(&head, "traceparent").unwrap();
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && !parent.contains("b7ad6b7169203331"), "{parent}");
    assert_eq!(header(&head, "tracestate").as_deref(), Some("a=1"));
    assert_eq!(world.log.about("/orders/1").await["trace"], TRACE);
}

#[tokio::test]
async fn a_trace_begins_here_where_there_is_none() {
    let backend = Backend::echo().await;
    let world = World::serving(backend.address).await;
    let head = world.get("/orders/1", "tracestate: a=1\r\n").await.text();
    let parent = header(&head, "traceparent").unwrap();
    assert_eq!(header(&head, "tracestate"), None);
    let line = world.log.about("/orders/1").await;
    assert!(parent.contains(line["trace"].as_str().unwrap()), "{parent} {line}");
    let head = world.get("/auth/1", "").await.text();
    assert!(header(&head, "traceparent").is_some(), "{head}");
}

#[tokio::test]
async fn each_attempt_is_a_span_of_its_own() {
    let (heads, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::new(move |mut wire, _| {
        let heads = heads.clone();
        async move {
            for turn in 0..2 {
                let Some(request) = wire.read().await else { return };
                heads.send(request.head).unwrap();
                if turn == 0 {
                    wire.write(ok("a")).await;
                }
            }
        }
    })
    .await;
    let world = World::serving(backend.address).await;
    world.get("/orders/1", "").await;
    assert_eq!(world.get("/orders/2", "").await.status(), 200);
    seen.recv().await.unwrap();
    let mut parent = async || header(&seen.recv().await.unwrap(), "traceparent").unwrap();
    let (first, second) = (parent().await, parent().await);
    assert_eq!(first[..35], second[..35]);
    assert_ne!(first, second);
}
