//! Ctrl-C and its relatives, as one stream of wishes to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::ops::up::Interrupts;

pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on these signals are heard here and do nothing by themselves.
    ///
    /// # Errors
    /// When the operating system refuses a handler.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

#[async_trait::async_trait]
impl Interrupts for Signals {
    async fn next(&mut self) {
        // Signals that come while nobody waits are remembered, one of each kind.
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
