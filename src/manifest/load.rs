//! The whole way from a path to a valid platform.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::name::{PlatformId, Worktree};
use crate::model::platform::{GatewaySettings, Platform};

use super::checkout::linked_worktree;
use super::checks;
use super::discovery::{ServiceFolder, discover};
use super::error::ManifestError;
use super::find::MANIFEST_FILE;
use super::platform_file::{self, PlatformFile};
use super::problems::Problems;
use super::service_file::{self, Draft, SERVICE_FILE};
use super::source::Source;
use super::tls_settings;
use super::variables;

/// Reads `msctl.toml` at `manifest` and every `service.toml` that it names.
pub fn load(manifest: &Path) -> Result<Platform, ManifestError> {
    let unreadable = |source| ManifestError::Unreadable { path: manifest.to_owned(), source };
    let root = root_of(manifest).map_err(unreadable)?;
    let problems = Problems::default();
    let shown = manifest.file_name().unwrap_or(MANIFEST_FILE.as_ref()).into();
    let source = Source::read(manifest, shown, &problems).map_err(unreadable)?;
    let file = source.and_then(|source| platform_file::read(&source, &problems));
    let place = root.join(manifest.file_name().unwrap_or(MANIFEST_FILE.as_ref()));
    let platform = file.and_then(|file| assemble(root, place, file, &problems));
    match (problems.into_diagnostics(), platform) {
        (None, Some(platform)) => Ok(platform),
        (found, _) => Err(ManifestError::Invalid(found.unwrap_or_default())),
    }
}

fn root_of(manifest: &Path) -> std::io::Result<PathBuf> {
    std::path::absolute(manifest)?.parent().unwrap_or(Path::new("/")).canonicalize()
}

/// `None` where something is wrong that has no stand-in, which was reported.
fn assemble(root: PathBuf, manifest: PathBuf, file: PlatformFile, problems: &Problems) -> Option<Platform> {
    let folders = discover(&root, &file.services, problems);
    let expected = folders.len();
    let drafts: Vec<Draft> =
        folders.into_iter().filter_map(|folder| read_service(&root, folder, problems)).collect();
    check(&root, &file, &drafts, problems);
    if drafts.len() == expected {
        checks::calls::check_known(&drafts, problems);
    }
    let services = drafts.into_iter().map(Draft::into_spec).map(|spec| (spec.name.clone(), spec));
    Some(Platform {
        id: PlatformId { name: file.name?, worktree: worktree_of(&root) },
        checkout: linked_worktree(&root),
        gateway: GatewaySettings { tls: tls_settings::below(&root, file.gateway.tls), ..file.gateway },
        root,
        manifest,
        service_folders: file.services.into_iter().map(|pattern| pattern.value).collect(),
        auth: file.auth,
        configuration: variables::without_places(file.configuration),
        image_aliases: file.images.aliases,
        budget: file.images.budget,
        services: services.collect::<BTreeMap<_, _>>(),
    })
}

fn read_service(root: &Path, found: ServiceFolder, problems: &Problems) -> Option<Draft> {
    let shown = found.shown.join(SERVICE_FILE);
    match Source::read(&found.folder.join(SERVICE_FILE), shown.clone(), problems) {
        Ok(source) => service_file::read(&source?, root, found.folder, problems),
        Err(error) => {
            let message = format!("{:?} cannot be read: {error}", shown.display().to_string());
            problems.report(&found.named_at, message, "check that it is a file and that you may read it");
            None
        }
    }
}

fn check(root: &Path, file: &PlatformFile, drafts: &[Draft], problems: &Problems) {
    checks::names::check(drafts, problems);
    checks::routes::check(drafts, problems);
    if let Some(name) = &file.name {
        checks::routes::check_hosts(name, drafts, problems);
    }
    checks::redirects::check(drafts.iter().flat_map(|draft| &draft.routes), problems);
    checks::calls::check_self(drafts, problems);
    checks::cycles::check(drafts, problems);
    checks::shared::check(root, drafts, problems);
    checks::variables::check(&file.configuration, drafts, problems);
}

/// Two checkouts of one platform differ in nothing but where they are.
pub(super) fn worktree_of(root: &Path) -> Worktree {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let digits = format!("{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]);
    Worktree::from_hex(&digits).expect("three bytes are six hexadecimal digits")
}
