//! Conversations: what is theirs alone, and that the rest is as for calls.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use bytes::Bytes;
use sha2::Digest as _;

use super::script::{
    CHAT, Live, built, conversation, conversations, converse, conversed, said, text,
};
use super::{Next, STEP};
use crate::exchange::{
    After, Body, Close, Compression, Digest, Exchange, Kind, Message, Party, Payload,
};
use crate::replay::Session;
use crate::replay::choose::AfterLast;
use crate::replay::fixture::{asked, get};
use crate::replay::{Choice, Hit, call::Why};

fn session(scripts: &[&str]) -> Arc<Session> {
    conversations(scripts, AfterLast::Repeat)
}

fn strict(scripts: &[&str]) -> Arc<Session> {
    conversations(scripts, AfterLast::Refuse)
}

fn messages(body: &mut Body) -> &mut Vec<Message> {
    let Body::Messages(messages) = body else { panic!("no messages") };
    messages
}

#[test]
fn each_message_is_released_after_as_many_of_the_client_as_when_it_was_recorded() {
    let session = session(&["<* >a <1 <2 >b >c <3 >| <."]);
    let played = converse(&session, ">a >b >c >|");
    assert_eq!(played, "go <* (1) >a <1 <2 (2) >b (3) >c <3 (|)~ >| <. over");
    assert_eq!((session.hits(), session.misses(), session.unused_count()), (1, 0, 0));
}

#[test]
fn a_server_speaks_first_where_it_did() {
    let session = session(&["<* <hello <news >a <1 <."]);
    assert_eq!(converse(&session, ">a"), "go <* <hello <news (1) >a <1 <. over");
}

#[test]
fn what_a_client_says_tells_equal_beginnings_apart() {
    let session = strict(&["<* <hi >a <1 >b <2 >| <.", "<* <hi >a <1 >c <3 >| <."]);
    assert_eq!(converse(&session, ">a >c >|"), "go <* <hi (1) >a <1 (2) >c <3 (|)~ >| <. over");
    assert_eq!(converse(&session, ">a >b >|"), "go <* <hi (1) >a <1 (2) >b <2 (|)~ >| <. over");
    assert_eq!(session.unused_count(), 0);
}

#[test]
fn conversations_that_are_open_together_get_what_they_say_in_any_order() {
    let scripts = ["<* >a <1 >| <.", "<* >b <2 >| <.", "<* >c <3 >| <."];
    for order in [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"], ["c", "b", "a"]] {
        let session = strict(&scripts);
        let mut open: Vec<_> = order.iter().map(|_| conversation(&session)).collect();
        for one in &mut open {
            assert_eq!(Live::on(&session, one.resume()).play("go"), "go <* (1)");
        }
        for (one, word) in open.iter_mut().zip(order) {
            let answer = scripts.iter().position(|script| script.contains(word)).unwrap() + 1;
            let played = Live::on(&session, one.resume()).play(&format!(">{word}"));
            assert_eq!(played, format!(">{word} <{answer} (|)~"));
        }
        for one in &mut open {
            assert_eq!(Live::on(&session, one.resume()).play(">|"), ">| <. over");
        }
        drop(open);
        assert_eq!((session.hits(), session.misses(), session.unused_count()), (3, 0, 0));
    }
}

#[test]
fn the_nth_of_equal_conversations_gets_the_nth_recorded_one_and_then_the_last_again() {
    let scripts = ["<* >a <1 >| <.", "<* >a <2 >| <."];
    let session = session(&scripts);
    for answer in [1, 2, 2] {
        assert!(converse(&session, ">a >|").contains(&format!(">a <{answer} ")));
    }
    let session = strict(&scripts);
    converse(&session, ">a >|");
    converse(&session, ">a >|");
    let missed = "go miss: every recorded conversation that agrees has been given out";
    assert_eq!(converse(&session, ">a >|"), format!("{missed} >a {0} >| {0}", &missed[3..]));
    assert_eq!((session.hits(), session.misses()), (2, 1));
}

