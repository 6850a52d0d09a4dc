//! What only the gateway may say, whoever else says it, in whatever spelling.

use super::row::{get, served};
use super::run::{check, whole, world};
use crate::gateway::tests::harness::send;
use crate::gateway::tests::wire::Wire;

const IDENTITY: &str = "CVE-2026-39858";
const FORWARDED: &str = "RFC 7239, section 8.1";

const NAMES: [&str; 22] = [
    "X-User-Id",
    "X-User-Scopes",
    "X-User",
    "X-User-Email",
    "X-Auth",
    "X-Auth-User",
    "X-Auth-Request-Email",
    "X-Scopes",
    "X-Caller-Service",
    "X-Service-Token",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Client-Cert",
    "X-Real-IP",
    "Forwarded",
    "X-Msctl-Attempt",
    "X-Msctl-Hops",
    "X-Msctl-No-Retry",
];

#[tokio::test]
async fn no_spelling_of_a_name_of_ours_gets_through() {
    for name in NAMES {
        let spellings = [
            name.to_owned(),
            name.to_ascii_lowercase(),
            name.to_ascii_uppercase(),
            name.replace('-', "_"),
            name.replacen('-', "_", 1),
            name.to_ascii_uppercase().replace('-', "_"),
        ];
        for target in ["/orders", "/order/health/live"] {
            let seen = format!(
                "GET {} HTTP/1.1\n",
                target.trim_start_matches("/order/").replace("health", "/health")
            );
            check(spellings.iter().map(|name| {
                served(
                    IDENTITY,
                    "a name of ours",
                    get(target, &format!("{name}: forged\r\n{name}: forged\r\n")),
                    &seen,
                )
            }))
            .await;
        }
    }
}

#[tokio::test]
async fn what_the_gateway_says_is_all_of_it_and_once() {
    let (world, recorder) = world().await;
    let forged: String =
        NAMES.map(|name| format!("{name}: forged\r\n{}: forged\r\n", name.replace('-', "_"))).concat();
    let lines = format!("{forged}X-Request-Id: forged\r\nAuthorization: Bearer ann.r.w\r\n");
    let answer = world.get("/stripped/deep/7", &lines).await;
    assert_eq!(answer.status(), 200);
    let seen = recorder.take();
    let request = whole(&seen)[0].clone();
    assert!(!request.head.contains("forged"), "{}", request.head);
    for (name, value) in [
        ("host", "store.localhost"),
        ("x-forwarded-host", "store.localhost"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-port", "80"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/stripped/deep"),
        ("x-real-ip", "127.0.0.1"),
        ("x-user-id", "ann"),
        ("x-user-scopes", "r w"),
        ("authorization", "Bearer ann.r.w"),
        ("x-msctl-hops", "1"),
    ] {
        assert_eq!(request.headers(name), [value], "{FORWARDED} {name}\n{}", request.head);
    }
    assert_eq!(request.headers("x-request-id"), [answer.header("x-request-id").unwrap()]);
}

#[tokio::test]
async fn a_client_does_not_choose_the_id_of_its_request() {
    let (world, recorder) = world().await;
    for given in ["mine", "", "a b", &"a".repeat(200), "\"quoted\"", "0198c0de-0000-7000-8000-000000000000"] {
        let answer =
            world.get("/orders", &format!("X-Request-Id: {given}\r\nX_Request_Id: {given}\r\n")).await;
        let id = answer.headers("x-request-id").join(" and ");
        assert!(id != given && uuid::Uuid::parse_str(&id).is_ok(), "{given:?} became {id:?}");
        assert_eq!(whole(&recorder.take())[0].headers("x-request-id"), [id.as_str()]);
    }
}

#[tokio::test]
async fn an_instance_hands_the_id_on_and_a_bad_one_is_replaced() {
    let (mut world, recorder) = world().await;
    world.set("product", &[(1, recorder.backend.address, crate::model::catalog::EndpointState::Ready)]);
    for (given, kept) in [("0198-abc", true), ("a b", false), (&*"a".repeat(129), false), ("\u{e9}", false)] {
        let answer =
            send(world.link, &format!("GET /x HTTP/1.1\r\nHost: a\r\nX-Request-Id: {given}\r\n\r\n")).await;
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(id == given, kept, "{given}");
        let seen = recorder.take();
        assert_eq!(whole(&seen)[0].headers("x-request-id"), [id]);
        assert_eq!(whole(&seen)[0].headers("x-caller-service"), ["order"]);
    }
}

#[tokio::test]
async fn an_answer_has_one_id_and_it_is_ours() {
    let (world, recorder) = world().await;
    recorder
        .say(b"HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nX-Request-Id: more\r\nContent-Length: 0\r\n\r\n");
    let mut wire = Wire::connect(world.public).await;
    wire.write(get("/orders", "")).await;
    let answer = wire.read().await.unwrap();
    let seen = recorder.take();
    assert_eq!(answer.headers("x-request-id"), whole(&seen)[0].headers("x-request-id"));
}
