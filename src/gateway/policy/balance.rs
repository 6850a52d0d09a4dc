//! Which of several ready instances gets the next request. Pure: a function of what is seen of the
//! instances, of the time and of random numbers that are handed in.
//!
//! Nothing looks at all instances as long as all is well: an instance is drawn, and only where it
//! does not suit are the others asked. So a pick costs the same for two replicas and for two hundred
//! ([`Method::Consistent`] ranks them all, which is a few instructions each).
//!
//! Panic: with too small a share of healthy instances, the healthy ones would be drowned by what the
//! others cannot take, and the judgement itself is in doubt; then all are used alike.

use std::time::{Duration, Instant};

pub use self::candidate::{Candidate, Tried};
use super::numbers::{below, float, fraction};
use super::rendezvous::rank;

mod candidate;

/// [`Balance`](crate::model::traffic::Balance) with what it needs of this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    LeastRequest,
    /// `turn` is counted per service and outlives route tables, so that a swap does not send
    /// everybody back to the first instance.
    RoundRobin {
        turn: usize,
    },
    /// `key` is a [`hash`](super::rendezvous::hash).
    Consistent {
        key: u64,
    },
}

/// How to choose for one try of one request.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    pub method: Method,
    /// For so long an instance's share grows from [`FIRST_SHARE`] to all of it.
    pub slow_start: Duration,
    pub panic_below: f64,
    /// Chosen again only if there is nobody else.
    pub tried: &'a Tried,
    pub now: Instant,
}

/// The share of an instance that became ready just now.
pub const FIRST_SHARE: f64 = 0.1;

/// `None` when there is nobody, or nobody healthy and no panic (`panic_below` is 0).
pub fn pick<'c, C: Candidate>(
    candidates: &'c [C],
    choice: &Choice<'_>,
    random: &mut impl FnMut() -> u64,
) -> Option<&'c C> {
    let mut picking = Picking { candidates, choice, tried: choice.tried, panic: None, random };
    let picked = picking.by_method();
    if picked.is_some() || choice.tried.is_empty() {
        return picked.map(|at| &candidates[at]);
    }
    picking.tried = &Tried::NOBODY;
    picking.by_method().map(|at| &candidates[at])
}

/// Loads that differ by less are the same: two that start slowly are never exactly of one age.
const ABOUT: f64 = 0.98;

/// How often an instance is drawn at random before all are asked.
const DRAWS: usize = 4;

struct Picking<'p, C, R> {
    candidates: &'p [C],
    choice: &'p Choice<'p>,
    tried: &'p Tried,
    /// Whether too few are healthy: counted when somebody unhealthy was drawn.
    panic: Option<bool>,
    random: &'p mut R,
}

impl<C: Candidate, R: FnMut() -> u64> Picking<'_, C, R> {
    fn by_method(&mut self) -> Option<usize> {
        match self.choice.method {
            Method::LeastRequest => self.less_busy_of_two(),
            Method::RoundRobin { turn } => self.next_in_turn(turn),
            Method::Consistent { key } => self.ranked_first(key),
        }
    }

    /// Both are drawn at random, so of two that are about equally busy either may be the first.
    fn less_busy_of_two(&mut self) -> Option<usize> {
        let first = self.draw(None)?;
        match self.draw(Some(first)) {
            Some(second) if self.load(second) < ABOUT * self.load(first) => Some(second),
            _ => Some(first),
        }
    }

    /// Whoever's turn it is; who cannot take it, or starts slowly, leaves it to any of them.
    fn next_in_turn(&mut self, turn: usize) -> Option<usize> {
        let at = turn.checked_rem(self.candidates.len())?;
        if self.is_usable(at) && self.takes_its_turn(at) { Some(at) } else { self.search(None) }
    }

    /// Where all start slowly together, nobody has to wait for the others.
    fn takes_its_turn(&mut self, at: usize) -> bool {
        let share = self.share(at);
        if share >= 1.0 {
            return true;
        }
        let mut largest = share;
        for other in 0..self.candidates.len() {
            if self.is_usable(other) {
                largest = largest.max(self.share(other));
            }
        }
        self.fraction() * largest < share
    }

    fn ranked_first(&mut self, key: u64) -> Option<usize> {
        let mut refused = None;
        loop {
            let ranks = self.candidates.iter().map(|candidate| rank(key, candidate.identity()));
            let lower = ranks.enumerate().filter(|&(_, rank)| refused.is_none_or(|refused| rank < refused));
            let (at, rank) = lower.max_by_key(|&(_, rank)| rank)?;
            if self.is_usable(at) {
                return Some(at);
            }
            refused = Some(rank);
        }
    }

    /// One that may be used, each as likely as its share is large.
    fn draw(&mut self, except: Option<usize>) -> Option<usize> {
        let count = self.candidates.len() - usize::from(except.is_some());
        if count == 0 {
            return None;
        }
        for _ in 0..DRAWS {
            let mut at = below((self.random)(), count);
            if except.is_some_and(|except| at >= except) {
                at += 1;
            }
            if self.is_usable(at) && self.is_lucky(at) {
                return Some(at);
            }
        }
        self.search(except)
    }

    /// Like [`Self::draw`], but asks every one of them.
    fn search(&mut self, except: Option<usize>) -> Option<usize> {
        let mut sum = 0.0;
        let mut found = None;
        for at in 0..self.candidates.len() {
            if except == Some(at) || !self.is_usable(at) {
                continue;
            }
            let share = self.share(at);
            sum += share;
            if self.fraction() * sum < share {
                found = Some(at);
            }
        }
        found
    }

    fn is_usable(&mut self, at: usize) -> bool {
        let candidate = &self.candidates[at];
        let is_fresh = self.tried.is_empty() || !self.tried.contains(candidate);
        is_fresh && (candidate.is_healthy(self.choice.now) || self.is_panic())
    }

    fn is_panic(&mut self) -> bool {
        let (candidates, choice) = (self.candidates, self.choice);
        *self.panic.get_or_insert_with(|| {
            let healthy = candidates.iter().filter(|candidate| candidate.is_healthy(choice.now)).count();
            float(healthy) < choice.panic_below * float(candidates.len())
        })
    }

    fn is_lucky(&mut self, at: usize) -> bool {
        let share = self.share(at);
        share >= 1.0 || self.fraction() < share
    }

    fn load(&self, at: usize) -> f64 {
        (float(self.candidates[at].in_flight()) + 1.0) / self.share(at)
    }

    fn share(&self, at: usize) -> f64 {
        let candidate = &self.candidates[at];
        let age = self.choice.now.saturating_duration_since(candidate.ready_since());
        candidate.weight() * warmth(age, self.choice.slow_start)
    }

    /// At least 0, less than 1.
    fn fraction(&mut self) -> f64 {
        fraction((self.random)())
    }
}

/// How much of its share an instance of this age gets.
fn warmth(age: Duration, slow_start: Duration) -> f64 {
    if age >= slow_start {
        return 1.0;
    }
    FIRST_SHARE + (1.0 - FIRST_SHARE) * age.div_duration_f64(slow_start)
}

#[cfg(test)]
pub(super) mod tests;
