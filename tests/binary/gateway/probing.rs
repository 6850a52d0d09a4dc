//! Endpoints that nobody else vouches for are asked how they are.

use super::backend::Backend;
use super::{SOON, TestGateway, service};
use crate::harness::wait::until;

#[test]
fn an_endpoint_that_dies_gets_no_requests_until_it_is_back() {
    let (one, other) = (Backend::named("one"), Backend::named("other"));
    let (address, gone) = (one.address, other.address);
    let gateway = TestGateway::of(&service("svc", &[address, gone]));
    assert_eq!(gateway.ready(), 2);
    drop(other);
    until(SOON, "the loss of one", || (gateway.ready() == 1).then_some(()));
    for _ in 0..20 {
        assert_eq!(gateway.get("/svc/x").body, "one /x nobody");
    }
    let _back = Backend::at("other", gone);
    until(SOON, "its return", || (gateway.ready() == 2).then_some(()));
    until(SOON, "a request at it", || gateway.get("/svc/x").body.starts_with("other").then_some(()));
}

#[test]
fn a_service_without_a_living_endpoint_is_unavailable_and_named_at_the_start() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = TestGateway::of(&service("svc", &[free]));
    gateway.running().says("nobody answers yet for svc");
    let answer = gateway.get("/svc/x");
    assert_eq!(answer.status, 503, "{}", answer.body);
    let _backend = Backend::at("one", free);
    until(SOON, "an answer", || (gateway.get("/svc/x").status == 200).then_some(()));
}

#[test]
fn with_a_path_only_a_good_answer_counts() {
    let backend = Backend::named("one");
    let svc = service("svc", &[backend.address]);
    let by_path =
        |path: &str| svc.replace("interval = \"20ms\",", &format!("interval = \"20ms\", path = \"{path}\","));
    let gateway = TestGateway::of(&by_path("/health/ready"));
    assert_eq!(gateway.ready(), 1);
    // It never answers there, until it does.
    gateway.reload(&by_path("/slow").replace("probe = { ", "probe = { timeout = \"50ms\", "));
    until(SOON, "the loss of it", || (gateway.ready() == 0).then_some(()));
    backend.release();
    until(SOON, "its return", || (gateway.ready() == 1).then_some(()));
}
