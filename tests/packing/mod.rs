//! From a build command to a container that answers, on a real engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use msctl::build::Builder;
use msctl::model::instance::{InstanceSpec, Program, Storage};
use msctl::model::platform::{Build, Database, Health, Limits, Run, ServiceSpec};
use msctl::model::quantity::{ByteSize, Cpus, Port};
use msctl::model::traffic::TrafficPolicy;
use msctl::runtime::{ExecRequest, Runtime, Terminal};

use crate::contract::docker::subject;
use crate::contract::subject::{Subject, get};
use crate::harness::responder::responder;

/// The service `order` in this folder, built in this way.
pub fn service(folder: &std::path::Path, build: Build) -> ServiceSpec {
    let second = Duration::from_secs(1);
    let limits =
        Limits { memory: ByteSize::from_mebibytes(64), cpus: Cpus::from_count(1.0).unwrap(), pids: 64 };
    let health = Health { path: "/health/ready".to_owned(), start_period: second, timeout: second };
    ServiceSpec {
        name: "order".parse().unwrap(),
        context: None,
        folder: folder.to_owned(),
        build,
        shared: BTreeSet::new(),
        process: None,
        run: Run { port: Port::try_from(8080).unwrap(), replicas: 1, limits, health, stop_grace: second },
        routes: Vec::new(),
        traffic: TrafficPolicy::default(),
        calls: BTreeSet::new(),
        database: Database::Sqlite,
        env_files: Vec::new(),
        configuration: BTreeMap::new(),
    }
}

async fn packed_services_run(subject: Arc<Subject>) {
    let root = tempfile::tempdir().unwrap();
    let command = format!("cp {} program", responder().display());
    let service = service(root.path(), Build::Pack { command, artifact: "program".to_owned() });
    let runtime: Arc<dyn Runtime> = subject.runtime();
    let builder =
        Builder::new(subject.platform.clone(), root.path().to_owned(), BTreeMap::new(), Arc::clone(&runtime));
    let digest = builder.digest(&service).await.unwrap();
    assert!(!builder.is_built(&service, &digest).await.unwrap());
    builder.make(&service, &digest, &|_| ()).await.unwrap();
    assert!(builder.is_built(&service, &digest).await.unwrap());
    runtime.prepare().await.unwrap();
    let program = builder.program(&service, &digest);
    assert!(matches!(program, Program::Image { .. }));
    let storage = Some(Storage { service: service.name.clone() });
    let spec = InstanceSpec { program, storage, ..subject.spec("order", &[]) };
    runtime.launch(&spec).await.unwrap();
    assert_eq!(get(&*runtime, &spec.name, "/health/ready").await.trim(), "ready");
    let argv = ["/app/order", "write", "/data/kept", "text"].map(str::to_owned).to_vec();
    let request = ExecRequest { argv, terminal: Terminal::None };
    assert_eq!(runtime.exec(&spec.name, &request).await.unwrap(), 0, "its user may write to /data");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packed_service_runs_alone_in_its_image_and_may_write_its_data() {
    if let Some(subject) = subject().await {
        subject.check(packed_services_run).await;
    }
}
