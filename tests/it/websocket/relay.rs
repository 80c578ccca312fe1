//! A recorder passes frames on as they come: it rebuilds none, answers none, and judges none.

use super::{clients, expect_same_bytes};
use crate::support::ws::{Frame, Said, echo, hold, text};
use crate::support::*;

/// Frames as peculiar as RFC 6455 allows, and a little more: fragments, some of them empty, pings
/// and pongs between them, masks that hide nothing, and lengths that are longer than they need be.
fn peculiar() -> Vec<Frame> {
    vec![
        Frame::text("plain"),
        Frame::text("").unfinished(),
        Frame::ping("between"),
        Frame::continuation("in ").unfinished(),
        Frame::pong("nobody asked"),
        Frame::continuation("").unfinished(),
        Frame::continuation("parts"),
        Frame::binary(vec![0xa7; 70_000]),
        Frame::binary(vec![1, 2, 3]).length_in_two_bytes(),
        Frame::text("long").length_in_eight_bytes(),
        Frame::ping(""),
        Frame::text(""),
    ]
}

fn masked(frames: Vec<Frame>) -> Vec<Frame> {
    let keys = [[0; 4], [0xff; 4], [1, 2, 3, 4], [0x80, 0, 0, 1]];
    frames.into_iter().zip(keys.into_iter().cycle()).map(|(frame, key)| frame.masked(key)).collect()
}

#[test]
fn what_a_client_sends_reaches_the_origin_byte_for_byte() {
    let origin = Origin::http1().ws("/", |talk| hold(&mut talk.accept()));
    let ouli = Ouli::record(&origin).start();
    for (n, client) in clients(&ouli).into_iter().enumerate() {
        let mut talker = client.converse("/");
        talker.frames(masked(peculiar()));
        talker.close(1000, "done");
        let log = origin.conversation(n);
        expect_same_bytes(&log, &talker.log());
        let frames = log.frames_received();
        assert_eq!(frames[..frames.len() - 1], masked(peculiar()), "masks and lengths included");
    }
}

#[test]
fn what_an_origin_sends_reaches_the_client_byte_for_byte() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.frames(peculiar());
        talker.close(1000, "done");
        hold(&mut talker);
    });
    let ouli = Ouli::record(&origin).start();
    for (n, client) in clients(&ouli).into_iter().enumerate() {
        let mut talker = client.converse("/");
        peculiar().iter().for_each(|frame| talker.expect_frame(frame));
        talker.expect(Said::close(1000, "done"));
        talker.close(1000, "done");
        expect_same_bytes(&origin.conversation(n), &talker.log());
    }
}

#[test]
fn a_frame_that_comes_byte_by_byte_passes_byte_by_byte() {
    let origin = Origin::http1().ws_echo("/");
    let ouli = Ouli::record(&origin).start();
    for (n, client) in clients(&ouli).into_iter().enumerate() {
        let mut talker = client.converse("/");
        let frame = Frame::text("h\u{e4}ppchen").masked([9, 8, 7, 6]);
        let mut sent = Vec::new();
        for byte in frame.to_bytes() {
            talker.send([byte]);
            sent.push(byte);
            // Nothing waits for the rest of the frame.
            origin.conversation(n).wait_received(&sent);
        }
        talker.expect(text("h\u{e4}ppchen"));
        talker.part(1000, "");
    }
}

#[test]
fn pings_are_answered_by_the_other_side_and_not_by_ouli() {
    let origin = Origin::http1().ws_echo("/").ws("/mute", |talk| {
        // Answers no ping, and every text.
        let mut talker = talk.accept();
        talker.frame(Frame::ping("from the origin"));
        while let Ok(said) = talker.next() {
            if let Said::Text(text) = said {
                talker.say(&text);
            }
        }
    });
    let ouli = Ouli::record(&origin).start();
    for client in clients(&ouli) {
        let mut talker = client.converse("/");
        talker.frame(Frame::ping("p"));
        talker.expect(Said::Pong(b"p".to_vec()));

        let mut talker = client.converse("/mute");
        talker.expect(Said::Ping(b"from the origin".to_vec()));
        talker.frame(Frame::ping("unanswered"));
        talker.ask("next", "next");
    }
    let sent: Vec<_> = origin.conversation(1).frames_received();
    assert!(sent.iter().all(|frame| frame.payload != b"from the origin"), "{sent:?}");
}

#[test]
fn what_the_origin_sends_in_the_packet_of_its_answer_is_not_lost() {
    let origin = Origin::http1().ws("/", |talk| {
        let first = [Frame::text("welcome"), Frame::text("friend")];
        echo(&mut talk.grant_and_send(&[], &first));
    });
    let ouli = Ouli::record(&origin).start();
    for client in clients(&ouli) {
        let mut talker = client.converse("/");
        talker.expect_text("welcome");
        talker.expect_text("friend");
        talker.ask("thanks", "thanks");
    }
}

