//! The promises of [`msctl::runtime::Runtime`], each as a test over any runtime.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;

use msctl::model::instance::{InstanceSpec, Program, SpecHash};
use msctl::model::observed::ResourceKind;
use msctl::runtime::{DataFate, ExecRequest, LogQuery, RuntimeError, StopOutcome, Terminal};

use super::subject::{DEADLINE, GRACE, Subject, exit_code, get, look, name, texts};
use crate::harness::wait::eventually;

pub async fn a_launched_instance_is_observed_with_its_name_hash_and_address(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    assert_eq!(runtime.observe().await.unwrap().instances, []);
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    let seen = look(&*runtime, &name("order")).await.expect("it is observed");
    assert_eq!(seen.hash, SpecHash("c0ffee".to_owned()));
    assert!(seen.state.is_running(), "{:?}", seen.state);
    assert!(seen.address.is_some());
    assert!(!seen.handle.is_empty());
    if let Program::Command { argv, .. } = &subject.spec("order", &[]).program {
        assert_eq!(seen.program.as_ref(), argv.first());
    }
}

pub async fn a_launched_instance_answers_at_its_address(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    assert!(get(&*runtime, &name("order"), "/").await.starts_with("ok "));
}

pub async fn an_instance_finds_its_environment_and_its_port(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[("GREETING", "good day, 'world' = \"$HOME\"")])).await.unwrap();
    let greeting = get(&*runtime, &name("order"), "/env/GREETING").await;
    assert_eq!(greeting.trim_end(), "good day, 'world' = \"$HOME\"");
    let port = get(&*runtime, &name("order"), "/env/PORT").await;
    let address = look(&*runtime, &name("order")).await.and_then(|seen| seen.address).unwrap();
    assert_eq!(port.trim_end(), address.port().to_string());
}

pub async fn instances_are_observed_in_the_order_of_their_names(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    for service in ["product", "exchange", "order"] {
        runtime.launch(&subject.spec(service, &[])).await.unwrap();
    }
    let names = runtime.observe().await.unwrap().instances.into_iter().map(|seen| seen.name.to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["exchange.v1.1", "order.v1.1", "product.v1.1"]);
}

pub async fn an_instance_that_obeys_is_stopped_within_its_grace(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    get(&*runtime, &name("order"), "/").await;
    assert_eq!(runtime.stop(&name("order"), GRACE).await.unwrap(), StopOutcome::Stopped);
    let seen = look(&*runtime, &name("order")).await.expect("a stopped instance is there until removed");
    assert!(!seen.state.is_running());
    assert_eq!(seen.address, None);
}

pub async fn an_instance_that_ignores_the_request_is_killed_after_its_grace(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[("IGNORE_TERM", "1")])).await.unwrap();
    get(&*runtime, &name("order"), "/").await;
    let stopped = runtime.stop(&name("order"), Duration::from_secs(1)).await.unwrap();
    assert_eq!(stopped, StopOutcome::Killed);
    assert_eq!(exit_code(&*runtime, &name("order")).await, Some(137));
}

pub async fn stopping_and_removing_what_is_gone_succeeds(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    assert_eq!(runtime.stop(&name("order"), GRACE).await.unwrap(), StopOutcome::Stopped);
    runtime.remove(&name("order")).await.unwrap();
    runtime.launch(&subject.spec("order", &[("EXIT_CODE", "0")])).await.unwrap();
    exit_code(&*runtime, &name("order")).await;
    for _ in 0..2 {
        assert_eq!(runtime.stop(&name("order"), GRACE).await.unwrap(), StopOutcome::Stopped);
    }
    for _ in 0..2 {
        runtime.remove(&name("order")).await.unwrap();
    }
}

pub async fn an_instance_that_ends_by_itself_is_observed_with_its_exit_code(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[("EXIT_CODE", "3")])).await.unwrap();
    assert_eq!(exit_code(&*runtime, &name("order")).await, Some(3));
    let later = subject.runtime();
    assert_eq!(exit_code(&*later, &name("order")).await, Some(3), "a later runtime can tell as well");
}

pub async fn a_removed_instance_is_no_longer_observed(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    runtime.stop(&name("order"), GRACE).await.unwrap();
    runtime.remove(&name("order")).await.unwrap();
    assert_eq!(look(&*runtime, &name("order")).await, None);
    assert_eq!(look(&*subject.runtime(), &name("order")).await, None);
}

