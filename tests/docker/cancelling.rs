//! A build that nobody waits for any more is over, with what it runs.

use std::path::Path;
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use msctl::runtime::docker::Docker;
use msctl::runtime::{ImageBuild, Runtime, labels};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::platform::{TestPlatform, on_a_platform};
use crate::harness::image::context;
use crate::harness::wait::eventually;

/// How long the engine may take to end what it runs.
const DEADLINE: Duration = Duration::from_secs(20);

/// Which builder is at work: only the classic one runs steps in containers that can be listed.
#[derive(Debug, PartialEq)]
enum Kind {
    BuildKit,
    Classic,
}

/// A build whose only step calls here and waits for an answer that it never gets; dropped as soon as
/// it does.
async fn begin_and_drop(
    docker: &Docker,
    platform: &TestPlatform,
    call: &TcpListener,
    kind: Kind,
) -> TcpStream {
    let door = docker.prepare().await.unwrap().door;
    let port = call.local_addr().unwrap().port();
    let dockerfile = format!(
        "FROM scratch\nCOPY responder /responder\nRUN [\"/responder\", \"fetch\", \"http://{door}:{port}/\"]\n"
    );
    let request = ImageBuild {
        context: context(&dockerfile),
        dockerfile: "Dockerfile".to_owned(),
        tag: format!("{}/built:1", platform.id),
        labels: labels::of_platform(&platform.id),
    };
    let called = async {
        let step = tokio::time::timeout(DEADLINE, call.accept()).await.expect("the step runs").unwrap().0;
        assert_eq!(steps(platform, call).await, usize::from(kind == Kind::Classic));
        step
    };
    tokio::select! {
        built = docker.images().unwrap().build(request, &|_| ()) => panic!("it waits for ever: {built:?}"),
        step = called => step,
    }
}

/// How many containers run a step that calls here.
async fn steps(platform: &TestPlatform, call: &TcpListener) -> usize {
    let all = ListContainersOptionsBuilder::default().all(true).build();
    let listed = platform.behind().list_containers(Some(all)).await.unwrap();
    let port = format!(":{}/", call.local_addr().unwrap().port());
    listed.into_iter().filter(|found| found.command.as_ref().is_some_and(|it| it.contains(&port))).count()
}

/// Waits until the process at the other end is gone: then it has no open connection. As long as it
/// lives it is told something, so that it does not lose patience by itself.
async fn await_end(step: TcpStream) {
    let (mut reader, mut writer) = step.into_split();
    let tell = async {
        while writer.write_all(b"wait\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let mut rest = Vec::new();
    let end = async {
        tokio::select! {
            // Orderly or not, it is the end.
            _ = reader.read_to_end(&mut rest) => {}
            () = tell => {}
        }
    };
    tokio::time::timeout(DEADLINE, end).await.expect("the step's process has ended");
}

#[tokio::test]
async fn dropping_a_build_ends_the_step_that_it_runs() {
    on_a_platform(async |platform| {
        let call = TcpListener::bind("0.0.0.0:0").await.unwrap();
        await_end(begin_and_drop(&platform.docker, platform, &call, Kind::BuildKit).await).await;
    })
    .await;
}

#[tokio::test]
async fn dropping_a_build_of_the_classic_builder_does_so_too() {
    on_a_platform(async |platform| {
        let call = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let _front = WithoutBuildKit::open(&socket, platform);
        let docker = Docker::connect(platform.id.clone(), socket.to_str()).await.unwrap();
        await_end(begin_and_drop(&docker, platform, &call, Kind::Classic).await).await;
        let is_removed = async || (steps(platform, &call).await == 0).then_some(());
        eventually(DEADLINE, "the step's container is removed", is_removed).await;
    })
    .await;
}

/// Stands before the engine as one that knows no BuildKit: it is asked for a version that there is
/// not. Dropped, it is gone.
struct WithoutBuildKit(tokio::task::JoinHandle<()>);

impl WithoutBuildKit {
    fn open(socket: &Path, platform: &TestPlatform) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let address = platform.engine.host().unwrap_or("unix:///var/run/docker.sock").to_owned();
        let engine = address.strip_prefix("unix://").expect("an engine at a socket").to_owned();
        Self(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&engine).await.unwrap();
                tokio::spawn(pass_on(client, server));
            }
        }))
    }
}

impl Drop for WithoutBuildKit {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn pass_on(client: UnixStream, server: UnixStream) {
    let (mut asked, mut answer) = client.into_split();
    let (mut answered, mut ask) = server.into_split();
    let there = async {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = asked.read(&mut bytes).await {
            let bytes = &mut bytes[..length];
            if let Some(at) = bytes.windows(9).position(|nine| nine == b"version=2") {
                bytes[at + 8] = b'9';
            }
            // An engine that refuses does not read to the end, and its answer is still under way.
            let _ = ask.write_all(bytes).await;
        }
    };
    // The end of either side is the end of both, as it would be without this in between.
    tokio::select! {
        () = there => {}
        _ = tokio::io::copy(&mut answered, &mut answer) => {}
    }
}
