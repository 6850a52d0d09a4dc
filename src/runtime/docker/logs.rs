//! The output of an instance: the engine's frames, put together into lines.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::container::LogOutput;
use bollard::query_parameters::{LogsOptions, LogsOptionsBuilder};
use futures_util::future::ready;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};

use super::Docker;
use crate::model::instance::InstanceName;
use crate::runtime::{LogLine, LogQuery, LogStream, MAX_LOG_LINE, RuntimeError};

/// What stands where the rest of a line was cut off.
const CUT_MARK: &str = "… (cut)";

type Lines = BoxStream<'static, Result<LogLine, RuntimeError>>;

impl Docker {
    pub(super) async fn read_logs(
        &self,
        instance: &InstanceName,
        query: &LogQuery,
    ) -> Result<Lines, RuntimeError> {
        let id = self.existing(instance).await?.id.unwrap_or_default();
        let engine = self.engine.clone();
        let what = format!("read the output of {instance}");
        let frames = self.api.logs(&id, Some(options(query)));
        let frames = frames.map(move |frame| frame.map_err(engine.failed_to(what.clone())));
        // The engine filters by whole seconds only.
        let since = query.since;
        let recent = move |line: &Result<LogLine, RuntimeError>| match line {
            Ok(line) => since.is_none() || line.at.is_none() || line.at >= since,
            Err(_) => true,
        };
        Ok(join(frames.boxed()).filter(move |line| ready(recent(line))).boxed())
    }
}

fn options(query: &LogQuery) -> LogsOptions {
    let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let since = query.since.map_or(0, |at| i32::try_from(seconds(at)).unwrap_or(i32::MAX));
    let tail = query.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    LogsOptionsBuilder::default()
        .follow(query.follow)
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .since(since)
        .tail(&tail)
        .build()
}

/// Lines out of frames; what lacks its line end comes out when the frames end.
fn join(frames: BoxStream<'static, Result<LogOutput, RuntimeError>>) -> Lines {
    let ended = stream::once(ready(None));
    let frames = frames.map(Some).chain(ended);
    let lines = frames.scan(LineJoiner::default(), |joiner, frame| {
        let lines = match frame {
            Some(Ok(output)) => joiner.take(output).into_iter().map(Ok).collect(),
            Some(Err(error)) => vec![Err(error)],
            None => joiner.finish().into_iter().map(Ok).collect(),
        };
        ready(Some(lines))
    });
    lines.flat_map(stream::iter).boxed()
}

/// The engine sends a line of more than 16 KiB in several frames, each with a timestamp of its own
/// and only the last with a line end. Both streams may be in the middle of a line.
#[derive(Default)]
struct LineJoiner {
    stdout: Unfinished,
    stderr: Unfinished,
}

/// The beginning of a line; never longer than [`MAX_LOG_LINE`].
#[derive(Default)]
struct Unfinished {
    begun: bool,
    at: Option<SystemTime>,
    text: Vec<u8>,
    cut: bool,
}

impl LineJoiner {
    fn take(&mut self, output: LogOutput) -> Vec<LogLine> {
        let (stream, unfinished) = match output {
            LogOutput::StdErr { .. } => (LogStream::Stderr, &mut self.stderr),
            _ => (LogStream::Stdout, &mut self.stdout),
        };
        let frame = output.into_bytes();
        let (at, text) = split_timestamp(&frame);
        let mut lines = Vec::new();
        for piece in text.split_inclusive(|&byte| byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    unfinished.append(at, end);
                    lines.push(unfinished.finish(stream));
                }
                None => unfinished.append(at, piece),
            }
        }
        lines
    }

    fn finish(&mut self) -> Vec<LogLine> {
        [(LogStream::Stdout, &mut self.stdout), (LogStream::Stderr, &mut self.stderr)]
            .into_iter()
            .filter(|(_, unfinished)| unfinished.begun)
            .map(|(stream, unfinished)| unfinished.finish(stream))
            .collect()
    }
}

impl Unfinished {
    fn append(&mut self, at: Option<SystemTime>, more: &[u8]) {
        if !self.begun {
            self.begun = true;
            self.at = at;
        }
        let room = MAX_LOG_LINE - self.text.len();
        self.cut |= more.len() > room;
        self.text.extend_from_slice(&more[..more.len().min(room)]);
    }

    fn finish(&mut self, stream: LogStream) -> LogLine {
        let line = std::mem::take(self);
        let bytes = if line.cut { &line.text } else { line.text.strip_suffix(b"\r").unwrap_or(&line.text) };
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        if line.cut {
            text.push_str(CUT_MARK);
        }
        LogLine { at: line.at, stream, text }
    }
}

