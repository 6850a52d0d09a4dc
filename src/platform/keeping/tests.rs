use std::time::Duration;

use super::*;
use crate::model::deployment::{Cause, Outcome, Recipe, RecordedProgram, Timings};
use crate::model::instance::{InstanceName, InstanceSpec, SpecHash};
use crate::model::name::Worktree;
use crate::model::platform::Limits;
use crate::model::quantity::{ByteSize, Cpus, Port};
use crate::runtime::fake::Fake;
use crate::runtime::{ImageBuild, labels};
use crate::store::HistoryStore;

/// A platform in memory, of which images and a history are kept.
struct Scene {
    base: tempfile::TempDir,
    id: PlatformId,
    fake: Fake,
    folder: StateFolder,
    number: std::cell::Cell<u32>,
}

impl Scene {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let id =
            PlatformId { name: "store".parse().unwrap(), worktree: Worktree::from_hex("abcdef").unwrap() };
        let folder = StateFolder::open(base.path(), &id).unwrap();
        let fake = Fake::new(id.clone()).with_images();
        Self { base, fake, folder, id, number: std::cell::Cell::new(0) }
    }

    fn keeping(&self) -> Keeping {
        Keeping::new(&self.id, self.base.path(), &self.folder, vec![Arc::new(self.fake.clone())])
    }

    fn tag(&self, service: &str, content: &str) -> String {
        format!("msctl/{}/{service}:{content}", self.id)
    }

    /// Builds an image of a service, later than all others.
    async fn build(&self, service: &str, content: &str) -> String {
        let tag = self.tag(service, content);
        let mut labels = labels::of_platform(&self.id);
        labels.push((labels::SERVICE.to_owned(), service.to_owned()));
        let sources = format!("{service} {content}").into_bytes();
        let request = ImageBuild { context: sources, dockerfile: String::new(), tag: tag.clone(), labels };
        let images = self.fake.images().unwrap();
        images.build(request, &|_| ()).await.unwrap();
        images.inspect(&tag).await.unwrap().unwrap().id.0
    }

    /// Runs an instance of an image.
    async fn run(&self, generation: u32, service: &str, image: &str) {
        let name = InstanceName {
            service: service.parse().unwrap(),
            generation: crate::model::instance::Generation::new(generation).unwrap(),
            replica: 1,
        };
        let limits =
            Limits { memory: ByteSize::from_mebibytes(64), cpus: Cpus::from_count(1.0).unwrap(), pids: 64 };
        let spec = InstanceSpec {
            platform: self.id.clone(),
            name,
            hash: SpecHash("h".to_owned()),
            program: Program::Image { reference: image.to_owned() },
            environment: Vec::new(),
            door_hosts: Vec::new(),
            port: Port::try_from(8080).unwrap(),
            limits,
            storage: None,
            stop_grace: Duration::from_secs(1),
        };
        self.fake.launch(&spec).await.unwrap();
    }

    /// Writes down that a generation was made from an image.
    fn deployed(&self, generation: u32, image: &str, outcome: Outcome) {
        self.number.set(self.number.get() + 1);
        let took = (outcome != Outcome::Interrupted)
            .then_some((crate::model::deployment::Stage::Switched, Duration::ZERO));
        let deployment = Deployment {
            service: "order".to_owned(),
            number: self.number.get().into(),
            generation,
            cause: Cause::Changed,
            began: SystemTime::UNIX_EPOCH + Duration::from_secs(self.number.get().into()),
            timings: took.into_iter().collect::<Timings>(),
            outcome,
            attempts: 1,
            stopped: None,
            recipe: Recipe {
                program: Some(RecordedProgram::Image { reference: image.to_owned() }),
                ..Recipe::default()
            },
        };
        HistoryStore::open(&self.folder.history()).unwrap().record(&[deployment]).unwrap();
    }

    /// What is kept, as `service generations`, the oldest first.
    async fn shown(&self) -> Vec<String> {
        let holdings = self.keeping().holdings().await.unwrap();
        let used = |one: &Holding| if one.in_use { "*" } else { "" };
        holdings.iter().map(|one| format!("{} {:?}{}", one.service, one.generations, used(one))).collect()
    }
}

