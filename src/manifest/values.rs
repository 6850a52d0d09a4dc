//! One value of a manifest, on its way to a Rust value. Each reader reports what does not fit, with
//! an example of what would, and then gives `None`.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use toml::de::{DeInteger, DeValue};

use super::problems::Problems;
use super::section::{Section, Title};
use super::source::{Located, Place};

pub struct Value<'a> {
    pub key: String,
    pub within: Title,
    pub place: Place,
    pub problems: &'a Problems,
    pub content: DeValue<'a>,
}

impl<'a> Value<'a> {
    /// `port in [run]`.
    pub fn name(&self) -> String {
        match &self.within {
            Title::File => self.shown_key(),
            within => format!("{} in {}", self.shown_key(), within.show()),
        }
    }

    /// The key as it has to be written: in quotes, unless it is made of letters, digits, - and _.
    fn shown_key(&self) -> String {
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.key.chars().all(bare) { self.key.clone() } else { format!("{:?}", self.key) }
    }

    pub fn report(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.report(&self.place, message, hint);
    }

    /// A text without NUL, which neither a path nor a variable nor a command can hold.
    pub fn text(self, example: &str) -> Option<Located<String>> {
        match &self.content {
            DeValue::String(text) if text.contains('\0') => {
                self.report(format!("{} holds a NUL character", self.name()), "leave it out");
                None
            }
            DeValue::String(text) => Some(Located { value: text.clone().into_owned(), place: self.place }),
            _ => self.wrong_type("a text", example),
        }
    }

    /// A text that holds something visible.
    pub fn filled_text(self, example: &str) -> Option<Located<String>> {
        let (name, key, problems) = (self.name(), self.key.clone(), self.problems);
        let text = self.text(example)?;
        if text.value.trim().is_empty() {
            problems.report(&text.place, format!("{name} is empty"), format!("write {key} = {example}"));
            return None;
        }
        Some(text)
    }

    /// A text that `T` can be made of. `hint` is made of the text that could not.
    pub fn parsed<T>(self, example: &str, hint: impl Fn(&str) -> String) -> Option<Located<T>>
    where
        T: FromStr<Err: Display>,
    {
        let problems = self.problems;
        let text = self.text(example)?;
        match text.value.parse() {
            Ok(value) => Some(Located { value, place: text.place }),
            Err(error) => {
                problems.report(&text.place, error.to_string(), hint(&text.value));
                None
            }
        }
    }

    pub fn integer_within(self, range: RangeInclusive<i64>, example: &str) -> Option<i64> {
        let DeValue::Integer(integer) = &self.content else {
            return self.wrong_type("a whole number", example);
        };
        let number = to_i64(integer).filter(|number| range.contains(number));
        if number.is_none() {
            let (from, to) = range.into_inner();
            let message = format!("{} is {integer}, but must be from {from} to {to}", self.name());
            self.report(message, self.example(example));
        }
        number
    }

    pub fn number(self, example: &str) -> Option<Located<f64>> {
        let number = match &self.content {
            DeValue::Integer(integer) => to_i64(integer).and_then(|n| n.to_string().parse().ok()),
            DeValue::Float(float) => float.as_str().parse().ok(),
            _ => return self.wrong_type("a number", example),
        };
        Some(Located { value: number.unwrap_or(f64::NAN), place: self.place })
    }

    pub fn flag(self) -> Option<bool> {
        match self.content {
            DeValue::Boolean(flag) => Some(flag),
            _ => self.wrong_type("true or false", "true"),
        }
    }

    /// A text like `"10s"` or `"1m 30s"`.
    pub fn duration_within(self, range: RangeInclusive<Duration>, example: &str) -> Option<Duration> {
        let (name, problems) = (self.name(), self.problems);
        let hint = self.example(example);
        let text = self.text(example)?;
        let (shortest, longest) = range.into_inner();
        let show = |duration| humantime::format_duration(duration).to_string();
        let fault = match humantime::parse_duration(&text.value) {
            Err(error) => format!("{name} is not a duration: {error}"),
            Ok(duration) if duration < shortest => {
                format!("{name} is {}, but must be at least {}", show(duration), show(shortest))
            }
            Ok(duration) if duration > longest => {
                format!("{name} is {}, but must be at most {}", show(duration), show(longest))
            }
            Ok(duration) => return Some(duration),
        };
        problems.report(&text.place, fault, hint);
        None
    }

    /// The elements of a list, each of which is called like the list.
    pub fn list(self, example: &str) -> Option<Vec<Self>> {
        let DeValue::Array(elements) = self.content else {
            return self.wrong_type("a list", example);
        };
        let source = Rc::clone(self.place.source());
        let element = |element: toml::Spanned<DeValue<'a>>| Value {
            key: self.key.clone(),
            within: self.within.clone(),
            place: source.place(element.span()),
            problems: self.problems,
            content: element.into_inner(),
        };
        Some(elements.into_iter().map(element).collect())
    }

    pub fn section(self) -> Option<Section<'a>> {
        let title = self.within.below(&self.key);
        match self.content {
            DeValue::Table(table) => Some(Section::new(title, self.place, table, self.problems)),
            _ => self
                .wrong_kind("a table", format!("write {}, with its keys on the lines below", title.show())),
        }
    }

    /// The elements of `[[key]]`.
    pub fn sections(self, example: &str) -> Option<Vec<Section<'a>>> {
        if matches!(self.content, DeValue::Table(_)) {
            let message = format!("[{0}] stands for one, but there may be several", self.key);
            self.report(message, format!("write [[{}]], with two brackets", self.key));
            return None;
        }
        let title = self.within.below(&self.key).of_many();
        let element =
            |mut element: Self| match std::mem::replace(&mut element.content, DeValue::Boolean(false)) {
                DeValue::Table(table) => {
                    Some(Section::new(title.clone(), element.place, table, element.problems))
                }
                other => Self { content: other, ..element }.wrong_type("a list of tables", example),
            };
        Some(self.list(example)?.into_iter().filter_map(element).collect())
    }

    pub fn wrong_type<T>(&self, wanted: &str, example: &str) -> Option<T> {
        self.wrong_kind(wanted, self.example(example))
    }

    fn wrong_kind<T>(&self, wanted: &str, hint: String) -> Option<T> {
        let found = match &self.content {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report(format!("{} must be {wanted}, not {found}", self.name()), hint);
        None
    }

    fn example(&self, example: &str) -> String {
        format!("for example {} = {example}", self.shown_key())
    }
}

pub fn to_i64(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}
