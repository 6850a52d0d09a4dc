//! Instances that die by themselves or by force, or do not want to.

use std::process::Stdio;

use bollard::query_parameters::KillContainerOptions;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::e2e::redeploy::Visitor;
use crate::e2e::services::Service;
use crate::e2e::stage::on_docker;
use crate::e2e::witness;

#[tokio::test]
async fn a_container_that_dies_under_load_costs_no_request_and_is_started_again() {
    on_docker(&[Service::new("order").run("replicas", "2")], async |stage| {
        let gateway = stage.up().await;
        let visitors = [(); 3].map(|()| Visitor::of(gateway, "/order/"));
        for visitor in &visitors {
            visitor.has_been_served(20).await;
        }
        let victim = witness::container_names(stage).await.remove(0);
        witness::engine_of(stage).kill_container(&victim, None::<KillContainerOptions>).await.unwrap();
        let order = stage
            .until("order", "both are ready again", |order| {
                order["failures"] == 1 && order["state"] == "ready"
            })
            .await;
        assert_eq!(order["instances"].as_array().map(Vec::len), Some(2), "{order}");
        for visitor in visitors {
            assert_eq!(visitor.leave().await, Vec::<String>::new());
        }
    })
    .await;
}

#[tokio::test]
async fn what_crashes_again_and_again_is_tried_ever_more_rarely() {
    on_docker(&[Service::new("order").with("EXIT_CODE", "1").with("LOG_LINES", "30")], async |stage| {
        let up = stage.try_up().await;
        assert_eq!(up.code, 5, "{}", up.stderr);
        let shown = up.stderr.lines().filter(|line| line.trim_start().starts_with("line ")).count();
        assert_eq!(shown, 20, "its last lines: {}", up.stderr);
        let order = stage
            .until("order", "it is crash-looping", |order| {
                order["state"] == "crash-looping" && order["failures"].as_u64() >= Some(4)
            })
            .await;
        let told = stage.msctl(&["events"]).await.stdout;
        let times = |step: &str, how: &str| -> Vec<u64> {
            let lines = told.lines().filter(|line| line.contains(step) && line.contains(how));
            lines.map(time_of_day).collect()
        };
        let (tries, failures) = (times(" create+start ", " begun"), times(" await-ready ", " failed: "));
        assert!(tries.len() >= 4 && tries.len() <= failures.len() + 1, "{told}");
        for (number, (failed, tried)) in failures.iter().zip(&tries[1..]).enumerate() {
            assert!(since(*failed, *tried) >= 1000 << number, "try {}: {told}", number + 2);
        }
        let log = std::fs::read_to_string(order["log"].as_str().expect("where its output is kept")).unwrap();
        assert_eq!(log.lines().count(), 30, "{log}");
    })
    .await;
}

#[tokio::test]
async fn those_who_ignore_the_request_to_stop_are_waited_for_together() {
    let stubborn = |name| Service::new(name).with("IGNORE_TERM", "1").run("stop_grace", "\"1s\"");
    on_docker(&[stubborn("order"), stubborn("cart"), stubborn("user")], async |stage| {
        stage.up().await;
        let mut follower = stage.command(&["events", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(follower.stdout.take().unwrap());
        let mut text = String::new();
        told.read_line(&mut text).await.unwrap();
        stage.down().await;
        told.read_to_string(&mut text).await.unwrap();
        assert_eq!(witness::everything(stage).await, Vec::<String>::new());
        let removals: Vec<&str> = text.lines().filter(|line| line.contains("stop+remove")).collect();
        let last_begun = removals.iter().rposition(|line| line.contains("begun"));
        let first_done = removals.iter().position(|line| line.contains("done in"));
        assert_eq!(removals.len(), 6, "{text}");
        assert!(last_begun < first_done, "one after the other: {text}");
    })
    .await;
}

const DAY: u64 = 24 * 60 * 60 * 1000;

/// The time with which a line begins, such as `18:27:28.473Z`, in milliseconds.
fn time_of_day(line: &str) -> u64 {
    let number = |range: std::ops::Range<usize>| line[range].parse::<u64>().expect("a time");
    ((number(0..2) * 60 + number(3..5)) * 60 + number(6..8)) * 1000 + number(9..12)
}

/// From one time to a later one, which may be on the next day.
fn since(earlier: u64, later: u64) -> u64 {
    (later + DAY - earlier) % DAY
}
