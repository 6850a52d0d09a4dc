//! Making an image out of one that the engine has, by sending it nothing but what is new.
//!
//! A docker-archive names all the layers of its images. Docker reads only those that it does not
//! have, so that the others need not be in the archive. Engines that want them all the same refuse,
//! and are not asked again.

use std::io;
use std::sync::atomic::Ordering;

use bollard::models::ImageInspect;
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, Header};

use super::Docker;
use crate::runtime::{Extension, ImageId, Images, RuntimeError, RuntimeKind};

const CREATED: &str = "1970-01-01T00:00:00Z";

impl Docker {
    pub(super) async fn extend_image(&self, request: Extension) -> Result<ImageId, RuntimeError> {
        if !self.takes_parts() {
            return Err(UNSUPPORTED);
        }
        let base = self.api.inspect_image(&request.base.0).await;
        let base = base.map_err(self.engine.failed_to(format!("inspect image {}", request.base)))?;
        let refused = |error: io::Error| RuntimeError::Refused {
            what: "pack an image".to_owned(),
            reason: error.to_string(),
        };
        let (tag, id_of_base) = (request.tag.clone(), request.base.clone());
        let packed = tokio::task::spawn_blocking(move || pack(base, request)).await;
        let (id, archive) = packed.expect("packing neither panics nor is aborted").map_err(refused)?;
        match self.load(archive).await {
            Err(error) if error.is_unreachable() => return Err(error),
            Ok(()) if self.has_image(&id.0).await? => {
                // Loading names it as well, but the engine does not note when.
                self.name(&id, &tag).await?;
                return Ok(id);
            }
            // A full disk refuses whole images, too.
            Err(error) if error.to_string().contains("no space left") => return Err(error),
            Err(error) => tracing::info!(%error, "the engine does not take images in parts"),
            Ok(()) => tracing::info!("the engine took an image in parts and does not have it"),
        }
        // Where what it should build upon was removed meanwhile, that was all.
        if self.has_image(&id_of_base.0).await? {
            self.refuses_parts.store(true, Ordering::Relaxed);
        }
        Err(UNSUPPORTED)
    }
}

const UNSUPPORTED: RuntimeError =
    RuntimeError::Unsupported { kind: RuntimeKind::Docker, what: "take images in parts from this engine" };

/// The image's id, and an archive of what the engine does not have of it.
fn pack(base: ImageInspect, request: Extension) -> io::Result<(ImageId, Vec<u8>)> {
    let below = base.root_fs.as_ref().and_then(|root| root.layers.clone()).unwrap_or_default();
    let added: Vec<(String, Vec<u8>)> =
        request.layers.into_iter().map(|layer| (hex(&layer), layer)).collect();
    let diff_ids: Vec<String> =
        below.into_iter().chain(added.iter().map(|(digest, _)| format!("sha256:{digest}"))).collect();
    let config = config(base, &request.labels, &diff_ids)?.to_string();
    let digest = hex(config.as_bytes());
    let layer_name = |diff_id: &String| format!("{}/layer.tar", diff_id.trim_start_matches("sha256:"));
    let layers: Vec<String> = diff_ids.iter().map(layer_name).collect();
    let manifest =
        json!([{ "Config": format!("{digest}.json"), "RepoTags": [request.tag], "Layers": layers }]);
    let mut archive = Builder::new(Vec::new());
    append(&mut archive, "manifest.json", manifest.to_string().as_bytes())?;
    append(&mut archive, &format!("{digest}.json"), config.as_bytes())?;
    for (digest, layer) in &added {
        append(&mut archive, &format!("{digest}/layer.tar"), layer)?;
    }
    Ok((ImageId(format!("sha256:{digest}")), archive.into_inner()?))
}

/// Nothing in it depends on when it is made. The keys of what serialises come sorted.
fn config(
    base: ImageInspect,
    labels: &std::collections::BTreeMap<String, String>,
    diff_ids: &[String],
) -> io::Result<serde_json::Value> {
    let mut settings = serde_json::to_value(base.config.unwrap_or_default()).map_err(io::Error::other)?;
    settings["Labels"] = json!(labels);
    let history: Vec<_> =
        diff_ids.iter().map(|_| json!({ "created": CREATED, "created_by": "msctl" })).collect();
    let mut config = json!({
        "architecture": base.architecture,
        "os": base.os,
        "created": CREATED,
        "config": settings,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    });
    for (key, value) in [("variant", base.variant), ("author", base.author)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            config[key] = value.into();
        }
    }
    Ok(config)
}

fn append(archive: &mut Builder<Vec<u8>>, path: &str, content: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, path, content)
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use bollard::models::{ImageConfig, ImageInspectRootFs};

    fn base() -> ImageInspect {
        let config = ImageConfig {
            cmd: Some(vec!["serve".to_owned()]),
            exposed_ports: Some(["80/tcp", "81/tcp", "82/tcp"].map(str::to_owned).to_vec()),
            labels: Some([("of".to_owned(), "the base".to_owned())].into()),
            ..ImageConfig::default()
        };
        let root_fs =
            ImageInspectRootFs { typ: "layers".to_owned(), layers: Some(vec!["sha256:aa".to_owned()]) };
        ImageInspect {
            config: Some(config),
            root_fs: Some(root_fs),
            architecture: Some("amd64".to_owned()),
            os: Some("linux".to_owned()),
            variant: Some(String::new()),
            ..ImageInspect::default()
        }
    }

    fn packed(layer: &[u8]) -> (ImageId, Vec<u8>) {
        let request = Extension {
            base: ImageId("sha256:base".to_owned()),
            layers: vec![layer.to_vec()],
            labels: BTreeMap::from([("of".to_owned(), "ours".to_owned())]),
            tag: "order:1".to_owned(),
        };
        pack(base(), request).unwrap()
    }

    #[test]
    fn the_same_content_gives_the_same_bytes_and_another_does_not() {
        assert_eq!(packed(b"one"), packed(b"one"));
        assert_ne!(packed(b"one").0, packed(b"two").0);
    }

    #[test]
    fn all_layers_are_named_and_only_new_ones_are_there() {
        let (id, archive) = packed(b"one");
        let mut archive = tar::Archive::new(archive.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            io::Read::read_to_end(&mut entry, &mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        let entries: BTreeMap<String, Vec<u8>> = entries.collect();
        let config_name = format!("{}.json", id.0.trim_start_matches("sha256:"));
        let layer_name = format!("{}/layer.tar", hex(b"one"));
        assert_eq!(entries.len(), 3);
        let manifest: serde_json::Value = serde_json::from_slice(&entries["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["Layers"], json!(["aa/layer.tar", layer_name]));
        let config: serde_json::Value = serde_json::from_slice(&entries[&config_name]).unwrap();
        assert_eq!(config["config"]["Cmd"], json!(["serve"]));
        assert_eq!(config["config"]["Labels"], json!({ "of": "ours" }));
        assert_eq!(config["config"]["ExposedPorts"], json!({ "80/tcp": {}, "81/tcp": {}, "82/tcp": {} }));
        assert!(config.get("variant").is_none());
    }
}
