//! Replacing instances and stopping the gateway, with requests under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, ok};
use super::harness::{World, instance, send};
use super::tunnels::{GOING_AWAY, HANDSHAKE, tunnelling};
use super::wire::{PATIENCE, Wire};
use crate::gateway::{DrainOutcome, Limits, Stopped};
use crate::model::catalog::EndpointState::{Draining, Ready};
use crate::model::traffic::TrafficPolicy;

const ASK: &str = "GET /auth HTTP/1.1\r\nHost: a\r\n\r\n";
const GET: &str = "GET /orders HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers each request only when it is told to.
async fn held() -> (Backend, Arc<Notify>, Arc<Notify>) {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&go));
    let backend = Backend::new(move |mut wire, _| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        async move {
            while wire.read().await.is_some() {
                tell.notify_one();
                wait.notified().await;
                wire.write(ok("held")).await;
            }
        }
    })
    .await;
    (backend, arrived, go)
}

#[tokio::test]
async fn a_request_that_meets_a_draining_instance_waits_for_the_table_without_it() {
    let (old, new) = (Backend::named("old").await, Backend::named("new").await);
    let mut world = World::serving(old.address).await;
    // Drained, while the table that requests begin with still has it.
    assert_eq!(world.upstreams.drain(&instance("order", 1), PATIENCE).await, DrainOutcome::Idle);
    let waiting = world.table_watchers();
    let request = tokio::spawn(send(world.public, GET));
    while world.table_watchers() == waiting {
        tokio::task::yield_now().await;
    }
    world.set("order", &[(1, old.address, Draining), (2, new.address, Ready)]);
    assert_eq!(request.await.unwrap().text(), "new");
    assert_eq!(old.connections(), 0);
}

#[tokio::test]
async fn picking_again_is_bounded() {
    let old = Backend::named("old").await;
    let mut world =
        World::with_limits(Limits { table_wait: Duration::from_millis(20), ..Limits::default() }).await;
    world.set("order", &[(1, old.address, Ready)]);
    assert_eq!(world.upstreams.drain(&instance("order", 1), PATIENCE).await, DrainOutcome::Idle);
    let answer = world.get("/orders", "").await;
    assert_eq!((answer.status(), answer.header("retry-after")), (503, Some("1")));
    assert!(answer.problem("detail").contains("are being replaced"));
}

#[tokio::test]
async fn a_drain_waits_for_the_request_that_is_under_way() {
    let (backend, arrived, go) = held().await;
    let mut world = World::serving(backend.address).await;
    let request = tokio::spawn(send(world.public, GET));
    arrived.notified().await;
    world.set("order", &[(1, backend.address, Draining)]);
    let upstreams = Arc::clone(&world.upstreams);
    let drain = tokio::spawn(async move { upstreams.drain(&instance("order", 1), PATIENCE).await });
    assert_eq!(world.get("/orders", "").await.status(), 503);
    assert!(!drain.is_finished());
    go.notify_one();
    assert_eq!(request.await.unwrap().text(), "held");
    assert_eq!(drain.await.unwrap(), DrainOutcome::Idle);
}

#[tokio::test]
async fn a_request_beyond_the_deadline_is_cut_and_answered() {
    let (backend, arrived, _never) = held().await;
    let world = World::serving(backend.address).await;
    let request = tokio::spawn(send(world.public, GET));
    arrived.notified().await;
    let drained = world.upstreams.drain(&instance("order", 1), Duration::from_millis(30)).await;
    assert_eq!(drained, DrainOutcome::CutOff(1));
    assert_eq!(request.await.unwrap().status(), 502);
}

