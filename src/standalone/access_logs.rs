//! Where requests are noted: each target is opened once, however many listeners note there.

use std::path::{Path, PathBuf};

use crate::gateway::{AccessLog, AccessLogError};
use crate::model::platform::{AccessLogTarget, GatewaySettings};

#[derive(Default)]
pub struct AccessLogs(Vec<(AccessLogTarget, AccessLog)>);

impl AccessLogs {
    /// `None` where nothing is to be noted. Where no file is named, lines go to stdout: they are what
    /// a gateway alone puts out.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn at(&mut self, target: &AccessLogTarget) -> Result<Option<AccessLog>, AccessLogError> {
        if let Some((_, log)) = self.0.iter().find(|(known, _)| known == target) {
            return Ok(Some(log.clone()));
        }
        let stdout = || (PathBuf::from("stdout"), AccessLog::to_writer(std::io::stdout()));
        // Its files are below the folder of the configuration already.
        let opened = AccessLog::open(target, Path::new(""), stdout)?;
        self.0.extend(opened.iter().map(|log| (target.clone(), log.clone())));
        Ok(opened)
    }

    /// Lets go of every target but theirs. What is noted there still goes on being written.
    pub fn keep(&mut self, wanted: &[GatewaySettings]) {
        self.0.retain(|(known, _)| wanted.iter().any(|listener| listener.access_log == *known));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_opened_once_and_closed_when_nobody_notes_there_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| AccessLogTarget::File(folder.path().join(name)));
        let mut logs = AccessLogs::default();
        for target in [&one, &other, &one, &AccessLogTarget::Off] {
            logs.at(target).unwrap();
        }
        assert_eq!(logs.0.len(), 2);
        let at = GatewaySettings::at(([127, 0, 0, 1], 0).into());
        let listener = GatewaySettings { access_log: other.clone(), ..at };
        logs.keep(&[listener]);
        assert_eq!(logs.0.iter().map(|(target, _)| target).collect::<Vec<_>>(), [&other]);
    }
}
