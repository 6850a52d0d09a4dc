//! Where the files of a template come from: the program itself, or a folder of the user's.
//!
//! A folder is somebody else's input. Symbolic links in it are refused, not followed, so a template
//! cannot carry away the files they point to; so is everything else that is not a plain file.

use std::fs;
use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;

use super::error::ScaffoldError;

/// The largest template, in bytes: text, not a place to ship programs.
const MAX_TEMPLATE_BYTES: u64 = 16 * 1024 * 1024;

/// What builds and package managers leave in a folder that somebody works in.
const LEFT_OUT: [&str; 6] = [".git", ".venv", "__pycache__", "dist", "node_modules", "target"];

/// One file of a template.
#[derive(Debug, Clone)]
pub(super) struct SourceFile {
    /// Relative to the template's folder, with `/` between the parts.
    pub path: String,
    pub contents: Vec<u8>,
}

impl SourceFile {
    pub fn new(path: &str, contents: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), contents: contents.into() }
    }
}

#[derive(RustEmbed)]
#[folder = "templates/"]
#[exclude = "*/node_modules/*"]
#[exclude = "*/target/*"]
#[exclude = "*/.venv/*"]
#[exclude = "*/__pycache__/*"]
#[exclude = "*/dist/*"]
struct BuiltIn;

/// The built-in templates: folder name and files of each.
pub(super) fn read_built_in() -> Vec<(String, Vec<SourceFile>)> {
    let mut templates: Vec<(String, Vec<SourceFile>)> = Vec::new();
    let mut paths: Vec<_> = BuiltIn::iter().collect();
    paths.sort();
    for path in paths {
        let Some(((folder, rest), file)) = path.split_once('/').zip(BuiltIn::get(&path)) else {
            continue;
        };
        let file = SourceFile::new(rest, file.data);
        match templates.last_mut().filter(|(name, _)| name == folder) {
            Some((_, files)) => files.push(file),
            None => templates.push((folder.to_owned(), vec![file])),
        }
    }
    templates
}

/// Every file below `folder`, refusing what is not a plain file.
pub(super) fn read_folder(folder: &Path) -> Result<Vec<SourceFile>, ScaffoldError> {
    let mut reading = Reading { root: folder.to_owned(), files: Vec::new(), bytes: 0 };
    reading.read_folder(folder)?;
    Ok(reading.files)
}

struct Reading {
    root: PathBuf,
    files: Vec<SourceFile>,
    bytes: u64,
}

impl Reading {
    fn read_folder(&mut self, folder: &Path) -> Result<(), ScaffoldError> {
        let entries = fs::read_dir(folder).map_err(|source| ScaffoldError::read(folder, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| ScaffoldError::read(folder, source))?;
            self.read_entry(&entry)?;
        }
        Ok(())
    }

    fn read_entry(&mut self, entry: &fs::DirEntry) -> Result<(), ScaffoldError> {
        let path = entry.path();
        // Unlike `Path::metadata`, this looks at the link itself.
        let kind = entry.file_type().map_err(|source| ScaffoldError::read(&path, source))?;
        let left_out = kind.is_dir() && LEFT_OUT.iter().any(|name| entry.file_name() == *name);
        match () {
            () if left_out => Ok(()),
            () if kind.is_dir() => self.read_folder(&path),
            () if kind.is_file() => self.read_file(&path),
            () if kind.is_symlink() => {
                Err(self.refuse(&path, "is a symbolic link; put a copy of the file there"))
            }
            () => Err(self.refuse(&path, "is not a plain file")),
        }
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ScaffoldError> {
        let failed = |source| ScaffoldError::read(path, source);
        self.bytes += path.metadata().map_err(failed)?.len();
        if self.bytes > MAX_TEMPLATE_BYTES {
            return Err(self.refuse(path, "makes the template larger than 16 MiB"));
        }
        let relative = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
        let Some(relative) = relative else {
            return Err(self.refuse(path, "has a name that is not UTF-8"));
        };
        self.files.push(SourceFile::new(relative, fs::read(path).map_err(failed)?));
        Ok(())
    }

    fn refuse(&self, path: &Path, fault: &str) -> ScaffoldError {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        ScaffoldError::NotATemplate {
            path: self.root.display().to_string(),
            reason: format!("{} {fault}", relative.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        folder
    }

    #[test]
    fn what_builds_leave_behind_is_left_out() {
        let folder = folder_with(&[
            "a.txt",
            "src/b.txt",
            "target/x",
            "web/node_modules/y",
            ".git/config",
            ".gitignore",
        ]);
        let mut paths: Vec<_> =
            read_folder(folder.path()).unwrap().into_iter().map(|file| file.path).collect();
        paths.sort();
        assert_eq!(paths, [".gitignore", "a.txt", "src/b.txt"]);
    }

    #[test]
    fn a_symbolic_link_is_refused_and_never_read() {
        for target in ["/etc/hostname", "a.txt", "nowhere", "."] {
            let folder = folder_with(&["a.txt"]);
            symlink(target, folder.path().join("creds")).unwrap();
            let error = read_folder(folder.path()).unwrap_err().to_string();
            assert!(error.ends_with("creds is a symbolic link; put a copy of the file there"), "{error}");
        }
    }

    #[test]
    fn what_is_not_a_plain_file_is_refused() {
        let folder = folder_with(&["a.txt"]);
        let _listener = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let error = read_folder(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("socket is not a plain file"), "{error}");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = read_folder(Path::new("no/such/folder")).unwrap_err().to_string();
        assert_eq!(error, "read the template at no/such/folder: No such file or directory (os error 2)");
    }
}
