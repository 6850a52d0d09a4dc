//! Where a gateway that runs alone notes its requests: on stdout, where whoever runs it collects
//! lines, unless its first listener says something else.

use std::path::PathBuf;

use super::error::StandaloneError;
use crate::gateway::AccessLog;
use crate::model::platform::AccessLogTarget;
use crate::model::standalone::Configuration;

/// `None` where nothing is to be noted.
///
/// # Errors
/// When the file cannot be opened.
pub fn open(configuration: &Configuration) -> Result<Option<AccessLog>, StandaloneError> {
    let target = configuration.listeners.first().map(|listener| &listener.access_log);
    let (path, opened) = match target.unwrap_or(&AccessLogTarget::StateFolder) {
        AccessLogTarget::Off => return Ok(None),
        AccessLogTarget::StateFolder => (PathBuf::from("stdout"), AccessLog::to_writer(std::io::stdout())),
        AccessLogTarget::Stderr => (PathBuf::from("stderr"), AccessLog::to_writer(std::io::stderr())),
        AccessLogTarget::File(path) => (path.clone(), AccessLog::to_file(path)),
    };
    opened.map(Some).map_err(|source| StandaloneError::AccessLog { path, source })
}
