//! One gateway takes over from another, under load.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::process::Signal;

use super::backend::Backend;
use super::{SOON, address_after, service};
use crate::harness::http::get;
use crate::harness::load::{Load, echoes, tunnel};
use crate::harness::msctl::{Msctl, Running};
use crate::harness::wait::until;

fn gateway(folder: &Path, route: &str) -> Running {
    let arguments = [
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--handover",
        "next.sock",
        "--route",
    ];
    Msctl::new(folder, &[&arguments[..], &[route]].concat()).within(folder).spawn()
}

#[test]
fn a_gateway_is_replaced_three_times_under_load_and_no_request_fails() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::named("any");
    let route = format!("/=http://{}", backend.address);
    let mut serving = gateway(folder.path(), &route);
    serving.says("admin at http://");
    let (public, admin) =
        (address_after(&serving, "gateway at http://"), address_after(&serving, "admin at http://"));
    let load = Load::on(&public.to_string(), "/x");
    let mut websocket = tunnel(&public.to_string(), "/ws");
    let mut before = Vec::new();
    for _ in 0..3 {
        let next = gateway(folder.path(), &route);
        next.says("without dropping a connection");
        assert_eq!(address_after(&next, "gateway at http://"), public);
        serving.says("has taken over; open requests may end here");
        load.goes_on();
        echoes(&mut websocket);
        before.push(std::mem::replace(&mut serving, next));
    }
    load.failed_nothing();
    assert_eq!(get(&format!("http://{admin}/readyz")).status, 200);
    // An endpoint keeps its half of a tunnel until it ends itself.
    drop((websocket, backend));
    for gateway in before {
        let ended = gateway.finish().success();
        assert!(ended.stderr.ends_with("stopped; every request was answered\n"), "{}", ended.stderr);
    }
    // The last one ends as ever, and what it leaves at the path is in nobody's way.
    serving.signal(Signal::TERM);
    serving.finish().success();
    assert!(folder.path().join("next.sock").exists());
    let fresh = gateway(folder.path(), &route);
    fresh.says("admin at http://");
    assert!(!fresh.stderr().contains("taken over"), "{}", fresh.stderr());
}

#[test]
fn a_successor_that_does_not_get_ready_leaves_the_old_gateway_serving() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::named("any");
    let route = format!("/=http://{}", backend.address);
    let serving = gateway(folder.path(), &route);
    serving.says("admin at http://");
    let public = address_after(&serving, "gateway at http://").to_string();
    let load = Load::on(&public, "/x");
    // It waits for a file of keys that nobody writes, with all sockets in its hands.
    let keys = folder.path().join("keys.json");
    rustix::fs::mknodat(CWD, &keys, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let config = format!(
        "[[listeners]]\nlisten = \"127.0.0.1:0\"\n[auth]\nissuer = \"a\"\naudience = \"b\"\njwks = \"keys.json\"\n{}",
        service("any", &[backend.address])
    );
    fs::write(folder.path().join("held.toml"), config).unwrap();
    let arguments = ["gateway", "--config", "held.toml", "--handover", "next.sock"];
    let heir = Msctl::new(folder.path(), &arguments).within(folder.path()).spawn();
    let _writer = until(SOON, "somebody to read the keys", || {
        // Refused as long as nobody reads.
        OpenOptions::new().write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&keys).ok()
    });
    load.goes_on();
    heir.signal(Signal::KILL);
    heir.finish().expect_code(137);
    serving.says("nobody has taken over, and it goes on");
    load.goes_on();
    load.failed_nothing();
    let next = gateway(folder.path(), &route);
    next.says("without dropping a connection");
    until(SOON, "an answer", || (get(&format!("http://{public}/x")).status == 200).then_some(()));
    serving.finish().success();
}
