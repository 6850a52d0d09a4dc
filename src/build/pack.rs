//! The pack strategy: built on the host, shipped alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::name::ServiceName;

use super::archive::{self, Contents, Packed};
use super::elf::{self, Linkage};
use super::error::BuildError;
use super::place::Place;
use super::strip;

/// Where systems keep the certificates that they trust.
const CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The target triple that artifacts are built for: Linux, whatever the host is.
pub fn target() -> String {
    let libc = if cfg!(all(target_os = "linux", target_env = "gnu")) { "gnu" } else { "musl" };
    format!("{}-unknown-linux-{libc}", std::env::consts::ARCH)
}

/// Where the build command leaves its artifact.
pub fn artifact_path(folder: &Path, artifact: &str, place: &Place) -> PathBuf {
    let path = artifact.replace("${MSCTL_TARGET}", &target()).replace("$MSCTL_TARGET", &target());
    for cache in ["${MSCTL_CACHE}", "$MSCTL_CACHE"] {
        if let Some(rest) = path.strip_prefix(cache) {
            return place.cache().join(rest.trim_start_matches('/'));
        }
    }
    folder.join(path.trim_start_matches("./"))
}

/// The image, for the engine to load.
pub fn image(
    service: &ServiceName,
    artifact: &Path,
    labels: &BTreeMap<String, String>,
    tag: &str,
) -> Result<Packed, BuildError> {
    let program = fs::read(artifact).map_err(|source| BuildError::file("read", artifact, source))?;
    let architecture = check(service, artifact, &program)?;
    let program = strip::strip(program);
    let certificates = trusted_certificates();
    let certificates = certificates.as_deref();
    let name = service.as_str();
    let contents = Contents { name, program: &program, certificates, architecture, labels, tag };
    archive::docker_archive(&contents).map_err(|source| BuildError::file("pack", artifact, source))
}

/// What cannot run alone is refused here, with the reason, rather than by a container that does
/// not start.
fn check(service: &ServiceName, path: &Path, program: &[u8]) -> Result<&'static str, BuildError> {
    let (service, path) = (service.clone(), path.to_owned());
    match elf::parse(program) {
        None => Err(BuildError::ArtifactForeign { service, path }),
        Some(elf) => match elf.linkage {
            Linkage::Static => Ok(elf.architecture),
            Linkage::Dynamic { interpreter } => {
                Err(BuildError::ArtifactDynamic { service, path, interpreter })
            }
        },
    }
}

fn trusted_certificates() -> Option<Vec<u8>> {
    CERTIFICATES.iter().find_map(|path| fs::read(path).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ServiceName {
        "order".parse().unwrap()
    }

    #[test]
    fn an_artifact_is_in_the_services_folder_or_in_the_shared_cache() {
        let place = Place::new(Path::new("/root"));
        let path = |artifact: &str| artifact_path(Path::new("/root/order"), artifact, &place);
        assert_eq!(path("target/release/order"), Path::new("/root/order/target/release/order"));
        assert_eq!(path("./bin/order"), Path::new("/root/order/bin/order"));
        let cached = Path::new("/root/.msctl/cache/cargo").join(target()).join("debug/order");
        assert_eq!(path("$MSCTL_CACHE/cargo/$MSCTL_TARGET/debug/order"), cached);
        assert_eq!(path("${MSCTL_CACHE}/cargo/${MSCTL_TARGET}/debug/order"), cached);
    }

    #[test]
    fn a_dynamic_artifact_is_refused_with_a_way_out() {
        let program = elf::sample(Some("/lib64/ld-linux-x86-64.so.2"));
        let error = check(&service(), Path::new("a/order"), &program).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the artifact of order, a/order, is dynamically linked: it needs /lib64/ld-linux-x86-64.so.2, and \
             its image holds nothing but the artifact"
        );
        assert!(error.hint().unwrap().contains("+crt-static"));
    }

    #[test]
    fn a_script_is_no_artifact_and_a_static_program_is() {
        let check = |program: &[u8]| check(&service(), Path::new("order"), program);
        assert!(matches!(check(b"#!/bin/sh"), Err(BuildError::ArtifactForeign { .. })));
        assert_eq!(check(&elf::sample(None)).unwrap(), "amd64");
    }
}