#[test]
fn what_a_client_sends_in_the_packet_of_its_handshake_is_not_lost() {
    let origin = Origin::http1().ws_echo("/");
    let ouli = Ouli::record(&origin).start();
    let client = ouli.client();
    let mut connection = client.connect();
    let head = client.handshake("/").upgrade().to_bytes("x");
    let early = Frame::text("early").masked([1, 2, 3, 4]).to_bytes();
    connection.send([head, early].concat());
    assert_eq!(connection.receive_head().0, 101);
    connection.expect_bytes(Frame::text("early").to_bytes());
}

#[test]
fn closes_pass_with_code_and_reason_in_both_directions() {
    let closes: Vec<Vec<u8>> = vec![
        vec![],
        1000_u16.to_be_bytes().to_vec(),
        Frame::close(1001, "going").payload,
        Frame::close(3999, "\u{fc}ber").payload,
        Frame::close(4999, &"x".repeat(123)).payload,
    ];
    for payload in closes {
        let of_origin = Frame::new(8, payload.clone());
        let sent = of_origin.clone();
        let origin = Origin::http1().ws_echo("/client").ws("/origin", move |talk| {
            let mut talker = talk.accept();
            talker.frame(sent.clone());
            hold(&mut talker);
        });
        let ouli = Ouli::record(&origin).start();
        for client in clients(&ouli) {
            let mut talker = client.converse("/client");
            talker.frame(Frame::new(8, payload.clone()));
            talker.expect_frame(&of_origin);
            assert_eq!(talker.expect_end(), Ending::Cut);

            let mut talker = client.converse("/origin");
            talker.expect_frame(&of_origin);
            talker.frame(Frame::new(8, payload.clone()));
            assert_eq!(talker.expect_end(), Ending::Cut);
        }
    }
}

/// What RFC 6455 forbids a client, and the name of the rule.
fn violations() -> Vec<(&'static str, Vec<u8>)> {
    let key = [1, 2, 3, 4];
    let masked = |frame: Frame| frame.masked(key).to_bytes();
    vec![
        ("a reserved bit", masked(Frame::text("x").rsv(0b001))),
        ("compression nobody agreed on", masked(Frame::text("x").rsv(0b100))),
        ("no mask", Frame::text("x").to_bytes()),
        ("a reserved opcode", masked(Frame::new(3, "x"))),
        ("a reserved control opcode", masked(Frame::new(11, "x"))),
        ("no UTF-8", masked(Frame::new(1, b"\xff\xfe"))),
        ("a long ping", masked(Frame::ping(&"x".repeat(126)))),
        ("a ping in parts", masked(Frame::ping("x").unfinished())),
        ("a continuation of nothing", masked(Frame::continuation("x"))),
        (
            "a message within a message",
            [masked(Frame::text("x").unfinished()), masked(Frame::text("y"))].concat(),
        ),
        ("a code that is never sent", masked(Frame::close(1005, ""))),
        ("half a code", masked(Frame::new(8, b"\x03"))),
    ]
}

#[test]
fn broken_rules_pass_to_the_origin_which_judges_them() {
    for (rule, bytes) in violations() {
        let expected = bytes.clone();
        let origin = Origin::http1().ws("/", move |talk| {
            let mut talker = talk.accept();
            while talker.log().received() != expected && talker.next_frame().is_ok() {}
            talker.close(1002, "broken");
        });
        let ouli = Ouli::record(&origin).start();
        for (n, client) in clients(&ouli).into_iter().enumerate() {
            let mut talker = client.converse("/");
            talker.send(&bytes);
            let reason = talker.expect_close(1002);
            assert_eq!(reason, "broken", "{rule}");
            origin.conversation(n).wait_received(&bytes);
        }
        ouli.terminate().expect_code(0);
    }
}

#[test]
fn broken_rules_pass_to_the_client_as_well() {
    let frames = [
        Frame::text("x").rsv(0b010),
        Frame::text("masked").masked([5, 6, 7, 8]),
        Frame::new(7, "x"),
        Frame::new(1, b"\xc3\x28"),
        Frame::ping(&"y".repeat(200)),
        Frame::continuation("of nothing"),
        Frame::close(1006, ""),
    ];
    let sent = frames.clone();
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        talker.frames(sent.clone());
        hold(&mut talker);
    });
    let ouli = Ouli::record(&origin).start();
    for client in clients(&ouli) {
        let mut talker = client.converse("/");
        frames.iter().for_each(|frame| talker.expect_frame(frame));
    }
}
