//! One JSON object per line on stdout: when, how bad, what, in which service, for which request.
//!
//! `LOG_LEVEL` (debug, info, warn, error) says from which level on.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::request_id;

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

pub fn debug(message: &str, fields: Value) {
    write(Level::Debug, message, fields);
}

pub fn info(message: &str, fields: Value) {
    write(Level::Info, message, fields);
}

pub fn warn(message: &str, fields: Value) {
    write(Level::Warn, message, fields);
}

pub fn error(message: &str, fields: Value) {
    write(Level::Error, message, fields);
}

static LOWEST: LazyLock<Level> = LazyLock::new(|| match std::env::var("LOG_LEVEL").as_deref() {
    Ok("debug") => Level::Debug,
    Ok("warn") => Level::Warn,
    Ok("error") => Level::Error,
    // Tests say what went wrong themselves.
    Err(_) if cfg!(test) => Level::Error,
    _ => Level::Info,
});

static SERVICE: LazyLock<String> = LazyLock::new(|| {
    std::env::var("SERVICE_NAME").unwrap_or_else(|_| env!("CARGO_BIN_NAME").to_owned())
});

fn write(level: Level, message: &str, fields: Value) {
    if level < *LOWEST {
        return;
    }
    // A log that nobody reads any more is no reason to stop serving.
    let _ = writeln!(io::stdout().lock(), "{}", line(level, message, fields));
}

fn line(level: Level, message: &str, fields: Value) -> Value {
    let mut line = json!({
        "timestamp": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        "level": name_of(level),
        "message": message,
        "service": *SERVICE,
        "request_id": request_id::current(),
    });
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    line
}

fn name_of(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_names_the_request_it_was_written_for() {
        let work = async { line(Level::Warn, "slow", json!({ "seconds": 3 })) };
        let line = request_id::scope("r-1".to_owned(), work).await;
        assert_eq!(line["level"], "warn");
        assert_eq!(line["message"], "slow");
        assert_eq!(line["request_id"], "r-1");
        assert_eq!(line["seconds"], 3);
        assert!(humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).is_ok());
    }

    #[test]
    fn a_line_outside_of_a_request_names_none() {
        assert_eq!(
            line(Level::Info, "listening", json!({}))["request_id"],
            Value::Null
        );
    }
}
