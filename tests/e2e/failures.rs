//! Services that crash, starve, hang or never get ready: what `up`, `ps` and the exit code say.

use std::net::TcpListener;

use serde_json::Value;

use super::services::Service;
use super::stage::{Stage, as_processes, on_docker};
use super::witness;

fn problem(service: &Value) -> &str {
    service["problem"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_container_that_crashes_again_and_again_is_called_crash_looping() {
    on_docker(&[Service::new("order").with("EXIT_CODE", "3"), Service::new("cart")], crash_loop).await;
}

#[tokio::test]
async fn a_local_process_that_crashes_again_and_again_is_called_crash_looping() {
    as_processes(&[Service::new("order").with("EXIT_CODE", "3"), Service::new("cart")], crash_loop).await;
}

async fn crash_loop(stage: &Stage) {
    let done = stage.try_up().await;
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(done.stderr.contains("exited with code 3"), "{}", done.stderr);
    let order = stage.until("order", "it is crash-looping", |order| order["state"] == "crash-looping").await;
    assert!(problem(&order).contains("exited with code 3"), "{order}");
    assert!(order["failures"].as_u64() >= Some(3), "{order}");
    // Others are not held up by it.
    assert_eq!(stage.get("/cart/env/SERVICE_NAME").await, "cart");
}

#[tokio::test]
async fn a_container_that_takes_too_much_memory_is_said_to_be_out_of_it() {
    let order = Service::new("order").run("memory", "\"16MiB\"").with("ALLOCATE_MIB", "64");
    on_docker(&[order, Service::new("cart")], async |stage| {
        let done = stage.try_up().await;
        assert_eq!(done.code, 5, "{}", done.stderr);
        let order = stage.until("order", "it has failed", |order| order["failures"] != 0).await;
        assert!(problem(&order).contains("out of memory"), "{order}");
        assert!(problem(&order).contains("16MiB"), "{order}");
        assert_eq!(stage.get("/cart/env/SERVICE_NAME").await, "cart");
    })
    .await;
}

#[tokio::test]
async fn a_service_whose_dependency_fails_is_not_started_and_says_whose_fault_it_is() {
    let services = [Service::new("order").calls("product"), Service::new("product").with("EXIT_CODE", "9")];
    on_docker(&services, async |stage| {
        let done = stage.try_up().await;
        assert_eq!(done.code, 5, "{}", done.stderr);
        assert!(
            done.stderr.contains("product.v1.1 exited with code 9 before it was ready"),
            "{}",
            done.stderr
        );
        assert!(
            done.stderr.contains("not started, because it calls product, which failed"),
            "{}",
            done.stderr
        );
        let names = witness::container_names(stage).await;
        assert!(names.iter().all(|name| !name.contains("-order-")), "{names:?}");
    })
    .await;
}

#[tokio::test]
async fn what_never_gets_ready_is_a_timeout_that_says_what_was_waited_for() {
    let order = Service::new("order").with("READY_AFTER_MS", "600000").start_period("1s");
    on_docker(&[order], async |stage| {
        let done = stage.try_up().await;
        assert_eq!(done.code, 4, "{}", done.stderr);
        let said = "order.v1.1 is not ready within 1s: GET /health/ready answers 503 Service Unavailable";
        assert!(done.stderr.contains(said), "{}", done.stderr);
    })
    .await;
}

#[tokio::test]
async fn what_gets_ready_late_but_in_time_is_waited_for() {
    let order = Service::new("order").with("READY_AFTER_MS", "1500").start_period("30s");
    on_docker(&[order], async |stage| {
        stage.up().await;
        assert_eq!(stage.service("order").await["state"], "ready");
    })
    .await;
}

#[tokio::test]
async fn what_ignores_the_request_to_stop_is_killed_and_removed() {
    let order = Service::new("order").with("IGNORE_TERM", "1").run("stop_grace", "\"1s\"");
    on_docker(&[order], async |stage| {
        stage.up().await;
        stage.down().await;
        assert_eq!(witness::everything(stage).await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_port_that_somebody_else_holds_is_a_conflict_that_names_the_holder() {
    on_docker(&[Service::new("order")], async |stage| {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let path = stage.folder().join("msctl.toml");
        let manifest = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, manifest.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))).unwrap();
        let done = stage.try_up().await;
        assert_eq!(done.code, 6, "{}", done.stderr);
        let named = format!("(process {})", std::process::id());
        assert!(done.stderr.contains(&port.to_string()) && done.stderr.contains(&named), "{}", done.stderr);
        assert_eq!(witness::everything(stage).await, Vec::<String>::new());
    })
    .await;
}
