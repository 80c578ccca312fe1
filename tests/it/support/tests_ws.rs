//! The support code for WebSocket against itself: a client and an origin with nothing between.

use super::ws::{Frame, Said, binary, echo, hold, text};
use super::*;

fn client(origin: &Origin) -> Client {
    Client::new(origin.address()).over(origin.protocol()).trusting(authority().pem())
}

fn for_every_protocol(talk: impl Fn(Origin)) {
    for protocol in Protocol::ALL {
        eprintln!("over {protocol}");
        talk(Origin::of(protocol));
    }
}

#[test]
fn messages_of_every_kind_come_back_over_every_protocol() {
    for_every_protocol(|origin| {
        let origin = origin.ws_echo("/echo");
        let mut talker = client(&origin).converse("/echo");
        talker.ask("hello", "hello");
        talker.ask("", "");
        for len in [0, 125, 126, 65_535, 65_536, 1 << 20] {
            talker.say_bytes(vec![0xa7; len]);
            talker.expect(binary(vec![0xa7; len]));
        }
        talker.frame(Frame::text("in ").unfinished());
        talker.frame(Frame::ping("between"));
        talker.frame(Frame::continuation("two"));
        talker.expect(Said::Pong(b"between".to_vec()));
        talker.expect(text("in two"));
        talker.part(4321, "bye");
        let log = origin.conversation(0);
        assert_eq!(log.received(), talker.log().sent());
        assert_eq!(log.sent(), talker.log().received());
    });
}

#[test]
fn a_frame_is_read_as_it_was_written() {
    let frames = [
        Frame::text("x"),
        Frame::binary(vec![1; 126]).masked([1, 2, 3, 4]),
        Frame::binary(vec![1; 65_536]).unfinished(),
        Frame::continuation("").rsv(0b011),
        Frame::ping("p").masked([0; 4]).length_in_two_bytes(),
        Frame::close(1000, "done").length_in_eight_bytes(),
    ];
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
    let (seen, rest) = Frame::parse_all(&bytes);
    assert!(seen == frames && rest.is_empty(), "{seen:?}");
    assert_eq!(Frame::parse_all(&bytes[..bytes.len() - 1]).0.len(), frames.len() - 1);
    // RFC 6455 section 5.7.
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(Frame::text("Hello").masked([0x37, 0xfa, 0x21, 0x3d]).to_bytes(), hello);
}

#[test]
fn compressed_messages_are_read_whatever_was_agreed_on() {
    let grants = [
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=\"10\"",
    ];
    for grant in grants {
        let origin = Origin::http1().ws("/", move |talk| {
            let mut talker = talk.grant(&[("sec-websocket-extensions", grant)]);
            while let Ok(Said::Text(text)) = talker.next() {
                talker.say_compressed(&text);
                talker.say_compressed_in_fragments(&text, 7);
            }
        });
        let mut talker = client(&origin).handshake("/").extensions("permessage-deflate").open();
        let long: String = (0..9000).map(|n| format!("line {n} ")).collect();
        for said in ["hello hello hello", "hello hello hello", "", &long, "hello hello hello"] {
            talker.say_compressed(said);
            talker.expect_text(said);
            talker.expect_text(said);
        }
        let frames = origin.conversation(0).frames_received();
        assert!(frames.iter().all(|frame| frame.rsv == 0b100));
        let takes_over = !grant.contains("client_no_context_takeover");
        let again = frames[1].payload.len() < frames[0].payload.len();
        assert_eq!(again, takes_over, "{grant}: {frames:?}");
    }
}

#[test]
fn the_agreed_example_of_rfc_7692_is_read() {
    // Section 7.2.3.2: "Hello" twice, the second by the first.
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.grant(&[("sec-websocket-extensions", "permessage-deflate")]);
        talker.send(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00");
        hold(&mut talker);
    });
    let mut talker = client(&origin).handshake("/").extensions("permessage-deflate").open();
    talker.expect_text("Hello");
    talker.expect_text("Hello");
}

#[test]
fn refusals_and_grants_are_told_apart() {
    for_every_protocol(|origin| {
        let origin = origin
            .ws("/no", |talk| talk.refuse(Reply::new(403).header("x-why", "because").body("no")))
            .ws("/chat", |talk| echo(&mut talk.grant(&[("sec-websocket-protocol", "b")])));
        let refusal = client(&origin).handshake("/no").refused();
        assert_eq!((refusal.status, refusal.text()), (403, "no"));
        assert_eq!(refusal.header("x-why"), Some("because"));
        let talker = client(&origin).handshake("/chat").subprotocols("a, b").open();
        assert_eq!(talker.granted().get("sec-websocket-protocol"), Some("b"));
        assert_eq!(origin.requests()[1].headers.get("sec-websocket-protocol"), Some("a, b"));
    });
}

#[test]
fn an_origin_may_speak_first_in_the_packet_of_its_answer() {
    for_every_protocol(|origin| {
        let origin = origin.ws("/", |talk| {
            let first = [Frame::text("welcome"), Frame::text("friend")];
            hold(&mut talk.grant_and_send(&[], &first));
        });
        let mut talker = client(&origin).converse("/");
        talker.expect_text("welcome");
        talker.expect_text("friend");
    });
}

#[test]
fn either_side_can_leave_in_mid_message_and_the_other_sees_how() {
    for_every_protocol(|origin| {
        let origin = origin.ws_echo("/echo").ws("/leave", |talk| {
            let mut talker = talk.accept();
            talker.send(&Frame::text("cut short").to_bytes()[..5]);
            talker.finish();
        });
        let client = client(&origin);
        let mut talker = client.converse("/leave");
        assert_eq!(talker.expect_end(), Ending::Cut);
        assert_eq!(talker.log().received(), b"\x81\x09cut");

        let mut talker = client.converse("/echo");
        talker.ask("x", "x");
        talker.send(b"\x81");
        talker.reset();
        drop(talker);
        let seen = origin.conversation(1).wait_end();
        assert_ne!(seen, Ending::Cut, "no orderly end");
    });
}

#[test]
fn conversations_share_a_connection_of_http_2() {
    let origin = Origin::h2c().ws_echo("/echo");
    let client = client(&origin);
    let mut connection = client.connect_h2();
    let handshake = client.handshake("/echo");
    let mut talkers: Vec<_> = (0..3).map(|_| handshake.open_on(&mut connection)).collect();
    for (n, talker) in talkers.iter_mut().enumerate() {
        talker.ask(&n.to_string(), &n.to_string());
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_origin_of_http_2_can_keep_quiet_about_extended_connect() {
    let origin = Origin::h2c().ws_echo("/echo").without_extended_connect().route("/", |_| "x");
    let mut client = client(&origin);
    client.get("/");
    assert!(!client.connect_h2().takes_conversations());
}
