//! Each test is a script: what is recorded, what a client does, what it gets.

mod conversation;
mod cost;
mod law;
mod misses;
mod script;

use std::sync::Barrier;
use std::time::Duration;

use script::{Live, STEP, key, print, recorded, replay, session, strict, told};

use super::{Next, Part};
use crate::exchange::{Body, Compression, Exchange, Payload};
use crate::grpc::Catalog;
use crate::matching::Canonical;
use crate::replay::Session;
use crate::replay::choose::AfterLast;
use crate::replay::fixture::{no_bodies, settings};

#[test]
fn unary_calls_are_told_apart_by_their_message() {
    let session = session(&[">a >| <* <1 <.", ">b >| <* <2 <.", ">a >| <* <3 <."]);
    assert_eq!(replay(&session, ">b >|"), "go (1) >b (|) >| <* <2 <. over");
    assert_eq!(replay(&session, ">a >|"), "go (1) >a (|) >| <* <1 <. over");
    assert_eq!(replay(&session, ">a >|"), "go (1) >a (|) >| <* <3 <. over");
    assert_eq!(replay(&session, ">a >|"), "go (1) >a (|) >| <* <3 <. over", "the last again");
    assert_eq!((session.hits(), session.misses(), session.unused_count()), (4, 0, 0));
}

#[test]
fn an_answer_that_came_before_the_end_of_the_request_needs_no_end() {
    let session = session(&[">a <* <1 >| <.", ">b >| <* <2 <."]);
    assert_eq!(replay(&session, ">a >|"), "go (1) >a <* <1 (|) >| <. over");
    assert_eq!(replay(&session, ">b >|"), "go (1) >b (|) >| <* <2 <. over");
}

#[test]
fn a_server_stream_keeps_its_order_and_its_gaps() {
    let session = session(&[">a >| <* <1 <2 <3 <."]);
    assert_eq!(replay(&session, ">a >|"), "go (1) >a (|) >| <* <1 <2 <3 <. over");
    let mut call = session.call(&key(script::PATH));
    call.message_received(print(&session, "a"));
    call.request_ended();
    let mut gaps = Vec::new();
    while let Next::Send(due) = call.proceed() {
        gaps.push((due.before, due.at));
    }
    let at = |n: u32| STEP * n;
    let zero = Duration::ZERO;
    let expected = [(zero, at(2)), (at(2), at(3)), (at(3), at(4)), (at(4), at(5)), (at(5), at(5))];
    assert_eq!(gaps, expected);
}

#[test]
fn a_client_stream_is_told_apart_by_its_last_message() {
    let session = session(&[">a >b >c >| <* <1 <.", ">a >b >d >| <* <2 <.", ">a >b >| <* <3 <."]);
    assert_eq!(replay(&session, ">a >b >d >|"), "go (1) >a (2) >b (3) >d (|) >| <* <2 <. over");
    assert_eq!(replay(&session, ">a >b >|"), "go (1) >a (2) >b (3) >| <* <3 <. over");
    assert_eq!(replay(&session, ">a >b >c >|"), "go (1) >a (2) >b (3) >c (|) >| <* <1 <. over");
}

#[test]
fn a_client_that_says_nothing_gets_its_answer_at_its_end() {
    let session = session(&[">a >| <* <1 <.", ">| <* <."]);
    assert_eq!(replay(&session, ">|"), "go (1) >| <* <. over");
}

#[test]
fn ping_pong_releases_each_answer_after_its_message() {
    let session = session(&["<* >a <1 >b <2 >| <."]);
    assert_eq!(replay(&session, ">a >b >|"), "go <* (1) >a <1 (2) >b <2 (|) >| <. over");
}

#[test]
fn an_answer_never_waits_longer_than_for_the_end_of_the_request() {
    let mut call = recorded(">a >| <* <1 <.");
    call.response.after = crate::exchange::After::Messages(9);
    let session =
        Session::build("t", vec![call], &settings(AfterLast::Repeat), no_bodies(), None).unwrap();
    assert_eq!(replay(&session, ">a >|"), "go (1) >a (2) >| <* <1 <. over");
}

