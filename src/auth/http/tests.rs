use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tower_service::Service;

use super::*;
use crate::auth::{Auth, AuthOptions, TokenRequest};
use crate::model::platform::AuthSettings;

const PASSWORD: &str = "correct horse";

/// Auth behind a real listener, on a runtime of its own that ends with the value.
struct Served {
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
    auth: Auth,
    address: SocketAddr,
    agent: ureq::Agent,
}

/// What came back: enough to assert on.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().unwrap();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }

    fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json");
        assert_eq!(self.header(header::CACHE_CONTROL), "no-store");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["request_id"], self.header(REQUEST_ID));
        for member in ["type", "title", "detail"] {
            assert!(self.body[member].is_string(), "{member}");
        }
        assert!(self.body["retryable"].is_boolean());
    }
}

fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let platform = "store".parse().unwrap();
    let settings = AuthSettings { access_token_ttl: Duration::from_secs(900), issuer: None };
    let own = folder.path().join("auth");
    let auth = Auth::open(AuthOptions { folder: &own, platform: &platform, settings: &settings }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let router = auth.router();
    runtime.spawn(async move { axum::serve(listener, router).await });
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    Served { runtime, _folder: folder, auth, address, agent }
}

impl Served {
    fn send(&self, request: http::request::Builder, path: &str, body: &str) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        let response = self.agent.run(request.uri(uri).body(body.to_owned()).unwrap()).unwrap();
        let (parts, mut body) = response.into_parts();
        let text = body.read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let request = http::Request::post("/").header(header::CONTENT_TYPE, "application/json");
        self.send(request, path, &body.to_string())
    }

    fn get(&self, path: &str, name: HeaderName, value: &str) -> Answer {
        self.send(http::Request::get("/").header(name, value), path, "")
    }

    fn register_ada(&self) -> Answer {
        self.post("/auth/register", &json!({"name": "Ada", "email": "ada@example.com", "password": PASSWORD}))
    }

    fn log_in(&self, password: &str) -> Answer {
        self.post("/auth/login", &json!({"email": "ada@example.com", "password": password}))
    }

    fn who_am_i(&self, token: &str) -> Answer {
        self.get("/auth/whoami", header::AUTHORIZATION, &format!("Bearer {token}"))
    }
}

fn text<'a>(answer: &'a Answer, member: &str) -> &'a str {
    answer.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {answer:?}"))
}

fn text_or_empty(answer: &Answer, member: &str) -> String {
    answer.body[member].as_str().unwrap_or_default().to_owned()
}

#[test]
fn registering_answers_with_the_account_and_nothing_that_proves_it() {
    let served = serve();
    let answer = served.register_ada();
    assert_eq!(answer.status, 201);
    let members: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["email", "id", "name", "scopes"]);
    assert_eq!(answer.body["scopes"], json!([]));
    served.register_ada().is_problem(409, "email-taken");
}

#[test]
fn nobody_registers_with_scopes() {
    let served = serve();
    let wish = json!({"name": "Eve", "email": "eve@example.com", "password": PASSWORD, "scopes": ["admin"]});
    assert_eq!(served.post("/auth/register", &wish).body["scopes"], json!([]));
}

#[test]
fn registering_names_every_field_that_is_wrong() {
    let served = serve();
    let answer = served.post("/auth/register", &json!({"email": "x"}));
    answer.is_problem(422, "validation");
    assert_eq!(answer.fields(), ["name", "email", "password"]);
}

#[test]
fn a_field_that_is_missing_is_named() {
    let served = serve();
    let answer = served.post("/auth/login", &json!({"email": "ada@example.com"}));
    answer.is_problem(422, "validation");
    assert_eq!(answer.fields(), ["password"]);
    let answer = served.post("/auth/refresh", &json!({}));
    answer.is_problem(422, "validation");
    assert_eq!(answer.fields(), ["refresh_token"]);
}

#[test]
fn a_login_gives_tokens_a_cookie_and_is_not_cached() {
    let served = serve();
    served.register_ada();
    let answer = served.log_in(PASSWORD);
    assert_eq!(answer.status, 200);
    assert_eq!((text(&answer, "token_type"), answer.body["expires_in"].as_u64()), ("Bearer", Some(900)));
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    let token = text(&answer, "access_token");
    let cookie = answer.header(header::SET_COOKIE);
    assert_eq!(cookie, format!("access_token={token}; Max-Age=900; HttpOnly; SameSite=Lax; Path=/"));

    assert_eq!(served.who_am_i(token).body["email"], "ada@example.com");
    let cookie = format!("theme=dark; access_token={token}");
    assert_eq!(served.get("/auth/whoami", header::COOKIE, &cookie).body["name"], "Ada");
    assert!(served.auth.verifier().verify(token, SystemTime::now()).is_ok(), "the gateway agrees");
}

