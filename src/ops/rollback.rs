//! `msctl rollback`: what an earlier generation ran runs again.

use std::collections::BTreeSet;

use super::change::{EventSink, follow};
use super::context::{Context, known_service};
use super::error::OpsError;
use super::target;
use crate::admin::Change;
use crate::model::deployment::{Cause, Deployment, RecordedProgram};
use crate::model::outcome::Outcome;
use crate::platform::history;
use crate::platform::keeping::Keeping;
use crate::runtime::RuntimeKind;

/// How far back is looked.
const LOOKED_AT: usize = 200;

/// Why there is nothing to go back to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    #[error("{service} has nothing to go back to: no earlier version of it ever served")]
    NothingEarlier { service: String },
    #[error("there is no v{wanted} of {service} to go back to")]
    Unknown { service: String, wanted: u32, known: BTreeSet<u32> },
    #[error("{service} v{wanted} never served: it {outcome}")]
    NeverServed { service: String, wanted: u32, outcome: String },
    #[error("what {service} v{wanted} ran is not known any more")]
    Forgotten { service: String, wanted: u32 },
    #[error("what {service} v{wanted} ran is not kept any more")]
    NotKept { service: String, wanted: u32, kept: BTreeSet<u32> },
    #[error("{service} v{wanted} ran {where_it_ran}, and the platform runs on the {runs_on} runtime now")]
    RanElsewhere { service: String, wanted: u32, where_it_ran: &'static str, runs_on: RuntimeKind },
    #[error("{service} runs from its own folder, which holds nothing but its sources of now")]
    RunsFromFolder { service: String },
}

impl RollbackError {
    /// What to try next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { service, known, .. } if known.is_empty() => format!("msctl history {service}"),
            Self::Unknown { known, .. } => format!("these have served: {}", versions(known)),
            Self::NotKept { kept, .. } if kept.is_empty() => {
                "how many builds are kept is said by keep in [images] of msctl.toml".to_owned()
            }
            Self::NotKept { kept, .. } => format!("one can go back to: {}", versions(kept)),
            Self::RunsFromFolder { .. } => {
                "put the sources back by version control: they are deployed once they are saved".to_owned()
            }
            Self::NothingEarlier { service }
            | Self::RanElsewhere { service, .. }
            | Self::NeverServed { service, .. }
            | Self::Forgotten { service, .. } => format!("see what there was with: msctl history {service}"),
        }
    }
}

fn versions(numbers: &BTreeSet<u32>) -> String {
    numbers.iter().map(|number| format!("v{number}")).collect::<Vec<_>>().join(", ")
}

/// Has a service run what its generation `to` ran, or the one that served before.
///
/// # Errors
/// When there is nothing to go back to, or the platform does not run.
pub async fn rollback(
    context: &Context,
    service: &str,
    to: Option<u32>,
    tell: EventSink<'_>,
) -> Result<(u32, Outcome), OpsError> {
    let platform = context.load()?;
    let service = known_service(&platform, service)?.to_string();
    let client = context.client(&platform.id)?;
    let runs_on = target::kind(&client.status().await?.runtime);
    let folder = context.state(&platform.id)?;
    let past = history::latest(&folder, Some(&service), LOOKED_AT)?;
    let target = choose(&service, &past, to, runs_on)?;
    let runtime = target::of_kind(context, &platform.id, &folder, runs_on).await?;
    let keeping = Keeping::new(&platform.id, &platform.root, &folder, vec![runtime]);
    if !keeping.has(target).await? {
        let kept = kept(&keeping, &past, runs_on).await?;
        return Err(RollbackError::NotKept { service, wanted: target.generation, kept }.into());
    }
    let change = Change::RollBack { service, to: target.generation, recipe: target.recipe.clone() };
    let outcome = follow(client.change(&change).await?, tell).await?;
    Ok((target.generation, outcome))
}

/// The versions that one can go back to.
async fn kept(
    keeping: &Keeping,
    past: &[Deployment],
    runs_on: RuntimeKind,
) -> Result<BTreeSet<u32>, OpsError> {
    let now = past.iter().find(|one| one.was_live()).map(|one| &one.recipe.program);
    let mut kept = BTreeSet::new();
    for one in past.iter().filter(|one| Some(&one.recipe.program) != now) {
        if choose(&one.service, past, Some(one.generation), runs_on).is_ok() && keeping.has(one).await? {
            kept.insert(one.generation);
        }
    }
    Ok(kept)
}

