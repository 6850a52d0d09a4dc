//! The caller's terminal, lent to a program in a container.

use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

/// How many pieces of input wait for the program before reading pauses.
const WAITING_PIECES: usize = 16;
const PIECE: usize = 8 * 1024;

/// The terminal in raw mode, until dropped: every key goes to the program, Ctrl-C included.
pub(super) struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// # Errors
    /// When the terminal refuses.
    pub fn enter() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing can be done, nor said, when this fails: the terminal is gone.
        let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Now, &self.before);
    }
}

/// Whether there is a terminal to lend.
pub(super) fn is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Its columns and rows.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(std::io::stdout().as_fd()).ok()?;
    (size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// The caller's input, piece by piece; the channel closes at its end.
///
/// Read by a thread of its own that nobody waits for: a read cannot be called off, and one on
/// tokio's threads would keep the process from ending until the next key.
pub(super) fn input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(WAITING_PIECES);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = stdin.read(&mut buffer) {
            if sender.blocking_send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
