//! What a builder says, as lines; and what of it belongs to the step that failed.

use std::collections::{HashMap, VecDeque};

use bollard::moby::buildkit::v1::{StatusResponse, Vertex};
use bollard::models::{BuildInfo, BuildInfoAux};

/// How many of a step's last lines are kept.
const TAIL: usize = 40;
/// The longest line that is kept whole.
const MAX_LINE: usize = 8 * 1024;

/// Follows a build, of either builder.
#[derive(Default)]
pub(super) struct Transcript {
    steps: HashMap<String, Step>,
    /// The step that the classic builder is at, or that BuildKit said failed.
    current: String,
    failed: bool,
}

/// One step's output.
#[derive(Default)]
struct Step {
    name: String,
    announced: bool,
    lines: VecDeque<String>,
    unfinished: Vec<u8>,
}

impl Transcript {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The lines that are complete now.
    pub fn take(&mut self, news: BuildInfo) -> Vec<String> {
        match (news.aux, news.stream) {
            (Some(BuildInfoAux::BuildKit(status)), _) => self.take_status(status),
            (_, Some(text)) => self.take_text(&text),
            _ => Vec::new(),
        }
    }

    /// What failed, in one line, and what the failing step printed last.
    pub fn failure(mut self, error: &str) -> (String, Vec<String>) {
        let mut step = self.steps.remove(&self.current).unwrap_or_default();
        step.flush();
        let reason = plain(error);
        let message = match (self.failed, step.name.as_str()) {
            (true, name) if !name.is_empty() => format!("{name}: {reason}"),
            _ => reason.to_owned(),
        };
        (message, step.lines.into())
    }

    fn take_status(&mut self, status: StatusResponse) -> Vec<String> {
        let mut lines: Vec<String> =
            status.vertexes.into_iter().filter_map(|vertex| self.take_vertex(vertex)).collect();
        for log in status.logs {
            lines.extend(self.steps.entry(log.vertex).or_default().take(&log.msg));
        }
        lines
    }

    /// A vertex is a step of BuildKit's; it is announced once, when it starts.
    fn take_vertex(&mut self, vertex: Vertex) -> Option<String> {
        // The steps that were called off because another failed have an error, too.
        if !vertex.error.is_empty() && !self.failed && !vertex.error.contains("context canceled") {
            self.failed = true;
            self.current.clone_from(&vertex.digest);
        }
        let step = self.steps.entry(vertex.digest).or_default();
        step.name = vertex.name;
        let begins = (vertex.started.is_some() || vertex.cached) && !step.announced;
        step.announced |= begins;
        let mark = if vertex.cached { " (cached)" } else { "" };
        (begins && !step.name.starts_with("[internal]")).then(|| format!("{}{mark}", step.name))
    }

    /// The classic builder tells everything as one text, where steps begin with `Step 2/5 : `.
    fn take_text(&mut self, text: &str) -> Vec<String> {
        if text.starts_with("Step ") {
            text.trim_end().clone_into(&mut self.current);
            self.steps.clear();
            self.steps.insert(self.current.clone(), Step::default());
            return vec![self.current.clone()];
        }
        let lines = self.steps.entry(self.current.clone()).or_default().take(text.as_bytes());
        lines.into_iter().filter(|line| !is_bookkeeping(line)).collect()
    }
}

impl Step {
    fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = MAX_LINE.saturating_sub(self.unfinished.len());
            self.unfinished.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                complete.extend(self.flush());
            }
        }
        complete
    }

    /// Ends the line that is being written, and keeps it among the last.
    fn flush(&mut self) -> Option<String> {
        let bytes = std::mem::take(&mut self.unfinished);
        let text = String::from_utf8_lossy(&bytes);
        // Of a progress bar that redraws itself, the last state.
        let line = text.trim_end().rsplit('\r').next().unwrap_or_default().to_owned();
        if bytes.is_empty() {
            return None;
        }
        if !is_bookkeeping(&line) {
            self.lines.push_back(line.clone());
        }
        if self.lines.len() > TAIL {
            self.lines.pop_front();
        }
        Some(line)
    }
}

