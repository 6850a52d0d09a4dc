//! Where the process runtime keeps things, all under one state folder.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::model::instance::InstanceName;
use crate::model::name::ServiceName;
use crate::model::observed::{Resource, ResourceKind};
use crate::runtime::RuntimeError;

/// So much is room for the first words of a program, in bytes.
const ROOM: usize = 16 * 1024;

/// The folder that stands in for the storage of `service`: what containers see at `/data`.
pub fn data_folder(state: &Path, service: &ServiceName) -> PathBuf {
    state.join("data").join(service.as_str())
}

pub fn log_file(state: &Path, instance: &InstanceName) -> PathBuf {
    logs(state).join(format!("{}.log", file_stem(instance)))
}

pub fn exit_file(state: &Path, instance: &InstanceName) -> PathBuf {
    exits(state).join(file_stem(instance))
}

pub fn exits(state: &Path) -> PathBuf {
    state.join("exits")
}

pub fn logs(state: &Path) -> PathBuf {
    state.join("logs")
}

/// `order.3.1`: service, generation and replica.
fn file_stem(instance: &InstanceName) -> String {
    format!("{}.{}.{}", instance.service, instance.generation.number(), instance.replica)
}

/// Makes a folder that only this user can look into; it may exist.
pub fn make_private(folder: &Path) -> Result<(), RuntimeError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| RuntimeError::File { what: "create the folder", path: folder.to_owned(), source })
}

/// Whether more can be written below a folder. What a program prints there is lost where it cannot,
/// and it may end of that with nobody being told why.
pub fn check_room(folder: &Path) -> Result<(), RuntimeError> {
    let written = tempfile::tempfile_in(folder).and_then(|mut file| file.write_all(&[0; ROOM]));
    written.map_err(|source| RuntimeError::File { what: "write in", path: folder.to_owned(), source })
}

/// The storage of all services, as resources.
pub fn storage(state: &Path) -> Vec<Resource> {
    let entries = fs::read_dir(state.join("data")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut storage: Vec<Resource> =
        names.map(|name| Resource { kind: ResourceKind::Volume, name }).collect();
    storage.sort();
    storage
}

/// Removes a folder with what is in it; it may be gone.
pub fn remove(folder: &Path) -> Result<(), RuntimeError> {
    gone_is_fine(fs::remove_dir_all(folder), "remove the folder", folder)
}

pub fn remove_file(file: &Path) -> Result<(), RuntimeError> {
    gone_is_fine(fs::remove_file(file), "remove", file)
}

fn gone_is_fine(result: std::io::Result<()>, what: &'static str, path: &Path) -> Result<(), RuntimeError> {
    match result {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(RuntimeError::File { what, path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
