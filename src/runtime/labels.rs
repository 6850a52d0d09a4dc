//! The labels that make an object of the engine ours. They are the truth about what runs; no file
//! is needed to find it again.

use crate::model::instance::{Generation, InstanceName, SpecHash};
use crate::model::name::PlatformId;

pub const PLATFORM: &str = "dev.msctl.platform";
pub const WORKTREE: &str = "dev.msctl.worktree";
pub const SERVICE: &str = "dev.msctl.service";
pub const GENERATION: &str = "dev.msctl.generation";
pub const REPLICA: &str = "dev.msctl.replica";
pub const SPEC: &str = "dev.msctl.spec";
/// The instance's own port, so that its address can be told without asking its specification.
pub const PORT: &str = "dev.msctl.port";

/// The two labels that everything of a platform carries.
#[must_use]
pub fn of_platform(platform: &PlatformId) -> Vec<(String, String)> {
    vec![
        (PLATFORM.to_owned(), platform.name.to_string()),
        (WORKTREE.to_owned(), platform.worktree.to_string()),
    ]
}

/// The labels that an instance carries beside its platform's.
#[must_use]
pub fn of_instance(name: &InstanceName, hash: &SpecHash, port: u16) -> Vec<(String, String)> {
    vec![
        (SERVICE.to_owned(), name.service.to_string()),
        (GENERATION.to_owned(), name.generation.number().to_string()),
        (REPLICA.to_owned(), name.replica.to_string()),
        (SPEC.to_owned(), hash.0.clone()),
        (PORT.to_owned(), port.to_string()),
    ]
}

/// Reads an instance's name and hash back from its labels; `None` where they are not ours or
/// somebody changed them.
pub fn read_instance<'a>(label: impl Fn(&str) -> Option<&'a str>) -> Option<(InstanceName, SpecHash)> {
    let name = InstanceName {
        service: label(SERVICE)?.parse().ok()?,
        generation: Generation::new(label(GENERATION)?.parse().ok()?)?,
        replica: label(REPLICA)?.parse().ok()?,
    };
    Some((name, SpecHash(label(SPEC)?.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_instance_is_read_back_from_the_labels_that_it_was_given() {
        let name = InstanceName {
            service: "order".parse().unwrap(),
            generation: Generation::FIRST.next(),
            replica: 3,
        };
        let hash = SpecHash("abc".to_owned());
        let labels: BTreeMap<String, String> = of_instance(&name, &hash, 80).into_iter().collect();
        let read = read_instance(|key| labels.get(key).map(String::as_str));
        assert_eq!(read, Some((name, hash)));
    }

    #[test]
    fn labels_that_are_not_ours_are_no_instance() {
        assert_eq!(read_instance(|_| None), None);
        assert_eq!(read_instance(|_| Some("0")), None);
    }
}
