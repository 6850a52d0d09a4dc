//! The end: open requests may finish, for a while.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::backend::Backend;
use super::{SOON, TestGateway, service};
use crate::harness::http::get;
use crate::harness::load::Load;
use crate::harness::wait::until;

#[test]
fn a_request_that_has_begun_is_answered_and_nobody_new_comes_in() {
    let backend = Backend::named("one");
    let gateway = TestGateway::of(&service("svc", &[backend.address]));
    let address = gateway.address;
    let slow = thread::spawn(move || get(&format!("http://{address}/svc/slow")));
    backend.is_asked();
    gateway.running().signal(Signal::TERM);
    until(SOON, "the end of the listener", || TcpStream::connect(address).is_err().then_some(()));
    let readiness = get(&format!("http://{}/readyz", gateway.admin));
    assert_eq!(readiness.status, 503, "{}", readiness.body);
    assert!(readiness.body.contains("it is stopping"), "{}", readiness.body);
    backend.release();
    assert_eq!(slow.join().unwrap().body, "one /slow nobody");
    let ran = gateway.into_running().finish_within(SOON).expect_code(0);
    assert!(ran.stderr.contains("every request was answered"), "{}", ran.stderr);
}

#[test]
fn what_is_open_when_time_is_up_is_cut_and_counted() {
    let backend = Backend::named("one");
    let content = service("svc", &[backend.address]) + "[shutdown]\ntimeout = \"50ms\"\n";
    let gateway = TestGateway::of(&content);
    let address = gateway.address;
    let slow = thread::spawn(move || crate::harness::http::try_get(&format!("http://{address}/svc/slow")));
    backend.is_asked();
    gateway.running().signal(Signal::TERM);
    let ran = gateway.into_running().finish_within(SOON).expect_code(0);
    assert!(ran.stderr.contains("stopped; 1 connection cut"), "{}", ran.stderr);
    assert!(slow.join().unwrap().is_err());
}

#[test]
fn a_second_signal_does_not_wait() {
    let backend = Backend::named("one");
    let gateway = TestGateway::of(&service("svc", &[backend.address]));
    let address = gateway.address;
    let slow = thread::spawn(move || crate::harness::http::try_get(&format!("http://{address}/svc/slow")));
    backend.is_asked();
    gateway.running().signal(Signal::TERM);
    gateway.running().says("stopping: ");
    gateway.running().signal(Signal::TERM);
    gateway.into_running().finish_within(Duration::from_secs(15)).expect_code(130);
    assert!(slow.join().unwrap().is_err());
}

#[test]
fn during_the_grace_it_serves_and_says_that_it_is_not_ready() {
    let backend = Backend::named("one");
    let content = service("svc", &[backend.address]) + "[shutdown]\ngrace = \"60s\"\n";
    let gateway = TestGateway::of(&content);
    gateway.running().signal(Signal::TERM);
    let not_ready = || (get(&format!("http://{}/readyz", gateway.admin)).status == 503).then_some(());
    until(SOON, "the word that it is not ready", not_ready);
    assert_eq!(gateway.get("/svc/x").body, "one /x nobody");
}

#[test]
fn during_the_grace_each_answer_ends_its_connection() {
    let backend = Backend::named("one");
    let content = service("svc", &[backend.address]) + "[shutdown]\ngrace = \"60s\"\n";
    let gateway = TestGateway::of(&content);
    let load = Load::on(&gateway.address.to_string(), "/svc/x");
    load.goes_on();
    gateway.running().signal(Signal::TERM);
    let ends = || {
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        stream.write_all(b"GET /svc/x HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut head = [0; 1024];
        let read = stream.read(&mut head).unwrap();
        String::from_utf8_lossy(&head[..read]).contains("connection: close")
    };
    until(SOON, "an answer that ends its connection", || ends().then_some(()));
    load.goes_on();
    load.failed_nothing();
}

#[test]
fn it_serves_on_when_nobody_reads_what_it_says() {
    let backend = Backend::named("one");
    let home = tempfile::tempdir().unwrap();
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let route = format!("/=http://{}", backend.address);
    let mut gateway = std::process::Command::new(env!("CARGO_BIN_EXE_msctl"))
        .args([
            "gateway",
            "--listen",
            &listen.to_string(),
            "--route",
            &route,
            "--route",
            "/dead=http://127.0.0.1:1",
        ])
        .args(["--no-probe"])
        .env("MSCTL_STATE_DIR", home.path())
        .env("MSCTL_LOG", "debug")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until(SOON, "the listener", || TcpStream::connect(listen).is_ok().then_some(()));
    // Each leaves lines on both, together far more than a pipe holds.
    for _ in 0..1_500 {
        assert!(get(&format!("http://{listen}/dead")).status > 500);
    }
    assert_eq!(get(&format!("http://{listen}/x")).body, "one /x nobody");
    rustix::process::kill_process(rustix::process::Pid::from_child(&gateway), Signal::TERM).unwrap();
    until(SOON, "its end", || gateway.try_wait().unwrap());
}
