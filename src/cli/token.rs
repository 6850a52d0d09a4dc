//! `msctl token`.

use std::io::Read;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::command::{CommandError, FormatArgs};
use crate::auth::inspect::{Inspection, Verdict};
use crate::model::exit::ExitCode;
use crate::model::route::Scope;
use crate::ops::{Context, token};
use crate::ui::printer::{Format, Printer};

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Print a new access token, and nothing else
    #[command(after_help = "\
Examples:
  msctl token issue --subject alice
  msctl token issue --subject ci --scope products:write --ttl 1h
  TOKEN=$(msctl token issue --subject me)
  curl -H \"Authorization: Bearer $TOKEN\" localhost:8080/orders")]
    Issue {
        /// Who the token is for: an account's id, or any name
        #[arg(short, long, env = "MSCTL_SUBJECT", value_name = "SUBJECT", value_parser = parse_subject)]
        subject: String,
        /// What the token allows; may be given several times
        #[arg(long = "scope", env = "MSCTL_SCOPE", value_name = "SCOPE", value_delimiter = ' ')]
        scopes: Vec<Scope>,
        /// How long it is valid, such as "15m"; as the manifest says if not given
        #[arg(long, env = "MSCTL_TTL", value_name = "DURATION", value_parser = parse_lifetime)]
        ttl: Option<Duration>,
    },
    /// Show what a token says, and whether this platform accepts it
    #[command(after_help = "\
Examples:
  msctl token inspect eyJhbGciOi…
  msctl token issue --subject me | msctl token inspect -")]
    Inspect {
        /// The token, or "-" to read it from standard input
        token: String,
        #[command(flatten)]
        format: FormatArgs,
    },
}

fn parse_subject(text: &str) -> Result<String, String> {
    if text.starts_with("service:") {
        return Err("only the platform makes tokens for services".to_owned());
    }
    let fits = !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a subject is 1 to 255 bytes without control characters".to_owned())
    }
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let year = Duration::from_secs(366 * 24 * 3600);
    let parsed =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write \"15m\" or \"1h 30m\""))?;
    if (Duration::from_secs(1)..=year).contains(&parsed) {
        Ok(parsed)
    } else {
        Err("from 1s to 366d".to_owned())
    }
}

pub fn run(token: Token, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    match token {
        Token::Issue { subject, scopes, ttl } => {
            let scopes = scopes.into_iter().collect();
            let request = token::Request { subject, scopes, lifetime: ttl, audience: None };
            printer.data(&token::issue(context, request)?)?;
            Ok(ExitCode::Ok)
        }
        Token::Inspect { token, format } => {
            let inspection = token::examine(context, &read(token)?)?;
            show(&inspection, format.format, printer)?;
            Ok(if inspection.verdict == Verdict::Valid { ExitCode::Ok } else { ExitCode::Failed })
        }
    }
}

fn read(token: String) -> std::io::Result<String> {
    if token != "-" {
        return Ok(token);
    }
    let mut text = String::new();
    std::io::stdin().take(64 * 1024).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

fn show(inspection: &Inspection, format: Format, printer: &Printer) -> std::io::Result<()> {
    let reason = match &inspection.verdict {
        Verdict::Valid => None,
        Verdict::Invalid { reason } => Some(reason.clone()),
        Verdict::Unchecked => Some("there was no key to check it with".to_owned()),
    };
    let document = json!({
        "schema": "msctl.token/1",
        "valid": inspection.verdict == Verdict::Valid,
        "reason": reason,
        "header": inspection.header,
        "claims": inspection.claims,
    });
    printer.document(format, &document)
}
