//! Edits the service under load, again and again.

use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use super::herald::{Chronicle, Herald, News};
use super::service::{self, Edition, Fate};
use crate::e2e::client::Client;
use crate::e2e::stage::{DEADLINE, Stage};
use crate::harness::traffic::{Entries, Ledger, Load, Mix};
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
    /// At the beginning, and after each quarter of the edits.
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
    for quarter in scenario.edits.chunks(scenario.edits.len().div_ceil(4)) {
        for fate in quarter {
            editor.edit(*fate, &load.ledger).await;
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
        let is_live = |news: &News| if let News::Live(generation) = news { Some(*generation) } else { None };
        let (at, generation) = herald.until("the first edition is live", is_live).await;
        let round = Round { edition, saved, end: End::Live { generation, at } };
        Self { stage, herald, latest: edition.number, rounds: vec![round] }
    }

    async fn gateway(&self) -> SocketAddr {
        let Client(gateway) = self.stage.gateway().await;
        gateway
    }

    /// Saves the next edition, and waits as long as its fate has it.
    async fn edit(&mut self, fate: Fate, ledger: &Ledger) {
        self.latest += 1;
        let edition = Edition { number: self.latest, fate };
        let saved = Instant::now();
        edition.save(self.stage.folder());
        let end = match fate {
            Fate::Serves => self.live(edition, ledger).await,
            Fate::IsOvertakenAtOnce => End::Overtaken,
            Fate::IsOvertakenMidway => self.begun("it is admitted", &News::Admitted).await,
            Fate::IsOvertakenUnready => self.begun("it is probed", &News::Probed).await,
            Fate::DoesNotCompile | Fate::CrashesAtItsStart | Fate::NeverGetsReady | Fate::DiesSoon => {
                self.failed().await
            }
        };
        self.rounds.push(Round { edition, saved, end });
    }

    /// Whoever answers as this edition has to be announced to be live.
    async fn live(&mut self, edition: Edition, ledger: &Ledger) -> End {
        let generation =
            eventually(DEADLINE, "the edition answers", async || ledger.generation(edition.number));
        let generation = generation.await;
        let is_it = |news: &News| (*news == News::Live(generation)).then_some(());
        let (at, ()) = self.herald.until("it is live", is_it).await;
        End::Live { generation, at }
    }

    async fn begun(&mut self, what: &str, sign: &News) -> End {
        self.herald.until(what, |news| (news == sign).then_some(())).await;
        End::Overtaken
    }

    async fn failed(&mut self) -> End {
        let why = |news: &News| if let News::Failed(why) = news { Some(why.clone()) } else { None };
        let (_, why) = self.herald.until("it has failed", why).await;
        End::Failed(why)
    }
}
