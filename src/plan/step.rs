//! A plan and its steps.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::model::difference::Differences;
use crate::model::event::StepKind;
use crate::model::instance::{Generation, InstanceName};
use crate::model::name::ServiceName;
use crate::model::observed::InstanceState;

/// Steps in an order in which they could be done one by one; `after` says what may overlap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub steps: Vec<Step>,
}

/// The position of a step in its plan, counted from 1 as it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub id: StepId,
    /// Steps that must have succeeded before this one begins; all of them come earlier.
    pub after: Vec<StepId>,
    pub service: ServiceName,
    pub action: Action,
    pub cause: Cause,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Build,
    Start(InstanceName),
    AwaitReady(InstanceName),
    Admit(InstanceName),
    /// Sends requests to an instance again that took some before and still runs, without asking it first.
    Recall(InstanceName),
    /// Waits whether a new instance goes on running. If it stops within `window`, those in `otherwise` are
    /// recalled before anything else is done.
    Watch {
        instance: InstanceName,
        window: Duration,
        otherwise: Vec<InstanceName>,
    },
    Withdraw(InstanceName),
    Drain {
        instance: InstanceName,
        limit: Duration,
    },
    Remove {
        instance: InstanceName,
        grace: Duration,
    },
}

/// Why a step is in the plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// Nothing has been built from the sources as they are.
    NotBuilt,
    FirstStart,
    Replaces(Generation),
    /// As [`Self::Replaces`], and its manifest says something else by now.
    Edited {
        before: Generation,
        fields: Differences,
    },
    Scaled {
        from: usize,
        to: usize,
    },
    /// An instance of the wanted version had stopped.
    Stopped(InstanceState),
    /// It runs as wanted, but nothing is routed to it yet.
    Adopted,
    Started,
    Ready,
    /// There is still somebody to go back to.
    Untried(Generation),
    /// Of the wanted version there is nobody to take its requests.
    StandsIn,
    /// The wanted version has failed, and another one serves.
    Failed,
    ReplacedBy(Generation),
    Surplus,
    NotInManifest,
    Withdrawn,
    Drained,
    Restart(Generation),
}

impl Plan {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The services that have a step, each once, in the order of the plan.
    #[must_use]
    pub fn services(&self) -> Vec<&ServiceName> {
        let mut services: Vec<&ServiceName> = Vec::new();
        for step in &self.steps {
            if !services.contains(&&step.service) {
                services.push(&step.service);
            }
        }
        services
    }

    /// Without what comes after a build: what that makes, and so whether anything has to be replaced by it,
    /// is known only then. Whoever leaves does so after it, too: that may take long, and what is built is not
    /// to wait for it.
    #[must_use]
    pub fn until_built(self) -> Self {
        let builds = self.steps.iter().filter(|step| step.action == Action::Build);
        let built: BTreeSet<ServiceName> = builds.map(|step| step.service.clone()).collect();
        let mut unknown: BTreeSet<StepId> = BTreeSet::new();
        let mut steps = self.steps;
        steps.retain(|step| {
            let leaves = matches!(step.action, Action::Drain { .. } | Action::Remove { .. });
            let comes_after =
                leaves && built.contains(&step.service) || step.after.iter().any(|id| unknown.contains(id));
            if comes_after || step.action == Action::Build {
                unknown.insert(step.id);
            }
            !comes_after
        });
        Self { steps }
    }

    /// The services of which a part of this plan lacks some steps.
    #[must_use]
    pub fn left_out_of(&self, part: &Self) -> BTreeSet<ServiceName> {
        let there: BTreeSet<StepId> = part.steps.iter().map(|step| step.id).collect();
        let missing = self.steps.iter().filter(|step| !there.contains(&step.id));
        missing.map(|step| step.service.clone()).collect()
    }

