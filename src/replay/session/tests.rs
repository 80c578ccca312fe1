use std::sync::Barrier;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::exchange::Digest;
use crate::replay::fixture::{asked, exchange, get, no_bodies, post, session, settings};

fn answer(recorded: &Recorded) -> &str {
    match &recorded.exchange.response.body {
        Body::Whole(bytes) => std::str::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn kept(hit: Hit<'_>) -> &Recorded {
    let Hit::Kept(recorded, _) = hit else { panic!("there is no shelf") };
    recorded
}

fn choose(session: &Session, method: &str, target: &str, body: &str) -> Option<String> {
    let (key, body) = asked(method, target, body);
    match session.choose(&key, &body) {
        Choice::Hit(hit) => Some(answer(kept(hit)).to_owned()),
        Choice::Exhausted | Choice::Miss => None,
    }
}

#[test]
fn equal_requests_get_their_answers_in_recorded_order() {
    let session = session(vec![get("/n?a=1&b=2", "1"), get("/m", "other"), get("/n?b=2&a=1", "2")]);
    let next = || choose(&session, "GET", "http://h/n?b=2&a=1", "");
    assert_eq!([next(), next(), next()], ["1", "2", "2"].map(|n| Some(n.to_owned())));
    assert_eq!(choose(&session, "POST", "/n?a=1&b=2", ""), None);
    assert_eq!((session.hits(), session.misses()), (3, 1));
    assert_eq!(session.unused_requests(9), ["GET /m"]);
}

#[test]
fn a_strict_session_repeats_no_answer() {
    let strict = settings(AfterLast::Refuse);
    let session = Session::build("s", vec![get("/", "1")], &strict, no_bodies(), None).unwrap();
    let (key, body) = asked("GET", "/", "");
    assert!(matches!(session.choose(&key, &body), Choice::Hit(_)));
    assert!(matches!(session.choose(&key, &body), Choice::Exhausted));
    assert_eq!((session.hits(), session.misses()), (1, 1));
}

#[test]
fn bodies_match_by_value() {
    let session = session(vec![post("/", r#"{"a":1,"b":[2]}"#, "1"), post("/", "{}", "2")]);
    assert_eq!(choose(&session, "POST", "/", "{ \"b\": [2], \"a\": 1 }").as_deref(), Some("1"));
    assert_eq!(choose(&session, "POST", "/", "{ }").as_deref(), Some("2"));
    assert_eq!(choose(&session, "POST", "/", r#"{"a":1,"b":[3]}"#), None);
}

#[test]
fn a_body_kept_in_a_file_matches_by_value_too() {
    let dir = tempfile::tempdir().unwrap();
    let text = br#"{"a":1,"b":2}"#;
    let digest = Digest(Sha256::digest(text).into());
    let path = dir.path().join(digest.to_string());
    let body = Body::File { digest, len: text.len() as u64 };
    let build = || {
        let dir = dir.path().to_owned();
        let path_of = std::sync::Arc::new(move |digest: &Digest| dir.join(digest.to_string()));
        let exchanges = vec![exchange("POST", "/", body.clone(), "1")];
        Session::build("s", exchanges, &settings(AfterLast::Repeat), path_of, None)
    };
    let Err(BuildError::Body { nth: 1, path: missing, .. }) = build() else {
        panic!("a body that isn't there was read")
    };
    assert_eq!(missing, path);
    std::fs::write(&path, text).unwrap();
    let session = build().unwrap();
    assert_eq!(choose(&session, "POST", "/", r#"{"b":2,"a":1}"#).as_deref(), Some("1"));
}

#[test]
fn a_body_that_was_not_kept_matches_by_its_digest() {
    let text = "x".repeat(5000);
    let digest = Digest(Sha256::digest(&text).into());
    for body in [Body::Omitted { digest, len: 5000 }, Body::File { digest, len: 5000 }] {
        let session = session(vec![exchange("POST", "/", body, "1")]);
        assert_eq!(choose(&session, "POST", "/", &text).as_deref(), Some("1"));
        assert_eq!(choose(&session, "POST", "/", &text[1..]), None);
    }
}

#[test]
fn an_answer_that_was_not_kept_is_found_but_not_missed_when_unused() {
    let mut omitted = get("/", "");
    omitted.response.body = Body::Omitted { digest: Digest([0; 32]), len: 1 };
    let session = session(vec![omitted, get("/a", "1")]);
    assert_eq!(session.unused_count(), 1);
    let (key, body) = asked("GET", "/", "");
    assert!(matches!(session.choose(&key, &body), Choice::Hit(hit) if !kept(hit).is_usable()));
}

/// A request of whose body this came before the answer, and no more.
fn part(target: &str, came: &str, answer: &str) -> Exchange {
    let mut part = post(target, came, answer);
    part.request.is_whole = false;
    part
}

#[test]
fn a_request_recorded_in_part_answers_what_begins_like_it() {
    let session = session(vec![
        part("/", r#"{"a":1"#, "1"),
        part("/", r#"{"b"#, "2"),
        part("/", r#"{"a"#, "3"),
        post("/", r#"{"a":2}"#, "whole"),
    ]);
    let next = |body: &str| choose(&session, "POST", "/", body);
    assert_eq!(next(r#"{"a":1}"#).as_deref(), Some("1"));
    assert_eq!(next(r#"{"a":1,"b":2}"#).as_deref(), Some("3"));
    assert_eq!(next(r#"{"a":1}"#).as_deref(), Some("3"), "the last again");
    assert_eq!(next(r#"{"a":2}"#).as_deref(), Some("whole"));
    assert_eq!(next(r#"{"b":2}"#).as_deref(), Some("2"));
    assert_eq!(next("[]"), None);
    assert_eq!(next(""), None);
    assert_eq!((session.misses(), session.unused_count()), (2, 0));
}

#[test]
fn what_can_not_be_compared_of_a_request_in_part_does_not_count() {
    let digest = Digest([7; 32]);
    let with = |body| {
        let mut part = part("/", "", "1");
        part.request.body = body;
        session(vec![part])
    };
    let file = with(Body::File { digest, len: 5000 });
    assert_eq!(choose(&file, "POST", "/", &"x".repeat(5001)).as_deref(), Some("1"));
    assert_eq!(choose(&file, "POST", "/", &"x".repeat(4999)), None, "longer than what is asked");
    let nothing = with(Body::Absent);
    assert_eq!(choose(&nothing, "POST", "/", "x").as_deref(), Some("1"));
}

#[test]
fn an_answer_given_without_the_body_is_found_before_the_body_comes() {
    let session = session(vec![
        part("/", "some", "not this"),
        part("/", "", "1"),
        post("/", "", "2"),
        post("/whole", "x", "not this"),
    ]);
    let early = |target| session.choose_early(&asked("POST", target, "").0).map(kept).map(answer);
    assert_eq!([early("/"), early("/"), early("/whole")], [Some("1"), Some("1"), None]);
    assert_eq!(choose(&session, "POST", "/", "").as_deref(), Some("2"));
    assert_eq!((session.hits(), session.misses()), (3, 0));
}

#[test]
fn no_recording_but_the_last_is_given_to_two_runtimes() {
    const THREADS: usize = 4;
    const COUNT: usize = 500;
    let session = session((0..COUNT).map(|n| get("/n", &n.to_string())).collect());
    let start = Barrier::new(THREADS);
    let ask = || {
        start.wait();
        (0..COUNT).filter_map(|_| choose(&session, "GET", "/n", "")).collect::<Vec<_>>()
    };
    let mut all: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        let answers = threads.into_iter().flat_map(|thread| {
            let mine = thread.join().unwrap();
            // What one client sees keeps the recorded order.
            let numbers: Vec<usize> = mine.iter().map(|n| n.parse().unwrap()).collect();
            assert!(numbers.is_sorted());
            numbers
        });
        answers.collect()
    });
    all.sort_unstable();
    assert_eq!(all[..COUNT], (0..COUNT).collect::<Vec<_>>());
    assert!(all[COUNT..].iter().all(|n| *n == COUNT - 1));
    assert_eq!(session.unused_count(), 0);
}