#[test]
fn an_early_head_is_sent_and_the_first_message_tells_whose_it_is() {
    let session = strict(&["<* >a <1 >| <.", "<* >b <2 >| <."]);
    assert_eq!(replay(&session, ">b >|"), "go <* (1) >b <2 (|) >| <. over");
    assert_eq!(replay(&session, ">a >|"), "go <* (1) >a <1 (|) >| <. over");
    assert_eq!(session.unused_count(), 0);
}

#[test]
fn the_second_message_tells_recordings_apart_too() {
    let session = strict(&["<* >a <1 >b <2 >| <.", "<* >a <1 >c <3 >| <."]);
    assert_eq!(replay(&session, ">a >c >|"), "go <* (1) >a <1 (2) >c <3 (|) >| <. over");
    assert_eq!(replay(&session, ">a >b >|"), "go <* (1) >a <1 (2) >b <2 (|) >| <. over");
}

#[test]
fn what_a_call_may_still_need_is_left_to_it_by_one_that_needs_it_now() {
    let session = strict(&["<* >a <1 >| <.", "<* >b <2 >| <."]);
    let mut early = Live::new(&session);
    assert_eq!(early.play("go"), "go <* (1)");
    // Whichever of the two the first call holds, the second gets what it says, and the first the
    // other.
    assert_eq!(replay(&session, ">a >|"), "go <* (1) >a <1 (|) >| <. over");
    assert_eq!(early.play(">b >|"), ">b <2 (|) >| <. over");
}

#[test]
fn calls_that_began_together_get_what_they_say_in_any_order() {
    let scripts = ["<* >a <1 >| <.", "<* >b <2 >| <.", "<* >c <3 >| <."];
    for order in [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"], ["c", "b", "a"]] {
        let session = strict(&scripts);
        let mut calls: Vec<Live<'_>> = order.iter().map(|_| Live::new(&session)).collect();
        for call in &mut calls {
            assert_eq!(call.play("go"), "go <* (1)");
        }
        for (call, word) in calls.iter_mut().zip(order) {
            let answer = scripts.iter().position(|script| script.contains(word)).unwrap() + 1;
            assert_eq!(call.play(&format!(">{word}")), format!(">{word} <{answer} (|)"));
        }
    }
}

#[test]
fn no_more_calls_are_begun_than_there_are_recordings_for() {
    // Two of three answers begin alike: the third call must get the other one.
    let session = strict(&["<* <1 >a >| <.", "<* <2 >a >b >| <.", "<* <1 >a >c >| <."]);
    let mut calls: Vec<Live<'_>> = (0..3).map(|_| Live::new(&session)).collect();
    let begun: Vec<String> = calls.iter_mut().map(|call| call.play("go choose")).collect();
    let expected = [
        "go <* choose? choose <1 (1)",
        "go <* choose? choose <2 (1)",
        // One is left, which is nothing to choose from.
        "go <* <1 (1) choose (1)",
    ];
    assert_eq!(begun, expected);
    assert_eq!(calls[0].play(">a >c >|"), ">a (|) >c (|) >| <. over");
    assert_eq!(calls[2].play(">a >|"), ">a (|) >| <. over");
    assert_eq!(calls[1].play(">a >b >|"), ">a (2) >b (|) >| <. over");
}

#[test]
fn heads_that_differ_wait_a_moment_for_the_client_to_say_which() {
    let session = strict(&["<*x >a <1 >| <.", "<*y >b <2 >| <."]);
    let mut call = Live::new(&session);
    assert_eq!(call.play("go >b >|"), "go choose? >b <*y <2 (|) >| <. over");
    let mut call = Live::new(&session);
    // One is left: there is nothing to wait for.
    assert_eq!(call.play("go"), "go <*x (1)");
}

#[test]
fn a_choice_that_the_client_forces_is_kept_to() {
    let session = session(&["<*x >a <1 >| <.", "<*y >b <2 >| <."]);
    let played = Live::new(&session).play("go choose >b");
    let miss = "miss: no recorded call agrees with message 1 of the request";
    assert_eq!(played, format!("go choose? choose <*x (1) >b {miss}"));
}