    /// The parts that have nothing to do with each other, in the order of their first steps: no step
    /// waits for one of another part, and all steps of a service are in one.
    #[must_use]
    pub fn into_parts(self) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for step in self.steps {
            let belongs = |part: &Self| {
                part.steps.iter().any(|other| other.service == step.service || step.after.contains(&other.id))
            };
            let (mine, others): (Vec<Self>, Vec<Self>) = parts.into_iter().partition(belongs);
            let mut steps: Vec<Step> = mine.into_iter().flat_map(|part| part.steps).collect();
            steps.push(step);
            steps.sort_by_key(|step| step.id);
            parts = others;
            parts.push(Self { steps });
        }
        parts.sort_by_key(|part| part.steps.first().map(|step| step.id));
        parts
    }
}

impl Action {
    #[must_use]
    pub fn kind(&self) -> StepKind {
        match self {
            Self::Build => StepKind::Build,
            Self::Start(_) => StepKind::Start,
            Self::AwaitReady(_) => StepKind::AwaitReady,
            Self::Admit(_) | Self::Recall(_) => StepKind::Admit,
            Self::Watch { .. } => StepKind::Watch,
            Self::Withdraw(_) => StepKind::Withdraw,
            Self::Drain { .. } => StepKind::Drain,
            Self::Remove { .. } => StepKind::Remove,
        }
    }

    /// Whether it may be given up half way: nothing depends on what it does yet, another plan can go on
    /// with it, or, as a removal does, it goes on by itself.
    #[must_use]
    pub fn is_revocable(&self) -> bool {
        !matches!(self, Self::Admit(_) | Self::Recall(_) | Self::Withdraw(_))
    }

    /// The instance that the step is about; a build is about none.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceName> {
        match self {
            Self::Build => None,
            Self::Start(instance)
            | Self::AwaitReady(instance)
            | Self::Admit(instance)
            | Self::Recall(instance)
            | Self::Watch { instance, .. }
            | Self::Withdraw(instance)
            | Self::Drain { instance, .. }
            | Self::Remove { instance, .. } => Some(instance),
        }
    }
}

impl Step {
    /// What the step is about, as it is shown: an instance, or the service for a build.
    #[must_use]
    pub fn subject(&self) -> String {
        self.action.instance().map_or_else(|| self.service.to_string(), ToString::to_string)
    }
}

impl fmt::Display for Plan {
    /// One line a step: what it waits for, its number, its subject, the action, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 5]> = self.steps.iter().map(row).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2), width(3)];
        for [after, id, subject, action, cause] in &rows {
            let [w0, w1, w2, w3] = widths;
            writeln!(f, "{after:<w0$} {id:<w1$} {subject:<w2$}  {action:<w3$}  {cause}")?;
        }
        Ok(())
    }
}

fn row(step: &Step) -> [String; 5] {
    let after: Vec<String> = step.after.iter().map(|id| id.0.to_string()).collect();
    let action = match &step.action {
        Action::Drain { limit: most, .. } | Action::Watch { window: most, .. } => {
            format!("{} ≤{}", step.action.kind(), humantime::format_duration(*most))
        }
        other => other.kind().to_string(),
    };
    [
        format!("[{}]", after.join(",")),
        format!("#{}", step.id.0),
        step.subject(),
        action,
        step.cause.to_string(),
    ]
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt => f.write_str("no build of these sources yet"),
            Self::FirstStart => f.write_str("nothing of it runs"),
            Self::Replaces(generation) => write!(f, "replaces {generation}"),
            Self::Edited { before, fields } => write!(f, "replaces {before}: {fields}"),
            Self::Scaled { from, to } => write!(f, "scaled from {from} to {to}"),
            Self::Stopped(state) => write!(f, "{state}"),
            Self::Adopted => f.write_str("runs already, adopted"),
            Self::Started => f.write_str("started"),
            Self::Ready => f.write_str("ready"),
            Self::Untried(before) => write!(f, "back to {before} if it stops"),
            Self::StandsIn => f.write_str("stands in for the wanted version"),
            Self::Failed => f.write_str("failed, and another version serves"),
            Self::ReplacedBy(generation) => write!(f, "replaced by {generation}"),
            Self::Surplus => f.write_str("more than wanted"),
            Self::NotInManifest => f.write_str("no longer in the manifest"),
            Self::Withdrawn => f.write_str("requests in flight"),
            Self::Drained => f.write_str("drained"),
            Self::Restart(generation) => write!(f, "restart of {generation} was asked for"),
        }
    }
}
