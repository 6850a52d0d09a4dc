//! One platform process takes over from another, under load.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::engine::engine;
use crate::harness::load::{Load, echoes, tunnel};
use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::wait::until;

use super::processes::{none_is_left, processes};

const LIMIT: Duration = Duration::from_secs(10);

fn shop() -> TestPlatform {
    let shop = TestPlatform::of(&[
        TestService::named("order")
            .calls("product")
            .and("[[routes]]\npath = \"/bare\"\naccess = \"public\"\nstrip_prefix = true"),
        TestService::named("product"),
    ]);
    shop.up();
    shop
}

fn pid(shop: &TestPlatform) -> i32 {
    i32::try_from(shop.ps()["pid"].as_i64().expect("the platform is up")).unwrap()
}

fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Whom the admin socket names as the process behind it, should that hang.
fn named_by_socket(shop: &TestPlatform) -> i32 {
    let stream = UnixStream::connect(shop.state().join("admin.sock")).unwrap();
    rustix::net::sockopt::socket_peercred(stream).unwrap().pid.as_raw_nonzero().get()
}

/// Waits until the process is over.
fn ended(pid: i32) {
    until(LIMIT, &format!("the end of process {pid}"), || {
        (!fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())).then_some(())
    });
}

#[test]
fn a_platform_process_is_replaced_three_times_under_load_and_no_request_fails() {
    let shop = shop();
    shop.msctl(&["scale", "product=2"]).success();
    let before = (shop.instances("order"), shop.instances("product"));
    let url = shop.url();
    let address = url.trim_start_matches("http://").to_owned();
    let inside = shop.msctl(&["exec", "order", "--", "sh", "-c", "echo $PRODUCT_URL"]).success().stdout;
    let inside = inside.trim().trim_start_matches("http://").to_owned();
    let loads = [Load::on(&address, "/order/x"), Load::on(&inside, "/x")];
    let mut websocket = tunnel(&address, "/bare/upgrade");
    let mut pids = vec![pid(&shop)];
    for _ in 0..3 {
        let replaced = shop.msctl(&["restart", "--platform-process"]).success();
        let said = format!("replaced the platform process (process {}, msctl ", pids[pids.len() - 1]);
        assert!(replaced.stderr.starts_with(&said), "{}", replaced.stderr);
        pids.push(pid(&shop));
        assert_eq!(pids.last(), Some(&named_by_socket(&shop)));
        loads.iter().for_each(Load::goes_on);
        echoes(&mut websocket);
    }
    loads.into_iter().for_each(Load::failed_nothing);
    pids.dedup();
    assert_eq!(pids.len(), 4);
    assert_eq!((shop.url(), shop.instances("order"), shop.instances("product")), (url, before.0, before.1));
    // Open for as long as the WebSocket is, each holding on for the one before it.
    drop(websocket);
    pids[..3].iter().for_each(|pid| ended(*pid));
    assert_eq!(shop.msctl(&["up", "--plan"]).success().stdout, "");
    // What was asked for lives on: the platform follows its services, and goes down as one.
    shop.msctl(&["scale", "product=1"]).success();
    assert_eq!(shop.instances("product").len(), 1);
    shop.msctl(&["down"]).success();
    none_is_left(&shop);
}

