//! Another configuration under load: nobody who does not have to notices anything.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;

use super::backend::Backend;
use super::{SOON, TestGateway, service};
use crate::harness::http::try_get;
use crate::harness::load::Load;
use crate::harness::wait::until;

const RELOADS: usize = 200;

/// A tunnel through the gateway.
struct Tunnel(TcpStream);

impl Tunnel {
    fn open(gateway: &TestGateway) -> Self {
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let request = "GET /svc/ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    fn echoes(&mut self) {
        let mut back = [0; 5];
        self.0.write_all(b"hello").unwrap();
        self.0.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"hello");
    }
}

#[test]
fn two_hundred_reloads_cost_no_request_and_no_tunnel() {
    let (one, other) = (Backend::named("one"), Backend::named("other"));
    let first = service("svc", &[one.address]);
    // The second one has an endpoint more, and a service more.
    let second = service("svc", &[one.address, other.address]) + &service("new", &[other.address]);
    let gateway = TestGateway::of(&first);
    let mut tunnel = Tunnel::open(&gateway);
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let agent: ureq::Agent =
                    ureq::Agent::config_builder().timeout_global(Some(SOON)).build().into();
                while !over.load(Ordering::Relaxed) {
                    let answer = agent.get(format!("http://{}/svc/x", gateway.address)).call();
                    let mut answer = answer.unwrap_or_else(|error| {
                        over.store(true, Ordering::Relaxed);
                        panic!("after {} requests: {error}", answered.load(Ordering::Relaxed))
                    });
                    answer.body_mut().read_to_string().unwrap();
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..RELOADS {
            gateway.reload(if round % 2 == 0 { &second } else { &first });
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(answered.load(Ordering::Relaxed) > RELOADS, "the load was none: {answered:?}");
    tunnel.echoes();
}

#[test]
fn a_file_that_is_not_valid_leaves_everything_as_it_is() {
    let backend = Backend::named("one");
    let good = service("svc", &[backend.address]);
    let gateway = TestGateway::of(&good);
    gateway.write(&good.replace("strip_prefix", "strip_perfix"));
    gateway.running().says("the gateway goes on as it was");
    let said = gateway.running().stderr();
    assert!(
        said.contains("gateway.toml:12:1: unknown key \"strip_perfix\" in [[services.routes]]"),
        "{said}"
    );
    assert!(said.contains("hint: did you mean \"strip_prefix\"?"), "{said}");
    assert_eq!(gateway.get("/svc/x").body, "one /x nobody");
    let config = gateway.asked("/config");
    assert_eq!(config["generation"], 1);
    assert!(config["last_error"]["message"].as_str().unwrap().contains("strip_perfix"), "{config}");
    gateway.reload(&good);
    assert!(gateway.asked("/config")["last_error"].is_null());
}

#[test]
fn a_changed_file_is_followed_without_being_asked_to() {
    let (one, other) = (Backend::named("one"), Backend::named("other"));
    let gateway = TestGateway::of(&service("svc", &[one.address]));
    gateway.write(&service("svc", &[other.address]));
    gateway.running().says("configuration 2: ~ service svc: endpoints");
    assert_eq!(gateway.get("/svc/x").body, "other /x nobody");
}

#[test]
fn only_the_listeners_that_differ_are_touched() {
    let backend = Backend::named("one");
    let svc = service("svc", &[backend.address]);
    let gateway = TestGateway::of(&svc);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = format!("{svc}[[listeners]]\nlisten = \"{free}\"\n");
    let mut kept = Tunnel::open(&gateway);
    gateway.reload(&more);
    assert_eq!(try_get(&format!("http://{free}/svc/x")).unwrap().body, "one /x nobody");
    gateway.reload(&svc);
    let gone = || try_get(&format!("http://{free}/svc/x")).is_err().then_some(());
    until(SOON, "the end of the listener", gone);
    kept.echoes();
}

#[test]
fn an_address_that_is_taken_leaves_everything_as_it_is() {
    let backend = Backend::named("one");
    let svc = service("svc", &[backend.address]);
    let gateway = TestGateway::of(&svc);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    gateway.write(&format!("{}[[listeners]]\nlisten = \"{listen}\"\n", service("new", &[backend.address])));
    gateway.running().signal(Signal::HUP);
    gateway.running().says(&format!("cannot listen on {listen}"));
    assert_eq!(gateway.get("/svc/x").body, "one /x nobody");
    assert_eq!(gateway.get("/new/x").status, 404);
}

#[test]
fn a_listener_that_changes_drops_nobody() {
    let backend = Backend::named("one");
    let content = service("svc", &[backend.address]);
    let gateway = TestGateway::of(&content);
    let load = Load::on(&gateway.address.to_string(), "/svc/x");
    for network in ["10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"] {
        load.goes_on();
        let before = gateway.generation();
        gateway.write_listener(&format!("trusted_proxies = [\"{network}\"]"), &content);
        gateway.running().signal(Signal::HUP);
        until(SOON, "the next configuration", || (gateway.generation() > before).then_some(()));
    }
    load.goes_on();
    load.failed_nothing();
}
