//! Source text as the few kinds of token that imports are made of. Comments and literals are left
//! out: a name in them imports nothing.

use std::iter::Peekable;
use std::str::Chars;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name or a keyword.
    Word(String),
    /// `::`
    Path,
    Sign(char),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    pub token: Token,
    /// Counted from 1.
    pub line: usize,
}

pub fn tokens(text: &str) -> Vec<Located> {
    let mut reader = Reader { chars: text.chars().peekable(), line: 1, found: Vec::new() };
    while reader.read_one() {}
    reader.found
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
    found: Vec<Located>,
}

impl Reader<'_> {
    fn read_one(&mut self) -> bool {
        let Some(c) = self.take() else { return false };
        match c {
            '/' if self.next_is('/') => {
                while self.chars.peek().is_some_and(|c| *c != '\n') {
                    self.take();
                }
            }
            '/' if self.next_is('*') => self.skip_block_comment(),
            '"' => self.skip_string(),
            '\'' => self.skip_character_or_lifetime(),
            ':' if self.next_is(':') => {
                self.take();
                self.push(Token::Path);
            }
            c if is_word(c) => self.read_word(c),
            c if c.is_whitespace() => {}
            c => self.push(Token::Sign(c)),
        }
        true
    }

    fn take(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn next_is(&mut self, expected: char) -> bool {
        self.chars.peek() == Some(&expected)
    }

    fn push(&mut self, token: Token) {
        self.found.push(Located { token, line: self.line });
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        let mut last = '/';
        while let Some(c) = self.take() {
            match (last, c) {
                ('/', '*') => (depth, last) = (depth + 1, ' '),
                ('*', '/') => (depth, last) = (depth - 1, ' '),
                _ => last = c,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        while let Some(c) = self.take() {
            match c {
                '\\' => drop(self.take()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// `'x'` and `'\n'` are skipped; of the lifetime `'a` only its apostrophe is.
    fn skip_character_or_lifetime(&mut self) {
        let mut ahead = self.chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('\\'), _) => {
                self.take();
                self.take();
                while self.take().is_some_and(|c| c != '\'') {}
            }
            (Some(_), Some('\'')) => {
                self.take();
                self.take();
            }
            _ => {}
        }
    }

    fn read_word(&mut self, first: char) {
        let mut word = String::from(first);
        while let Some(c) = self.chars.peek().copied().filter(|c| is_word(*c)) {
            word.push(c);
            self.take();
        }
        let begins_raw = matches!(word.as_str(), "r" | "br" | "cr");
        match self.chars.peek().copied() {
            Some('"' | '#') if begins_raw && self.skip_raw_string() => {}
            // The prefix of a byte or C string; the string itself comes next.
            Some('"') if matches!(word.as_str(), "b" | "c") => {}
            _ => self.push(Token::Word(word)),
        }
    }

    /// Whether there was one: `r#name` is a name.
    fn skip_raw_string(&mut self) -> bool {
        let hashes = self.chars.clone().take_while(|c| *c == '#').count();
        if self.chars.clone().nth(hashes) != Some('"') {
            return false;
        }
        let end = format!("\"{}", "#".repeat(hashes));
        for _ in 0..=hashes {
            self.take();
        }
        let mut tail = String::new();
        while let Some(c) = self.take() {
            tail.push(c);
            if tail.ends_with(&end) {
                break;
            }
        }
        true
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
