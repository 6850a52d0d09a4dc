//! One template: what its `template.toml` says, and its files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::error::ScaffoldError;
use super::source::{self, SourceFile};
use super::variables::Variable;

/// The file that makes a folder a template. It is not part of what the template makes.
pub const TEMPLATE_FILE: &str = "template.toml";

/// A template, read and checked.
#[derive(Debug, Clone)]
pub struct Template {
    pub name: String,
    pub kind: TemplateKind,
    pub description: String,
    pub language: String,
    pub variables: BTreeMap<String, Variable>,
    /// Names that its language or build tool cannot give to a program.
    pub reserved_names: Vec<String>,
    /// Sorted by path, without `template.toml`.
    pub(super) files: Vec<SourceFile>,
}

/// What a template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TemplateKind {
    Platform,
    Service,
}

impl TemplateKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Service => "service",
        }
    }
}

impl Template {
    /// Reads a template from a folder of the user's.
    pub fn from_folder(folder: &Path) -> Result<Self, ScaffoldError> {
        Self::from_files(&folder.display().to_string(), source::read_folder(folder)?)
    }

    /// `place` is where the files come from, for errors.
    pub(super) fn from_files(place: &str, mut files: Vec<SourceFile>) -> Result<Self, ScaffoldError> {
        let refuse = |reason: String| ScaffoldError::NotATemplate { path: place.to_owned(), reason };
        let at = files.iter().position(|file| file.path == TEMPLATE_FILE);
        let at = at.ok_or_else(|| refuse(format!("it has no {TEMPLATE_FILE}")))?;
        let text = String::from_utf8(files.remove(at).contents);
        let text = text.map_err(|_| refuse(format!("{TEMPLATE_FILE} is not UTF-8")))?;
        let raw = toml::from_str::<RawTemplate>(&text);
        // The parser's message spans lines and shows the offending one.
        let raw =
            raw.map_err(|error| refuse(format!("{TEMPLATE_FILE}: {}", error.to_string().trim_end())))?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(raw.with(files))
    }
}

/// The file as it is written. There is no place for hooks: an unknown key is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTemplate {
    name: String,
    kind: TemplateKind,
    description: String,
    language: String,
    #[serde(default)]
    reserved_names: Vec<String>,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
}

impl RawTemplate {
    fn with(self, files: Vec<SourceFile>) -> Template {
        Template {
            name: self.name,
            kind: self.kind,
            description: self.description,
            language: self.language,
            variables: self.variables,
            reserved_names: self.reserved_names,
            files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name = 'x'\nkind = 'service'\ndescription = 'd'\nlanguage = 'C'\n";

    fn template_of(toml: &str) -> Result<Template, ScaffoldError> {
        Template::from_files("here", vec![SourceFile::new(TEMPLATE_FILE, toml)])
    }

    #[test]
    fn a_folder_without_its_file_is_no_template() {
        let error = Template::from_files("here", vec![SourceFile::new("a.txt", "")]).unwrap_err();
        assert_eq!(error.to_string(), "use here as a template: it has no template.toml");
    }

    #[test]
    fn a_template_is_what_its_file_says() {
        let template = template_of(GOOD).unwrap();
        assert_eq!((template.name.as_str(), template.kind), ("x", TemplateKind::Service));
        assert!(template.files.is_empty());
    }

    #[test]
    fn hooks_are_unknown_keys_whatever_they_are_called() {
        for section in ["[hooks]\npost = 'rm -rf /'", "tasks = ['make']", "[scripts]"] {
            let error = template_of(&format!("{GOOD}{section}")).unwrap_err().to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
    }
}
