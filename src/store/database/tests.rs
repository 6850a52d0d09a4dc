use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

struct Scratch {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn scratch() -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth/accounts.db");
    Scratch { _folder: folder, path }
}

fn remember(store: &Store) {
    store.record_failure(&["someone"], Duration::from_secs(900), SystemTime::now()).unwrap();
}

fn remembers(store: &Store) -> bool {
    store.failures("someone").unwrap().is_some()
}

#[test]
fn what_is_written_is_there_after_opening_again() {
    let scratch = scratch();
    remember(&Store::open(&scratch.path).unwrap());
    let store = Store::open(&scratch.path).unwrap();
    assert!(remembers(&store) && store.quarantined().is_none());
}

#[test]
fn every_file_of_a_database_in_use_is_private() {
    let scratch = scratch();
    let store = Store::open(&scratch.path).unwrap();
    remember(&store);
    let folder = scratch.path.parent().unwrap();
    assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
    let modes: Vec<u32> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().metadata().unwrap().mode() & 0o777).collect();
    assert_eq!(modes, [0o600; 3], "the database, its log and the log's index");
}

#[test]
fn a_database_open_to_others_is_refused() {
    let scratch = scratch();
    drop(Store::open(&scratch.path).unwrap());
    fs::set_permissions(&scratch.path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Store::open(&scratch.path).err().unwrap().to_string();
    assert!(error.contains("hint: chmod 600 "), "{error}");
}

#[test]
fn a_link_in_the_place_of_the_database_is_not_followed() {
    let scratch = scratch();
    let folder = private::ensure_folder(scratch.path.parent().unwrap()).unwrap();
    fs::write(folder.join("elsewhere"), "").unwrap();
    symlink(folder.join("elsewhere"), &scratch.path).unwrap();
    assert!(matches!(Store::open(&scratch.path), Err(StoreError::Private(_))));
}

#[test]
fn a_newer_database_is_refused_and_left_as_it_is() {
    let scratch = scratch();
    let store = Store::open(&scratch.path).unwrap();
    store.with("test", |connection| connection.pragma_update(None, "user_version", 999)).unwrap();
    drop(store);
    let before = fs::read(&scratch.path).unwrap();
    let error = Store::open(&scratch.path).err().unwrap().to_string();
    assert!(error.contains("written by a newer msctl (format 999, this one knows 1)"), "{error}");
    assert_eq!(fs::read(&scratch.path).unwrap(), before);
}

fn damage(kind: &str, bytes: &[u8]) -> Vec<u8> {
    match kind {
        "all NUL" => vec![0; bytes.len()],
        "cut in half" => bytes[..bytes.len() / 2].to_vec(),
        _ => b"hello, this is no database at all".repeat(40),
    }
}

#[test]
fn a_damaged_database_is_set_aside_whole_and_a_fresh_one_takes_its_place() {
    for name in ["all NUL", "not a database", "cut in half"] {
        let scratch = scratch();
        remember(&Store::open(&scratch.path).unwrap());
        let damaged = damage(name, &fs::read(&scratch.path).unwrap());
        fs::write(&scratch.path, &damaged).unwrap();

        let store = Store::open(&scratch.path).unwrap();
        let aside = store.quarantined().unwrap_or_else(|| panic!("{name}: not noticed")).to_owned();
        assert!(aside.to_string_lossy().contains("accounts.db.corrupt-"), "{name}");
        assert_eq!(fs::read(aside).unwrap(), damaged, "{name}");
        assert!(!remembers(&store), "{name}");
        remember(&store);
        drop(store);
        assert!(remembers(&Store::open(&scratch.path).unwrap()), "{name}");
    }
}

#[test]
fn an_empty_file_becomes_a_database() {
    let scratch = scratch();
    private::ensure_folder(scratch.path.parent().unwrap()).unwrap();
    private::ensure_file(&scratch.path).unwrap();
    let store = Store::open(&scratch.path).unwrap();
    remember(&store);
    assert!(store.quarantined().is_none() && remembers(&store));
}

#[test]
fn many_openers_at_once_share_one_database() {
    let scratch = scratch();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| remember(&Store::open(&scratch.path).unwrap()));
        }
    });
    let failures = Store::open(&scratch.path).unwrap().failures("someone").unwrap().unwrap();
    assert_eq!(failures.count, 8);
}

#[test]
fn many_openers_of_a_damaged_database_set_it_aside_once() {
    let scratch = scratch();
    drop(Store::open(&scratch.path).unwrap());
    fs::write(&scratch.path, "damage ".repeat(100)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| remember(&Store::open(&scratch.path).unwrap()));
        }
    });
    let failures = Store::open(&scratch.path).unwrap().failures("someone").unwrap().unwrap();
    assert_eq!(failures.count, 8);
}
