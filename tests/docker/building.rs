//! Images: there or not, loaded, pulled, built.

use std::sync::Mutex;

use msctl::runtime::{ImageBuild, Images, Runtime, RuntimeError, labels};

use super::platform::{TestPlatform, on_a_platform};
use crate::harness::image::context;

async fn build(platform: &TestPlatform, dockerfile: &str) -> (Result<(), RuntimeError>, Vec<String>) {
    let request = ImageBuild {
        context: context(dockerfile),
        dockerfile: "Dockerfile".to_owned(),
        tag: format!("{}/built:1", platform.id),
        labels: labels::of_platform(&platform.id),
    };
    let lines = Mutex::new(Vec::new());
    let keep = |line: &str| lines.lock().unwrap().push(line.to_owned());
    let built = images(platform).build(request, &keep).await;
    (built, lines.into_inner().unwrap())
}

fn images(platform: &TestPlatform) -> &dyn Images {
    platform.docker.images().unwrap()
}

#[tokio::test]
async fn a_built_image_is_there_labelled_and_runs() {
    on_a_platform(async |platform| {
        let dockerfile = "FROM scratch\nCOPY responder /responder\nENTRYPOINT [\"/responder\"]\n";
        let (built, lines) = build(platform, dockerfile).await;
        built.unwrap();
        assert!(lines.iter().any(|line| line.contains("COPY responder")), "{lines:?}");
        let tag = format!("{}/built:1", platform.id);
        assert!(images(platform).has(&tag).await.unwrap());
        let resources = platform.docker.resources().await.unwrap();
        assert!(resources.iter().any(|resource| resource.name == tag));
    })
    .await;
}

#[tokio::test]
async fn a_failed_build_shows_what_the_failing_step_printed() {
    on_a_platform(async |platform| {
        let dockerfile = "FROM scratch\nCOPY responder /responder\n\
             RUN [\"/responder\", \"echo\", \"fine so far\"]\n\
             RUN [\"/responder\", \"fetch\", \"no-address\"]\n";
        let (built, lines) = build(platform, dockerfile).await;
        let RuntimeError::BuildFailed { message, tail } = built.unwrap_err() else { panic!("wrong error") };
        // Each builder has words of its own for it.
        assert!(message.ends_with("code: 1"), "{message}");
        assert_eq!(tail, ["fetch no-address: no-address is no http URL"]);
        assert!(lines.iter().any(|line| line.contains("fine so far")), "{lines:?}");
        assert!(!images(platform).has(&format!("{}/built:1", platform.id)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_dockerfile_with_a_mistake_in_it_says_which() {
    on_a_platform(async |platform| {
        let (built, _) = build(platform, "FROM scratch\nCOPPY a b\n").await;
        let message = built.unwrap_err().to_string();
        assert!(message.to_lowercase().contains("unknown instruction: coppy"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn an_archive_that_is_none_is_refused() {
    on_a_platform(async |platform| {
        let error = images(platform).load(b"no archive".to_vec()).await.unwrap_err();
        assert!(error.to_string().starts_with("the engine could not load an image"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn an_image_that_no_registry_gives_is_missing() {
    on_a_platform(async |platform| {
        // A port of this machine that nobody listens at: no registry outside is asked.
        let reference = "127.0.0.1:9/msctl-test/nothing:1";
        assert!(!images(platform).has(reference).await.unwrap());
        let error = images(platform).pull(reference).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no image {reference} is on this machine, and no registry gave it: no registry answers")
        );
    })
    .await;
}
