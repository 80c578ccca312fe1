//! Calls in which both sides speak: nothing is held back while they are recorded, and a replay
//! sends each message once those before it have come and agree.

use std::time::{Duration, Instant};

use super::{endpoints, record, replay};
use crate::support::grpc::{Call, GrpcClient, GrpcOrigin, Note};
use crate::support::*;

fn chat(ouli: &Ouli) -> Call {
    GrpcClient::through(ouli, Protocol::H2c).open("Chat")
}

/// Says each text once the answer to the one before has come.
#[track_caller]
fn ping_pong(mut call: Call, texts: &[&str]) -> crate::support::grpc::Outcome {
    for text in texts {
        call.say(text);
        call.expect(&format!("re: {text}"));
    }
    call.say("bye");
    call.outcome()
}

#[test]
fn ping_pong_in_which_each_waits_for_the_other() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let texts = ["one", "two", "three", "four"];
    let recorded = ping_pong(chat(&recorder), &texts);
    assert_eq!((recorded.code, recorded.messages.len()), (0, 4), "{recorded:?}");
    let replay = replay(&origin, &recorder);
    assert_eq!(ping_pong(chat(&replay), &texts), recorded);
    replay.terminate().expect_code(0);
}

#[test]
fn a_message_reaches_the_other_side_when_it_is_sent() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let mut call = chat(&recorder);
    for (n, text) in ["wait one", "wait two", "wait three"].into_iter().enumerate() {
        call.say(text);
        // The origin has it before the client says any more …
        wait_until("the origin has the message", || {
            (origin.came().len() == n + 1).then_some(()).ok_or(format!("{:?}", origin.came()))
        });
        origin.release();
        // … and the client its answer.
        call.expect(&format!("re: {text}"));
    }
    call.say("bye");
    assert_eq!(call.outcome().code, 0);
}

#[test]
fn each_message_of_a_stream_arrives_before_the_next_is_sent() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let mut call = GrpcClient::through(&recorder, Protocol::H2c).open("Count");
    call.send(Note::new("wait").number(4));
    for number in 1..=4 {
        assert_eq!(call.next().map(|note| note.number), Some(number));
        origin.release();
    }
    assert_eq!(call.outcome().code, 0);
}

#[test]
fn recordings_with_one_head_are_told_apart_by_what_the_client_says() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let talks = [["hello", "left"], ["hello", "right"], ["good day", "left"]];
    let recorded = talks.map(|talk| ping_pong(chat(&recorder), &talk));
    let replay = replay(&origin, &recorder);
    // In another order than they were recorded in.
    for index in [2, 1, 0] {
        assert_eq!(ping_pong(chat(&replay), &talks[index]), recorded[index], "{:?}", talks[index]);
    }
    replay.terminate().expect_code(0);
}

#[test]
fn two_calls_with_one_head_may_be_open_at_once() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    ping_pong(chat(&recorder), &["hello", "left"]);
    ping_pong(chat(&recorder), &["hello", "right"]);
    let replay = replay(&origin, &recorder);
    let (mut one, mut two) = (chat(&replay), chat(&replay));
    for call in [&mut one, &mut two] {
        call.say("hello");
    }
    // What agrees with both is given from the first that is free: both get an answer.
    one.expect("re: hello");
    two.expect("re: hello");
    one.say("left");
    one.expect("re: left");
    two.say("right");
    two.expect("re: right");
    for mut call in [one, two] {
        call.say("bye");
        assert_eq!(call.outcome().code, 0);
    }
    replay.terminate().expect_code(0);
}

#[test]
fn a_message_that_no_recording_agrees_with_ends_the_call_and_says_which() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    ping_pong(chat(&recorder), &["one", "two", "three"]);
    let replay = replay(&origin, &recorder);
    let mut call = chat(&replay);
    call.say("one");
    call.expect("re: one");
    call.say("something else");
    let outcome = call.outcome();
    assert_eq!(outcome.code, 12, "{outcome:?}");
    let said = "no recorded call agrees with message 2 of the request; nearest recorded: number 1";
    assert!(outcome.message.contains(said), "{outcome:?}");
    assert_eq!(outcome.trailers_of("ouli-fault"), ["miss"], "{outcome:?}");
    assert_eq!(outcome.texts(), ["re: one"], "nothing after the disagreement");
    replay.terminate().expect_code(3).expect_said(&["1 miss"]);
}

