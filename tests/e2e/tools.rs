//! Looking at what runs: logs, exec, describe.

use super::services::Service;
use super::stage::{Stage, as_processes, on_docker};

fn talkative() -> Vec<Service> {
    vec![Service::new("order").with("LOG_LINES", "3").calls("product"), Service::new("product")]
}

#[tokio::test]
async fn logs_show_what_a_container_printed_and_whose_line_it_is() {
    on_docker(&talkative(), logs).await;
}

#[tokio::test]
async fn logs_show_what_a_local_process_printed_and_whose_line_it_is() {
    as_processes(&talkative(), logs).await;
}

async fn logs(stage: &Stage) {
    stage.up().await;
    let shown = stage.msctl(&["logs", "order"]).await;
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let lines: Vec<&str> = shown.stdout.lines().map(str::trim_end).collect();
    let expected = ["line 1", "line 2", "line 3", "listening on "].map(|text| format!("order.v1.1 | {text}"));
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.starts_with(expected.as_str()), "{line}");
    }
    let last = stage.msctl(&["logs", "order", "-n", "1", "--format", "jsonl"]).await;
    let last: serde_json::Value = serde_json::from_str(&last.stdout).unwrap();
    assert_eq!((&last["service"], &last["stream"]), (&"order".into(), &"stdout".into()));
}

#[tokio::test]
async fn exec_runs_inside_the_container_and_passes_on_how_it_ended() {
    on_docker(&talkative(), async |stage| {
        stage.up().await;
        let said = stage.msctl(&["exec", "order", "--", "/app/order", "env", "SERVICE_NAME"]).await;
        assert_eq!((said.code, said.stdout.trim()), (0, "order"), "{}", said.stderr);
        let ended = stage.msctl(&["exec", "order", "--", "/app/order", "exit", "7"]).await;
        assert_eq!(ended.code, 7, "{}", ended.stderr);
        let unknown = stage.msctl(&["exec", "ordr", "--", "/app/order", "exit", "0"]).await;
        assert_eq!(unknown.code, 2);
        assert!(unknown.stderr.contains("did you mean \"order\"?"), "{}", unknown.stderr);
    })
    .await;
}

#[tokio::test]
async fn describe_tells_how_a_service_runs_and_what_it_is_given() {
    on_docker(&talkative(), async |stage| {
        stage.up().await;
        let shown = stage.msctl(&["describe", "order"]).await;
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        for part in ["ready, 1/1 ready", "order.v1.1  running", "serving", "LOG_LINES=3", "product", "/order"]
        {
            assert!(shown.stdout.contains(part), "{part} is not in {}", shown.stdout);
        }
    })
    .await;
}
