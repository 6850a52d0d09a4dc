//! One JSON object a line on standard output, which is where the platform reads logs.

use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    const ALL: [(Self, &str); 4] =
        [(Self::Debug, "debug"), (Self::Info, "info"), (Self::Warn, "warn"), (Self::Error, "error")];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(level, _)| *level).ok_or(())
    }
}

/// Writes what happens in one service, from a level upwards.
#[derive(Debug, Clone)]
pub struct Log {
    service: Arc<str>,
    least: Level,
}

impl Log {
    pub fn new(service: &str, least: Level) -> Self {
        Self { service: service.into(), least }
    }

    pub fn info(&self, message: &str, fields: Value) {
        self.write(Level::Info, message, fields);
    }

    pub fn error(&self, message: &str, fields: Value) {
        self.write(Level::Error, message, fields);
    }

    fn write(&self, level: Level, message: &str, fields: Value) {
        if level >= self.least {
            // A service whose log nobody reads any more still serves.
            let _ = writeln!(std::io::stdout().lock(), "{}", self.line(level, message, fields));
        }
    }

    fn line(&self, level: Level, message: &str, fields: Value) -> Value {
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), json!(format!("{:.3}", Timestamp::now())));
        line.insert("level".to_owned(), json!(level.name()));
        line.insert("message".to_owned(), json!(message));
        line.insert("service".to_owned(), json!(&*self.service));
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        Value::Object(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_how_grave_what_and_where() {
        let line = Log::new("account", Level::Info).line(Level::Warn, "slow", json!({ "request_id": "r1" }));
        assert_eq!((&line["level"], &line["message"]), (&json!("warn"), &json!("slow")));
        assert_eq!((&line["service"], &line["request_id"]), (&json!("account"), &json!("r1")));
        assert!(line["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok());
    }
}