#[test]
fn recordings_that_nothing_tells_apart_come_in_their_order() {
    let session = strict(&["<*x >a <1 >| <.", "<*y >a <2 >| <.", "<*z >a <3 >| <."]);
    let mut calls: Vec<Live<'_>> = (0..3).map(|_| Live::new(&session)).collect();
    for (call, head) in calls.iter_mut().zip(["<*x", "<*y", "<*z"]) {
        assert_eq!(call.play("go"), format!("go {head} (1)"));
    }
    for (call, n) in calls.iter_mut().zip(1..) {
        assert_eq!(call.play(">a >|"), format!(">a <{n} (|) >| <. over"));
    }
}

#[test]
fn a_client_that_leaves_has_had_its_recording() {
    let session = strict(&["<* >a <1 >| <.", "<* >b <2 >| <."]);
    drop(Live::new(&session));
    assert_eq!(session.unused_count(), 2, "nothing was sent");
    assert_eq!(replay(&session, ""), "go <* (1)");
    assert_eq!(session.unused_count(), 1);
    assert_eq!((session.hits(), session.misses()), (1, 0));
    // The earliest was given to the one that left.
    assert_eq!(replay(&session, ">b >|"), "go <* (1) >b <2 (|) >| <. over");
}

#[test]
fn the_last_that_agrees_is_repeated_at_any_point_of_a_call() {
    let session = session(&["<* >a <1 >| <.", "<* >b <2 >| <.", "<* >a <3 >| <."]);
    for expected in ["<1", "<3", "<3", "<3"] {
        let played = replay(&session, ">a >|");
        assert_eq!(played, format!("go <* (1) >a {expected} (|) >| <. over"));
    }
    let played = replay(&session, ">b >|");
    assert_eq!(played, "go <* (1) >b <2 (|) >| <. over");
    assert_eq!(replay(&session, ">b >|"), played);
}

#[test]
fn a_strict_session_refuses_what_was_given_out_and_not_before_it_is_due() {
    let refused = "miss: every recorded call that agrees has been given out";
    let session = strict(&[">a >| <* <1 <."]);
    replay(&session, ">a >|");
    assert_eq!(replay(&session, ">a >|"), format!("go (1) >a (|) >| {refused}"));
    assert_eq!((session.hits(), session.misses()), (1, 1));
}

#[test]
fn a_request_that_is_known_in_part_agrees_with_whatever_follows() {
    // The first client left after a message, the second was refused before it said anything.
    let session = strict(&[">a <* <1 <?", "<*no <.", ">b >| <* <2 <."]);
    assert_eq!(replay(&session, ">a >x >|"), "go choose? >a <* <1 <? over >x over >| over");
    assert_eq!(replay(&session, ">z"), "go choose? >z <*no <. over");
    assert_eq!(replay(&session, ">b >|"), "go (1) >b (|) >| <* <2 <. over");
}

#[test]
fn the_rest_of_a_message_that_never_came_whole_is_no_message() {
    let mut call = recorded(">a >| <* <1 <?");
    let Body::Messages(messages) = &mut call.request.body else { panic!("no messages") };
    messages.push(messages[0].clone());
    messages[1].payload = Payload::Rest(b"\0\0"[..].into());
    let session =
        Session::build("t", vec![call], &settings(AfterLast::Repeat), no_bodies(), None).unwrap();
    assert_eq!(replay(&session, ">a >b >|"), "go (1) >a (|) >b (|) >| <* <1 <? over");
}

#[test]
fn a_cut_answer_is_passed_on_as_one() {
    let session = session(&[">a >| <* <1 <!"]);
    assert_eq!(replay(&session, ">a >|"), "go (1) >a (|) >| <* <1 <! over");
}

#[test]
fn an_answer_that_is_over_takes_no_notice_of_its_client() {
    let session = session(&[">a <* <."]);
    assert_eq!(replay(&session, ">a >b >|"), "go (1) >a <* <. over >b over >| over");
    assert_eq!(session.misses(), 0);
}

#[test]
fn a_page_of_a_gateway_is_one_part() {
    let mut call = recorded(">a >| <* <.");
    call.response.body = Body::Whole(b"no such host"[..].into());
    let session =
        Session::build("t", vec![call], &settings(AfterLast::Repeat), no_bodies(), None).unwrap();
    let mut call = session.call(&key(script::PATH));
    call.message_received(print(&session, "a"));
    call.request_ended();
    assert!(matches!(call.proceed(), Next::Send(due) if matches!(due.part, Part::Head(_))));
    assert!(matches!(call.proceed(), Next::Send(due) if matches!(due.part, Part::Body(_))));
    assert_eq!([told(&call.proceed()), told(&call.proceed())], ["<.", "over"]);
}

