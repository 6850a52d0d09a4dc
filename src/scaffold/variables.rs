//! What a template lets its user choose, and the rule for each choice.
//!
//! Names are not among them: they are parsed by `model` and given to every template.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One entry of `[variables]`: its type, its rule, and what it is when nobody says anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Variable {
    /// One line of text.
    Text {
        default: String,
        #[serde(default = "default_max_length")]
        max_length: usize,
    },
    /// A whole number between two others.
    Number { default: i64, min: i64, max: i64 },
    /// One of a few words.
    Choice { default: String, choices: Vec<String> },
    /// `true` or `false`.
    Flag { default: bool },
}

/// What the user answered, by variable, as text.
pub type Answers = BTreeMap<String, String>;

const fn default_max_length() -> usize {
    200
}

impl Variable {
    /// The value to render, from an answer or from the default.
    ///
    /// # Errors
    /// With the rule that the text breaks. A default has to obey its own rule, too.
    pub fn resolve(&self, answer: Option<&str>) -> Result<Value, String> {
        let default = self.default_text();
        let text = answer.unwrap_or(&default);
        match self {
            Self::Text { max_length, .. } => check_text(text, *max_length),
            Self::Number { min, max, .. } => check_number(text, *min, *max),
            Self::Choice { choices, .. } => check_choice(text, choices),
            Self::Flag { .. } => text.parse().map(Value::Bool).map_err(|_| "write true or false".to_owned()),
        }
    }

    fn default_text(&self) -> String {
        match self {
            Self::Text { default, .. } | Self::Choice { default, .. } => default.clone(),
            Self::Number { default, .. } => default.to_string(),
            Self::Flag { default } => default.to_string(),
        }
    }
}

fn check_text(text: &str, max_length: usize) -> Result<Value, String> {
    if text.chars().any(char::is_control) {
        return Err("it has to be one line, without control characters".to_owned());
    }
    match text.chars().count() {
        length if length > max_length => Err(format!("{length} characters are more than {max_length}")),
        _ => Ok(Value::from(text)),
    }
}

fn check_number(text: &str, min: i64, max: i64) -> Result<Value, String> {
    match text.parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(Value::from(number)),
        _ => Err(format!("{text:?} is not a whole number from {min} to {max}")),
    }
}

fn check_choice(text: &str, choices: &[String]) -> Result<Value, String> {
    match choices.iter().any(|choice| choice == text) {
        true => Ok(Value::from(text)),
        false => Err(format!("{text:?} is none of {}", choices.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(declaration: &str, answer: Option<&str>, expected: &str) {
        let variable: Variable = toml::from_str(declaration).unwrap();
        let found = variable.resolve(answer).map_or_else(|e| e, |value| value.to_string());
        assert_eq!(found, expected);
    }

    #[test]
    fn a_default_stands_where_nothing_is_answered() {
        check("type = 'text'\ndefault = 'a service'", None, "\"a service\"");
        check("type = 'number'\ndefault = 3\nmin = 1\nmax = 5", None, "3");
        check("type = 'choice'\ndefault = 'a'\nchoices = ['a', 'b']", None, "\"a\"");
        check("type = 'flag'\ndefault = true", None, "true");
    }

    #[test]
    fn an_answer_has_to_obey_the_rule() {
        let text = "type = 'text'\ndefault = ''\nmax_length = 3";
        check(text, Some("{{7"), "\"{{7\"");
        check(text, Some("long"), "4 characters are more than 3");
        check(text, Some("a\nb"), "it has to be one line, without control characters");
        let number = "type = 'number'\ndefault = 3\nmin = 1\nmax = 5";
        check(number, Some("6"), "\"6\" is not a whole number from 1 to 5");
        check("type = 'choice'\ndefault = 'a'\nchoices = ['a', 'b']", Some("c"), "\"c\" is none of a, b");
        check("type = 'flag'\ndefault = true", Some("yes"), "write true or false");
    }

    #[test]
    fn a_default_that_breaks_its_own_rule_is_found() {
        check(
            "type = 'number'\ndefault = 9\nmin = 1\nmax = 5",
            None,
            "\"9\" is not a whole number from 1 to 5",
        );
    }
}