/// The classic builder's own notes: ` ---> Running in 3f2a…`, `Removing intermediate container …`.
fn is_bookkeeping(line: &str) -> bool {
    line.starts_with(" ---> ") || line.starts_with("Removing intermediate container ")
}

/// BuildKit repeats the whole command before saying how it ended.
fn plain(error: &str) -> &str {
    error.rfind("exit code: ").map_or(error, |start| &error[start..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::moby::buildkit::v1::VertexLog;

    fn text(stream: &str) -> BuildInfo {
        BuildInfo { stream: Some(stream.to_owned()), ..BuildInfo::default() }
    }

    fn status(vertexes: Vec<Vertex>, logs: &[(&str, &str)]) -> BuildInfo {
        let log = |&(vertex, msg): &(&str, &str)| VertexLog {
            vertex: vertex.to_owned(),
            msg: msg.as_bytes().to_vec(),
            ..VertexLog::default()
        };
        let status = StatusResponse { vertexes, logs: logs.iter().map(log).collect(), ..Default::default() };
        BuildInfo { aux: Some(BuildInfoAux::BuildKit(status)), ..BuildInfo::default() }
    }

    #[expect(clippy::default_trait_access, reason = "bollard does not export the type of times")]
    fn vertex(digest: &str, name: &str, error: &str) -> Vertex {
        Vertex {
            digest: digest.to_owned(),
            name: name.to_owned(),
            error: error.to_owned(),
            started: Some(Default::default()),
            ..Vertex::default()
        }
    }

    #[test]
    fn the_classic_builders_failing_step_gives_the_tail() {
        let mut transcript = Transcript::default();
        assert_eq!(transcript.take(text("Step 1/2 : FROM scratch\n")), ["Step 1/2 : FROM scratch"]);
        assert!(transcript.take(text(" ---> 0123456789ab\n")).is_empty());
        transcript.take(text("Step 2/2 : RUN make\n"));
        assert!(transcript.take(text("main.c:1: err")).is_empty());
        assert_eq!(transcript.take(text("or: no\n")), ["main.c:1: error: no"]);
        let (message, tail) = transcript.failure("The command 'make' returned a non-zero code: 2");
        assert_eq!(message, "The command 'make' returned a non-zero code: 2");
        assert_eq!(tail, ["main.c:1: error: no"]);
    }

    #[test]
    fn buildkits_failing_step_is_named_and_gives_the_tail() {
        let mut transcript = Transcript::default();
        let begun = vec![vertex("a", "[1/2] COPY . .", ""), vertex("b", "[2/2] RUN make", "")];
        let lines = transcript.take(status(begun, &[("a", "other\n"), ("b", "main.c:1: error\nunfin")]));
        assert_eq!(lines, ["[1/2] COPY . .", "[2/2] RUN make", "other", "main.c:1: error"]);
        let failed = vec![
            vertex("a", "[1/2] COPY . .", "context canceled"),
            vertex("b", "[2/2] RUN make", "executor failed running [make]: exit code: 2"),
        ];
        assert_eq!(transcript.take(status(failed, &[("b", "ished")])), Vec::<String>::new());
        let (message, tail) = transcript.failure("executor failed running [make]: exit code: 2");
        assert_eq!(message, "[2/2] RUN make: exit code: 2");
        assert_eq!(tail, ["main.c:1: error", "unfinished"]);
    }

    #[test]
    fn only_the_last_lines_are_kept_and_a_progress_bar_counts_as_one() {
        let mut transcript = Transcript::default();
        transcript.take(text("Step 1/1 : RUN x\n"));
        for number in 0..100 {
            transcript.take(text(&format!("{number}\n")));
        }
        transcript.take(text("10%\r50%\r100%\n"));
        let (_, tail) = transcript.failure("no");
        assert_eq!((tail.len(), tail[0].as_str(), tail[39].as_str()), (40, "61", "100%"));
    }

    #[test]
    fn a_failure_before_the_first_step_is_told_as_it_is() {
        let (message, tail) = Transcript::default().failure("dockerfile parse error line 1");
        assert_eq!((message.as_str(), tail.len()), ("dockerfile parse error line 1", 0));
    }
}
