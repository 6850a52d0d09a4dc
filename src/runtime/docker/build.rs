//! Building images with the engine's own builder: BuildKit, or the classic one where there is none.

use std::collections::HashMap;

use bollard::body_full;
use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, BuilderVersion};
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::Docker;
use super::connect::Family;
use super::errors::{connection_fault, reason_of, status_of};
use super::images::TRANSFER;
use super::transcript::Transcript;
use crate::runtime::{ImageBuild, OutputSink, RuntimeError};

impl Docker {
    pub(super) async fn build_image(
        &self,
        request: ImageBuild,
        output: OutputSink<'_>,
    ) -> Result<(), RuntimeError> {
        let context = Bytes::from(request.context);
        let options = options(&request.dockerfile, &request.tag, &request.labels);
        let mut transcript = Transcript::default();
        let mut built = match self.engine.family {
            Family::Docker => {
                self.run_build(buildkit(options.clone()), &context, &mut transcript, output).await
            }
            // Podman builds with what it has, whatever it is asked for, and tells of it as the
            // classic builder does.
            Family::Podman => self.run_build(options.clone(), &context, &mut transcript, output).await,
        };
        if transcript.is_empty() && self.is_refusal(built.as_ref().err()).await {
            built = self.run_build(options, &context, &mut transcript, output).await;
        }
        let error = match built {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if connection_fault(&error).is_some() {
            return Err(self.engine.failed_to(format!("build image {}", request.tag))(error));
        }
        let (message, tail) = transcript.failure(&reason_of(&error));
        Err(RuntimeError::BuildFailed { message, tail })
    }

    /// Whether the engine would not even begin. One that says so before it has read the whole context
    /// hangs up in the middle of it, and its words are lost.
    async fn is_refusal(&self, error: Option<&Error>) -> bool {
        match error {
            Some(error) if connection_fault(error).is_some() => self.api.ping().await.is_ok(),
            error => error.is_some_and(lacks_buildkit),
        }
    }

    async fn run_build(
        &self,
        options: BuildImageOptions,
        context: &Bytes,
        transcript: &mut Transcript,
        output: OutputSink<'_>,
    ) -> Result<(), Error> {
        let api = self.patient(TRANSFER);
        let mut news = std::pin::pin!(api.build_image(options, None, Some(body_full(context.clone()))));
        while let Some(news) = news.try_next().await? {
            for line in transcript.take(news) {
                output(&line);
            }
        }
        Ok(())
    }
}

fn options(dockerfile: &str, tag: &str, labels: &[(String, String)]) -> BuildImageOptions {
    let labels: HashMap<String, String> = labels.iter().cloned().collect();
    BuildImageOptionsBuilder::default()
        .dockerfile(dockerfile)
        .t(tag)
        .labels(&labels)
        .networkmode("default")
        .rm(true)
        // A failed step would leave its container behind.
        .forcerm(true)
        .build()
}

/// Each build has a session of its own: the engine confuses those that share one.
fn buildkit(options: BuildImageOptions) -> BuildImageOptions {
    BuildImageOptions {
        version: BuilderVersion::BuilderBuildKit,
        session: Some(uuid::Uuid::new_v4().to_string()),
        ..options
    }
}

/// Whether the engine did not even begin: it knows no BuildKit, or could not talk to our session.
fn lacks_buildkit(error: &Error) -> bool {
    status_of(error).is_some() || reason_of(error).contains("no active session")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_has_a_session_of_its_own() {
        let plain = options("Dockerfile", "order:1", &[]);
        let (one, other) = (buildkit(plain.clone()), buildkit(plain));
        assert!(one.session.is_some());
        assert_ne!(one.session, other.session);
    }

    #[test]
    fn a_failed_step_is_no_reason_to_build_again_the_old_way() {
        let failed = Error::DockerStreamError { error: "executor failed running [make]".to_owned() };
        assert!(!lacks_buildkit(&failed));
        let refused =
            Error::DockerResponseServerError { status_code: 400, message: "no buildkit".to_owned() };
        assert!(lacks_buildkit(&refused));
    }
}