fn budget(generations: usize) -> Budget {
    Budget { generations, bytes: None }
}

#[tokio::test]
async fn what_is_kept_is_told_with_its_generations_and_who_uses_it() {
    let scene = Scene::new();
    assert_eq!(scene.shown().await, [""; 0]);
    let first = scene.build("order", "1").await;
    let second = scene.build("order", "2").await;
    scene.build("cart", "1").await;
    scene.deployed(1, &first, Outcome::Superseded { by: 2 });
    // By a name, and by an instance alone.
    scene.deployed(2, &scene.tag("order", "2"), Outcome::Superseded { by: 3 });
    scene.run(3, "order", &second).await;
    assert_eq!(scene.shown().await, ["cart []", "order [1]", "order [2, 3]*"]);
    let holdings = scene.keeping().holdings().await.unwrap();
    assert!(
        holdings.iter().all(|one| one.bytes > 0 && one.what == HoldingKind::Image && one.names.len() == 1)
    );
}

#[tokio::test]
async fn what_served_last_is_kept_and_nothing_that_runs_or_is_somebody_elses_goes() {
    let scene = Scene::new();
    let mut images = Vec::new();
    for content in ["1", "2", "3", "4", "5", "6"] {
        images.push(scene.build("order", content).await);
    }
    let foreign = Scene::new().id;
    scene.fake.add_image("order:1");
    let other = PlatformId { worktree: Worktree::from_hex("000000").unwrap(), ..foreign };
    let beside = Scene { id: other.clone(), fake: scene.fake.for_platform(other), ..Scene::new() };
    for content in ["1", "2", "3"] {
        beside.build("order", content).await;
    }
    for (generation, outcome) in [
        (1, Outcome::Superseded { by: 2 }),
        (2, Outcome::Superseded { by: 3 }),
        (3, Outcome::Live),
        // It crashed at its start.
        (4, Outcome::Interrupted),
        (5, Outcome::Interrupted),
    ] {
        scene.deployed(generation, &images[generation as usize - 1], outcome);
    }
    scene.run(3, "order", &images[2]).await;
    let gone = scene.keeping().collect(&budget(2)).await.unwrap();
    let generations: Vec<&[u32]> = gone.iter().map(|one| one.generations.as_slice()).collect();
    assert_eq!(generations, [&[4][..], &[5], &[1]], "2 is what one goes back to");
    assert_eq!(scene.shown().await, ["order [2]", "order [3]*", "order []"]);
    assert_eq!(scene.keeping().collect(&budget(2)).await.unwrap(), []);
    assert_eq!(beside.shown().await.len(), 3);
    assert!(scene.fake.images().unwrap().has("order:1").await.unwrap());
}

#[tokio::test]
async fn without_a_history_the_newest_builds_are_kept() {
    let scene = Scene::new();
    let mut images = Vec::new();
    for content in ["1", "2", "3", "4"] {
        images.push(scene.build("order", content).await);
    }
    scene.run(1, "order", &images[0]).await;
    let gone = scene.keeping().collect(&budget(2)).await.unwrap();
    let gone: Vec<&str> = gone.iter().map(|one| one.handle.as_str()).collect();
    assert_eq!(gone, [&images[1]]);
}

#[tokio::test]
async fn an_engine_that_is_gone_is_a_failure_and_nothing_is_lost() {
    let scene = Scene::new();
    scene.build("order", "1").await;
    scene.build("order", "2").await;
    scene.fake.crash_engine(true);
    assert!(scene.keeping().collect(&budget(1)).await.unwrap_err().engine_lost);
    scene.fake.crash_engine(false);
    assert_eq!(scene.shown().await.len(), 2);
}
