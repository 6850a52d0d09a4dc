//! Labels as environment variables, written and read back.

use std::collections::BTreeMap;

use crate::model::instance::{InstanceName, InstanceSpec, SpecHash};
use crate::model::name::PlatformId;
use crate::runtime::labels;

const PREFIX: &str = "MSCTL_LABEL_";

/// What the labels in an environment say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    pub name: InstanceName,
    pub hash: SpecHash,
    pub port: u16,
}

/// The variables that make a process one of the platform's.
pub fn to_variables(platform: &PlatformId, spec: &InstanceSpec, port: u16) -> Vec<(String, String)> {
    let labels = labels::of_platform(platform).into_iter();
    let labels = labels.chain(labels::of_instance(&spec.name, &spec.hash, port));
    labels.map(|(label, value)| (to_variable(&label), value)).collect()
}

pub fn is_label(variable: &[u8]) -> bool {
    variable.starts_with(PREFIX.as_bytes())
}

/// Reads the content of `/proc/<pid>/environ`; `None` where it is not of this platform.
pub fn read(environ: &[u8], platform: &PlatformId) -> Option<Labelled> {
    let labels: BTreeMap<&str, &str> = environ
        .split(|&byte| byte == 0)
        .filter(|variable| is_label(variable))
        .filter_map(|variable| std::str::from_utf8(variable).ok()?.split_once('='))
        .collect();
    let label = |name: &str| labels.get(to_variable(name).as_str()).copied();
    let ours = labels::of_platform(platform).iter().all(|(name, value)| label(name) == Some(value));
    if !ours {
        return None;
    }
    let (name, hash) = labels::read_instance(label)?;
    Some(Labelled { name, hash, port: label(labels::PORT)?.parse().ok()? })
}

/// `dev.msctl.platform` → `MSCTL_LABEL_PLATFORM`.
fn to_variable(label: &str) -> String {
    let stem = label.rsplit('.').next().unwrap_or(label);
    format!("{PREFIX}{}", stem.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::{Generation, Program};
    use crate::model::name::Worktree;
    use crate::model::platform::Limits;
    use crate::model::quantity::{ByteSize, Cpus, Port};
    use std::time::Duration;

    fn platform(worktree: &str) -> PlatformId {
        PlatformId { name: "store".parse().unwrap(), worktree: Worktree::from_hex(worktree).unwrap() }
    }

    fn spec() -> InstanceSpec {
        InstanceSpec {
            platform: platform("3fa9c1"),
            name: InstanceName {
                service: "order".parse().unwrap(),
                generation: Generation::FIRST,
                replica: 2,
            },
            hash: SpecHash("abc".to_owned()),
            program: Program::Command { argv: vec!["true".to_owned()], folder: "/".into() },
            environment: Vec::new(),
            door_hosts: Vec::new(),
            port: Port::try_from(8080).unwrap(),
            limits: Limits {
                memory: ByteSize::from_mebibytes(64),
                cpus: Cpus::from_count(1.0).unwrap(),
                pids: 64,
            },
            storage: None,
            stop_grace: Duration::from_secs(1),
        }
    }

    fn environ() -> Vec<u8> {
        let variables = to_variables(&platform("3fa9c1"), &spec(), 7001);
        let text: Vec<String> = variables.iter().map(|(key, value)| format!("{key}={value}")).collect();
        [b"HOME=/root\0BAD=\xff\0", text.join("\0").as_bytes(), b"\0"].concat()
    }

    #[test]
    fn a_process_is_recognised_by_the_variables_that_it_was_given() {
        let spec = spec();
        let expected = Labelled { name: spec.name, hash: spec.hash, port: 7001 };
        assert_eq!(read(&environ(), &platform("3fa9c1")), Some(expected));
    }

    #[test]
    fn processes_of_another_worktree_or_of_nobody_are_not_ours() {
        assert_eq!(read(&environ(), &platform("000000")), None);
        assert_eq!(read(b"HOME=/root\0", &platform("3fa9c1")), None);
        assert_eq!(read(b"", &platform("3fa9c1")), None);
    }

    #[test]
    fn labels_become_plain_variable_names() {
        let names: Vec<String> =
            to_variables(&platform("3fa9c1"), &spec(), 1).into_iter().map(|(key, _)| key).collect();
        assert_eq!(names.first().map(String::as_str), Some("MSCTL_LABEL_PLATFORM"));
        assert!(names.contains(&"MSCTL_LABEL_SPEC".to_owned()), "{names:?}");
    }
}
