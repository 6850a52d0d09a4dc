//! The table of GATEWAY's retries, row by row, and what holds for all rows.

use proptest::prelude::*;

use super::*;

const fn get() -> Failed<'static> {
    Failed {
        method: &Method::GET,
        failure: Failure::Reset,
        written: Written::Something,
        body: RequestBody::Whole,
        tries: 1,
        asked: Asked::Freely,
    }
}

const fn status(status: StatusCode, retry_after: Option<u64>) -> Failure {
    let retry_after = match retry_after {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => None,
    };
    Failure::Status { status, retry_after }
}

const POST: Failed<'static> = Failed { method: &Method::POST, ..get() };

#[track_caller]
fn check(failed: Failed<'_>, expected: Decision) {
    assert_eq!(decide(&failed, &RetryPolicy::default()), expected, "{failed:?}");
}

#[track_caller]
fn check_on_status(failed: Failed<'_>, expected: Decision) {
    let policy = RetryPolicy { on_status: true, ..RetryPolicy::default() };
    assert_eq!(decide(&failed, &policy), expected, "{failed:?}");
}

#[test]
fn where_no_connection_came_about_any_method_is_tried_again() {
    for written in [Written::Nothing, Written::Something] {
        for failed in [get(), POST] {
            check(Failed { failure: Failure::Connect, written, ..failed }, Decision::Again);
        }
    }
}

#[test]
fn where_the_connection_broke_only_what_cannot_be_done_twice_is_tried_again() {
    check(get(), Decision::Again);
    check(POST, Decision::Final(Reason::NotIdempotent));
    check(Failed { written: Written::Nothing, ..POST }, Decision::Again);
}

#[test]
fn idempotent_is_what_the_standard_says() {
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        assert!(is_idempotent(&method.parse().unwrap()), "{method}");
    }
    for method in ["POST", "PATCH", "CONNECT", "PURGE", "get"] {
        assert!(!is_idempotent(&method.parse().unwrap()), "{method}");
    }
}

#[test]
fn an_answer_is_tried_again_where_it_says_so_or_the_policy_does() {
    let not = Decision::Final(Reason::NotRetryable);
    let busy = status(StatusCode::SERVICE_UNAVAILABLE, Some(0));
    check(Failed { failure: busy, ..get() }, Decision::Again);
    check(Failed { failure: busy, ..POST }, Decision::Final(Reason::NotIdempotent));
    for code in [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT] {
        for retry_after in [None, Some(1)] {
            let failed = Failed { failure: status(code, retry_after), ..get() };
            check(failed, not);
            check_on_status(failed, Decision::Again);
        }
    }
    for code in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR] {
        check_on_status(Failed { failure: status(code, Some(0)), ..get() }, not);
    }
}

#[test]
fn a_late_answer_is_like_a_504() {
    let late = Failed { failure: Failure::Late, ..get() };
    check(late, Decision::Final(Reason::NotRetryable));
    check_on_status(late, Decision::Again);
    check_on_status(Failed { method: &Method::POST, ..late }, Decision::Final(Reason::NotIdempotent));
}

#[test]
fn other_failures_would_be_the_same_elsewhere() {
    check_on_status(Failed { failure: Failure::Other, ..get() }, Decision::Final(Reason::NotRetryable));
}

#[test]
fn nothing_is_tried_without_its_body_or_against_the_callers_wish_or_while_stopping() {
    check(Failed { body: RequestBody::Gone, ..get() }, Decision::Final(Reason::BodyGone));
    check(Failed { asked: Asked::NotToRetry, ..get() }, Decision::Final(Reason::NotWanted));
    check(Failed { asked: Asked::Stopping, ..get() }, Decision::Final(Reason::NotWanted));
}

#[test]
fn the_policy_says_how_often() {
    for (attempts, tries, expected) in [
        (0, 1, Decision::Final(Reason::NoTriesLeft)),
        (1, 1, Decision::Again),
        (1, 2, Decision::Final(Reason::NoTriesLeft)),
        (3, 3, Decision::Again),
        (3, 4, Decision::Final(Reason::NoTriesLeft)),
    ] {
        let policy = RetryPolicy { attempts, ..RetryPolicy::default() };
        assert_eq!(decide(&Failed { tries, ..get() }, &policy), expected, "{attempts}, {tries}");
    }
}

fn failure() -> impl Strategy<Value = Failure> {
    const OTHERS: &[Failure] = &[Failure::Connect, Failure::Reset, Failure::Late, Failure::Other];
    let answer = (100_u16..600, prop::option::of(0_u64..3))
        .prop_map(|(code, after)| status(StatusCode::from_u16(code).unwrap(), after));
    prop_oneof![1 => prop::sample::select(OTHERS), 1 => answer]
}

proptest! {
    #[test]
    fn what_may_have_been_done_is_never_done_twice(
        failure in failure(), on_status: bool, written: bool, tries in 1_u32..4, attempts in 0_u32..4,
    ) {
        let written = if written { Written::Something } else { Written::Nothing };
        let policy = RetryPolicy { attempts, on_status, ..RetryPolicy::default() };
        for method in [&Method::POST, &Method::PATCH] {
            let failed = Failed { method, failure, written, tries, ..POST };
            if decide(&failed, &policy) == Decision::Again {
                prop_assert!(failure == Failure::Connect || written == Written::Nothing);
                prop_assert!(tries <= attempts);
            }
        }
    }
}
