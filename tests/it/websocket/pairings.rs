//! A conversation means the same over every pair of versions, with TLS and without; recorded, and
//! replayed with the origin gone.

use crate::support::ws::{Frame, Said, Talker, binary, text};
use crate::support::*;

/// The same again, in two frames where it came in two; whole messages, so that nothing of an answer
/// comes before all of its question has.
fn answer(talker: &mut Talker<'_>, said: Said) {
    match said {
        Said::Text(text) if text == "in two" => {
            talker.frames([Frame::text("in ").unfinished(), Frame::continuation("two")]);
        }
        Said::Text(text) => {
            talker.say(&text);
        }
        Said::Binary(bytes) => {
            talker.say_bytes(bytes);
        }
        Said::Ping(payload) => {
            talker.frame(Frame::new(10, payload));
        }
        Said::Pong(_) => {}
        Said::Close(code, reason) => {
            talker.close(code.expect("a code"), &reason);
            talker.finish();
        }
    }
}

#[test]
fn conversations_of_every_kind_of_message_pass() {
    let origin = |origin: Origin| {
        origin.ws("/chat", |talk| {
            let mut talker = talk.grant(&[("sec-websocket-protocol", "v2"), ("x-own", "1")]);
            talker.say("welcome");
            while let Ok(said) = talker.next() {
                answer(&mut talker, said);
            }
        })
    };
    for_every_pairing(origin, |client, _| {
        let mut talker = client.handshake("/chat").subprotocols("v1, v2").open();
        let granted = ["sec-websocket-protocol", "x-own"]
            .map(|name| talker.granted().get(name).unwrap_or_default().to_owned());
        assert_eq!(granted, ["v2", "1"], "{:?}", talker.granted());
        let mut heard = vec![talker.next().unwrap()];
        let mut ask = |frames: Vec<Frame>, expected: Said| {
            talker.frames(frames);
            talker.expect(expected.clone());
            heard.push(expected);
        };
        ask(vec![Frame::text("hello")], text("hello"));
        ask(vec![Frame::text("")], text(""));
        ask(vec![Frame::text("{\"a\": [1, 2.50]}")], text("{\"a\": [1, 2.50]}"));
        ask(vec![Frame::binary(vec![0, 0xff])], binary(vec![0, 0xff]));
        ask(vec![Frame::binary(vec![0xa7; 200_000])], binary(vec![0xa7; 200_000]));
        ask(vec![Frame::ping("p")], Said::Pong(b"p".to_vec()));
        let parts = vec![Frame::text("in ").unfinished(), Frame::continuation("two")];
        ask(parts, text("in two"));
        ask(vec![Frame::close(4001, "bye")], Said::close(4001, "bye"));
        let ending = talker.expect_end();
        assert_eq!(ending, Ending::Cut, "in good order");
        heard
    });
}

#[test]
fn refusals_pass() {
    let origin = |origin: Origin| {
        origin.ws("/no", |talk| {
            talk.refuse(Reply::new(403).header("x-why", "because").body("not you"));
        })
    };
    for_every_pairing(origin, |client, _| {
        let refusal = client.handshake("/no").refused();
        assert_eq!((refusal.status, refusal.text()), (403, "not you"), "{refusal:?}");
        assert_eq!(refusal.header("x-why"), Some("because"), "{refusal:?}");
        (refusal.status, refusal.body)
    });
}

#[test]
fn compressed_messages_pass() {
    let origin = |origin: Origin| {
        origin.ws("/", |talk| {
            let mut talker = talk.grant(&[("sec-websocket-extensions", "permessage-deflate")]);
            while let Ok(Said::Text(text)) = talker.next() {
                talker.say_compressed(&text);
            }
            talker.close(1000, "");
        })
    };
    for_every_pairing(origin, |client, _| {
        let mut talker = client.handshake("/").extensions("permessage-deflate").open();
        for said in ["over and over", "over and over", "over"] {
            talker.say_compressed(said);
            talker.expect_text(said);
        }
        talker.part(1000, "");
        talker.is_compressing()
    });
}
