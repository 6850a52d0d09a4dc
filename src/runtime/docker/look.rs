//! What an image holds at a path: modes and owners, which only a container can tell.
//!
//! The container is made, never started, and removed at once. One that a killed process left is found
//! by its label, by whoever looks next and when the platform is torn down.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Docker;
use super::errors::{reason_of, status_of};
use crate::runtime::{ImageId, PathFacts, RuntimeError, labels};

/// Marks a container that is only looked into.
const STILL: &str = "dev.msctl.still";
/// How many paths are asked for at once.
const AT_ONCE: usize = 4;
/// Enough for an entry's header with the longest name.
const HEADER: usize = 4096;

/// What was found so far; images never change.
pub(super) type Seen = HashMap<(ImageId, PathBuf), PathFacts>;

impl Docker {
    pub(super) async fn facts_of(
        &self,
        image: &ImageId,
        paths: &[PathBuf],
    ) -> Result<Vec<PathFacts>, RuntimeError> {
        let mut seen = self.seen_paths.lock().await;
        let key = |path: &PathBuf| (image.clone(), path.clone());
        let unknown: Vec<PathBuf> =
            paths.iter().filter(|path| !seen.contains_key(&key(path))).cloned().collect();
        if !unknown.is_empty() {
            let container = self.make_still(image).await?;
            let looks = stream::iter(unknown).map(|path| self.facts_in(&container, path)).buffered(AT_ONCE);
            let found: Result<Vec<(PathBuf, PathFacts)>, RuntimeError> = looks.try_collect().await;
            self.remove_still(&container).await?;
            seen.extend(found?.into_iter().map(|(path, facts)| ((image.clone(), path), facts)));
        }
        Ok(paths.iter().map(|path| seen.get(&key(path)).copied().unwrap_or(PathFacts::Other)).collect())
    }

    /// Removes what a process that was killed while looking left behind.
    pub(super) async fn remove_stills(&self) -> Result<(), RuntimeError> {
        let filter = HashMap::from([("label", vec![format!("{STILL}={}", self.platform)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let found = self.api.list_containers(Some(options)).await;
        let found = found.map_err(self.engine.failed_to("list the containers"))?;
        for id in found.into_iter().filter_map(|container| container.id) {
            self.remove_still(&id).await?;
        }
        Ok(())
    }

    async fn make_still(&self, image: &ImageId) -> Result<String, RuntimeError> {
        self.remove_stills().await?;
        // The image's own labels would make of it a change of the platform's instances.
        let hidden = [labels::PLATFORM, labels::WORKTREE].map(|key| (key.to_owned(), String::new()));
        let mark = (STILL.to_owned(), self.platform.to_string());
        let body = ContainerCreateBody {
            image: Some(image.0.clone()),
            // It is never run, and images need not say what to run.
            cmd: Some(vec!["nothing".to_owned()]),
            labels: Some(hidden.into_iter().chain([mark]).collect()),
            network_disabled: Some(true),
            ..ContainerCreateBody::default()
        };
        let made = self.api.create_container(None::<CreateContainerOptions>, body).await;
        Ok(made.map_err(self.engine.failed_to(format!("look into image {image}")))?.id)
    }

    async fn remove_still(&self, id: &str) -> Result<(), RuntimeError> {
        let options = RemoveContainerOptionsBuilder::default().v(true).force(true).build();
        match self.api.remove_container(id, Some(options)).await {
            Err(error) if matches!(status_of(&error), Some(404 | 409)) => Ok(()),
            other => other.map_err(self.engine.failed_to(format!("remove container {id}"))),
        }
    }

    async fn facts_in(&self, container: &str, path: PathBuf) -> Result<(PathBuf, PathFacts), RuntimeError> {
        let absolute = Path::new("/").join(&path).to_string_lossy().into_owned();
        let options = DownloadFromContainerOptionsBuilder::default().path(&absolute).build();
        let mut archive = std::pin::pin!(self.api.download_from_container(container, Some(options)));
        let mut head = Vec::new();
        while head.len() < HEADER {
            match archive.next().await {
                Some(Ok(bytes)) => head.extend_from_slice(&bytes),
                Some(Err(error)) if is_nothing(&error) => return Ok((path, PathFacts::Nothing)),
                Some(Err(error)) => {
                    return Err(self.engine.failed_to(format!("read {absolute} in an image"))(error));
                }
                None => break,
            }
        }
        // The rest of a folder's archive is not wanted: dropping the stream ends it.
        Ok((path, first_entry(&head).unwrap_or(PathFacts::Other)))
    }
}

fn is_nothing(error: &Error) -> bool {
    status_of(error) == Some(404) || reason_of(error).contains("not a directory")
}

/// What the first entry of an archive is; `None` where it cannot be read.
fn first_entry(archive: &[u8]) -> Option<PathFacts> {
    let mut archive = tar::Archive::new(archive);
    let entry = archive.entries().ok()?.next()?.ok()?;
    let header = entry.header();
    let kind = header.entry_type();
    if kind.is_file() {
        return Some(PathFacts::File);
    }
    if !kind.is_dir() {
        return Some(PathFacts::Other);
    }
    let owner = (header.uid().ok()?, header.gid().ok()?);
    Some(PathFacts::Folder { mode: header.mode().ok()? & 0o7777, owner })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::{EntryType, Header};

    fn entry(kind: EntryType, mode: u32) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_size(0);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, "x", std::io::empty()).unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn the_first_entry_of_an_archive_tells_what_it_is_of() {
        let folder = PathFacts::Folder { mode: 0o1777, owner: (7, 8) };
        assert_eq!(first_entry(&entry(EntryType::Directory, 0o1777)), Some(folder));
        assert_eq!(first_entry(&entry(EntryType::Regular, 0o644)), Some(PathFacts::File));
        assert_eq!(first_entry(&entry(EntryType::Symlink, 0o777)), Some(PathFacts::Other));
        assert_eq!(first_entry(b"no archive"), None);
        assert_eq!(first_entry(b""), None);
    }
}
