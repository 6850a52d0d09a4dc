//! Starting, stopping and removing containers.

use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum as State, VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
};

use super::Docker;
use super::errors::{connection_fault, reason_of, status_of};
use super::specification::{self, container_name, volume_name, whole_seconds};
use crate::model::instance::{InstanceName, InstanceSpec, Program, Storage};
use crate::runtime::{RuntimeError, RuntimeKind, StopOutcome, labels};

/// How a container that the engine is already removing is waited for: five seconds.
const REMOVAL_ATTEMPTS: u32 = 50;
const REMOVAL_PAUSE: Duration = Duration::from_millis(100);
/// The exit code of a program that SIGKILL ended.
const KILLED: i64 = 128 + 9;

/// What has become of a name that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cleared {
    Free,
    RunsAsWanted,
}

impl Docker {
    /// Two requests in the usual case: whatever else is needed was learned before, or is done only
    /// when the engine objects.
    pub(super) async fn launch_container(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        let Program::Image { reference } = &spec.program else {
            return Err(RuntimeError::Unsupported {
                kind: RuntimeKind::Docker,
                what: "run local commands; give the service an image",
            });
        };
        let network = self.shared_network().await?;
        let user = self.image_user(reference).await?;
        if let Some(storage) = &spec.storage {
            self.make_volume(storage).await?;
        }
        let body = specification::container(spec, reference, &user, &network);
        let Some(id) = self.create(spec, reference, body).await? else { return Ok(()) };
        if let Err(error) = self.api.start_container(&id, None::<StartContainerOptions>).await {
            // The failure is the news; what removing the remains says is not.
            let _ = self.remove_by_id(&id, Force::Yes).await;
            return Err(self.start_failure(&spec.name, reference, error).await);
        }
        Ok(())
    }

    /// `None`: it runs already. A request of a process that has died may still have been on its way.
    async fn create(
        &self,
        spec: &InstanceSpec,
        image: &str,
        body: ContainerCreateBody,
    ) -> Result<Option<String>, RuntimeError> {
        let name = container_name(&self.platform, &spec.name);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let mut created = self.api.create_container(Some(options.clone()), body.clone()).await;
        if created.as_ref().err().and_then(status_of) == Some(409) {
            if self.clear_name(spec, &name).await? == Cleared::RunsAsWanted {
                return Ok(None);
            }
            created = self.api.create_container(Some(options), body).await;
        }
        match created {
            Ok(created) => Ok(Some(created.id)),
            Err(error) => Err(self.create_failure(&name, image, error).await),
        }
    }

    /// Clears a name for a new container, if what has it is ours and of no use any more: it does not
    /// run, or runs where nobody can reach it.
    async fn clear_name(&self, spec: &InstanceSpec, name: &str) -> Result<Cleared, RuntimeError> {
        let inspected = match self.api.inspect_container(name, None::<InspectContainerOptions>).await {
            Err(error) if status_of(&error) == Some(404) => return Ok(Cleared::Free),
            other => other.map_err(self.engine.failed_to(format!("inspect container {name}")))?,
        };
        let refused = |reason: &str| RuntimeError::Refused {
            what: format!("create container {name}"),
            reason: reason.to_owned(),
        };
        let found = inspected.config.and_then(|config| config.labels).unwrap_or_default();
        // Containers inherit the labels of their image, so the platform's alone prove nothing.
        let of_name = labels_of_name(&spec.name);
        if !self.is_ours(&found) || of_name.iter().any(|(key, value)| found.get(key) != Some(value)) {
            return Err(refused(
                "a container of that name exists that msctl did not make; rename or remove it",
            ));
        }
        let id = inspected.id.unwrap_or_else(|| name.to_owned());
        if inspected.state.and_then(|state| state.running) != Some(true) {
            return self.remove_until_gone(&id).await.map(|()| Cleared::Free);
        }
        let networks = inspected.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        if networks.contains_key(&self.network_name()) {
            let is_wanted = found.get(labels::SPEC) == Some(&spec.hash.0);
            let other = "another version of it is running already";
            return if is_wanted { Ok(Cleared::RunsAsWanted) } else { Err(refused(other)) };
        }
        let removed = self.remove_by_id(&id, Force::Yes).await;
        removed.map_err(self.engine.failed_to(format!("remove container {name}, which nobody can reach")))?;
        Ok(Cleared::Free)
    }

    async fn create_failure(&self, name: &str, image: &str, error: Error) -> RuntimeError {
        let missing = status_of(&error) == Some(404) && !self.has_image(image).await.unwrap_or(true);
        if missing {
            self.image_users.lock().await.remove(image);
            let reason = "it is gone from the engine".to_owned();
            return RuntimeError::ImageMissing { reference: image.to_owned(), reason };
        }
        self.engine.failed_to(format!("create container {name}"))(error)
    }

    async fn start_failure(&self, instance: &InstanceName, image: &str, error: Error) -> RuntimeError {
        if status_of(&error) == Some(404) {
            // The network it was to join is gone: find or make it again at the next attempt.
            self.forget_network().await;
        }
        let reason = reason_of(&error);
        if connection_fault(&error).is_none() && is_the_programs_fault(status_of(&error), &reason) {
            return RuntimeError::CannotRun { program: format!("image {image}"), reason: plain(&reason) };
        }
        self.engine.failed_to(format!("start container {}", container_name(&self.platform, instance)))(error)
    }

