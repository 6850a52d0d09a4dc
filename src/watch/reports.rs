//! What the sentry says, for one reader at its own speed: changes that were not taken yet become one,
//! and of a notice one is enough.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::change::Change;
use super::handle::Report;
use super::notice::Notice;

/// How many notices wait for a reader who does not come.
const NOTICES: usize = 32;

#[derive(Default)]
pub struct Reports {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    change: Option<Change>,
    notices: VecDeque<Notice>,
    is_closed: bool,
}

impl Reports {
    pub fn change(&self, change: Change) {
        self.tell(|waiting| match &mut waiting.change {
            Some(waiting) => waiting.join(change),
            none => *none = Some(change),
        });
    }

    pub fn notice(&self, notice: Notice) {
        self.tell(|waiting| {
            if waiting.notices.len() < NOTICES && !waiting.notices.contains(&notice) {
                waiting.notices.push_back(notice);
            }
        });
    }

    pub fn close(&self) {
        self.tell(|waiting| waiting.is_closed = true);
    }

    /// The next thing to know; notices first, which explain what follows. Nothing is lost when the
    /// future is dropped: what it would return is taken in its last step.
    pub async fn next(&self) -> Option<Report> {
        loop {
            if let Some(report) = self.waiting().take() {
                return Some(report);
            }
            if self.waiting().is_closed {
                return None;
            }
            self.arrived.notified().await;
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting());
        self.arrived.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Report> {
        let notice = self.notices.pop_front().map(Report::Notice);
        notice.or_else(|| self.change.take().map(Report::Change))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::time::Instant;

    use super::*;
    use crate::watch::change::Touch;

    fn change(service: &str) -> Change {
        let now = Instant::now();
        let services = BTreeMap::from([(service.parse().unwrap(), Touch::new(None, now))]);
        Change { services, manifest: None, detected: now, settled: now }
    }

    #[tokio::test]
    async fn a_reader_who_was_away_is_told_everything_at_once() {
        let reports = Reports::default();
        for service in ["order", "mail", "order"] {
            reports.change(change(service));
        }
        let notice = Notice::Unreadable { folder: PathBuf::from("/store"), cause: "no".to_owned() };
        (0..1000).for_each(|_| reports.notice(notice.clone()));
        reports.close();

        assert_eq!(reports.next().await, Some(Report::Notice(notice)));
        let Some(Report::Change(change)) = reports.next().await else { panic!("no change") };
        let names: Vec<_> = change.services.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["mail", "order"]);
        assert_eq!(reports.next().await, None);
    }
}
