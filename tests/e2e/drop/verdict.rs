//! Whether everything was as it has to be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::rounds::{End, Record, Round};
use crate::harness::traffic::{Answer, Cut, Failure, Kind, Voice};

/// How long what is under way may go on at an instance that takes no more requests.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// How the gateway says that a request was sent, and that no answer came.
const UNANSWERED: &str = "upstream_broken";

/// How many complaints of one sort are told.
const TOLD: usize = 10;

/// What must not be.
#[derive(Debug, Default)]
pub struct Verdict {
    /// By kind: requests without their answers, and conversations that were broken off.
    pub failures: BTreeMap<Kind, Vec<String>>,
    /// Answers of a generation that was withdrawn when they were asked for.
    pub late: Vec<String>,
    /// Answers of an edition that was not to be heard of, or that is another one than its generation.
    pub wrong: Vec<String>,
    /// Conversations that ended at the limit of a drain, as they have to.
    pub ended_by_drain: usize,
    /// By kind: what was under way at an instance that ended by itself, and may not be asked twice.
    pub lost: BTreeMap<Kind, usize>,
}

impl Verdict {
    pub fn of(record: &Record) -> Self {
        let mut verdict = Self::default();
        let entries = &record.entries;
        for failure in &entries.failures {
            if was_under_way(failure, record) {
                verdict.lose(failure.kind);
            } else {
                verdict.blame(failure.kind, record, failure.at, &failure.what);
            }
        }
        for cut in &entries.cuts {
            if is_due(cut, record) {
                verdict.ended_by_drain += 1;
            } else if has_died(cut, record) {
                verdict.lose(cut.kind);
            } else {
                let what = format!("v{}: {}", cut.generation, cut.what);
                verdict.blame(cut.kind, record, cut.at, &what);
            }
        }
        verdict.late = entries.answers.iter().filter_map(|answer| late(answer, record)).collect();
        verdict.wrong = wrong(record);
        verdict
    }

    fn lose(&mut self, kind: Kind) {
        *self.lost.entry(kind).or_default() += 1;
    }

    fn blame(&mut self, kind: Kind, record: &Record, at: Instant, what: &str) {
        let failure = format!("{kind}, {}: {what}", placed(record, at));
        self.failures.entry(kind).or_default().push(failure);
    }

    /// Everything that is wrong, in words; nothing if all is well.
    pub fn complaints(&self) -> Vec<String> {
        let told = |all: &Vec<String>| {
            let more = all.len().saturating_sub(TOLD);
            let more = (more > 0).then(|| format!("and {more} more like it"));
            all.iter().take(TOLD).cloned().chain(more).collect::<Vec<_>>()
        };
        self.failures.values().chain([&self.late, &self.wrong]).flat_map(told).collect()
    }
}

/// A moment, as seconds since the beginning and after the latest change.
pub fn placed(record: &Record, at: Instant) -> String {
    let since = |earlier: Instant| at.saturating_duration_since(earlier).as_secs_f64();
    let latest = record.chronicle.live.iter().rev().find(|(live, _)| *live <= at);
    let latest = latest.map(|(live, generation)| format!(", {:.3} s after v{generation}", since(*live)));
    format!("at {:.3} s{}", since(record.began), latest.unwrap_or_default())
}

/// Whether a conversation was ended because a drain had come to its limit.
fn is_due(cut: &Cut, record: &Record) -> bool {
    let withdrawn = record.chronicle.withdrawn.get(&cut.generation);
    withdrawn.is_some_and(|withdrawn| cut.at >= *withdrawn + DRAIN_LIMIT)
}

/// Whether the other side of a conversation had ended by itself.
fn has_died(cut: &Cut, record: &Record) -> bool {
    record.chronicle.died.get(&cut.generation).is_some_and(|died| cut.at >= *died)
}

/// Whether a POST was sent to an instance that ended then: nobody knows what became of it, so it must not be
/// sent to another one. Its client is told that there was no answer, and not that nobody could be reached.
fn was_under_way(failure: &Failure, record: &Record) -> bool {
    let is_unanswered = failure.kind == Kind::Post && failure.what.contains(UNANSWERED);
    is_unanswered && record.chronicle.died.values().any(|died| is_soon_after(failure.at, *died, record))
}

/// Before another generation is live.
fn is_soon_after(moment: Instant, died: Instant, record: &Record) -> bool {
    let live = record.chronicle.live.iter().map(|(at, _)| *at);
    moment >= died && live.filter(|at| *at > died).all(|next| moment < next)
}

fn late(answer: &Answer, record: &Record) -> Option<String> {
    let live = &record.chronicle.live;
    let already = live.partition_point(|(at, _)| *at <= answer.asked);
    let (_, expected) = live.get(already.checked_sub(1)?)?;
    // Who was replaced by what is no more answers in its place.
    let is_back = record.chronicle.died.get(expected).is_some_and(|died| answer.answered >= *died);
    let is_late = answer.kind.is_routed() && answer.by < *expected && !is_back;
    is_late.then(|| {
        let (kind, by) = (answer.kind, answer.by);
        format!("{kind}, {}: answered by v{by}", placed(record, answer.asked))
    })
}

