//! Checkouts of one platform side by side, with no setting.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::tls;
use crate::harness::engine::engine;
use crate::harness::http::get_as;
use crate::harness::msctl::{Msctl, Ran};
use crate::harness::platform::{RunsOn, TestPlatform, TestService};

/// The responder, which tells at `/env/MOOD` whose it is.
fn order(mood: &str) -> TestService {
    TestService::named("order").set("MOOD", mood).and("[[routes]]\npath = \"/env\"\naccess = \"public\"")
}

/// A repository with a platform, which is its main checkout.
fn repository(runs_on: RunsOn) -> TestPlatform {
    let shop = TestPlatform::new(runs_on, &[order("main")]);
    git(&shop.root(), &["init", "-q"]);
    fs::write(shop.root().join(".gitignore"), ".msctl\n").unwrap();
    git(&shop.root(), &["add", "-A"]);
    git(&shop.root(), &["commit", "-q", "-m", "a platform"]);
    shop
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=test", "-c", "user.email=test@example.com", "-C"]).arg(folder).args(arguments);
    for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(inherited);
    }
    let ran = git.output().expect("the sources of msctl were had by git");
    assert!(ran.status.success(), "{git:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Another checkout of a repository. Dropped, it is taken down.
struct Checkout<'a> {
    shop: &'a TestPlatform,
    folder: PathBuf,
}

impl<'a> Checkout<'a> {
    fn linked(shop: &'a TestPlatform, name: &str) -> Self {
        let folder = shop.home().join(name);
        git(&shop.root(), &["worktree", "add", "-q", folder.to_str().unwrap()]);
        Self { shop, folder }
    }

    /// Has its manifest say the address that the main checkout has, and its service another mood.
    fn same_address(&self, mood: &str) {
        let address = self.shop.url().trim_start_matches("http://").to_owned();
        let manifest = self.folder.join("msctl.toml");
        let text = fs::read_to_string(&manifest).unwrap().replace("127.0.0.1:0", &address);
        fs::write(manifest, text).unwrap();
        let service = self.folder.join("services/order/service.toml");
        let text = fs::read_to_string(&service).unwrap().replace("\"main\"", &format!("{mood:?}"));
        fs::write(service, text).unwrap();
    }

    fn msctl(&self, arguments: &[&str]) -> Ran {
        let command: Msctl = self.shop.command(arguments);
        command.within(&self.folder).run()
    }

    fn ps(&self) -> Value {
        self.msctl(&["ps", "--format", "json"]).success().json()
    }

    fn url(&self) -> String {
        self.ps()["gateway"]["url"].as_str().expect("it is up").to_owned()
    }
}

impl Drop for Checkout<'_> {
    fn drop(&mut self) {
        let gone = self.msctl(&["down", "--volumes", "--yes"]);
        assert!(gone.code == 0 || std::thread::panicking(), "something is left: {}", gone.stderr);
    }
}

fn mood(host: &str, url: &str) -> String {
    let answer = get_as(host, &format!("{url}/env/MOOD"));
    format!("{} {}", answer.status, answer.body.trim_end().lines().next().unwrap_or_default())
}

