//! The long form, which `tests/bench/kills/run` runs with what it was asked for in the environment.

use std::fmt::Write;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::FutureExt;

use super::strike::{Victim, all_is_well, services, strike};
use crate::e2e::services::write_platform;
use crate::e2e::stage::{DEADLINE, Runtime, Stage};
use crate::e2e::witness::{self, Bystanders};
use crate::harness::engine::engine;
use crate::harness::processes::processes_of;
use crate::harness::wait::eventually;

const VICTIMS: [Victim; 3] = [Victim::Both, Victim::Host, Victim::Command];
const DOWN: [&str; 3] = ["down", "--volumes", "--yes"];

/// In the middle of what msctl is killed.
#[derive(Debug, Clone, Copy)]
enum Act {
    FirstUp,
    Replacement,
    Down,
}

/// What became of the kills in the middle of one act.
struct Tally {
    act: Act,
    /// How long it takes when nobody is killed.
    calm: Duration,
    /// Whether the command was still at it.
    kills: Vec<(Victim, bool)>,
    /// What the next `up` took.
    recoveries: Vec<Duration>,
}

#[tokio::test]
#[ignore = "a part of the measurements: tests/bench/kills/run runs it"]
async fn as_many_kills_as_are_asked_for() {
    let stage = match variable("KILLS_RUNTIME", "docker".to_owned()).as_str() {
        "process" => Stage::new(Runtime::Process, None),
        _ => Stage::new(Runtime::Docker, Some(engine().expect("tests/bench/kills/run asks for one"))),
    };
    write_platform(stage.folder(), "e2e", &services("calm"));
    stage.play(kill_again_and_again).await;
}

async fn kill_again_and_again(stage: &Stage) {
    let (rounds, seed) = (variable("KILLS_ROUNDS", 200_usize), variable("KILLS_SEED", fastrand::u64(..)));
    let bystanders = if stage.engine.is_some() { Some(Bystanders::beside(stage).await) } else { None };
    let rounds = AssertUnwindSafe(play_all(stage, rounds, seed, bystanders.as_ref())).catch_unwind().await;
    if let Some(bystanders) = bystanders {
        bystanders.leave().await;
    }
    if let Err(panic) = rounds {
        std::panic::resume_unwind(panic);
    }
}

async fn play_all(stage: &Stage, rounds: usize, seed: u64, bystanders: Option<&Bystanders>) {
    let mut random = Rng::with_seed(seed);
    let mut tallies = Vec::new();
    for act in [Act::FirstUp, Act::Replacement, Act::Down] {
        tallies.push(Tally { act, calm: calm(stage, act).await, kills: Vec::new(), recoveries: Vec::new() });
    }
    report(&tallies, seed, "went wrong before the first round");
    for round in 0..rounds {
        report(&tallies, seed, &format!("round {} went wrong", round + 1));
        let acts = tallies.len();
        play(stage, &mut tallies[round % acts], round, &mut random).await;
        if let Some(bystanders) = bystanders {
            bystanders.are_unharmed().await;
        }
    }
    report(&tallies, seed, "nothing was left after any of them, and nothing of anybody else's was touched");
}

/// One round: a kill at a random moment, `up`, `down`; then nothing is left.
async fn play(stage: &Stage, tally: &mut Tally, round: usize, random: &mut Rng) {
    let act = tally.act;
    let moment = tally.calm.mul_f64(random.f64());
    let victim = VICTIMS[random.usize(..VICTIMS.len())];
    act.prepare(stage, &round.to_string()).await;
    let is_at_it = strike(stage, &act.arguments(stage), moment, victim).await;
    tally.kills.push((victim, is_at_it));
    let start = Instant::now();
    stage.up().await;
    tally.recoveries.push(start.elapsed());
    all_is_well(stage).await;
    assert_eq!(stage.get("/cart/env/MOOD").await, round.to_string());
    take_down(stage).await;
}

/// How long it takes when nobody is killed.
async fn calm(stage: &Stage, act: Act) -> Duration {
    act.prepare(stage, "calm").await;
    let start = Instant::now();
    let done = stage.msctl(&act.arguments(stage)).await;
    let took = start.elapsed();
    assert_eq!(done.code, 0, "{}", done.stderr);
    take_down(stage).await;
    took
}

/// `down`, after which nothing of the platform's is left anywhere.
async fn take_down(stage: &Stage) {
    let done = stage.msctl(&DOWN).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    if stage.engine.is_some() {
        assert_eq!(witness::everything(stage).await, Vec::<String>::new());
    }
    let root = stage.state().parent().expect("it is in a folder of the test's own");
    let left = format!("the end of {:#?}", processes_of(root));
    eventually(DEADLINE, &left, async || processes_of(root).is_empty().then_some(())).await;
}

impl Act {
    fn arguments(self, stage: &Stage) -> Vec<&'static str> {
        match self {
            Self::FirstUp | Self::Replacement => stage.up_arguments().to_vec(),
            Self::Down => DOWN.to_vec(),
        }
    }

    /// Everything before the act; in the end the sources are of version `mood`.
    async fn prepare(self, stage: &Stage, mood: &str) {
        let save = |mood: &str| services(mood).iter().for_each(|service| service.write(stage.folder()));
        match self {
            Self::FirstUp => save(mood),
            Self::Replacement => {
                save("before");
                stage.up().await;
                save(mood);
            }
            Self::Down => {
                save(mood);
                stage.up().await;
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::FirstUp => "the first `up`",
            Self::Replacement => "an `up` of another version",
            Self::Down => "a `down`",
        }
    }
}

fn variable<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Writes what there is to tell so far.
fn report(tallies: &[Tally], seed: u64, verdict: &str) {
    let mut text = format!(
        "Seed {seed}. After {} kills: **{verdict}**.\n\n\
         | killed in the middle of | which takes | kills | of the host | the command | both \
         | before the command had ended | next `up`, p50 | most |\n|---|---|---|---|---|---|---|---|---|\n",
        tallies.iter().map(|tally| tally.kills.len()).sum::<usize>()
    );
    for tally in tallies {
        writeln!(text, "{}", row(tally)).expect("a string takes everything");
    }
    let path = std::env::var("KILLS_REPORT").expect("tests/bench/kills/run names a file");
    fs::write(path, text).expect("the report can be written");
}

fn row(tally: &Tally) -> String {
    let of = |victim| tally.kills.iter().filter(|(killed, _)| *killed == victim).count();
    let in_the_midst = tally.kills.iter().filter(|(_, is_at_it)| *is_at_it).count();
    let mut recoveries = tally.recoveries.clone();
    recoveries.sort();
    let (middle, most) = (recoveries.get(recoveries.len() / 2), recoveries.last());
    let time = |duration: Option<&Duration>| {
        duration.map_or("–".to_owned(), |it| format!("{} ms", it.as_millis()))
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {in_the_midst} | {} | {} |",
        tally.act.name(),
        time(Some(&tally.calm)),
        tally.kills.len(),
        of(Victim::Host),
        of(Victim::Command),
        of(Victim::Both),
        time(middle),
        time(most),
    )
}
