//! What people should be told about watching, as values.

use std::fmt;
use std::path::PathBuf;

use crate::model::path::Shown;

/// How many folders a notice names.
const NAMED: usize = 3;

/// Something that makes watching slower or coarser than it could be. Nothing of it loses a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The kernel refused; these folders are looked at again and again instead.
    Limit { setting: Setting, polled: Vec<PathBuf> },
    /// More happened at once than the kernel keeps, so everything counts as touched.
    Overflow { setting: Setting },
    /// Folders are not told of for a reason that is no limit of the kernel's; they are looked at
    /// again and again instead.
    Polling { cause: String },
    /// A folder cannot be looked into, so what changes in it goes unnoticed.
    Unreadable { folder: PathBuf, cause: String },
}

/// A setting of the system, and what it is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    /// `None` where it could not be read.
    pub value: Option<u64>,
}

impl Notice {
    /// What it is about: two of the same say the same.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Limit { setting, .. } | Self::Overflow { setting } => setting.name.to_owned(),
            Self::Polling { .. } => "polling".to_owned(),
            Self::Unreadable { folder, .. } => folder.to_string_lossy().into_owned(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Limit { setting, .. } => {
                let more = setting.value.map_or(524_288, |value| value.saturating_mul(4).max(1024));
                Some(format!("raise it: `sudo sysctl {}={more}`", setting.name))
            }
            Self::Unreadable { .. } => Some("check its permissions, or list it in .gitignore".to_owned()),
            Self::Overflow { .. } | Self::Polling { .. } => None,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { setting, polled } => {
                write!(f, "the limit {setting} is reached: ")?;
                write_folders(f, polled)?;
                f.write_str(" looked at once a second instead of being watched")
            }
            Self::Overflow { setting } => {
                write!(f, "more files changed at once than {setting} allows for: every service is checked")
            }
            Self::Polling { cause } => {
                write!(f, "files cannot be watched ({cause}): they are looked at once a second instead")
            }
            Self::Unreadable { folder, cause } => {
                write!(f, "what changes in {} goes unnoticed: {cause}", Shown(folder))
            }
        }
    }
}

fn write_folders(f: &mut fmt::Formatter<'_>, folders: &[PathBuf]) -> fmt::Result {
    for (number, folder) in folders.iter().take(NAMED).enumerate() {
        write!(f, "{}{}", if number == 0 { "" } else { ", " }, Shown(folder))?;
    }
    match folders.len() {
        0 => f.write_str("folders are"),
        1 => f.write_str(" is"),
        count if count > NAMED => write!(f, " and {} more are", count - NAMED),
        _ => f.write_str(" are"),
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => write!(f, "{} = {value}", self.name),
            None => f.write_str(self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(value: Option<u64>, polled: &[&str]) -> Notice {
        let setting = Setting { name: "fs.inotify.max_user_watches", value };
        Notice::Limit { setting, polled: polled.iter().map(PathBuf::from).collect() }
    }

    #[test]
    fn a_limit_is_told_by_its_name_and_value_with_what_to_do() {
        let notice = limit(Some(8192), &["/store/order"]);
        assert_eq!(
            notice.to_string(),
            "the limit fs.inotify.max_user_watches = 8192 is reached: /store/order is looked at once a second \
             instead of being watched"
        );
        assert_eq!(notice.hint().unwrap(), "raise it: `sudo sysctl fs.inotify.max_user_watches=32768`");
    }

    #[test]
    fn of_many_folders_a_few_are_named() {
        let shown = limit(None, &["/a", "/b", "/c", "/d", "/e"]).to_string();
        assert!(
            shown.contains("max_user_watches is reached: /a, /b, /c and 2 more are looked at"),
            "{shown}"
        );
    }
}
