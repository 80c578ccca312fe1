//! What a conversation may cost: connections, slots, and messages too large to keep.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{clients, exchange, say_all, script};
use crate::support::ws::{Frame, Said, echo, text};
use crate::support::*;

#[test]
fn an_open_conversation_holds_no_slot_of_requests_in_flight() {
    let origin = Origin::http1().ws_echo("/chat").route("/n", |n| n.to_string());
    for mode in ["record", "replay"] {
        let recordings = record(&origin, |client| {
            let mut talker = client.converse("/chat");
            say_all(&mut talker, &["one", "two"]);
            client.get("/n");
            talker.part(1000, "");
        });
        let limits = "max_in_flight = 1\nqueue_timeout = \"300ms\"";
        let ouli = match mode {
            "record" => Ouli::record(&origin).limits(limits).start(),
            _ => Ouli::replay(recordings).limits(limits).start(),
        };
        for client in clients(&ouli) {
            let mut open = [client.converse("/chat"), client.converse("/chat")];
            open.iter_mut().for_each(|talker| talker.ask("one", "one"));
            assert_eq!(ouli.client().get("/n").status, 200, "{mode}");
            open.iter_mut().for_each(|talker| talker.ask("two", "two"));
        }
    }
}

#[test]
fn a_conversation_holds_its_connection_slot_to_its_end() {
    let origin = Origin::http1().ws_echo("/chat").route("/n", |n| n.to_string());
    let ouli = Ouli::record(&origin).limits("max_connections = 2").start();
    let client = ouli.client();
    let mut open = [client.converse("/chat"), client.converse("/chat")];
    client.connect().receive().problem(503, "overloaded");
    open.iter_mut().for_each(|talker| talker.ask("still there", "still there"));
    open[0].part(1000, "");
    wait_until("there is room again", || {
        ouli.client().try_ask(&Ask::get("/n")).is_ok_and(|answer| answer.status == 200)
    });
    open[1].ask("and I", "and I");
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn expect_omitted(message: &Value, payload: &[u8]) {
    let expected = json!({"sha256": sha256(payload), "bytes": payload.len()});
    assert_eq!(message["omitted"], expected, "{message:#}");
}

#[test]
fn a_message_over_the_limit_passes_and_is_kept_as_length_and_digest() {
    let origin = Origin::http1().ws_echo("/");
    let ouli = Ouli::record(&origin).limits("max_ws_message = \"64KiB\"").start();
    let large: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let text = "too much ".repeat(10_000);
    let mut talker = ouli.client().converse("/");
    talker.say_bytes(large.clone());
    talker.expect(Said::Binary(large.clone()));
    talker.ask(&text, &text);
    // In fragments that are each below it.
    let parts: Vec<_> = large.chunks(50_000).collect();
    talker.frame(Frame::binary(parts[0]).unfinished());
    parts[1..3].iter().for_each(|&part| {
        talker.frame(Frame::continuation(part).unfinished());
    });
    talker.frame(Frame::continuation(parts[3]));
    talker.expect(Said::Binary(large.clone()));
    talker.ask("small", "small");
    talker.part(1000, "");
    ouli.terminate().expect_code(0);

    let exchange = exchange(&ouli.recordings(), 0);
    let messages = exchange["conversation"]["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 8, "{exchange:#}");
    for (n, payload) in [&large[..], &large, text.as_bytes(), text.as_bytes(), &large, &large]
        .into_iter()
        .enumerate()
    {
        expect_omitted(&messages[n], payload);
    }
    assert_eq!(messages[7]["text"], json!("small"), "{exchange:#}");
    let kept = ouli.recordings().files();
    assert!(kept.iter().all(|file| !file.starts_with("bodies/")), "{kept:?}");
}

#[test]
fn a_message_at_the_limit_is_kept() {
    let origin = Origin::http1().ws_echo("/");
    let ouli = Ouli::record(&origin).limits("max_ws_message = 1000").start();
    let text = "x".repeat(1000);
    let mut talker = ouli.client().converse("/");
    talker.ask(&text, &text);
    talker.ask(&format!("{text}y"), &format!("{text}y"));
    talker.part(1000, "");
    ouli.terminate().expect_code(0);
    let exchange = exchange(&ouli.recordings(), 0);
    let messages = exchange["conversation"]["messages"].as_array().unwrap();
    assert_eq!(messages[0]["text"], json!(text), "{exchange:#}");
    expect_omitted(&messages[2], format!("{text}y").as_bytes());
}

#[test]
fn a_replay_takes_no_message_over_the_limit() {
    let origin = Origin::http1().ws_echo("/");
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.ask("small", "small");
        talker.part(1000, "");
    });
    let replay = Ouli::replay(recordings).limits("max_ws_message = 1000").start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        talker.say(&"x".repeat(1001));
        talker.expect_close(1009);
        // Neither in one frame that is never sent to its end, nor in many small ones.
        let mut talker = client.converse("/");
        talker.send(b"\x81\xff\x00\x00\x00\x01\x00\x00\x00\x00\x01\x02\x03\x04only the start");
        talker.expect_close(1009);
        let mut talker = client.converse("/");
        talker.frame(Frame::text(&"x".repeat(600)).unfinished());
        talker.frame(Frame::continuation("x".repeat(600)));
        talker.expect_close(1009);
    }
}

