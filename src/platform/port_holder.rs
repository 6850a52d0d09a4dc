//! Who holds a port: the answer to "address already in use" that the operating system keeps to itself.

use std::collections::BTreeSet;
use std::path::Path;

/// The state of a listening socket in /proc/net/tcp (linux: include/net/tcp_states.h).
const LISTENING: &str = "0A";

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub name: String,
}

/// The process that listens on a TCP port of this machine. `None` where none does, where it belongs
/// to another user, or where there is no /proc.
#[must_use]
pub fn port_holder(port: u16) -> Option<Holder> {
    let inodes: BTreeSet<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .collect();
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(|pid: u32| {
        let folder = Path::new("/proc").join(pid.to_string());
        let name = || std::fs::read_to_string(folder.join("comm")).unwrap_or_default().trim().to_owned();
        holds_any(&folder, &inodes).then(|| Holder { pid, name: name() })
    })
}

/// `": held by nginx (process 123)"`, or nothing where that is not known.
#[must_use]
pub fn describe_port(port: u16) -> String {
    port_holder(port)
        .map(|holder| format!("; it is held by {} (process {})", holder.name, holder.pid))
        .unwrap_or_default()
}

fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 9 && row[1].ends_with(&suffix) && row[3] == LISTENING)
        .map(|row| row[9].to_owned())
        .collect()
}

fn holds_any(process: &Path, inodes: &BTreeSet<String>) -> bool {
    let Ok(descriptors) = std::fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors.filter_map(Result::ok).any(|descriptor| {
        let target = std::fs::read_link(descriptor.path()).ok();
        let inode =
            target.as_ref().and_then(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.contains(inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(port_holder(port).map(|holder| holder.pid), Some(std::process::id()));
        drop(listener);
        assert_eq!(describe_port(port), "");
    }
}
