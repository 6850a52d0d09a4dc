//! Images made by sending layers hold what the engine's own builder would have put into them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptionsBuilder};
use futures_util::TryStreamExt;
use msctl::build::{Builder, Made, Role, Way};
use msctl::model::instance::Program;
use msctl::model::platform::{Build, ServiceSpec};

use super::platform::{TestPlatform, on_a_platform};
use crate::packing;

const WHOLE: &str = "Dockerfile.whole";

/// A service's folder, and a builder for it on the engine.
struct Scene<'a> {
    platform: &'a TestPlatform,
    root: tempfile::TempDir,
    builder: Builder,
}

impl<'a> Scene<'a> {
    async fn new(platform: &'a TestPlatform) -> Self {
        let root = tempfile::tempdir().unwrap();
        let runtime = Arc::new(platform.connect_again().await);
        let builder = Builder::new(platform.id.clone(), root.path().to_owned(), BTreeMap::new(), runtime);
        Self { platform, root, builder }
    }

    fn service(&self, dockerfile: &str) -> ServiceSpec {
        packing::service(self.root.path(), Build::Dockerfile { file: dockerfile.into() })
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, path: &str, content: &str, mode: u32) {
        let path = self.path(path);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn dockerfile(&self, copies: &str) {
        let text = format!(
            "FROM {}\nWORKDIR /service\nCOPY base/ ./\nCOPY --chown=7:8 base /private\nWORKDIR /service\n{copies}\n\
             USER 10001:10001\nENV A=1 B=\"two words\"\nEXPOSE 8080 8081\nVOLUME /data\nCMD [\"x\"]\n",
            self.platform.image
        );
        // A trigger makes sure that the engine builds all of it.
        fs::write(self.path(WHOLE), format!("{text}ONBUILD LABEL a=b\n")).unwrap();
        fs::write(self.path("Dockerfile"), text).unwrap();
    }

    async fn make(&self) -> Made {
        self.make_from("Dockerfile").await
    }

    async fn make_from(&self, dockerfile: &str) -> Made {
        let service = self.service(dockerfile);
        let digest = self.builder.digest(&service).await.unwrap();
        let made = self.builder.make(&service, &digest, &|_| ()).await.unwrap();
        assert_eq!(self.builder.built(&service, &digest).await.unwrap().as_ref(), Some(&made.program));
        made
    }

    /// Both ways give the same files and the same settings.
    async fn check(&self) -> Made {
        let (thin, whole) = (self.make().await, self.make_from(WHOLE).await);
        assert_eq!((thin.way, whole.way), (Way::Layers, Way::Engine));
        let (found, expected) = (self.files(&thin).await, self.files(&whole).await);
        for (path, file) in &expected {
            assert_eq!(found.get(path), Some(file), "{path}");
        }
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        let mut expected = self.settings(&whole).await;
        expected.on_build = None;
        assert_eq!(self.settings(&thin).await, expected);
        thin
    }

    async fn settings(&self, made: &Made) -> bollard::models::ImageConfig {
        let image = self.platform.behind().inspect_image(image_of(made)).await.unwrap();
        let mut config = image.config.unwrap();
        config.exposed_ports.iter_mut().for_each(|ports| ports.sort());
        bollard::models::ImageConfig {
            args_escaped: None,
            on_build: config.on_build.filter(|t| !t.is_empty()),
            ..config
        }
    }

    /// Everything in the image: by path, what it is, with its mode, owner and content.
    async fn files(&self, made: &Made) -> BTreeMap<String, String> {
        let engine = self.platform.behind();
        let image = Some(image_of(made).to_owned());
        let body = ContainerCreateBody { image, cmd: Some(vec!["x".to_owned()]), ..Default::default() };
        let container = engine.create_container(None::<CreateContainerOptions>, body).await.unwrap().id;
        let exported: Vec<_> = engine.export_container(&container).try_collect().await.unwrap();
        let removal = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        engine.remove_container(&container, Some(removal)).await.unwrap();
        let mut files = read(&exported.concat());
        // Which of the two is among them even when it is ignored depends on the one that is used.
        files.retain(|path, _| !path.contains("Dockerfile"));
        files
    }
}

fn image_of(made: &Made) -> &str {
    let Program::Image { reference } = &made.program else { panic!("{made:?}") };
    reference
}

fn read(archive: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let link = entry.link_name().unwrap().map(|target| format!(" -> {}", target.display()));
        let header = entry.header();
        let (mode, user, group) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        let content = if content.len() > 1000 {
            content.len().to_string()
        } else {
            String::from_utf8(content).unwrap()
        };
        let told = format!(
            "{:?} {mode:o} {user}:{group}{} {content}",
            header.entry_type(),
            link.unwrap_or_default()
        );
        (entry.path().unwrap().display().to_string(), told)
    });
    entries.collect()
}

