//! Which git worktree a platform is in: told by the files that git leaves, without running it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::name::CheckoutName;

/// Says where a worktree's own files are: `gitdir: <path>` (gitrepository-layout(5)).
const POINTER: &str = "gitdir:";
/// A pointer is one path.
const LONGEST_POINTER: u64 = 8 * 1024;

/// The name of the linked worktree that `root` is in; `None` in a main checkout, in a submodule, and
/// outside of git.
#[must_use]
pub fn linked_worktree(root: &Path) -> Option<CheckoutName> {
    let pointer = root.ancestors().map(|folder| folder.join(".git")).find(|path| path.exists())?;
    let folder = pointed(&pointer)?;
    let is_linked = folder.parent().and_then(Path::file_name) == Some(OsStr::new("worktrees"));
    // Somebody's repository in a folder of that name lacks it. One that is gone, or out of reach from
    // in here, is believed by its name.
    let shares = !folder.is_dir() || folder.join("commondir").is_file();
    if !is_linked || !shares {
        return None;
    }
    CheckoutName::of(&folder.file_name()?.to_string_lossy())
}

/// `None` where it is a folder: the repository itself.
fn pointed(pointer: &Path) -> Option<PathBuf> {
    let metadata = fs::metadata(pointer).ok()?;
    if !metadata.is_file() || metadata.len() > LONGEST_POINTER {
        return None;
    }
    let text = fs::read_to_string(pointer).ok()?;
    let path = text.lines().next()?.strip_prefix(POINTER)?.trim();
    // It may be relative to the worktree.
    Some(pointer.parent()?.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene(tempfile::TempDir);

    impl Scene {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        /// A checkout whose `.git` says this.
        fn points(&self, checkout: &str, text: &str) {
            fs::create_dir_all(self.path(checkout)).unwrap();
            fs::write(self.path(checkout).join(".git"), text).unwrap();
        }

        /// What git keeps of a linked worktree.
        fn keeps(&self, folder: &str) {
            fs::create_dir_all(self.path(folder)).unwrap();
            fs::write(self.path(folder).join("commondir"), "../..\n").unwrap();
        }

        fn name(&self, root: &str) -> Option<String> {
            fs::create_dir_all(self.path(root)).unwrap();
            linked_worktree(&self.path(root)).map(|name| name.to_string())
        }
    }

    #[test]
    fn a_linked_worktree_has_its_name_wherever_the_platform_is_in_it() {
        let scene = Scene::new();
        scene.keeps("main/.git/worktrees/feature-x");
        scene.points("wt", &format!("gitdir: {}\n", scene.path("main/.git/worktrees/feature-x").display()));
        assert_eq!(scene.name("wt"), Some("feature-x".to_owned()));
        assert_eq!(scene.name("wt/deploy/local"), Some("feature-x".to_owned()));
        scene.points("relative", "gitdir: ../main/.git/worktrees/feature-x");
        assert_eq!(scene.name("relative"), Some("feature-x".to_owned()));
    }

    #[test]
    fn a_main_checkout_and_what_is_nobodys_have_none() {
        let scene = Scene::new();
        fs::create_dir_all(scene.path("main/.git")).unwrap();
        assert_eq!(scene.name("main/platform"), None);
        for text in ["", "gitdir: ", "gitdir: /", "something else", "\u{0}"] {
            scene.points("odd", text);
            assert_eq!(scene.name("odd"), None, "{text:?}");
        }
        fs::write(scene.path("odd/.git"), vec![b'g'; 100_000]).unwrap();
        assert_eq!(scene.name("odd"), None);
    }

    #[test]
    fn a_submodule_and_a_repository_that_is_kept_apart_are_no_worktrees() {
        let scene = Scene::new();
        fs::create_dir_all(scene.path("main/.git/modules/sub")).unwrap();
        scene.points("main/sub", "gitdir: ../.git/modules/sub");
        assert_eq!(scene.name("main/sub"), None);
        fs::create_dir_all(scene.path("worktrees/kept-apart")).unwrap();
        scene.points("apart", "gitdir: ../worktrees/kept-apart");
        assert_eq!(scene.name("apart"), None);
    }

    #[test]
    fn a_worktree_whose_repository_is_out_of_reach_keeps_its_name() {
        let scene = Scene::new();
        scene.points("wt", "gitdir: /gone/store/.git/worktrees/Feature_2\n");
        assert_eq!(scene.name("wt"), Some("feature-2".to_owned()));
    }
}
