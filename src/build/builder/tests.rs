use std::fs;

use tempfile::TempDir;

use super::*;
use crate::build::changes::OwnWrites;
use crate::build::elf;
use crate::build::kept::Standing;
use crate::build::making::{Made, Marked, Way};
use crate::model::platform::{Budget, EnvFile, ProcessRecipe};
use crate::model::testing;
use crate::runtime::fake::Fake;

/// A platform with one service, `order`, and what builds it.
struct Scene {
    root: TempDir,
    fake: Fake,
    builder: Builder,
}

#[derive(PartialEq)]
enum Engine {
    Yes,
    No,
}

impl Scene {
    fn new(engine: &Engine) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("order")).unwrap();
        let platform = testing::platform_id();
        let fake = Fake::new(platform.clone());
        let fake = if *engine == Engine::Yes { fake.with_images() } else { fake };
        let aliases = BTreeMap::from([("debian:12".to_owned(), "local/debian:12".to_owned())]);
        let builder = Builder::new(platform, root.path().to_owned(), aliases, Arc::new(fake.clone()));
        Self { root, fake, builder }
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.root.path().join("order").join(path), content).unwrap();
    }

    fn service(&self, build: Build, process: Option<ProcessRecipe>) -> ServiceSpec {
        ServiceSpec {
            folder: self.root.path().join("order"),
            build,
            process,
            ..testing::service("order", &[])
        }
    }

    /// Digests, builds, and says what then runs.
    async fn build(&self, service: &ServiceSpec) -> Result<Program, BuildError> {
        let digest = self.builder.digest(service).await?;
        self.builder.make(service, &digest, &|_| ()).await?;
        assert!(self.builder.is_built(service, &digest).await?, "what was built is built");
        Ok(self.builder.program(service, &digest))
    }
}

fn packed(command: &str) -> Build {
    Build::Pack { command: command.to_owned(), artifact: "out/order".to_owned() }
}

fn dockerfile() -> Build {
    Build::Dockerfile { file: "Dockerfile".into() }
}

fn recipe(build: &str, command: &str) -> ProcessRecipe {
    ProcessRecipe { build: Some(build.to_owned()), command: command.to_owned() }
}

#[tokio::test]
async fn without_an_engine_a_copy_of_the_artifact_is_run() {
    let scene = Scene::new(&Engine::No);
    scene.write("main", "program");
    let service = scene.service(packed("mkdir -p out $MSCTL_CACHE/x && cp main out/order"), None);
    let digest = scene.builder.digest(&service).await.unwrap();
    assert!(!scene.builder.is_built(&service, &digest).await.unwrap());
    let Program::Command { argv, folder } = scene.build(&service).await.unwrap() else { panic!("a command") };
    assert_eq!(fs::read(&argv[0]).unwrap(), b"program");
    assert!(argv[0].ends_with(&format!(".msctl/artifacts/order-{}", digest.short())), "{argv:?}");
    assert_eq!(folder, service.folder);
    assert_eq!(scene.builder.digest(&service).await.unwrap(), digest, "building is no change of the sources");
}

#[tokio::test]
async fn with_an_engine_a_static_artifact_is_loaded_as_an_image() {
    let scene = Scene::new(&Engine::Yes);
    scene.write("main", elf::sample(None));
    let service = scene.service(packed("mkdir -p out && cp main out/order"), None);
    let digest = scene.builder.digest(&service).await.unwrap();
    let reference = format!("msctl/store-3fa9c1/order:{}", digest.short());
    assert_eq!(scene.build(&service).await.unwrap(), Program::Image { reference: reference.clone() });
    assert_eq!(scene.fake.calls(), [format!("load {reference}")]);
}

#[tokio::test]
async fn a_dynamic_artifact_is_refused_before_it_becomes_an_image() {
    let scene = Scene::new(&Engine::Yes);
    scene.write("main", elf::sample(Some("/lib64/ld.so")));
    let service = scene.service(packed("mkdir -p out && cp main out/order"), None);
    let error = scene.build(&service).await.unwrap_err();
    assert!(matches!(error, BuildError::ArtifactDynamic { .. }), "{error}");
    assert_eq!(scene.fake.calls(), [""; 0]);
}

