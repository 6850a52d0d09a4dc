//! The runtime in memory keeps the contract.

use std::path::PathBuf;
use std::sync::Arc;

use msctl::model::instance::Program;
use msctl::model::name::{PlatformId, Worktree};
use msctl::runtime::fake::Fake;

use super::contract;
use super::subject::Subject;

contract!(subject);
contract!(subject; with images);

#[expect(clippy::unused_async, reason = "others have to prepare theirs")]
async fn subject() -> Option<Subject> {
    let worktree = Worktree::from_hex("000000").unwrap();
    let fake = Fake::new(PlatformId { name: "anybody".parse().unwrap(), worktree }).serving().with_images();
    let open = move |platform: &PlatformId| Arc::new(fake.for_platform(platform.clone())) as _;
    let program = Program::Command { argv: vec!["responder".to_owned()], folder: PathBuf::from("/") };
    Some(Subject::new(Box::new(open), program, None, "responder"))
}
