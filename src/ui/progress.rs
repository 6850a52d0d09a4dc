//! Shows what happens as it happens: on a terminal each service has a line that moves until it
//! settles; elsewhere each settled step is a line of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::printer::{Printer, Style};
use super::text::{duration, escape_control};
use super::waterfall::waterfall;
use crate::model::deployment::{Beginning, Cause, Deployment, Outcome};
use crate::model::event::{Event, EventKind, Failure, StepKind};
use crate::model::history::History;

/// How often a moving line moves.
const TICK: Duration = Duration::from_millis(100);

/// Whether lines that builds print are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildOutput {
    Shown,
    Hidden,
}

pub struct Progress<'a> {
    printer: &'a Printer,
    build_output: BuildOutput,
    /// The moving line of each service, on a terminal.
    lines: BTreeMap<String, ProgressBar>,
    /// When the first step about each subject began.
    begun: BTreeMap<String, Instant>,
    /// What becomes of deployments while it is watched.
    history: History,
    /// The latest deployment of each service that was live.
    deployed: BTreeMap<String, u64>,
    /// Services whose trouble was told, and not yet its end.
    troubled: BTreeSet<String>,
}

impl<'a> Progress<'a> {
    #[must_use]
    pub fn new(printer: &'a Printer, build_output: BuildOutput) -> Self {
        Self {
            printer,
            build_output,
            lines: BTreeMap::new(),
            begun: BTreeMap::new(),
            history: History::default(),
            deployed: BTreeMap::new(),
            troubled: BTreeSet::new(),
        }
    }

    pub fn show(&mut self, event: &Event) {
        let deployments = self.history.step(event);
        match &event.kind {
            EventKind::StepStarted { service, step, subject } => self.step_started(service, *step, subject),
            EventKind::StepFinished { service, step, subject, .. } => {
                self.step_finished(service, *step, subject)
            }
            EventKind::StepFailed { service, subject, failure, .. } => self.failed(service, subject, failure),
            // The others are simply done by another plan.
            EventKind::StepGivenUp { step, subject, .. } if *step <= StepKind::AwaitReady => {
                self.note(Style::Dim, &format!("{subject}: given up for something newer"));
            }
            EventKind::BuildOutput { service, line } => self.build_line(service, line),
            EventKind::InstanceExited { instance, state, restart_in, .. } => {
                let next =
                    restart_in.map(|pause| format!("; again in {}", duration(pause))).unwrap_or_default();
                self.note(Style::Bad, &format!("{instance} {state}{next}"));
            }
            EventKind::LastWords { excerpt, log, .. } => self.output(excerpt, log.as_deref()),
            EventKind::DeploymentEnded { outcome: Outcome::Live, .. } => {
                for deployment in &deployments {
                    self.deployed(deployment);
                }
            }
            EventKind::DeploymentEnded { service, outcome: Outcome::Unchanged, .. } => {
                self.settle(service, Style::Dim, &format!("{service}: nothing new came of it"));
            }
            EventKind::DeploymentBegun(beginning) => self.deployment_begun(beginning),
            EventKind::Noticed { message, hint, .. } => self.notice(Style::Plain, message, hint.as_deref()),
            EventKind::ManifestRefused { message, hint } => {
                self.notice(Style::Bad, message, hint.as_deref());
                self.note(Style::Dim, "the platform goes on by the last good manifest");
            }
            EventKind::ManifestFollowed => self.note(Style::Good, "the manifest is good again"),
            EventKind::EngineLost { reason } => {
                self.note(Style::Bad, &format!("the engine went away: {reason}"))
            }
            EventKind::Settled { ready, failed, .. } => self.trouble_ended(ready, failed),
            EventKind::EngineBack => self.note(Style::Good, "the engine answers again"),
            EventKind::Stopping => self.note(Style::Dim, "stopping"),
            EventKind::GatewayListening { .. }
            | EventKind::Asked { .. }
            | EventKind::Planned { .. }
            | EventKind::Built { .. }
            | EventKind::DeploymentMade { .. }
            | EventKind::DeploymentReached { .. }
            | EventKind::DeploymentEnded { .. }
            | EventKind::StepGivenUp { .. }
            | EventKind::Replaced
            | EventKind::Unknown => {}
        }
    }

    fn notice(&self, style: Style, message: &str, hint: Option<&str>) {
        let mut lines = message.lines().map(escape_control);
        self.note(style, &lines.next().unwrap_or_default());
        lines.for_each(|line| self.note(Style::Plain, &line));
        if let Some(hint) = hint {
            self.note(Style::Plain, &format!("    hint: {hint}"));
        }
    }

    /// Why something is deployed is worth a line where nobody has just asked for it.
    fn deployment_begun(&mut self, beginning: &Beginning) {
        let Beginning { service, cause, .. } = beginning;
        // What becomes of it is told.
        self.troubled.remove(service);
        if matches!(cause, Cause::SourcesChanged { .. } | Cause::ManifestChanged { .. }) {
            self.note(Style::Dim, &format!("{service}: {}", escape_control(&cause.to_string())));
        }
    }

