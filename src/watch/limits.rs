//! The kernel's limits on watching files, by the names under which they are set.

use std::path::Path;

use super::notice::Setting;

/// What there can be too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Folders that are watched, of all processes of the user.
    Watches,
    /// Processes of the user that watch.
    Instances,
    /// Events that nobody has read yet.
    Queue,
}

impl Limit {
    /// The setting that is in force: a container may have a lower one of its own.
    pub fn setting(self) -> Setting {
        let candidates = self.names().map(|name| Setting { name, value: read(name) });
        let [machine, own] = candidates;
        let is_lower = own.value.is_some_and(|own| machine.value.is_none_or(|machine| own < machine));
        if is_lower { own } else { machine }
    }

    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Watches => ["fs.inotify.max_user_watches", "user.max_inotify_watches"],
            Self::Instances => ["fs.inotify.max_user_instances", "user.max_inotify_instances"],
            Self::Queue => ["fs.inotify.max_queued_events"; 2],
        }
    }
}

fn read(name: &str) -> Option<u64> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn every_limit_is_known_to_the_system() {
        for limit in [Limit::Watches, Limit::Instances, Limit::Queue] {
            assert!(limit.setting().value.is_some(), "{limit:?}");
        }
    }
}
