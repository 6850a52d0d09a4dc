//! Which templates there are, and finding one by what the user typed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::error::ScaffoldError;
use super::source;
use super::template::{TEMPLATE_FILE, Template, TemplateKind};

/// Templates by name.
#[derive(Debug, Clone)]
pub struct Catalogue {
    templates: BTreeMap<String, Template>,
}

/// A line of `msctl template list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateSummary {
    pub name: String,
    pub kind: TemplateKind,
    pub language: String,
    pub description: String,
}

impl Catalogue {
    /// The templates that came with the program.
    pub fn built_in() -> Result<Self, ScaffoldError> {
        let templates = source::read_built_in().into_iter();
        Self::of(templates.map(|(folder, files)| Template::from_files(&format!("templates/{folder}"), files)))
    }

    /// A folder that is a template, or that holds templates.
    pub fn from_folder(folder: &Path) -> Result<Self, ScaffoldError> {
        if folder.join(TEMPLATE_FILE).is_file() {
            return Self::of([Template::from_folder(folder)]);
        }
        let failed = |source| ScaffoldError::read(folder, source);
        let entries: Result<Vec<_>, _> = fs::read_dir(folder).map_err(failed)?.collect();
        let folders = entries.map_err(failed)?.into_iter().map(|entry| entry.path());
        let catalogue =
            Self::of(folders.filter(|f| f.join(TEMPLATE_FILE).is_file()).map(|f| Template::from_folder(&f)))?;
        match catalogue.templates.is_empty() {
            false => Ok(catalogue),
            true => Err(ScaffoldError::NotATemplate {
                path: folder.display().to_string(),
                reason: format!("neither it nor a folder in it has a {TEMPLATE_FILE}"),
            }),
        }
    }

    /// These templates, and `others`, which win where a name is in both.
    #[must_use]
    pub fn extended_with(mut self, others: Self) -> Self {
        self.templates.extend(others.templates);
        self
    }

    /// Sorted by name.
    pub fn list(&self) -> Vec<TemplateSummary> {
        self.templates.values().map(summary_of).collect()
    }

    pub fn get(&self, name: &str) -> Result<&Template, ScaffoldError> {
        self.templates.get(name).ok_or_else(|| self.unknown(name))
    }

    /// What `--template` takes: a name, or the path of a folder. Only what has a `/` in it, or is
    /// `.` or `..`, is a path, so that a folder that happens to be here never hides a name.
    pub fn resolve(&self, reference: &str) -> Result<Template, ScaffoldError> {
        match reference.contains('/') || reference == "." || reference == ".." {
            true => Template::from_folder(Path::new(reference)),
            false => self.get(reference).cloned(),
        }
    }

    fn of(
        templates: impl IntoIterator<Item = Result<Template, ScaffoldError>>,
    ) -> Result<Self, ScaffoldError> {
        let by_name = |template: Template| (template.name.clone(), template);
        let templates =
            templates.into_iter().map(|template| template.map(by_name)).collect::<Result<_, _>>()?;
        Ok(Self { templates })
    }

    fn unknown(&self, name: &str) -> ScaffoldError {
        let known: Vec<String> = self.templates.keys().cloned().collect();
        ScaffoldError::UnknownTemplate { name: name.to_owned(), similar: most_similar(name, &known), known }
    }
}

fn summary_of(template: &Template) -> TemplateSummary {
    TemplateSummary {
        name: template.name.clone(),
        kind: template.kind,
        language: template.language.clone(),
        description: template.description.clone(),
    }
}

/// The name somebody probably meant: `rust` for `rust-axum`, or a few letters off.
fn most_similar(name: &str, known: &[String]) -> Option<String> {
    const SIMILAR_ENOUGH: f64 = 0.75;
    let scored = known.iter().map(|other| (strsim::jaro_winkler(name, other), other));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score > SIMILAR_ENOUGH).map(|(_, other)| other.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with_templates(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let at = folder.path().join(name);
            fs::create_dir(&at).unwrap();
            let text = format!("name = '{name}'\nkind = 'service'\ndescription = 'd'\nlanguage = 'Go'\n");
            fs::write(at.join(TEMPLATE_FILE), text).unwrap();
        }
        folder
    }

    fn names(catalogue: &Catalogue) -> Vec<String> {
        catalogue.list().into_iter().map(|summary| summary.name).collect()
    }

    #[test]
    fn the_built_in_templates_are_there() {
        assert_eq!(
            names(&Catalogue::built_in().unwrap()),
            ["node-fastify", "platform", "python-fastapi", "rust-axum"]
        );
    }

    #[test]
    fn an_unknown_template_names_a_similar_one_or_all_of_them() {
        let catalogue = Catalogue::built_in().unwrap();
        let error = catalogue.get("rust").unwrap_err();
        assert_eq!(error.to_string(), "find a template named \"rust\"");
        assert_eq!(error.hint().unwrap(), "did you mean \"rust-axum\"?");
        assert_eq!(
            catalogue.get("zzz").unwrap_err().hint().unwrap(),
            "the templates are: node-fastify, platform, python-fastapi, rust-axum"
        );
    }

    #[test]
    fn a_folder_of_templates_extends_and_overrides_the_built_in_ones() {
        let folder = folder_with_templates(&["go-chi", "rust-axum"]);
        let own = Catalogue::from_folder(folder.path()).unwrap();
        assert_eq!(names(&own), ["go-chi", "rust-axum"]);
        let all = Catalogue::built_in().unwrap().extended_with(own);
        assert_eq!(all.get("rust-axum").unwrap().language, "Go");
        assert_eq!(all.list().len(), 5);
    }

    #[test]
    fn a_folder_that_is_a_template_is_found_by_its_path() {
        let folder = folder_with_templates(&["go-chi"]);
        let path = folder.path().join("go-chi");
        assert_eq!(names(&Catalogue::from_folder(&path).unwrap()), ["go-chi"]);
        let found = Catalogue::built_in().unwrap().resolve(path.to_str().unwrap()).unwrap();
        assert_eq!(found.name, "go-chi");
    }

    #[test]
    fn a_folder_without_templates_says_so() {
        let folder = folder_with_templates(&[]);
        let error = Catalogue::from_folder(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("neither it nor a folder in it has a template.toml"), "{error}");
    }
}
