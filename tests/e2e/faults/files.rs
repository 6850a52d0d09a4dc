//! Many files change at once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::responder::responder;
use crate::harness::wait::until;

const SOON: Duration = Duration::from_secs(60);

/// A service each of whose builds leaves a line in the cache, which is none of its sources.
fn counted(name: &str) -> TestService {
    let build = format!("mkdir -p $MSCTL_CACHE && echo built >> $MSCTL_CACHE/{name}");
    TestService::named(name).and(&format!("[process]\nbuild = {build:?}\ncommand = \"sh ./run\"\n"))
}

fn builds(shop: &TestPlatform, service: &str) -> usize {
    fs::read_to_string(shop.root().join(".msctl/cache").join(service)).unwrap().lines().count()
}

/// Five thousand files in fifty folders.
fn fill(folder: &Path) {
    for number in 0..5_000 {
        let path = folder.join(format!("module{}", number % 50));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(format!("file{number}.rs")), format!("// {number}")).unwrap();
    }
}

fn await_version(shop: &TestPlatform, service: &str, version: u32) {
    until(SOON, &format!("{service} v{version}"), || {
        let status = shop.ps();
        let services = status["services"].as_array().unwrap();
        let found = services.iter().find(|found| found["name"] == service).unwrap();
        (found["generation"] == version && found["state"] == "ready").then_some(())
    });
}

#[test]
fn a_switch_to_a_branch_with_ten_thousand_other_files_builds_each_service_once() {
    let services = ["order", "cart", "user"].map(counted);
    let shop = TestPlatform::of(&services).watched();
    let run = format!("exec {}", responder().display());
    for service in &services {
        fs::write(shop.service_folder(&service.name).join("run"), &run).unwrap();
    }
    shop.up();
    for service in ["order", "cart"] {
        fill(&shop.home().join(service));
    }
    for service in ["order", "cart"] {
        fs::rename(shop.home().join(service), shop.service_folder(service).join("src")).unwrap();
    }
    await_version(&shop, "order", 2);
    await_version(&shop, "cart", 2);
    // Whatever was still to come of it has come before this.
    fs::write(shop.service_folder("user").join("run"), format!("{run} ")).unwrap();
    await_version(&shop, "user", 2);
    assert_eq!(["order", "cart", "user"].map(|service| builds(&shop, service)), [2, 2, 2]);
}
