//! One rule.

/// What becomes of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Closed,
    /// Another request on it is served.
    Kept,
    /// The document leaves it open.
    Either,
}

/// What the instance has got by the end.
#[derive(Debug, Clone)]
pub enum Reaches {
    Nobody,
    /// Whole requests, each as [`Seen`](super::recorder::Seen) writes it.
    Requests(Vec<String>),
    /// At most the beginning of a request whose end never came.
    Unfinished,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub rule: &'static str,
    pub source: &'static str,
    pub sends: Vec<u8>,
    /// In order: status, and the code of the problem document if it has to have one.
    pub answers: Vec<(u16, Option<&'static str>)>,
    pub then: Then,
    pub reaches: Reaches,
}

/// A message that is no HTTP as far as we are concerned: an error, the end of the connection, and no
/// instance hears of it.
pub fn refused(source: &'static str, rule: &'static str, sends: impl Into<Vec<u8>>, status: u16) -> Row {
    Row {
        rule,
        source,
        sends: sends.into(),
        answers: vec![(status, None)],
        then: Then::Closed,
        reaches: Reaches::Nobody,
    }
}

/// A request that is well formed and gets a problem document instead of an instance.
pub fn declined(
    source: &'static str,
    rule: &'static str,
    sends: impl Into<Vec<u8>>,
    (status, code): (u16, &'static str),
) -> Row {
    Row { then: Then::Kept, ..refused(source, rule, sends, status).code(code) }
}

/// A request that an instance gets like this.
pub fn served(source: &'static str, rule: &'static str, sends: impl Into<Vec<u8>>, seen: &str) -> Row {
    Row {
        then: Then::Kept,
        reaches: Reaches::Requests(vec![seen.to_owned()]),
        ..refused(source, rule, sends, 200)
    }
}

impl Row {
    pub fn code(self, code: &'static str) -> Self {
        let answers = self.answers.into_iter().map(|(status, _)| (status, Some(code))).collect();
        Self { answers, ..self }
    }

    pub fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    /// One more answer, and the request behind it.
    pub fn and_served(mut self, seen: &str) -> Self {
        self.answers.push((200, None));
        match &mut self.reaches {
            Reaches::Requests(requests) => requests.push(seen.to_owned()),
            reaches => *reaches = Reaches::Requests(vec![seen.to_owned()]),
        }
        self
    }

    /// One more answer, which no instance had a part in.
    pub fn and_refused(mut self, status: u16) -> Self {
        self.answers.push((status, None));
        self
    }

    pub fn unfinished(self) -> Self {
        Self { reaches: Reaches::Unfinished, ..self }
    }
}

/// A GET of this target with these lines after `Host: a`, each with its CRLF.
pub fn get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// A POST to `/orders` with these lines after `Host: a`, and what follows its head.
pub fn post(lines: &str, rest: &str) -> String {
    format!("POST /orders HTTP/1.1\r\nHost: a\r\n{lines}\r\n{rest}")
}
