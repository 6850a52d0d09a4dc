//! Reading the output of an instance, and following it while it grows.

use std::collections::VecDeque;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;

use crate::runtime::{LogLine, LogQuery, RuntimeError};

use super::output::{self, LineSplitter};

/// How often a followed file is looked at.
const POLL: Duration = Duration::from_millis(100);
const CHUNK: usize = 64 * 1024;
/// How many lines may wait for a slow reader; then the file waits.
const WAITING: usize = 64;

type Line = Result<LogLine, RuntimeError>;
/// The reader went away; nothing is left to do.
struct NobodyReads;

/// The lines of `path` that `query` asks for. With `follow`, more until `is_over` says that no more
/// will be written.
pub fn stream(
    path: PathBuf,
    query: LogQuery,
    is_over: impl Fn() -> bool + Send + Sync + 'static,
) -> BoxStream<'static, Line> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut reader =
            Reader { path, since: query.since, last: None, splitter: LineSplitter::default(), sender };
        // Whoever dropped the stream does not want to hear why it ends.
        let _ = reader.run(&query, is_over).await;
    });
    stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }).boxed()
}

struct Reader {
    path: PathBuf,
    since: Option<SystemTime>,
    /// The time of the newest line that told one: lines without are as old as that.
    last: Option<SystemTime>,
    splitter: LineSplitter,
    sender: mpsc::Sender<Line>,
}

impl Reader {
    async fn run(&mut self, query: &LogQuery, is_over: impl Fn() -> bool) -> Result<(), NobodyReads> {
        let mut kept = Kept { limit: query.tail, lines: VecDeque::new() };
        self.read_recent(&output::older(&self.path), &mut kept).await?;
        let mut position = self.read_recent(&self.path.clone(), &mut kept).await?;
        if !query.follow {
            kept.lines.extend(self.splitter.finish().map(output::to_log_line));
            kept.drop_oldest();
        }
        for line in kept.lines.drain(..) {
            self.send(Ok(line)).await?;
        }
        if query.follow { self.follow(&mut position, is_over).await } else { Ok(()) }
    }

    async fn follow(&mut self, position: &mut u64, is_over: impl Fn() -> bool) -> Result<(), NobodyReads> {
        let mut straight = Kept { limit: None, lines: VecDeque::new() };
        loop {
            // Asked before reading, so that the last words of an instance are not missed.
            let over = is_over();
            if self.length().await < *position {
                self.read_on(&output::older(&self.path), *position, &mut straight).await?;
                *position = 0;
            }
            *position = self.read_on(&self.path.clone(), *position, &mut straight).await?;
            if over {
                let rest = self.splitter.finish().map(output::to_log_line);
                return match rest {
                    Some(line) => self.send(Ok(line)).await,
                    None => Ok(()),
                };
            }
            tokio::select! {
                // Both arms only wait: nothing is lost when the other wins.
                () = tokio::time::sleep(POLL) => {}
                () = self.sender.closed() => return Err(NobodyReads),
            }
        }
    }

    /// Reads a whole file, unless nothing was written to it since the time that is asked for.
    async fn read_recent(&mut self, path: &Path, kept: &mut Kept) -> Result<u64, NobodyReads> {
        let written = tokio::fs::metadata(path).await.ok();
        let written = written.and_then(|file| Some((file.modified().ok()?, file.len())));
        match (written, self.since) {
            (Some((at, length)), Some(since)) if at < since => Ok(length),
            _ => self.read_on(path, 0, kept).await,
        }
    }

    /// Reads from `position` to the end and returns where that is; a file that is not there is empty.
    async fn read_on(&mut self, path: &Path, position: u64, kept: &mut Kept) -> Result<u64, NobodyReads> {
        match self.read_file(path, position, kept).await {
            Ok(reached) => reached,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(position),
            Err(source) => {
                self.send(Err(RuntimeError::File { what: "read", path: path.to_owned(), source })).await?;
                Err(NobodyReads)
            }
        }
    }

