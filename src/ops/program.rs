//! Whether another process runs the same program as this one, byte for byte.

use std::fs::{File, Metadata};
use std::io::{BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// False where that cannot be found out: nothing is replaced on a guess.
#[must_use]
pub fn is_another_build(pid: u32) -> bool {
    differ(Path::new(&format!("/proc/{pid}/exe")), Path::new("/proc/self/exe")).unwrap_or(false)
}

/// These links lead to the files that run, even when they have been deleted or replaced since.
fn differ(a: &Path, b: &Path) -> std::io::Result<bool> {
    let (a, b) = (File::open(a)?, File::open(b)?);
    let (about_a, about_b) = (a.metadata()?, b.metadata()?);
    let place = |about: &Metadata| (about.dev(), about.ino());
    if place(&about_a) == place(&about_b) {
        return Ok(false);
    }
    if about_a.len() != about_b.len() {
        return Ok(true);
    }
    let (mut a, mut b) = (BufReader::new(a), BufReader::new(b));
    let (mut of_a, mut of_b) = ([0; 8192], [0; 8192]);
    loop {
        let count = a.read(&mut of_a)?;
        b.read_exact(&mut of_b[..count])?;
        if of_a[..count] != of_b[..count] {
            return Ok(true);
        }
        if count == 0 {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let long = vec![7; 100_000];
        let (mut other, mut longer) = (long.clone(), long.clone());
        other[99_999] = 8;
        longer.push(7);
        let (first, copy) = (file("first", &long), file("copy", &long));
        for same in [&first, &copy] {
            assert!(!differ(&first, same).unwrap());
        }
        assert!(differ(&first, &file("other", &other)).unwrap());
        assert!(differ(&first, &file("longer", &longer)).unwrap());
    }

    #[test]
    fn this_process_runs_this_program_and_a_process_that_is_not_there_none() {
        assert!(!is_another_build(std::process::id()));
        assert!(!is_another_build(u32::MAX));
    }
}
