//! No room on the disk: on file systems of a few megabytes, in a mount namespace of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::responder::responder;
use crate::harness::skipped::skip;

/// What the script begins with: small file systems, and a way to keep what each command says.
const PRELUDE: &str = r#"
set -u
mount -t tmpfs -o size=4m,mode=700 tmpfs "$STATE"
mount -t tmpfs -o size=16m,mode=700 tmpfs "$BUILDS"
trap '"$MSCTL" down --volumes --yes >"$SAID/down.out" 2>"$SAID/down.err"' EXIT
run() {
  name=$1; shift
  "$@" >"$SAID/$name.out" 2>"$SAID/$name.err" </dev/null
  echo $? >"$SAID/$name.code"
}
fill() { cat /dev/zero >"$1/filler" 2>/dev/null; }
url() { "$MSCTL" ps 2>&1 >/dev/null | sed -n 's/.* at \(http[^ ]*\) .*/\1/p'; }
version() { cp "$SAID/v$1.toml" services/order/service.toml; }
"#;

/// The platform, and what the commands of a script have said.
struct Scene {
    shop: TestPlatform,
    said: PathBuf,
}

impl Scene {
    /// Runs the script; `None` where such file systems cannot be made.
    fn play(script: &str) -> Option<Self> {
        let possible =
            Command::new("unshare").args(["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        if !possible.is_ok_and(|ran| ran.status.success()) {
            skip("file systems of one's own cannot be made here");
            return None;
        }
        let shop = TestPlatform::of(&[version(1)]);
        let said = shop.home().join("said");
        fs::create_dir_all(&said).unwrap();
        for number in 1..=3 {
            shop.write(&version(number));
            fs::copy(shop.service_folder("order").join("service.toml"), said.join(format!("v{number}.toml")))
                .unwrap();
        }
        shop.write(&version(1));
        let (state, builds) = (shop.home().join("state"), shop.root().join(".msctl"));
        fs::create_dir_all(&state).unwrap();
        fs::create_dir_all(&builds).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", &format!("{PRELUDE}{script}")]).current_dir(shop.root());
        command.env("MSCTL", env!("CARGO_BIN_EXE_msctl")).env("MSCTL_STATE_DIR", &state).env("STATE", &state);
        command.env("BUILDS", &builds).env("SAID", &said).env("RESPONDER", responder());
        command.env("MSCTL_RUNTIME", "process").env("HOME", shop.home()).stdin(Stdio::null());
        let ran = command.output().unwrap();
        let scene = Self { shop, said };
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        Some(scene)
    }

    fn read(&self, file: &str) -> String {
        let path = self.said.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The exit code of a command, with what it said.
    #[track_caller]
    fn code(&self, command: &str, code: i32) -> String {
        let said = self.read(&format!("{command}.err"));
        assert_eq!(self.read(&format!("{command}.code")).trim(), code.to_string(), "{command}: {said}");
        said
    }

    fn json(&self, command: &str) -> Value {
        serde_json::from_str(&self.read(&format!("{command}.out"))).unwrap()
    }

    /// That the only instance is this one, and takes requests.
    #[track_caller]
    fn serves(&self, command: &str, instance: &str) {
        self.code(command, 0);
        let status = self.json(command);
        let instances = status["services"][0]["instances"].as_array().unwrap();
        let serving: Vec<&Value> = instances.iter().filter(|one| one["serving"] == true).collect();
        assert_eq!(serving.len(), 1, "{status}");
        assert_eq!(serving[0]["name"], instance, "{status}");
    }
}

/// The responder, which tells at `/env/MOOD` which version it is.
fn version(number: u32) -> TestService {
    let command = format!("cp '{}' order && printf {number} >> order", responder().display());
    TestService::named("order")
        .built_by(&command, "order")
        .set("MOOD", &number.to_string())
        .and("[[routes]]\npath = \"/env\"\naccess = \"public\"")
}

fn is_within(said: &str, folder: &Path) -> bool {
    said.contains(&folder.display().to_string()) && said.contains("No space left on device")
}

#[test]
fn where_builds_have_no_room_the_old_version_serves_and_the_place_is_named() {
    let script = r#"
run first "$MSCTL" up -d --no-watch
fill "$BUILDS"
version 2
run full "$MSCTL" up -d --no-watch
run ps "$MSCTL" ps --format json
run answer "$RESPONDER" fetch "$(url)/env/MOOD"
rm "$BUILDS/filler"
run again "$MSCTL" up -d --no-watch
run after "$MSCTL" ps --format json
"#;
    let Some(scene) = Scene::play(script) else { return };
    scene.code("first", 0);
    let said = scene.code("full", 5);
    assert!(is_within(&said, &scene.shop.root().join(".msctl")), "{said}");
    scene.serves("ps", "order.v1.1");
    assert!(scene.read("answer.out").contains('1'), "{}", scene.read("answer.err"));
    scene.code("again", 0);
    scene.serves("after", "order.v2.1");
}

#[test]
fn where_the_state_has_no_room_what_runs_goes_on_and_what_was_written_stays() {
    let script = r#"
run first "$MSCTL" up -d --no-watch
printf 'correct horse battery\n' | "$MSCTL" user add ann@example.com --name Ann >/dev/null
fill "$STATE"
run ps "$MSCTL" ps --format json
run answer "$RESPONDER" fetch "$(url)/env/MOOD"
printf 'correct horse battery\n' >"$SAID/password"
"$MSCTL" user add bob@example.com --name Bob <"$SAID/password" >/dev/null 2>"$SAID/bob.err"
echo $? >"$SAID/bob.code"
run token "$MSCTL" token issue --subject me
run users "$MSCTL" user list --format json
version 2
run full "$MSCTL" up -d --no-watch
run still "$MSCTL" ps --format json
rm "$STATE/filler"
run again "$MSCTL" up -d --no-watch
run after "$MSCTL" ps --format json
run known "$MSCTL" user list --format json
run history "$MSCTL" history --format jsonl
"#;
    let Some(scene) = Scene::play(script) else { return };
    scene.code("first", 0);
    scene.serves("ps", "order.v1.1");
    assert!(scene.read("answer.out").contains('1'), "{}", scene.read("answer.err"));
    let said = scene.code("bob", 1);
    assert!(said.contains("accounts.db") && said.contains("full"), "{said}");
    scene.code("token", 0);
    for users in ["users", "known"] {
        scene.code(users, 0);
        assert_eq!(
            scene.json(users)["accounts"].as_array().map(Vec::len),
            Some(1),
            "{}",
            scene.read("users.out")
        );
    }
    let said = scene.code("full", 5);
    assert!(is_within(&said, &scene.shop.home().join("state")), "{said}");
    scene.serves("still", "order.v1.1");
    scene.code("again", 0);
    scene.serves("after", "order.v2.1");
    let told: Vec<Value> =
        scene.read("history.out").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.first().map(|one| &one["outcome"]["kind"]), Some(&"live".into()), "{told:?}");
    assert_eq!(told.last().map(|one| &one["cause"]["kind"]), Some(&"first-start".into()), "{told:?}");
}

#[test]
fn a_platform_that_has_no_room_for_its_state_does_not_start_and_names_the_place() {
    let script = r#"
fill "$STATE"
run up "$MSCTL" up -d --no-watch
rm "$STATE/filler"
run again "$MSCTL" up -d --no-watch
run after "$MSCTL" ps --format json
"#;
    let Some(scene) = Scene::play(script) else { return };
    let said = scene.code("up", 1);
    assert!(said.contains(&scene.shop.home().join("state").display().to_string()), "{said}");
    scene.code("again", 0);
    scene.serves("after", "order.v1.1");
}
