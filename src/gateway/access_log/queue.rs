//! From many requests to one writer.
//!
//! Requests append to one buffer, a short copy under a lock; the writer's thread takes the buffer
//! whole and gives an empty one back. So a burst costs one system call and a request none: the writer
//! is woken only when there is something after nothing, and rests a little to let lines come together.
//! What finds no room is dropped and counted: a slow disk slows nobody down.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::file::LogFile;
use crate::gateway::metrics::Counter;

/// What waits for the writer at the most, in bytes. There are two such buffers.
const ROOM: usize = 1 << 20;
/// From so much on, the writer does not wait for more.
const ENOUGH: usize = ROOM / 2;
const LINGER: Duration = Duration::from_millis(100);
/// A writer that is stuck does not keep anybody who stops for longer than this.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Where one line for each request goes. Clones are the same log; the last one to go writes what is
/// left.
#[derive(Clone)]
pub struct AccessLog(Arc<Writer>);

struct Writer {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// There is something to write, or to hurry for.
    filled: Condvar,
    /// Something was written.
    emptied: Condvar,
    written: Counter,
    dropped: Counter,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// In `waiting`.
    lines: u64,
    /// Lines that were ever taken in, and those that are off the writer's hands.
    accepted: u64,
    done: u64,
    /// Somebody waits for the writer.
    hurry: bool,
    closed: bool,
    /// The writer's thread is about to end.
    ended: bool,
}

impl AccessLog {
    /// To a file of the user's own, which others may move away: it is made again.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        Self::start(LogFile::open(path, None)?)
    }

    /// To a file that is set aside as `<path>.1` once it has `size` bytes.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn to_bounded_file(path: &Path, size: u64) -> io::Result<Self> {
        Self::start(LogFile::open(path, Some(size))?)
    }

    /// # Errors
    /// When there can be no thread.
    pub fn to_writer(writer: impl Write + Send + 'static) -> io::Result<Self> {
        Self::start(writer)
    }

    fn start(target: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let shared = Arc::clone(&queue);
        let builder = std::thread::Builder::new().name("access-log".to_owned());
        builder.spawn(move || write_all(&shared, target))?;
        Ok(Self(Arc::new(Writer { queue })))
    }

    /// Queues the line that `write` appends to a buffer.
    pub(super) fn note(&self, write: impl FnOnce(&mut Vec<u8>)) {
        thread_local! {
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            write(line);
            self.0.queue.push(line);
        });
    }

    /// Waits until everything that was noted so far is written, or its writer is stuck. Blocks the thread.
    pub fn flush(&self) {
        self.0.queue.flush();
    }

    /// Lines that were written, ever.
    pub fn written(&self) -> u64 {
        self.0.queue.written.get()
    }

    /// Lines for which there was no room, or that could not be written.
    pub fn dropped(&self) -> u64 {
        self.0.queue.dropped.get()
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessLog({} lines)", self.written())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.closed = true;
        self.queue.filled.notify_one();
        let waited = self.queue.emptied.wait_timeout_while(state, LAST_WAIT, |state| !state.ended);
        drop(waited);
    }
}

/// What the writer takes at once.
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
    is_last: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        let before = state.waiting.len();
        let after = before + line.len();
        if after > ROOM {
            drop(state);
            return self.dropped.increment();
        }
        state.waiting.extend_from_slice(line);
        state.lines += 1;
        state.accepted += 1;
        drop(state);
        if before == 0 || (before < ENOUGH && after >= ENOUGH) {
            self.filled.notify_one();
        }
    }

    fn flush(&self) {
        let mut state = self.lock();
        let wanted = state.accepted;
        state.hurry = true;
        self.filled.notify_one();
        let pending = |state: &mut State| state.done < wanted && !state.ended;
        drop(self.emptied.wait_timeout_while(state, LAST_WAIT, pending));
    }

    /// Waits for something to write, and a little longer for more. `empty` is what is left behind.
    fn take(&self, empty: Vec<u8>) -> Batch {
        let nothing = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let state = self.filled.wait_while(self.lock(), nothing).unwrap_or_else(PoisonError::into_inner);
        let little = |state: &mut State| state.waiting.len() < ENOUGH && !state.hurry && !state.closed;
        let waited = self.filled.wait_timeout_while(state, LINGER, little);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.hurry = false;
        let bytes = std::mem::replace(&mut state.waiting, empty);
        Batch { bytes, lines: std::mem::take(&mut state.lines), is_last: state.closed }
    }

    fn done(&self, lines: u64) {
        self.lock().done += lines;
        self.emptied.notify_all();
    }
}

/// The writer is gone, whichever way it went.
struct Ends<'q>(&'q Queue);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.emptied.notify_all();
    }
}

fn write_all(queue: &Queue, mut target: impl Write) {
    let _ends = Ends(queue);
    let mut empty = Vec::new();
    let mut is_failing = false;
    loop {
        let Batch { mut bytes, lines, is_last } = queue.take(empty);
        match target.write_all(&bytes).and_then(|()| target.flush()) {
            Ok(()) => {
                is_failing = false;
                queue.written.add(lines);
            }
            Err(error) => {
                // Said once for all that follow: this log is no place to say it, and there are many.
                if !is_failing {
                    tracing::warn!(%error, "failed to write the access log");
                }
                is_failing = true;
                queue.dropped.add(lines);
            }
        }
        queue.done(lines);
        if is_last {
            return;
        }
        bytes.clear();
        empty = bytes;
    }
}

#[cfg(test)]
mod tests;
