//! What a configuration may say, and what is said about one that is not valid.

use std::path::Path;
use std::time::{Duration, SystemTime};

use msctl::auth::{Signer, TokenRequest};
use msctl::model::platform::AuthSettings;

use super::backend::Backend;
use super::{SOON, TestGateway, service};
use crate::binary::tls;
use crate::harness::http::get;
use crate::harness::msctl::{Msctl, Ran};
use crate::harness::wait::until;

fn check(folder: &Path, file: &str) -> Ran {
    Msctl::new(folder, &["gateway", "--config", file, "--check"]).within(folder).run()
}

fn check_content(content: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), content).unwrap();
    check(folder.path(), "gateway.toml")
}

#[test]
fn the_example_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gateway");
    let home = tempfile::tempdir().unwrap();
    let ran = Msctl::new(home.path(), &["gateway", "--config", "gateway.toml", "--check"])
        .within(folder)
        .run()
        .success();
    assert_eq!(ran.stderr, "valid: 1 listener, 3 services, 4 routes\n");
}

#[test]
fn every_problem_is_named_with_its_place_and_what_to_do() {
    let content = "\
[[services]]
name = \"orders\"
endpoints = [\"https://a:1\", \"http://b:1\", \"h2c://c:1\"]
probe = \"never\"
[[services.routes]]
path = \"/orders\"
[[services]]
name = \"orders\"
endpoints = []
[[services.routes]]
path = \"/orders\"
methods = [\"GET\"]
access = \"public\"
[[listners]]
";
    let ran = check_content(content).expect_code(2);
    let expected = "\
error: the configuration is not valid

gateway.toml:3:14: \"https://a:1\" is not an endpoint: TLS to endpoints is not spoken; use http:// or h2c://
  3 | endpoints = [\"https://a:1\", \"http://b:1\", \"h2c://c:1\"]
    |              ^^^^^^^^^^^^^
hint: for example \"http://10.0.0.7:9000\", or \"h2c://chat:50051\" where HTTP/2 is spoken

gateway.toml:3:43: one service speaks one protocol, but its endpoints are http:// and h2c://
  3 | endpoints = [\"https://a:1\", \"http://b:1\", \"h2c://c:1\"]
    |                                           ^^^^^^^^^^^
hint: make two services of it

gateway.toml:4:9: \"never\" is not a way to probe
  4 | probe = \"never\"
    |         ^^^^^^^
hint: the ways to probe: off, tcp, { path = \"/health/ready\" }

gateway.toml:6:8: /orders is for those with a token, but there is no [auth]
  6 | path = \"/orders\"
    |        ^^^^^^^^^
hint: say whose tokens count in [auth], or open it to everybody with access = \"public\"

gateway.toml:8:8: there are two services called \"orders\"
  8 | name = \"orders\"
    |        ^^^^^^^^
note: the other one is at gateway.toml:2:8
hint: give one of them another name

gateway.toml:9:13: endpoints is an empty list: nobody would ever answer
  9 | endpoints = []
    |             ^^
hint: for example endpoints = [\"http://10.0.0.7:9000\"]

gateway.toml:11:8: \"orders\" has two routes for /orders
  11 | path = \"/orders\"
     |        ^^^^^^^^^
note: this one is for GET; the one at gateway.toml:6:8 is for all methods
hint: change a path, or give both a list of methods that have none in common (GET includes HEAD)

gateway.toml:14:3: unknown section [listners]
  14 | [[listners]]
     |   ^^^^^^^^
hint: did you mean [listeners]?
";
    assert_eq!(ran.stderr, expected);
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let ran = check(folder.path(), "gateway.toml").expect_code(1);
    assert!(ran.stderr.contains("failed to read "), "{}", ran.stderr);
}

const ISSUER: &str = "https://idp.example.com";

struct Issuer(Signer);

impl Issuer {
    fn new(folder: &Path) -> Self {
        let access_token_ttl = Duration::from_secs(60);
        let settings = AuthSettings { access_token_ttl, issuer: Some(ISSUER.to_owned()) };
        Self(Signer::open(&folder.join("keys"), &"shop".parse().unwrap(), &settings).unwrap())
    }

    fn document(&self) -> String {
        serde_json::to_string(&self.0.key().jwks()).unwrap()
    }

    /// Status and body of a request with a token of `ada` that carries these scopes.
    fn get(&self, gateway: &TestGateway, scopes: &[&str]) -> (u16, String) {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let request = TokenRequest { scopes, ..TokenRequest::for_subject("ada") };
        let token = self.0.issue(&request, SystemTime::now()).unwrap();
        let request = ureq::get(format!("http://{}/svc/x", gateway.address));
        let request = request.header("authorization", format!("Bearer {}", token.expose()));
        let mut answer = request.config().http_status_as_error(false).build().call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }
}

/// A service for those with a scope, and whose word is taken for it.
fn guarded(backend: &Backend, jwks: &str) -> String {
    let auth = format!("[auth]\nissuer = \"{ISSUER}\"\naudience = \"shop\"\njwks = \"{jwks}\"\n");
    auth + &service("svc", &[backend.address]).replace("\"public\"", "{ scopes = [\"orders:read\"] }")
}

#[test]
fn a_token_counts_by_the_keys_that_the_file_names() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new(folder.path());
    let jwks = folder.path().join("jwks.json");
    std::fs::write(&jwks, issuer.document()).unwrap();
    let backend = Backend::named("one");
    let gateway = TestGateway::of(&guarded(&backend, jwks.to_str().unwrap()));
    assert_eq!(gateway.get("/svc/x").status, 401);
    assert_eq!(issuer.get(&gateway, &["other"]).0, 403);
    assert_eq!(issuer.get(&gateway, &["orders:read"]), (200, "one /x ada".to_owned()));
    std::fs::write(&jwks, "{\"keys\": []}").unwrap();
    gateway.running().says("it holds no public key that signs");
    assert_eq!(issuer.get(&gateway, &["orders:read"]).0, 200, "the last good keys count");
}

#[test]
fn keys_are_fetched_until_they_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new(folder.path());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let backend = Backend::named("one");
    let gateway = TestGateway::of(&guarded(&backend, &format!("http://{free}/jwks.json")));
    let readiness = gateway.asked("/readyz");
    assert_eq!(readiness["obstacles"][0], "the keys of [auth] were not fetched yet");
    assert_eq!(issuer.get(&gateway, &["orders:read"]).0, 401);
    let _keys = Backend::with_document(issuer.document(), free);
    until(SOON, "the keys", || (gateway.asked("/readyz")["ready"] == true).then_some(()));
    assert_eq!(issuer.get(&gateway, &["orders:read"]).0, 200);
}

#[test]
fn a_listener_may_speak_tls_and_lead_plain_http_there() {
    let backend = Backend::named("one");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let svc = service("svc", &[backend.address]);
    let secure = format!("tls = \"local\"\nredirect_from = \"{free}\"\nhsts = true\n");
    let home = tempfile::tempdir().unwrap();
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let file = format!("[[listeners]]\nlisten = \"127.0.0.1:0\"\n{secure}{admin}{svc}");
    std::fs::write(home.path().join("gateway.toml"), file).unwrap();
    let command = Msctl::new(home.path(), &["gateway", "--config", "gateway.toml"]).within(home.path());
    let running = command.spawn();
    running.says("gateway at https://");
    let address = super::address_after(&running, "gateway at https://");
    let clear = get(&format!("http://{address}/svc/x"));
    assert_eq!((clear.status, clear.body.contains("this port speaks HTTPS")), (400, true), "{clear:?}");
    let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).build().into();
    let answer = agent.get(format!("http://{free}/svc/x")).call().unwrap();
    let place = answer.headers()["location"].to_str().unwrap();
    assert_eq!(place, format!("https://127.0.0.1:{}/svc/x", address.port()));
    let trust = ["tls", "trust", "--format", "json"];
    let trust = Msctl::new(home.path(), &trust).within(home.path()).run().success().json();
    let authority = Path::new(trust["certificate"].as_str().unwrap());
    let answer = tls::get(&address.to_string(), "localhost", "/svc/x", authority).unwrap();
    assert!(answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
    let admin = super::address_after(&running, "admin at http://");
    let metrics = get(&format!("http://{admin}/metrics")).body;
    assert!(
        metrics.contains("msctl_certificate_expiry_timestamp_seconds{listener=\"127.0.0.1:"),
        "{metrics}"
    );
}

#[test]
fn lines_cannot_be_checked_and_start_nothing_when_asked_to_be() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["gateway", "--route", "/=http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--check"];
    let ran = Msctl::new(home.path(), &arguments).run().expect_code(2);
    assert!(ran.stderr.contains("--check"), "{}", ran.stderr);
}

#[test]
fn an_address_says_what_it_lacks() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["gateway", "--route", "/=http://127.0.0.1:1", "--listen", "9000"];
    let ran = Msctl::new(home.path(), &arguments).run().expect_code(2);
    assert!(ran.stderr.contains("write IP:port, 127.0.0.1:9000 for this machine"), "{}", ran.stderr);
}
