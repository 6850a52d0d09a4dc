//! The build context of a Dockerfile, whole or in part, as a tar archive.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use crate::model::name::ServiceName;
use crate::model::quantity::ByteSize;

use super::dockerfile::{self, BaseImage};
use super::dockerignore::{self, DockerIgnore};
use super::error::{BuildError, ByteSizeText};
use super::walk::{self, Entry, Kind};

/// Larger contexts are refused: they are held in memory, and are never meant.
const LIMIT: ByteSize = ByteSize::from_mebibytes(2048);
/// Larger contexts are remarked upon.
const LARGE: ByteSize = ByteSize::from_mebibytes(200);

/// What the engine's builder is given, and may look for.
pub struct Context {
    pub folder: PathBuf,
    pub entries: Vec<Entry>,
    /// Within the folder.
    pub dockerfile: PathBuf,
    /// Of the Dockerfile, aliases applied.
    pub text: String,
    /// The images that it builds upon, aliases applied.
    pub base_images: Vec<BaseImage>,
    /// What its author should know.
    pub remark: Option<String>,
}

pub fn collect(
    service: &ServiceName,
    folder: &Path,
    file: &Path,
    aliases: &BTreeMap<String, String>,
) -> Result<Context, BuildError> {
    let path = confine(service, folder, file)?;
    let text = std::fs::read(folder.join(&path))
        .map_err(|source| BuildError::file("read", &folder.join(&path), source))?;
    let (text, base_images) = dockerfile::apply_aliases(&String::from_utf8_lossy(&text), aliases);
    let ignored = DockerIgnore::read(folder)
        .map_err(|source| BuildError::file("read", &folder.join(dockerignore::FILE_NAME), source))?;
    let entries = walk::context(folder, ignored, vec![path.clone(), dockerignore::FILE_NAME.into()])?;
    let remark = check_size(service, folder, &entries)?;
    Ok(Context { folder: folder.to_owned(), entries, dockerfile: path, text, base_images, remark })
}

impl Context {
    /// Everything, as a tar archive.
    pub fn archive(&self) -> Result<Vec<u8>, BuildError> {
        self.pack(&self.text, &self.entries.iter().collect::<Vec<_>>())
    }

    /// What these inputs name, with another Dockerfile.
    pub fn archive_of(&self, inputs: &[String], text: &str) -> Result<Vec<u8>, BuildError> {
        let file = self.entries.iter().filter(|entry| entry.path == self.dockerfile);
        let others = self.named(inputs).into_iter().filter(|entry| entry.path != self.dockerfile);
        self.pack(text, &file.chain(others).collect::<Vec<_>>())
    }

    /// The entries that these inputs name, with the folders above them.
    pub fn named(&self, inputs: &[String]) -> Vec<&Entry> {
        let is_named = |entry: &&Entry| {
            inputs.iter().any(|path| {
                let is_above = entry.kind == Kind::Folder && Path::new(path).starts_with(&entry.path);
                is_above || entry.path.starts_with(path)
            })
        };
        self.entries.iter().filter(is_named).collect()
    }

    /// What is in a file of the context, as the builder is sent it.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.dockerfile {
            Ok(self.text.clone().into_bytes())
        } else {
            std::fs::read(self.folder.join(path))
        }
    }

    fn pack(&self, text: &str, entries: &[&Entry]) -> Result<Vec<u8>, BuildError> {
        pack(&self.folder, entries, &self.dockerfile, text.as_bytes())
            .map_err(|source| BuildError::file("pack", &self.folder, source))
    }
}

/// The Dockerfile's path within the folder, links resolved: one that leads out is refused.
fn confine(service: &ServiceName, folder: &Path, file: &Path) -> Result<PathBuf, BuildError> {
    let path = folder.join(file);
    let resolve = |path: &Path| path.canonicalize().map_err(|source| BuildError::file("read", path, source));
    let (folder, resolved) = (resolve(folder)?, resolve(&path)?);
    let inside = resolved.strip_prefix(folder).map(Path::to_owned);
    inside.map_err(|_| BuildError::DockerfileOutside { service: service.clone(), path })
}

fn check_size(service: &ServiceName, folder: &Path, entries: &[Entry]) -> Result<Option<String>, BuildError> {
    let size = entries.iter().map(|entry| match entry.kind {
        Kind::File { fingerprint, .. } => fingerprint.size,
        _ => 0,
    });
    let size: u64 = size.sum();
    if size > LIMIT.bytes() {
        let (service, folder) = (service.clone(), folder.to_owned());
        return Err(BuildError::ContextTooLarge { service, folder, size: ByteSizeText(size), limit: LIMIT });
    }
    let size_text = ByteSizeText(size);
    Ok((size > LARGE.bytes()).then(|| {
        format!(
            "warning: the build context holds {size_text}; list what the image does not need in .dockerignore"
        )
    }))
}

