//! The wall clock jumps while a platform is up, as when a machine asks for the time after a long sleep.

use serde_json::Value;

use crate::e2e::client::Client;
use crate::e2e::services::Service;
use crate::e2e::stage::{Stage, as_processes, on_docker};
use crate::harness::clock::Clock;
use crate::harness::platform::{TestPlatform, TestService};

const HOUR: i64 = 3600;

fn services() -> [Service; 3] {
    [
        Service::new("order").calls("cart"),
        Service::new("cart"),
        Service::new("mine").for_people_with_a_token(),
    ]
}

#[tokio::test]
async fn a_clock_that_jumps_restarts_no_container_and_only_ends_tokens() {
    on_docker(&services(), jumps).await;
}

#[tokio::test]
async fn a_clock_that_jumps_restarts_no_local_process_and_only_ends_tokens() {
    as_processes(&services(), jumps).await;
}

async fn jumps(stage: &Stage) {
    let clock = Clock::new();
    let up = stage.run(stage.command(&stage.up_arguments()).envs(clock.variables())).await;
    assert_eq!(up.code, 0, "{}", up.stderr);
    let gateway = stage.gateway().await;
    let before = instances(stage).await;
    let (short, long) = (token(stage, "30m").await, token(stage, "2h").await);
    for (offset, short_counts, long_counts) in
        [(0, true, true), (HOUR, false, true), (-HOUR, false, false), (0, true, true)]
    {
        clock.is_off_by(offset);
        assert_eq!(is_let_in(gateway, &short).await, short_counts, "30 minutes, {offset} s off");
        assert_eq!(is_let_in(gateway, &long).await, long_counts, "2 hours, {offset} s off");
        looks_at_everything(stage).await;
        assert_eq!(instances(stage).await, before, "{offset} s off");
    }
}

async fn token(stage: &Stage, ttl: &str) -> String {
    let issued = stage.msctl(&["token", "issue", "--subject", "ann", "--ttl", ttl]).await;
    assert_eq!(issued.code, 0, "{}", issued.stderr);
    issued.stdout.trim().to_owned()
}

async fn is_let_in(gateway: Client, token: &str) -> bool {
    let bearer = format!("Bearer {token}");
    let answer = gateway.get_with("/mine/", &[("Authorization", &bearer)]).await.unwrap();
    assert!(matches!(answer.status, 200 | 401), "{answer:?}");
    answer.status == 200
}

/// What is asked for leads to a look, and here to nothing else.
async fn looks_at_everything(stage: &Stage) {
    let up = stage.msctl(&["up", "-d"]).await;
    assert_eq!(up.code, 0, "{}", up.stderr);
}

/// What runs of each service, and how often it has failed.
async fn instances(stage: &Stage) -> Vec<(Value, Value, Value)> {
    let mut ps = stage.ps().await;
    let services = ps["services"].as_array_mut().unwrap().iter_mut();
    services
        .map(|service| {
            assert_eq!(service["state"], "ready", "{service}");
            let handle = service["instances"][0]["handle"].take();
            (service["name"].take(), handle, service["failures"].take())
        })
        .collect()
}

/// Services say the time of a line themselves, and theirs has jumped too.
#[test]
fn lines_stay_in_their_order_though_the_clock_went_back() {
    let say = |time: &str, text: &str| format!(r#"echo '{{"timestamp":"{time}","message":"{text}"}}'"#);
    let said = [
        say("2026-03-01T12:00:00Z", "first"),
        say("2026-03-01T11:00:00Z", "second"),
        say("2026-03-01T13:00:00Z", "third"),
        say("2026-03-01T12:30:00Z", "fourth"),
    ];
    let responder = crate::harness::responder::responder().display();
    let command = format!("{}; exec {responder}", said.join("; "));
    let order = TestService::named("order").and(&format!("[process]\nbuild = 'true'\ncommand = {command:?}"));
    let shop = TestPlatform::of(&[order, TestService::named("cart")]);
    shop.up();
    let logs = shop.msctl(&["logs", "-n", "100"]).success().stdout;
    let told: Vec<usize> =
        ["first", "second", "third", "fourth"].map(|text| logs.find(text).expect("it was said")).to_vec();
    assert!(told.is_sorted(), "{logs}");
}
