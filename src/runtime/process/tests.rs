//! What only local processes do, beside the contract that every runtime keeps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;

use super::table::{self, State};
use super::{Process, data_folder, labels};
use crate::model::instance::{Generation, InstanceName, InstanceSpec, Program, SpecHash, Storage};
use crate::model::name::{PlatformId, Worktree};
use crate::model::observed::{InstanceState, ObservedInstance};
use crate::model::platform::Limits;
use crate::model::quantity::{ByteSize, Cpus, Port};
use crate::runtime::{LogQuery, Runtime, RuntimeError, StopOutcome};

const DEADLINE: Duration = Duration::from_secs(10);

pub fn platform(worktree: &str) -> PlatformId {
    PlatformId { name: "store".parse().unwrap(), worktree: Worktree::from_hex(worktree).unwrap() }
}

/// An instance of `order` that is a shell with this script.
pub fn spec(script: &str) -> InstanceSpec {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    InstanceSpec {
        platform: platform("3fa9c1"),
        name: InstanceName { service: "order".parse().unwrap(), generation: Generation::FIRST, replica: 2 },
        hash: SpecHash("abc".to_owned()),
        program: Program::Command { argv, folder: "/".into() },
        environment: Vec::new(),
        door_hosts: Vec::new(),
        port: Port::try_from(8080).unwrap(),
        limits: Limits {
            memory: ByteSize::from_mebibytes(64),
            cpus: Cpus::from_count(1.0).unwrap(),
            pids: 64,
        },
        storage: None,
        stop_grace: Duration::from_secs(1),
    }
}

/// A platform that no other test has, and its runtime.
struct Scene {
    state: TempDir,
    platform: PlatformId,
    runtime: Process,
}

impl Scene {
    fn new() -> Self {
        let digits = uuid::Uuid::new_v4().simple().to_string();
        let (state, platform) = (tempfile::tempdir().unwrap(), platform(&digits[..6]));
        let runtime = Process::new(platform.clone(), state.path().to_owned()).unwrap();
        Self { state, platform, runtime }
    }

    async fn look(&self) -> Option<ObservedInstance> {
        self.runtime.observe().await.unwrap().instances.pop()
    }

    async fn stop(&self) -> StopOutcome {
        self.runtime.stop(&spec("").name, Duration::from_secs(5)).await.unwrap()
    }

    /// What the instance printed, once it has ended.
    async fn output(&self) -> String {
        self.until(|seen| seen.is_some_and(|seen| !seen.state.is_running())).await;
        let lines = self.runtime.logs(&spec("").name, &LogQuery::default()).await.unwrap();
        lines.map(|line| line.unwrap().text).collect::<Vec<_>>().await.join("\n")
    }