    async fn make_volume(&self, storage: &Storage) -> Result<(), RuntimeError> {
        let name = volume_name(&self.platform, storage);
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(labels::of_platform(&self.platform).into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        let made = self.api.create_volume(request).await;
        let volume = made.map_err(self.engine.failed_to(format!("create volume {name}")))?;
        if self.is_ours(&volume.labels) {
            return Ok(());
        }
        Err(RuntimeError::Refused {
            what: format!("use volume {name}"),
            reason: "a volume of that name exists that msctl did not make; rename or remove it".to_owned(),
        })
    }

    pub(super) async fn stop_container(
        &self,
        instance: &InstanceName,
        grace: Duration,
    ) -> Result<StopOutcome, RuntimeError> {
        let found = self.find(instance).await?;
        let is_paused = found.as_ref().is_some_and(|container| container.state == Some(State::PAUSED));
        let Some(id) = found.and_then(|container| container.id) else {
            return Ok(StopOutcome::Stopped);
        };
        if is_paused {
            // A paused process hears no signal, and the engine does not even try.
            let unpaused = self.api.unpause_container(&id).await;
            unpaused.map_err(self.engine.failed_to(format!("unpause instance {instance}")))?;
        }
        let options = StopContainerOptionsBuilder::default().t(whole_seconds(grace)).build();
        let asked = Instant::now();
        match self.patient(grace).stop_container(&id, Some(options)).await {
            Err(error) if status_of(&error) == Some(404) => return Ok(StopOutcome::Stopped),
            other => other.map_err(self.engine.failed_to(format!("stop instance {instance}")))?,
        }
        let took = asked.elapsed();
        let code = self.exit_code_of(&id).await?;
        let killed = took >= grace && code == Some(KILLED);
        Ok(if killed { StopOutcome::Killed } else { StopOutcome::Stopped })
    }

    /// Also waits until the engine's list of containers shows the end: it lags behind for a moment,
    /// and who removes or observes next would be told that the instance still runs.
    async fn exit_code_of(&self, id: &str) -> Result<Option<i64>, RuntimeError> {
        match self.api.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(found.state.and_then(|state| state.exit_code)),
            Err(error) if status_of(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.engine.failed_to(format!("inspect container {id}"))(error)),
        }
    }

    pub(super) async fn remove_container(&self, instance: &InstanceName) -> Result<(), RuntimeError> {
        match self.find(instance).await? {
            None => Ok(()),
            Some(container) if matches!(container.state, Some(State::RUNNING | State::PAUSED)) => {
                Err(RuntimeError::Refused {
                    what: format!("remove instance {instance}"),
                    reason: "it is still running; stop it first".to_owned(),
                })
            }
            Some(container) => self.remove_until_gone(&container.id.unwrap_or_default()).await,
        }
    }

    /// Removes what does not run. Where the engine is busy with it already, waits until it is gone;
    /// where it is stuck, insists once.
    async fn remove_until_gone(&self, id: &str) -> Result<(), RuntimeError> {
        for _ in 0..REMOVAL_ATTEMPTS {
            match self.remove_by_id(id, Force::No).await {
                Err(error) if status_of(&error) == Some(409) => tokio::time::sleep(REMOVAL_PAUSE).await,
                other => return other.map_err(self.engine.failed_to(format!("remove container {id}"))),
            }
        }
        let insisted = self.remove_by_id(id, Force::Yes).await;
        insisted.map_err(self.engine.failed_to(format!("remove container {id}, which is stuck")))
    }

    /// Removes a container and the volumes that only it had; one that is gone is fine.
    async fn remove_by_id(&self, id: &str, force: Force) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::default().v(true).force(force == Force::Yes).build();
        match self.api.remove_container(id, Some(options)).await {
            Err(error) if status_of(&error) == Some(404) => Ok(()),
            other => other,
        }
    }

    /// The container of an instance, by its labels.
    pub(super) async fn find(
        &self,
        instance: &InstanceName,
    ) -> Result<Option<ContainerSummary>, RuntimeError> {
        let filter = self.ours(labels_of_name(instance));
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let found = self.api.list_containers(Some(options)).await;
        let found = found.map_err(self.engine.failed_to(format!("find instance {instance}")))?;
        Ok(found.into_iter().next())
    }

    /// The container of an instance, by its labels.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchInstance`]
    pub(super) async fn existing(&self, instance: &InstanceName) -> Result<ContainerSummary, RuntimeError> {
        let found = self.find(instance).await?;
        found.ok_or_else(|| RuntimeError::NoSuchInstance(instance.clone()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Force {
    Yes,
    No,
}

/// Those of an instance's labels that its name is made of.
fn labels_of_name(instance: &InstanceName) -> Vec<(String, String)> {
    vec![
        (labels::SERVICE.to_owned(), instance.service.to_string()),
        (labels::GENERATION.to_owned(), instance.generation.number().to_string()),
        (labels::REPLICA.to_owned(), instance.replica.to_string()),
    ]
}

/// Whether a start failed for what the image says is to be run, rather than for the engine's state.
fn is_the_programs_fault(status: Option<u16>, reason: &str) -> bool {
    status == Some(400) || reason.contains("exec: ") || reason.contains("executable")
}

/// The part of a container runtime's message that is about the program: the rest names its source
/// lines.
fn plain(reason: &str) -> String {
    let start = reason.find("exec: ").unwrap_or(0);
    reason[start..].trim_end_matches(": unknown").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_failed_start_the_part_about_the_program_is_shown() {
        let told = "OCI runtime create failed: container_linux.go:380: starting container process caused: \
                    exec: \"/nope\": stat /nope: no such file or directory: unknown";
        assert!(is_the_programs_fault(Some(500), told));
        assert_eq!(plain(told), "exec: \"/nope\": stat /nope: no such file or directory");
        assert_eq!(plain("no such device"), "no such device");
    }
}
