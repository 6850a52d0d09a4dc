//! The access log, as a test reads it.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::wire::PATIENCE;

#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Every line so far.
    pub fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The line about the request for this path, once it is there.
    pub async fn about(&self, path: &str) -> Value {
        self.with("path", path).await
    }

    /// The line that has this field, once it is there.
    pub async fn with(&self, field: &str, text: &str) -> Value {
        let waiting = async {
            loop {
                if let Some(line) = self.lines().into_iter().find(|line| line[field] == text) {
                    return line;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("a line in the log")
    }
}