/// Each answers at its own port to its own names, and neither's end is the other's.
fn side_by_side(runs_on: RunsOn) {
    let main = repository(runs_on);
    main.up();
    let linked = Checkout::linked(&main, "Feature_X");
    linked.same_address("linked");
    let up = linked.msctl(&["up", "-d"]).success();
    let (url, own) = (main.url(), linked.url());
    assert!(up.stderr.starts_with(&format!("shop (feature-x) at {own}\n")), "{}", up.stderr);
    let wanted = url.trim_start_matches("http://");
    let told = format!("  {wanted} is another platform's; this one keeps a port of its own\n");
    assert!(up.stderr.contains(&told), "{}", up.stderr);
    let ps = linked.ps();
    assert_eq!((&ps["checkout"], &ps["gateway"]["instead_of"]), (&"feature-x".into(), &wanted.into()));

    assert_eq!(mood("order.shop.localhost", &url), "200 main");
    assert_eq!(mood("order.feature-x.shop.localhost", &own), "200 linked");
    for (host, url) in [("order.feature-x.shop.localhost", &url), ("order.shop.localhost", &own)] {
        assert!(mood(host, url).starts_with("404 "), "{host} is the other's name");
    }
    let described = linked.msctl(&["describe", "order", "--format", "json"]).success().json();
    let port = own.rsplit(':').next().unwrap();
    assert_eq!(described["url"], format!("http://order.feature-x.shop.localhost:{port}"));

    main.msctl(&["down"]).success();
    assert_eq!(mood("order.feature-x.shop.localhost", &own), "200 linked");
    linked.msctl(&["restart", "--platform-process"]).success();
    assert_eq!(linked.url(), own, "a process that takes over has the same port");
    main.up();
    linked.msctl(&["down"]).success();
    assert_eq!(mood("order.shop.localhost", &main.url()), "200 main");
    linked.msctl(&["up", "-d"]).success();
    assert_eq!(linked.url(), own, "the port is remembered");
}

#[test]
fn a_linked_worktree_runs_beside_the_main_checkout_as_processes() {
    side_by_side(RunsOn::Processes);
}

#[test]
fn a_linked_worktree_runs_beside_the_main_checkout_as_containers() {
    let Some(engine) = engine() else { return };
    side_by_side(RunsOn::from(&engine));
}

#[test]
fn a_copy_is_a_platform_of_its_own_and_so_is_one_that_was_moved() {
    let main = repository(RunsOn::Processes);
    main.up();
    let copy = Checkout { shop: &main, folder: main.home().join("copy") };
    let copied = Command::new("cp").arg("-r").arg(main.root()).arg(&copy.folder).status().unwrap();
    assert!(copied.success());
    copy.same_address("copy");
    copy.msctl(&["up", "-d"]).success();
    assert_eq!(
        mood("order.shop.localhost", &copy.url()),
        "200 copy",
        "it is no worktree: only the port differs"
    );
    assert_eq!(mood("order.shop.localhost", &main.url()), "200 main");
    copy.msctl(&["down"]).success();

    let linked = Checkout::linked(&main, "here");
    linked.msctl(&["up", "-d"]).success();
    linked.msctl(&["down"]).success();
    let moved = Checkout { shop: &main, folder: main.home().join("there") };
    git(&main.root(), &["worktree", "move", linked.folder.to_str().unwrap(), moved.folder.to_str().unwrap()]);
    moved.msctl(&["up", "-d"]).success();
    assert_eq!(moved.ps()["checkout"], "here", "git calls it as before");
    assert_eq!(mood("order.here.shop.localhost", &moved.url()), "200 main");
    fs::create_dir_all(&linked.folder).unwrap();
    fs::copy(moved.folder.join("msctl.toml"), linked.folder.join("msctl.toml")).unwrap();
    assert_eq!(linked.ps()["gateway"]["url"], Value::Null, "nothing runs where it was");
}

#[test]
fn the_local_certificate_covers_the_names_of_a_worktree() {
    let main = repository(RunsOn::Processes);
    let linked = Checkout::linked(&main, "feature-x");
    let manifest = linked.folder.join("msctl.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("[gateway]\n", "[gateway]\ntls = \"local\"\n")).unwrap();
    linked.msctl(&["up", "-d"]).success();
    let trust = linked.msctl(&["tls", "trust", "--format", "json"]).success().json();
    let authority = Path::new(trust["certificate"].as_str().unwrap());
    let url = linked.url();
    let address = url.trim_start_matches("https://");
    for name in ["order.feature-x.shop.localhost", "feature-x.shop.localhost", "localhost"] {
        let answer = tls::get(address, name, "/env/MOOD", authority).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
    }
    let refused = tls::get(address, "order.shop.localhost", "/env/MOOD", authority).unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
}