#[test]
fn one_more_than_was_recorded_repeats_the_last_though_others_are_undecided() {
    let session = session(&["<* <hi >a <1 >| <.", "<* <hi >b <2 >| <."]);
    let mut open: Vec<_> = (0..3).map(|_| conversation(&session)).collect();
    for one in &mut open {
        assert_eq!(Live::on(&session, one.resume()).play("go"), "go <* <hi (1)");
    }
    // The others hold both and say nothing.
    let played = Live::on(&session, open[2].resume()).play(">a >|");
    assert_eq!(played, ">a <1 (|)~ >| <. over");
    let played = Live::on(&session, open[0].resume()).play(">b >|");
    assert_eq!(played, ">b <2 (|)~ >| <. over");
    let played = Live::on(&session, open[1].resume()).play(">b >|");
    assert_eq!(played, ">b <2 (|)~ >| <. over", "the last again");
    assert_eq!(session.misses(), 0);
}

#[test]
fn one_more_than_may_be_given_out_is_refused_at_its_handshake() {
    let session = strict(&["<* >a <1 >| <.", "<* >b <2 >| <."]);
    let mut open: Vec<_> = (0..3).map(|_| conversation(&session)).collect();
    for one in &mut open[..2] {
        assert_eq!(Live::on(&session, one.resume()).play("go"), "go <* (1)");
    }
    let Next::Miss(miss) = open[2].resume().proceed() else { panic!("no miss") };
    assert_eq!((miss.why, miss.was_begun), (Why::Exhausted, false));
}

#[test]
fn greetings_that_differ_wait_a_moment_for_the_client_to_say_which() {
    let session = strict(&["<* <you-are-1 >a <1 >| <.", "<* <you-are-2 >b <2 >| <."]);
    let played = converse(&session, ">b >|");
    assert_eq!(played, "go <* choose? >b <you-are-2 <2 (|)~ >| <. over");
    let played = converse(&session, ">a >|");
    assert_eq!(played, "go <* <you-are-1 (1) >a <1 (|)~ >| <. over");
}

#[test]
fn what_every_handshake_has_of_its_own_is_no_choice_and_subprotocols_are() {
    // `conversed` gives each its own date and key.
    let session = strict(&["<*x >a <1 >| <.", "<*x >b <2 >| <.", "<*y >c <3 >| <."]);
    let mut open: Vec<_> = (0..3).map(|_| conversation(&session)).collect();
    let mut play = |n: usize, script| Live::on(&session, open[n].resume()).play(script);
    // A handshake is answered at once: its client says nothing before that.
    assert_eq!([play(0, "go"), play(1, "go")], ["go <*x (1)", "go <*x (1)"]);
    assert_eq!(play(2, "go"), "go <*y (1)");
    assert_eq!(play(0, ">b"), ">b <2 (|)~");
    assert_eq!(play(1, ">a"), ">a <1 (|)~");
    assert_eq!(play(2, ">c"), ">c <3 (|)~");
}

#[test]
fn the_handshake_of_the_earliest_that_is_left_is_sent() {
    let session = strict(&["<* >a <1 >| <.", "<* >b <2 >| <."]);
    let date = |call: &mut crate::replay::call::Call<'_>| match call.proceed() {
        Next::Send(due) => {
            due.recorded.exchange.response.head.fields.get("date").map(<[u8]>::to_vec)
        }
        other => panic!("{other:?}"),
    };
    let mut open: Vec<_> = (0..2).map(|_| conversation(&session)).collect();
    assert_eq!(date(&mut open[0].resume()).unwrap(), b"second 0");
    assert_eq!(date(&mut open[1].resume()).unwrap(), b"second 1");
}

#[test]
fn whoever_closed_first_closes_again() {
    let session = strict(&["<* >a <1 >| <.", "<* >b <2 <."]);
    assert_eq!(converse(&session, ">a >|"), "go <* (1) >a <1 (|)~ >| <. over");
    // The origin waits for no close, and what the client says meanwhile doesn't matter.
    assert_eq!(converse(&session, ">b >c >|"), "go <* (1) >b <2 <. over >c over >| over");
    assert_eq!((session.hits(), session.misses()), (2, 0));
}

