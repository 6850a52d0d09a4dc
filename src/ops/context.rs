//! What every verb works from: where the user is, and what the environment says.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::error::OpsError;
use crate::admin::client::{Client, ClientError};
use crate::manifest;
use crate::model::name::{PlatformId, ServiceName};
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

    /// Which platform `directory` is in, even if its manifest is invalid in every other respect.
    ///
    /// # Errors
    /// When there is none, or the manifest does not even say its name.
    pub fn identify(&self) -> Result<PlatformId, OpsError> {
        let manifest = manifest::find(&self.directory)?;
        match manifest::identify(&manifest) {
            Some(platform) => Ok(platform),
            None => Ok(manifest::load(&manifest)?.id),
        }
    }

    /// # Errors
    /// When the platform's state folder cannot be made.
    pub fn state(&self, platform: &PlatformId) -> Result<StateFolder, OpsError> {
        Ok(StateFolder::open(&self.state_base()?, platform)?)
    }

    /// The folder below which every platform keeps its state.
    ///
    /// # Errors
    /// When none is known.
    pub fn state_base(&self) -> Result<PathBuf, OpsError> {
        Ok(folder::base(self.state_dir.as_deref(), self.xdg_state_home.as_deref())?)
    }

    /// Nothing where no process serves the folder's platform under another name than this one, which
    /// its manifest has now.
    ///
    /// # Errors
    /// [`OpsError::Renamed`] where one does, and when one is there and does not answer.
    pub async fn check_not_renamed(&self, platform: &PlatformId) -> Result<(), OpsError> {
        let known = folder::of_worktree(&self.state_base()?, &platform.worktree);
        for earlier in known.into_iter().filter(|known| known != platform) {
            match self.client(&earlier)?.status().await {
                Ok(_) => return Err(OpsError::Renamed { runs_as: earlier.name }),
                Err(ClientError::NotRunning) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// # Errors
    /// As [`Self::state`].
    pub fn client(&self, platform: &PlatformId) -> Result<Client, OpsError> {
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

/// The services that are meant: the named ones, or all. By the manifest where it is valid; where it
/// is not, any name may be that of something that runs.
///
/// # Errors
/// When a name is none, or is not in the platform.
pub fn chosen_services(context: &Context, names: &[String]) -> Result<Chosen, OpsError> {
    match context.load() {
        Ok(platform) if names.is_empty() => Ok(Chosen::These(platform.services.into_keys().collect())),
        Ok(platform) => Ok(Chosen::These(known_services(&platform, names)?)),
        Err(_) if names.is_empty() => Ok(Chosen::All),
        Err(_) => Ok(Chosen::These(names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?)),
    }
}

/// Which services a verb is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    All,
    These(BTreeSet<ServiceName>),
}

impl Chosen {
    #[must_use]
    pub fn contains(&self, service: &ServiceName) -> bool {
        match self {
            Self::All => true,
            Self::These(services) => services.contains(service),
        }
    }
}
