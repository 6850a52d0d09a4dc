use std::sync::mpsc;

use super::*;

/// Writes when it is allowed to, and shows what was written.
struct Gated {
    allowed: mpsc::Receiver<()>,
    written: mpsc::Sender<Vec<u8>>,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.allowed.recv().map_err(io::Error::other)?;
        self.written.send(bytes.to_owned()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("on purpose: a writer that panics")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gated() -> (AccessLog, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
    let (allow, allowed) = mpsc::channel();
    let (written, writes) = mpsc::channel();
    (AccessLog::to_writer(Gated { allowed, written }).unwrap(), allow, writes)
}

#[test]
fn lines_come_out_whole_and_in_order() {
    let (log, allow, writes) = gated();
    (0..3).for_each(|_| allow.send(()).unwrap());
    for number in 0..100 {
        log.note(|line| writeln!(line, "{number}").unwrap());
    }
    log.flush();
    assert_eq!((log.written(), log.dropped()), (100, 0));
    let text: Vec<u8> = writes.try_iter().flatten().collect();
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(String::from_utf8(text).unwrap().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_stuck_writer_stops_nobody_and_what_finds_no_room_is_counted() {
    let (log, allow, writes) = gated();
    let line = vec![b'x'; 64 * 1024];
    for _ in 0..64 {
        log.note(|buffer| buffer.extend_from_slice(&line));
    }
    // Sixteen wait at the most, and as many may be on the writer's hands.
    let dropped = log.dropped();
    assert!((32..=48).contains(&dropped), "{dropped}");
    (0..4).for_each(|_| allow.send(()).unwrap());
    log.flush();
    assert_eq!(log.written() + log.dropped(), 64);
    let bytes: usize = writes.try_iter().map(|bytes| bytes.len()).sum();
    assert_eq!(bytes as u64, log.written() * line.len() as u64);
}

#[test]
fn nobody_waits_for_ever_for_a_writer_that_is_stuck_or_gone() {
    let (stuck, _allow, _writes) = gated();
    stuck.note(|line| line.extend_from_slice(b"never"));
    stuck.flush();
    assert_eq!(stuck.written(), 0);

    let gone = AccessLog::to_writer(Broken).unwrap();
    gone.note(|line| line.extend_from_slice(b"never"));
    gone.flush();
    assert_eq!(gone.written(), 0);
}

#[test]
fn what_cannot_be_written_is_counted_as_dropped_and_the_log_goes_on() {
    let (log, allow, writes) = gated();
    drop(writes);
    allow.send(()).unwrap();
    log.note(|line| line.push(b'a'));
    log.flush();
    assert_eq!((log.written(), log.dropped()), (0, 1));
}

#[test]
fn the_last_to_go_writes_what_is_left() {
    let (log, allow, writes) = gated();
    allow.send(()).unwrap();
    let other = log.clone();
    drop(log);
    other.note(|line| line.extend_from_slice(b"last"));
    drop(other);
    assert_eq!(writes.recv().unwrap(), b"last");
}
