//! Why an answer is what it is, in two letters: the response flag of the access log and of the
//! metrics, after Envoy's. An answer without one came from the service just so.
//!
//! | Flag | Meaning | Status |
//! |---|---|---|
//! | `NR` | no route, host or method leads there | 404, 405 |
//! | `UA` | no token, a bad one, a missing scope, or a call that is not declared | 401, 403 |
//! | `DPE` | the client's message is malformed or ambiguous | 400, 405, 501 |
//! | `TL` | its body, its path or its header fields are too long | 413, 414, 431 |
//! | `SI` | its body stopped coming, or it stopped taking the answer | 408, or the status it saw |
//! | `DC` | the client went away, before or while it was answered | 499, or the status it saw |
//! | `UH` | the service has no instance that takes requests | 503 |
//! | `UF` | the instance could not be reached | 502 |
//! | `UR` | the instance ended the connection before its answer, or answered nonsense | 502 |
//! | `UC` | the instance broke off within its answer | the status that was sent |
//! | `UT` | the instance did not answer in time | 504 |
//! | `DT` | the exchange took longer than it may altogether | 504 |
//! | `RL` | the route's rate limit | 429 |
//! | `UO` | the service has as many open requests as it may have | 503 |
//! | `CB` | the service's circuit breaker is open | 503 |
//! | `LD` | the request has come through here too often | 508 |
//! | `IN` | a fault of the gateway's own | 500 |

use super::problem::Problem;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Flag {
    NoRoute,
    Unauthorised,
    Malformed,
    TooLarge,
    ClientLate,
    ClientGone,
    NoneReady,
    ConnectFailed,
    UpstreamReset,
    UpstreamCut,
    UpstreamLate,
    TotalLate,
    RateLimited,
    Overflow,
    BreakerOpen,
    Loop,
    Internal,
}

impl Flag {
    /// In the order of their numbers.
    pub(super) const ALL: [Self; 17] = [
        Self::NoRoute,
        Self::Unauthorised,
        Self::Malformed,
        Self::TooLarge,
        Self::ClientLate,
        Self::ClientGone,
        Self::NoneReady,
        Self::ConnectFailed,
        Self::UpstreamReset,
        Self::UpstreamCut,
        Self::UpstreamLate,
        Self::TotalLate,
        Self::RateLimited,
        Self::Overflow,
        Self::BreakerOpen,
        Self::Loop,
        Self::Internal,
    ];

    /// Of a request that the gateway itself answered.
    pub(super) fn of(problem: &Problem) -> Self {
        match problem {
            Problem::NoRoute | Problem::NoHost | Problem::Method { .. } => Self::NoRoute,
            Problem::TokenMissing
            | Problem::TokenRejected(_)
            | Problem::TokensSeveral
            | Problem::ScopeMissing { .. }
            | Problem::CallerUnknown
            | Problem::CallerContradicts { .. }
            | Problem::CallNotDeclared { .. } => Self::Unauthorised,
            Problem::Framing
            | Problem::Coding
            | Problem::Malformed
            | Problem::Host(_)
            | Problem::Path(_)
            | Problem::PathAmbiguous
            | Problem::Connect
            | Problem::Trace
            | Problem::BodyMalformed
            | Problem::Misdirected => Self::Malformed,
            Problem::UriTooLong { .. } | Problem::HeadersTooLarge { .. } | Problem::BodyTooLarge { .. } => {
                Self::TooLarge
            }
            Problem::BodyLate => Self::ClientLate,
            Problem::BodyBroken => Self::ClientGone,
            Problem::NoneReady { .. } => Self::NoneReady,
            Problem::Unreachable { .. } => Self::ConnectFailed,
            Problem::BadAnswer { .. } => Self::UpstreamReset,
            Problem::AnswerLate { .. } => Self::UpstreamLate,
            Problem::TotalLate { .. } => Self::TotalLate,
            Problem::RateLimited(_) => Self::RateLimited,
            Problem::ConcurrencyFull { .. } => Self::Overflow,
            Problem::BreakerOpen { .. } => Self::BreakerOpen,
            Problem::Loop => Self::Loop,
            Problem::Internal => Self::Internal,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NoRoute => "NR",
            Self::Unauthorised => "UA",
            Self::Malformed => "DPE",
            Self::TooLarge => "TL",
            Self::ClientLate => "SI",
            Self::ClientGone => "DC",
            Self::NoneReady => "UH",
            Self::ConnectFailed => "UF",
            Self::UpstreamReset => "UR",
            Self::UpstreamCut => "UC",
            Self::UpstreamLate => "UT",
            Self::TotalLate => "DT",
            Self::RateLimited => "RL",
            Self::Overflow => "UO",
            Self::BreakerOpen => "CB",
            Self::Loop => "LD",
            Self::Internal => "IN",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_flag_has_its_own_number_and_word() {
        let words: BTreeSet<&str> = Flag::ALL.iter().map(|flag| flag.as_str()).collect();
        assert_eq!(words.len(), Flag::ALL.len());
        for (number, flag) in Flag::ALL.iter().enumerate() {
            assert_eq!(*flag as usize, number, "{flag:?}");
        }
    }

    fn check(problem: &Problem, expected: &str) {
        assert_eq!(Flag::of(problem).as_str(), expected, "{problem}");
    }

    #[test]
    fn a_flag_says_whose_fault_it_was() {
        let service = || "order".parse().unwrap();
        check(&Problem::NoRoute, "NR");
        check(&Problem::Method { allowed: "GET".to_owned() }, "NR");
        check(&Problem::TokenMissing, "UA");
        check(&Problem::Framing, "DPE");
        check(&Problem::BodyTooLarge { limit: 1 }, "TL");
        check(&Problem::BodyLate, "SI");
        check(&Problem::BodyBroken, "DC");
        check(&Problem::BodyMalformed, "DPE");
        check(&Problem::NoneReady { service: service(), state: String::new() }, "UH");
        check(&Problem::Unreachable { service: service() }, "UF");
        check(&Problem::BadAnswer { service: service() }, "UR");
        check(&Problem::AnswerLate { service: service() }, "UT");
    }
}
