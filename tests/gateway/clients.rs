//! One test a client.

use std::path::Path;

use super::stage::{Stage, has, python_with_grpc};

#[test]
fn curl_is_served_in_http_1_and_http_2() {
    if !has("python3") || !has("curl") {
        return;
    }
    Stage::new(Path::new("python3"), "service.py", "http").client("bash", &[], "curl.sh");
}

#[test]
fn node_is_served_with_fetch_http2_and_websockets() {
    if !has("python3") || !has("node") {
        return;
    }
    let stage = Stage::new(Path::new("python3"), "service.py", "http");
    stage.client("node", &["--experimental-websocket", "--no-warnings"], "client.mjs");
}

#[test]
fn python_is_served_by_its_own_library() {
    if !has("python3") {
        return;
    }
    Stage::new(Path::new("python3"), "service.py", "http").client("python3", &[], "client.py");
}

#[test]
fn grpc_calls_of_all_four_kinds_pass() {
    if !has("python3") {
        return;
    }
    let Some(python) = python_with_grpc() else { return };
    Stage::new(&python, "grpc_service.py", "h2c").client(&python, &[], "grpc_client.py");
}
