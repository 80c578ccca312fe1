//! What a replay does with a client that breaks the rules: it is the server then, and judges.

use super::clients;
use crate::support::ws::{Frame, Said, Talker, hold};
use crate::support::*;

#[track_caller]
fn replay() -> Ouli {
    let origin = Origin::http1().ws_echo("/");
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.ask("fine", "fine");
        talker.part(1000, "");
    });
    Ouli::replay(recordings).start()
}

/// What a client sends, masked frame by masked frame, and what it is closed with (RFC 6455
/// sections 5 and 7.4).
fn violations() -> Vec<(&'static str, Vec<Frame>, u16)> {
    let one = |frame: Frame| vec![frame];
    vec![
        ("the first reserved bit", one(Frame::text("x").rsv(0b100)), 1002),
        ("the second", one(Frame::text("x").rsv(0b010)), 1002),
        ("the third", one(Frame::ping("x").rsv(0b001)), 1002),
        ("a reserved opcode", one(Frame::new(3, "x")), 1002),
        ("a reserved control opcode", one(Frame::new(15, "")), 1002),
        ("a continuation of nothing", one(Frame::continuation("x")), 1002),
        (
            "a message within a message",
            vec![Frame::text("a").unfinished(), Frame::binary(vec![1])],
            1002,
        ),
        ("a ping in parts", one(Frame::ping("x").unfinished()), 1002),
        ("a ping of 126 bytes", one(Frame::ping(&"x".repeat(126))), 1002),
        ("a close of 126 bytes", one(Frame::close(1000, &"x".repeat(124))), 1002),
        ("a length longer than need be", one(Frame::text("x").length_in_two_bytes()), 1002),
        ("a length much longer", one(Frame::text("x").length_in_eight_bytes()), 1002),
        ("text that isn't UTF-8", one(Frame::new(1, b"f\xc3\x28")), 1007),
        ("text that ends within a character", one(Frame::new(1, b"caf\xc3")), 1007),
        (
            "a broken character over two frames",
            vec![Frame::new(1, b"\xe2\x82").unfinished(), Frame::continuation(b"\x28")],
            1007,
        ),
        ("a surrogate", one(Frame::new(1, b"\xed\xa0\x80")), 1007),
        ("half a code", one(Frame::new(8, b"\x03")), 1002),
        ("a code that says none came", one(Frame::close(1005, "")), 1002),
        ("a code that says it was cut", one(Frame::close(1006, "")), 1002),
        ("a code below all", one(Frame::close(999, "")), 1002),
        ("a code that nobody gave out", one(Frame::close(2999, "")), 1002),
        ("a code above all", one(Frame::close(5000, "")), 1002),
        ("a reason that isn't UTF-8", one(Frame::new(8, b"\x03\xe8\xff")), 1007),
    ]
}

/// Closed with this code, and then nothing more.
#[track_caller]
fn expect_closed(talker: &mut Talker<'_>, code: u16, rule: &str) {
    match talker.next() {
        Ok(Said::Close(Some(seen), _)) if seen == code => {}
        other => panic!("{rule}: expected to be closed with {code}, saw {other:?}"),
    }
    talker.close(code, "");
    assert_ne!(talker.expect_end(), Ending::Silence, "{rule}");
}

#[test]
fn each_broken_rule_has_its_code() {
    let replay = replay();
    for (rule, frames, code) in violations() {
        for client in clients(&replay) {
            let mut talker = client.converse("/");
            talker.frames(frames.clone());
            expect_closed(&mut talker, code, rule);
        }
    }
    // The others never noticed.
    let mut talker = replay.client().converse("/");
    talker.ask("fine", "fine");
    talker.part(1000, "");
}

#[test]
fn a_frame_without_a_mask_is_a_broken_rule() {
    let replay = replay();
    for client in clients(&replay) {
        for frame in [Frame::text("fine"), Frame::ping(""), Frame::close(1000, "")] {
            let mut talker = client.converse("/");
            talker.send(frame.to_bytes());
            expect_closed(&mut talker, 1002, "no mask");
        }
    }
}

#[test]
fn a_length_that_no_memory_holds_is_refused_at_its_header() {
    let replay = replay();
    let before = replay.memory_kib("VmRSS");
    for (len, codes) in [(u64::MAX, [1002, 1002]), (1 << 63, [1002, 1002]), (1 << 62, [1009, 1009])]
    {
        for client in clients(&replay) {
            let mut talker = client.converse("/");
            let header = [&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat();
            talker.send(header);
            expect_closed(&mut talker, codes[0], &format!("{len:#x} bytes"));
        }
    }
    assert!(replay.memory_kib("VmRSS").saturating_sub(before) < 8192);
}

#[test]
fn a_broken_rule_is_no_miss() {
    let replay = replay();
    let mut talker = replay.client().converse("/");
    talker.frame(Frame::continuation("x"));
    expect_closed(&mut talker, 1002, "a continuation of nothing");
    let ended = replay.terminate();
    ended.expect_code(0).expect_unsaid(&["1 miss"]);
}

#[test]
fn compressed_bytes_that_are_none_are_closed_with_1007() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.grant(&[("sec-websocket-extensions", "permessage-deflate")]);
        talker.say_compressed("hello");
        hold(&mut talker);
    });
    let recordings = record(&origin, |client| {
        let handshake = client.handshake("/").extensions("permessage-deflate");
        let mut talker = handshake.open();
        talker.expect_text("hello");
        talker.say_compressed("hello yourself");
    });
    let replay = Ouli::replay(recordings).limits("max_ws_message = \"1MiB\"").start();
    for client in clients(&replay) {
        let handshake = client.handshake("/").extensions("permessage-deflate");
        let mut talker = handshake.open();
        talker.expect_text("hello");
        talker.frame(Frame::new(1, b"\xff\xff\xff").rsv(0b100));
        expect_closed(&mut talker, 1007, "no deflate");
        // A message of 1 KiB that would be a hundred MiB.
        let mut talker = handshake.open();
        talker.expect_text("hello");
        talker.say_compressed(&"\0".repeat(64 << 20));
        expect_closed(&mut talker, 1009, "a bomb");
    }
}
