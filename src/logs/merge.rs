//! Several instances' lines as one sequence.

use std::time::SystemTime;

use crate::model::instance::InstanceName;
use crate::runtime::LogLine;

/// A line and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub instance: InstanceName,
    pub line: LogLine,
}

/// Merges what instances wrote so far by time, and keeps the newest `tail` lines of it all. Within
/// one instance the order is kept, whatever its clock says; a line without a time goes with the one
/// before it.
#[must_use]
pub fn merge(instances: Vec<(InstanceName, Vec<LogLine>)>, tail: Option<usize>) -> Vec<Entry> {
    let mut dated: Vec<(SystemTime, Entry)> = Vec::new();
    for (instance, lines) in instances {
        let mut latest = SystemTime::UNIX_EPOCH;
        for line in lines {
            latest = line.at.map_or(latest, |at| at.max(latest));
            dated.push((latest, Entry { instance: instance.clone(), line }));
        }
    }
    // Stable: lines of one time stay in the order in which they came.
    dated.sort_by_key(|(at, _)| *at);
    let surplus = tail.map_or(0, |tail| dated.len().saturating_sub(tail));
    dated.into_iter().skip(surplus).map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::Generation;
    use crate::runtime::LogStream;
    use std::time::Duration;

    fn line(at: Option<u64>, text: &str) -> LogLine {
        let at = at.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        LogLine { at, stream: LogStream::Stdout, text: text.to_owned() }
    }

    fn check(tail: Option<usize>, expected: &str) {
        let of =
            |replica| InstanceName { service: "a".parse().unwrap(), generation: Generation::FIRST, replica };
        let one = vec![line(Some(1), "first"), line(None, "  continued"), line(Some(5), "last")];
        let two = vec![line(Some(3), "other"), line(Some(2), "clock went back")];
        let merged = merge(vec![(of(1), one), (of(2), two)], tail);
        let texts: Vec<&str> = merged.iter().map(|entry| entry.line.text.as_str()).collect();
        assert_eq!(texts.join("|"), expected);
    }

    #[test]
    fn lines_are_merged_by_time_and_stay_in_their_own_order() {
        check(None, "first|  continued|other|clock went back|last");
    }

    #[test]
    fn the_newest_lines_of_all_are_kept() {
        check(Some(2), "clock went back|last");
        check(Some(0), "");
    }
}