/// The msctl under test as another build of it: the same, and one byte more.
fn other_build(shop: &TestPlatform, name: &str) -> String {
    let path = shop.home().join(name);
    let mut program = fs::read(env!("CARGO_BIN_EXE_msctl")).unwrap();
    program.extend(name.as_bytes());
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn an_up_of_another_build_replaces_the_platform_process_and_says_so() {
    let shop = shop();
    let (first, instances) = (pid(&shop), shop.instances("order"));
    let newer = other_build(&shop, "newer");
    let load = Load::on(shop.url().trim_start_matches("http://"), "/order/x");
    let up = shop.command(&["up", "-d"]).program(&newer).run().success();
    insta::assert_snapshot!(shop.plain(&up.stderr), @r#"
    shop at http://127.0.0.1:[PORT]
      local processes, as asked; saves are not deployed
      the platform process was another build (process [PID], msctl 0.1.0); replaced without dropping a connection
    2 ready in [TIME]; it was running already; msctl events -f follows it
    "#);
    load.goes_on();
    load.failed_nothing();
    let second = pid(&shop);
    assert_ne!(first, second);
    assert_eq!(shop.instances("order"), instances);
    let again = shop.command(&["up", "-d"]).program(&newer).run().success();
    assert!(!again.stderr.contains("another build"), "{}", again.stderr);
    assert_eq!(pid(&shop), second);
}

#[test]
fn an_attached_platform_process_stays() {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let attached = shop.command(&["up"]).spawn();
    attached.says(" ready in ");
    let before = pid(&shop);
    let up = shop.command(&["up", "-d"]).program(&other_build(&shop, "newer")).run().success();
    assert!(
        up.stderr.contains("is another build of msctl; it stays until the next msctl down"),
        "{}",
        up.stderr
    );
    let refused = shop.msctl(&["restart", "--platform-process"]).expect_code(6);
    assert!(refused.stderr.contains("it is attached to a terminal"), "{}", refused.stderr);
    assert_eq!(pid(&shop), before);
    let nobody = shop.msctl(&["down"]).success();
    assert_eq!(nobody.code, attached.finish().code);
    let none = shop.msctl(&["restart", "--platform-process"]).expect_code(1);
    assert!(none.stderr.contains("the platform is not running"), "{}", none.stderr);
}

#[test]
fn a_successor_that_cannot_start_or_is_killed_leaves_the_old_one_serving() {
    let shop = shop();
    let (serving, instances) = (pid(&shop), shop.instances("order"));
    let load = Load::on(shop.url().trim_start_matches("http://"), "/order/x");
    // Its manifest wants what only a fresh start can give.
    let manifest = fs::read_to_string(shop.root().join("msctl.toml")).unwrap();
    fs::write(shop.root().join("msctl.toml"), manifest.replace("127.0.0.1:0", "127.0.0.2:0")).unwrap();
    let refused = shop.msctl(&["restart", "--platform-process"]).expect_code(1);
    assert!(refused.stderr.contains("gateway.listen has changed"), "{}", refused.stderr);
    fs::write(shop.root().join("msctl.toml"), manifest).unwrap();
    // Held up with the offer in its hands (the accounts are opened by one at a time), then killed.
    let accounts = fs::File::open(shop.state().join("auth")).unwrap();
    rustix::fs::flock(&accounts, FlockOperation::LockExclusive).unwrap();
    let held = shop.command(&["restart", "--platform-process"]).spawn();
    let heir = until(LIMIT, "a successor with the lock", || {
        successor(&shop, serving).filter(|heir| has_lock(*heir))
    });
    load.goes_on();
    send(heir, Signal::KILL);
    let failed = held.finish().expect_code(1);
    assert!(failed.stderr.contains("the platform process ended without a word"), "{}", failed.stderr);
    drop(accounts);
    load.goes_on();
    load.failed_nothing();
    assert_eq!((pid(&shop), shop.instances("order")), (serving, instances));
    shop.msctl(&["restart", "--platform-process"]).success();
    assert_ne!(pid(&shop), serving);
}

/// A platform process of the shop other than the one that serves.
fn successor(shop: &TestPlatform, serving: i32) -> Option<i32> {
    let all = processes(shop).into_iter().filter(|process| process.contains(" host --runtime "));
    let pids = all.filter_map(|process| process.split(' ').next()?.parse().ok());
    pids.into_iter().find(|pid| *pid != serving)
}

/// Whether the platform's lock has been passed on to it.
fn has_lock(pid: i32) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|path| path.ends_with("lock"))
}

#[test]
fn containers_keep_running_and_calling_while_the_platform_process_is_replaced() {
    let Some(engine) = engine() else { return };
    let order = TestService::named("order").calls("product");
    let bare = "[[routes]]\npath = \"/bare\"\naccess = \"public\"\nstrip_prefix = true";
    let shop = TestPlatform::new(&engine, &[order.and(bare), TestService::named("product")]);
    shop.up();
    let (before, first) = (shop.instances("order"), pid(&shop));
    let url = shop.msctl(&["exec", "order", "--", "/app/order", "env", "PRODUCT_URL"]).success().stdout;
    let address = shop.url().trim_start_matches("http://").to_owned();
    // From the client through a container to the internal door, and on to another container.
    let load = Load::on(&address, &format!("/bare/call?url={}/x", url.trim()));
    load.goes_on();
    shop.msctl(&["restart", "--platform-process"]).success();
    load.goes_on();
    load.failed_nothing();
    assert_ne!(pid(&shop), first);
    assert_eq!(shop.instances("order"), before);
    ended(first);
    shop.msctl(&["down"]).success();
}
