//! A platform in a folder of its own, with two services, and somebody who watches it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::fixtures::{platform, service};
use crate::watch::ears::{Ears, Refusal};
use crate::watch::inbox::Inbox;
use crate::watch::{Change, Layout, Notice, Options, Pace, Report, Watch};

/// Nothing here takes long; a machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub struct Stage {
    pub watch: Watch,
    pub root: PathBuf,
    /// What was reported so far: of a save that a busy machine took apart, the rest may come later.
    seen: Mutex<BTreeSet<PathBuf>>,
    _folder: TempDir,
}

/// More patience than a hand that saves needs: a busy machine pauses within one write.
pub fn options() -> Options {
    let rest = Duration::from_millis(60);
    Options { pace: Pace { rest, rest_when_whole: rest, ..Pace::default() }, ..Options::default() }
}

/// `services/order` and `services/mail`, and whatever else is asked for.
pub fn files(extra: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap().join("store");
    for path in ["msctl.toml", "services/order/service.toml", "services/mail/service.toml"] {
        write(&root.join(path), "");
    }
    for path in extra.iter().chain(&["services/order/src/main.rs", "services/mail/src/main.rs"]) {
        write(&root.join(path), "");
    }
    (folder, root)
}

pub fn layout(root: &Path, services: &[&str]) -> Layout {
    let services = services.iter().map(|name| service(name, &root.join("services").join(name)));
    Layout::of(&platform(root, &["services/*"], services))
}

pub fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

impl Stage {
    /// With these files besides; everything was reported once.
    pub async fn new(extra: &[&str]) -> Self {
        Self::with(extra, options()).await
    }

    pub async fn with(extra: &[&str], options: Options) -> Self {
        Self::set(extra, |layout| Watch::start(layout, options).unwrap()).await
    }

    /// With other ears than the kernel's, and the notices that came with the first report.
    pub async fn hearing(
        options: Options,
        open: impl FnOnce(Arc<Inbox>) -> Result<Box<dyn Ears>, Refusal> + Send + 'static,
    ) -> (Self, Vec<Notice>) {
        let (folder, root) = files(&[]);
        let watch = Watch::start_with(layout(&root, &["order", "mail"]), options, open).unwrap();
        let stage = Self { watch, root, seen: Mutex::default(), _folder: folder };
        let notices = stage.first_report().await;
        (stage, notices)
    }

    async fn set(extra: &[&str], start: impl FnOnce(Layout) -> Watch) -> Self {
        let (folder, root) = files(extra);
        let watch = start(layout(&root, &["order", "mail"]));
        let stage = Self { watch, root, seen: Mutex::default(), _folder: folder };
        assert_eq!(stage.first_report().await, []);
        stage
    }

    async fn first_report(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        loop {
            match self.report().await {
                Report::Notice(notice) => notices.push(notice),
                Report::Change(change) => {
                    assert_eq!(shown(&change), "mail order +manifest");
                    return notices;
                }
            }
        }
    }

    pub fn order(&self, path: &str) -> PathBuf {
        self.root.join("services/order").join(path)
    }

    pub fn mail(&self, path: &str) -> PathBuf {
        self.root.join("services/mail").join(path)
    }

    pub fn write(&self, path: &str, content: &str) {
        write(&self.root.join(path), content);
    }

    pub async fn report(&self) -> Report {
        let report = tokio::time::timeout(DEADLINE, self.watch.next()).await;
        report.expect("nothing was reported").expect("watching has ended")
    }

    pub async fn change(&self) -> Change {
        match self.report().await {
            Report::Change(change) => {
                self.seen.lock().unwrap().extend(change.paths().iter().map(Path::to_owned));
                change
            }
            Report::Notice(notice) => panic!("{notice}"),
        }
    }

    /// Takes changes until one of them names this path.
    pub async fn change_at(&self, path: &Path) -> Change {
        self.change_where(path, |found| found == path).await
    }

    /// Writes the file and waits until that is reported. Of what is in a new folder the folder alone
    /// may be named; from then on it is watched.
    pub async fn check_watched(&self, path: &Path) {
        write(path, "again");
        self.change_where(path, |found| path.starts_with(found)).await;
        write(path, "and again");
        self.change_at(path).await;
    }

    async fn change_where(&self, path: &Path, counts: impl Fn(&Path) -> bool) -> Change {
        let wait = async {
            loop {
                let change = self.change().await;
                if change.paths().iter().any(&counts) {
                    return change;
                }
            }
        };
        let change = tokio::time::timeout(DEADLINE, wait).await;
        change.unwrap_or_else(|_| panic!("{path:?} was not reported"))
    }

    /// What was done since the last report, to paths that none named so far, concerned nobody: what
    /// comes next is the report of another save.
    pub async fn check_unnoticed(&self) {
        let seen = self.seen.lock().unwrap().clone();
        let sentinel = self.mail(&format!("src/sentinel-{}.rs", seen.len()));
        write(&sentinel, "");
        loop {
            let change = self.change().await;
            let paths = change.paths();
            let (ours, others): (Vec<_>, Vec<_>) = paths.iter().partition(|path| *path == sentinel);
            let other = others.into_iter().find(|path| !seen.contains(*path));
            assert_eq!(other, None, "{}", shown(&change));
            if !ours.is_empty() {
                return;
            }
        }
    }

    pub fn paths(&self, change: &Change) -> String {
        let paths = change.paths();
        let relative = paths.iter().map(|path| path.strip_prefix(&self.root).unwrap_or(path));
        relative.map(|path| path.to_str().expect("a name that is text")).collect::<Vec<_>>().join(", ")
    }
}

/// Who is concerned.
pub fn shown(change: &Change) -> String {
    let services = change.services.keys().map(ToString::to_string);
    services.chain(change.manifest.iter().map(|_| "+manifest".to_owned())).collect::<Vec<_>>().join(" ")
}
