//! One deployment: one generation of a service on its way to its requests, and what became of it. Its
//! JSON form is public (`msctl history --format json`) and is what the history keeps.
//!
//! How deployments follow from what happens is [`super::history`]'s matter.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::event::Failure;
use super::instance::Program;

/// The version of the document; grows when a field changes its meaning.
pub const SCHEMA: &str = "msctl.history/1";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    pub service: String,
    /// Which deployment of its service it is, from 1. Never given twice, while generations are counted
    /// anew where nothing of them is left.
    pub number: u64,
    pub generation: u32,
    pub cause: Cause,
    /// The first moment that is known of it, on the wall clock.
    #[serde(with = "moment")]
    pub began: SystemTime,
    #[serde(rename = "timings_ms")]
    pub timings: Timings,
    pub outcome: Outcome,
    /// How often it was tried; what failed by itself and is tried again stays one deployment.
    pub attempts: u32,
    /// When the last of its instances took no more requests.
    #[serde(default, with = "moment::maybe", skip_serializing_if = "Option::is_none")]
    pub stopped: Option<SystemTime>,
    #[serde(default, skip_serializing_if = "Recipe::is_unknown")]
    pub recipe: Recipe,
}

/// What is known of a deployment when it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    pub service: String,
    pub generation: u32,
    #[serde(default)]
    pub cause: Cause,
    /// The first moment that is known of it.
    #[serde(with = "moment")]
    pub began: SystemTime,
    /// What was over by then.
    #[serde(default, rename = "timings_ms")]
    pub timings: Timings,
    #[serde(default)]
    pub recipe: Recipe,
}

/// What its instances were made from, as far as that was told: enough to make them again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// The digest of the sources and of how they are built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The digest of all that an instance is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<RecordedProgram>,
}

/// A [`Program`] as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RecordedProgram {
    Image { reference: String },
    Command { argv: Vec<String>, folder: String },
}

/// Why there is a new generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Cause {
    /// Nothing of the service was there.
    FirstStart,
    /// Some of the files that differ, relative to the service's folder, and how many there are besides:
    /// that many at least, where they were too many to count.
    SourcesChanged {
        paths: Vec<String>,
        more: usize,
        #[serde(default)]
        uncounted: bool,
    },
    /// The fields that differ, such as `run.limits.memory`.
    ManifestChanged {
        fields: Vec<String>,
    },
    RestartAskedFor,
    RolledBack {
        to: u32,
    },
    Scaled {
        from: usize,
        to: usize,
    },
    /// What failed is tried again.
    TriedAgain,
    /// It was found running.
    Adopted,
    /// Something differs, and nobody has said what.
    #[default]
    #[serde(other)]
    Changed,
}

/// What became of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    UnderWay,
    /// The platform process ended in the middle of it.
    Interrupted,
    /// It takes requests.
    Live,
    /// It never took requests, or did not do so for long; the one before it stayed.
    Failed {
        failure: Failure,
    },
    /// What was built is what runs already; so nothing came of it.
    Unchanged,
    /// A later generation took its place, whether or not it had taken requests by then.
    Superseded {
        by: u32,
    },
    /// It made room for an earlier one.
    RolledBack {
        to: u32,
    },
    /// It was let go of with nothing in its place: by `down`, or by being left out of the manifest.
    Stopped,
}

/// The stages of a deployment, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The change was seen.
    Detected,
    /// Nothing more was changing.
    Debounced,
    Built,
    /// What was built is where it runs.
    Shipped,
    /// The first of its instances was started,
    Started,
    /// and was ready.
    Ready,
    /// The last of its instances takes requests.
    Switched,
}

/// When each stage was over, counted from the first known moment; only those that are known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timings(#[serde(with = "milliseconds")] BTreeMap<Stage, Duration>);

impl Deployment {
    /// How long it took until it was live.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        self.timings.at(Stage::Switched)
    }

    /// Whether something may still become of it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.outcome, Outcome::UnderWay | Outcome::Live)
    }

    /// Whether it ever took requests.
    #[must_use]
    pub fn was_live(&self) -> bool {
        self.outcome == Outcome::Live || self.took().is_some()
    }
}

