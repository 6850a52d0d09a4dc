//! `tls`, `redirect_from` and `hsts` of `[gateway]`: how the public door proves who it is, and who is to
//! come by it.
//!
//! Whether the files are there and fit together is found out by whoever uses them.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use crate::model::platform::TlsSettings;

use super::section::Section;
use super::source::Located;
use super::values::Value;

const EXAMPLE: &str = "\"local\"";
const HINT: &str =
    "write tls = \"local\", or tls = { certificate = \"tls/cert.pem\", key = \"tls/key.pem\" }";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// What `hsts = true` stands for.
const HSTS: Duration = DAY.saturating_mul(365);
const HSTS_RANGE: RangeInclusive<Duration> = Duration::ZERO..=DAY.saturating_mul(3650);

pub struct Tls {
    pub settings: TlsSettings,
    pub redirect_from: Option<SocketAddr>,
    pub hsts: Option<Duration>,
}

/// `listen` is where TLS is spoken.
pub fn read(section: &mut Section<'_>, listen: SocketAddr) -> Tls {
    let read = section.take("tls").map(read_tls);
    // What was meant by something wrong was TLS.
    let is_secure = matches!(read, Some(None | Some(TlsSettings::Local | TlsSettings::Files { .. })));
    let settings = read.flatten().unwrap_or_default();
    let redirect_from = section.take("redirect_from").and_then(|value| {
        let problems = value.problems;
        let from = value.parsed::<SocketAddr>("\"127.0.0.1:8081\"", |_| {
            "write IP:port, for example redirect_from = \"127.0.0.1:8081\"".to_owned()
        })?;
        if let Some((message, hint)) = fault_of_redirect(from.value, listen, is_secure) {
            problems.report(&from.place, message, hint);
            return None;
        }
        Some(from.value)
    });
    let hsts = section.take("hsts").and_then(|value| read_hsts(value, is_secure));
    Tls { settings, redirect_from, hsts }
}

/// Paths are relative to the platform's root.
pub fn below(root: &Path, settings: TlsSettings) -> TlsSettings {
    match settings {
        TlsSettings::Files { certificate, key } => {
            TlsSettings::Files { certificate: root.join(certificate), key: root.join(key) }
        }
        other => other,
    }
}

/// Whether, or for how long.
fn read_hsts(value: Value<'_>, is_secure: bool) -> Option<Duration> {
    if !is_secure && !matches!(value.content, DeValue::Boolean(false)) {
        let hint = format!("add tls = \"local\", or leave {} out", value.key);
        value.report(format!("{} is about TLS, and there is none", value.name()), hint);
        return None;
    }
    match &value.content {
        DeValue::Boolean(wanted) => wanted.then_some(HSTS),
        DeValue::String(_) => value.duration_within(HSTS_RANGE, "\"180d\""),
        _ => value.wrong_type("true, false or a duration", "\"180d\""),
    }
}

fn fault_of_redirect(
    from: SocketAddr,
    listen: SocketAddr,
    is_secure: bool,
) -> Option<(String, &'static str)> {
    if !is_secure {
        let message = "redirect_from in [gateway] leads to TLS, and there is none".to_owned();
        return Some((message, "add tls = \"local\" to [gateway], or leave redirect_from out"));
    }
    if from.port() == listen.port() && from.port() != 0 && overlap(from, listen) {
        let message = format!("redirect_from in [gateway] is {from}, where TLS is spoken already");
        return Some((message, "give one of the two another port"));
    }
    None
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified()
}

fn read_tls(value: Value<'_>) -> Option<TlsSettings> {
    match &value.content {
        DeValue::Table(_) => read_files(value.section()?),
        DeValue::String(_) => read_word(value),
        _ => value.wrong_type("a text or a table", EXAMPLE),
    }
}

fn read_word(value: Value<'_>) -> Option<TlsSettings> {
    let problems = value.problems;
    let text = value.text(EXAMPLE)?;
    match text.value.as_str() {
        "local" => Some(TlsSettings::Local),
        "off" => Some(TlsSettings::Off),
        other => {
            let message = format!("tls in [gateway] is {other:?}, which is no way to have a certificate");
            problems.report(&text.place, message, HINT);
            None
        }
    }
}

fn read_files(mut section: Section<'_>) -> Option<TlsSettings> {
    let mut path = |key: &'static str, example: &str| {
        let text: Located<String> = section.require(key, example)?.filled_text(example)?;
        Some(PathBuf::from(text.value))
    };
    let (certificate, key) = (path("certificate", "\"tls/cert.pem\""), path("key", "\"tls/key.pem\""));
    section.close();
    Some(TlsSettings::Files { certificate: certificate?, key: key? })
}
