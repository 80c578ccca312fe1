//! A client that says something else than was recorded.

use std::thread;
use std::time::Duration;

use super::{clients, say_all};
use crate::support::ws::{Said, Talker, hold};
use crate::support::*;

/// What a close frame has room for beside its code.
const REASON_MAX: usize = 123;

/// Two equal conversations: one for a client of each version.
#[track_caller]
fn recorded(texts: &[&str]) -> Recordings {
    let origin = Origin::http1().ws_echo("/");
    record(&origin, |client| {
        for _ in 0..2 {
            let mut talker = client.converse("/");
            say_all(&mut talker, texts);
            talker.part(1000, "");
        }
    })
}

#[track_caller]
fn expect_miss(talker: &mut Talker<'_>) -> String {
    let reason = talker.expect_close(1008);
    assert!(!reason.is_empty() && reason.len() <= REASON_MAX, "{reason:?}");
    talker.close(1008, "");
    assert_ne!(talker.expect_end(), Ending::Silence);
    reason
}

#[test]
fn another_message_closes_with_1008_and_the_log_names_the_difference() {
    let recordings = recorded(&[r#"{"op": "add", "items": [{"id": 4}]}"#, "second"]);
    for strict in [true, false] {
        let setup = Ouli::replay(recordings.clone());
        let replay = if strict { setup.option("--strict") } else { setup }.start();
        for client in clients(&replay) {
            let mut talker = client.converse("/");
            talker.say(r#"{"op": "add", "items": [{"id": 5}]}"#);
            expect_miss(&mut talker);
        }
        let ended = replay.terminate();
        ended.expect_said(&["2 miss", "message 1", "/items/0/id", "4", "5"]);
        ended.expect_code(if strict { 3 } else { 0 });
    }
}

#[test]
fn a_later_message_is_named_by_its_number() {
    let replay = Ouli::replay(recorded(&["first", "second", "third"])).start();
    let mut talker = replay.client().converse("/");
    say_all(&mut talker, &["first"]);
    talker.say("something else");
    expect_miss(&mut talker);
    let ended = replay.terminate();
    ended.expect_said(&["1 miss", "message 2", "something else", "second", "conversation"]);
}

#[test]
fn a_long_difference_still_fits_a_close_frame() {
    let long = format!("{{\"{}\": 1}}", "\u{fc}ber".repeat(300));
    let replay = Ouli::replay(recorded(&[&long])).start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        talker.say(&long.replace(": 1", ": 2"));
        expect_miss(&mut talker);
    }
}

#[test]
fn one_message_more_than_was_recorded_is_a_miss() {
    let replay = Ouli::replay(recorded(&["first"])).start();
    let mut talker = replay.client().converse("/");
    say_all(&mut talker, &["first"]);
    talker.say("one more");
    expect_miss(&mut talker);
    replay.terminate().expect_said(&["1 miss"]);
}

#[test]
fn a_client_that_closes_too_early_missed_and_one_that_vanishes_did_not() {
    let recordings = recorded(&["first", "second"]);
    let replay = Ouli::replay(recordings.clone()).start();
    let mut talker = replay.client().converse("/");
    say_all(&mut talker, &["first"]);
    talker.close(1000, "");
    assert!(matches!(talker.next(), Ok(Said::Close(..))));
    replay.terminate().expect_code(0).expect_said(&["1 miss"]);

    let replay = Ouli::replay(recordings).start();
    let mut talker = replay.client().converse("/");
    say_all(&mut talker, &["first"]);
    drop(talker);
    replay.terminate().expect_code(0).expect_unsaid(&["1 miss"]);
}

#[test]
fn a_message_that_never_comes_is_a_miss_that_names_it() {
    let replay = Ouli::replay(recorded(&["first", "second"]))
        .limits("replay_wait = \"300ms\"")
        .option("--strict")
        .start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        say_all(&mut talker, &["first"]);
        expect_miss(&mut talker);
    }
    replay.terminate().expect_code(3).expect_said(&["2 miss", "message 2"]);
}

#[test]
fn a_client_that_keeps_a_finished_conversation_open_is_not_hurried() {
    let replay = Ouli::replay(recorded(&["first"]))
        .limits("replay_wait = \"200ms\"")
        .option("--strict")
        .start();
    let mut talker = replay.client().converse("/");
    say_all(&mut talker, &["first"]);
    std::thread::sleep(Duration::from_millis(500)); // More than it would have to wait.
    talker.expect_nothing_waiting();
    talker.part(1000, "");
    let mut talker = replay.client().converse("/");
    say_all(&mut talker, &["first"]);
    talker.part(1000, "");
    replay.terminate().expect_code(0);
}

#[test]
fn a_handshake_that_was_never_made_is_a_miss_like_any_other() {
    let replay = Ouli::replay(recorded(&["first"])).option("--strict").start();
    for client in clients(&replay) {
        let miss = client.handshake("/other").refused();
        assert!(miss.problem(501, "miss").contains("other"), "{miss:?}");
    }
    replay.terminate().expect_code(3).expect_said(&["2 miss"]);
}

#[test]
fn a_conversation_with_what_was_too_large_to_keep_says_so() {
    let origin = Origin::http1().ws_echo("/");
    let recorder = Ouli::record(&origin).limits("max_ws_message = 1000").start();
    let large = "x".repeat(2000);
    let mut talker = recorder.client().converse("/");
    talker.ask(&large, &large);
    talker.part(1000, "");
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).start();
    let refused = match replay.client().handshake("/").try_open() {
        Err(answer) => answer.problem(501, "miss"),
        Ok(mut talker) => {
            talker.say(&large);
            expect_miss(&mut talker)
        }
    };
    assert!(!refused.is_empty());
    replay.terminate().expect_said(&["larger than `max_ws_message`", "1 miss"]);
}

#[test]
fn a_client_that_differs_and_leaves_is_a_miss_all_the_same() {
    const MESSAGE: usize = 16 << 20;
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.say_bytes(vec![7; MESSAGE]);
        hold(&mut talker);
        talker.close(1000, "");
    });
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        assert!(talker.next_frame().unwrap().payload.len() == MESSAGE);
        talker.part(1000, "");
    });
    for client in [Protocol::Http1, Protocol::H2c] {
        let replay = Ouli::replay(recordings.clone()).option("--strict").start();
        let mut talker = replay.client_over(client).converse("/");
        talker.peek().expect("the message has begun");
        talker.say("something else");
        thread::sleep(Duration::from_millis(200)); // In which it is heard, amid what isn't read.
        talker.reset();
        drop(talker);
        wait_until("the client's leaving is noticed", || replay.stderr().contains("message 1"));
        let ended = replay.terminate();
        ended.expect_code(3).expect_said(&["0 hits, 1 miss", "sent, 1 miss"]);
    }
}
