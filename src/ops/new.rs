//! `msctl new`: files for a platform, or for a service in one.

use std::path::PathBuf;

use super::context::Context;
use super::error::OpsError;
use crate::model::name::{PlatformName, ServiceName};
use crate::scaffold::variables::Answers;
use crate::scaffold::{Catalogue, FilePlan, NewService, Written, plan_platform, plan_service, write};

/// Where templates come from besides the built-in ones.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    pub folder: Option<PathBuf>,
}

/// What is to be made, and where. Nothing has been written yet.
#[derive(Debug)]
pub struct Draft {
    pub plan: FilePlan,
    pub into: PathBuf,
}

/// # Errors
/// When the name is no name.
pub fn platform(context: &Context, name: &str) -> Result<Draft, OpsError> {
    let name: PlatformName = name.parse()?;
    let template = Catalogue::built_in()?.resolve("platform")?;
    Ok(Draft { plan: plan_platform(&template, &name)?, into: context.directory.clone() })
}

/// # Errors
/// When the name is no name, the template is unknown, or the folder is in no platform.
pub fn service(
    context: &Context,
    name: &str,
    template: &str,
    templates: &Templates,
) -> Result<Draft, OpsError> {
    let name: ServiceName = name.parse()?;
    let platform = context.load()?;
    if let Some(taken) = platform.services.get(&name) {
        return Err(OpsError::ServiceExists { name: name.to_string(), folder: taken.folder.clone() });
    }
    let template = catalogue(templates)?.resolve(template)?;
    let answers = Answers::default();
    let new = NewService { name: &name, platform: &platform.id.name, answers: &answers };
    Ok(Draft { plan: plan_service(&template, new)?, into: platform.root })
}

fn catalogue(templates: &Templates) -> Result<Catalogue, OpsError> {
    let built_in = Catalogue::built_in()?;
    Ok(match &templates.folder {
        Some(folder) => built_in.extended_with(Catalogue::from_folder(folder)?),
        None => built_in,
    })
}

/// Writes a draft: all of it, or nothing.
///
/// # Errors
/// When something is there already, or the disk does not take it.
pub fn commit(draft: &Draft) -> Result<Written, OpsError> {
    Ok(write(&draft.plan, &draft.into)?)
}