pub async fn launching_over_what_an_ended_instance_left_replaces_it(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[("EXIT_CODE", "1")])).await.unwrap();
    exit_code(&*runtime, &name("order")).await;
    let next = InstanceSpec { hash: SpecHash("beef".to_owned()), ..subject.spec("order", &[]) };
    runtime.launch(&next).await.unwrap();
    get(&*runtime, &name("order"), "/").await;
    let seen = runtime.observe().await.unwrap().instances;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].state.is_running() && seen[0].hash == next.hash, "{seen:?}");
}

pub async fn launching_what_runs_already_leaves_it_alone(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    let before = look(&*runtime, &name("order")).await;
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    assert_eq!(look(&*runtime, &name("order")).await, before);
}

pub async fn launching_another_version_over_a_running_instance_is_refused(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    let before = look(&*runtime, &name("order")).await;
    let next = InstanceSpec { hash: SpecHash("beef".to_owned()), ..subject.spec("order", &[]) };
    let error = runtime.launch(&next).await.expect_err("another one runs");
    assert!(error.to_string().contains("order"), "{error}");
    assert_eq!(look(&*runtime, &name("order")).await, before);
}

pub async fn a_program_that_is_not_there_cannot_be_launched(subject: Arc<Subject>) {
    let Some((program, shown)) = subject.missing.clone() else { return };
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    let spec = InstanceSpec { program, ..subject.spec("order", &[]) };
    let error = runtime.launch(&spec).await.expect_err("there is nothing to run").to_string();
    assert!(error.contains(&shown), "{error}");
    let seen = look(&*runtime, &name("order")).await;
    assert!(seen.is_none_or(|seen| !seen.state.is_running()), "nothing runs");
}

pub async fn logs_come_oldest_first_and_the_tail_is_the_newest(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[("LOG_LINES", "5"), ("EXIT_CODE", "0")])).await.unwrap();
    exit_code(&*runtime, &name("order")).await;
    let all = texts(&*runtime, &name("order"), &LogQuery::default()).await;
    let expected: Vec<String> = (1..=5).map(|number| format!("line {number} ")).collect();
    assert_eq!(all, expected);
    let tail = LogQuery { tail: Some(2), ..LogQuery::default() };
    assert_eq!(texts(&*runtime, &name("order"), &tail).await, expected[3..]);
    let more = LogQuery { tail: Some(50), ..LogQuery::default() };
    assert_eq!(texts(&*runtime, &name("order"), &more).await, expected);
}

pub async fn logs_from_before_the_time_asked_for_are_left_out(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[("LOG_LINES", "1"), ("EXIT_CODE", "0")])).await.unwrap();
    exit_code(&*runtime, &name("order")).await;
    let hour = Duration::from_secs(3600);
    let since = |since| LogQuery { since: Some(since), ..LogQuery::default() };
    let now = SystemTime::now();
    assert_eq!(texts(&*runtime, &name("order"), &since(now - hour)).await, ["line 1 "]);
    assert_eq!(texts(&*runtime, &name("order"), &since(now + hour)).await, [""; 0]);
}

pub async fn followed_logs_end_with_the_instance(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[("LOG_LINES", "2")])).await.unwrap();
    let follow = LogQuery { follow: true, ..LogQuery::default() };
    let lines = runtime.logs(&name("order"), &follow).await.unwrap();
    let mut lines = lines.map(|line| line.unwrap().text);
    for expected in ["line 1 ", "line 2 "] {
        let line = tokio::time::timeout(DEADLINE, lines.next()).await.expect("the line comes");
        assert_eq!(line.as_deref(), Some(expected));
    }
    let listening = tokio::time::timeout(DEADLINE, lines.next()).await.expect("the line comes").unwrap();
    assert!(listening.starts_with("listening on "), "{listening}");
    runtime.stop(&name("order"), GRACE).await.unwrap();
    let rest: Vec<String> = tokio::time::timeout(DEADLINE, lines.collect()).await.expect("the stream ends");
    assert_eq!(rest, [""; 0]);
}

pub async fn logs_of_an_unknown_instance_are_an_error(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    let error = runtime.logs(&name("order"), &LogQuery::default()).await.err().expect("there is none");
    assert!(matches!(error, RuntimeError::NoSuchInstance(_)), "{error:?}");
}

pub async fn a_command_inside_an_instance_gives_its_exit_code(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    for code in [0, 3] {
        let found = runtime.exec(&name("order"), &exit_with(&subject, code)).await.unwrap();
        assert_eq!(found, code);
    }
    let seen = look(&*runtime, &name("order")).await.unwrap();
    assert!(seen.state.is_running(), "the instance itself goes on");
}