/// Whoever answers has to be an edition that may, and the one that was live under its number.
fn wrong(record: &Record) -> Vec<String> {
    let mut live: BTreeMap<u32, u32> = BTreeMap::new();
    let mut welcome: BTreeSet<u32> = BTreeSet::new();
    for Round { edition, end, .. } in &record.rounds {
        if edition.fate.may_answer() {
            welcome.insert(edition.number);
        }
        if let End::Live { generation, .. } = end {
            live.insert(*generation, edition.number);
        }
    }
    let wrong = record.entries.voices.iter().filter(|Voice { generation, edition }| {
        let known = live.entry(*generation).or_insert(*edition);
        known != edition || !welcome.contains(edition)
    });
    wrong.map(|voice| format!("edition {} answers as v{}", voice.edition, voice.generation)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2e::drop::herald::Chronicle;
    use crate::e2e::drop::rounds::Scenario;
    use crate::e2e::drop::service::{Edition, Fate};
    use crate::harness::traffic::{Entries, Mix};

    /// Edition 1 is live as v1 from the beginning on, edition 2 as v3 after a second.
    struct Scene {
        began: Instant,
        died: BTreeMap<u32, Instant>,
        entries: Entries,
    }

    impl Scene {
        fn new() -> Self {
            Self { began: Instant::now(), died: BTreeMap::new(), entries: Entries::default() }
        }

        fn at(&self, milliseconds: u64) -> Instant {
            self.began + Duration::from_millis(milliseconds)
        }

        fn answer(mut self, kind: Kind, asked: u64, by: u32) -> Self {
            let asked = self.at(asked);
            let pause = Duration::ZERO;
            self.entries.answers.push(Answer { kind, due: asked, asked, answered: asked, pause, by });
            self
        }

        fn cut(mut self, at: u64, generation: u32) -> Self {
            let at = self.at(at);
            self.entries.cuts.push(Cut { kind: Kind::Event, at, generation, what: "gone".to_owned() });
            self
        }

        fn failure(mut self, kind: Kind, at: u64, what: &str) -> Self {
            let at = self.at(at);
            self.entries.failures.push(Failure { kind, at, what: what.to_owned() });
            self
        }

        /// Edition 2 ends again.
        fn death(mut self, at: u64) -> Self {
            self.died.insert(3, self.at(at));
            self
        }

        fn voice(mut self, generation: u32, edition: u32) -> Self {
            self.entries.voices.insert(Voice { generation, edition });
            self
        }

        fn verdict(self) -> Verdict {
            let live = vec![(self.at(0), 1), (self.at(1000), 3)];
            let withdrawn = BTreeMap::from([(1, self.at(999))]);
            let rounds = live.iter().zip(1..).map(|((at, generation), number)| Round {
                edition: Edition { number, fate: Fate::Serves },
                saved: *at,
                end: End::Live { generation: *generation, at: *at },
            });
            Verdict::of(&Record {
                scenario: Scenario { replicas: 1, mix: Mix { rate: 1, sitters: 0 }, edits: Vec::new() },
                began: self.began,
                ended: self.began,
                rounds: rounds.collect(),
                chronicle: Chronicle { live, withdrawn, died: self.died },
                entries: self.entries,
                footprints: Vec::new(),
            })
        }
    }

    #[test]
    fn who_was_replaced_answers_what_was_asked_before_and_goes_on_with_what_was_begun() {
        let scene = Scene::new().answer(Kind::Get, 999, 1).answer(Kind::Get, 999, 3);
        let scene = scene.answer(Kind::Message, 1001, 1).answer(Kind::Event, 1001, 1);
        assert_eq!(scene.voice(1, 1).voice(3, 2).verdict().complaints(), Vec::<String>::new());
        let verdict = Scene::new().answer(Kind::Get, 1002, 1).answer(Kind::Socket, 1003, 1).verdict();
        let told =
            ["HTTP/1.1 GET, at 1.002 s, 0.002 s after v3", "WebSocket opened, at 1.003 s, 0.003 s after v3"];
        assert_eq!(verdict.complaints(), told.map(|told| format!("{told}: answered by v1")));
    }

    #[test]
    fn conversations_end_at_the_limit_of_a_drain_and_not_before() {
        let verdict = Scene::new().cut(10_999, 1).verdict();
        assert_eq!((verdict.complaints(), verdict.ended_by_drain), (Vec::new(), 1));
        let verdict = Scene::new().cut(10_998, 1).verdict();
        assert_eq!(verdict.complaints(), ["SSE event, at 10.998 s, 9.998 s after v3: v1: gone"]);
    }

    #[test]
    fn what_was_under_way_where_somebody_ended_is_lost_and_the_one_before_answers_again() {
        let unanswered = format!("502: {{{UNANSWERED}}}");
        let scene = Scene::new().death(1500).answer(Kind::Get, 1500, 1).cut(1500, 3);
        let verdict = scene.failure(Kind::Post, 1501, &unanswered).verdict();
        let lost = BTreeMap::from([(Kind::Event, 1), (Kind::Post, 1)]);
        assert_eq!((verdict.complaints(), verdict.lost), (Vec::new(), lost));
        let scene = Scene::new().death(1500).answer(Kind::Get, 1499, 1).cut(1499, 3).cut(1500, 1);
        let scene = scene.failure(Kind::Post, 1499, &unanswered).failure(Kind::Get, 1501, &unanswered);
        let verdict = scene.failure(Kind::Post, 1502, "503").verdict();
        assert_eq!((verdict.complaints().len(), verdict.lost.len()), (6, 0));
    }

    #[test]
    fn nobody_answers_who_was_not_to_be_heard_of_or_is_another_edition() {
        let verdict = Scene::new().voice(2, 9).voice(3, 1).voice(4, 2).voice(4, 1).verdict();
        let told = ["edition 9 answers as v2", "edition 1 answers as v3", "edition 2 answers as v4"];
        assert_eq!(verdict.complaints(), told);
    }
}