#[test]
fn compressed_messages_are_found_decompressed() {
    use crate::coding;
    use crate::exchange::Coding;
    let coded = coding::encode(Coding::Gzip, b"a").unwrap();
    let with = |compression, bytes: &[u8]| {
        let mut call = recorded(">a >| <* <1 <.");
        call.request.head.fields.push("grpc-encoding", "gzip");
        let Body::Messages(messages) = &mut call.request.body else { panic!("no messages") };
        messages[0].compression = compression;
        messages[0].payload = Payload::Bytes(bytes.to_vec().into());
        call
    };
    for (compression, bytes) in
        [(Compression::None, &b"a"[..]), (Compression::Off, b"a"), (Compression::On, &coded)]
    {
        let calls: Vec<Exchange> = vec![with(compression, bytes)];
        let session =
            Session::build("t", calls, &settings(AfterLast::Repeat), no_bodies(), None).unwrap();
        assert_eq!(replay(&session, ">a >|"), "go (1) >a (|) >| <* <1 <. over");
    }
}

/// A `chat.Line` whose map has these entries, in this order.
fn counts(entries: &[(&str, u8)]) -> Vec<u8> {
    let entry = |(key, value): &(&str, u8)| {
        let inside = [b"\x0a", &[key.len() as u8][..], key.as_bytes(), b"\x10", &[*value]].concat();
        [b"\x1a", &[inside.len() as u8][..], &inside].concat()
    };
    entries.iter().flat_map(entry).collect()
}

#[test]
fn the_order_of_a_map_does_not_count_where_a_descriptor_set_tells_it() {
    let ask = "/chat.Chat/Ask";
    let mut call = recorded(">a >| <* <1 <.");
    call.request.head.target = ask.into();
    let Body::Messages(messages) = &mut call.request.body else { panic!("no messages") };
    messages[0].payload = Payload::Bytes(counts(&[("x", 1), ("y", 2)]).into());
    let fields = call.request.head.fields.clone();
    let set = crate::grpc::testing::descriptors();
    let known: std::sync::Arc<dyn Canonical> =
        std::sync::Arc::new(Catalog::from([("api".to_owned(), set)]));
    let settings = settings(AfterLast::Repeat);
    let session = Session::build("t", vec![call], &settings, no_bodies(), Some(known)).unwrap();
    let agrees = |message: &[u8]| {
        let mut key = session.message_key(&fields, "api", ask, Vec::new());
        key.push(message);
        session.call(&script::key(ask)).message_received(key.finish())
    };
    assert!(agrees(&counts(&[("y", 2), ("x", 1)])));
    assert!(!agrees(&counts(&[("y", 2), ("x", 3)])));
}

#[test]
fn calls_on_several_threads_get_every_occurrence_once() {
    const THREADS: usize = 4;
    const COUNT: usize = 200;
    // Half of the scripts begin early, so that both ways are gone.
    let scripts: Vec<String> = (0..COUNT)
        .map(|n| match n % 2 {
            0 => format!("<* >a{} <{n} >| <.", n % 8),
            _ => format!("<* >a{} >b <{n} >| <.", n % 8),
        })
        .collect();
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    let session = strict(&scripts);
    let start = Barrier::new(THREADS);
    let run = |thread: usize| {
        start.wait();
        let mine = (thread..COUNT).step_by(THREADS);
        let answers = mine.map(|n| {
            let rest = if n % 2 == 0 { ">|" } else { ">b >|" };
            let played = replay(&session, &format!(">a{} {rest}", n % 8));
            let digits = |word: &str| word.strip_prefix('<').and_then(|n| n.parse::<usize>().ok());
            played.split_whitespace().find_map(digits).unwrap_or_else(|| panic!("{n}: {played}"))
        });
        answers.collect::<Vec<_>>()
    };
    let mut all: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    all.sort_unstable();
    assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
}
