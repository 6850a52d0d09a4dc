use std::fs;

use super::*;
use crate::build::dockerignore::DockerIgnore;
use crate::build::walk;

const ROOT_FOLDER: PathFacts = PathFacts::Folder { mode: 0o755, owner: (0, 0) };

/// A context with these files; a name that ends in a slash is an empty folder.
struct Scene {
    folder: tempfile::TempDir,
    known: Known,
}

impl Scene {
    fn new(files: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            if file.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, file).unwrap();
            }
        }
        let known = [("service", ROOT_FOLDER), ("service/app", PathFacts::Nothing)];
        Self { folder, known: known.map(|(path, facts)| (path.into(), facts)).into() }
    }

    fn plan(&self, copies: &[Copy]) -> Planned {
        let entries = walk::context(self.folder.path(), DockerIgnore::parse(""), Vec::new()).unwrap();
        plan(copies, &entries, Path::new("/service"), &self.known)
    }

    /// The paths of each layer; folders end in a slash.
    fn paths(&self, copies: &[Copy]) -> Vec<Vec<String>> {
        let planned = self.plan(copies);
        let Planned::Layers(layers) = planned else { panic!("{planned:?}") };
        let shown = |(path, node): (&PathBuf, &Node)| match node {
            Node::Folder { .. } => format!("{}/", path.display()),
            _ => path.display().to_string(),
        };
        layers.iter().map(|layer| layer.iter().map(shown).collect()).collect()
    }
}

fn copy(sources: &[&str], destination: &str) -> Copy {
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    Copy { sources, destination: destination.to_owned(), owner: (0, 0), mode: None }
}

fn asked(paths: &[&str]) -> Planned {
    Planned::Ask(paths.iter().map(PathBuf::from).collect())
}

#[test]
fn a_folder_that_is_not_there_yet_comes_with_all_that_is_in_it() {
    let scene = Scene::new(&["app/main.py", "app/deep/a b.py", "app/empty/", "other"]);
    assert_eq!(
        scene.paths(&[copy(&["app"], "app")]),
        [[
            "service/",
            "service/app/",
            "service/app/deep/",
            "service/app/deep/a b.py",
            "service/app/empty/",
            "service/app/main.py"
        ]]
    );
}

#[test]
fn what_has_to_be_known_of_the_base_is_asked_all_at_once() {
    let mut scene = Scene::new(&["app/main.py", "run"]);
    scene.known.clear();
    let copies = [copy(&["app"], "app"), copy(&["run"], "/opt/bin/run")];
    assert_eq!(scene.plan(&copies), asked(&["opt", "opt/bin", "opt/bin/run", "service", "service/app"]));
}

#[test]
fn in_a_folder_that_the_base_has_every_name_is_asked_for() {
    let scene = Scene::new(&["app/main.py", "package.json"]);
    assert_eq!(scene.plan(&[copy(&[""], ".")]), asked(&["service/package.json"]));
}

#[test]
fn the_folders_above_keep_the_modes_and_owners_that_the_base_gave_them() {
    let mut scene = Scene::new(&["a"]);
    let private = PathFacts::Folder { mode: 0o700, owner: (10_001, 10_001) };
    scene.known.extend([("data".into(), private), ("data/a".into(), PathFacts::File)]);
    let Planned::Layers(layers) = scene.plan(&[copy(&["a"], "/data/")]) else { panic!("all is known") };
    assert_eq!(layers[0][Path::new("data")], Node::Folder { mode: 0o700, owner: (10_001, 10_001) });
    assert!(matches!(layers[0][Path::new("data/a")], Node::File { owner: (0, 0), .. }));
}

#[test]
fn a_file_goes_into_a_folder_and_takes_the_place_of_anything_else() {
    let mut scene = Scene::new(&["a", "b"]);
    for (path, facts) in [("x", PathFacts::Nothing), ("etc", ROOT_FOLDER), ("etc/a", PathFacts::File)] {
        scene.known.insert(path.into(), facts);
    }
    assert_eq!(scene.paths(&[copy(&["a"], "/x")]), [["x"]]);
    assert_eq!(scene.paths(&[copy(&["a"], "/x/")]), [["x/", "x/a"]]);
    assert_eq!(scene.paths(&[copy(&["a", "b"], "/x")]), [["x/", "x/a", "x/b"]]);
    assert_eq!(scene.paths(&[copy(&["a"], "/etc")]), [["etc/", "etc/a"]]);
}

#[test]
fn later_copies_see_what_earlier_ones_made() {
    let scene = Scene::new(&["app/main.py", "main.py"]);
    let layers = scene.paths(&[copy(&["app"], "app"), copy(&["main.py"], "app")]);
    assert_eq!(layers[1], ["service/", "service/app/", "service/app/main.py"]);
}

#[test]
fn owner_and_mode_of_a_copy_are_those_of_all_that_it_makes() {
    let scene = Scene::new(&["app/main.py"]);
    let given = Copy { owner: (10_001, 5), mode: Some(0o640), ..copy(&["app"], "app") };
    let Planned::Layers(layers) = scene.plan(&[given]) else { panic!("all is known") };
    let owner = (10_001, 5);
    assert_eq!(layers[0][Path::new("service")], Node::Folder { mode: 0o755, owner: (0, 0) });
    let file = Node::File { source: "app/main.py".into(), mode: 0o640, owner };
    assert_eq!(layers[0][Path::new("service/app/main.py")], file);
}

#[test]
fn links_folders_in_the_way_and_missing_sources_are_left_to_the_engine() {
    let mut scene = Scene::new(&["app/main.py", "a/b"]);
    std::os::unix::fs::symlink("app", scene.folder.path().join("link")).unwrap();
    for (path, facts) in
        [("run", PathFacts::Other), ("etc", ROOT_FOLDER), ("etc/b", ROOT_FOLDER), ("f", PathFacts::File)]
    {
        scene.known.insert(path.into(), facts);
    }
    for (source, destination) in
        [("link", "x"), ("none", "x"), ("a", "/run/x"), ("a", "/etc"), ("app", "/f"), ("a", "/f/g")]
    {
        scene.known.insert("service/x".into(), PathFacts::Nothing);
        let planned = scene.plan(&[copy(&[source], destination)]);
        assert!(matches!(planned, Planned::Doubtful(_)), "{source} to {destination}: {planned:?}");
    }
}

#[test]
fn the_same_files_give_the_same_bytes_and_others_do_not() {
    let pack_all = |scene: &Scene| {
        let Planned::Layers(layers) = scene.plan(&[copy(&["app"], "app")]) else { panic!("all is known") };
        pack(&layers[0], |path| fs::read(scene.folder.path().join(path))).unwrap()
    };
    let (one, other) = (Scene::new(&["app/a", "app/b"]), Scene::new(&["app/b", "app/a"]));
    assert_eq!(pack_all(&one), pack_all(&other));
    fs::write(other.folder.path().join("app/a"), "else").unwrap();
    assert_ne!(pack_all(&one), pack_all(&other));
}