/// Times and owners are fixed. Links stay links: what they lead to is looked up inside the builder,
/// so nothing outside of the folder gets in.
fn pack(folder: &Path, entries: &[&Entry], dockerfile: &Path, text: &[u8]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for Entry { path, kind } in entries {
        match kind {
            Kind::Folder => {
                archive.append_data(&mut header(EntryType::Directory, 0o755, 0), path, io::empty())?;
            }
            Kind::Link { target } => {
                archive.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target)?;
            }
            Kind::File { .. } if path == dockerfile => append_file(&mut archive, path, 0o644, text)?,
            Kind::File { is_executable, .. } => {
                let content = match std::fs::read(folder.join(path)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    content => content?,
                };
                append_file(&mut archive, path, if *is_executable { 0o755 } else { 0o644 }, &content)?;
            }
        }
    }
    archive.into_inner()
}

fn append_file(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &Path,
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    archive.append_data(&mut header(EntryType::Regular, mode, content.len() as u64), path, content)
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn contents(context: &Context) -> BTreeMap<String, String> {
        let bytes = context.archive().unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            if let Some(target) = entry.link_name().unwrap() {
                text = format!("-> {}", target.display());
            }
            (entry.path().unwrap().display().to_string(), text)
        });
        entries.collect()
    }

    fn collect_from(folder: &Path, file: &str) -> Result<Context, BuildError> {
        let aliases = BTreeMap::from([("debian".to_owned(), "mirror/debian".to_owned())]);
        collect(&"order".parse().unwrap(), folder, Path::new(file), &aliases)
    }

    #[test]
    fn the_context_is_what_dockerignore_leaves_with_a_rewritten_dockerfile() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src")).unwrap();
        for (path, text) in [
            ("Dockerfile", "FROM debian\n"),
            (".dockerignore", "*\n!src"),
            ("src/main.py", "1"),
            (".env", "SECRET=1"),
        ] {
            fs::write(folder.path().join(path), text).unwrap();
        }
        let context = collect_from(folder.path(), "Dockerfile").unwrap();
        let found = contents(&context);
        assert_eq!(found.keys().collect::<Vec<_>>(), [".dockerignore", "Dockerfile", "src", "src/main.py"]);
        assert_eq!(found["Dockerfile"], "FROM mirror/debian\n");
        assert_eq!(context.base_images[0].image, "mirror/debian");
        let again = collect_from(folder.path(), "./Dockerfile").unwrap();
        assert_eq!(
            again.archive().unwrap(),
            context.archive().unwrap(),
            "the same files give the same bytes"
        );
    }

    #[test]
    fn a_part_of_the_context_is_what_is_named_with_the_folders_above_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for path in ["Dockerfile", "a/b/lock", "a/b/lock2", "a/main", "lock"] {
            fs::write(folder.path().join(path), "").unwrap();
        }
        let context = collect_from(folder.path(), "Dockerfile").unwrap();
        let named = context.named(&["a/b/lock".to_owned()]);
        let named: Vec<_> = named.into_iter().map(|entry| entry.path.to_str().unwrap()).collect();
        assert_eq!(named, ["a", "a/b", "a/b/lock"]);
        let archive = context.archive_of(&["lock".to_owned()], "FROM other").unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let paths =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
        assert_eq!(paths.collect::<Vec<_>>(), ["Dockerfile", "lock"]);
    }

    #[test]
    fn links_are_sent_as_links_and_never_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Dockerfile"), "FROM debian").unwrap();
        symlink("/etc/passwd", folder.path().join("stolen")).unwrap();
        assert_eq!(contents(&collect_from(folder.path(), "Dockerfile").unwrap())["stolen"], "-> /etc/passwd");
    }

    #[test]
    fn a_dockerfile_outside_of_the_folder_is_refused() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("Dockerfile"), "FROM debian").unwrap();
        let folder = outside.path().join("order");
        fs::create_dir(&folder).unwrap();
        symlink("../Dockerfile", folder.join("Linked")).unwrap();
        for file in ["../Dockerfile", "Linked"] {
            let refused = collect_from(&folder, file).err().unwrap();
            assert!(matches!(refused, BuildError::DockerfileOutside { .. }), "{refused}");
        }
        let missing = collect_from(&folder, "None").err().unwrap().to_string();
        assert!(missing.contains("None"), "{missing}");
    }

    #[test]
    fn a_context_of_more_than_two_gibibytes_is_refused_and_a_large_one_remarked_upon() {
        let folder = tempfile::tempdir().unwrap();
        let service = "order".parse().unwrap();
        let sparse = fs::File::create(folder.path().join("huge")).unwrap();
        let check = |size: u64| {
            sparse.set_len(size).unwrap();
            let entries = walk::context(folder.path(), DockerIgnore::parse(""), Vec::new()).unwrap();
            check_size(&service, folder.path(), &entries).map_err(|error| error.to_string())
        };
        assert_eq!(check(1 << 20), Ok(None));
        assert!(check(300 << 20).unwrap().unwrap().contains("300 MiB"));
        let error = check(3 << 30).unwrap_err();
        assert!(error.contains("3072 MiB; more than 2GiB is refused"), "{error}");
    }
}
