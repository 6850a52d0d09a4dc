//! What has become of the requests, second by second.

use std::fmt;
use std::ops::Range;

use crate::gateway::policy::numbers::float;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub seconds: Vec<Second>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Second {
    /// At each replica.
    pub tries: Vec<usize>,
    pub retries: usize,
    pub served: usize,
    pub failed: usize,
    /// By the breaker.
    pub refused: usize,
    /// By the limiter.
    pub limited: usize,
}

impl Tally {
    pub fn tries(&self, range: Range<usize>) -> usize {
        self.seconds[range].iter().flat_map(|second| &second.tries).sum()
    }

    pub fn refused(&self, range: Range<usize>) -> usize {
        self.seconds[range].iter().map(|second| second.refused).sum()
    }

    /// Of all tries those that went to this replica.
    pub fn share_of(&self, replica: usize, range: Range<usize>) -> f64 {
        let there: usize = self.seconds[range.clone()].iter().map(|second| second.tries[replica]).sum();
        float(there) / float(self.tries(range).max(1))
    }

    /// Of the requests that ended those that ended well.
    pub fn served(&self, range: Range<usize>) -> f64 {
        let served: usize = self.seconds[range.clone()].iter().map(|second| second.served).sum();
        let failed: usize = self.seconds[range].iter().map(|second| second.failed + second.refused).sum();
        float(served) / float((served + failed).max(1))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, second) in self.seconds.iter().enumerate() {
            writeln!(f, "{number:>4} s: {second:?}")?;
        }
        Ok(())
    }
}
