//! Containers keep the contract.

use std::sync::Arc;

use msctl::model::instance::Program;
use msctl::model::name::PlatformId;
use msctl::runtime::docker::Docker;
use msctl::runtime::{Runtime, labels};

use crate::harness::engine::engine;
use crate::harness::image::TestImage;

use super::contract;
use super::subject::{Subject, fresh_platform};

contract!(subject);
contract!(subject; with images);

/// The engine, with the responder as an image; `None` where there is no engine.
pub async fn subject() -> Option<Subject> {
    let host = engine()?.host().map(str::to_owned);
    let maker = fresh_platform();
    let docker = Docker::connect(maker.clone(), host.as_deref()).await.expect("the engine answers");
    let tag = format!("{maker}/responder:1");
    let image =
        TestImage { tag: &tag, labels: labels::of_platform(&maker), user: "", entrypoint: "/responder" };
    docker.images().expect("an engine has images").load(image.archive()).await.expect("the image loads");
    let open = move |platform: &PlatformId| {
        let connect = Docker::connect(platform.clone(), host.as_deref());
        let wait = || tokio::runtime::Handle::current().block_on(connect);
        Arc::new(tokio::task::block_in_place(wait).expect("the engine answers")) as _
    };
    let missing = format!("{maker}/missing:1");
    let missing = Some((Program::Image { reference: missing.clone() }, missing));
    let program = Program::Image { reference: tag };
    Some(Subject::new(Box::new(open), program, missing, "/responder").made_by(maker))
}