    /// Of what takes the place of something, where the time went; once, though it may be repaired often.
    fn deployed(&mut self, deployment: &Deployment) {
        let Deployment { service, number, .. } = deployment;
        let is_new = self.deployed.insert(service.clone(), *number).is_none_or(|last| last < *number);
        if is_new && !matches!(deployment.cause, Cause::FirstStart | Cause::Adopted) {
            self.note(Style::Good, &waterfall(deployment));
        }
    }

    /// Of what was mended by going back to what serves, nothing else is to be seen. What failed may be
    /// ready as well: by its earlier version.
    fn trouble_ended(&mut self, ready: &[String], failed: &[String]) {
        for service in ready.iter().filter(|service| !failed.contains(service)) {
            if self.troubled.remove(service) {
                self.note(Style::Good, &format!("{service}: what serves is what is wanted again"));
            }
        }
    }

    fn step_started(&mut self, service: &str, step: StepKind, subject: &str) {
        let doing = match step {
            StepKind::Build => "building",
            StepKind::Start => "starting",
            StepKind::AwaitReady => "waiting until ready",
            StepKind::Drain => "draining",
            StepKind::Remove => "stopping",
            StepKind::Admit | StepKind::Watch | StepKind::Withdraw => return,
        };
        self.begun.entry(subject.to_owned()).or_insert_with(Instant::now);
        let message = format!("{subject}: {doing}");
        match self.line(service) {
            Some(bar) => bar.set_message(message),
            // Without a terminal only the long step is announced; the others soon tell of themselves.
            None if step == StepKind::Build => self.note(Style::Dim, &message),
            None => {}
        }
    }

    fn step_finished(&mut self, service: &str, step: StepKind, subject: &str) {
        let took = |begun: Option<Instant>| duration(begun.map(|begun| begun.elapsed()).unwrap_or_default());
        match step {
            StepKind::Build => {
                let took = took(self.begun.remove(subject));
                if !self.printer.is_moving() {
                    self.note(Style::Dim, &format!("{subject}: built ({took})"));
                }
            }
            StepKind::Admit => {
                self.troubled.remove(service);
                let took = took(self.begun.remove(subject));
                self.settle(service, Style::Good, &format!("{subject} ready ({took})"));
            }
            StepKind::Remove => {
                let took = took(self.begun.remove(subject));
                self.settle(service, Style::Dim, &format!("{subject} removed ({took})"));
            }
            StepKind::Start
            | StepKind::AwaitReady
            | StepKind::Watch
            | StepKind::Withdraw
            | StepKind::Drain => {}
        }
    }

    fn failed(&mut self, service: &str, subject: &str, failure: &Failure) {
        self.begun.remove(subject);
        self.troubled.insert(service.to_owned());
        self.settle(service, Style::Bad, &format!("{service}: {}", escape_control(&failure.message)));
        self.output(&failure.excerpt, failure.log.as_deref());
        if let Some(hint) = &failure.hint {
            self.note(Style::Plain, &format!("    hint: {hint}"));
        }
    }

    /// What was printed last, and where all of it is.
    fn output(&self, excerpt: &[String], log: Option<&str>) {
        for line in excerpt {
            self.note(Style::Plain, &format!("    {}", escape_control(line)));
        }
        if let Some(log) = log {
            self.note(Style::Dim, &format!("    whole output: {log}"));
        }
    }

    fn build_line(&mut self, service: &str, line: &str) {
        let line = escape_control(line);
        match (self.line(service), self.build_output) {
            (_, BuildOutput::Shown) => self.note(Style::Dim, &format!("{service} | {line}")),
            (Some(bar), BuildOutput::Hidden) => bar.set_message(format!("{service}: building: {line}")),
            (None, BuildOutput::Hidden) => {}
        }
    }

    /// Ends a service's moving line and leaves a still one in its place.
    fn settle(&mut self, service: &str, style: Style, message: &str) {
        if let Some(bar) = self.lines.remove(service) {
            bar.finish_and_clear();
        }
        self.note(style, message);
    }

    fn note(&self, style: Style, message: &str) {
        let mark = match style {
            Style::Good => "✓",
            Style::Bad => "✗",
            Style::Dim | Style::Plain | Style::Strong => " ",
        };
        self.printer.say(&format!("  {} {message}", self.printer.paint(style, mark)));
    }

    /// The service's moving line; `None` where nothing moves.
    fn line(&mut self, service: &str) -> Option<ProgressBar> {
        let printer = self.printer;
        printer
            .is_moving()
            .then(|| self.lines.entry(service.to_owned()).or_insert_with(|| moving_line(printer)).clone())
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.lines.values().for_each(ProgressBar::finish_and_clear);
    }
}

fn moving_line(printer: &Printer) -> ProgressBar {
    let bar = printer.progress().add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {wide_msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}
