//! Edits the service under load, again and again.

use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use super::herald::{Chronicle, Herald, News};
use super::service::{self, Edition, Fate};
use crate::e2e::client::Client;
use crate::e2e::stage::{DEADLINE, Stage};
use crate::harness::traffic::{Entries, Load, Mix};
use crate::harness::wait::eventually;

/// What is done to a service, and under which load.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub replicas: u16,
    pub mix: Mix,
    pub edits: Vec<Fate>,
}

/// One edit, and what came of it.
#[derive(Debug, Clone)]
pub struct Round {
    pub edition: Edition,
    pub saved: Instant,
    pub end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Live { generation: u32, at: Instant },
    Failed(String),
    Overtaken,
}

/// What the platform process takes up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Footprint {
    pub resident_kib: u64,
    pub open_files: usize,
}

/// All that there is to judge by.
#[derive(Debug)]
pub struct Record {
    pub scenario: Scenario,
    pub began: Instant,
    pub ended: Instant,
    pub rounds: Vec<Round>,
    pub chronicle: Chronicle,
    pub entries: Entries,
    /// At the beginning, after half of the edits, and at the end.
    pub footprints: Vec<Footprint>,
}

struct Editor<'s> {
    stage: &'s Stage,
    herald: Herald,
    latest: u32,
    rounds: Vec<Round>,
}

/// Plays a scenario on a stage whose platform is yet to be written.
pub async fn play(stage: &Stage, scenario: &Scenario) -> Record {
    let mut editor = Editor::begin(stage, scenario.replicas).await;
    let gateway = editor.gateway().await;
    let load = Load::on(gateway, service::ROUTE, scenario.mix);
    let began = Instant::now();
    let mut footprints = vec![Footprint::of(stage)];
    let (first_half, second_half) = scenario.edits.split_at(scenario.edits.len() / 2);
    for half in [first_half, second_half] {
        for fate in half {
            editor.edit(*fate).await;
        }
        footprints.push(Footprint::of(stage));
    }
    see_the_end(&load, scenario).await;
    let ended = Instant::now();
    let entries = load.stop().await;
    let Editor { herald, rounds, .. } = editor;
    let chronicle = herald.chronicle.clone();
    Record { scenario: scenario.clone(), began, ended, rounds, chronicle, entries, footprints }
}

/// What was admitted last has to show that it serves, too; and whoever stayed is sent away once.
async fn see_the_end(load: &Load, scenario: &Scenario) {
    let enough = load.ledger.answers() + 50;
    let cut = 2 * scenario.mix.sitters;
    eventually(DEADLINE, "answers of the last edition, and the end of what stayed at others", async || {
        (load.ledger.answers() >= enough && load.ledger.cuts() >= cut).then_some(())
    })
    .await;
}

impl Footprint {
    fn of(stage: &Stage) -> Self {
        let process = stage.host_process().expect("the platform is up");
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|size| size.trim().trim_end_matches(" kB").parse().ok());
        let files = fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count);
        Self { resident_kib: resident.unwrap_or(0), open_files: files }
    }
}

impl<'s> Editor<'s> {
    /// The first edition, which has nobody to take over from.
    async fn begin(stage: &'s Stage, replicas: u16) -> Self {
        let edition = service::write(stage.folder(), replicas);
        let saved = Instant::now();
        stage.up().await;
        let mut herald = Herald::follow(stage);
        let (at, generation) = herald.until("the first edition is live", is_live).await;
        let round = Round { edition, saved, end: End::Live { generation, at } };
        Self { stage, herald, latest: edition.number, rounds: vec![round] }
    }

    async fn gateway(&self) -> SocketAddr {
        let Client(gateway) = self.stage.gateway().await;
        gateway
    }

    async fn edit(&mut self, fate: Fate) {
        match fate {
            Fate::Serves => self.replace().await,
            Fate::IsOvertaken => self.overtake().await,
            Fate::DoesNotCompile | Fate::CrashesAtItsStart | Fate::NeverGetsReady => self.fail(fate).await,
        }
    }

    /// Saves a good edition, and waits until it is live.
    async fn replace(&mut self) {
        let (edition, saved) = self.save(Fate::Serves);
        let (at, generation) = self.herald.until("it is live", is_live).await;
        self.rounds.push(Round { edition, saved, end: End::Live { generation, at } });
    }

    /// Saves a bad one, and waits until that is known.
    async fn fail(&mut self, fate: Fate) {
        let (edition, saved) = self.save(fate);
        let (_, why) = self.herald.until("it has failed", has_failed).await;
        self.rounds.push(Round { edition, saved, end: End::Failed(why) });
    }

    /// Saves one that is not ready when the next one is saved.
    async fn overtake(&mut self) {
        let (edition, saved) = self.save(Fate::IsOvertaken);
        self.herald.until("it is probed", is_probed).await;
        self.rounds.push(Round { edition, saved, end: End::Overtaken });
        self.replace().await;
    }

    fn save(&mut self, fate: Fate) -> (Edition, Instant) {
        self.latest += 1;
        let edition = Edition { number: self.latest, fate };
        let saved = Instant::now();
        edition.save(self.stage.folder());
        (edition, saved)
    }
}

fn is_live(news: &News) -> Option<u32> {
    if let News::Live(generation) = news { Some(*generation) } else { None }
}

fn has_failed(news: &News) -> Option<String> {
    if let News::Failed(why) = news { Some(why.clone()) } else { None }
}

fn is_probed(news: &News) -> Option<()> {
    (*news == News::Probed).then_some(())
}
