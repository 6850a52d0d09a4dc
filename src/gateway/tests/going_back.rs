//! A version that has just taken over ends: whoever it has replaced is called back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::backend::Backend;
use super::harness::{World, send, version};
use super::wire::{Message, PATIENCE, Wire};
use crate::gateway::{DrainOutcome, Limits};
use crate::model::catalog::EndpointState::{Draining, Ready};

const GET: &str = "GET /orders HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

/// Much more than a breaker bears in a row, or a budget allows.
const CROWD: usize = 60;

/// An address that nobody listens at.
fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// Version 2 has taken over from version 1, which was drained.
async fn replaced(limits: Limits, old: SocketAddr, new: SocketAddr) -> World {
    let mut world = World::with_limits(limits).await;
    world.versions(&[(1, old, Ready)]);
    world.versions(&[(1, old, Draining), (2, new, Ready)]);
    assert_eq!(world.upstreams.drain(&version(1, 1), PATIENCE).await, DrainOutcome::Idle);
    world
}

/// As the engine does once it has noticed that version 2 ended.
fn call_back(world: &mut World, old: SocketAddr, new: SocketAddr) {
    world.versions(&[(1, old, Ready), (2, new, Ready)]);
    world.versions(&[(1, old, Ready)]);
    world.upstreams.forget(&version(2, 2));
}

async fn waiting(world: &World, before: usize, more: usize) {
    while world.table_watchers() < before + more {
        tokio::task::yield_now().await;
    }
}

fn ask(world: &World, request: &'static str) -> JoinSet<Message> {
    let mut asked = JoinSet::new();
    (0..CROWD).for_each(|_| drop(asked.spawn(send(world.public, request))));
    asked
}

#[tokio::test]
async fn what_did_not_reach_the_new_version_waits_for_the_old_one() {
    for request in [GET, POST] {
        let old = Backend::named("old").await;
        let mut world = replaced(Limits::default(), old.address, nobody()).await;
        let before = world.table_watchers();
        let asked = ask(&world, request);
        waiting(&world, before, CROWD).await;
        assert_eq!(old.connections(), 0, "nobody is asked before being called back");
        call_back(&mut world, old.address, nobody());
        let answers = asked.join_all().await;
        assert!(answers.iter().all(|answer| answer.text() == "old"), "{answers:?}");
        assert_eq!(world.send(request).await.text(), "old", "nothing is held against the service");
    }
}

#[tokio::test]
async fn what_was_under_way_at_the_new_version_is_asked_again_if_that_is_safe() {
    let old = Backend::named("old").await;
    for (request, expected) in [(GET, 200), (POST, 502)] {
        let (arrive, mut arrived) = tokio::sync::mpsc::unbounded_channel();
        let (end, ended) = tokio::sync::watch::channel(false);
        let new = Backend::new(move |mut wire: Wire, _| {
            let (arrive, mut ended) = (arrive.clone(), ended.clone());
            async move {
                wire.read().await;
                arrive.send(()).unwrap();
                ended.wait_for(|ended| *ended).await.unwrap();
            }
        })
        .await;
        let address = new.address;
        let mut world = replaced(Limits::default(), old.address, address).await;
        let asked = ask(&world, request);
        for _ in 0..CROWD {
            arrived.recv().await.unwrap();
        }
        drop(new);
        end.send_replace(true);
        call_back(&mut world, old.address, address);
        let answers = asked.join_all().await;
        assert!(answers.iter().all(|answer| answer.status() == expected), "{answers:?}");
        assert_eq!(world.send(request).await.text(), "old", "nothing is held against the service");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_connection_to_an_instance_that_is_gone_waits_no_longer() {
    let old = Backend::named("old").await;
    // Its queue is full, so that it says nothing to anybody else: as little as a container that is no more.
    let mute = TcpSocket::new_v4().unwrap();
    mute.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mute = mute.listen(0).unwrap();
    let address = mute.local_addr().unwrap();
    let _queued = TcpStream::connect(address).await.unwrap();
    let limits = Limits { connect: Duration::from_secs(3600), ..Limits::default() };
    let mut world = replaced(limits, old.address, address).await;
    let asked = ask(&world, POST);
    while world.upstreams.in_flight(&version(2, 2)) < CROWD {
        tokio::task::yield_now().await;
    }
    call_back(&mut world, old.address, address);
    let answers = asked.join_all().await;
    assert!(answers.iter().all(|answer| answer.text() == "old"), "{answers:?}");
}

#[tokio::test]
async fn nobody_waits_for_longer_than_may_be_or_for_what_will_not_come() {
    let old = Backend::named("old").await;
    let short = Limits { recall_wait: Duration::from_millis(20), ..Limits::default() };
    let world = replaced(short, old.address, nobody()).await;
    assert_eq!(world.send(GET).await.problem("code"), "upstream_unreachable");
    let endless = Limits { recall_wait: Duration::from_secs(3600), ..Limits::default() };
    let mut world = replaced(endless, old.address, nobody()).await;
    let before = world.table_watchers();
    let asked = tokio::spawn(send(world.public, GET));
    waiting(&world, before, 1).await;
    // Its window is over: who was replaced is removed.
    world.versions(&[(2, nobody(), Ready)]);
    world.upstreams.forget(&version(1, 1));
    assert_eq!(asked.await.unwrap().problem("code"), "upstream_unreachable");
    // Of one version there is nobody to go back to.
    world.versions(&[(2, old.address, Draining), (2, nobody(), Ready)]);
    assert_eq!(world.send(GET).await.problem("code"), "upstream_unreachable");
    assert_eq!(old.connections(), 0);
}
