//! `msctl up`, and the process behind `up -d`.

use std::time::Instant;

use clap::ValueEnum;

use super::command::{CommandError, switch};
use super::signals::Signals;
use crate::model::event::Event;
use crate::model::exit::ExitCode;
use crate::model::outcome::Outcome;
use crate::ops::Context;
use crate::ops::detached::{OtherBuild, Replaced};
use crate::ops::host::{self, Beginning};
use crate::ops::target::{RuntimeChoice, Terms, Watching};
use crate::ops::up::{self, Audience, Greeting, Manner, Request};
use crate::ui::printer::{Printer, Style};
use crate::ui::progress::{BuildOutput, Progress};
use crate::ui::text::duration;

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl up                      run everything here; Ctrl-C stops it
  msctl up -d                   run everything and go on with the terminal
  msctl up order --plan         what running order and its callees would take
  msctl up --runtime process    local processes instead of containers")]
pub struct Args {
    /// Only these services and what they call
    services: Vec<String>,
    /// Leave it running; stop it with `msctl down`
    #[arg(short, long, env = "MSCTL_DETACH", value_parser = switch)]
    detach: bool,
    /// Show what would be done, and do nothing
    #[arg(long, env = "MSCTL_PLAN", value_parser = switch, conflicts_with = "detach")]
    plan: bool,
    /// Where instances run
    #[arg(long, env = "MSCTL_RUNTIME", value_name = "RUNTIME", default_value = "auto")]
    runtime: RuntimeArg,
    /// Do not deploy what is saved while it runs; `msctl up` does, when it is asked
    #[arg(long, env = "MSCTL_NO_WATCH", value_parser = switch)]
    no_watch: bool,
    /// Show everything that builds print
    #[arg(short, long, env = "MSCTL_VERBOSE", value_parser = switch)]
    verbose: bool,
}

#[derive(Debug, clap::Args)]
pub struct HostArgs {
    #[arg(long, default_value = "auto")]
    runtime: RuntimeArg,
    #[arg(long)]
    no_watch: bool,
    /// Take over from the process that runs the platform, if one does
    #[arg(long)]
    take_over: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RuntimeArg {
    /// Containers where an engine answers, local processes elsewhere
    Auto,
    /// Containers
    Docker,
    /// Local processes
    Process,
}

impl From<RuntimeArg> for RuntimeChoice {
    fn from(runtime: RuntimeArg) -> Self {
        match runtime {
            RuntimeArg::Auto => Self::Auto,
            RuntimeArg::Docker => Self::Docker,
            RuntimeArg::Process => Self::Process,
        }
    }
}

pub async fn run(args: Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let request = Request { services: args.services, terms: terms(args.runtime, args.no_watch) };
    if args.plan {
        let plan = up::plan(context, &request).await?;
        plan.lines().try_for_each(|line| printer.data(line.trim_end()))?;
        if plan.is_empty() {
            printer.say("nothing to do: everything runs as the manifest says");
        }
        return Ok(ExitCode::Ok);
    }
    let mut signals = Signals::listen()?;
    let build_output = if args.verbose { BuildOutput::Shown } else { BuildOutput::Hidden };
    let mut screen =
        Screen { printer, progress: Progress::new(printer, build_output), greeting: None, begun: None };
    let outcome = if args.detach {
        up::detached(context, &request, &mut screen, &mut signals).await?
    } else {
        up::attached(context, &request, &mut screen, &mut signals).await?
    };
    Ok(outcome.exit_code())
}

pub async fn run_host(args: &HostArgs, context: &Context) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::listen()?;
    // A session of its own: the terminal that started it may close. Already being a leader is fine.
    let _ = rustix::process::setsid();
    let beginning = if args.take_over { Beginning::TakingOver } else { Beginning::Fresh };
    host::host(context, terms(args.runtime, args.no_watch), beginning, &mut signals).await?;
    Ok(ExitCode::Ok)
}

fn terms(runtime: RuntimeArg, no_watch: bool) -> Terms {
    Terms { runtime: runtime.into(), watching: if no_watch { Watching::Off } else { Watching::On } }
}

fn told(other_build: &OtherBuild) -> String {
    match other_build {
        OtherBuild::Replaced(Replaced { pid, program }) => format!(
            "the platform process was another build (process {pid}, msctl {program}); replaced without dropping a \
             connection"
        ),
        OtherBuild::Stays { pid } => format!(
            "the platform process (process {pid}) is another build of msctl; it stays until the next msctl down"
        ),
    }
}

/// That a platform which runs already follows saved files, or does not, is not changed by joining it.
fn how_to_change(watching: Watching) -> &'static str {
    match watching {
        Watching::On => "--no-watch counts once it is started anew: msctl down, msctl up --no-watch",
        Watching::Off => "it was started with --no-watch; to have them deployed: msctl down, msctl up",
    }
}

/// The terminal of a command that watches a platform.
struct Screen<'a> {
    printer: &'a Printer,
    progress: Progress<'a>,
    greeting: Option<Greeting>,
    /// What the times that are told are counted from.
    begun: Option<Instant>,
}

impl Audience for Screen<'_> {
    fn greet(&mut self, greeting: &Greeting) {
        let Greeting { platform, url, runtime, .. } = greeting;
        let strong = |text: &str| self.printer.paint(Style::Strong, text);
        self.printer.say(&format!("{} at {}", strong(platform), strong(url)));
        let dim = |text: String| self.printer.say(&self.printer.paint(Style::Dim, &text));
        dim(format!("  {runtime}; {}", greeting.watching.told()));
        if greeting.stays {
            dim(format!("  {}", how_to_change(greeting.watching)));
        }
        if let Some(wanted) = &greeting.elsewhere {
            let told = format!("  {wanted} is another platform's; this one keeps a port of its own");
            dim(told);
        }
        if let Some(other_build) = &greeting.other_build {
            dim(format!("  {}", told(other_build)));
        }
        (self.greeting, self.begun) = (Some(greeting.clone()), Some(Instant::now()));
    }

    fn tell(&mut self, event: &Event) {
        self.progress.show(event);
    }

    fn settled(&mut self, outcome: &Outcome) {
        let took = self.begun.map(|begun| format!(" in {}", duration(begun.elapsed()))).unwrap_or_default();
        let (ready, kept) = (outcome.ready.len(), outcome.kept().count());
        let summary = match (outcome.failed.len() - kept, kept) {
            (0, 0) => format!("{ready} ready{took}"),
            (0, kept) => format!("{ready} ready, {kept} of them in an earlier version{took}"),
            (failed, 0) => format!("{ready} ready, {failed} failed{took}"),
            (failed, kept) => {
                format!("{ready} ready, {kept} of them in an earlier version, {failed} failed{took}")
            }
        };
        if let Some(blind) = &outcome.blind {
            self.printer.fail(&blind.message, blind.hint.as_deref());
        }
        let footer = match self.greeting.as_ref().map(|greeting| greeting.manner) {
            Some(Manner::Attached) => "Ctrl-C stops it",
            Some(Manner::Detached) => "it goes on running; msctl ps shows it, msctl down stops it",
            Some(Manner::Joined) | None => "it was running already; msctl events -f follows it",
        };
        let all_is_well = outcome.failed.is_empty() && outcome.blind.is_none();
        let style = if all_is_well { Style::Good } else { Style::Bad };
        self.printer.say(&format!("{}; {footer}", self.printer.paint(style, &summary)));
    }
}
