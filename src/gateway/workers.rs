//! The threads that serve connections, each with a runtime of its own.
//!
//! A connection stays with the thread that it was given to, and so do the connections to instances
//! that were opened for it: no request wakes another thread. Work stealing costs a sixth of the
//! processor time at this kind of work (measured: tests/bench/gateway). What else runs in the process
//! is not in the way either.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(0) };
}

/// Threads and their runtimes; they end when this is dropped, with everything on them.
#[derive(Debug)]
pub struct Workers {
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    next: AtomicUsize,
    end: CancellationToken,
}

impl Workers {
    /// One for each processor that this process may use.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let end = CancellationToken::new();
        let mut workers = Self { handles: Vec::new(), threads: Vec::new(), next: AtomicUsize::new(0), end };
        for index in 0..count {
            workers.add(index)?;
        }
        Ok(workers)
    }

    /// The runtime whose turn it is.
    pub(super) fn next(&self) -> &Handle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.handles[turn % self.handles.len()]
    }

    fn add(&mut self, index: usize) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        self.handles.push(runtime.handle().clone());
        let end = self.end.clone();
        let thread = std::thread::Builder::new().name(format!("gateway-{index}")).spawn(move || {
            INDEX.set(index);
            runtime.block_on(end.cancelled());
            // What blocks (password hashing, a slow disk) must not keep the process from ending.
            runtime.shutdown_background();
        })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end.cancel();
        for thread in self.threads.drain(..) {
            // A worker that drops the last handle to itself would wait for its own end.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// Which worker this thread is; 0 on every other thread.
pub(super) fn index() -> usize {
    INDEX.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_knows_its_number_and_takes_its_turn() {
        let workers = Workers::start().unwrap();
        let count = workers.handles.len();
        let (sender, receiver) = std::sync::mpsc::channel();
        for _ in 0..2 * count {
            let sender = sender.clone();
            workers.next().spawn(async move { sender.send(index()).unwrap() });
        }
        let mut seen: Vec<usize> = receiver.iter().take(2 * count).collect();
        seen.sort_unstable();
        let expected: Vec<usize> = (0..count).flat_map(|index| [index, index]).collect();
        assert_eq!(seen, expected);
        drop(workers);
    }
}
