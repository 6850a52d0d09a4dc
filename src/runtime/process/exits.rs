//! How ended instances ended: one small file each, so that a later msctl can say it too.
//!
//! Losing these files loses only exit codes.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};

use crate::model::instance::{Generation, InstanceName, SpecHash};
use crate::runtime::RuntimeError;

use super::folders;

/// How one instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitRecord {
    pub name: InstanceName,
    pub hash: SpecHash,
    /// `None` where nobody of ours was there to see it.
    pub code: Option<i32>,
}

/// The form on disk.
#[derive(Serialize, Deserialize)]
struct ExitFile {
    service: String,
    generation: u32,
    replica: u16,
    spec: String,
    code: Option<i32>,
}

/// What `sh` and container engines say: 128 and the signal's number for a killed process.
pub fn code_of(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}

/// Written beside and renamed, so that a reader finds all of it or nothing.
pub fn write(state: &Path, record: &ExitRecord) -> Result<(), RuntimeError> {
    let path = folders::exit_file(state, &record.name);
    let unfinished = folders::exits(state).join(format!(".{}.{}", record.name, std::process::id()));
    folders::make_private(&folders::exits(state))?;
    let written = fs::write(&unfinished, to_text(record)).and_then(|()| fs::rename(&unfinished, &path));
    written.map_err(|source| {
        // Half of it is of no use to anybody.
        let _ = fs::remove_file(&unfinished);
        RuntimeError::File { what: "write", path, source }
    })
}

pub fn read(state: &Path, name: &InstanceName) -> Option<ExitRecord> {
    from_text(&fs::read_to_string(folders::exit_file(state, name)).ok()?)
}

pub fn read_all(state: &Path) -> Vec<ExitRecord> {
    let entries = fs::read_dir(folders::exits(state)).into_iter().flatten().flatten();
    entries.filter_map(|entry| from_text(&fs::read_to_string(entry.path()).ok()?)).collect()
}

pub fn remove(state: &Path, name: &InstanceName) -> Result<(), RuntimeError> {
    folders::remove_file(&folders::exit_file(state, name))
}

fn to_text(record: &ExitRecord) -> String {
    let file = ExitFile {
        service: record.name.service.to_string(),
        generation: record.name.generation.number(),
        replica: record.name.replica,
        spec: record.hash.0.clone(),
        code: record.code,
    };
    serde_json::to_string(&file).expect("numbers and strings are always representable")
}

fn from_text(text: &str) -> Option<ExitRecord> {
    let file: ExitFile = serde_json::from_str(text).ok()?;
    let name = InstanceName {
        service: file.service.parse().ok()?,
        generation: Generation::new(file.generation)?,
        replica: file.replica,
    };
    Some(ExitRecord { name, hash: SpecHash(file.spec), code: file.code })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ExitRecord {
        let name =
            InstanceName { service: "order".parse().unwrap(), generation: Generation::FIRST, replica: 1 };
        ExitRecord { name, hash: SpecHash("abc".to_owned()), code: Some(3) }
    }

    #[test]
    fn an_exit_is_read_back_by_whoever_looks_later() {
        let state = tempfile::tempdir().unwrap();
        write(state.path(), &record()).unwrap();
        assert_eq!(read(state.path(), &record().name), Some(record()));
        assert_eq!(read_all(state.path()), [record()]);
        remove(state.path(), &record().name).unwrap();
        remove(state.path(), &record().name).unwrap();
        assert_eq!(read_all(state.path()), []);
    }

    #[test]
    fn a_damaged_record_counts_as_none() {
        let state = tempfile::tempdir().unwrap();
        write(state.path(), &record()).unwrap();
        std::fs::write(folders::exit_file(state.path(), &record().name), "{\"serv").unwrap();
        assert_eq!(read(state.path(), &record().name), None);
    }

    #[test]
    fn a_signal_is_shown_the_way_shells_show_it() {
        assert_eq!(code_of(ExitStatus::from_raw(3 << 8)), Some(3));
        assert_eq!(code_of(ExitStatus::from_raw(9)), Some(137));
    }
}
