//! Reading an instance's output, and running commands inside it.

use std::time::Duration;

use futures_util::TryStreamExt;
use msctl::runtime::{
    ExecRequest, LogLine, LogQuery, LogStream, MAX_LOG_LINE, Runtime, RuntimeError, Terminal,
};

use super::platform::{TestPlatform, on_a_platform, replica};

pub fn exec(argv: &[&str]) -> ExecRequest {
    ExecRequest { argv: argv.iter().map(|&word| word.to_owned()).collect(), terminal: Terminal::None }
}

async fn logs(platform: &TestPlatform, query: &LogQuery) -> Vec<LogLine> {
    let lines = platform.docker.logs(&replica(1), query).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), lines.try_collect()).await.unwrap().unwrap()
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.trim_end_matches([' ', '.'])).collect()
}

#[tokio::test]
async fn output_comes_in_order_with_times_and_ends_with_the_instance() {
    on_a_platform(async |platform| {
        platform.launch(&[("LOG_LINES", "3"), ("EXIT_CODE", "0"), ("EXIT_AFTER_MS", "300")]).await;
        let follow = LogQuery { follow: true, ..LogQuery::default() };
        let lines = logs(platform, &follow).await;
        assert_eq!(texts(&lines), ["line 1", "line 2", "line 3", "listening on 8080"]);
        assert!(lines.iter().all(|line| line.stream == LogStream::Stdout && line.at.is_some()));
        assert!(lines.is_sorted_by_key(|line| line.at));
    })
    .await;
}

#[tokio::test]
async fn the_newest_lines_and_those_since_a_moment_can_be_asked_for() {
    on_a_platform(async |platform| {
        platform.launch(&[("LOG_LINES", "5"), ("EXIT_CODE", "0")]).await;
        platform.exit().await;
        let tail = LogQuery { tail: Some(2), ..LogQuery::default() };
        let newest = logs(platform, &tail).await;
        assert_eq!(texts(&newest), ["line 4", "line 5"]);
        let since = LogQuery { since: newest[1].at, ..LogQuery::default() };
        assert_eq!(texts(&logs(platform, &since).await), ["line 5"]);
    })
    .await;
}

#[tokio::test]
async fn a_line_that_the_engine_splits_is_whole_again_and_an_endless_one_is_cut() {
    on_a_platform(async |platform| {
        platform.launch(&[("LOG_LINES", "1"), ("LOG_BYTES", "50000"), ("EXIT_CODE", "0")]).await;
        platform.exit().await;
        assert_eq!(logs(platform, &LogQuery::default()).await[0].text.len(), 50_000);
        platform.launch(&[("LOG_LINES", "1"), ("LOG_BYTES", "1000000"), ("EXIT_CODE", "0")]).await;
        platform.exit().await;
        let lines = logs(platform, &LogQuery::default()).await;
        assert_eq!(lines.len(), 1);
        assert!((MAX_LOG_LINE..MAX_LOG_LINE + 20).contains(&lines[0].text.len()), "{}", lines[0].text.len());
    })
    .await;
}

#[tokio::test]
async fn nobodys_output_is_no_output() {
    on_a_platform(async |platform| {
        let nobody = platform.docker.logs(&replica(9), &LogQuery::default()).await.err().unwrap();
        assert!(matches!(nobody, RuntimeError::NoSuchInstance(_)), "{nobody}");
        let nobody = platform.docker.exec(&replica(9), &exec(&["/responder"])).await.unwrap_err();
        assert!(matches!(nobody, RuntimeError::NoSuchInstance(_)), "{nobody}");
    })
    .await;
}

#[tokio::test]
async fn a_command_inside_gives_its_exit_code() {
    on_a_platform(async |platform| {
        platform.launch(&[]).await;
        let run = async |argv: &[&str]| platform.docker.exec(&replica(1), &exec(argv)).await.unwrap();
        assert_eq!(run(&["/responder", "exit", "0"]).await, 0);
        assert_eq!(run(&["/responder", "exit", "42"]).await, 42);
        assert!(matches!(run(&["/nope"]).await, 126 | 127));
    })
    .await;
}

#[tokio::test]
async fn nothing_runs_inside_what_does_not_run() {
    on_a_platform(async |platform| {
        platform.launch(&[("EXIT_CODE", "0")]).await;
        platform.exit().await;
        let error = platform.docker.exec(&replica(1), &exec(&["/responder", "exit", "0"])).await;
        assert!(matches!(error, Err(RuntimeError::NotRunning(_))));
    })
    .await;
}
