//! A log on disk: appended to, bounded if asked for, and made again when somebody moved it away.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Each write is a batch of whole lines, so a file begins and ends between lines.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// From so many bytes on it is set aside.
    most: Option<u64>,
    file: File,
}

impl LogFile {
    /// # Errors
    /// When it cannot be opened for writing.
    pub(super) fn open(path: &Path, most: Option<u64>) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), most, file: append_to(path)? })
    }

    /// Makes room, or follows whoever renames logs: the next line goes to the file of this name.
    fn settle(&mut self) -> io::Result<()> {
        let open = self.file.metadata()?;
        let is_full = self.most.is_some_and(|most| open.len() >= most);
        if is_full {
            match std::fs::rename(&self.path, older(&self.path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if is_full || !std::fs::metadata(&self.path).is_ok_and(|found| is_same(&found, &open)) {
            self.file = append_to(&self.path)?;
        }
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.settle()?;
        // All of it, or another file could begin within a line.
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// It says who asked for what: nobody else's business.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::read_to_string;

    #[test]
    fn a_full_file_is_set_aside_and_only_one_older_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut log = LogFile::open(&path, Some(8)).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(read_to_string(&path).unwrap(), "five\n");
        assert_eq!(read_to_string(folder.path().join("access.log.1")).unwrap(), "three\nfour\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_was_there_is_kept_and_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        LogFile::open(&path, Some(4)).unwrap().write_all(b"old\n").unwrap();
        LogFile::open(&path, Some(4)).unwrap().write_all(b"new\n").unwrap();
        assert_eq!(read_to_string(&path).unwrap(), "new\n");
        assert_eq!(read_to_string(folder.path().join("access.log.1")).unwrap(), "old\n");
    }

    #[test]
    fn a_file_that_was_moved_away_or_removed_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut log = LogFile::open(&path, None).unwrap();
        log.write_all(b"one\n").unwrap();
        std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        log.write_all(b"two\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        log.write_all(b"three\n").unwrap();
        assert_eq!(read_to_string(folder.path().join("elsewhere")).unwrap(), "one\n");
        assert_eq!(read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        LogFile::open(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