#[test]
fn a_client_may_close_while_the_origin_still_speaks() {
    let session = strict(&["<* >a <1 <2 >| <3 <."]);
    let mut open = conversation(&session);
    let mut live = Live::on(&session, open.resume());
    live.call.proceed();
    let print = live.print("a");
    assert!(live.call.message_received(print) && live.call.request_ended());
    let sent = std::iter::from_fn(|| match live.call.proceed() {
        Next::Send(due) => Some(super::script::part(&due.part)),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), ["<1", "<2", "<3", "<."]);
}

#[test]
fn closes_that_differ_are_a_choice_unless_the_client_made_them() {
    let closing = |n: usize, script: &str, code| {
        let mut one = conversed(n, script);
        one.response.close.as_mut().unwrap().code = Some(code);
        one
    };
    let by_origin =
        [closing(0, "<* <.", 1000), closing(1, "<* <.", 1001), conversed(2, "<* >a <.")];
    let session = built(by_origin.into_iter(), AfterLast::Refuse);
    assert_eq!(converse(&session, "choose"), "go <* choose? choose <. over");
    let by_client = [closing(0, "<* >| <.", 1000), closing(1, "<* >| <.", 1001)];
    let session = built(by_client.into_iter(), AfterLast::Refuse);
    assert_eq!(converse(&session, ">|"), "go <* (|)~ >| <. over");
}

#[test]
fn a_close_keeps_its_gap() {
    let session = session(&["<* >a <1 <."]);
    let mut open = conversation(&session);
    let mut live = Live::on(&session, open.resume());
    live.call.proceed();
    let print = live.print("a");
    live.call.message_received(print);
    let mut gaps = Vec::new();
    while let Next::Send(due) = live.call.proceed() {
        gaps.push((due.before, due.at));
    }
    assert_eq!(gaps, [(Duration::ZERO, STEP * 2), (STEP * 2, STEP * 3)]);
}

#[test]
fn a_lost_connection_is_lost_again() {
    let session = strict(&["<* >a <1 <!", "<* >b <2 <?"]);
    assert_eq!(converse(&session, ">a"), "go <* (1) >a <1 <! over");
    assert_eq!(converse(&session, ">b >x"), "go <* (1) >b <2 <? over >x over");
}

#[test]
fn nobody_hurries_to_be_silent_where_the_client_may_go_on() {
    let scripts = ["<* >a <1 <?", "<* >a <1 >b <2 <?"];
    let session = strict(&scripts);
    assert_eq!(converse(&session, ">a >b"), "go <* (1) >a <1 silence? >b <2 <? over");
    assert_eq!(converse(&session, ">a"), "go <* (1) >a <1 <? over", "one is left");
    let session = strict(&scripts);
    assert_eq!(converse(&session, ">a choose >b"), {
        "go <* (1) >a <1 silence? choose <? over >b over"
    });
    // The same where both have been given out before.
    let session = conversations(&scripts, AfterLast::Repeat);
    for _ in 0..2 {
        assert_eq!(converse(&session, ">a >b"), "go <* (1) >a <1 silence? >b <2 <? over");
        assert!(converse(&session, ">a choose").contains(" <? over"));
    }
}

#[test]
fn a_client_that_goes_on_is_not_met_with_silence_where_others_have_a_word() {
    let scripts = ["<* >a <1 <?", "<* >a <1 <2 >b <3 <?"];
    // In their order: the first leaves within a moment, and the second finds its own.
    let session = strict(&scripts);
    assert_eq!(converse(&session, ">a"), "go <* (1) >a <1 choose?");
    assert_eq!(converse(&session, ">a >b"), "go <* (1) >a <1 <2 (2) >b <3 <? over");
    assert_eq!(session.unused_count(), 0);
    // Out of their order.
    let session = strict(&scripts);
    assert_eq!(converse(&session, ">a choose >b"), {
        "go <* (1) >a <1 choose? choose <2 (2) >b <3 <? over"
    });
    assert_eq!(converse(&session, ">a"), "go <* (1) >a <1 <? over");
}

#[test]
fn whoever_is_silent_changes_with_one_that_may_be_so() {
    let session = strict(&["<* >a <1 <?", "<* >a <1 >b <2 <?"]);
    let mut open: Vec<_> = (0..2).map(|_| conversation(&session)).collect();
    let mut play = |n: usize, script| Live::on(&session, open[n].resume()).play(script);
    assert_eq!([play(0, "go"), play(1, "go")], ["go <* (1)", "go <* (1)"]);
    assert_eq!(play(0, ">a"), ">a <1 silence?");
    assert_eq!(play(0, ">b"), ">b <2 <? over");
    assert_eq!(play(1, ">a"), ">a <1 <? over");
}

