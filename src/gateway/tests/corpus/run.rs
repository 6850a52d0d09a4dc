//! Sends rows and compares what happens with what they say.

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::timeout;

use super::recorder::{Recorder, Request, Seen};
use super::row::{Reaches, Row, Then};
use crate::gateway::tests::harness::World;
use crate::gateway::tests::wire::{Message, PATIENCE, Wire};
use crate::model::catalog::EndpointState::Ready;

const PROOF: &str = "GET /orders/proof HTTP/1.1\r\nHost: a\r\n\r\n";

/// A gateway with an instance of `order` that writes everything down.
pub async fn recorded(mut world: World) -> (World, Recorder) {
    let recorder = Recorder::new().await;
    world.set("order", &[(1, recorder.backend.address, Ready)]);
    (world, recorder)
}

pub async fn world() -> (World, Recorder) {
    recorded(World::new().await).await
}

/// All rows on one gateway; says of every row that fails how.
pub fn check(rows: impl IntoIterator<Item = Row>) -> impl Future<Output = ()> {
    let rows: Vec<Row> = rows.into_iter().collect();
    async move { check_in(world().await, &rows).await }
}

pub async fn check_in((world, recorder): (World, Recorder), rows: &[Row]) {
    let mut failures = String::new();
    for row in rows {
        let outcome = AssertUnwindSafe(run(&world, &recorder, row)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|panic| Err(format!("the talk broke off: {}", said(&*panic))));
        if let Err(failure) = outcome {
            let sent = String::from_utf8_lossy(&row.sends[..row.sends.len().min(400)]);
            writeln!(failures, "- {} ({})\n  {sent:?}\n  {failure}", row.rule, row.source).unwrap();
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?").to_owned()
}

async fn run(world: &World, recorder: &Recorder, row: &Row) -> Result<(), String> {
    recorder.take();
    let mut wire = Wire::connect(world.public).await;
    wire.write(&row.sends).await;
    let bodyless = row.sends.starts_with(b"HEAD ");
    for &(status, code) in &row.answers {
        let answer = if bodyless { wire.read_head().await } else { wire.read().await };
        compare(&answer.ok_or(format!("closed instead of {status}"))?, status, code)?;
    }
    let proved = end(&mut wire, row.then).await?;
    if matches!(row.reaches, Reaches::Unfinished) {
        // Accepted after everything that the row may have caused, so that is seen by now.
        world.get("/orders/proof", "").await;
        return compare_seen(recorder, &row.reaches, true);
    }
    compare_seen(recorder, &row.reaches, proved)
}

fn compare(answer: &Message, status: u16, code: Option<&str>) -> Result<(), String> {
    if answer.status() != status {
        return Err(format!(
            "{} instead of {status}: {}",
            answer.status(),
            String::from_utf8_lossy(&answer.body)
        ));
    }
    let Some(code) = code else { return Ok(()) };
    let found = answer.problem("code");
    if found == code { Ok(()) } else { Err(format!("code {found} instead of {code}")) }
}

/// Whether one more request was served on the connection.
async fn end(wire: &mut Wire, then: Then) -> Result<bool, String> {
    if then == Then::Closed {
        let rest = timeout(PATIENCE, wire.read_to_end()).await.map_err(|_| "the connection stays open")?;
        let rest = String::from_utf8_lossy(&rest).into_owned();
        return if rest.is_empty() { Ok(false) } else { Err(format!("more came: {rest:?}")) };
    }
    // A connection that has been closed cannot be written to.
    let proof = AssertUnwindSafe(async {
        wire.write(PROOF).await;
        wire.read().await
    });
    match (proof.catch_unwind().await.ok().flatten(), then) {
        (Some(answer), _) => compare(&answer, 200, None).map(|()| true),
        (None, Then::Either) => Ok(false),
        (None, _) => Err("the connection was closed".to_owned()),
    }
}

fn compare_seen(recorder: &Recorder, reaches: &Reaches, proved: bool) -> Result<(), String> {
    let mut seen = recorder.take();
    let is_proof =
        |seen: &Seen| matches!(seen, Seen::Whole(request) if request.head.starts_with("GET /orders/proof "));
    if proved && !seen.pop().is_some_and(|last| is_proof(&last)) {
        return Err("the proof was not the last request".to_owned());
    }
    let requests: Vec<&Request> = whole(&seen);
    let found: Vec<String> = requests.iter().map(|request| request.plain()).collect();
    match reaches {
        Reaches::Requests(expected) if found != sorted(expected) || seen.len() != found.len() => {
            Err(format!("the instance got {found:#?}\n  instead of {expected:#?}\n  {seen:?}"))
        }
        Reaches::Nobody if !seen.is_empty() => Err(format!("the instance got {seen:?}")),
        Reaches::Unfinished if !found.is_empty() => {
            Err(format!("the instance got a whole request: {found:#?}"))
        }
        _ => Ok(()),
    }
}

pub fn whole(seen: &[Seen]) -> Vec<&Request> {
    let whole = seen.iter().filter_map(|seen| match seen {
        Seen::Whole(request) => Some(request),
        Seen::Unfinished(_) => None,
    });
    whole.collect()
}

/// With the lines of each head in the order of their names, as requests are written down.
fn sorted(requests: &[String]) -> Vec<String> {
    let plain = |request: &String| {
        let (head, body) = request.split_once("\n\n").unwrap_or((request.trim_end_matches('\n'), ""));
        Request { head: head.replace('\n', "\r\n"), body: body.replace('\n', "\r\n").into_bytes() }.plain()
    };
    requests.iter().map(plain).collect()
}
