//! What comes in goes to the right endpoint.

use super::backend::Backend;
use super::{SOON, TestGateway, address_after, service};
use crate::harness::http::get;
use crate::harness::msctl::Msctl;
use crate::harness::wait::until;

#[test]
fn routes_of_the_command_line_are_served_without_their_prefix() {
    let (one, other) = (Backend::named("one"), Backend::named("other"));
    let home = tempfile::tempdir().unwrap();
    let by_name = format!("/svc=http://localhost:{}", one.address.port());
    let rest = format!("/=http://{}", other.address);
    let arguments = ["gateway", "--listen", "127.0.0.1:0", "--route", &by_name, "--route", &rest];
    let running = Msctl::new(home.path(), &arguments).spawn();
    running.says("gateway at http://");
    let address = address_after(&running, "gateway at http://");
    let check = |path: &str, expected: &str| {
        assert_eq!(get(&format!("http://{address}{path}")).body, expected);
    };
    check("/svc/7?x=1", "one /7?x=1 nobody");
    check("/svc", "one / nobody");
    check("/svcs", "other /svcs nobody");
}

#[test]
fn nobody_is_asked_anything_without_probes() {
    let home = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let route = format!("/svc=http://{free}");
    let arguments = ["gateway", "--listen", "127.0.0.1:0", "--route", &route, "--no-probe"];
    let running = Msctl::new(home.path(), &arguments).spawn();
    running.says("gateway at http://");
    let answer = get(&format!("http://{}/svc", address_after(&running, "gateway at http://")));
    assert_eq!(answer.status, 502, "{}", answer.body);
}

#[test]
fn the_admin_listener_says_how_the_gateway_is() {
    let backend = Backend::named("one");
    let gateway = TestGateway::of(&service("svc", &[backend.address]));
    assert_eq!(get(&format!("http://{}/healthz", gateway.admin)).body, "ok\n");
    assert_eq!(gateway.asked("/readyz")["ready"], true);
    let config = gateway.asked("/config");
    assert_eq!((config["generation"].as_u64(), config["last_error"].is_null()), (Some(1), true));
    let routes = gateway.asked("/routes");
    assert_eq!(routes["routes"][0]["path"], "/svc");
    assert_eq!(routes["endpoints"][0]["instance"], "svc.v1.1");
    let metrics = get(&format!("http://{}/metrics", gateway.admin)).body;
    assert!(metrics.contains("msctl_config_generation "), "{metrics}");
    assert_eq!(gateway.get("/svc/x").status, 200);
    let counted = || get(&format!("http://{}/metrics", gateway.admin)).body.contains("service=\"svc\"");
    until(SOON, "the request in the metrics", || counted().then_some(()));
    until(SOON, "its line", || gateway.running().stdout().contains("\"path\":\"/svc/x\"").then_some(()));
    assert_eq!(get(&format!("http://{}/elsewhere", gateway.admin)).status, 404);
    assert_eq!(gateway.get("/healthz").status, 404, "it is not for clients");
}

#[test]
fn an_address_that_is_taken_is_said_to_be() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let home = tempfile::tempdir().unwrap();
    let arguments = ["gateway", "--listen", &listen, "--route", "/=http://127.0.0.1:1", "--no-probe"];
    let ran = Msctl::new(home.path(), &arguments).run().expect_code(6);
    assert!(ran.stderr.contains(&format!("cannot listen on {listen}")), "{}", ran.stderr);
}

#[test]
fn gateways_that_share_a_port_all_get_clients() {
    let home = tempfile::tempdir().unwrap();
    let start = |listen: &str, backend: &Backend| {
        let route = format!("/=http://{}", backend.address);
        let arguments = ["gateway", "--listen", listen, "--share-port", "--route", &route];
        let running = Msctl::new(home.path(), &arguments).spawn();
        running.says("gateway at http://");
        running
    };
    let (one, other) = (Backend::named("one"), Backend::named("other"));
    let first = start("127.0.0.1:0", &one);
    let address = address_after(&first, "gateway at http://");
    let _second = start(&address.to_string(), &other);
    let mut answered = std::collections::BTreeSet::new();
    // A hash of a connection's ports decides: some dozen reach both.
    until(SOON, "an answer of each", || {
        answered.insert(get(&format!("http://{address}/")).body);
        (answered.len() == 2).then_some(())
    });
}

#[test]
fn the_limit_of_open_files_is_raised_and_what_it_does_not_allow_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let script = "ulimit -Sn 256 && ulimit -Hn 4096 && exec \"$0\" gateway --listen 127.0.0.1:0 \
                  --route /svc=http://127.0.0.1:1 --no-probe";
    let limited = Msctl::new(folder.path(), &["-c", script, env!("CARGO_BIN_EXE_msctl")]).program("/bin/sh");
    let running = limited.spawn();
    running.says("the limit of open files is 4096");
    assert!(running.stderr().contains("2016"), "{}", running.stderr());
}
