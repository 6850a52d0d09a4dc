//! One platform process takes over from another, under load.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, kill_process};

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

/// Clients that ask until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Half of the clients keep their connection for as long as the server does.
    fn on(address: &str, path: &str) -> Self {
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = [true, true, false, false].map(|keep| {
            let (address, path) = (address.to_owned(), path.to_owned());
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            std::thread::spawn(move || ask(&address, &path, keep, &stop, &served))
        });
        Self { stop, served, clients: clients.into() }
    }

    /// Waits until as many more requests have been answered.
    fn goes_on(&self) {
        let goal = self.served.load(Ordering::Relaxed) + 50;
        until(LIMIT, "answers", || (self.served.load(Ordering::Relaxed) >= goal).then_some(()));
    }

    #[track_caller]
    fn failed_nothing(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            assert_eq!(client.join().unwrap(), Vec::<String>::new());
        }
    }
}

fn ask(address: &str, path: &str, keep: bool, stop: &AtomicBool, served: &AtomicUsize) -> Vec<String> {
    let mut failures = Vec::new();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        match exchange(address, path, kept.take()) {
            Ok(stream) => kept = stream.filter(|_| keep),
            Err(failure) => failures.push(failure),
        }
        served.fetch_add(1, Ordering::Relaxed);
    }
    failures
}

/// One POST, which nobody may send twice; gives the connection if it can be used again.
fn exchange(
    address: &str,
    path: &str,
    kept: Option<BufReader<TcpStream>>,
) -> Result<Option<BufReader<TcpStream>>, String> {
    let was_kept = kept.is_some();
    let told = |what: &str, error: &dyn std::fmt::Display| format!("{what} (kept: {was_kept}): {error}");
    let mut stream = match kept {
        Some(stream) => stream,
        None => BufReader::new(TcpStream::connect(address).map_err(|error| told("connect", &error))?),
    };
    stream.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).map_err(|error| told("write", &error))?;
    let head = read_head(&mut stream).map_err(|error| told("read", &error))?;
    if !head.starts_with("HTTP/1.1 404") {
        return Err(told("answer", &head));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.ok_or_else(|| told("answer", &head))?];
    stream.read_exact(&mut body).map_err(|error| told("body", &error))?;
    Ok((!head.contains("connection: close")).then_some(stream))
}

fn read_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, head));
        }
    }
    Ok(head)
}

/// A WebSocket, or what the responder takes for one.
fn tunnel(address: &str) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    stream.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
    let request = "GET /bare/upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let head = read_head(&mut stream).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream
}

fn echoes(tunnel: &mut BufReader<TcpStream>) {
    tunnel.get_mut().write_all(b"there?").unwrap();
    let mut answer = [0; 6];
    tunnel.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"there?");
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
    let mut websocket = tunnel(&address);
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
      local processes, as asked
      the platform process was another build (process [PID], msctl 0.1.0); replaced without dropping a connection
    2 ready in [TIME]; it was running already and goes on; msctl down stops it
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