/// Asks on kept connections until told to stop; how often, and every answer that was not a success.
async fn load(address: SocketAddr, stop: CancellationToken, served: watch::Sender<usize>) -> Vec<String> {
    let mut wire = Wire::connect(address).await;
    let mut failures = Vec::new();
    while !stop.is_cancelled() {
        wire.write("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
        let answer = wire.read().await.expect("the client's connection is kept");
        if answer.status() != 200 {
            failures.push(answer.text());
        }
        served.send_modify(|count| *count += 1);
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_replacements_under_load_fail_no_request() {
    let mut serving = Backend::named("any").await;
    let mut world = World::serving(serving.address).await;
    let (stop, (served, mut count)) = (CancellationToken::new(), watch::channel(0));
    let clients: Vec<_> =
        (0..4).map(|_| tokio::spawn(load(world.public, stop.clone(), served.clone()))).collect();
    for replica in 1..=50 {
        let next = Backend::named("any").await;
        world.set("order", &[(replica, serving.address, Ready), (replica + 1, next.address, Ready)]);
        let goal = *count.borrow() + 8;
        timeout(PATIENCE, count.wait_for(|&count| count >= goal)).await.unwrap().unwrap();
        world.set("order", &[(replica, serving.address, Draining), (replica + 1, next.address, Ready)]);
        let old = instance("order", replica);
        assert_eq!(world.upstreams.drain(&old, PATIENCE).await, DrainOutcome::Idle);
        world.upstreams.forget(&old);
        serving = next;
    }
    stop.cancel();
    for client in clients {
        assert_eq!(client.await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_are_called_back_during_or_after_their_drain_fail_no_request() {
    let backends = [Backend::named("one").await, Backend::named("two").await];
    let mut world = World::serving(backends[0].address).await;
    let (stop, (served, mut count)) = (CancellationToken::new(), watch::channel(0));
    let clients: Vec<_> =
        (0..4).map(|_| tokio::spawn(load(world.public, stop.clone(), served.clone()))).collect();
    for turn in 0..60 {
        let (comes, goes) = if turn % 2 == 0 { (2, 1) } else { (1, 2) };
        let address = |replica: u16| backends[usize::from(replica) - 1].address;
        world.set("order", &[(goes, address(goes), Draining), (comes, address(comes), Ready)]);
        let upstreams = Arc::clone(&world.upstreams);
        let mut draining = Box::pin(async move { upstreams.drain(&instance("order", goes), PATIENCE).await });
        // Begun before anybody is called back.
        match draining.as_mut().now_or_never() {
            None if turn % 3 == 0 => assert_eq!(draining.await, DrainOutcome::Idle),
            None => drop(tokio::spawn(draining)),
            Some(drained) => assert_eq!(drained, DrainOutcome::Idle),
        }
        let goal = *count.borrow() + turn % 8;
        timeout(PATIENCE, count.wait_for(|&count| count >= goal)).await.unwrap().unwrap();
    }
    stop.cancel();
    for client in clients {
        assert_eq!(client.await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_stopping_gateway_finishes_what_has_begun_and_closes_the_rest() {
    let (backend, arrived, go) = held().await;
    let world = World::serving(backend.address).await;
    let address = world.public;
    let mut idle = Wire::connect(address).await;
    idle.write("GET /auth HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(idle.read().await.unwrap().status(), 200);
    let request = tokio::spawn(send(address, GET));
    arrived.notified().await;
    let stopping = tokio::spawn(world.stop());
    assert_eq!(idle.read_to_end().await, b"");
    go.notify_one();
    let answer = request.await.unwrap();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("held", Some("close")));
    assert_eq!(timeout(PATIENCE, stopping).await.unwrap().unwrap(), Stopped { cut_off: 0 });
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stopping_gateway_has_a_deadline_of_its_own() {
    let (backend, arrived, _never) = held().await;
    let tunnels = tunnelling().await;
    let mut world =
        World::with_limits(Limits { shutdown: Duration::from_millis(50), ..Limits::default() }).await;
    world.set("order", &[(1, backend.address, Ready)]);
    let request = tokio::spawn({
        let mut wire = Wire::connect(world.public).await;
        async move {
            wire.write(GET).await;
            wire.read_to_end().await
        }
    });
    arrived.notified().await;
    world.set("order", &[(2, tunnels.address, Ready)]);
    let mut tunnel = Wire::connect(world.public).await;
    tunnel.write(HANDSHAKE).await;
    assert_eq!(tunnel.read_head().await.unwrap().status(), 101);
    assert_eq!(timeout(PATIENCE, world.stop()).await.unwrap(), Stopped { cut_off: 2 });
    assert_eq!(request.await.unwrap(), b"");
    assert_eq!(tunnel.read_to_end().await, GOING_AWAY);
}

#[tokio::test]
async fn a_service_takes_no_more_requests_at_once_than_it_may() {
    let traffic = TrafficPolicy { max_in_flight: 1, ..TrafficPolicy::default() };
    let mut world = World::with_traffic(&traffic).await;
    let (backend, arrived, go) = held().await;
    world.set("order", &[(1, backend.address, Ready)]);
    let first = tokio::spawn(send(world.public, GET));
    arrived.notified().await;
    let refused = world.send(GET).await;
    assert_eq!((refused.status(), refused.problem("code").as_str()), (503, "too_many_in_flight"));
    go.notify_one();
    assert_eq!(first.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_gateway_that_was_succeeded_answers_once_more_on_every_connection_and_says_goodbye() {
    let (backend, arrived, go) = held().await;
    let world = World::serving(backend.address).await;
    let address = world.public;
    let (mut idle, mut fresh) = (Wire::connect(address).await, Wire::connect(address).await);
    idle.write(ASK).await;
    assert_eq!(idle.read().await.unwrap().header("connection"), None);
    let request = tokio::spawn(send(address, GET));
    arrived.notified().await;
    let succeeded = tokio::spawn(world.succeeded());
    // Its sockets are its own here, so that closing them shows.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    for wire in [&mut idle, &mut fresh] {
        wire.write(ASK).await;
        let answer = wire.read().await.unwrap();
        assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
        assert_eq!(wire.read_to_end().await, b"");
    }
    go.notify_one();
    let answer = request.await.unwrap();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("held", Some("close")));
    assert_eq!(timeout(PATIENCE, succeeded).await.unwrap().unwrap(), Stopped { cut_off: 0 });
}

#[tokio::test]
async fn a_gateway_that_was_succeeded_keeps_tunnels_to_its_deadline_and_closes_who_rests_before() {
    let tunnels = tunnelling().await;
    let limits = Limits { shutdown: Duration::from_millis(200), ..Limits::default() };
    let mut world = World::with_limits(limits).await;
    world.set("order", &[(1, tunnels.address, Ready)]);
    let (mut idle, mut tunnel) = (Wire::connect(world.public).await, Wire::connect(world.public).await);
    tunnel.write(HANDSHAKE).await;
    assert_eq!(tunnel.read_head().await.unwrap().status(), 101);
    idle.write(ASK).await;
    assert_eq!(idle.read().await.unwrap().status(), 200);
    let succeeded = tokio::spawn(world.succeeded());
    assert_eq!(idle.read_to_end().await, b"");
    assert!(!succeeded.is_finished());
    assert_eq!(timeout(PATIENCE, succeeded).await.unwrap().unwrap(), Stopped { cut_off: 1 });
    assert_eq!(tunnel.read_to_end().await, GOING_AWAY);
}
