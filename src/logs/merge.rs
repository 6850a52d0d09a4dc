//! Several instances' lines as one sequence.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::SystemTime;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};

use crate::model::instance::InstanceName;
use crate::runtime::LogLine;

/// A line and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub instance: InstanceName,
    pub line: LogLine,
}

/// Merges what instances wrote so far by time, and reads no more than one line of each ahead. Within
/// one instance the order is kept, whatever its clock says; a line without a time goes with the one
/// before it. Lines of one time come in the order of `instances`.
pub fn merge(instances: Vec<(InstanceName, BoxStream<'static, LogLine>)>) -> impl Stream<Item = Entry> {
    let sources = instances.into_iter().map(|(instance, lines)| Source {
        instance,
        lines,
        latest: SystemTime::UNIX_EPOCH,
        next: None,
    });
    let merging = Merging { sources: sources.collect(), oldest_first: BinaryHeap::new(), has_begun: false };
    stream::unfold(merging, |mut merging| async { Some((merging.next().await?, merging)) })
}

struct Merging {
    sources: Vec<Source>,
    /// The age of the next line of each source that has one, and which source that is.
    oldest_first: BinaryHeap<Reverse<(SystemTime, usize)>>,
    has_begun: bool,
}

struct Source {
    instance: InstanceName,
    lines: BoxStream<'static, LogLine>,
    /// The time of the newest line that told one.
    latest: SystemTime,
    next: Option<LogLine>,
}

impl Merging {
    async fn next(&mut self) -> Option<Entry> {
        if !self.has_begun {
            self.has_begun = true;
            for which in 0..self.sources.len() {
                self.read(which).await;
            }
        }
        let Reverse((_, which)) = self.oldest_first.pop()?;
        let source = &mut self.sources[which];
        let line = source.next.take()?;
        let entry = Entry { instance: source.instance.clone(), line };
        self.read(which).await;
        Some(entry)
    }

    async fn read(&mut self, which: usize) {
        let source = &mut self.sources[which];
        source.next = source.lines.next().await;
        if let Some(line) = &source.next {
            source.latest = line.at.map_or(source.latest, |at| at.max(source.latest));
            self.oldest_first.push(Reverse((source.latest, which)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::model::instance::Generation;
    use crate::runtime::LogStream;

    fn instance(replica: u16) -> InstanceName {
        InstanceName { service: "a".parse().unwrap(), generation: Generation::FIRST, replica }
    }

    fn line(at: Option<u64>, text: &str) -> LogLine {
        let at = at.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        LogLine { at, stream: LogStream::Stdout, text: text.to_owned() }
    }

    #[tokio::test]
    async fn lines_are_merged_by_time_and_stay_in_their_own_order() {
        let one = vec![line(Some(1), "first"), line(None, "  continued"), line(Some(5), "last")];
        let two = vec![line(Some(3), "other"), line(Some(2), "clock went back"), line(Some(5), "beside it")];
        let lines = [one, two].map(|lines| stream::iter(lines).boxed());
        let merged = merge((1..).map(instance).zip(lines).collect());
        let texts: Vec<String> = merged.map(|entry| entry.line.text).collect().await;
        assert_eq!(texts.join("|"), "first|  continued|other|clock went back|last|beside it");
    }

    #[tokio::test]
    async fn no_more_than_one_line_of_each_is_read_ahead() {
        let read = Arc::new(AtomicUsize::new(0));
        let endless = |read: Arc<AtomicUsize>| {
            let lines = stream::iter(0..).map(move |second| {
                read.fetch_add(1, Ordering::Relaxed);
                line(Some(second), "")
            });
            lines.boxed()
        };
        let sources = (1..=3).map(|replica| (instance(replica), endless(Arc::clone(&read))));
        let taken = merge(sources.collect()).take(1_000).count().await;
        assert_eq!((taken, read.load(Ordering::Relaxed)), (1_000, 1_003));
    }
}
