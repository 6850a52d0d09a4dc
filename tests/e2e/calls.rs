//! Who may call whom, and what the called are told of the caller. The same on both runtimes where
//! both can.

use super::services::Service;
use super::stage::{Stage, as_processes, on_docker};

fn shop() -> Vec<Service> {
    vec![
        Service::new("order").calls("product").for_people_with_a_token(),
        Service::new("product"),
        Service::new("cart"),
    ]
}

#[tokio::test]
async fn a_declared_call_arrives_with_the_callers_name() {
    on_docker(&shop(), declared_call).await;
}

#[tokio::test]
async fn a_declared_call_arrives_with_the_callers_name_between_local_processes() {
    as_processes(&shop(), declared_call).await;
}

async fn declared_call(stage: &Stage) {
    let gateway = stage.up().await;
    let bearer = format!("Bearer {}", stage.token("alice").await);
    let credentials = [("authorization", bearer.as_str())];
    let product = gateway.get_with("/order/env/PRODUCT_URL", &credentials).await.unwrap().body;
    let call = format!("/order/call?url={product}/headers");
    let answer = gateway.get_with(&call, &credentials).await.unwrap();
    let (status, headers) = answer.body.split_once('\n').unwrap();
    assert_eq!((answer.status, status), (200, "200"));
    let headers = headers.to_ascii_lowercase();
    assert!(headers.contains("x-caller-service: order"), "{headers}");
    assert!(headers.contains("x-request-id: "), "{headers}");
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_replaced_by_what_its_token_says() {
    on_docker(&shop(), identity).await;
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_replaced_before_local_processes_too() {
    as_processes(&shop(), identity).await;
}

async fn identity(stage: &Stage) {
    let gateway = stage.up().await;
    assert_eq!(gateway.get("/order/headers").await.unwrap().status, 401);
    let bearer = format!("Bearer {}", stage.token("alice").await);
    let forged = [("x-user-id", "mallory"), ("X-Caller-Service", "cart"), ("x_user_id", "mallory")];
    let mut headers = forged.to_vec();
    headers.push(("authorization", &bearer));
    let seen = gateway.get_with("/order/headers", &headers).await.unwrap().body.to_ascii_lowercase();
    assert!(seen.contains("x-user-id: alice"), "{seen}");
    assert!(!seen.contains("mallory") && !seen.contains("x-caller-service"), "{seen}");
    let unsigned = gateway.get_with("/product/headers", &forged).await.unwrap().body.to_ascii_lowercase();
    assert!(!unsigned.contains("mallory") && !unsigned.contains("x-caller-service"), "{unsigned}");
}

#[tokio::test]
async fn an_undeclared_call_is_refused_with_the_line_that_would_allow_it() {
    on_docker(&shop(), async |stage| {
        stage.up().await;
        let door = stage.variable("order", "PRODUCT_URL").await;
        let cart = door.replace("http://product.", "http://cart.");
        let refused = stage.msctl(&["exec", "order", "--", "/app/order", "fetch", &cart]).await;
        let (status, problem) = refused.stdout.split_once('\n').unwrap();
        assert_eq!(status, "403");
        let problem: serde_json::Value = serde_json::from_str(problem).unwrap();
        assert_eq!(problem["code"], "call_not_declared");
        let detail = problem["detail"].as_str().unwrap();
        let manifest = stage.folder().join("services/order/service.toml");
        let manifest = manifest.strip_prefix(stage.folder()).unwrap().display().to_string();
        for part in ["order may not call cart", "add \"cart\" to services under [calls]", &manifest] {
            assert!(detail.contains(part), "{detail}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_door_is_the_only_way_to_another_service() {
    on_docker(&shop(), async |stage| {
        stage.up().await;
        let product = stage.service("product").await;
        let address = product["instances"][0]["address"].as_str().unwrap();
        let url = format!("http://{address}/health/ready");
        let dialled = stage.msctl(&["exec", "order", "--", "/app/order", "fetch", &url]).await;
        assert_ne!(dialled.code, 0, "{}", dialled.stdout);
    })
    .await;
}
