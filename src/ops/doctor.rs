//! `msctl doctor`: looks at everything that msctl needs, and says what to do about what is missing.

use std::process::Stdio;

use tokio::process::Command;

use super::context::Context;
use super::error::OpsError;
use super::target;
use crate::manifest;
use crate::model::platform::{Build, Platform};
use crate::platform::folder;
use crate::platform::port_holder::describe_port;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub subject: String,
    pub verdict: Verdict,
    /// What was found, in one line.
    pub detail: String,
    /// What to do about it.
    pub advice: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// Something works less well, or not at all, without it.
    Wanting,
    /// Nothing works until this is mended.
    Bad,
}

impl Finding {
    fn new(subject: &str, verdict: Verdict, detail: impl Into<String>, advice: Option<&str>) -> Self {
        let advice = advice.map(str::to_owned);
        Self { subject: subject.to_owned(), verdict, detail: detail.into(), advice }
    }
}

/// Looks at the machine, and at the platform where there is one.
pub async fn examine(context: &Context) -> Vec<Finding> {
    let mut findings = vec![state_folder(context)];
    let platform = match manifest::find(&context.directory) {
        Err(_) => {
            let detail = format!("{} is in no platform", context.directory.display());
            findings.push(Finding::new(
                "platform",
                Verdict::Wanting,
                detail,
                Some("msctl new platform <name>"),
            ));
            None
        }
        Ok(path) => match manifest::load(&path) {
            Ok(platform) => {
                let count = platform.services.len();
                let noun = if count == 1 { "service" } else { "services" };
                let detail = format!("{} with {count} {noun}", platform.id.name);
                findings.push(Finding::new("platform", Verdict::Good, detail, None));
                Some(platform)
            }
            Err(error) => {
                findings.push(Finding::new(
                    "platform",
                    Verdict::Bad,
                    OpsError::from(error).to_string(),
                    None,
                ));
                None
            }
        },
    };
    findings.push(engine(context, platform.as_ref()).await);
    if let Some(platform) = &platform {
        findings.push(gateway_port(context, platform).await);
    }
    for (tool, arguments, purpose) in tools(platform.as_ref()) {
        findings.push(tool_finding(tool, arguments, purpose).await);
    }
    findings
}

fn state_folder(context: &Context) -> Finding {
    let base = folder::base(context.state_dir.as_deref(), context.xdg_state_home.as_deref());
    let made = base.map_err(|error| error.to_string()).and_then(|base| {
        std::fs::create_dir_all(&base).map_err(|error| format!("{}: {error}", base.display()))?;
        tempfile::NamedTempFile::new_in(&base).map_err(|error| format!("{}: {error}", base.display()))?;
        Ok(base)
    });
    match made {
        Ok(base) => Finding::new("state folder", Verdict::Good, base.display().to_string(), None),
        Err(reason) => Finding::new(
            "state folder",
            Verdict::Bad,
            reason,
            Some("set MSCTL_STATE_DIR to a folder you may write to"),
        ),
    }
}

async fn engine(context: &Context, platform: Option<&Platform>) -> Finding {
    let subject = "container engine";
    match target::probe(context, platform.map(|platform| &platform.id)).await {
        Ok(description) => Finding::new(subject, Verdict::Good, description, None),
        Err(error) => {
            let advice =
                "services run as local processes without one; start Docker or Podman to use containers";
            Finding::new(subject, Verdict::Wanting, error.to_string(), Some(advice))
        }
    }
}

async fn gateway_port(context: &Context, platform: &Platform) -> Finding {
    let (subject, listen) = ("gateway port", platform.gateway.listen);
    let is_up = match context.client(&platform.id) {
        Ok(client) => client.status().await.is_ok(),
        Err(_) => false,
    };
    if is_up {
        return Finding::new(subject, Verdict::Good, format!("{listen} is the running platform's"), None);
    }
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) => Finding::new(subject, Verdict::Good, format!("{listen} is free"), None),
        Err(error) => {
            let detail = format!("{listen}: {error}{}", describe_port(listen.port()));
            Finding::new(
                subject,
                Verdict::Bad,
                detail,
                Some("stop that process, or change gateway.listen in msctl.toml"),
            )
        }
    }
}

/// The programs that the platform's builds call, each with what it is for.
fn tools(platform: Option<&Platform>) -> Vec<(&'static str, &'static [&'static str], &'static str)> {
    let calls = |word: &str| {
        let services = platform.into_iter().flat_map(|platform| platform.services.values());
        let commands = services.flat_map(|service| {
            let packed = match &service.build {
                Build::Pack { command, .. } => Some(command.as_str()),
                Build::Dockerfile { .. } | Build::Image { .. } => None,
            };
            packed.into_iter().chain(service.process.iter().filter_map(|recipe| recipe.build.as_deref()))
        });
        commands.into_iter().any(|command| command.split_whitespace().any(|part| part.contains(word)))
    };
    let known: [(&str, &[&str], &str); 3] = [
        ("cargo", &["--version"], "builds services in Rust"),
        ("python3", &["--version"], "runs services in Python without an engine"),
        ("npm", &["--version"], "builds services in Node.js without an engine"),
    ];
    known.into_iter().filter(|(tool, ..)| platform.is_none() || calls(tool)).collect()
}

async fn tool_finding(tool: &str, arguments: &[&str], purpose: &str) -> Finding {
    let output = Command::new(tool).args(arguments).stdin(Stdio::null()).output().await;
    match output {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Finding::new(tool, Verdict::Good, version, None)
        }
        _ => Finding::new(tool, Verdict::Wanting, format!("not found; {purpose}"), Some("install it")),
    }
}