#[test]
fn who_says_more_than_a_lost_client_did_gets_silence_only_where_nobody_knows_it() {
    let session = strict(&["<* >a <1 <?", "<* >a <1 >b >c <3 >| <."]);
    assert_eq!(converse(&session, ">a >b >c >|"), {
        "go <* (1) >a <1 silence? >b silence? >c <3 (|)~ >| <. over"
    });
    let session = strict(&["<* >a <1 <?", "<* >a <1 >b >c <3 >| <."]);
    assert_eq!(converse(&session, ">a >x"), "go <* (1) >a <1 silence? >x <? over");
}

#[test]
fn only_who_waits_for_nothing_but_the_close_may_take_his_time() {
    let session = session(&["<* >a >b >| <."]);
    assert_eq!(converse(&session, ">a >b >|"), "go <* (1)~ >a (2)~ >b (|)~ >| <. over");
    let speaking = strict(&["<* >a <1 >b <2 >| <."]);
    assert_eq!(converse(&speaking, ">a >b"), "go <* (1) >a <1 (2) >b <2 (|)~");
    // One has more to say, the other hasn't: the client decides, and may take its time for it.
    let both = || strict(&["<* >a <1 >b <2 >| <.", "<* >a <1 >| <."]);
    assert_eq!(converse(&both(), ">a >|"), "go <* (1) >a <1 (2)~ >| <. over");
    assert_eq!(converse(&both(), ">a >b"), "go <* (1) >a <1 (2)~ >b <2 (|)~");
}

#[test]
fn a_heartbeat_may_come_as_late_as_it_was_recorded() {
    let mut one = conversed(0, "<* >join <joined <news >beat <beaten >| <last <.");
    messages(&mut one.request.body)[1].at = Duration::from_secs(30);
    one.response.close.as_mut().unwrap().at = Duration::from_secs(50);
    let session = built([one].into_iter(), AfterLast::Repeat);
    let mut open = conversation(&session);
    let mut live = Live::on(&session, open.resume());
    let mut allowed = |script: &str| {
        live.play(script);
        let Next::Await(awaited) = live.call.proceed() else { panic!("nothing is awaited") };
        live.call.allowance(awaited)
    };
    assert_eq!(allowed("go"), STEP);
    // Whatever was said in between is said at once in a replay.
    assert_eq!(allowed(">join"), Duration::from_secs(30) - STEP);
    assert_eq!(allowed(">beat"), Duration::from_secs(20));
}

#[test]
fn a_client_that_vanishes_has_missed_nothing() {
    let session = strict(&["<* >a <1 >b <2 >| <."]);
    assert_eq!(converse(&session, ">a"), "go <* (1) >a <1 (2)");
    assert_eq!((session.hits(), session.misses(), session.unused_count()), (1, 0, 0));
}

#[test]
fn a_conversation_that_was_not_answered_is_no_hit_and_takes_nothing() {
    let session = strict(&["<* >a <1 >| <.", "<* >b <2 >| <."]);
    drop(conversation(&session));
    assert_eq!((session.hits(), session.misses(), session.unused_count()), (0, 0, 2));
    let mut one = conversation(&session);
    one.resume().proceed();
    drop(one.resume());
    assert_eq!(session.hits(), 0, "it goes on");
    drop(one);
    assert_eq!((session.hits(), session.unused_count()), (1, 1));
}

#[test]
fn a_refused_handshake_is_refused_again_in_its_turn() {
    let session = strict(&["<=", "<* >a <1 >| <.", "<="]);
    let body = "Body(Response";
    let refused = converse(&session, "");
    assert!(refused.starts_with(&format!("go <*401 {body}")) && refused.ends_with(" <. over"));
    assert_eq!(converse(&session, ">a"), "go <* (1) >a <1 (|)~");
    assert!(converse(&session, "").starts_with("go <*401 "));
    assert_eq!((session.hits(), session.misses(), session.unused_count()), (3, 0, 0));
}

