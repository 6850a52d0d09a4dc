//! A platform of the test's own on the real engine, which leaves nothing behind.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use msctl::model::instance::{Generation, InstanceName, InstanceSpec, Program, SpecHash};
use msctl::model::name::{PlatformId, Worktree};
use msctl::model::observed::{InstanceState, ObservedInstance};
use msctl::model::platform::Limits;
use msctl::model::quantity::{ByteSize, Cpus, Port};
use msctl::runtime::docker::Docker;
use msctl::runtime::{DataFate, Runtime, labels};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::engine::{Engine, engine};
use crate::harness::image::TestImage;
use crate::harness::wait::eventually;

/// How long anything may take on a machine that does other things, too.
const DEADLINE: Duration = Duration::from_secs(30);

/// A platform on the engine, with an image of the responder.
pub struct TestPlatform {
    pub engine: Engine,
    pub id: PlatformId,
    pub docker: Docker,
    pub image: String,
}

/// Runs a test on a platform of its own, and removes everything of it whatever happened.
pub async fn on_a_platform(test: impl AsyncFn(&TestPlatform)) {
    let Some(engine) = engine() else { return };
    let id = some_platform();
    let docker =
        Docker::connect(id.clone(), engine.host()).await.expect("MSCTL_TEST_ENGINE promises an engine");
    let image = format!("{id}/responder:1");
    let platform = TestPlatform { engine, id, docker, image };
    platform.load(&platform.image, "", "/responder").await;
    let result = AssertUnwindSafe(test(&platform)).catch_unwind().await;
    platform.remove_everything().await;
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
    let left = platform.docker.resources().await.expect("the engine is there");
    assert_eq!((platform.instances().await, left), (Vec::new(), Vec::new()), "something was left behind");
}

/// A replica of the first generation of the service that the tests run.
pub fn replica(replica: u16) -> InstanceName {
    InstanceName { service: "order".parse().expect("a good name"), generation: Generation::FIRST, replica }
}

fn some_platform() -> PlatformId {
    let digits = uuid::Uuid::new_v4().simple().to_string();
    PlatformId {
        name: "msctl-test".parse().expect("a good name"),
        worktree: Worktree::from_hex(&digits[..6]).expect("six digits"),
    }
}

impl TestPlatform {
    /// A second connection to the same platform, as another process would have.
    pub async fn connect_again(&self) -> Docker {
        Docker::connect(self.id.clone(), self.engine.host()).await.expect("the engine is there")
    }

    /// The engine itself, to look or meddle behind the runtime's back.
    pub fn behind(&self) -> bollard::Docker {
        let connected = match self.engine.host() {
            Some(host) => bollard::Docker::connect_with_host(host),
            None => bollard::Docker::connect_with_local_defaults(),
        };
        connected.expect("the engine is there")
    }

    pub async fn load(&self, tag: &str, user: &str, entrypoint: &str) {
        let labels = labels::of_platform(&self.id);
        let archive = TestImage { tag, labels, user, entrypoint }.archive();
        let images = self.docker.images().expect("an engine has images");
        images.load(archive).await.expect("the image is good");
    }

    pub fn spec(&self, environment: &[(&str, &str)]) -> InstanceSpec {
        InstanceSpec {
            platform: self.id.clone(),
            name: replica(1),
            hash: SpecHash("abc".to_owned()),
            program: Program::Image { reference: self.image.clone() },
            environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            door_hosts: vec!["product.store.internal".to_owned()],
            port: Port::try_from(8080).expect("a good port"),
            limits: Limits {
                memory: ByteSize::from_mebibytes(32),
                cpus: Cpus::from_count(1.0).expect("a good number"),
                pids: 50,
            },
            storage: None,
            stop_grace: Duration::from_secs(1),
        }
    }

    pub async fn launch(&self, environment: &[(&str, &str)]) {
        self.docker.launch(&self.spec(environment)).await.expect("the instance starts");
    }

    /// The instances as observed, in one look.
    pub async fn instances(&self) -> Vec<ObservedInstance> {
        self.docker.observe().await.expect("the engine is there").instances
    }

    /// Waits until the only instance has ended, and tells how.
    pub async fn exit(&self) -> InstanceState {
        eventually(DEADLINE, "the instance ends", async || {
            let state = self.instances().await.first()?.state;
            matches!(state, InstanceState::Exited { .. }).then_some(state)
        })
        .await
    }

    /// What the only instance answers, once it does.
    pub async fn get(&self, path: &str) -> String {
        let address = self.instances().await[0].address.expect("it runs");
        eventually(DEADLINE, "the instance answers", async || get(address, path).await.ok()).await
    }

    async fn remove_everything(&self) {
        for instance in self.instances().await {
            self.docker.stop(&instance.name, Duration::ZERO).await.expect("it can be stopped");
            self.docker.remove(&instance.name).await.expect("it can be removed");
        }
        self.docker.tear_down(DataFate::Delete).await.expect("everything of ours can be removed");
    }
}

/// The body of an HTTP answer.
async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
