//! What the kernel refuses.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::stage::{DEADLINE, Stage, options, shown};
use crate::watch::ears::{self, Ears, Refusal};
use crate::watch::inbox::Inbox;
use crate::watch::limits::Limit;
use crate::watch::{Notice, Options};

/// The kernel's, but for so many folders only.
struct Few {
    kernel: Box<dyn Ears>,
    left: usize,
}

impl Ears for Few {
    fn watch(&mut self, folder: &Path) -> Result<(), Refusal> {
        self.left = self.left.checked_sub(1).ok_or(Refusal::Limit(Limit::Watches))?;
        self.kernel.watch(folder)
    }

    fn unwatch(&mut self, folder: &Path) {
        self.left += 1;
        self.kernel.unwatch(folder);
    }
}

fn few(left: usize) -> impl FnOnce(Arc<Inbox>) -> Result<Box<dyn Ears>, Refusal> {
    move |inbox| ears::open(inbox).map(|kernel| Box::new(Few { kernel, left }) as Box<dyn Ears>)
}

fn options_with_polling() -> Options {
    Options { look_every: Duration::from_millis(50), ..options() }
}

/// Whatever is watched and whatever is polled: every change is noticed.
async fn check_everything_is_noticed(stage: &Stage) {
    for path in ["services/order/src/main.rs", "services/mail/src/main.rs", "services/order/src/a/b.rs"] {
        stage.check_watched(&stage.root.join(path)).await;
        stage.check_watched(&stage.root.join(path)).await;
    }
    stage.write("msctl.toml", "x");
    assert_eq!(shown(&stage.change_at(&stage.root.join("msctl.toml")).await), "+manifest");
}

#[tokio::test]
async fn what_there_is_no_watch_for_is_polled_and_told_of_once_by_the_name_of_the_setting() {
    // The ways take four: the platform's folder, `services`, and the two in it.
    for left in [0, 3, 4, 5] {
        let (stage, notices) = Stage::hearing(options_with_polling(), few(left)).await;
        let [notice] = notices.as_slice() else { panic!("{left}: {notices:?}") };
        let shown = notice.to_string();
        assert!(shown.contains("fs.inotify.max_user_watches = "), "{shown}");
        assert!(!shown.contains("space"), "{shown}");
        let Notice::Limit { polled, .. } = notice else { panic!("{notice}") };
        let names = ["", "services/mail", "services/order"].map(|name| stage.root.join(name));
        let expected = if left < 4 { &names[..] } else { &names[left - 3..] };
        if left >= 4 {
            assert_eq!(polled, expected, "{left}");
        }
        check_everything_is_noticed(&stage).await;
    }
}

#[tokio::test]
async fn a_service_that_grows_over_the_limit_is_polled_from_then_on() {
    let (stage, notices) = Stage::hearing(options_with_polling(), few(8)).await;
    assert_eq!(notices, []);
    for name in 0..8 {
        stage.write(&format!("services/order/src/{name}/a.rs"), "x");
    }
    let mut notice = None;
    while notice.is_none() {
        if let crate::watch::Report::Notice(found) = stage.report().await {
            notice = Some(found);
        }
    }
    let Some(Notice::Limit { polled, .. }) = notice else { panic!("{notice:?}") };
    assert_eq!(polled, [stage.root.join("services/order")]);
    stage.check_watched(&stage.order("src/7/a.rs")).await;
    check_everything_is_noticed(&stage).await;
}

#[tokio::test]
async fn where_there_can_be_no_watches_at_all_everything_is_polled() {
    for refusal in [Refusal::Limit(Limit::Instances), Refusal::Other("no such call".to_owned())] {
        let expected = if refusal == Refusal::Limit(Limit::Instances) {
            "fs.inotify.max_user_instances = "
        } else {
            "files cannot be watched (no such call)"
        };
        let (stage, notices) = Stage::hearing(options_with_polling(), |_| Err(refusal)).await;
        let [notice] = notices.as_slice() else { panic!("{notices:?}") };
        assert!(notice.to_string().contains(expected), "{notice}");
        check_everything_is_noticed(&stage).await;
    }
}

/// The kernel's own limits, lowered for a process of its own in a user namespace of its own.
#[cfg(target_os = "linux")]
#[test]
fn the_kernels_limits_are_met_and_named() {
    for (setting, value) in [("max_inotify_watches", 5), ("max_inotify_instances", 0)] {
        let script = format!("echo {value} > /proc/sys/user/{setting} && exec \"$0\" \"$@\"");
        let part = "watch::tests::limits::a_platform_with_little";
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", part, "--ignored", "--nocapture"])
            .env("MSCTL_TEST_SETTING", setting)
            .output();
        let output = match output {
            Ok(output) if !String::from_utf8_lossy(&output.stdout).contains("running 1 test") => {
                return skip(&format!("no user namespaces: {}", String::from_utf8_lossy(&output.stderr)));
            }
            Ok(output) => output,
            Err(error) => return skip(&format!("no unshare: {error}")),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "a part of the test before it, which runs it in a process of its own"]
async fn a_platform_with_little() {
    let setting = std::env::var("MSCTL_TEST_SETTING").unwrap();
    let (stage, notices) = Stage::hearing(options_with_polling(), ears::open).await;
    let [notice] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(notice.to_string().contains(&format!("the limit user.{setting} = ")), "{notice}");
    check_everything_is_noticed(&stage).await;
    if setting == "max_inotify_watches" {
        assert!(watches() <= 5);
        std::fs::write("/proc/sys/user/max_inotify_watches", "100").unwrap();
        let raised = async {
            while watches() < 7 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, raised).await.expect("still polled");
        check_everything_is_noticed(&stage).await;
    }
}

/// How many folders this process watches.
#[cfg(target_os = "linux")]
fn watches() -> usize {
    let files = std::fs::read_dir("/proc/self/fdinfo").unwrap().map(Result::unwrap);
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    texts.map(|text| text.lines().filter(|line| line.starts_with("inotify ")).count()).sum()
}

/// Said and counted, as `tests/run` wants it.
fn skip(reason: &str) {
    let (thread, reason) = (std::thread::current(), reason.trim());
    let test = thread.name().unwrap_or("a test");
    assert!(std::env::var("MSCTL_TEST_STRICT").as_deref() != Ok("1"), "nothing may be skipped, but {reason}");
    writeln!(std::io::stdout(), "SKIPPED ({reason}): {test}").unwrap();
    if let Some(path) = std::env::var_os("MSCTL_TEST_SKIPPED") {
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}
