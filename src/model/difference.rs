//! What differs between two versions of a manifest, in the manifest's own words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::platform::{Platform, ServiceSpec};

/// The fields that make an instance of one service another one, such as `run.memory` and
/// `configuration.CURRENCY`, with what they were and are. Of variables only the names: they may be secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences(BTreeMap<String, Option<Values>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Values {
    before: String,
    after: String,
}

impl Differences {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn fields(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Adds what differs since. A field that is again what it was does not differ.
    pub fn join(&mut self, later: Self) {
        for (field, values) in later.0 {
            let first = self.0.remove(&field);
            let values = match (first.flatten(), values) {
                (Some(first), Some(last)) => Some(Values { before: first.before, after: last.after }),
                (_, values) => values,
            };
            if values.as_ref().is_none_or(|values| values.before != values.after) {
                self.0.insert(field, values);
            }
        }
    }

    /// Leaves out what has been followed.
    pub fn subtract(&mut self, followed: &Self) {
        for (field, followed) in &followed.0 {
            match (self.0.get_mut(field), followed) {
                (Some(Some(values)), Some(followed)) if values.after != followed.after => {
                    values.before.clone_from(&followed.after);
                }
                _ => drop(self.0.remove(field)),
            }
        }
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (field, values)) in self.0.iter().enumerate() {
            write!(f, "{}{field}", if number == 0 { "" } else { ", " })?;
            if let Some(Values { before, after }) = values {
                write!(f, " {before} → {after}")?;
            }
        }
        Ok(())
    }
}

impl Platform {
    /// What makes an instance of `service` another one than that of `old` in `before`.
    #[must_use]
    pub fn differences(&self, service: &ServiceSpec, before: &Self, old: &ServiceSpec) -> Differences {
        let (run, old_run) = (&service.run, &old.run);
        let (limits, old_limits) = (&run.limits, &old_run.limits);
        let valued = [
            valued("run.port", &old_run.port, &run.port),
            valued("run.memory", &old_limits.memory, &limits.memory),
            valued("run.cpus", &old_limits.cpus, &limits.cpus),
            valued("run.pids", &old_limits.pids, &limits.pids),
        ];
        let others = [
            ("build", service.build != old.build),
            ("build.shared", service.shared != old.shared),
            ("process", service.process != old.process),
            ("calls", service.calls != old.calls),
            ("database", service.database != old.database),
            ("images.aliases", self.image_aliases != before.image_aliases),
        ];
        let others = others.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field.to_owned());
        let (new, old) = (variables(self, service), variables(before, old));
        let names: BTreeSet<&String> = new.keys().chain(old.keys()).copied().collect();
        let differing = names.into_iter().filter(|name| new.get(*name) != old.get(*name));
        let others = others.chain(differing.map(|name| format!("configuration.{name}")));
        Differences(valued.into_iter().flatten().chain(others.map(|field| (field, None))).collect())
    }
}

fn valued<T: fmt::Display + PartialEq>(
    field: &str,
    before: &T,
    after: &T,
) -> Option<(String, Option<Values>)> {
    let values = || Values { before: before.to_string(), after: after.to_string() };
    (before != after).then(|| (field.to_owned(), Some(values())))
}

/// What a service is configured with: the later of these win.
fn variables<'a>(platform: &'a Platform, service: &'a ServiceSpec) -> BTreeMap<&'a String, &'a String> {
    let of_files = service.env_files.iter().flat_map(|file| &file.variables);
    platform.configuration.iter().chain(of_files).chain(&service.configuration).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(before: &str, after: &str) -> Differences {
        Differences(valued("run.memory", &before, &after).into_iter().collect())
    }

    fn variable() -> Differences {
        Differences([("configuration.TOKEN".to_owned(), None)].into())
    }

    #[test]
    fn differences_after_each_other_are_one_from_the_first_to_the_last() {
        let mut all = memory("64MiB", "128MiB");
        all.join(variable());
        all.join(memory("128MiB", "256MiB"));
        assert_eq!(all.to_string(), "configuration.TOKEN, run.memory 64MiB → 256MiB");
        all.join(memory("256MiB", "64MiB"));
        assert_eq!(all, variable(), "it is what it was");
    }

    #[test]
    fn what_was_followed_differs_no_more_and_what_came_later_does() {
        let mut all = memory("64MiB", "256MiB");
        all.join(variable());
        let mut followed = memory("64MiB", "128MiB");
        followed.join(variable());
        all.subtract(&followed);
        assert_eq!(all, memory("128MiB", "256MiB"));
        all.subtract(&memory("128MiB", "256MiB"));
        assert!(all.is_empty());
    }
}