    async fn read_file(
        &mut self,
        path: &Path,
        mut position: u64,
        kept: &mut Kept,
    ) -> std::io::Result<Result<u64, NobodyReads>> {
        let mut file = File::open(path).await?;
        file.seek(SeekFrom::Start(position)).await?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = file.read(&mut chunk).await?;
            if length == 0 {
                return Ok(Ok(position));
            }
            position += length as u64;
            for text in self.splitter.feed(&chunk[..length]) {
                if self.take(output::to_log_line(text), kept).await.is_err() {
                    return Ok(Err(NobodyReads));
                }
            }
        }
    }

    async fn take(&mut self, line: LogLine, kept: &mut Kept) -> Result<(), NobodyReads> {
        self.last = line.at.or(self.last);
        let too_old = self.since.is_some_and(|since| self.last.is_some_and(|at| at < since));
        match kept.limit {
            _ if too_old => Ok(()),
            None => self.send(Ok(line)).await,
            Some(_) => {
                kept.lines.push_back(line);
                kept.drop_oldest();
                Ok(())
            }
        }
    }

    async fn length(&self) -> u64 {
        tokio::fs::metadata(&self.path).await.map_or(0, |metadata| metadata.len())
    }

    async fn send(&self, line: Line) -> Result<(), NobodyReads> {
        self.sender.send(line).await.map_err(|_| NobodyReads)
    }
}

/// The newest lines so far; without a limit none are kept, they are sent straight on.
struct Kept {
    limit: Option<usize>,
    lines: VecDeque<LogLine>,
}

impl Kept {
    fn drop_oldest(&mut self) {
        let surplus = self.limit.map_or(0, |limit| self.lines.len().saturating_sub(limit));
        self.lines.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    async fn texts(lines: BoxStream<'static, Line>) -> Vec<String> {
        lines.map(|line| line.unwrap().text).collect().await
    }

    fn query(tail: Option<usize>) -> LogQuery {
        LogQuery { tail, ..LogQuery::default() }
    }

    #[tokio::test]
    async fn lines_come_oldest_first_from_before_the_rotation_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(output::older(&path), "1\n2\n").unwrap();
        std::fs::write(&path, "3\n4").unwrap();
        assert_eq!(texts(stream(path.clone(), query(None), || true)).await, ["1", "2", "3", "4"]);
        assert_eq!(texts(stream(path.clone(), query(Some(2)), || true)).await, ["3", "4"]);
        assert_eq!(texts(stream(path, query(Some(0)), || true)).await, [""; 0]);
    }

    #[tokio::test]
    async fn lines_without_a_time_are_as_old_as_the_line_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let old = r#"{"timestamp":"2020-01-01T00:00:00Z"}"#;
        let new = r#"{"timestamp":"2030-01-01T00:00:00Z"}"#;
        std::fs::write(&path, format!("{old}\nold trace\n{new}\nnew trace\n")).unwrap();
        let since = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let found = texts(stream(path, LogQuery { since, ..query(None) }, || true)).await;
        assert_eq!(found, [new, "new trace"]);
    }

    #[tokio::test]
    async fn following_shows_what_is_written_also_across_a_rotation_and_ends_with_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut writer = output::open(&path).unwrap();
        writer.write_all(b"the first, longer line\n").unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let follow = LogQuery { follow: true, ..query(None) };
        let is_over = {
            let over = Arc::clone(&over);
            move || over.load(Ordering::SeqCst)
        };
        let mut lines = stream(path.clone(), follow, is_over).map(|line| line.unwrap().text);
        assert_eq!(lines.next().await.as_deref(), Some("the first, longer line"));
        writer.write_all(b"2\n").unwrap();
        assert_eq!(lines.next().await.as_deref(), Some("2"));
        std::fs::copy(&path, output::older(&path)).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        writer.write_all(b"3\nlast words").unwrap();
        over.store(true, Ordering::SeqCst);
        assert_eq!(lines.collect::<Vec<_>>().await, ["3", "last words"]);
    }
}
