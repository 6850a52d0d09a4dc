//! What the service is about: items, and the rules they obey. Knows nothing of HTTP or SQL.

use std::time::SystemTime;

use uuid::Uuid;

const MAX_NAME_LENGTH: usize = 100;
const MAX_NOTE_LENGTH: usize = 1000;

/// Something that a user keeps here. Valid once it exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// A UUID of version 7: ids sort by the time they were made.
    pub id: String,
    pub name: String,
    pub note: String,
    pub created_at: SystemTime,
}

/// What somebody would like to keep, before anybody has looked at it.
#[derive(Debug, Clone)]
pub struct Draft {
    pub name: String,
    pub note: String,
}

/// A rule that a draft breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub field: String,
    pub message: String,
}

impl Item {
    /// Makes an item of a draft, or says everything that is wrong with it.
    pub fn create(draft: &Draft, now: SystemTime) -> Result<Self, Vec<Fault>> {
        let (name, note) = (draft.name.trim(), draft.note.trim());
        let faults: Vec<Fault> = [fault_of_name(name), fault_of_note(note)]
            .into_iter()
            .flatten()
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let id = Uuid::now_v7().to_string();
        Ok(Self {
            id,
            name: name.to_owned(),
            note: note.to_owned(),
            created_at: now,
        })
    }
}

impl Fault {
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            message: message.into(),
        }
    }
}

fn fault_of_name(name: &str) -> Option<Fault> {
    match name.chars().count() {
        0 => Some(Fault::new("name", "must not be empty")),
        1..=MAX_NAME_LENGTH => None,
        _ => Some(Fault::new(
            "name",
            format!("must not be longer than {MAX_NAME_LENGTH} characters"),
        )),
    }
}

fn fault_of_note(note: &str) -> Option<Fault> {
    let too_long = note.chars().count() > MAX_NOTE_LENGTH;
    too_long.then(|| {
        Fault::new(
            "note",
            format!("must not be longer than {MAX_NOTE_LENGTH} characters"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(name: &str, note: &str) -> Vec<String> {
        let draft = Draft {
            name: name.to_owned(),
            note: note.to_owned(),
        };
        let faults = Item::create(&draft, SystemTime::now())
            .err()
            .unwrap_or_default();
        faults
            .into_iter()
            .map(|fault| format!("{} {}", fault.field, fault.message))
            .collect()
    }

    #[test]
    fn a_good_draft_becomes_an_item_without_the_blanks_around_it() {
        let draft = Draft {
            name: "  tea ".to_owned(),
            note: " green\n".to_owned(),
        };
        let item = Item::create(&draft, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!((item.name.as_str(), item.note.as_str()), ("tea", "green"));
        assert_eq!(item.created_at, SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn every_broken_rule_is_named() {
        assert_eq!(
            faults_of(&"ä".repeat(100), &"ä".repeat(1000)),
            Vec::<String>::new()
        );
        assert_eq!(faults_of(" ", ""), ["name must not be empty"]);
        assert_eq!(
            faults_of(&"x".repeat(101), &"x".repeat(1001)),
            [
                "name must not be longer than 100 characters",
                "note must not be longer than 1000 characters"
            ]
        );
    }
}
