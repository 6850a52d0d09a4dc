use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::stream;
use tokio::sync::{Semaphore, mpsc};

use super::*;

fn built() -> EventKind {
    let (service, subject, took) = ("order".to_owned(), "order".to_owned(), Duration::ZERO);
    EventKind::StepFinished { service, step: StepKind::Build, subject, took }
}

fn ended(outcome: Outcome) -> EventKind {
    EventKind::DeploymentEnded { service: "order".to_owned(), generation: 1, outcome }
}

fn settled() -> EventKind {
    EventKind::Settled { ready: Vec::new(), failed: Vec::new(), took: Duration::ZERO }
}

/// How often it was time, over these events.
fn occasions(occasion: &mut Occasion, kinds: &[EventKind]) -> usize {
    let mut times = 0;
    for kind in kinds {
        occasion.note(kind, Budget::default());
        times += usize::from(occasion.take());
    }
    times
}

#[test]
fn it_is_time_once_after_a_build_that_is_live_or_all_that_was_planned() {
    let mut occasion = Occasion::default();
    assert_eq!(occasions(&mut occasion, &[settled()]), 1, "what was before is not known");
    assert_eq!(occasions(&mut occasion, &[settled(), ended(Outcome::Live), settled()]), 0);
    assert_eq!(occasions(&mut occasion, &[built(), ended(Outcome::Superseded { by: 2 })]), 0);
    assert_eq!(occasions(&mut occasion, &[ended(Outcome::Live), settled()]), 1);
    assert_eq!(occasions(&mut occasion, &[built(), settled(), settled()]), 1);
}

#[test]
fn another_budget_counts_at_once_and_the_same_one_again_does_not() {
    let mut occasion = Occasion::default();
    assert_eq!(occasions(&mut occasion, &[settled(), settled()]), 1);
    for (generations, expected) in [(1, true), (1, false), (5, true)] {
        occasion.note(&settled(), Budget { generations, ..Budget::default() });
        assert_eq!(occasion.take(), expected, "{generations}");
    }
}

/// A stream of events that a test puts in one by one.
fn events() -> (mpsc::UnboundedSender<EventKind>, BoxStream<'static, Event>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let events = stream::unfold(receiver, |mut receiver| async {
        let kind = receiver.recv().await?;
        Some((Event { at: SystemTime::UNIX_EPOCH, kind }, receiver))
    });
    (sender, events.boxed())
}

#[tokio::test]
async fn one_collection_is_under_way_at_most_and_what_happens_meanwhile_gives_one_more() {
    let (happens, events) = events();
    let (running, begun) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let may_end = Arc::new(Semaphore::new(0));
    let (begins, mut has_begun) = mpsc::unbounded_channel();
    let (now, count, end) = (Arc::clone(&running), Arc::clone(&begun), Arc::clone(&may_end));
    let collect = move || {
        let (now, count, end, begins) =
            (Arc::clone(&now), Arc::clone(&count), Arc::clone(&end), begins.clone());
        async move {
            assert_eq!(now.fetch_add(1, Ordering::SeqCst), 0, "two at once");
            count.fetch_add(1, Ordering::SeqCst);
            begins.send(()).unwrap();
            end.acquire().await.unwrap().forget();
            now.fetch_sub(1, Ordering::SeqCst);
        }
        .boxed()
    };
    let task = tokio::spawn(run(events, Budget::default, collect));
    happens.send(settled()).unwrap();
    has_begun.recv().await.unwrap();
    for kind in [built(), settled(), built(), ended(Outcome::Live)] {
        happens.send(kind).unwrap();
    }
    may_end.add_permits(1);
    has_begun.recv().await.unwrap();
    happens.send(EventKind::Replaced).unwrap();
    task.await.unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn it_ends_with_the_platform_even_in_the_middle_of_a_collection() {
    for last in [Some(EventKind::Stopping), None] {
        let (happens, events) = events();
        let task = tokio::spawn(run(events, Budget::default, || std::future::pending().boxed()));
        happens.send(settled()).unwrap();
        if let Some(last) = last {
            happens.send(last).unwrap();
        }
        drop(happens);
        task.await.unwrap();
    }
}