/// `2026-11-23T02:19:56.123456789Z text`; a frame that does not begin so is text as a whole.
fn split_timestamp(frame: &[u8]) -> (Option<SystemTime>, &[u8]) {
    let Some(space) = frame.iter().take(40).position(|&byte| byte == b' ') else { return (None, frame) };
    let at = std::str::from_utf8(&frame[..space]).ok().and_then(parse_timestamp);
    if at.is_some() { (at, &frame[space + 1..]) } else { (None, frame) }
}

/// RFC 3339, with the offset that Podman writes in place of `Z`.
fn parse_timestamp(text: &str) -> Option<SystemTime> {
    if text.ends_with('Z') {
        return humantime::parse_rfc3339(text).ok();
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
    let (sign, offset) = offset.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let minutes = hours.parse::<u64>().ok()? * 60 + minutes.parse::<u64>().ok()?;
    let offset = Duration::from_secs(minutes * 60);
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    match sign {
        "+" => local.checked_sub(offset),
        "-" => local.checked_add(offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: &str = "2026-11-23T02:19:56.000000001Z ";

    fn frame(text: &str) -> LogOutput {
        LogOutput::StdOut { message: format!("{AT}{text}").into() }
    }

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn a_line_in_several_frames_is_one_line_with_the_time_of_the_first() {
        let mut joiner = LineJoiner::default();
        assert!(joiner.take(frame("one ")).is_empty());
        let lines = joiner.take(frame("line\n"));
        assert_eq!(texts(&lines), ["one line"]);
        let at = UNIX_EPOCH + Duration::new(1_795_400_396, 1);
        assert_eq!(lines[0].at, Some(at));
    }

    #[test]
    fn the_two_streams_do_not_mix() {
        let mut joiner = LineJoiner::default();
        joiner.take(frame("out "));
        let error = LogOutput::StdErr { message: format!("{AT}error\n").into() };
        assert_eq!(joiner.take(error)[0].stream, LogStream::Stderr);
        assert_eq!(texts(&joiner.take(frame("rest\n"))), ["out rest"]);
    }

    #[test]
    fn a_line_without_an_end_comes_out_last() {
        let mut joiner = LineJoiner::default();
        joiner.take(frame("no end"));
        assert_eq!(texts(&joiner.finish()), ["no end"]);
        assert!(joiner.finish().is_empty());
    }

    #[test]
    fn an_endless_line_is_cut_with_a_mark_and_the_next_one_is_whole() {
        let mut joiner = LineJoiner::default();
        for _ in 0..1000 {
            joiner.take(frame(&"x".repeat(16 * 1024)));
        }
        assert!(joiner.stdout.text.len() <= MAX_LOG_LINE);
        let lines = joiner.take(frame("end\nnext\n"));
        assert_eq!(lines[0].text.len(), MAX_LOG_LINE + CUT_MARK.len());
        assert_eq!(lines[1].text, "next");
    }

    #[test]
    fn bytes_that_are_not_text_are_replaced_and_control_characters_kept() {
        let mut joiner = LineJoiner::default();
        let message = [AT.as_bytes(), b"\x1b[31m\xff\n"].concat();
        let lines = joiner.take(LogOutput::StdOut { message: message.into() });
        assert_eq!(lines[0].text, "\u{1b}[31m\u{fffd}");
    }

    #[test]
    fn times_are_read_with_either_kind_of_offset() {
        let utc = parse_timestamp("2026-11-23T02:19:56Z");
        assert!(utc.is_some());
        assert_eq!(parse_timestamp("2026-11-23T04:19:56+02:00"), utc);
        assert_eq!(parse_timestamp("2026-11-23T00:49:56-01:30"), utc);
        for text in ["", "hello", "2026", "é+é:é", "2026-11-23T02:19:56x00:00"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn however_lines_are_cut_into_frames_they_come_out_the_same(
            lines in prop::collection::vec("[a-z ]{0,40}", 0..20),
            width in 1usize..50,
        ) {
            let mut joiner = LineJoiner::default();
            let mut joined = Vec::new();
            for line in &lines {
                let text = format!("{line}\n");
                for piece in text.as_bytes().chunks(width) {
                    joined.extend(joiner.take(frame(std::str::from_utf8(piece).unwrap())));
                }
            }
            joined.extend(joiner.finish());
            prop_assert_eq!(texts(&joined), lines.iter().map(String::as_str).collect::<Vec<_>>());
        }

        #[test]
        fn no_frame_whatsoever_can_break_the_joiner(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut joiner = LineJoiner::default();
            joiner.take(LogOutput::StdOut { message: bytes.into() });
            joiner.finish();
        }
    }
}
