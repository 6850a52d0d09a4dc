//! A screen that is drawn again and again, until it is dropped: then the terminal is as it was.

use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::mpsc;

use super::text::escape_control;

/// The other screen, so that what was there comes back; no cursor; no line wraps.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// To the first place; to the end of the line; to the end of the screen.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Keys that nobody has asked for yet.
const WAITING_KEYS: usize = 16;
const SIZE: (usize, usize) = (80, 24);

#[derive(Debug)]
pub struct Live {
    /// How the terminal treats keys, where they come from one.
    before: Option<Termios>,
    keys: Option<mpsc::Receiver<u8>>,
}

/// Whether there is a screen that can be drawn on.
#[must_use]
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

impl Live {
    /// # Errors
    /// When the terminal is gone.
    pub fn enter() -> std::io::Result<Self> {
        let before = read_single_keys();
        // From here on everything is undone when this is dropped.
        let live = Self { keys: before.is_some().then(keys), before };
        write(ENTER)?;
        Ok(live)
    }

    /// Shows these lines and nothing else; what does not fit is left out.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&self, lines: &[String]) -> std::io::Result<()> {
        let (width, height) = size();
        let mut screen = HOME.to_owned();
        for (number, line) in lines.iter().take(height).enumerate() {
            if number > 0 {
                screen.push_str("\r\n");
            }
            screen.extend(escape_control(line).chars().take(width));
            screen.push_str(CLEAR_LINE);
        }
        screen.push_str(CLEAR_BELOW);
        write(&screen)
    }

    #[must_use]
    pub fn width(&self) -> usize {
        size().0
    }

    /// The next key; never where there is no keyboard.
    pub async fn key(&mut self) -> u8 {
        match &mut self.keys {
            Some(keys) => match keys.recv().await {
                Some(key) => key,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // When this fails the terminal is gone, and there is nobody to tell.
        let _ = write(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Now, before);
        }
    }
}

/// Has each key come at once and unseen. Ctrl-C stays a signal; Ctrl-Z would leave the screen behind.
fn read_single_keys() -> Option<Termios> {
    let stdin = std::io::stdin();
    let before = tcgetattr(stdin.as_fd()).ok()?;
    let mut single = before.clone();
    single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    single.special_codes[SpecialCodeIndex::VSUSP] = 0;
    tcsetattr(stdin.as_fd(), OptionalActions::Now, &single).ok()?;
    Some(before)
}

/// Read by a thread of its own that nobody waits for: a read cannot be called off.
fn keys() -> mpsc::Receiver<u8> {
    let (sender, receiver) = mpsc::channel(WAITING_KEYS);
    std::thread::spawn(move || {
        let mut key = [0];
        while let Ok(1) = std::io::stdin().read(&mut key) {
            if sender.blocking_send(key[0]).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Columns and rows.
fn size() -> (usize, usize) {
    match tcgetwinsize(std::io::stdout().as_fd()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => SIZE,
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
