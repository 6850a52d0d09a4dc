//! The one thread that watches: it waits, takes in what happened, and reports once it is quiet.
//!
//! Folders are brought in step with what is there only when it is quiet, by watching what is not
//! watched yet and then walking again, until a walk finds nothing new. Whatever was written into a new
//! folder before that is on disk before the report is, so that its reader sees it; whatever comes later
//! is told of. Folders that turn up on the way mean that it was not quiet yet.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::ears::{Ears, Kind, Refusal, Signal};
use super::folders::{Folders, Held};
use super::handle::Options;
use super::inbox::Inbox;
use super::layout::{Layout, is_folder};
use super::limits::Limit;
use super::look::differences;
use super::notice::{Notice, Setting};
use super::quiet::Quiet;
use super::reports::Reports;
use super::roots::{Owner, Root};
use crate::build::{BuildError, is_rule};

/// How often a folder that keeps growing is walked before the rest is left to the next time.
const ROUNDS: usize = 16;
/// Looking takes at most this part of the time.
const LOOKING: u32 = 20;
/// After how many looks something that could not be watched is tried again.
const RETRY: u32 = 30;

pub struct Sentry {
    inbox: Arc<Inbox>,
    reports: Arc<Reports>,
    options: Options,
    layout: Option<Layout>,
    roots: BTreeMap<Owner, Root>,
    /// `None` where nobody tells of anything, so that all is polled.
    folders: Option<Folders>,
    quiet: Quiet,
    next_look: Instant,
    next_retry: Instant,
    /// The limit that was met. As long as it is the same, there is no use in trying again, which would
    /// take from others what few watches there are.
    limit: Option<(Limit, Setting)>,
    told: HashSet<String>,
}

impl Sentry {
    /// `ears` is `None` where polling was asked for.
    pub fn new(
        inbox: Arc<Inbox>,
        reports: Arc<Reports>,
        options: Options,
        ears: Option<Result<Box<dyn Ears>, Refusal>>,
    ) -> Self {
        let now = Instant::now();
        let mut sentry = Self {
            inbox,
            reports,
            options,
            layout: None,
            roots: BTreeMap::new(),
            folders: None,
            quiet: Quiet::new(options.pace),
            next_look: now + options.look_every,
            next_retry: now,
            limit: None,
            told: HashSet::new(),
        };
        match ears {
            Some(Ok(ears)) => sentry.folders = Some(Folders::new(ears)),
            Some(Err(Refusal::Limit(limit))) => {
                sentry.tell(Notice::Limit { setting: limit.setting(), polled: Vec::new() });
            }
            Some(Err(refusal)) => sentry.tell(Notice::Polling { cause: refusal.to_string() }),
            None => {}
        }
        sentry
    }

    /// Until the inbox is closed.
    pub fn run(mut self) {
        while let Some(mail) = self.inbox.wait(self.wakes_at()) {
            if let Some(layout) = mail.layout {
                self.follow(layout);
            }
            if mail.is_overflowed {
                self.lose_count();
            }
            mail.signals.into_iter().for_each(|signal| self.take_in(&signal));
            if Instant::now() >= self.next_look {
                self.look_again();
            }
            self.settle();
        }
    }

    fn wakes_at(&self) -> Option<Instant> {
        let is_polling = self.roots.values().any(|root| root.polled.is_some());
        self.quiet.due().into_iter().chain(is_polling.then_some(self.next_look)).min()
    }

    fn follow(&mut self, layout: Layout) {
        let added = layout.added_to(self.layout.as_ref());
        self.quiet.note(added, None, Instant::now());
        let mut roots = std::mem::take(&mut self.roots);
        for owner in layout.trees().keys().cloned().map(Owner::Tree).chain([Owner::Ways]) {
            let mut root = roots.remove(&owner).unwrap_or_else(|| Root::new(owner.clone()));
            root.is_stale = true;
            self.roots.insert(owner, root);
        }
        for gone in roots.keys() {
            self.release(gone);
        }
        self.layout = Some(layout);
        self.walk_stale();
    }

    fn take_in(&mut self, signal: &Signal) {
        let Some(layout) = &self.layout else { return };
        let path = &signal.path;
        let is_of_folders = signal.kind.is_of_folders() && {
            let is_forgotten = self.folders.as_mut().is_some_and(|folders| folders.forget(path));
            is_forgotten || is_folder(path)
        };
        if is_of_folders || is_rule(path) {
            for root in self.roots.values_mut().filter(|root| root.depends_on(path, layout)) {
                root.is_stale = true;
            }
        }
        let counts = |folder: &Path| {
            self.roots.get(&Owner::Tree(folder.to_owned())).is_none_or(|root| root.concern(path))
        };
        let affected = layout.affected_by(path, counts);
        self.quiet.note(affected, Some((path, signal.kind)), signal.at);
    }

    /// Any folder may have come, gone or been replaced unseen.
    fn lose_count(&mut self) {
        let Some(layout) = &self.layout else { return };
        let everything = layout.affected_by(layout.root(), |_| true);
        self.quiet.note(everything, None, Instant::now());
        self.folders.iter_mut().for_each(Folders::forget_all);
        self.roots.values_mut().for_each(|root| root.is_stale = true);
        self.tell(Notice::Overflow { setting: Limit::Queue.setting() });
    }

    fn settle(&mut self) {
        let Some(due) = self.quiet.due() else { return self.walk_stale() };
        if due > Instant::now() {
            return;
        }
        self.walk_stale();
        self.look_again();
        if let Some(change) = self.quiet.take(Instant::now()) {
            self.reports.change(change);
        }
    }

