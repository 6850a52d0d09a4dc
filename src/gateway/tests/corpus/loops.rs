//! A gateway that leads to itself.

use crate::gateway::tests::harness::World;
use crate::gateway::tests::wire::Wire;
use crate::model::catalog::EndpointState::Ready;

use super::run::world;

#[tokio::test]
async fn a_request_that_comes_back_is_stopped_after_a_few_rounds() {
    let mut world = World::new().await;
    world.set("order", &[(1, world.public, Ready)]);
    let answer = world.get("/orders", "").await;
    assert_eq!((answer.status(), answer.problem("code").as_str()), (508, "loop_detected"));
    assert_eq!(answer.problem("retryable"), "false");
    // Nothing of it is left behind.
    let mut wire = Wire::connect(world.public).await;
    wire.write("GET /auth HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(wire.read().await.unwrap().status(), 200);
}

#[tokio::test]
async fn nobody_makes_the_gateway_forget_how_often_it_saw_a_request() {
    let mut world = World::new().await;
    world.set("order", &[(1, world.public, Ready)]);
    for lines in [
        "X-Msctl-Hops: 0\r\n",
        "X-Msctl-Hops: -100\r\n",
        "X-Msctl-Hops: x\r\nX_Msctl_Hops: 0\r\n",
        "Connection: x-msctl-hops\r\n",
    ] {
        assert_eq!(world.get("/orders", lines).await.status(), 508, "{lines}");
    }
}

#[tokio::test]
async fn a_few_gateways_in_a_row_are_no_loop() {
    let (world, recorder) = world().await;
    for (hops, status) in [("1", 200), ("4", 200), ("5", 508), ("6", 508)] {
        assert_eq!(
            world.get("/orders", &format!("X-Msctl-Hops: {hops}\r\n")).await.status(),
            status,
            "{hops}"
        );
    }
    assert_eq!(recorder.take().len(), 2);
}
