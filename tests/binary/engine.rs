//! What goes wrong with a container engine.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::harness::engine::engine;
use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::wait::until;

#[test]
fn an_image_that_is_nowhere_is_named() {
    let Some(engine) = engine() else { return };
    let order = TestService::named("order").image("localhost:1/no-such-image:1");
    let shop = TestPlatform::new(&engine, &[order]);
    let up = shop.msctl(&["up", "-d"]).expect_code(5);
    assert!(up.stderr.contains("✗ order: "), "{}", up.stderr);
    assert!(up.stderr.contains("localhost:1/no-such-image:1"), "{}", up.stderr);
    assert_eq!(shop.instances("order"), []);
}

#[test]
fn an_engine_that_goes_away_in_the_middle_ends_up_and_is_said_to_have() {
    let Some(engine) = engine() else { return };
    let order = TestService::named("order").set("READY_AFTER_MS", "600000").start_period("300s");
    let shop = TestPlatform::new(&engine, &[order]);
    let real = engine.host().unwrap_or("unix:///var/run/docker.sock");
    let proxy = Proxy::before(Path::new(real.strip_prefix("unix://").expect("a unix socket")), &shop.home());
    let host = format!("unix://{}", proxy.socket.display());
    let up = shop.command(&["up"]).env("DOCKER_HOST", host).spawn();
    up.says("order: built");
    until(Duration::from_secs(30), "the instance", || {
        shop.ps()["services"][0]["instances"][0].is_object().then_some(())
    });
    drop(proxy);
    let ended = up.finish_within(Duration::from_secs(15));
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("the engine went away"), "{}", ended.stderr);
}

/// Forwards a unix socket to another one until it is dropped.
struct Proxy {
    socket: PathBuf,
    open: Arc<Mutex<Option<Vec<UnixStream>>>>,
}

impl Proxy {
    fn before(real: &Path, folder: &Path) -> Self {
        let (socket, real) = (folder.join("engine.sock"), real.to_owned());
        let listener = UnixListener::bind(&socket).unwrap();
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        let shared = Arc::clone(&open);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Some(open) = &mut *shared.lock().unwrap() else { return };
                let engine = UnixStream::connect(&real).unwrap();
                forward(&client, &engine);
                forward(&engine, &client);
                open.extend([client, engine]);
            }
        });
        Self { socket, open }
    }
}

fn forward(from: &UnixStream, to: &UnixStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        for stream in self.open.lock().unwrap().take().into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
