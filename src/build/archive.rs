//! An image of one program and nothing else, as a docker-archive.
//!
//! Times, owners and order are fixed, so that the same program always gives the same image.

use std::collections::BTreeMap;
use std::io;

use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::runtime::ImageId;

/// Who runs inside: never root.
const USER: u64 = 10_001;
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

pub struct Contents<'a> {
    /// The program's file name in `/app`.
    pub name: &'a str,
    pub program: &'a [u8],
    /// The certificates that TLS clients inside trust, as PEM.
    pub certificates: Option<&'a [u8]>,
    /// The engine's name for the processor.
    pub architecture: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    pub tag: &'a str,
}

/// An image that is ready to be loaded.
pub struct Packed {
    pub id: ImageId,
    /// A docker-archive.
    pub archive: Vec<u8>,
}

/// # Errors
/// None in practice: everything is written to memory.
pub fn docker_archive(contents: &Contents<'_>) -> io::Result<Packed> {
    let layer = layer(contents)?;
    let layer_digest = hexadecimal(&layer);
    let config = config(contents, &layer_digest).to_string();
    let config_digest = hexadecimal(config.as_bytes());
    let config_name = format!("{config_digest}.json");
    let layer_name = format!("{layer_digest}/layer.tar");
    let manifest = json!([{ "Config": config_name, "RepoTags": [contents.tag], "Layers": [layer_name] }]);
    let mut archive = Builder::new(Vec::with_capacity(layer.len() + 8192));
    file(&mut archive, "manifest.json", 0o644, manifest.to_string().as_bytes())?;
    file(&mut archive, &config_name, 0o644, config.as_bytes())?;
    file(&mut archive, &layer_name, 0o644, &layer)?;
    Ok(Packed { id: ImageId(format!("sha256:{config_digest}")), archive: archive.into_inner()? })
}

fn layer(contents: &Contents<'_>) -> io::Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::with_capacity(contents.program.len() + 8192));
    folder(&mut layer, "app/", 0o755, 0)?;
    file(&mut layer, &format!("app/{}", contents.name), 0o755, contents.program)?;
    folder(&mut layer, "data/", 0o700, USER)?;
    folder(&mut layer, "etc/", 0o755, 0)?;
    file(&mut layer, "etc/group", 0o644, format!("app:x:{USER}:\n").as_bytes())?;
    file(&mut layer, "etc/passwd", 0o644, format!("app:x:{USER}:{USER}::/data:/\n").as_bytes())?;
    if let Some(certificates) = contents.certificates {
        folder(&mut layer, "etc/ssl/", 0o755, 0)?;
        folder(&mut layer, "etc/ssl/certs/", 0o755, 0)?;
        file(&mut layer, CERTIFICATES, 0o644, certificates)?;
    }
    folder(&mut layer, "tmp/", 0o1777, 0)?;
    layer.into_inner()
}

fn config(contents: &Contents<'_>, layer_digest: &str) -> serde_json::Value {
    let certificates = contents.certificates.map(|_| format!("SSL_CERT_FILE=/{CERTIFICATES}"));
    let created = "1970-01-01T00:00:00Z";
    json!({
        "architecture": contents.architecture,
        "os": "linux",
        "created": created,
        "config": {
            "User": format!("{USER}:{USER}"),
            "Entrypoint": [format!("/app/{}", contents.name)],
            "Env": certificates.into_iter().collect::<Vec<_>>(),
            "Labels": contents.labels,
            "WorkingDir": "/app",
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
        "history": [{ "created": created, "created_by": "msctl" }],
    })
}

fn folder(archive: &mut Builder<Vec<u8>>, path: &str, mode: u32, owner: u64) -> io::Result<()> {
    let mut header = header(mode, 0);
    header.set_entry_type(EntryType::Directory);
    header.set_uid(owner);
    header.set_gid(owner);
    archive.append_data(&mut header, path, io::empty())
}

fn file(archive: &mut Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut header = header(mode, content.len() as u64);
    header.set_entry_type(EntryType::Regular);
    archive.append_data(&mut header, path, content)
}

fn header(mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn hexadecimal(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn archive(program: &[u8]) -> Vec<u8> {
        let labels = BTreeMap::from([("dev.msctl.service".to_owned(), "order".to_owned())]);
        let contents = Contents {
            name: "order",
            program,
            certificates: Some(b"PEM"),
            architecture: "amd64",
            labels: &labels,
            tag: "msctl/store-3fa9c1/order:0123",
        };
        docker_archive(&contents).unwrap().archive
    }

    fn entries(archive: &[u8]) -> BTreeMap<String, (Header, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), (entry.header().clone(), content))
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn the_same_program_gives_the_same_bytes_and_another_does_not() {
        assert_eq!(archive(b"one"), archive(b"one"));
        assert_ne!(archive(b"one"), archive(b"two"));
    }

    #[test]
    fn the_manifest_names_a_config_and_a_layer_by_their_digests() {
        let entries = entries(&archive(b"program"));
        let manifest: serde_json::Value = serde_json::from_slice(&entries["manifest.json"].1).unwrap();
        let config_name = manifest[0]["Config"].as_str().unwrap();
        let config = &entries[config_name].1;
        assert_eq!(format!("{}.json", hexadecimal(config)), config_name);
        let config: serde_json::Value = serde_json::from_slice(config).unwrap();
        let layer = &entries[manifest[0]["Layers"][0].as_str().unwrap()].1;
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hexadecimal(layer)));
        assert_eq!(config["config"]["User"], "10001:10001");
        assert_eq!(config["config"]["Entrypoint"][0], "/app/order");
    }

    #[test]
    fn the_layer_holds_the_program_and_a_private_data_folder_of_its_user() {
        let archive = entries(&archive(b"program"));
        let layer = archive.iter().find(|(path, _)| path.ends_with("layer.tar")).unwrap();
        let layer = entries(&layer.1.1);
        assert_eq!(layer["app/order"].1, b"program");
        assert_eq!(layer["app/order"].0.mode().unwrap(), 0o755);
        let data = &layer["data/"].0;
        assert_eq!((data.mode().unwrap(), data.uid().unwrap(), data.gid().unwrap()), (0o700, 10_001, 10_001));
        assert_eq!(layer["tmp/"].0.mode().unwrap(), 0o1777);
        assert_eq!(layer[CERTIFICATES].1, b"PEM");
        assert!(layer.values().all(|(header, _)| header.mtime().unwrap() == 0));
    }
}
