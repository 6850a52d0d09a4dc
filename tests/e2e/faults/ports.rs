//! Many who want a port at the same moment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::http::get;
use crate::harness::msctl::Msctl;
use crate::harness::platform::{TestPlatform, TestService};

/// A platform beside another one of the same user. Dropped, it is taken down.
struct Neighbour<'a> {
    home: &'a Path,
    folder: PathBuf,
}

impl<'a> Neighbour<'a> {
    /// The manifest is the first one's, and so is the address in it.
    fn of(first: &TestPlatform, home: &'a Path, number: usize) -> Self {
        let neighbour = Self { home, folder: home.join(format!("neighbour-{number}")) };
        let service = neighbour.folder.join("services/order");
        fs::create_dir_all(&service).unwrap();
        fs::copy(first.service_folder("order").join("service.toml"), service.join("service.toml")).unwrap();
        let manifest = fs::read_to_string(first.root().join("msctl.toml")).unwrap();
        let address = first.url().replace("http://", "");
        fs::write(neighbour.folder.join("msctl.toml"), manifest.replace("127.0.0.1:0", &address)).unwrap();
        neighbour
    }

    fn command(&self, arguments: &[&str]) -> Msctl {
        Msctl::new(self.home, arguments).within(&self.folder).env("MSCTL_RUNTIME", "process")
    }

    fn url(&self) -> String {
        let status: Value = self.command(&["ps", "--format", "json"]).run().success().json();
        status["gateway"]["url"].as_str().expect("the platform is up").to_owned()
    }
}

impl Drop for Neighbour<'_> {
    fn drop(&mut self) {
        let gone = self.command(&["down", "--volumes", "--yes"]).run();
        assert!(gone.code == 0 || std::thread::panicking(), "something is left: {}", gone.stderr);
    }
}

/// Brings all of them up at once; gives their addresses.
fn bring_up(neighbours: &[Neighbour]) -> Vec<String> {
    let ups: Vec<_> = neighbours.iter().map(|one| one.command(&["up", "-d", "--no-watch"]).spawn()).collect();
    for up in ups {
        up.finish().success();
    }
    neighbours.iter().map(Neighbour::url).collect()
}

#[test]
fn platforms_that_start_at_once_with_one_address_have_one_each_and_keep_it() {
    let first = TestPlatform::of(&[TestService::named("order")]);
    first.up();
    let home = first.home();
    let neighbours: Vec<Neighbour> = (0..4).map(|number| Neighbour::of(&first, &home, number)).collect();
    let urls = bring_up(&neighbours);
    let different: BTreeSet<String> = urls.iter().cloned().chain([first.url()]).collect();
    assert_eq!(different.len(), 5, "{urls:?}");
    for neighbour in &neighbours {
        assert_eq!(get(&format!("{}/order", neighbour.url())).body, "nothing at /order");
        neighbour.command(&["down"]).run().success();
    }
    assert_eq!(bring_up(&neighbours), urls);
}
