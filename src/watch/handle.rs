//! The handle: starts, follows, is listened to, and ends when it is dropped.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::change::Change;
use super::ears::{self, Ears, Refusal};
use super::inbox::Inbox;
use super::layout::Layout;
use super::notice::Notice;
use super::quiet::Pace;
use super::reports::Reports;
use super::sentry::Sentry;

/// How changes are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// The kernel tells; what it will not tell of is polled.
    #[default]
    Events,
    /// Everything is looked at again and again: for file systems that tell nothing.
    Polling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub method: Method,
    pub pace: Pace,
    /// From one look to the next where something is polled; longer where looking takes long.
    pub look_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { method: Method::Events, pace: Pace::default(), look_every: Duration::from_secs(1) }
    }
}

/// What [`Watch::next`] has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    Change(Change),
    Notice(Notice),
}

#[derive(Debug, thiserror::Error)]
#[error("start the thread that watches files: {0}")]
pub struct WatchError(#[from] io::Error);

/// Watches the files of one platform.
///
/// What is watched for the first time is reported as changed, at the start and whenever something is
/// added: nobody can know what happened to it since it was read. So a caller may read first and watch
/// then, or the other way round.
///
/// ```
/// # use msctl::watch::{Layout, Options, Report, Watch, WatchError};
/// # fn replan(_: impl std::fmt::Debug) {}
/// # fn tell(_: impl std::fmt::Display) {}
/// async fn follow(layout: Layout) -> Result<(), WatchError> {
///     let watch = Watch::start(layout, Options::default())?;
///     while let Some(report) = watch.next().await {
///         match report {
///             // Digests decide which of these really changed. After a changed manifest: watch.follow(…)
///             Report::Change(change) => replan(change.services.keys()),
///             Report::Notice(notice) => tell(notice),
///         }
///     }
///     Ok(())
/// }
/// ```
pub struct Watch {
    inbox: Arc<Inbox>,
    reports: Arc<Reports>,
}

impl Watch {
    pub fn start(layout: Layout, options: Options) -> Result<Self, WatchError> {
        Self::start_with(layout, options, ears::open)
    }

    /// With other ears than the kernel's.
    pub(super) fn start_with(
        layout: Layout,
        options: Options,
        open: impl FnOnce(Arc<Inbox>) -> Result<Box<dyn Ears>, Refusal> + Send + 'static,
    ) -> Result<Self, WatchError> {
        let (inbox, reports) = (Arc::new(Inbox::default()), Arc::new(Reports::default()));
        let watch = Self { inbox: Arc::clone(&inbox), reports: Arc::clone(&reports) };
        inbox.follow(layout);
        let thread = std::thread::Builder::new().name("msctl-watch".to_owned());
        thread.spawn(move || {
            let _closed = CloseAtEnd(Arc::clone(&reports));
            let ears = match options.method {
                Method::Events => Some(open(Arc::clone(&inbox))),
                Method::Polling => None,
            };
            Sentry::new(inbox, reports, options, ears).run();
        })?;
        Ok(watch)
    }

    /// Goes on with what the platform is made from now. What stays is watched without a gap; what is
    /// new is reported once.
    pub fn follow(&self, layout: Layout) {
        self.inbox.follow(layout);
    }

    /// The next thing to know; `None` when watching has come to an end by itself, which only a fault of
    /// this program could cause. Nothing is lost when the future is dropped. Changes that were not taken
    /// yet are joined to one.
    pub async fn next(&self) -> Option<Report> {
        self.reports.next().await
    }
}

impl Drop for Watch {
    /// Its threads end by themselves right after; they are not waited for, as a walk may be under way.
    fn drop(&mut self) {
        self.inbox.close();
    }
}

/// Tells the reader that there is nothing to wait for, however the thread ends.
struct CloseAtEnd(Arc<Reports>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}
