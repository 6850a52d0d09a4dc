//! The two things that are made from templates: a platform, and a service in one.

use std::path::PathBuf;

use serde_json::Value;

use super::error::ScaffoldError;
use super::file_plan::FilePlan;
use super::render::{Values, render};
use super::template::{Template, TemplateKind};
use super::variables::Answers;
use crate::model::name::{PlatformName, ServiceName};

/// The folder of a platform that its services live in.
const SERVICES_FOLDER: &str = "services";

/// What there is to know about a service before it exists.
#[derive(Debug, Clone, Copy)]
pub struct NewService<'a> {
    pub name: &'a ServiceName,
    pub platform: &'a PlatformName,
    /// What the user chose for the template's own variables.
    pub answers: &'a Answers,
}

/// The files of a new platform, in a folder of its name.
pub fn plan_platform(template: &Template, name: &PlatformName) -> Result<FilePlan, ScaffoldError> {
    require_kind(template, TemplateKind::Platform)?;
    let mut values = resolve_variables(template, &Answers::new())?;
    values.insert("name".to_owned(), Value::from(name.as_str()));
    Ok(FilePlan { target: name.as_str().into(), files: render(template, &values)? })
}

/// The files of a new service, in its folder below `services/`.
pub fn plan_service(template: &Template, new: NewService<'_>) -> Result<FilePlan, ScaffoldError> {
    require_kind(template, TemplateKind::Service)?;
    require_free_name(template, new.name)?;
    let mut values = resolve_variables(template, new.answers)?;
    values.extend(names_of(new));
    let target = PathBuf::from(SERVICES_FOLDER).join(new.name.as_str());
    Ok(FilePlan { target, files: render(template, &values)? })
}

fn require_kind(template: &Template, wanted: TemplateKind) -> Result<(), ScaffoldError> {
    if template.kind == wanted {
        return Ok(());
    }
    Err(ScaffoldError::WrongKind {
        template: template.name.clone(),
        wanted: wanted.as_str(),
        found: template.kind.as_str(),
    })
}

fn require_free_name(template: &Template, name: &ServiceName) -> Result<(), ScaffoldError> {
    if !template.reserved_names.iter().any(|reserved| reserved == name.as_str()) {
        return Ok(());
    }
    Err(ScaffoldError::ReservedName {
        template: template.name.clone(),
        language: template.language.clone(),
        name: name.to_string(),
    })
}

fn resolve_variables(template: &Template, answers: &Answers) -> Result<Values, ScaffoldError> {
    let refuse = |variable: &str, reason: String| ScaffoldError::Variable {
        template: template.name.clone(),
        variable: variable.to_owned(),
        reason,
    };
    if let Some(unknown) = answers.keys().find(|name| !template.variables.contains_key(*name)) {
        let known: Vec<&str> = template.variables.keys().map(String::as_str).collect();
        return Err(refuse(unknown, format!("it has no such variable, only: {}", known.join(", "))));
    }
    let resolve = |(name, variable): (&String, &super::variables::Variable)| {
        let value = variable.resolve(answers.get(name).map(String::as_str));
        value.map(|value| (name.clone(), value)).map_err(|reason| refuse(name, reason))
    };
    template.variables.iter().map(resolve).collect()
}

/// The service's name in the forms that languages want: `exchange-rate` is also `exchange_rate`
/// and `EXCHANGE_RATE`.
fn names_of(new: NewService<'_>) -> [(String, Value); 4] {
    let name = new.name.as_str();
    [
        ("name".to_owned(), Value::from(name)),
        ("snake_name".to_owned(), Value::from(name.replace('-', "_"))),
        ("upper_name".to_owned(), Value::from(new.name.to_variable_stem())),
        ("platform".to_owned(), Value::from(new.platform.as_str())),
    ]
}

#[cfg(test)]
mod tests;
