//! Events as lines: when, whom, what.

use std::time::SystemTime;

use super::text::{duration, escape_control};
use crate::model::event::{Event, EventKind, StepKind, Wish};

/// How wide names are, where they are not wider.
const NAME: usize = 16;
const STEP: usize = 12;

/// One line for an event: `12:18:19.123Z  orders.v2.1       await-ready  done in 60 ms`.
#[must_use]
pub fn line(event: &Event) -> String {
    let (who, what) = told(&event.kind);
    format!("{}  {who:<NAME$}  {}", time_of_day(event.at), escape_control(&what))
}

/// In UTC: what is shown beside it is told in it, too.
fn time_of_day(at: SystemTime) -> String {
    let text = humantime::format_rfc3339_millis(at).to_string();
    text.split_once('T').map_or(text.clone(), |(_, time)| time.to_owned())
}

fn told(kind: &EventKind) -> (&str, String) {
    match kind {
        EventKind::StepStarted { step, subject, .. } => (subject, step_is(*step, "begun")),
        EventKind::StepFinished { step, subject, took, .. } => {
            (subject, step_is(*step, &format!("done in {}", duration(*took))))
        }
        EventKind::StepFailed { step, subject, failure, .. } => {
            (subject, step_is(*step, &format!("failed: {}", failure.message)))
        }
        EventKind::StepGivenUp { step, subject, .. } => (subject, step_is(*step, "given up")),
        EventKind::BuildOutput { service, line } => (service, format!("| {line}")),
        EventKind::InstanceExited { instance, state, restart_in, .. } => {
            let next = restart_in.map(|pause| format!("; again in {}", duration(pause)));
            (instance, format!("{state}{}", next.unwrap_or_default()))
        }
        EventKind::LastWords { instance, excerpt, .. } => {
            (instance, format!("said last: {}", excerpt.last().map_or("", String::as_str)))
        }
        EventKind::DeploymentBegun(beginning) => {
            (&beginning.service, format!("v{} begun: {}", beginning.generation, beginning.cause))
        }
        EventKind::DeploymentMade { service, generation, .. } => {
            (service, format!("v{generation} is known to differ"))
        }
        EventKind::DeploymentReached { service, generation, stage } => {
            (service, format!("v{generation} {}", format!("{stage:?}").to_lowercase()))
        }
        EventKind::DeploymentEnded { service, generation, outcome } => {
            (service, format!("v{generation} {outcome}"))
        }
        EventKind::Built { service, built_in, shipped_in } => {
            (service, format!("built in {}, shipped in {}", duration(*built_in), duration(*shipped_in)))
        }
        EventKind::Noticed { service, message, .. } => {
            (service.as_deref().unwrap_or("platform"), message.clone())
        }
        EventKind::EngineLost { reason } => ("engine", format!("went away: {reason}")),
        EventKind::EngineBack => ("engine", "answers again".to_owned()),
        of_platform => ("platform", told_of_platform(of_platform)),
    }
}

fn told_of_platform(kind: &EventKind) -> String {
    match kind {
        EventKind::GatewayListening { url } => format!("answers at {url}"),
        EventKind::Asked { change, services } => {
            let change = match change {
                Wish::Apply => "up",
                Wish::Scale => "scale",
                Wish::Restart => "restart",
                Wish::Redeploy => "redeploy",
                Wish::RollBack => "rollback",
            };
            let whom =
                if services.is_empty() { String::new() } else { format!(" of {}", services.join(", ")) };
            format!("asked for: {change}{whom}")
        }
        EventKind::Planned { steps: 0, .. } => "nothing to do".to_owned(),
        EventKind::Planned { steps, services } => format!("{steps} steps planned: {}", services.join(", ")),
        EventKind::Settled { ready, failed, took } if failed.is_empty() => {
            format!("settled in {}: {} ready", duration(*took), ready.len())
        }
        EventKind::Settled { ready, failed, took } => {
            let failed = failed.join(", ");
            format!("settled in {}: {} ready; failed: {failed}", duration(*took), ready.len())
        }
        EventKind::ManifestRefused { message, .. } => format!("the manifest cannot be followed: {message}"),
        EventKind::ManifestFollowed => "the manifest is good again".to_owned(),
        EventKind::Replaced => "goes on in another process".to_owned(),
        EventKind::Stopping => "stopping".to_owned(),
        _ => "something that this msctl does not know".to_owned(),
    }
}

fn step_is(step: StepKind, what: &str) -> String {
    format!("{step:<STEP$}  {what}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::event::Failure;

    fn check(kind: EventKind, expected: &str) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(3_723_004);
        assert_eq!(line(&Event { at, kind }), format!("01:02:03.004Z  {expected}"));
    }

    #[test]
    fn an_event_is_a_line_in_columns() {
        let (service, subject) = ("order".to_owned(), "order.v2.1".to_owned());
        let took = Duration::from_millis(60);
        check(
            EventKind::StepFinished {
                service: service.clone(),
                step: StepKind::AwaitReady,
                subject: subject.clone(),
                took,
            },
            "order.v2.1        await-ready   done in 60 ms",
        );
        let failure = Failure { message: "it \x1b[2Jbroke".into(), ..Failure::default() };
        check(
            EventKind::StepFailed { service: service.clone(), step: StepKind::Start, subject, failure },
            "order.v2.1        create+start  failed: it \\u{1b}[2Jbroke",
        );
        check(
            EventKind::Asked { change: Wish::Restart, services: vec![service] },
            "platform          asked for: restart of order",
        );
        check(EventKind::Asked { change: Wish::Apply, services: vec![] }, "platform          asked for: up");
        check(EventKind::EngineBack, "engine            answers again");
    }
}
