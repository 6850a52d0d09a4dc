//! `msctl describe`.

use super::command::{CommandError, FormatArgs};
use super::inspect::describe_json;
use crate::model::exit::ExitCode;
use crate::model::platform::Build;
use crate::ops::ps::Description;
use crate::ops::{Context, ps};
use crate::ui::printer::{Format, Printer, Style};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  msctl describe order\n  msctl describe order --format json")]
pub struct Args {
    /// The service
    service: String,
    #[command(flatten)]
    format: FormatArgs,
}

pub async fn run(args: &Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let description = ps::describe(context, &args.service).await?;
    if args.format.format != Format::Text {
        printer.document(args.format.format, &describe_json(&description))?;
        return Ok(ExitCode::Ok);
    }
    for (title, lines) in sections(&description) {
        printer.data(&printer.paint(Style::Strong, title))?;
        let nothing = ["-".to_owned()];
        let lines = if lines.is_empty() { &nothing } else { lines.as_slice() };
        lines.iter().try_for_each(|line| printer.data(&format!("  {line}")))?;
    }
    Ok(ExitCode::Ok)
}

fn sections(description: &Description) -> Vec<(&'static str, Vec<String>)> {
    let Description { spec, status, settings, called_by, is_process, url } = description;
    let list = |names: Vec<String>| if names.is_empty() { "-".to_owned() } else { names.join(", ") };
    let build = match (&spec.build, &spec.process) {
        (_, Some(recipe)) if *is_process => format!("run by: {}", recipe.command),
        (Build::Pack { command, .. }, _) => format!("packed from: {command}"),
        (Build::Dockerfile { file }, _) => format!("built from {}", file.display()),
        (Build::Image { reference }, _) => format!("the image {reference}"),
    };
    let instances = status.instances.iter().map(|instance| {
        let address = instance.address.as_deref().unwrap_or("-");
        let serving = if instance.serving { "serving" } else { "not serving" };
        format!("{}  {}  {address}  {serving}  {}", instance.name, instance.state, short(&instance.handle))
    });
    let mut state =
        vec![format!("{}, {}/{} ready", status.state, status.replicas.ready, status.replicas.wanted)];
    state.extend(status.problem.clone());
    vec![
        ("State", state),
        ("Address", url.iter().cloned().collect()),
        ("Instances", instances.collect()),
        ("Build", vec![build, format!("in {}", spec.folder.display())]),
        (
            "Limits",
            vec![format!(
                "memory {}, {} cpus, {} processes",
                spec.run.limits.memory, spec.run.limits.cpus, spec.run.limits.pids
            )],
        ),
        (
            "Health",
            vec![format!(
                "GET {} within {}",
                spec.run.health.path,
                humantime::format_duration(spec.run.health.start_period)
            )],
        ),
        ("Routes", spec.routes.iter().map(|route| format!("{}  {}", route.prefix, route.access)).collect()),
        ("Calls", vec![list(spec.calls.iter().map(ToString::to_string).collect())]),
        ("Called by", vec![list(called_by.clone())]),
        (
            "Configuration",
            settings.iter().map(|(name, s)| format!("{name}={}  ({})", s.shown(name), s.layer)).collect(),
        ),
    ]
}

fn short(handle: &str) -> &str {
    handle.get(..12).unwrap_or(handle)
}
