//! What the system allows to be open at once, and how many connections of clients that is good for.
//!
//! The usual soft limit is 1024 and suits programs that use `select`; the hard one is there to be used.
//! Each connection of a client may need another one to an instance, and some descriptors are kept for
//! everything else.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::limits::Limits;

/// For listeners, logs, event queues, and whatever else is open.
const KEPT: u64 = 64;

impl Limits {
    /// Raises the soft limit of this process towards the hard one, as far as these connections need it.
    /// Where that is not enough there are fewer connections, and the log says so.
    #[must_use]
    pub fn within_descriptors(self) -> Self {
        let limit = getrlimit(Resource::Nofile);
        let allowed = match raised(&limit, descriptors_for(self.connections)) {
            // Nothing but a lower hard limit set in between can keep it from that.
            Some(higher) if setrlimit(Resource::Nofile, higher).is_ok() => higher.current,
            _ => limit.current,
        };
        let connections = connections_for(allowed, self.connections);
        if connections < self.connections {
            let wanted = self.connections;
            tracing::warn!(
                connections,
                wanted,
                "fewer connections than usual: the limit of open files is {} (see ulimit -Hn)",
                allowed.unwrap_or(u64::MAX)
            );
        }
        Self { connections, ..self }
    }
}

/// The limit to set, where it has to be another one. `None` in a limit stands for no limit.
fn raised(limit: &Rlimit, needed: u64) -> Option<Rlimit> {
    let current = limit.current.filter(|&current| current < needed)?;
    let wanted = limit.maximum.map_or(needed, |most| most.min(needed));
    (wanted > current).then_some(Rlimit { current: Some(wanted), maximum: limit.maximum })
}

fn descriptors_for(connections: usize) -> u64 {
    (connections as u64).saturating_mul(2).saturating_add(KEPT)
}

/// At least one.
fn connections_for(descriptors: Option<u64>, wanted: usize) -> usize {
    let Some(descriptors) = descriptors else { return wanted };
    let most = usize::try_from(descriptors.saturating_sub(KEPT) / 2).unwrap_or(usize::MAX);
    most.clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(current: Option<u64>, maximum: Option<u64>, expected: Option<u64>) {
        let raised = raised(&Rlimit { current, maximum }, 20_064);
        assert_eq!(raised.as_ref().and_then(|limit| limit.current), expected);
        assert!(raised.is_none_or(|limit| limit.maximum == maximum));
    }

    #[test]
    fn the_soft_limit_rises_as_far_as_is_needed_and_allowed() {
        check(Some(1024), Some(524_288), Some(20_064));
        check(Some(1024), Some(4096), Some(4096));
        check(Some(1024), None, Some(20_064));
        for enough in [Some(20_064), Some(100_000), None] {
            check(enough, None, None);
        }
        check(Some(1024), Some(1024), None);
    }

    #[test]
    fn half_of_the_descriptors_are_for_instances() {
        assert_eq!(connections_for(Some(1024), 10_000), 480);
        assert_eq!(connections_for(Some(1_000_000), 10_000), 10_000);
        assert_eq!(connections_for(Some(20), 10_000), 1);
        assert_eq!(connections_for(None, 10_000), 10_000);
    }

    proptest! {
        #[test]
        fn there_is_always_a_descriptor_for_the_other_side(allowed in 66_u64..100_000, wanted: u32) {
            let connections = connections_for(Some(allowed), wanted as usize);
            prop_assert!(descriptors_for(connections) <= allowed);
        }

        #[test]
        fn what_is_raised_as_needed_is_enough(wanted in 1_usize..1_000_000) {
            prop_assert_eq!(connections_for(Some(descriptors_for(wanted)), wanted), wanted);
        }
    }
}
