//! `[configuration]`: names and values of environment variables, for one service or for all.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::section::Section;
use super::source::Located;
use super::values::{Value, to_i64};

/// What the platform itself sets for every service. A variable of that name would be lost.
const RESERVED: [&str; 4] = ["DATABASE_URL", "PORT", "SERVICE_GENERATION", "SERVICE_NAME"];
const RESERVED_PREFIX: &str = "MSCTL_";

/// Each variable is placed where its name stands.
pub type Variables = BTreeMap<String, Located<String>>;

pub fn read(mut section: Section<'_>) -> Variables {
    let problems = section.problems;
    let mut variables = Variables::new();
    for (name, value) in section.take_all() {
        if let Some((message, hint)) = fault_of(&name.value) {
            problems.report(&name.place, message, hint);
        }
        if let Some(value) = read_value(value) {
            variables.insert(name.value, Located { value, place: name.place });
        }
    }
    variables
}

pub fn without_places(variables: Variables) -> BTreeMap<String, String> {
    variables.into_iter().map(|(name, variable)| (name, variable.value)).collect()
}

/// What is wrong with a name, and what to do about it.
pub fn fault_of(name: &str) -> Option<(String, String)> {
    let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) {
        return Some((
            format!("{name} is set by the platform itself"),
            "choose another name, or leave it out".to_owned(),
        ));
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(allowed) {
        return Some((
            format!("{name:?} is not the name of a variable"),
            format!("write A-Z, 0-9 and _, not starting with a digit: {}", similar_variable(name)),
        ));
    }
    None
}

fn similar_variable(name: &str) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let folded: String = name.chars().take(MAX_SHOWN).map(fold).collect();
    let kept = folded.trim_start_matches(|c: char| !c.is_ascii_uppercase()).trim_end_matches('_');
    if kept.is_empty() { "LOG_LEVEL".to_owned() } else { kept.to_owned() }
}

const MAX_SHOWN: usize = 64;

/// Numbers and flags may be written without quotes; a service sees text in any case.
fn read_value(value: Value<'_>) -> Option<String> {
    match &value.content {
        DeValue::Integer(integer) => {
            Some(to_i64(integer).map_or_else(|| integer.to_string(), |number| number.to_string()))
        }
        DeValue::Float(float) => Some(float.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::String(_) => value.text("\"…\"").map(|text| text.value),
        _ => value.wrong_type("a text, a number, true or false", "\"…\""),
    }
}
