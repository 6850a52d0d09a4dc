//! What msctl announces of the service, as whoever follows its events reads it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::service;
use crate::e2e::stage::{DEADLINE, Stage};

/// Events tell their time in whole milliseconds, so what happened may be so much later.
const PRECISION: Duration = Duration::from_millis(1);

/// What is to be heard of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It has been started, and is asked whether it is ready.
    Probed,
    /// Its first instance takes requests.
    Admitted,
    /// It takes all requests.
    Live(u32),
    /// It came to nothing.
    Failed(String),
}

/// When each generation came and went.
#[derive(Debug, Default, Clone)]
pub struct Chronicle {
    /// In the order of their times.
    pub live: Vec<(Instant, u32)>,
    /// When the first of its instances was withdrawn, unless it was called back.
    pub withdrawn: BTreeMap<u32, Instant>,
    /// When the first of its instances ended by itself, though it had taken over.
    pub died: BTreeMap<u32, Instant>,
}

pub struct Herald {
    lines: mpsc::UnboundedReceiver<Value>,
    pub chronicle: Chronicle,
    /// The same moment, by both clocks.
    now: (SystemTime, Instant),
    _program: Child,
    _reader: JoinSet<()>,
}

impl Herald {
    /// Follows a platform that is up, from its beginning.
    pub fn follow(stage: &Stage) -> Self {
        let mut command = stage.command(&["events", "-f", "--format", "jsonl", "--service", service::NAME]);
        let mut program = command.stdout(Stdio::piped()).spawn().expect("msctl can be run");
        let mut read = BufReader::new(program.stdout.take().expect("it is piped")).lines();
        let (tell, lines) = mpsc::unbounded_channel();
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            while let Ok(Some(line)) = read.next_line().await {
                let event = serde_json::from_str(&line).expect("events are JSON");
                // Nobody may be listening any more.
                let _ = tell.send(event);
            }
        });
        Self {
            lines,
            chronicle: Chronicle::default(),
            now: (SystemTime::now(), Instant::now()),
            _program: program,
            _reader: reader,
        }
    }

    /// Waits for news of a kind.
    pub async fn until<T>(&mut self, what: &str, is_it: impl Fn(&News) -> Option<T>) -> (Instant, T) {
        let search = async {
            loop {
                let event = self.lines.recv().await.unwrap_or_else(|| panic!("no more events before {what}"));
                let at = self.moment(&event);
                if let Some(found) = self.understand(&event, at).and_then(|news| is_it(&news)) {
                    return (at, found);
                }
            }
        };
        timeout(DEADLINE, search).await.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
    }

    fn moment(&self, event: &Value) -> Instant {
        let at = event["at"].as_str().and_then(|at| humantime::parse_rfc3339(at).ok());
        self.instant(at.expect("events have a time") + PRECISION)
    }

    fn instant(&self, at: SystemTime) -> Instant {
        match at.duration_since(self.now.0) {
            Ok(later) => self.now.1 + later,
            Err(earlier) => self.now.1.checked_sub(earlier.duration()).expect("the machine is up for longer"),
        }
    }

    fn understand(&mut self, event: &Value, at: Instant) -> Option<News> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let step = text(&event["step"]);
        match (text(&event["event"]).as_str(), step.as_str()) {
            ("step-started", "await-ready") => Some(News::Probed),
            ("step-failed", _) => {
                self.bury(event);
                Some(News::Failed(text(&event["failure"]["message"])))
            }
            ("step-finished", "admit") => {
                self.chronicle.withdrawn.remove(&generation(&text(&event["subject"])));
                Some(News::Admitted)
            }
            ("step-finished", "withdraw") => {
                let generation = generation(&text(&event["subject"]));
                self.chronicle.withdrawn.entry(generation).or_insert(at);
                None
            }
            ("deployment-ended", _) if event["outcome"]["kind"] == "live" => {
                let generation = event["generation"].as_u64().and_then(|number| u32::try_from(number).ok());
                self.live(generation.expect("generations are numbers"), at)
            }
            _ => None,
        }
    }

    /// An instance that ends though it has taken over says when, as the last that it says.
    fn bury(&mut self, event: &Value) {
        let mut lines =
            event["failure"]["excerpt"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let ended = lines.find_map(|line| line.strip_prefix("ends at ")?.trim().parse().ok());
        if let Some(ended) = ended {
            let ended = self.instant(UNIX_EPOCH + Duration::from_millis(ended));
            let generation = generation(event["subject"].as_str().unwrap_or_default());
            let died = self.chronicle.died.entry(generation).or_insert(ended);
            *died = ended.min(*died);
        }
    }

    /// Nothing new where it was live before.
    fn live(&mut self, generation: u32, at: Instant) -> Option<News> {
        let live = &mut self.chronicle.live;
        let is_new = live.last().is_none_or(|(_, known)| *known < generation);
        is_new.then(|| {
            live.push((at, generation));
            News::Live(generation)
        })
    }
}

/// `shop.v12.1` → 12.
fn generation(instance: &str) -> u32 {
    let numbers = instance.rsplit_once(".v").and_then(|(_, numbers)| numbers.split('.').next());
    numbers.and_then(|number| number.parse().ok()).unwrap_or(0)
}
