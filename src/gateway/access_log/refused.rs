//! What was no request: hyper refuses it before anybody has seen it, so nothing is known of it but
//! where it came from. It is counted and noted all the same; who probes for weak spots sends such things.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Method};

use super::record::Observer;
use crate::gateway::flag::Flag;
use crate::gateway::metrics::Answer;
use crate::gateway::problem::Problem;

/// Where the bytes of a connection come from.
#[derive(Debug)]
pub(in crate::gateway) struct Origin {
    pub(in crate::gateway) observer: Arc<Observer>,
    pub(in crate::gateway) door: &'static str,
    pub(in crate::gateway) client: IpAddr,
}

impl Origin {
    /// Something was answered with this in place of a request.
    pub(in crate::gateway) fn refuses(&self, problem: &Problem, id: &HeaderValue) {
        let Observer { metrics, log } = &*self.observer;
        let (status, flag) = (problem.status().as_u16(), Some(Flag::of(problem)));
        // None that anybody would know.
        let method = Method::from_bytes(b"-").unwrap_or_default();
        metrics.unrouted().count(&Answer { method, status, flag, ..Answer::default() });
        if let Some(log) = log {
            log.note(|line| super::line::write_refused(self, problem, id, line));
        }
    }
}
