//! The process table: who runs, as `/proc` tells it.
//!
//! A process is identified by its id *and* its start time: ids are reused, the pair is not.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::model::instance::InstanceName;
use crate::model::name::PlatformId;

use super::labels::{self, Labelled};

/// The unit of times in `/proc`: USER_HZ, fixed at 100 by the kernel's ABI for user space on every
/// architecture that this runs on (proc_pid_stat(5)).
const TICKS_PER_SECOND: u64 = 100;

/// How often, and after what pause, a process that is becoming another program is looked at.
const EXEC_LOOKS: u32 = 50;
const EXEC_PAUSE: Duration = Duration::from_millis(1);
const BARE_LOOKS: u32 = 3;

/// One process, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId {
    /// In ticks since boot; first, so that sorting is by age.
    pub started: u64,
    pub pid: i32,
}

/// What `/proc/<pid>/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub id: ProcessId,
    pub group: i32,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    /// Stopped by a signal.
    Stopped,
    /// Ended, and perhaps not yet reaped.
    Over,
}

/// A process that carries the platform's labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    pub stat: Stat,
    pub labelled: Labelled,
}

/// Every process that carries the labels of `platform`, oldest first.
pub fn carriers(platform: &PlatformId) -> Vec<Carrier> {
    let mut found: Vec<Carrier> = pids().filter_map(|pid| carrier(pid, platform)).collect();
    found.sort_by_key(|carrier| carrier.stat.id);
    found
}

/// The process that stands for the instance: the oldest that leads a group of its own. What it
/// started inherits the labels but not that place.
pub fn leader<'a>(carriers: &'a [Carrier], name: &InstanceName) -> Option<&'a Carrier> {
    carriers
        .iter()
        .find(|carrier| carrier.labelled.name == *name && carrier.stat.group == carrier.stat.id.pid)
}

/// Every process that belongs to the instance: those with its labels, and those of its leader's
/// group that dropped them. Oldest first.
pub fn members(carriers: &[Carrier], name: &InstanceName, leader: Option<ProcessId>) -> Vec<ProcessId> {
    let labelled = carriers.iter().filter(|carrier| carrier.labelled.name == *name);
    let mut members: Vec<ProcessId> = labelled.map(|carrier| carrier.stat.id).collect();
    // A group's number is only known to be this instance's while its leader lives.
    if let Some(group) = leader.and_then(live).map(|leader| leader.group) {
        let same_group = |stat: &Stat| stat.group == group && stat.state != State::Over;
        members.extend(pids().filter_map(stat).filter(same_group).map(|stat| stat.id));
    }
    members.sort();
    members.dedup();
    members
}

/// The state of exactly this process; [`State::Over`] also when its number is another's by now.
pub fn state(id: ProcessId) -> State {
    live(id).map_or(State::Over, |stat| stat.state)
}

fn live(id: ProcessId) -> Option<Stat> {
    stat(id.pid).filter(|stat| stat.id == id && stat.state != State::Over)
}

pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The path of the program that a process runs.
pub fn program(id: ProcessId) -> Option<String> {
    let path = fs::read_link(format!("/proc/{}/exe", id.pid)).ok()?;
    live(id)?;
    path.into_os_string().into_string().ok()
}

/// When a process started, by the clock on the wall.
pub fn started_at(id: ProcessId) -> SystemTime {
    let boot = fs::read_to_string("/proc/stat").ok().and_then(|text| parse_boot_time(&text)).unwrap_or(0);
    SystemTime::UNIX_EPOCH
        + Duration::from_secs(boot)
        + Duration::from_millis(id.started * 1000 / TICKS_PER_SECOND)
}

fn carrier(pid: i32, platform: &PlatformId) -> Option<Carrier> {
    let environ = environ(pid)?;
    let labelled = labels::read(&environ, platform)?;
    let stat = stat(pid).filter(|stat| stat.state != State::Over)?;
    Some(Carrier { stat, labelled })
}

/// The variables that a process was started with. While it becomes another program (execve(2)) it
/// seems to have none, so a program without any is asked again; one that has arguments by then, and
/// still no variables, was really started without.
fn environ(pid: i32) -> Option<Vec<u8>> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
    let is_program = || fs::read_link(format!("/proc/{pid}/exe")).is_ok(); // and no thread of the kernel
    let mut bare = 0;
    for _ in 0..EXEC_LOOKS {
        let environ = read("environ")?;
        if !environ.is_empty() || bare == BARE_LOOKS || !is_program() {
            return Some(environ);
        }
        if read("cmdline")?.is_empty() {
            pause();
        } else {
            bare += 1;
        }
    }
    None
}

#[expect(
    clippy::disallowed_methods,
    reason = "no event tells of the end of an execve(2), and no task waits here"
)]
fn pause() {
    std::thread::sleep(EXEC_PAUSE);
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The program's name stands in parentheses and may hold spaces and parentheses itself, so fields
/// are counted from the last one (proc_pid_stat(5): state is field 3, pgrp 5, starttime 22).
fn parse_stat(pid: i32, text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let state = match *fields.first()? {
        "Z" | "X" | "x" => State::Over,
        "T" | "t" => State::Stopped,
        _ => State::Running,
    };
    let id = ProcessId { started: fields.get(19)?.parse().ok()?, pid };
    Some(Stat { id, group: fields.get(2)?.parse().ok()?, state })
}

fn parse_boot_time(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";

    #[test]
    fn a_program_name_with_parentheses_does_not_shift_the_fields() {
        let stat = parse_stat(7, &format!("7 (a) R (b) S {TAIL}")).unwrap();
        assert_eq!(stat.id, ProcessId { started: 4242, pid: 7 });
        assert_eq!((stat.group, stat.state), (7, State::Running));
    }

    #[test]
    fn zombies_are_over_and_stopped_processes_are_told_apart() {
        let state = |letter: &str| parse_stat(7, &format!("7 (x) {letter} {TAIL}")).map(|stat| stat.state);
        assert_eq!(state("Z"), Some(State::Over));
        assert_eq!(state("T"), Some(State::Stopped));
        assert_eq!(parse_stat(7, "nonsense"), None);
    }

    #[test]
    fn this_process_is_in_the_table_and_started_in_the_past() {
        let own = stat(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(state(own.id), State::Running);
        assert!(started_at(own.id) < SystemTime::now() + Duration::from_secs(1));
        let reused = ProcessId { started: own.id.started + 1, ..own.id };
        assert_eq!(state(reused), State::Over, "the same number with another start time is another process");
    }

    #[test]
    fn a_process_keeps_its_variables_while_it_becomes_another_program() {
        let again = "i=0; while [ $i -lt 500 ]; do i=$((i+1)); done; exec sh -c \"$0\" \"$0\""; // and so on
        let mut restless = std::process::Command::new("sh").args(["-c", again, again]).spawn().unwrap();
        let pid = i32::try_from(restless.id()).unwrap();
        let seen = (0..2000).filter(|_| environ(pid).is_some_and(|environ| !environ.is_empty())).count();
        restless.kill().unwrap();
        restless.wait().unwrap();
        assert_eq!(seen, 2000);
    }

    #[test]
    fn the_boot_time_is_read_from_its_line() {
        assert_eq!(parse_boot_time("cpu 1 2\nbtime 1700000000\nprocesses 3"), Some(1_700_000_000));
    }
}