#[tokio::test]
async fn a_missing_artifact_is_named() {
    let scene = Scene::new(&Engine::No);
    let error = scene.build(&scene.service(packed("true"), None)).await.unwrap_err();
    let path = scene.root.path().join("order/out/order");
    let expected = format!("the build command of order left no artifact at {}", path.display());
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_failing_command_leaves_its_words_and_nothing_built() {
    let scene = Scene::new(&Engine::No);
    let service = scene.service(packed("echo 'main.rs:1: error'; exit 1"), None);
    let error = scene.build(&service).await.unwrap_err();
    assert_eq!(error.excerpt(), ["main.rs:1: error"]);
    assert_eq!(error.log().unwrap(), scene.root.path().join(".msctl/logs/build-order.log"));
    let digest = scene.builder.digest(&service).await.unwrap();
    assert!(!scene.builder.is_built(&service, &digest).await.unwrap());
}

#[tokio::test]
async fn a_dockerfile_is_built_over_the_images_that_stand_in() {
    let scene = Scene::new(&Engine::Yes);
    scene.write("Dockerfile", "FROM debian:12\nCOPY --from=tools:1 /x /x\n");
    scene.fake.add_image("local/debian:12");
    scene.fake.add_to_registry("tools:1");
    let program = scene.build(&scene.service(dockerfile(), None)).await.unwrap();
    let Program::Image { reference } = program else { panic!("an image") };
    assert_eq!(scene.fake.calls(), ["pull tools:1".to_owned(), format!("build {reference}")]);
}

#[tokio::test]
async fn a_missing_base_image_is_named_with_its_line_and_a_way_out() {
    let scene = Scene::new(&Engine::Yes);
    scene.write("Dockerfile", "# base\nFROM python:3\n");
    let error = scene.build(&scene.service(dockerfile(), None)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "base image python:3 (line 2 of the Dockerfile of order) is missing: no registry answers"
    );
    assert!(error.hint().unwrap().contains("[images.aliases] \"python:3\""));
    assert_eq!(scene.fake.calls(), ["pull python:3"]);
}

#[tokio::test]
async fn an_image_is_pulled_only_when_it_is_not_there() {
    let scene = Scene::new(&Engine::Yes);
    let service = scene.service(Build::Image { reference: "debian:12".to_owned() }, None);
    let digest = scene.builder.digest(&service).await.unwrap();
    assert!(!scene.builder.is_built(&service, &digest).await.unwrap());
    scene.fake.add_image("local/debian:12");
    assert!(scene.builder.is_built(&service, &digest).await.unwrap());
    let reference = "local/debian:12".to_owned();
    assert_eq!(scene.builder.program(&service, &digest), Program::Image { reference });
}

#[tokio::test]
async fn without_an_engine_the_process_section_prepares_and_runs() {
    let scene = Scene::new(&Engine::No);
    scene.write("Dockerfile", "FROM debian:12\n");
    scene.write("app.py", "1");
    let service = scene.service(dockerfile(), Some(recipe("touch node_modules", "python app.py")));
    let Program::Command { argv, .. } = scene.build(&service).await.unwrap() else { panic!("a command") };
    assert_eq!(argv[..3], ["sh", "-c", "exec python app.py"]);
    assert!(service.folder.join("node_modules").exists(), "it was prepared");
    scene.write("app.py", "2");
    let digest = scene.builder.digest(&service).await.unwrap();
    assert!(!scene.builder.is_built(&service, &digest).await.unwrap());
    let Program::Command { argv: next, .. } = scene.builder.program(&service, &digest) else {
        panic!("a command")
    };
    assert_ne!(next, argv, "new sources make a new program, so that it is deployed");
}

#[tokio::test]
async fn without_an_engine_and_a_process_section_nothing_can_run() {
    let scene = Scene::new(&Engine::No);
    scene.write("Dockerfile", "FROM debian:12\n");
    let error = scene.build(&scene.service(dockerfile(), None)).await.unwrap_err();
    assert!(matches!(&error, BuildError::NeedsEngine { service } if service.as_str() == "order"), "{error}");
    assert!(error.hint().unwrap().contains("[process] command"));
}

#[tokio::test]
async fn how_it_is_built_is_part_of_the_digest() {
    let scene = Scene::new(&Engine::Yes);
    scene.write("Dockerfile", "FROM debian:12\n");
    let mut seen = std::collections::BTreeSet::new();
    for build in [packed("make"), packed("make all"), dockerfile()] {
        assert!(seen.insert(scene.builder.digest(&scene.service(build, None)).await.unwrap()));
    }
    let other_alias = BTreeMap::from([("debian:12".to_owned(), "other:1".to_owned())]);
    let unused_alias = scene.builder.aliases.clone().into_iter().chain([("a".to_owned(), "b".to_owned())]);
    let with = |aliases| {
        let (platform, root) = (scene.builder.naming.platform.clone(), scene.root.path().to_owned());
        Builder::new(platform, root, aliases, Arc::new(scene.fake.clone()))
    };
    let service = scene.service(dockerfile(), None);
    assert!(seen.insert(with(other_alias).digest(&service).await.unwrap()), "an alias that matters");
    assert!(!seen.insert(with(unused_alias.collect()).digest(&service).await.unwrap()), "one that does not");
}

#[tokio::test]
async fn what_is_in_a_shared_folder_is_part_of_the_digest_and_so_is_which_folder_it_is() {
    let scene = Scene::new(&Engine::No);
    let alone = scene.service(packed("make"), None);
    let sharing = |folder: &str| {
        let folder = scene.root.path().join(folder);
        ServiceSpec { shared: [folder].into(), ..alone.clone() }
    };
    for folder in ["common/src", "other/src"] {
        fs::create_dir_all(scene.root.path().join(folder)).unwrap();
    }
    let digest = async |service: &ServiceSpec| scene.builder.digest(service).await.unwrap();
    let first = digest(&sharing("common")).await;
    assert_ne!(first, digest(&alone).await, "an empty one, too");
    assert_ne!(first, digest(&sharing("other")).await);
    scene.write("../common/src/lib.rs", "1");
    let second = digest(&sharing("common")).await;
    assert_ne!(second, first);
    scene.write("../common/.gitignore", "*.tmp\n");
    let third = digest(&sharing("common")).await;
    scene.write("../common/x.tmp", "1");
    assert_eq!(digest(&sharing("common")).await, third, "what git ignores does not count");
    assert_eq!(digest(&alone).await, digest(&alone).await);
}

#[tokio::test]
async fn a_build_that_writes_into_a_shared_folder_is_told_and_can_be_ignored() {
    let scene = Scene::new(&Engine::No);
    scene.write("main", "program");
    let common = scene.root.path().join("common");
    fs::create_dir(&common).unwrap();
    let build = packed("mkdir -p out && cp main out/order && date +%N >> ../common/stamp");
    let service = ServiceSpec { shared: [common.clone()].into(), ..scene.service(build, None) };
    let first = make(&scene, &service).await;
    let written = std::collections::BTreeSet::from([common.join("stamp")]);
    assert_eq!((first.marked, first.sources.changed()), (Marked::No, written.clone()));
    let Scene { root, fake, builder } = scene;
    let scene =
        Scene { root, fake, builder: builder.ignoring(&service.name, &written.into_iter().collect()) };
    assert_eq!(make(&scene, &service).await.marked, Marked::Yes);
}

#[tokio::test]
async fn a_file_of_variables_is_no_source() {
    let scene = Scene::new(&Engine::No);
    let file = scene.root.path().join("order/dev.env");
    let env_file =
        EnvFile { shown: "order/dev.env".into(), paths: [file].into(), variables: BTreeMap::new() };
    let service = ServiceSpec { env_files: vec![env_file], ..scene.service(packed("make"), None) };
    let before = scene.builder.digest(&service).await.unwrap();
    scene.write("dev.env", "A=1");
    assert_eq!(scene.builder.digest(&service).await.unwrap(), before);
    scene.write("other.env", "A=1");
    assert_ne!(scene.builder.digest(&service).await.unwrap(), before);
}

#[test]
fn a_single_command_becomes_the_process_itself() {
    for (command, expected) in [
        ("python app.py", "exec python app.py"),
        (" exec python app.py", "exec python app.py"),
        ("PORT=1 python app.py", "exec env PORT=1 python app.py"),
        ("cd src && python app.py", "cd src && python app.py"),
        ("a; b", "a; b"),
        ("", ""),
    ] {
        assert_eq!(to_executed(command), expected);
    }
}

async fn make(scene: &Scene, service: &ServiceSpec) -> Made {
    let digest = scene.builder.digest(service).await.unwrap();
    let made = scene.builder.make(service, &digest, &|_| ()).await.unwrap();
    let built = scene.builder.built(service, &digest).await.unwrap();
    assert_eq!(
        built,
        (made.marked == Marked::Yes).then(|| made.program.clone()),
        "it is found if it is true"
    );
    made
}

#[tokio::test]
async fn other_sources_with_the_same_outcome_are_the_same_program() {
    for engine in [Engine::Yes, Engine::No] {
        let scene = Scene::new(&engine);
        scene.write("main", elf::sample(None));
        let service = scene.service(packed("mkdir -p out && cp main out/order"), None);
        let first = make(&scene, &service).await;
        scene.write("README.md", "not compiled");
        assert_eq!(make(&scene, &service).await.program, first.program);
        scene.write("main", [elf::sample(None), b"more".to_vec()].concat());
        assert_ne!(make(&scene, &service).await.program, first.program);
    }
}

#[tokio::test]
async fn a_source_edit_is_laid_over_the_kept_base() {
    let scene = Scene::new(&Engine::Yes);
    scene.write("Dockerfile", "FROM debian:12\nCOPY lock .\nRUN install\nCOPY app.py app/\nCMD x\n");
    scene.write("lock", "1");
    scene.write("app.py", "1");
    scene.fake.add_image("local/debian:12");
    let service = scene.service(dockerfile(), None);
    let first = make(&scene, &service).await;
    let calls = scene.fake.take_calls();
    assert!(
        matches!(calls.as_slice(), [base, over] if base.contains(":base-") && over.starts_with("extend ")),
        "{calls:?}"
    );
    scene.write("app.py", "2");
    let second = make(&scene, &service).await;
    assert_eq!((second.way, second.program == first.program), (Way::Layers, false));
    let calls = scene.fake.take_calls();
    assert!(matches!(calls.as_slice(), [over] if over.starts_with("extend ")), "{calls:?}");
    scene.write("lock", "2");
    make(&scene, &service).await;
    assert_eq!(scene.fake.take_calls().len(), 2, "another base");
}

#[tokio::test]
async fn an_engine_that_takes_no_parts_builds_the_whole_image() {
    let scene = Scene::new(&Engine::Yes);
    scene.write("Dockerfile", "FROM debian:12\nCOPY app.py app/\n");
    scene.write("app.py", "1");
    scene.fake.add_image("local/debian:12");
    scene.fake.refuse_parts();
    let made = make(&scene, &scene.service(dockerfile(), None)).await;
    assert_eq!((made.way, scene.fake.calls().len()), (Way::Engine, 1), "{:?}", scene.fake.calls());
}

#[tokio::test]
async fn a_base_image_that_was_replaced_makes_another_base() {
    let scene = Scene::new(&Engine::Yes);
    scene.write("Dockerfile", "FROM debian:12\nCOPY app.py app/\n");
    scene.write("app.py", "1");
    scene.fake.add_image("local/debian:12");
    let service = scene.service(dockerfile(), None);
    make(&scene, &service).await;
    let images = scene.builder.images().unwrap();
    let other = images.inspect("local/debian:12").await.unwrap().unwrap();
    scene.fake.add_image("something else");
    let replaced = images.inspect("something else").await.unwrap().unwrap();
    assert_ne!(replaced.id, other.id);
    images.name(&replaced.id, "local/debian:12").await.unwrap();
    scene.fake.take_calls();
    make(&scene, &service).await;
    assert_eq!(scene.fake.take_calls().len(), 2, "built again, and laid over");
}

#[tokio::test]
async fn a_build_that_writes_its_own_sources_is_told_and_can_be_ignored() {
    for engine in [Engine::Yes, Engine::No] {
        let scene = Scene::new(&engine);
        scene.write("main", elf::sample(None));
        let service = scene.service(packed("mkdir -p out && cp main out/order && date +%N >> stamp"), None);
        let mut own = OwnWrites::default();
        let first = make(&scene, &service).await;
        let stamp = service.folder.join("stamp");
        assert_eq!((first.marked, first.sources.changed()), (Marked::No, [stamp.clone()].into()));
        assert!(own.note(&service.name, &first.sources).is_empty());
        let second = make(&scene, &service).await;
        assert_eq!(own.note(&service.name, &second.sources), [stamp].into());
        let written = own.of(&service.name).unwrap();
        let Scene { root, fake, builder } = scene;
        let scene = Scene { root, fake, builder: builder.ignoring(&service.name, written) };
        let third = make(&scene, &service).await;
        assert_eq!((third.marked, third.sources.changed().len()), (Marked::Yes, 0), "it comes to rest");
    }
}

#[tokio::test]
async fn a_build_that_writes_a_file_of_another_name_each_time_comes_to_rest() {
    let scene = Scene::new(&Engine::No);
    scene.write("main", "program");
    let command = "mkdir -p out && cp main out/order && touch out-$(ls | wc -l).txt";
    let service = scene.service(packed(command), None);
    let mut own = OwnWrites::default();
    assert!(own.note(&service.name, &make(&scene, &service).await.sources).is_empty());
    let second = make(&scene, &service).await;
    assert_eq!(own.note(&service.name, &second.sources), [service.folder.join("out-*.txt")].into());
    let Scene { root, fake, builder } = scene;
    let builder = builder.ignoring(&service.name, own.of(&service.name).unwrap());
    let scene = Scene { root, fake, builder };
    let digest = scene.builder.digest(&service).await.unwrap();
    let third = make(&scene, &service).await;
    assert_eq!((third.marked, third.sources.changed().len()), (Marked::Yes, 0), "it comes to rest");
    assert_eq!(scene.builder.digest(&service).await.unwrap(), digest);
}

#[tokio::test]
async fn what_builds_left_is_listed_and_goes_when_it_is_told_to() {
    for engine in [Engine::Yes, Engine::No] {
        let scene = Scene::new(&engine);
        let service = scene.service(packed("mkdir -p out && cp main out/order"), None);
        let mut programs = Vec::new();
        for content in [b"1", b"2", b"3"] {
            scene.write("main", [elf::sample(None), content.to_vec()].concat());
            programs.push(make(&scene, &service).await.program);
        }
        let kept = scene.builder.kept().await.unwrap();
        assert_eq!(kept.len(), 3, "{kept:?}");
        assert!(kept.iter().all(|kept| kept.service == service.name && kept.size > 0));
        let budget = Budget { generations: 1, bytes: None };
        let in_use = kept::names_of(&programs[0]).into_iter().collect();
        let old = kept::collect(&kept, &Standing { in_use, ..Standing::default() }, &budget);
        assert_eq!(old.len(), 1, "the first is in use, the third the newest: {old:?}");
        assert_eq!(scene.builder.discard(old[0]).await.unwrap(), Discarded::Yes);
        assert_eq!(scene.builder.kept().await.unwrap().len(), 2);
    }
}