/// `past` is of one service, newest first.
fn choose<'d>(
    service: &str,
    past: &'d [Deployment],
    to: Option<u32>,
    runs_on: RuntimeKind,
) -> Result<&'d Deployment, RollbackError> {
    let service = service.to_owned();
    let target = match to {
        Some(wanted) => past.iter().find(|one| one.generation == wanted).ok_or_else(|| {
            let known = past.iter().filter(|one| one.was_live()).map(|one| one.generation).collect();
            RollbackError::Unknown { service: service.clone(), wanted, known }
        })?,
        None => earlier(past).ok_or(RollbackError::NothingEarlier { service: service.clone() })?,
    };
    let wanted = target.generation;
    let ran_elsewhere =
        |service, where_it_ran| Err(RollbackError::RanElsewhere { service, wanted, where_it_ran, runs_on });
    match (&target.recipe.program, runs_on) {
        _ if !target.was_live() => {
            Err(RollbackError::NeverServed { service, wanted, outcome: target.outcome.to_string() })
        }
        (None, _) => Err(RollbackError::Forgotten { service, wanted }),
        (Some(RecordedProgram::Command { .. }), RuntimeKind::Docker) => {
            ran_elsewhere(service, "as a local process")
        }
        (Some(RecordedProgram::Image { .. }), RuntimeKind::Process) => {
            ran_elsewhere(service, "in a container")
        }
        (Some(RecordedProgram::Command { argv, .. }), _)
            if argv.first().is_some_and(|program| program == "sh") =>
        {
            Err(RollbackError::RunsFromFolder { service })
        }
        (Some(_), _) => Ok(target),
    }
}

/// The one that served before the one that serves now, and ran something else. Where that was rolled
/// back itself, one from before the generation that it went back to.
fn earlier(past: &[Deployment]) -> Option<&Deployment> {
    let mut served = past.iter().filter(|one| one.was_live());
    let now = served.next()?;
    let origin = match now.cause {
        Cause::RolledBack { to } => {
            past.iter().find(|one| one.generation == to && one.number < now.number)?
        }
        _ => now,
    };
    served.find(|one| one.number < origin.number && one.recipe.program != now.recipe.program)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::model::deployment::{Outcome as Became, Recipe, Stage};
    use crate::model::event::Failure;

    fn deployment(number: u64, image: &str, cause: Cause, was_live: bool) -> Deployment {
        let failed = Became::Failed { failure: Failure { message: "boom".into(), ..Failure::default() } };
        Deployment {
            service: "order".into(),
            number,
            generation: u32::try_from(number).unwrap(),
            cause,
            began: SystemTime::UNIX_EPOCH,
            timings: was_live.then_some((Stage::Switched, Duration::from_secs(1))).into_iter().collect(),
            outcome: if was_live { Became::Superseded { by: 99 } } else { failed },
            attempts: 1,
            stopped: None,
            recipe: Recipe {
                program: (!image.is_empty()).then(|| RecordedProgram::Image { reference: image.into() }),
                ..Recipe::default()
            },
        }
    }

    /// From the oldest on: `a` ran an image, `!a` ran it and failed, `a<1` is a rollback to v1.
    fn past(words: &str) -> Vec<Deployment> {
        let all = words.split_whitespace().zip(1..).map(|(word, number)| {
            let (word, cause) = match word.split_once('<') {
                Some((word, to)) => (word, Cause::RolledBack { to: to.parse().unwrap() }),
                None => (word, Cause::Changed),
            };
            deployment(number, word.trim_matches(['!', '?']), cause, !word.starts_with('!'))
        });
        all.collect::<Vec<_>>().into_iter().rev().collect()
    }

    fn check(words: &str, to: Option<u32>, expected: Result<u32, &str>) {
        let found = choose("order", &past(words), to, RuntimeKind::Docker).map(|one| one.generation);
        let found = found.map_err(|error| error.to_string());
        assert_eq!(found.as_ref().map_err(String::as_str).copied(), expected, "{words}");
    }

    #[test]
    fn without_a_number_it_goes_to_what_served_before() {
        check("a b", None, Ok(1));
        check("a b !c", None, Ok(1));
        check("a b b", None, Ok(1));
        check("a !b c", None, Ok(1));
    }

    #[test]
    fn once_more_goes_further_back_and_not_forth_again() {
        check("a b c b<2", None, Ok(1));
        check("a b c b<2 a<1", None, Err(NOTHING));
    }

    #[test]
    fn a_number_is_one_that_served_and_is_known() {
        check("a b c", Some(1), Ok(1));
        check("a !b c", Some(2), Err("order v2 never served: it failed: boom"));
        check("a b", Some(9), Err("there is no v9 of order to go back to"));
        check("? b", Some(1), Err("what order v1 ran is not known any more"));
    }

    #[test]
    fn where_nothing_else_served_there_is_nothing_to_go_back_to() {
        check("", None, Err(NOTHING));
        check("a", None, Err(NOTHING));
        check("!a b", None, Err(NOTHING));
    }

    const NOTHING: &str = "order has nothing to go back to: no earlier version of it ever served";

    #[test]
    fn what_runs_from_its_folder_cannot_go_back() {
        let mut all = past("a b");
        all[1].recipe.program =
            Some(RecordedProgram::Command { argv: vec!["sh".into(), "-c".into()], folder: "/o".into() });
        let refused = choose("order", &all, None, RuntimeKind::Process).unwrap_err();
        assert_eq!(refused, RollbackError::RunsFromFolder { service: "order".into() });
        let refused = choose("order", &all, None, RuntimeKind::Docker).unwrap_err().to_string();
        assert_eq!(
            refused,
            "order v1 ran as a local process, and the platform runs on the docker runtime now"
        );
    }
}