impl Timings {
    #[must_use]
    pub fn at(&self, stage: Stage) -> Option<Duration> {
        self.0.get(&stage).copied()
    }

    /// Notes that a stage is over; said again, it was over later than had been thought.
    pub fn reach(&mut self, stage: Stage, after: Duration) {
        self.0.insert(stage, after);
    }

    /// The stages that are known, each with the time since the one before.
    pub fn spans(&self) -> impl Iterator<Item = (Stage, Duration)> {
        self.0.iter().scan(Duration::ZERO, |before, (stage, at)| {
            let span = at.saturating_sub(*before);
            *before = (*before).max(*at);
            Some((*stage, span))
        })
    }

    /// The end of the latest stage that is known.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.0.values().copied().max().unwrap_or_default()
    }
}

impl FromIterator<(Stage, Duration)> for Timings {
    fn from_iter<T: IntoIterator<Item = (Stage, Duration)>>(stages: T) -> Self {
        Self(stages.into_iter().collect())
    }
}

impl Recipe {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&Program> for RecordedProgram {
    fn from(program: &Program) -> Self {
        match program.clone() {
            Program::Image { reference } => Self::Image { reference },
            // A folder whose name is no text can be written down no better; nothing else is lost with it.
            Program::Command { argv, folder } => Self::Command { argv, folder: folder.display().to_string() },
        }
    }
}

impl From<RecordedProgram> for Program {
    fn from(recorded: RecordedProgram) -> Self {
        match recorded {
            RecordedProgram::Image { reference } => Self::Image { reference },
            RecordedProgram::Command { argv, folder } => Self::Command { argv, folder: folder.into() },
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstStart => f.write_str("first start"),
            Self::SourcesChanged { paths, more, uncounted } => match (&paths[..], more) {
                ([], _) => f.write_str("sources changed"),
                ([path, ..], _) if *uncounted => write!(f, "{path} and many more"),
                ([path], 0) => f.write_str(path),
                ([path, others @ ..], more) => write!(f, "{path} and {} more", others.len() + more),
            },
            Self::ManifestChanged { fields } if fields.is_empty() => f.write_str("manifest changed"),
            Self::ManifestChanged { fields } => f.write_str(&fields.join(", ")),
            Self::RestartAskedFor => f.write_str("restart"),
            Self::RolledBack { to } => write!(f, "rollback to v{to}"),
            Self::Scaled { from, to } => write!(f, "scaled from {from} to {to}"),
            Self::TriedAgain => f.write_str("tried again"),
            Self::Adopted => f.write_str("found running"),
            Self::Changed => f.write_str("changed"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay => f.write_str("under way"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Live => f.write_str("live"),
            Self::Failed { failure } => write!(f, "failed: {}", failure.message),
            Self::Unchanged => f.write_str("nothing new"),
            Self::Superseded { by } => write!(f, "superseded by v{by}"),
            Self::RolledBack { to } => write!(f, "gave way to v{to}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// Moments as RFC 3339 text, to the millisecond.
pub(super) mod moment {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(moment: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        humantime::format_rfc3339_millis(*moment).to_string().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        humantime::parse_rfc3339_weak(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    pub mod maybe {
        use std::time::SystemTime;

        use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

        #[expect(clippy::ref_option, reason = "this is how serde calls it: with a reference to the field")]
        pub fn serialize<S: Serializer>(
            moment: &Option<SystemTime>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            moment.map(|moment| humantime::format_rfc3339_millis(moment).to_string()).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<SystemTime>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.map(|text| humantime::parse_rfc3339_weak(&text)).transpose().map_err(D::Error::custom)
        }
    }
}

/// Durations as milliseconds, to the microsecond.
mod milliseconds {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::Stage;

    pub fn serialize<S: Serializer>(
        stages: &BTreeMap<Stage, Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let in_millis = |at: &Duration| (at.as_secs_f64() * 1e6).round() / 1e3;
        let stages = stages.iter().map(|(stage, at)| (stage, in_millis(at)));
        stages.collect::<BTreeMap<_, f64>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Stage, Duration>, D::Error> {
        let stages = BTreeMap::<Stage, f64>::deserialize(deserializer)?;
        let read = |(stage, millis): (Stage, f64)| Ok((stage, Duration::try_from_secs_f64(millis / 1e3)?));
        stages
            .into_iter()
            .map(read)
            .collect::<Result<_, std::time::TryFromFloatSecsError>>()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_deployment_reads_back_as_it_was_written() {
        let failure = Failure { message: "boom".into(), excerpt: vec!["a".into()], ..Failure::default() };
        let program = Program::Command { argv: vec!["run".into()], folder: "/srv".into() };
        let deployment = Deployment {
            service: "orders".into(),
            number: 9,
            generation: 7,
            cause: Cause::SourcesChanged { paths: vec!["src/main.rs".into()], more: 2, uncounted: false },
            began: SystemTime::UNIX_EPOCH + millis(1_800_000_000_123),
            timings: [(Stage::Built, Duration::from_micros(180_250)), (Stage::Switched, millis(612))]
                .into_iter()
                .collect(),
            outcome: Outcome::Failed { failure },
            attempts: 2,
            stopped: Some(SystemTime::UNIX_EPOCH + millis(1_800_000_100_000)),
            recipe: Recipe {
                digest: Some("d".into()),
                hash: None,
                program: Some(RecordedProgram::from(&program)),
            },
        };
        let text = serde_json::to_value(&deployment).unwrap();
        assert_eq!(text["began"], "2027-01-15T08:00:00.123Z");
        assert_eq!(text["timings_ms"], serde_json::json!({"built": 180.25, "switched": 612.0}));
        assert_eq!(text["outcome"]["kind"], "failed");
        assert_eq!(serde_json::from_value::<Deployment>(text).unwrap(), deployment);
        assert_eq!(Program::from(RecordedProgram::from(&program)), program);
    }

    #[test]
    fn a_cause_that_is_not_known_here_is_a_change() {
        let read: Cause = serde_json::from_str(r#"{"kind":"moon-phase","phase":3}"#).unwrap();
        assert_eq!(read, Cause::Changed);
    }

    #[test]
    fn causes_and_outcomes_are_said_in_a_few_words() {
        let paths = |paths: &[&str], more| Cause::SourcesChanged {
            paths: paths.iter().map(ToString::to_string).collect(),
            more,
            uncounted: false,
        };
        let branch = Cause::SourcesChanged { paths: vec!["src/main.rs".into()], more: 5, uncounted: true };
        for (cause, text) in [
            (Cause::FirstStart, "first start"),
            (paths(&["src/main.rs"], 0), "src/main.rs"),
            (paths(&["src/main.rs", "a"], 3), "src/main.rs and 4 more"),
            (branch, "src/main.rs and many more"),
            (paths(&[], 0), "sources changed"),
            (Cause::ManifestChanged { fields: vec!["run.port".into()] }, "run.port"),
            (Cause::RolledBack { to: 3 }, "rollback to v3"),
        ] {
            assert_eq!(cause.to_string(), text);
        }
        let failure = Failure { message: "boom".into(), ..Failure::default() };
        assert_eq!(Outcome::Failed { failure }.to_string(), "failed: boom");
        assert_eq!(Outcome::Superseded { by: 8 }.to_string(), "superseded by v8");
    }

    #[test]
    fn spans_are_the_times_between_stages_and_never_negative() {
        let timings: Timings = [
            (Stage::Debounced, millis(32)),
            (Stage::Built, millis(212)),
            (Stage::Started, millis(200)),
            (Stage::Ready, millis(300)),
        ]
        .into_iter()
        .collect();
        let spans: Vec<_> = timings.spans().collect();
        assert_eq!(
            spans,
            [
                (Stage::Debounced, millis(32)),
                (Stage::Built, millis(180)),
                (Stage::Started, millis(0)),
                (Stage::Ready, millis(88)),
            ]
        );
        assert_eq!(timings.total(), millis(300));
    }
}
