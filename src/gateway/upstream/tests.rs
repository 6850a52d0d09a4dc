use super::*;
use crate::model::instance::Generation;

fn name() -> InstanceName {
    InstanceName { service: "order".parse().unwrap(), generation: Generation::FIRST, replica: 1 }
}

fn address() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_the_last_lease_and_lets_nobody_in() {
    let upstreams = Arc::new(Upstreams::default());
    let upstream = upstreams.at(&name(), address());
    let (first, second) = (upstream.enter().unwrap(), upstream.enter().unwrap());
    let draining = tokio::spawn({
        let upstreams = Arc::clone(&upstreams);
        async move { upstreams.drain(&name(), Duration::from_secs(10)).await }
    });
    while upstream.enter().is_ok() {
        tokio::task::yield_now().await;
    }
    drop(first);
    tokio::task::yield_now().await;
    assert!(!draining.is_finished());
    drop(second);
    assert_eq!(draining.await.unwrap(), DrainOutcome::Idle);
}

#[tokio::test(start_paused = true)]
async fn what_is_open_at_the_deadline_is_cut_and_counted() {
    let upstreams = Upstreams::default();
    let lease = upstreams.at(&name(), address()).enter().unwrap();
    let stuck = tokio::spawn(std::future::pending::<()>());
    lease.upstream().cut_on_close(stuck.abort_handle());
    let outcome = upstreams.drain(&name(), Duration::from_secs(10)).await;
    assert_eq!(outcome, DrainOutcome::CutOff(1));
    assert!(stuck.await.unwrap_err().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn who_drains_anew_goes_on_with_the_drain_that_was_begun() {
    let upstreams = Upstreams::default();
    let upstream = upstreams.at(&name(), address());
    let _lease = upstream.enter().unwrap();
    let limit = Duration::from_secs(10);
    let took = async |upstreams: &Upstreams| {
        let begun = tokio::time::Instant::now();
        (upstreams.drain(&name(), limit).await, begun.elapsed())
    };
    let broken_off = tokio::time::timeout(Duration::from_secs(4), upstreams.drain(&name(), limit)).await;
    assert!(broken_off.is_err());
    assert!(upstream.call_back());
    let broken_off = tokio::time::timeout(Duration::from_secs(7), upstreams.drain(&name(), limit)).await;
    assert!(broken_off.is_err(), "whoever was called back in between is drained for as long as anybody");
    assert_eq!(took(&upstreams).await, (DrainOutcome::CutOff(1), Duration::from_secs(3)));
}

#[tokio::test]
async fn an_unknown_instance_is_idle_at_once() {
    assert_eq!(Upstreams::default().drain(&name(), Duration::from_secs(10)).await, DrainOutcome::Idle);
}

#[test]
fn a_service_that_no_table_has_is_forgotten() {
    let upstreams = Upstreams::default();
    let (order, mail) = ("order".parse().unwrap(), "mail".parse().unwrap());
    let kept = upstreams.service(&order);
    let open = upstreams.service(&mail).admit(1).unwrap();
    upstreams.tidy();
    assert!(Arc::ptr_eq(&kept, &upstreams.service(&order)));
    assert_eq!(upstreams.known.lock().unwrap().services.len(), 2, "one has an open request");
    drop(open);
    upstreams.tidy();
    assert_eq!(upstreams.known.lock().unwrap().services.len(), 1);
}

#[tokio::test]
async fn counts_survive_as_long_as_the_instance_does() {
    let upstreams = Upstreams::default();
    let lease = upstreams.at(&name(), address()).enter().unwrap();
    assert_eq!(upstreams.at(&name(), address()).in_flight(), 1);
    upstreams.forget(&name());
    assert_eq!(upstreams.at(&name(), address()).in_flight(), 0);
    assert!(lease.upstream().enter().is_err());
}

#[tokio::test]
async fn an_instance_that_was_in_no_table_for_a_while_starts_slowly_again() {
    let upstreams = Upstreams::default();
    let next_table = |lists: bool| {
        upstreams.begin_table();
        lists.then(|| upstreams.at(&name(), address()))
    };
    let upstream = next_table(true).unwrap();
    let first = upstream.ready_since();
    next_table(true);
    assert_eq!(upstream.ready_since(), first);
    next_table(false);
    next_table(true);
    assert!(upstream.ready_since() > first);
}

#[tokio::test]
async fn an_instance_that_is_ready_again_after_its_drain_is_a_new_one() {
    let upstreams = Upstreams::default();
    upstreams.at(&name(), address());
    assert_eq!(upstreams.drain(&name(), Duration::ZERO).await, DrainOutcome::Idle);
    assert!(upstreams.at(&name(), address()).enter().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_called_back_while_it_drains_takes_requests_and_is_not_closed() {
    let upstreams = Arc::new(Upstreams::default());
    let lease = upstreams.at(&name(), address()).enter().unwrap();
    let draining = tokio::spawn({
        let upstreams = Arc::clone(&upstreams);
        async move { upstreams.drain(&name(), Duration::from_secs(10)).await }
    });
    while lease.upstream().enter().is_ok() {
        tokio::task::yield_now().await;
    }
    let called_back = upstreams.at(&name(), address());
    assert!(Arc::ptr_eq(&called_back, lease.upstream()));
    let second = called_back.enter().unwrap();
    assert_eq!(draining.await.unwrap(), DrainOutcome::Idle);
    assert_eq!(upstreams.in_flight(&name()), 2);
    assert!(called_back.enter().is_ok());
    drop((lease, second));
    assert_eq!(upstreams.drain(&name(), Duration::ZERO).await, DrainOutcome::Idle);
    assert!(called_back.enter().is_err());
}

#[test]
fn the_workers_share_what_an_instance_may_have_of_idle_connections() {
    let room = |pools| idle_room(&Limits { pool_size: 64, ..Limits::default() }, pools);
    assert_eq!([1, 4, 48, 64, 200].map(room), [64, 16, 1, 1, 1]);
}