#[test]
fn a_plain_request_and_a_handshake_never_answer_each_other() {
    let all = [conversed(0, "<="), conversed(1, "<* >a <."), get(CHAT, "page")];
    let session = built(all.into_iter(), AfterLast::Repeat);
    let (key, body) = asked("GET", CHAT, "");
    for _ in 0..2 {
        let Choice::Hit(hit) = session.choose(&key, &body) else { panic!("no hit") };
        let Hit::Kept(hit, _) = hit else { panic!("there is no shelf") };
        assert_eq!(hit.exchange.response.head.status, 200);
    }
    assert!(converse(&session, "").starts_with("go <*401 "));
    assert_eq!(converse(&session, ""), "go <* (1)");
    assert_eq!(session.unused_count(), 0);
    let pages = built([get(CHAT, "page")].into_iter(), AfterLast::Repeat);
    let missed = "go miss: no conversation with this handshake is recorded";
    assert_eq!(converse(&pages, ""), missed);
}

#[test]
fn text_agrees_by_value_where_it_is_json_and_is_never_binary() {
    let mut one = conversed(0, "<* >a <1 >b <2 >| <.");
    let said_by_client = messages(&mut one.request.body);
    said_by_client[0].payload = Payload::Bytes(Bytes::from_static(br#"{"a":1,"b":[2]}"#));
    said_by_client[1].kind = Kind::Binary;
    let session = built([one].into_iter(), AfterLast::Repeat);
    let hears = |all: &[(Kind, &str)]| {
        let mut open = conversation(&session);
        let mut call = open.resume();
        while let Next::Send(_) = call.proceed() {}
        all.iter().all(|(kind, message)| {
            let agrees = call.message_received(said(&session, *kind, message));
            while let Next::Send(_) = call.proceed() {}
            agrees
        })
    };
    let equal = r#"{ "b": [2], "a": 1 }"#;
    assert!(hears(&[(Kind::Text, equal), (Kind::Binary, "b")]));
    assert!(!hears(&[(Kind::Text, equal), (Kind::Text, "b")]));
    assert!(!hears(&[(Kind::Binary, equal)]));
    assert!(!hears(&[(Kind::Text, r#"{"a":2,"b":[2]}"#)]));
}

/// A conversation whose client said this in its first message, of which only the digest was kept.
fn omitted(kind: Kind, content: &str) -> Exchange {
    let mut one = conversed(0, "<* >a <1 >| <.");
    let digest = Digest(sha2::Sha256::digest(content).into());
    let message = &mut messages(&mut one.request.body)[0];
    message.payload = Payload::Omitted { digest, len: content.len() as u64 };
    message.kind = kind;
    one
}

#[test]
fn a_message_that_was_too_large_to_keep_agrees_by_its_digest() {
    let large = "x".repeat(10_000);
    for content in [&large, "[ 1, 2 ]", "some"] {
        for kind in [Kind::Text, Kind::Binary] {
            let session = built([omitted(kind, content)].into_iter(), AfterLast::Repeat);
            let other = if kind == Kind::Text { Kind::Binary } else { Kind::Text };
            let hears = |kind, content: &str| {
                conversation(&session).resume().message_received(said(&session, kind, content))
            };
            assert!(hears(kind, content), "{kind:?} {content}");
            assert!(!hears(other, content), "{kind:?} {content}");
            assert!(!hears(kind, &content[1..]), "{kind:?} {content}");
        }
    }
}

#[test]
fn from_a_message_that_nobody_can_read_any_more_all_agrees() {
    let mut one = conversed(0, "<* >a <1 >b <2 >c <3 >| <.");
    messages(&mut one.request.body)[1].compression = Compression::On;
    let session = built([one].into_iter(), AfterLast::Repeat);
    assert_eq!(converse(&session, ">x"), {
        "go <* (1) >x miss: no recorded conversation agrees with message 1 of the client"
    });
    // What the origin said still waits for as many.
    assert_eq!(converse(&session, ">a >x >y >|"), {
        "go <* (1) >a <1 (2) >x <2 (3) >y <3 (|)~ >| <. over"
    });
}

#[test]
fn a_recorder_that_was_stopped_closes_again() {
    let mut one = conversed(0, "<* >a <1 <.");
    let at = STEP * 3;
    let reason = "draining".to_owned();
    one.response.close = Some(Close { at, by: Party::Ouli, code: Some(1001), reason });
    one.response.end_after = After::Messages(1);
    let session = built([one].into_iter(), AfterLast::Repeat);
    assert_eq!(converse(&session, ">a"), "go <* (1) >a <1 <. over");
}

#[test]
fn conversations_on_several_threads_get_every_occurrence_once() {
    const THREADS: usize = 4;
    const COUNT: usize = 200;
    let scripts: Vec<String> =
        (0..COUNT).map(|n| format!("<* <hi >a{} <{n} >| <.", n % 8)).collect();
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    let session = strict(&scripts);
    let start = Barrier::new(THREADS);
    let run = |thread: usize| {
        start.wait();
        let answers = (thread..COUNT).step_by(THREADS).map(|n| {
            let played = converse(&session, &format!(">a{} >|", n % 8));
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

/// Why a conversation misses that has said all this, and the nearest.
fn missed(session: &Arc<Session>, all: &[&str], closes: bool) -> String {
    let mut open = conversation(session);
    let mut call = open.resume();
    for message in all {
        while let Next::Send(_) = call.proceed() {}
        call.message_received(text(session, message));
    }
    if closes {
        call.request_ended();
    }
    let Next::Miss(miss) = call.proceed() else { panic!("no miss") };
    let content = all.last().map(|last| last.as_bytes());
    let nearest = session.nearest_call(&miss, content);
    format!("{miss}\n{}", nearest.map(|near| near.to_string()).unwrap_or_default())
}

#[test]
fn a_miss_says_what_differs_in_words() {
    let json = |id: u32| format!(">{{\"items\":[{{\"id\":{id}}}]}}");
    let [four, nine] = [json(4), json(9)].map(|json| format!("<* >same {json} <1 >| <."));
    let session = session(&[&four, &nine, "<* >hello >| <."]);
    assert_eq!(missed(&session, &["same", r#"{"items": [{"id": 5}]}"#], false), {
        "no recorded conversation agrees with message 2 of the client\n\
         nearest recorded: number 1\n\
         message 2 at /items/0/id: asked 5, recorded 4"
    });
    assert_eq!(missed(&session, &["held"], false), {
        "no recorded conversation agrees with message 1 of the client\n\
         nearest recorded: number 1\n\
         message 1, line 1, column 1: asked \"held\", recorded \"same\""
    });
}

#[test]
fn a_client_that_closes_too_early_or_says_too_much_misses() {
    let session = session(&["<* >a >b >c >| <."]);
    assert_eq!(missed(&session, &["a", "b"], true), {
        "the client closed after 2 messages, the recorded conversation has 3 messages\n\
         nearest recorded: number 1"
    });
    assert_eq!(missed(&session, &["a", "b", "c", "d"], false), {
        "message 4 of the client came, the recorded conversation has 3 messages\n\
         nearest recorded: number 1"
    });
    let large = built([omitted(Kind::Text, "[1]")].into_iter(), AfterLast::Repeat);
    let text = missed(&large, &["[2]"], false);
    assert!(text.contains("message 1: asked 3 bytes (digest "), "{text}");
}

#[test]
fn what_does_not_come_in_time_is_named() {
    let session = session(&["<* >a <1 >| <2 <."]);
    let mut open = conversation(&session);
    let mut live = Live::on(&session, open.resume());
    live.play("go");
    let Next::Await(awaited) = live.call.proceed() else { panic!("nothing is awaited") };
    assert_eq!(live.call.overdue(awaited).to_string(), {
        "the recorded conversation waits for message 1 of the client, which didn't come in time"
    });
    let mut open = conversation(&session);
    let mut live = Live::on(&session, open.resume());
    // A last word of the origin waits for the close: there is something due behind it.
    assert_eq!(live.play("go >a"), "go <* (1) >a <1 (|)");
    let Next::Await(awaited) = live.call.proceed() else { panic!("nothing is awaited") };
    assert_eq!(live.call.overdue(awaited).to_string(), {
        "the recorded conversation waits for the client's close, which didn't come in time"
    });
}