#[test]
fn a_cookie_that_was_given_by_tls_goes_by_tls_alone() {
    let served = serve();
    served.register_ada();
    let cookie = |proto: &str, path: &str, body: &Value| {
        let request = http::Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-forwarded-proto", proto);
        let answer = served.send(request, path, &body.to_string());
        (answer.header(header::SET_COOKIE).to_owned(), text_or_empty(&answer, "refresh_token"))
    };
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    let (given, refresh) = cookie("https", "/auth/login", &login);
    assert!(given.ends_with("; HttpOnly; SameSite=Lax; Path=/; Secure"), "{given}");
    let (renewed, refresh) = cookie("https", "/auth/refresh", &json!({"refresh_token": refresh}));
    assert!(renewed.ends_with("; Path=/; Secure"), "{renewed}");
    let (forgotten, _) = cookie("https", "/auth/logout", &json!({"refresh_token": refresh}));
    assert_eq!(forgotten, "access_token=; Max-Age=0; HttpOnly; SameSite=Lax; Path=/; Secure");
    let (in_clear, _) = cookie("http", "/auth/login", &login);
    assert!(in_clear.ends_with("; Path=/"), "{in_clear}");
}

#[test]
fn a_wrong_password_and_an_unknown_account_get_the_same_answer() {
    let served = serve();
    served.register_ada();
    let mut wrong = served.log_in("wrong horse");
    let body = json!({"email": "nobody@example.com", "password": "wrong horse"});
    let mut unknown = served.post("/auth/login", &body);
    for answer in [&mut wrong, &mut unknown] {
        answer.is_problem(401, "wrong-credentials");
        answer.body["request_id"].take();
        for varying in [header::DATE, REQUEST_ID] {
            answer.headers.remove(varying);
        }
    }
    assert_eq!((wrong.body, wrong.headers), (unknown.body, unknown.headers));
}

#[test]
fn guessing_is_slowed_down_and_told_for_how_long() {
    let served = serve();
    served.register_ada();
    for _ in 0..5 {
        served.log_in("wrong horse").is_problem(401, "wrong-credentials");
    }
    let answer = served.log_in(PASSWORD);
    answer.is_problem(429, "too-many-attempts");
    let seconds: u64 = answer.header(header::RETRY_AFTER).parse().unwrap();
    assert!((1..=15).contains(&seconds) && answer.body["retryable"] == true);
}

#[test]
fn an_address_that_tries_many_accounts_is_slowed_down() {
    let served = serve();
    let guess = |number: usize, forwarded: &str| {
        let request = http::Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header(FORWARDED_FOR, forwarded);
        let body = json!({"email": format!("user{number}@example.com"), "password": "wrong horse"});
        served.send(request, "/auth/login", &body.to_string())
    };
    for number in 0..25 {
        guess(number, &format!("1.2.3.{number}, 10.0.0.1")).is_problem(401, "wrong-credentials");
    }
    guess(26, "9.9.9.9, 10.0.0.1").is_problem(429, "too-many-attempts");
    guess(27, "10.0.0.1, 10.0.0.2").is_problem(401, "wrong-credentials");
}

#[test]
fn a_refresh_token_works_once_and_its_reuse_ends_the_session() {
    let served = serve();
    served.register_ada();
    let login = served.log_in(PASSWORD);
    let renew = |token: &str| served.post("/auth/refresh", &json!({"refresh_token": token}));
    let renewed = renew(text(&login, "refresh_token"));
    assert_eq!(renewed.status, 200);
    assert_eq!(served.who_am_i(text(&renewed, "access_token")).status, 200);
    assert!(renewed.header(header::SET_COOKIE).starts_with("access_token="));

    renew(text(&login, "refresh_token")).is_problem(401, "session-over");
    renew(text(&renewed, "refresh_token")).is_problem(401, "session-over");
    renew("made-up").is_problem(401, "session-over");
}

#[test]
fn logging_out_clears_the_cookie_and_ends_the_session() {
    let served = serve();
    served.register_ada();
    let login = served.log_in(PASSWORD);
    let cookie = format!("access_token={}", text(&login, "access_token"));
    let answer = served.send(http::Request::post("/").header(header::COOKIE, cookie), "/auth/logout", "");
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header(header::SET_COOKIE), "access_token=; Max-Age=0; HttpOnly; SameSite=Lax; Path=/");
    let renew = served.post("/auth/refresh", &json!({"refresh_token": text(&login, "refresh_token")}));
    renew.is_problem(401, "session-over");
    assert_eq!(served.post("/auth/logout", &json!({})).status, 204, "also for nobody");
}