pub async fn a_command_needs_a_running_instance(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    let error = runtime.exec(&name("order"), &exit_with(&subject, 0)).await.unwrap_err();
    assert!(matches!(error, RuntimeError::NoSuchInstance(_)), "{error:?}");
    runtime.launch(&subject.spec("order", &[("EXIT_CODE", "0")])).await.unwrap();
    exit_code(&*runtime, &name("order")).await;
    let error = runtime.exec(&name("order"), &exit_with(&subject, 0)).await.unwrap_err();
    assert!(matches!(error, RuntimeError::NotRunning(_)), "{error:?}");
}

fn exit_with(subject: &Subject, code: i32) -> ExecRequest {
    let argv = vec![subject.tool.clone(), "exit".to_owned(), code.to_string()];
    ExecRequest { argv, terminal: Terminal::None }
}

pub async fn changes_wake_when_an_instance_ends(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    get(&*runtime, &name("order"), "/").await;
    let mut changes = runtime.changes().await.unwrap();
    // Through another runtime, as somebody else would end it.
    let ending = subject.runtime();
    ending.stop(&name("order"), GRACE).await.unwrap();
    let woken = async {
        while let Some(change) = changes.next().await {
            let of_ours = change.service.is_none_or(|service| service.as_str() == "order");
            let seen = look(&*runtime, &name("order")).await;
            if of_ours && seen.is_none_or(|seen| !seen.state.is_running()) {
                return;
            }
        }
        panic!("the stream of changes ended");
    };
    tokio::time::timeout(DEADLINE, woken).await.expect("the end is announced");
}

pub async fn another_platforms_instances_are_neither_seen_nor_touched(subject: Arc<Subject>) {
    let (runtime, foreign) = (subject.runtime(), subject.foreign_runtime());
    foreign.prepare().await.unwrap();
    let spec = InstanceSpec { platform: subject.foreign.clone(), ..subject.spec("order", &[]) };
    foreign.launch(&spec).await.unwrap();
    let before = look(&*foreign, &name("order")).await;
    runtime.prepare().await.unwrap();
    assert_eq!(runtime.observe().await.unwrap().instances, []);
    runtime.stop(&name("order"), GRACE).await.unwrap();
    runtime.remove(&name("order")).await.unwrap();
    runtime.launch(&subject.spec("order", &[])).await.unwrap();
    runtime.stop(&name("order"), GRACE).await.unwrap();
    runtime.remove(&name("order")).await.unwrap();
    runtime.tear_down(DataFate::Delete).await.unwrap();
    assert_eq!(look(&*foreign, &name("order")).await, before);
    get(&*foreign, &name("order"), "/").await;
}

pub async fn a_second_runtime_adopts_what_the_first_started(subject: Arc<Subject>) {
    let first = subject.runtime();
    first.prepare().await.unwrap();
    first.launch(&subject.spec("order", &[])).await.unwrap();
    let started = look(&*first, &name("order")).await;
    assert!(started.is_some());
    drop(first);
    let second = subject.runtime();
    second.prepare().await.unwrap();
    assert_eq!(look(&*second, &name("order")).await, started);
    get(&*second, &name("order"), "/").await;
    second.launch(&subject.spec("order", &[])).await.unwrap();
    assert_eq!(look(&*second, &name("order")).await, started, "it knows that it runs");
    assert_eq!(second.stop(&name("order"), GRACE).await.unwrap(), StopOutcome::Stopped);
    second.remove(&name("order")).await.unwrap();
    assert_eq!(second.observe().await.unwrap().instances, []);
}

pub async fn tearing_down_leaves_nothing_but_kept_data(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    runtime.launch(&subject.spec_with_storage("order")).await.unwrap();
    runtime.stop(&name("order"), GRACE).await.unwrap();
    runtime.remove(&name("order")).await.unwrap();
    let is_storage = |kind: ResourceKind| kind == ResourceKind::Volume;
    let removed = runtime.tear_down(DataFate::Keep).await.unwrap();
    assert!(!removed.iter().any(|resource| is_storage(resource.kind)), "{removed:?}");
    let instances = runtime.observe().await.unwrap().instances;
    let left = runtime.resources().await.unwrap();
    let kinds: Vec<ResourceKind> = left.iter().map(|resource| resource.kind).collect();
    assert_eq!((instances.len(), kinds.as_slice()), (0, [ResourceKind::Volume].as_slice()));
    let removed = runtime.tear_down(DataFate::Delete).await.unwrap();
    assert!(removed.iter().any(|resource| is_storage(resource.kind)), "{removed:?}");
    eventually(DEADLINE, "nothing is left", async || {
        let instances = runtime.observe().await.unwrap().instances;
        (instances.is_empty() && runtime.resources().await.unwrap().is_empty()).then_some(())
    })
    .await;
}
