//! The store example keeps its contract when it runs as its README says.

use std::fs;
use std::path::Path;

use tokio::process::Command;

use super::compiled::{self, NODE, PYTHON};
use super::stage::Stage;
use super::witness;

/// What is made of sources, and not copied with them.
const PRODUCTS: [&str; 6] = [".msctl", ".venv", "__pycache__", "dist", "node_modules", "target"];

#[tokio::test]
async fn the_store_keeps_its_contract_through_the_gateway() {
    compiled::on_docker(&[PYTHON, NODE], async |stage| {
        let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/store");
        copy(&store, stage.folder());
        compiled::settle(stage.folder());
        stage.up().await;
        keeps_its_contract(stage).await;
        stage.down().await;
        let left = witness::everything(stage).await;
        assert!(left.iter().all(|name| name.ends_with("-data")), "{left:?}");
    })
    .await;
}

async fn keeps_its_contract(stage: &Stage) {
    let url = format!("http://{}", stage.gateway().await.0);
    let mut contract = Command::new("python3");
    contract.arg(stage.folder().join("contract.py")).arg(url).kill_on_drop(true);
    contract.env("MSCTL", env!("CARGO_BIN_EXE_msctl")).env("MSCTL_STATE_DIR", stage.state());
    let done = stage.run(&mut contract).await;
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let verdict = done.stdout.lines().last().unwrap_or_default();
    let passed: u32 = verdict.split(' ').next().unwrap().parse().unwrap();
    assert!(passed >= 130 && verdict.ends_with(", 0 failed"), "{verdict}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if PRODUCTS.iter().any(|product| entry.file_name() == *product) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