#[test]
fn whoami_asks_for_a_token_and_refuses_bad_ones() {
    let served = serve();
    let missing = served.get("/auth/whoami?access_token=x", header::ACCEPT, "*/*");
    missing.is_problem(401, "missing-token");
    assert_eq!(missing.header(header::WWW_AUTHENTICATE), "Bearer");

    let expired = TokenRequest { lifetime: Some(Duration::from_secs(1)), ..TokenRequest::for_subject("ada") };
    let past = SystemTime::now() - Duration::from_secs(60);
    let expired = served.auth.signer().issue(&expired, past).unwrap();
    let stranger = served.auth.issue(&TokenRequest::for_subject("ghost")).unwrap();
    for token in ["x", "a.b.c", &"x".repeat(16 * 1024), expired.expose(), stranger.expose()] {
        let refused = served.who_am_i(token);
        refused.is_problem(401, "invalid-token");
        assert_eq!(refused.header(header::WWW_AUTHENTICATE), "Bearer error=\"invalid_token\"");
        assert!(!refused.body.to_string().contains(token) || token == "x");
    }
    let two = served.get("/auth/whoami", header::COOKIE, "access_token=a; access_token=b");
    two.is_problem(401, "invalid-token");
}

#[test]
fn the_key_set_verifies_tokens_and_may_be_cached() {
    let served = serve();
    let answer = served.get("/.well-known/jwks.json", header::ACCEPT, "*/*");
    assert_eq!((answer.status, answer.header(header::CACHE_CONTROL)), (200, "public, max-age=300"));
    assert!(answer.body["keys"][0].get("d").is_none(), "the private half stays private");

    let keys: JwkSet = serde_json::from_value(answer.body).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&keys.keys[0]).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_audience(&[&served.auth.parties().audience]);
    validation.set_issuer(&[&served.auth.parties().issuer]);
    let token = served.auth.service_token(&"order".parse().unwrap()).unwrap();
    let decoded = jsonwebtoken::decode::<Value>(token.expose(), &key, &validation).unwrap();
    assert_eq!(decoded.claims["sub"], "service:order");
}

#[test]
fn bodies_that_are_not_what_is_expected_are_explained_without_quoting_them() {
    let served = serve();
    let send = |content_type: &str, body: &str| {
        let request = http::Request::post("/").header(header::CONTENT_TYPE, content_type);
        served.send(request, "/auth/login", body)
    };
    let form = "email=ada&password=hunter22";
    send("application/x-www-form-urlencoded", form).is_problem(415, "unsupported-media-type");
    send("text/plain", "{}").is_problem(415, "unsupported-media-type");
    send("application/json", "{\"email\": ").is_problem(400, "malformed-body");
    let number = send("application/json", "{\"email\": \"a@b\", \"password\": 73351}");
    number.is_problem(422, "validation");
    assert!(!number.body.to_string().contains("73351"));
}

#[test]
fn a_refused_body_is_read_first_so_that_its_connection_stays_usable() {
    let served = serve();
    let mut client = TcpStream::connect(served.address).unwrap();
    let mut answer_within = |milliseconds, sent: &str| {
        client.write_all(sent.as_bytes()).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(milliseconds))).unwrap();
        let mut answer = [0; 4096];
        client.read(&mut answer).map(|length| String::from_utf8_lossy(&answer[..length]).into_owned())
    };
    let head =
        "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n";
    for _ in ["first", "second on the same connection"] {
        assert!(answer_within(100, head).is_err(), "an answer before the body was read");
        assert!(answer_within(10_000, "{}").unwrap().starts_with("HTTP/1.1 415 "));
    }
}

#[test]
fn a_password_of_a_megabyte_is_refused_unread() {
    let served = serve();
    served.register_ada();
    // Not over a socket: a client that is refused while it still writes may see a reset first.
    let body = json!({"email": "ada@example.com", "password": "x".repeat(1 << 20)}).to_string();
    let request = http::Request::post("/auth/login").header(header::CONTENT_TYPE, "application/json");
    let request = request.body(axum::body::Body::from(body)).unwrap();
    let Ok(response) = served.runtime.block_on(served.auth.router().call(request));
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn paths_and_methods_that_are_not_served_are_problems_too() {
    let served = serve();
    served.get("/auth/nothing", header::ACCEPT, "*/*").is_problem(404, "no-route");
    let wrong = served.get("/auth/login", header::ACCEPT, "*/*");
    wrong.is_problem(405, "method-not-allowed");
    assert_eq!(wrong.header(header::ALLOW), "POST");
}

#[test]
fn the_gateways_request_id_is_kept() {
    let served = serve();
    let answer = served.get("/auth/whoami", REQUEST_ID, "from-the-gateway");
    answer.is_problem(401, "missing-token");
    assert_eq!(answer.body["request_id"], "from-the-gateway");
}