#[test]
fn a_first_message_that_nobody_said_is_a_miss_at_once() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    ping_pong(chat(&recorder), &["one"]);
    let replay = replay(&origin, &recorder);
    let mut call = chat(&replay);
    call.say("never said");
    // The request is still open: nothing waits for its end.
    assert_eq!(call.next(), None);
    let outcome = call.outcome();
    assert_eq!(outcome.code, 12, "{outcome:?}");
    assert!(outcome.message.contains("message 1"), "{outcome:?}");
}

#[test]
fn one_message_more_than_was_recorded_is_a_miss() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let gather = |ouli: &Ouli, texts: &[&str]| {
        let notes: Vec<_> = texts.iter().map(|text| Note::new(text)).collect();
        GrpcClient::through(ouli, Protocol::H2c).call("Gather", &notes)
    };
    let recorded = gather(&recorder, &["a", "b"]);
    let replay = replay(&origin, &recorder);
    let more = gather(&replay, &["a", "b", "c"]);
    assert_eq!(more.code, 12, "{more:?}");
    assert!(more.message.contains("message 3"), "{more:?}");
    let fewer = gather(&replay, &["a"]);
    assert_eq!(fewer.code, 12, "{fewer:?}");
    assert_eq!(gather(&replay, &["a", "b"]), recorded);
}

#[test]
fn a_client_that_never_says_what_comes_next_ends_as_a_miss_in_time() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    ping_pong(chat(&recorder), &["one", "two"]);
    recorder.terminate().expect_code(0);
    origin.stop();
    let [plain, _] = endpoints(&origin);
    let setup = Ouli::command("replay").endpoint(&plain).recordings(&recorder.recordings());
    let replay = setup.more_limits("replay_wait = \"300ms\"").start();
    let mut call = chat(&replay);
    call.say("one");
    call.expect("re: one");
    let begun = std::time::Instant::now();
    assert_eq!(call.next(), None);
    assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
    let outcome = call.outcome();
    assert_eq!(outcome.code, 12, "{outcome:?}");
    assert!(outcome.message.contains("message 2"), "{outcome:?}");
}

#[test]
fn metadata_that_is_sent_first_is_not_held_until_a_message_comes() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let head_first = |ouli: &Ouli| {
        let client = GrpcClient::through(ouli, Protocol::H2c).metadata("x-head", "first");
        let mut call = client.open("Chat");
        // Before anybody has said anything.
        let head = call.head();
        assert!(head.contains(&("x-head".to_owned(), "first".to_owned())), "{head:?}");
        ping_pong(call, &["one"])
    };
    let recorded = head_first(&recorder);
    let replay = replay(&origin, &recorder);
    assert_eq!(head_first(&replay), recorded);
    replay.terminate().expect_code(0);
}

#[test]
fn many_calls_at_once_on_one_connection_keep_their_messages_apart() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let talk = |ouli: &Ouli| {
        let client = GrpcClient::through(ouli, Protocol::H2c);
        let mut calls: Vec<_> = (0..20).map(|_| client.open("Chat")).collect();
        for round in 0..3 {
            for (n, call) in calls.iter_mut().enumerate() {
                call.say(&format!("call {n}, round {round}"));
            }
            for (n, call) in calls.iter_mut().enumerate() {
                call.expect(&format!("re: call {n}, round {round}"));
            }
        }
        let ends = calls.into_iter().map(|mut call| {
            call.say("bye");
            call.outcome()
        });
        ends.collect::<Vec<_>>()
    };
    let recorded = talk(&recorder);
    assert!(recorded.iter().all(|outcome| outcome.code == 0));
    let replay = replay(&origin, &recorder);
    assert!(talk(&replay) == recorded);
    replay.terminate().expect_code(0);
}

#[test]
fn a_client_that_takes_its_time_takes_it_once_at_the_recorded_pace() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let talk = |ouli: &Ouli| {
        let mut call = chat(ouli);
        let begun = Instant::now();
        for text in ["one", "two", "three"] {
            call.say(text);
            call.expect(&format!("re: {text}"));
            std::thread::sleep(Duration::from_millis(500));
        }
        call.say("bye");
        assert_eq!(call.outcome().code, 0);
        begun.elapsed()
    };
    let recorded = talk(&recorder);
    recorder.terminate().expect_code(0);
    let [plain, _] = endpoints(&origin);
    let replay = Ouli::command("replay --pace recorded")
        .endpoint(&plain)
        .recordings(&recorder.recordings())
        .start();
    let replayed = talk(&replay);
    assert!(replayed < recorded + Duration::from_millis(450), "{replayed:?}, was {recorded:?}");
}
