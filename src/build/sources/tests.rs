use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Git, Sources};
use crate::model::platform::Build;

/// A platform's folder with a service's, `order`, in it.
fn folder(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join("order").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let folder = root.path().join("order");
    (root, folder)
}

/// Which of the paths are of concern, each asked for by itself.
fn concerned(sources: &Sources, folder: &Path, paths: &[&str]) -> Vec<String> {
    let concerned = paths.iter().filter(|path| sources.concern(&folder.join(path)));
    concerned.map(|path| (*path).to_owned()).collect()
}

#[test]
fn a_dockerfile_and_the_rules_are_of_concern_even_where_the_rules_leave_them_out() {
    let ignored = "*\n!src\n";
    let files = [(".dockerignore", ignored), ("docker/Dockerfile", ""), ("src/a.py", ""), ("README.md", "")];
    let (root, folder) = folder(&files);
    let build = Build::Dockerfile { file: "docker/Dockerfile".into() };
    let sources = Sources::of_build(&build, &folder, root.path(), Git::Heeded).unwrap();
    let paths =
        ["src/a.py", "docker/Dockerfile", ".dockerignore", "src/.gitignore", "README.md", "service.toml"];
    assert_eq!(concerned(&sources, &folder, &paths), &paths[..4]);

    let folders = sources.folders().unwrap();
    assert!(["", "src", "docker"].iter().all(|name| folders.contains(&folder.join(name))), "{folders:?}");
    fs::rename(folder.join("docker"), folder.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.join("docker")).unwrap();
    assert!(!sources.folders().unwrap().contains(&folder.join("docker")), "a link is not entered");

    let look: Vec<_> = sources.look().unwrap().into_keys().filter(|path| path.is_file()).collect();
    assert_eq!(look, [folder.join("docker/Dockerfile"), folder.join("src/a.py")]);
}

#[test]
fn what_a_build_leaves_behind_is_none_of_its_sources() {
    let (root, folder) = folder(&[("bin/app", ""), ("bin/run.sh", "")]);
    let build = Build::Pack { command: "make".to_owned(), artifact: "bin/app".to_owned() };
    let sources = Sources::of_build(&build, &folder, root.path(), Git::Heeded).unwrap();
    assert_eq!(concerned(&sources, &folder, &["bin/app", "bin/run.sh", "bin"]), ["bin/run.sh", "bin"]);
    assert!(!sources.look().unwrap().contains_key(&folder.join("bin/app")));
}

#[test]
fn of_a_shared_folder_everything_counts_that_git_does_not_ignore() {
    let (root, folder) = folder(&[(".gitignore", "*.tmp"), ("deep/a.proto", "")]);
    let sources = Sources::of_folder(&folder, root.path());
    assert_eq!(concerned(&sources, &folder, &["deep/a.proto", "a.tmp"]), ["deep/a.proto"]);
}

#[test]
fn an_image_is_made_from_what_git_ignores_too_though_nobody_follows_that() {
    let (root, folder) =
        folder(&[(".gitignore", "*.env"), ("prod.env", ""), (".a.py.swp", ""), ("a.py", "")]);
    let build = Build::Dockerfile { file: "Dockerfile".into() };
    let found = [Git::Heeded, Git::Disregarded].map(|git| {
        let sources = Sources::of_build(&build, &folder, root.path(), git).unwrap();
        concerned(&sources, &folder, &["prod.env", ".a.py.swp", "a.py"]).join(" ")
    });
    assert_eq!(found, ["a.py", "prod.env a.py"]);
}
