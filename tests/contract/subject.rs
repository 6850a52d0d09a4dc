//! A runtime to be examined, and what it can run.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use msctl::model::instance::{Generation, InstanceName, InstanceSpec, Program, SpecHash, Storage};
use msctl::model::name::{PlatformId, Worktree};
use msctl::model::observed::{InstanceState, ObservedInstance};
use msctl::model::platform::Limits;
use msctl::model::quantity::{ByteSize, Cpus, Port};
use msctl::runtime::{DataFate, LogLine, LogQuery, Runtime};

use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::wait::eventually;

/// Long enough for a loaded machine; no case waits for it to pass unless it fails.
pub const DEADLINE: Duration = Duration::from_secs(20);
pub const GRACE: Duration = Duration::from_secs(10);

type Open = Box<dyn Fn(&PlatformId) -> Arc<dyn Runtime> + Send + Sync>;

/// One runtime, with a platform of its own that no other test touches.
pub struct Subject {
    pub platform: PlatformId,
    pub foreign: PlatformId,
    /// Owns what the program is made of, where that has to be removed as well.
    maker: Option<PlatformId>,
    open: Open,
    /// The responder, see `tests/fixtures/responder/main.rs`.
    program: Program,
    /// A program that is not there, and the name that its error has to show; `None` where the
    /// runtime runs no programs.
    pub missing: Option<(Program, String)>,
    /// How the responder is called inside an instance.
    pub tool: String,
}

impl Subject {
    pub fn new(open: Open, program: Program, missing: Option<(Program, String)>, tool: &str) -> Self {
        let (platform, foreign) = (fresh_platform(), fresh_platform());
        Self { platform, foreign, maker: None, open, program, missing, tool: tool.to_owned() }
    }

    #[must_use]
    pub fn made_by(self, maker: PlatformId) -> Self {
        Self { maker: Some(maker), ..self }
    }

    /// The runtime, as another process would open it: calls share nothing in memory.
    pub fn runtime(&self) -> Arc<dyn Runtime> {
        (self.open)(&self.platform)
    }

    pub fn foreign_runtime(&self) -> Arc<dyn Runtime> {
        (self.open)(&self.foreign)
    }

    /// Runs a case and removes what it left, also when it failed.
    pub async fn check<F, Case>(self, case: Case)
    where
        Case: FnOnce(Arc<Self>) -> F,
        F: Future<Output = ()>,
    {
        let subject = Arc::new(self);
        let outcome = AssertUnwindSafe(case(Arc::clone(&subject))).catch_unwind().await;
        let platforms = [Some(&subject.platform), Some(&subject.foreign), subject.maker.as_ref()];
        for platform in platforms.into_iter().flatten() {
            clean(&*(subject.open)(platform)).await;
        }
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure);
        }
    }

    pub fn spec(&self, service: &str, environment: &[(&str, &str)]) -> InstanceSpec {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        InstanceSpec {
            platform: self.platform.clone(),
            name: name(service),
            hash: SpecHash("c0ffee".to_owned()),
            program: self.program.clone(),
            environment: environment.iter().map(owned).collect(),
            door_hosts: Vec::new(),
            port: Port::try_from(8080).unwrap(),
            limits: Limits {
                memory: ByteSize::from_mebibytes(64),
                cpus: Cpus::from_count(1.0).unwrap(),
                pids: 64,
            },
            storage: None,
            stop_grace: GRACE,
        }
    }

    pub fn spec_with_storage(&self, service: &str) -> InstanceSpec {
        let storage = Some(Storage { service: service.parse().unwrap() });
        InstanceSpec { storage, ..self.spec(service, &[]) }
    }
}

pub fn name(service: &str) -> InstanceName {
    InstanceName { service: service.parse().unwrap(), generation: Generation::FIRST, replica: 1 }
}

pub fn fresh_platform() -> PlatformId {
    let digits = uuid::Uuid::new_v4().simple().to_string();
    let worktree = Worktree::from_hex(&digits[..6]).expect("an UUID is hexadecimal");
    PlatformId { name: "contract".parse().unwrap(), worktree }
}

async fn clean(runtime: &dyn Runtime) {
    for instance in runtime.observe().await.expect("the runtime answers").instances {
        runtime.stop(&instance.name, Duration::ZERO).await.expect("what runs can be killed");
        runtime.remove(&instance.name).await.expect("what is stopped can be removed");
    }
    runtime.tear_down(DataFate::Delete).await.expect("an empty platform can be torn down");
}

/// The instance as it is seen now, if it is.
pub async fn look(runtime: &dyn Runtime, name: &InstanceName) -> Option<ObservedInstance> {
    let observed = runtime.observe().await.expect("the runtime answers");
    observed.instances.into_iter().find(|instance| instance.name == *name)
}

/// Waits until the instance has ended, and gives its exit code.
pub async fn exit_code(runtime: &dyn Runtime, name: &InstanceName) -> Option<i32> {
    eventually(DEADLINE, &format!("{name} has ended"), async || match look(runtime, name).await?.state {
        InstanceState::Exited { code, .. } => Some(code),
        _ => None,
    })
    .await
}

/// Waits until the instance answers, and gives the body.
pub async fn get(runtime: &dyn Runtime, name: &InstanceName, path: &str) -> String {
    eventually(DEADLINE, &format!("{name} answers at {path}"), async || {
        let address = look(runtime, name).await?.address?;
        fetch(address, path).await.ok()
    })
    .await
}

async fn fetch(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(answer)),
    }
}

/// All lines that the query gives, bounded in time.
pub async fn texts(runtime: &dyn Runtime, name: &InstanceName, query: &LogQuery) -> Vec<String> {
    let lines = runtime.logs(name, query).await.expect("its logs can be read");
    let lines = lines.map(|line: Result<LogLine, _>| line.expect("a line").text).collect();
    tokio::time::timeout(DEADLINE, lines).await.expect("the lines end")
}
