//! Local processes keep the contract.

use std::sync::Arc;

use msctl::model::instance::Program;
use msctl::model::name::PlatformId;
use msctl::runtime::process::Process;

use crate::harness::responder::responder;

use super::contract;
use super::subject::Subject;

contract!(subject);

async fn subject() -> Option<Subject> {
    let responder = tokio::task::spawn_blocking(responder).await.expect("the responder compiles");
    let tool = responder.to_str().expect("the target folder has a plain name");
    let folder = tempfile::tempdir().unwrap();
    let command =
        |program: &str| Program::Command { argv: vec![program.to_owned()], folder: std::env::temp_dir() };
    let missing = Some((command("/no/such/program"), "/no/such/program".to_owned()));
    // The folder lives as long as the subject does, in the closure.
    let open = move |platform: &PlatformId| {
        let state = folder.path().join(platform.to_string());
        Arc::new(Process::new(platform.clone(), state).expect("/proc is there")) as _
    };
    Some(Subject::new(Box::new(open), command(tool), missing, tool))
}
