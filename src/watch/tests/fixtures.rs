//! Platforms to watch.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::platform::{Build, EnvFile, Platform, ServiceSpec};
use crate::model::testing;

pub fn platform(root: &Path, patterns: &[&str], services: impl IntoIterator<Item = ServiceSpec>) -> Platform {
    Platform {
        root: root.to_owned(),
        manifest: root.join("msctl.toml"),
        service_folders: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..testing::platform(services)
    }
}

/// Built by a command that leaves `app` in the service's folder.
pub fn service(name: &str, folder: &Path) -> ServiceSpec {
    let build = Build::Pack { command: "make".to_owned(), artifact: "app".to_owned() };
    ServiceSpec { folder: folder.to_owned(), build, ..testing::service(name, &[]) }
}

/// Built from this folder, too.
pub fn sharing(mut service: ServiceSpec, folder: &Path) -> ServiceSpec {
    service.shared.insert(folder.to_owned());
    service
}

/// With variables from this file.
pub fn given(mut service: ServiceSpec, file: &Path) -> ServiceSpec {
    let (shown, paths) = (file.to_owned(), [file.to_owned()].into());
    service.env_files.push(EnvFile { shown, paths, variables: BTreeMap::new() });
    service
}
