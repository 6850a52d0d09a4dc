//! Where requests are noted: each target is opened once, however many listeners note there.

use std::path::PathBuf;

use super::error::StandaloneError;
use crate::gateway::AccessLog;
use crate::model::platform::AccessLogTarget;

#[derive(Default)]
pub struct AccessLogs(Vec<(AccessLogTarget, AccessLog)>);

impl AccessLogs {
    /// `None` where nothing is to be noted. Where no file is named, lines go to stdout: they are what
    /// a gateway alone puts out.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn at(&mut self, target: &AccessLogTarget) -> Result<Option<AccessLog>, StandaloneError> {
        if let Some((_, log)) = self.0.iter().find(|(known, _)| known == target) {
            return Ok(Some(log.clone()));
        }
        let (path, opened) = match target {
            AccessLogTarget::Off => return Ok(None),
            AccessLogTarget::StateFolder => {
                (PathBuf::from("stdout"), AccessLog::to_writer(std::io::stdout()))
            }
            AccessLogTarget::Stderr => (PathBuf::from("stderr"), AccessLog::to_writer(std::io::stderr())),
            AccessLogTarget::File(path) => (path.clone(), AccessLog::to_file(path)),
        };
        let log = opened.map_err(|source| StandaloneError::AccessLog { path, source })?;
        self.0.push((target.clone(), log.clone()));
        Ok(Some(log))
    }

    /// Writes what was noted last, for the process is about to end.
    pub async fn flush(&self) {
        for (_, log) in &self.0 {
            let log = log.clone();
            // Ends early only together with the process.
            let _ = tokio::task::spawn_blocking(move || log.flush()).await;
        }
    }
}