fn odd_sources(scene: &Scene<'_>) {
    scene.write("base/lock", "1", 0o644);
    scene.write("base/sub/kept", "from the base", 0o600);
    scene.write("base/sub/replaced", "from the base", 0o600);
    scene.write("app/main.py", "print(1)", 0o640);
    scene.write("app/deep/er/a b.py", "1", 0o644);
    scene.write("app/caf\u{e9}.py", "1", 0o644);
    scene.write(&format!("app/{}.py", "long".repeat(50)), "1", 0o644);
    scene.write("app/start", "#!/bin/sh", 0o755);
    scene.write("app/secret.log", "not for the image", 0o644);
    fs::create_dir_all(scene.path("app/empty/too/")).unwrap();
    symlink("main.py", scene.path("app/link")).unwrap();
    symlink("/nowhere", scene.path("app/deep/broken")).unwrap();
    scene.write("sub/replaced", "from the sources", 0o755);
    scene.write("sub/new", "from the sources", 0o644);
    scene.write("with space.txt", "1", 0o644);
    scene.write("one", "1", 0o644);
    scene.write("two", "2", 0o755);
    scene.write(".dockerignore", "**/*.log\nDockerfile\n", 0o644);
}

#[tokio::test]
async fn layers_hold_what_the_engines_own_builder_puts_there() {
    on_a_platform(async |platform| {
        let scene = Scene::new(platform).await;
        odd_sources(&scene);
        scene.dockerfile(
            "COPY app app\n\
             COPY --chown=10001:10002 app /opt/new/app\n\
             COPY --chown=5 sub /data/\n\
             COPY sub sub\n\
             COPY one renamed\n\
             COPY one two /private/\n\
             COPY --chown=10001 [\"with space.txt\", \"/a/b/c d/\"]\n\
             COPY two /private\n\
             COPY app/main.py app/start ./app/deep/\n\
             COPY one two",
        );
        scene.check().await;
        fs::remove_file(scene.path("app/main.py")).unwrap();
        fs::remove_dir_all(scene.path("sub")).unwrap();
        scene.write("sub/other", "1", 0o644);
        scene.write("app/main.py/now a folder", "1", 0o644);
        scene.dockerfile("COPY app app\nCOPY sub .");
        scene.check().await;
    })
    .await;
}

#[tokio::test]
async fn a_copy_of_the_whole_context_and_modes_of_copies_are_understood() {
    on_a_platform(async |platform| {
        let scene = Scene::new(platform).await;
        odd_sources(&scene);
        scene.dockerfile(
            "COPY . .\nCOPY --chmod=0750 --chown=3:4 app/start one /bin/\nCOPY --chmod=700 sub /sub",
        );
        scene.check().await;
        scene.write(".dockerignore", "*\n!app/deep\n!base\n!one\n", 0o644);
        scene.dockerfile("COPY . /service/in/");
        scene.check().await;
    })
    .await;
}

#[tokio::test]
async fn the_same_sources_are_the_same_image_and_an_edit_is_another_over_the_same_base() {
    on_a_platform(async |platform| {
        let scene = Scene::new(platform).await;
        odd_sources(&scene);
        scene.dockerfile("COPY app app");
        let first = scene.make().await;
        scene.write("one", "not copied", 0o644);
        let other_sources = scene.make().await;
        assert_eq!(other_sources.program, first.program, "what is not in the image is no other program");
        scene.write("app/main.py", "print(2)", 0o640);
        let edited = scene.make().await;
        assert_ne!(edited.program, first.program);
        assert_eq!((first.way, edited.way), (Way::Layers, Way::Layers));
        let kept = scene.builder.kept().await.unwrap();
        let roles: Vec<(Role, usize)> = kept.iter().map(|kept| (kept.role, kept.names.len())).collect();
        assert_eq!(roles, [(Role::Image, 2), (Role::Image, 1), (Role::Base, 1)]);
        scene.write("base/lock", "2", 0o644);
        scene.make().await;
        let kept = scene.builder.kept().await.unwrap();
        assert_eq!(kept.iter().filter(|kept| kept.role == Role::Base).count(), 2, "its inputs changed");
    })
    .await;
}

#[tokio::test]
async fn what_is_in_doubt_is_built_by_the_engine() {
    on_a_platform(async |platform| {
        let scene = Scene::new(platform).await;
        odd_sources(&scene);
        symlink("app", scene.path("linked")).unwrap();
        for copies in
            ["COPY linked x", "COPY app/*.py x/", "COPY app app\nRUN [\"/responder\", \"echo\", \"1\"]"]
        {
            scene.dockerfile(copies);
            assert_eq!(scene.make().await.way, Way::Engine, "{copies}");
        }
    })
    .await;
}
