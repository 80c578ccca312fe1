//! What a call costs doesn't grow with the number of recordings.

use std::time::{Duration, Instant};

use super::script::{Live, PATH, conversation, conversations, key, print, session};
use crate::matching::MessagePrint;
use crate::replay::Session;
use crate::replay::call::Next;
use crate::replay::choose::AfterLast;

/// How many times dearer a call may be among a hundred times as many recordings. A search through
/// them would be far past it; misses of the cache are far below.
const DEARER_MAX: u32 = 16;

fn unary(session: &Session, key: &[u8], print: MessagePrint) -> u32 {
    let mut call = session.call(key);
    let mut parts = 0;
    while let Next::Send(_) = call.proceed() {
        parts += 1;
    }
    call.message_received(print);
    call.request_ended();
    while let Next::Send(_) = call.proceed() {
        parts += 1;
    }
    parts
}

/// What a call costs among so many recordings, the best of a few rounds. `message` is the nth's,
/// and `early` what of the answer came before it.
fn cost(count: u32, early: &str, message: impl Fn(u32) -> String) -> Duration {
    let late = if early.is_empty() { "<*" } else { "" };
    let scripts: Vec<String> =
        (0..count).map(|n| format!("{early} >{} >| {late} <answer{n} <.", message(n))).collect();
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    let key = key(PATH);
    let rounds = (0..5).map(|_| {
        let session = session(&scripts);
        let asked: Vec<MessagePrint> = (0..count).map(|n| print(&session, &message(n))).collect();
        let start = Instant::now();
        asked.iter().for_each(|print| assert_eq!(unary(&session, &key, *print), 3));
        start.elapsed() / count
    });
    rounds.min().unwrap()
}

fn held(few: Duration, many: Duration) {
    println!("a call among 100 recordings {few:?}, among 10000 {many:?}");
    assert!(many < few * DEARER_MAX, "{many:?} instead of {few:?}");
}

/// What a conversation costs among so many, the best of a few rounds, the wait for its close
/// included.
fn cost_of_conversation(count: u32, message: impl Fn(u32) -> String) -> Duration {
    let scripts: Vec<String> =
        (0..count).map(|n| format!("<* >{} <answer{n} >| <.", message(n))).collect();
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    let rounds = (0..5).map(|_| {
        let session = conversations(&scripts, AfterLast::Repeat);
        let words: Vec<String> = (0..count).map(|n| format!("go >{} >|", message(n))).collect();
        let start = Instant::now();
        for word in &words {
            let mut open = conversation(&session);
            assert!(Live::on(&session, open.resume()).play(word).ends_with("over"));
        }
        start.elapsed() / count
    });
    rounds.min().unwrap()
}

#[test]
fn a_conversation_among_many_is_a_look_up_whether_they_differ_or_not() {
    let different = |n: u32| format!("message{n}");
    held(cost_of_conversation(100, different), cost_of_conversation(10_000, different));
    let equal = |_| "message".to_owned();
    held(cost_of_conversation(100, equal), cost_of_conversation(10_000, equal));
}

#[test]
fn a_call_among_many_different_ones_is_a_look_up() {
    let different = |n: u32| format!("message{n}");
    held(cost(100, "", different), cost(10_000, "", different));
}

#[test]
fn a_call_among_many_equal_ones_does_not_look_at_those_that_are_taken() {
    let equal = |_| "message".to_owned();
    held(cost(100, "", equal), cost(10_000, "", equal));
}

#[test]
fn a_call_whose_head_comes_early_does_not_look_at_all_others() {
    let different = |n: u32| format!("message{n}");
    held(cost(100, "<*", different), cost(10_000, "<*", different));
}
