//! The output of an instance: a file that the instance itself appends to.
//!
//! It holds both streams, so which line came from which is not known. A file that has grown too
//! large is copied and emptied (the writer keeps its descriptor); lines written in between are lost,
//! and so is what came in before the last [`MAX_FILE`] bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::runtime::{LogLine, LogStream, MAX_LOG_LINE};

/// When a file is rotated, in bytes.
const MAX_FILE: u64 = 10 << 20;
/// The end of a line that was cut.
const CUT_MARK: &str = "… (cut)";

/// Opens the file for a process to append to.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Where the output before the last rotation is.
pub fn older(path: &Path) -> PathBuf {
    beside(path, ".1")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Rotates every file in the folder that is too large.
pub fn rotate_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            rotate(&path, MAX_FILE)?;
        }
    }
    Ok(())
}

fn rotate(path: &Path, limit: u64) -> io::Result<()> {
    let length = fs::metadata(path)?.len();
    if length <= limit {
        return Ok(());
    }
    let mut current = OpenOptions::new().read(true).write(true).open(path)?;
    // One burst may have made it many times too large; twice the limit is kept whole, so that a
    // follower finds its place in the copy.
    let start = if length > 2 * limit { length - limit } else { 0 };
    current.seek(SeekFrom::Start(start))?;
    let older = older(path);
    let begun = beside(&older, ".new");
    let mut copy = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&begun)?;
    io::copy(&mut (&current).take(2 * limit), &mut copy)?;
    // Whoever reads the one before it reads on in that.
    fs::rename(begun, older)?;
    current.set_len(0)
}

/// Cuts bytes into lines, with bounded memory.
#[derive(Default)]
pub struct LineSplitter {
    unfinished: Vec<u8>,
}

impl LineSplitter {
    /// The lines that these bytes complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            // One byte more than fits is kept, so that a cut shows.
            let room = (MAX_LOG_LINE + 1).saturating_sub(self.unfinished.len());
            self.unfinished.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                lines.push(self.finish_line());
            }
        }
        lines
    }

    /// What is left when no more bytes will come.
    pub fn finish(&mut self) -> Option<String> {
        (!self.unfinished.is_empty()).then(|| self.finish_line())
    }

    fn finish_line(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.unfinished);
        if bytes.len() > MAX_LOG_LINE {
            bytes.truncate(MAX_LOG_LINE);
            return String::from_utf8_lossy(&bytes).into_owned() + CUT_MARK;
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Gives a line the time that it says itself.
pub fn to_log_line(text: String) -> LogLine {
    LogLine { at: time_in(&text), stream: LogStream::Stdout, text }
}

fn time_in(line: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Stamped {
        timestamp: String,
    }
    if !line.starts_with('{') {
        return None;
    }
    parse_time(&serde_json::from_str::<Stamped>(line).ok()?.timestamp)
}

/// RFC 3339, with `Z` or an offset from it.
fn parse_time(text: &str) -> Option<SystemTime> {
    if let Ok(time) = humantime::parse_rfc3339(text) {
        return Some(time);
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let offset_minutes = hours.parse::<u64>().ok()? * 60 + minutes.parse::<u64>().ok()?;
    let distance = Duration::from_secs(offset_minutes * 60);
    match offset.as_bytes().first()? {
        b'+' => local.checked_sub(distance),
        b'-' => local.checked_add(distance),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_are_put_together_from_pieces_and_the_last_may_lack_its_end() {
        let mut splitter = LineSplitter::default();
        assert_eq!(splitter.feed(b"one\r\ntw"), ["one"]);
        assert_eq!(splitter.feed(b"o\n\nthree"), ["two", ""]);
        assert_eq!(splitter.finish().as_deref(), Some("three"));
        assert_eq!(splitter.finish(), None);
    }

    #[test]
    fn an_endless_line_is_cut_and_keeps_no_more_than_its_limit_in_memory() {
        let mut splitter = LineSplitter::default();
        for _ in 0..100 {
            assert!(splitter.feed(&[b'x'; 10_000]).is_empty());
            assert!(splitter.unfinished.len() <= MAX_LOG_LINE + 1);
        }
        let lines = splitter.feed(b"\nnext\n");
        assert_eq!(lines.first().map(String::len), Some(MAX_LOG_LINE + CUT_MARK.len()));
        assert_eq!(lines.get(1).map(String::as_str), Some("next"));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(LineSplitter::default().feed(b"a\xffb\n"), ["a\u{fffd}b"]);
    }

    #[test]
    fn the_time_of_a_line_is_the_one_that_it_says() {
        let at = |line: &str| to_log_line(line.to_owned()).at;
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(at(r#"{"timestamp":"2023-11-14T22:13:20Z","level":"info"}"#), Some(expected));
        assert_eq!(at(r#"{"timestamp":"2023-11-14T22:13:20+00:00"}"#), Some(expected));
        assert_eq!(at(r#"{"timestamp":"2023-11-15T00:13:20.000+02:00"}"#), Some(expected));
        assert_eq!(at(r#"{"timestamp":"2023-11-14T21:43:20-00:30"}"#), Some(expected));
        for line in
            ["2023-11-14T22:13:20Z plain", "{}", "{", r#"{"timestamp":"soon"}"#, r#"{"timestamp":"é"}"#]
        {
            assert_eq!(at(line), None, "{line}");
        }
    }

    #[test]
    fn rotation_keeps_one_older_file_and_the_writer_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut writer = open(&path).unwrap();
        writer.write_all(b"first\nsecond\n").unwrap();
        rotate(&path, 100).unwrap();
        assert!(!older(&path).exists(), "it is still small");
        rotate(&path, 8).unwrap();
        writer.write_all(b"third\n").unwrap();
        assert_eq!(fs::read_to_string(older(&path)).unwrap(), "first\nsecond\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "third\n");
    }

    #[test]
    fn a_burst_far_beyond_the_limit_keeps_only_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        open(&path).unwrap().write_all(b"0123456789").unwrap();
        rotate(&path, 3).unwrap();
        assert_eq!(fs::read_to_string(older(&path)).unwrap(), "789");
    }
}
