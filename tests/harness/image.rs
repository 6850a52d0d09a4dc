//! Images made in the test: there is no registry to get one from.

use std::io::Write;

use sha2::{Digest, Sha256};

use super::responder::responder;

/// An image with nothing in it but the responder at `/responder` and an empty `/data`.
pub struct TestImage<'a> {
    pub tag: &'a str,
    pub labels: Vec<(String, String)>,
    /// The user that it asks for; empty for root.
    pub user: &'a str,
    /// What it runs.
    pub entrypoint: &'a str,
}

impl TestImage<'_> {
    /// A docker-archive, as `docker save` makes it.
    pub fn archive(&self) -> Vec<u8> {
        let layer = layer();
        let layer_digest = hex(&layer);
        let config = serde_json::json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {
                "Entrypoint": [self.entrypoint],
                "User": self.user,
                "Labels": self.labels.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
        })
        .to_string()
        .into_bytes();
        let config_name = format!("{}.json", hex(&config));
        let layer_name = format!("{layer_digest}/layer.tar");
        let manifest = serde_json::json!([
            { "Config": config_name, "RepoTags": [self.tag], "Layers": [layer_name] }
        ])
        .to_string();
        let files = [(config_name, config), (layer_name, layer), ("manifest.json".into(), manifest.into())];
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in files {
            append(&mut archive, &name, 0o644, &content);
        }
        archive.into_inner().expect("memory can be written")
    }
}

/// A build context: a Dockerfile, and the responder to copy.
pub fn context(dockerfile: &str) -> Vec<u8> {
    let mut context = tar::Builder::new(Vec::new());
    append(&mut context, "Dockerfile", 0o644, dockerfile.as_bytes());
    append(&mut context, "responder", 0o755, &program());
    context.into_inner().expect("memory can be written")
}

fn layer() -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, "responder", 0o755, &program());
    let mut data = header(0o755, 0);
    data.set_entry_type(tar::EntryType::Directory);
    data.set_uid(10001);
    data.set_gid(10001);
    layer.append_data(&mut data, "data/", std::io::empty()).expect("memory can be written");
    layer.into_inner().expect("memory can be written")
}

fn program() -> Vec<u8> {
    std::fs::read(responder()).expect("the responder was just built")
}

fn append(archive: &mut tar::Builder<impl Write>, path: &str, mode: u32, content: &[u8]) {
    let mut header = header(mode, content.len());
    archive.append_data(&mut header, path, content).expect("memory can be written");
}

fn header(mode: u32, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size as u64);
    header
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("memory can be written");
        digits
    })
}
