//! What clients were answered, and what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Get,
    Post,
    Http2,
    /// A WebSocket is opened,
    Socket,
    /// a message on it is answered.
    Message,
    /// A stream of events is asked for,
    Stream,
    /// one of them has come.
    Event,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Post, Self::Http2, Self::Socket, Self::Message, Self::Stream, Self::Event];

    /// Whether the gateway chooses who answers it; what is said later is for whoever was chosen.
    pub fn is_routed(self) -> bool {
        !matches!(self, Self::Message | Self::Event)
    }

    /// Whether it comes by itself, so that nothing can be said of how long it took.
    pub fn is_unasked(self) -> bool {
        self == Self::Event
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Get => "HTTP/1.1 GET",
            Self::Post => "HTTP/1.1 POST",
            Self::Http2 => "HTTP/2 GET",
            Self::Socket => "WebSocket opened",
            Self::Message => "WebSocket message",
            Self::Stream => "SSE stream opened",
            Self::Event => "SSE event",
        })
    }
}

/// Who answered: the number of its generation, and that of its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voice {
    pub generation: u32,
    pub edition: u32,
}

#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub kind: Kind,
    /// When it was to be asked,
    pub due: Instant,
    /// when it was,
    pub asked: Instant,
    /// and when the whole answer was there.
    pub answered: Instant,
    /// For so long the instance was asked to wait.
    pub pause: Duration,
    pub by: u32,
}

impl Answer {
    /// From the time when it was to be asked, without the pause that was asked for.
    pub fn took(&self) -> Duration {
        self.answered.duration_since(self.due).saturating_sub(self.pause)
    }
}

/// A request without the answer that it should have had.
#[derive(Debug, Clone)]
pub struct Failure {
    pub kind: Kind,
    pub at: Instant,
    pub what: String,
}

/// A conversation that the other side ended. Whether it had the right to is for others to say.
#[derive(Debug, Clone)]
pub struct Cut {
    pub kind: Kind,
    pub at: Instant,
    pub generation: u32,
    pub what: String,
}

#[derive(Debug, Default, Clone)]
pub struct Entries {
    pub asked: BTreeMap<Kind, usize>,
    pub answers: Vec<Answer>,
    pub failures: Vec<Failure>,
    pub cuts: Vec<Cut>,
    pub voices: BTreeSet<Voice>,
    /// How many connections were opened.
    pub connections: BTreeMap<Kind, usize>,
}

#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

/// One request, from the moment that it is made.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub kind: Kind,
    due: Instant,
    at: Instant,
    pause: Duration,
}

impl Ledger {
    pub fn ask(&self, kind: Kind, due: Instant) -> Asked {
        self.ask_slow(kind, due, Duration::ZERO)
    }

    /// For an answer that is to come only after this pause.
    pub fn ask_slow(&self, kind: Kind, due: Instant, pause: Duration) -> Asked {
        *self.entries().asked.entry(kind).or_default() += 1;
        Asked { kind, due, at: Instant::now(), pause }
    }

    pub fn answered(&self, asked: Asked, by: Voice) {
        let Asked { kind, due, at: asked, pause } = asked;
        let answer = Answer { kind, due, asked, answered: Instant::now(), pause, by: by.generation };
        let mut entries = self.entries();
        entries.voices.insert(by);
        entries.answers.push(answer);
    }

    pub fn failed(&self, kind: Kind, what: impl Into<String>) {
        let failure = Failure { kind, at: Instant::now(), what: what.into() };
        self.entries().failures.push(failure);
    }

    pub fn cut(&self, kind: Kind, by: Voice, what: impl Into<String>) {
        let cut = Cut { kind, at: Instant::now(), generation: by.generation, what: what.into() };
        self.entries().cuts.push(cut);
    }

    pub fn connected(&self, kind: Kind) {
        *self.entries().connections.entry(kind).or_default() += 1;
    }

    /// How many answers there are.
    pub fn answers(&self) -> usize {
        self.entries().answers.len()
    }

    /// How many conversations the other side has ended.
    pub fn cuts(&self) -> usize {
        self.entries().cuts.len()
    }

    /// The one that has answered with this edition.
    pub fn generation(&self, edition: u32) -> Option<u32> {
        let entries = self.entries();
        let found = entries.voices.iter().rev().find(|voice| voice.edition == edition);
        found.map(|voice| voice.generation)
    }

    pub fn copy(&self) -> Entries {
        self.entries().clone()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().expect("nobody panics while writing it")
    }
}