    async fn until(&self, holds: impl Fn(Option<&ObservedInstance>) -> bool) {
        let start = std::time::Instant::now();
        while !holds(self.look().await.as_ref()) {
            assert!(start.elapsed() < DEADLINE, "still {:?}", self.look().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts what an msctl that was killed would have left.
    fn orphan(&self, script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).process_group(0).stdout(Stdio::null());
        command.envs(labels::to_variables(&self.platform, &spec(script), 7001));
        command.spawn().unwrap()
    }

    /// Processes that still carry the platform's labels.
    fn left(&self) -> usize {
        table::carriers(&self.platform).len()
    }
}

fn pid_of(seen: &ObservedInstance) -> Pid {
    Pid::from_raw(seen.handle.parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_process_is_found_again_by_its_labels_alone() {
    let scene = Scene::new();
    let mut orphan = scene.orphan("exec sleep 60");
    let seen = scene.look().await.expect("it is seen");
    assert_eq!(seen.handle, orphan.id().to_string());
    assert_eq!((seen.name, seen.hash), (spec("").name, spec("").hash));
    assert_eq!(seen.address.unwrap().to_string(), "127.0.0.1:7001");
    let reaper = std::thread::spawn(move || orphan.wait());
    assert_eq!(scene.stop().await, StopOutcome::Stopped);
    reaper.join().unwrap().unwrap();
    let ended = InstanceState::Exited { code: None, out_of_memory: false };
    assert_eq!(scene.look().await.unwrap().state, ended, "whose child it is not, of that no code is known");
}

#[tokio::test]
async fn a_process_may_open_as_many_files_as_this_one_could_at_first() {
    let scene = Scene::new();
    let at_first = getrlimit(Resource::Nofile);
    let most = at_first.current.unwrap();
    setrlimit(Resource::Nofile, Rlimit { current: Some(most - 1), maximum: at_first.maximum }).unwrap();
    // It is told so when it has only just begun.
    let script = format!("until [ $(ulimit -Sn) = {most} ]; do sleep 0.01; done");
    scene.runtime.launch(&spec(&script)).await.unwrap();
    assert_eq!(scene.output().await, "");
    setrlimit(Resource::Nofile, at_first).unwrap();
}

#[tokio::test]
async fn the_end_of_a_process_that_others_started_is_announced() {
    let scene = Scene::new();
    let mut orphan = scene.orphan("exec sleep 60");
    let mut changes = scene.runtime.changes().await.unwrap();
    orphan.kill().unwrap();
    orphan.wait().unwrap();
    let change = tokio::time::timeout(DEADLINE, changes.next()).await.expect("it is announced").unwrap();
    assert_eq!(change.service, Some(spec("").name.service));
    assert!(!scene.look().await.unwrap().state.is_running());
}

#[tokio::test]
async fn stopping_ends_whatever_the_instance_started() {
    let scene = Scene::new();
    let script = "sleep 60 & setsid sleep 60 & env -i /bin/sleep 60 & echo started; wait";
    scene.runtime.launch(&spec(script)).await.unwrap();
    let seen = scene.look().await.unwrap();
    let leader = table::stat(pid_of(&seen).as_raw_nonzero().get()).unwrap().id;
    let members = || table::members(&table::carriers(&scene.platform), &spec("").name, Some(leader));
    let start = std::time::Instant::now();
    while members().len() < 4 {
        assert!(start.elapsed() < DEADLINE, "only {:?}", members());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let members = members();
    scene.stop().await;
    let states: Vec<State> = members.iter().map(|&member| table::state(member)).collect();
    assert!(states.iter().all(|&state| state == State::Over), "{states:?}");
    assert_eq!(scene.left(), 0);
}

#[tokio::test]
async fn what_an_ended_instance_left_running_does_not_count_as_it_and_goes_with_it() {
    let scene = Scene::new();
    scene.runtime.launch(&spec("setsid sleep 60 & exit 4")).await.unwrap();
    let ended = InstanceState::Exited { code: Some(4), out_of_memory: false };
    scene.until(|seen| seen.is_some_and(|seen| seen.state == ended)).await;
    scene.runtime.remove(&spec("").name).await.unwrap();
    assert_eq!(scene.left(), 0);
    assert_eq!(scene.look().await, None);
}

#[tokio::test]
async fn a_stopped_shell_gives_its_child_time_to_tidy_up() {
    let scene = Scene::new();
    let child = "trap 'sleep 0.3; echo tidy; exit' TERM; echo ready; while :; do sleep 0.05; done";
    scene.runtime.launch(&spec(&format!("sh -c \"{child}\"; true"))).await.unwrap();
    let log = scene.state.path().join("logs/order.1.2.log");
    let start = std::time::Instant::now();
    while !fs::read_to_string(&log).unwrap().contains("ready") {
        assert!(start.elapsed() < DEADLINE, "it gets ready");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(scene.stop().await, StopOutcome::Stopped);
    assert!(scene.output().await.contains("tidy"));
}

#[tokio::test]
async fn both_streams_are_kept_and_nothing_of_our_own_environment_is_passed_on() {
    let scene = Scene::new();
    let script = "echo out; echo err >&2; echo \"manifest=$CARGO_MANIFEST_DIR path=${PATH:+yes}\"";
    scene.runtime.launch(&spec(script)).await.unwrap();
    assert_eq!(scene.output().await, "out\nerr\nmanifest= path=yes");
}

#[tokio::test]
async fn a_process_that_is_halted_is_paused() {
    let scene = Scene::new();
    scene.runtime.launch(&spec("exec sleep 60")).await.unwrap();
    let pid = pid_of(&scene.look().await.unwrap());
    kill_process(pid, Signal::STOP).unwrap();
    scene.until(|seen| seen.is_some_and(|seen| seen.state == InstanceState::Paused)).await;
    kill_process(pid, Signal::CONT).unwrap();
    scene.until(|seen| seen.is_some_and(|seen| seen.state.is_running())).await;
    scene.stop().await;
}

#[tokio::test]
async fn a_running_instance_is_not_removed() {
    let scene = Scene::new();
    scene.runtime.launch(&spec("exec sleep 60")).await.unwrap();
    let error = scene.runtime.remove(&spec("").name).await.unwrap_err().to_string();
    assert!(
        error.starts_with("the engine could not remove order.v1.2: it still runs, as process "),
        "{error}"
    );
    assert!(scene.look().await.unwrap().state.is_running());
    scene.stop().await;
}

#[tokio::test]
async fn an_image_is_refused_with_what_would_run_instead() {
    let scene = Scene::new();
    let program = Program::Image { reference: "debian".to_owned() };
    let error = scene.runtime.launch(&InstanceSpec { program, ..spec("") }).await.unwrap_err();
    assert!(matches!(error, RuntimeError::CannotRun { .. }));
    assert!(error.to_string().contains("[process]"), "{error}");
}

#[tokio::test]
async fn storage_is_a_folder_that_only_its_owner_can_look_into() {
    let scene = Scene::new();
    let service = spec("").name.service;
    let storage = Some(Storage { service: service.clone() });
    scene.runtime.launch(&InstanceSpec { storage, ..spec("exit") }).await.unwrap();
    let folder = data_folder(scene.state.path(), &service);
    assert!(folder.ends_with(Path::new("data/order")));
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn ports_are_not_given_out_twice_in_a_row() {
    let state = tempfile::tempdir().unwrap();
    let world = super::world::World::new(platform("3fa9c1"), state.path().to_owned());
    let ports: std::collections::BTreeSet<u16> = (0..200).map(|_| world.free_port().unwrap()).collect();
    assert_eq!(ports.len(), 200);
}

#[tokio::test]
async fn an_end_that_cannot_be_written_down_is_seen_all_the_same() {
    let scene = Scene::new();
    // In the way of what is written first.
    let unfinished = format!(".{}.{}", spec("").name, std::process::id());
    fs::create_dir_all(scene.state.path().join("exits").join(unfinished)).unwrap();
    scene.runtime.launch(&spec("exit 7")).await.unwrap();
    let ended = InstanceState::Exited { code: Some(7), out_of_memory: false };
    scene.until(|seen| seen.is_some_and(|seen| seen.state == ended)).await;
    scene.runtime.remove(&spec("").name).await.unwrap();
    assert_eq!(scene.look().await, None);
}