    /// Brings the watches in step with the folders that are there.
    fn walk_stale(&mut self) {
        let may_retry = Instant::now() >= self.next_retry
            && self.limit.as_ref().is_none_or(|(limit, setting)| limit.setting() != *setting);
        let is_due = |root: &Root| root.is_stale && (root.polled.is_none() || may_retry);
        let stale = self.roots.iter().filter(|(_, root)| is_due(root));
        let stale: Vec<Owner> = stale.map(|(owner, _)| owner.clone()).collect();
        let mut refused = Vec::new();
        for owner in stale {
            match self.watch_then_walk(&owner) {
                Ok(found) => {
                    if found > 0 {
                        self.quiet.stir(Instant::now());
                    }
                    self.stop_polling(&owner);
                }
                Err(refusal) => refused.push((owner, refusal)),
            }
        }
        if may_retry {
            self.limit = None;
            self.next_retry = Instant::now() + self.options.look_every * RETRY;
        }
        self.poll(refused);
    }

    /// How many folders are watched now that were not before.
    fn watch_then_walk(&mut self, owner: &Owner) -> Result<usize, Refusal> {
        let (Some(layout), Some(root)) = (&self.layout, self.roots.get_mut(owner)) else { return Ok(0) };
        let Some(folders) = &mut self.folders else { return Err(Refusal::Unasked) };
        let unreadable = |error: BuildError| Refusal::Other(error.to_string());
        let mut found = 0;
        for _ in 0..ROUNDS {
            root.read_rules(layout).map_err(unreadable)?; // a new folder may have brought some
            let needed = root.folders(layout).map_err(unreadable)?;
            if *owner == Owner::Ways && !needed.contains(layout.root()) {
                return Err(Refusal::Gone);
            }
            let before = found;
            for folder in &needed {
                match folders.hold(folder, owner) {
                    Ok(Held::Newly) => found += 1,
                    Ok(Held::Already) | Err(Refusal::Gone) => {}
                    // Whoever loads the manifest says so, where it matters.
                    Err(Refusal::Other(_)) if *owner == Owner::Ways => {}
                    Err(refusal) => return Err(refusal),
                }
            }
            if found == before {
                folders.keep_only(owner, &needed);
                root.is_stale = false;
                break;
            }
        }
        Ok(found)
    }

    /// What was not watched is looked at from now on.
    fn poll(&mut self, refused: Vec<(Owner, Refusal)>) {
        let mut limited: Option<(Limit, Vec<PathBuf>)> = None;
        for (owner, refusal) in refused {
            self.release(&owner);
            self.begin_polling(&owner);
            match refusal {
                Refusal::Limit(limit) => {
                    limited.get_or_insert((limit, Vec::new())).1.push(self.folder_of(&owner));
                }
                Refusal::Other(cause) => {
                    self.tell(Notice::Unreadable { folder: self.folder_of(&owner), cause });
                }
                Refusal::Gone | Refusal::Unasked => {}
            }
        }
        if let Some((limit, polled)) = limited {
            let setting = limit.setting();
            self.limit = Some((limit, setting.clone()));
            self.tell(Notice::Limit { setting, polled });
        }
    }

    /// What happened since it was seen last was told of by nobody.
    fn begin_polling(&mut self, owner: &Owner) {
        let (Some(layout), Some(root)) = (&self.layout, self.roots.get_mut(owner)) else { return };
        if root.polled.is_none() {
            root.polled = Some(root.look(layout).unwrap_or_default());
            self.quiet.note(root.everything(layout), None, Instant::now());
        }
    }

    /// It is watched now; what happened between the last look and that is found by another one.
    fn stop_polling(&mut self, owner: &Owner) {
        let (Some(layout), Some(root)) = (&self.layout, self.roots.get_mut(owner)) else { return };
        let Some(before) = root.polled.take() else { return };
        let after = root.look(layout).unwrap_or_default();
        self.take_in_all(differences(&before, &after).map(Path::to_owned).collect());
    }

    fn look_again(&mut self) {
        let Some(layout) = &self.layout else { return };
        let started = Instant::now();
        let mut changed = Vec::new();
        for root in self.roots.values_mut().filter(|root| root.polled.is_some()) {
            let Ok(after) = root.look(layout) else { continue };
            let before = root.polled.replace(after.clone()).unwrap_or_default();
            changed.extend(differences(&before, &after).map(Path::to_owned));
        }
        if changed.iter().any(|path| path == layout.root()) {
            self.next_retry = started; // the whole platform is back
        }
        self.take_in_all(changed);
        self.next_look = Instant::now() + self.options.look_every.max(started.elapsed() * LOOKING);
    }

    fn take_in_all(&mut self, paths: Vec<PathBuf>) {
        let at = Instant::now();
        for path in paths {
            self.take_in(&Signal { path, kind: Kind::Anything, at });
        }
    }

    fn release(&mut self, owner: &Owner) {
        self.folders.iter_mut().for_each(|folders| folders.keep_only(owner, &BTreeSet::new()));
    }

    fn folder_of(&self, owner: &Owner) -> PathBuf {
        match (owner, &self.layout) {
            (Owner::Tree(folder), _) => folder.clone(),
            (Owner::Ways, layout) => layout.as_ref().map(|it| it.root().to_owned()).unwrap_or_default(),
        }
    }

    /// Each thing is told of once.
    fn tell(&mut self, notice: Notice) {
        if self.told.insert(notice.subject()) {
            self.reports.notice(notice);
        }
    }
}
