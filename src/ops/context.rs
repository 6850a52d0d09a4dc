//! What every verb works from: where the user is, and what the environment says.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::error::OpsError;
use crate::admin::client::Client;
use crate::manifest;
use crate::model::name::ServiceName;
use crate::model::platform::Platform;
use crate::platform::folder::{self, StateFolder};

/// The surroundings of a command, read once at the edge.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where to look for a platform, and upwards from there.
    pub directory: PathBuf,
    /// MSCTL_STATE_DIR.
    pub state_dir: Option<PathBuf>,
    /// XDG_STATE_HOME.
    pub xdg_state_home: Option<PathBuf>,
    /// DOCKER_HOST.
    pub docker_host: Option<String>,
}

impl Context {
    /// Reads the platform that `directory` is in.
    ///
    /// # Errors
    /// When there is none, or its manifest is invalid.
    pub fn load(&self) -> Result<Platform, OpsError> {
        Ok(manifest::load(&manifest::find(&self.directory)?)?)
    }

    /// # Errors
    /// When the platform's state folder cannot be made.
    pub fn state(&self, platform: &Platform) -> Result<StateFolder, OpsError> {
        let base = folder::base(self.state_dir.as_deref(), self.xdg_state_home.as_deref())?;
        Ok(StateFolder::open(&base, &platform.id)?)
    }

    /// # Errors
    /// As [`Self::state`].
    pub fn client(&self, platform: &Platform) -> Result<Client, OpsError> {
        Ok(Client::new(&self.state(platform)?.socket()))
    }
}

/// The services that `names` mean; all of them have to be in the platform.
///
/// # Errors
/// [`OpsError::NoSuchService`] with the nearest name.
pub fn known_services(platform: &Platform, names: &[String]) -> Result<BTreeSet<ServiceName>, OpsError> {
    names.iter().map(|name| known_service(platform, name).cloned()).collect()
}

/// # Errors
/// [`OpsError::NoSuchService`] with the nearest name.
pub fn known_service<'a>(platform: &'a Platform, name: &str) -> Result<&'a ServiceName, OpsError> {
    let found = platform.services.keys().find(|known| known.as_str() == name);
    found.ok_or_else(|| OpsError::NoSuchService {
        name: name.to_owned(),
        known: platform.services.keys().map(ToString::to_string).collect(),
    })
}