#[test]
fn silent_sides_are_pinged_and_those_that_answer_stay() {
    let origin = Origin::http1().ws_echo("/");
    let ouli = Ouli::record(&origin).limits("ws_idle_timeout = \"200ms\"").start();
    for (n, client) in clients(&ouli).into_iter().enumerate() {
        let mut talker = client.converse("/");
        for _ in 0..3 {
            let Ok(Said::Ping(payload)) = talker.next() else { panic!("no ping") };
            talker.frame(Frame::new(10, payload));
        }
        talker.say("still there");
        while talker.next().unwrap() != text("still there") {}
        let frames = origin.conversation(n).frames_received();
        let pongs = frames.iter().filter(|frame| frame.opcode == 10).count();
        assert_eq!(pongs, 0, "what answers Ouli goes no further: {frames:?}");
        assert!(frames.iter().any(|frame| frame.opcode == 9), "the origin was pinged: {frames:?}");
    }
    ouli.terminate().expect_code(0);
    let kept = script(&exchange(&ouli.recordings(), 0));
    assert_eq!(kept, ["client: still there", "origin: still there"]);
}

#[test]
fn a_side_that_answers_no_ping_is_left() {
    let origin = Origin::http1().ws_echo("/").ws("/mute", |talk| {
        let mut talker = talk.accept();
        while talker.next_frame().is_ok() {}
    });
    let ouli = Ouli::record(&origin).limits("ws_idle_timeout = \"200ms\"").start();
    let mut talker = ouli.client().converse("/");
    assert!(matches!(talker.next(), Ok(Said::Ping(_))));
    talker.expect_end();
    origin.conversation(0).wait_end();

    let mut talker = ouli.client().converse("/mute");
    while let Ok(frame) = talker.next_frame() {
        assert_eq!(frame.opcode, 9, "no close: {frame:?}");
        talker.frame(Frame::new(10, frame.payload));
    }
    assert_ne!(talker.log().wait_end(), Ending::Silence);
    ouli.terminate().expect_code(0);
}

#[test]
fn a_client_that_cannot_be_pinged_is_not_blamed_for_an_origin_stuck_in_a_frame() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        let frame = Frame::text("only the beginning is sent").to_bytes();
        talker.send(&frame[..10]);
        while talker.next_frame().is_ok() {}
    });
    let ouli = Ouli::record(&origin).limits("ws_idle_timeout = \"200ms\"").start();
    let mut talker = ouli.client().converse("/");
    talker.expect_end();
    let ended = ouli.terminate();
    ended.expect_code(0).expect_said(&["the origin answered no ping"]);
    ended.expect_unsaid(&["the client answered no ping"]);
    let exchange = exchange(&ouli.recordings(), 0);
    assert_eq!(exchange["response"]["end"], json!("cut_by_origin"), "{exchange:#}");
}

#[test]
fn a_client_that_takes_nothing_amid_a_frame_is_left() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.say_bytes(vec![7; 64 << 20]);
        while talker.next_frame().is_ok() {}
    });
    let ouli = Ouli::record(&origin).limits("ws_idle_timeout = \"200ms\"").start();
    let _unread = ouli.client().converse("/");
    wait_until("the client is left", || ouli.stderr().contains("the client answered no ping"));
    origin.conversation(0).wait_end();
    ouli.terminate().expect_code(0);
    let exchange = exchange(&ouli.recordings(), 0);
    assert_eq!(exchange["response"]["end"], json!("left_by_client"), "{exchange:#}");
}

#[test]
fn memory_does_not_grow_with_a_message() {
    const MESSAGE: usize = 72 << 20;
    const BOUND_KIB: u64 = 24 << 10;
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        if let Ok(Said::Binary(bytes)) = talker.next() {
            talker.say(&bytes.len().to_string());
            talker.say_bytes(bytes);
            echo(&mut talker);
        }
    });
    let ouli = Ouli::record(&origin).limits("max_ws_message = \"256MiB\"").option("-q").start();
    let mut talker = ouli.client().converse("/");
    let before = ouli.memory_kib("RssAnon");
    talker.say_bytes(vec![0xa7; MESSAGE]);
    talker.expect_text(&MESSAGE.to_string());
    let mut grown = ouli.memory_kib("RssAnon").saturating_sub(before);
    match talker.next() {
        Ok(Said::Binary(bytes)) => assert_eq!(bytes.len(), MESSAGE),
        other => panic!("{other:?}"),
    }
    grown = grown.max(ouli.memory_kib("RssAnon").saturating_sub(before));
    assert!(grown < BOUND_KIB, "anonymous memory grew by {grown} KiB");
    talker.part(1000, "");
    ouli.terminate().expect_code(0);
    let exchange = exchange(&ouli.recordings(), 0);
    let first = &exchange["conversation"]["messages"][0];
    assert_eq!(first["file"]["bytes"], json!(MESSAGE), "{exchange:#}");
}

#[test]
fn idle_conversations_cost_little_memory() {
    const COUNT: u64 = 1000;
    let origin = Origin::http1().ws_echo("/");
    let recorder = Ouli::record(&origin).option("-q").start();
    let before = recorder.memory_kib("RssAnon");
    let client = recorder.client();
    let mut open: Vec<_> = (0..COUNT).map(|_| client.converse("/")).collect();
    open.iter_mut().for_each(|talker| talker.ask("x", "x"));
    let grown = recorder.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < COUNT * 24, "{grown} KiB for {COUNT} conversations");
    open.iter_mut().for_each(|talker| talker.part(1000, ""));
    recorder.terminate().expect_code(0);
    assert_eq!(script(&exchange(&recorder.recordings(), 999)), ["client: x", "origin: x"]);
}
