//! The relay as a script: what either side sends, what passes, what is noted.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::exchange::Fields;
use crate::ws::deflate::Terms;
use crate::ws::frame::{Frames, RSV1, write};

const MESSAGE_BYTES_MAX: u64 = 10;
const KEY: [u8; 4] = [1, 2, 3, 4];

/// A line for each note: `client: text "he…` where more follows, `client: …llo"` for the rest.
#[derive(Default)]
struct Script(String);

impl Script {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }
}

impl Notes for Script {
    fn said(&mut self, by: Side, part: Part, bytes: &[u8], mask: Option<Mask>) {
        let mut bytes = bytes.to_vec();
        if let Some(mut mask) = mask {
            mask.apply(&mut bytes);
        }
        let mut line = format!("{by:?}: ");
        if let Some((kind, compressed)) = part.begins {
            let _ = write!(line, "{kind:?}{} ", if compressed { " compressed" } else { "" });
        } else {
            line.push('…');
        }
        let _ = write!(line, "{}{}", bytes.escape_ascii(), if part.ends { "." } else { "…" });
        self.line(&line);
    }

    fn unkept(&mut self, by: Side, unkept: Unkept) {
        let Unkept { kind, len, digest, .. } = unkept;
        self.line(&format!("{by:?}: {kind:?} of {len} bytes, {digest}"));
    }

    fn closed(&mut self, by: Party, said: &Said) {
        self.line(&format!("closed by {by:?}: {:?} {:?}", said.code, said.reason));
    }

    fn violated(&mut self, by: Side, how: &'static str) {
        self.line(&format!("{by:?}: {how}"));
    }
}

/// A relay, what has passed to each side, and what was noted.
struct Run {
    relay: Relay,
    to_client: Vec<u8>,
    to_origin: Vec<u8>,
    script: Script,
}

impl Run {
    fn new(extension: Extension) -> Run {
        let relay = Relay::new(extension, MESSAGE_BYTES_MAX);
        Run { relay, to_client: Vec::new(), to_origin: Vec::new(), script: Script::default() }
    }

    fn received(&mut self, from: Side, bytes: &[u8]) -> Pass {
        let mut instead = b"left over".to_vec();
        let pass = self.relay.received(from, bytes, &mut instead, &mut self.script);
        let passed = match pass {
            Pass::AsTheyCame => bytes,
            Pass::Instead => &instead,
        };
        match from {
            Side::Request => self.to_origin.extend_from_slice(passed),
            Side::Response => self.to_client.extend_from_slice(passed),
        }
        pass
    }

    fn client(&mut self, bytes: &[u8]) {
        self.received(Side::Request, bytes);
    }

    fn origin(&mut self, bytes: &[u8]) {
        self.received(Side::Response, bytes);
    }

    fn noted(&self) -> Vec<&str> {
        self.script.0.lines().collect()
    }

    fn farewell(&mut self) -> Option<[Vec<u8>; 2]> {
        self.relay.farewell(&mut self.script)
    }
}

fn frame(side: Side, fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mask = (side == Side::Request).then_some(KEY);
    let mut out = Vec::new();
    write(&mut out, &Header { fin, mask, ..Header::new(opcode, 0) }, payload);
    out
}

fn client(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(Side::Request, true, opcode, payload)
}

fn origin(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(Side::Response, true, opcode, payload)
}

#[test]
fn messages_are_noted_beside_the_bytes_which_pass_untouched() {
    let mut run = Run::new(Extension::None);
    let sent = [
        frame(Side::Request, false, Opcode::Text, b"he"),
        client(Opcode::Ping, b"!"),
        frame(Side::Request, true, Opcode::Continuation, b"llo"),
        client(Opcode::Binary, b""),
    ]
    .concat();
    run.client(&sent[..9]);
    run.client(&sent[9..]);
    run.origin(&origin(Opcode::Text, b"yes"));
    run.origin(&origin(Opcode::Close, b"\x03\xe8bye"));
    run.client(&client(Opcode::Close, b"\x03\xe8"));
    assert_eq!(run.to_origin[..sent.len()], sent);
    let expected = [
        "Request: Text he…",
        "Request: …llo.",
        "Request: Binary .",
        "Response: Text yes.",
        "closed by Origin: Some(1000) \"bye\"",
    ];
    assert_eq!(run.noted(), expected);
    assert!(run.relay.is_over());
}

#[test]
fn an_empty_fragment_begins_or_ends_a_message_too() {
    let mut run = Run::new(Extension::None);
    run.client(&frame(Side::Request, false, Opcode::Text, b""));
    run.client(&frame(Side::Request, false, Opcode::Continuation, b"a"));
    run.client(&frame(Side::Request, true, Opcode::Continuation, b""));
    assert_eq!(run.noted(), ["Request: Text a…", "Request: ….",]);
}

#[test]
fn of_a_message_that_is_too_large_length_and_digest_are_noted() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let mut run = Run::new(Extension::None);
    run.relay.message_bytes_max = 2;
    run.client(&client(Opcode::Text, b"abc"));
    run.origin(&frame(Side::Response, false, Opcode::Binary, b"a"));
    run.origin(&frame(Side::Response, false, Opcode::Continuation, b"bc"));
    run.origin(&frame(Side::Response, true, Opcode::Continuation, b""));
    run.client(&client(Opcode::Text, b"ok"));
    let expected = [
        &format!("Request: Text of 3 bytes, {abc}"),
        "Response: Binary a…",
        &format!("Response: Binary of 3 bytes, {abc}"),
        "Request: Text ok.",
    ];
    assert_eq!(run.noted(), expected);
}

#[test]
fn a_side_that_breaks_the_protocol_passes_and_is_read_no_further() {
    let rsv = |rsv, opcode| {
        let mut out = Vec::new();
        write(&mut out, &Header { rsv, mask: Some(KEY), ..Header::new(opcode, 0) }, b"x");
        out
    };
    let masked = || {
        let mut out = Vec::new();
        write(&mut out, &Header { mask: Some(KEY), ..Header::new(Opcode::Text, 0) }, b"x");
        out
    };
    let unfinished = frame(Side::Request, false, Opcode::Text, b"a");
    let again = [unfinished.clone(), client(Opcode::Text, b"b")].concat();
    for (side, extension, bytes, how) in [
        (Side::Request, Extension::None, rsv(RSV1, Opcode::Text), "it set RSV bits that"),
        (Side::Request, Extension::Deflate, rsv(0b010, Opcode::Text), "it set RSV bits that"),
        (Side::Request, Extension::Deflate, rsv(RSV1, Opcode::Ping), "it set RSV bits that"),
        (Side::Request, Extension::Unknown, rsv(RSV1, Opcode::Text), "it uses an extension"),
        (Side::Request, Extension::None, origin(Opcode::Text, b"x"), "its frames aren't masked"),
        (Side::Response, Extension::None, masked(), "its frames are masked"),
        (Side::Request, Extension::None, rsv(0, Opcode::Reserved(3)), "it sent a frame of a res"),
        (Side::Request, Extension::None, rsv(0, Opcode::Continuation), "it continued a message"),
        (Side::Request, Extension::None, again, "it began a message inside another one"),
        (Side::Request, Extension::None, client(Opcode::Ping, &[0; 126]), "it sent a control fr"),
        (
            Side::Request,
            Extension::None,
            frame(Side::Request, false, Opcode::Ping, b""),
            "it split a control frame",
        ),
        (
            Side::Response,
            Extension::None,
            vec![0x82, 126, 0, 1, b'x'],
            "a frame's length is written wrongly",
        ),
    ] {
        let mut run = Run::new(extension);
        run.received(side, &bytes);
        run.received(side, &client(Opcode::Text, b"unread"));
        let last = run.noted().pop().unwrap_or_default().to_owned();
        assert!(last.starts_with(&format!("{side:?}: {how}")), "{how}: {last}");
        let passed = if side == Side::Request { &run.to_origin } else { &run.to_client };
        assert!(passed.starts_with(&bytes), "{how}");
        // The other side is read as before.
        run.received(other(side), &frame(other(side), true, Opcode::Text, b"read"));
        assert!(run.noted().pop().unwrap().ends_with("Text read."), "{how}");
    }
}

#[test]
fn compressed_messages_are_told_by_their_first_frame() {
    let mut run = Run::new(Extension::Deflate);
    let mut first = Vec::new();
    let header = Header { fin: false, rsv: RSV1, ..Header::new(Opcode::Text, 0) };
    write(&mut first, &header, b"\xf2");
    run.origin(&first);
    run.origin(&frame(Side::Response, true, Opcode::Continuation, b"\x00"));
    run.origin(&origin(Opcode::Text, b"plain"));
    let expected =
        ["Response: Text compressed \\xf2…", "Response: …\\x00.", "Response: Text plain."];
    assert_eq!(run.noted(), expected);
}

#[test]
fn extensions_are_known_by_what_the_answer_grants() {
    let granted = |value: &str| {
        Extension::from(Terms::granted(&Fields::from_iter([("Sec-WebSocket-Extensions", value)])))
    };
    assert_eq!(Extension::from(Terms::granted(&Fields::new())), Extension::None);
    assert_eq!(granted("permessage-deflate"), Extension::Deflate);
    assert_eq!(granted("Permessage-Deflate; server_max_window_bits=10"), Extension::Deflate);
    assert_eq!(granted("x-webkit-deflate-frame"), Extension::Unknown);
    assert_eq!(granted("permessage-deflate, other"), Extension::Unknown);
}

const PING: [u8; PING_BYTES] = *b"ouli-png";

#[test]
fn a_ping_of_ouli_is_sent_between_two_frames_and_its_answer_goes_no_further() {
    let mut run = Run::new(Extension::None);
    let mut ping = Vec::new();
    run.origin(&origin(Opcode::Text, b"half")[..3]);
    assert!(!run.relay.ping(Side::Request, PING, &mut ping), "inside of a frame to the client");
    run.origin(&origin(Opcode::Text, b"half")[3..]);
    assert!(run.relay.ping(Side::Request, PING, &mut ping));
    assert_eq!(ping, origin(Opcode::Ping, &PING));
    let (other_pong, message) = (client(Opcode::Pong, b"other"), client(Opcode::Text, b"a"));
    let sent = [&other_pong[..], &message, &client(Opcode::Pong, &PING), &message].concat();
    for byte in &sent {
        run.client(&[*byte]);
    }
    assert_eq!(run.to_origin, [&other_pong[..], &message, &message].concat());
    assert_eq!(run.received(Side::Request, &other_pong), Pass::AsTheyCame);
    assert_eq!(
        run.noted(),
        [
            "Response: Text ha…".replace("ha", "h"),
            "Response: …alf.".into(),
            "Request: Text a.".into(),
            "Request: Text a.".into()
        ]
    );
}

#[test]
fn to_the_origin_ouli_masks_as_a_client_must() {
    let mut run = Run::new(Extension::None);
    let mut ping = Vec::new();
    assert!(run.relay.ping(Side::Response, PING, &mut ping));
    let (mut frames, mut at) = (Frames::new(), 0);
    let Some(Event::Header(header)) = frames.next(&ping, &mut at) else { panic!("{ping:?}") };
    assert!(header.mask.is_some() && header.opcode == Opcode::Ping);
    run.origin(&origin(Opcode::Pong, &PING));
    assert!(run.to_client.is_empty());
}

#[test]
fn a_stop_lets_both_sides_end_their_messages_and_closes_once() {
    let mut run = Run::new(Extension::None);
    run.origin(&frame(Side::Response, false, Opcode::Text, b"be"));
    run.relay.stop();
    assert!(run.relay.awaits_other(Side::Request) && !run.relay.awaits_other(Side::Response));
    assert_eq!(run.farewell(), None);
    let end = frame(Side::Response, true, Opcode::Continuation, b"gun");
    let late = origin(Opcode::Text, b"late");
    run.origin(&[&end[..], &late].concat());
    assert!(run.to_client.ends_with(&end), "what comes behind the message goes nowhere");
    let [to_client, to_origin] = run.farewell().unwrap();
    assert_eq!(to_client, origin(Opcode::Close, b"\x03\xe9Ouli was stopped"));
    assert_eq!(to_origin.len(), to_client.len() + 4, "masked");
    assert_eq!(run.farewell(), None);
    run.client(&client(Opcode::Text, b"late"));
    run.client(&client(Opcode::Close, b"\x03\xe9"));
    assert!(run.to_origin.is_empty() && !run.relay.is_over());
    run.origin(&origin(Opcode::Close, b""));
    assert!(run.relay.is_over());
    let expected = [
        "Response: Text be…",
        "Response: …gun.",
        "closed by Ouli: Some(1001) \"Ouli was stopped\"",
    ];
    assert_eq!(run.noted(), expected);
}

#[test]
fn a_close_among_what_is_dropped_at_a_stop_is_seen() {
    let mut run = Run::new(Extension::None);
    run.origin(&frame(Side::Response, false, Opcode::Text, b"be"));
    run.client(&frame(Side::Request, false, Opcode::Text, b"half"));
    run.relay.stop();
    // It goes on with a message that is cut in its middle, and closes.
    let end = frame(Side::Response, true, Opcode::Continuation, b"gun");
    let late = [origin(Opcode::Text, b"late"), origin(Opcode::Close, b"")].concat();
    run.origin(&[&end[..], &late[..3]].concat());
    assert!(run.relay.awaits_other(Side::Response) && run.to_client.ends_with(&end));
    run.client(&frame(Side::Request, true, Opcode::Continuation, b""));
    assert!(run.farewell().is_some());
    run.origin(&late[3..]);
    run.client(&client(Opcode::Close, b""));
    assert!(run.relay.is_over() && run.to_client.ends_with(&end));
}

#[test]
fn what_is_dropped_at_a_stop_stays_dropped_where_the_other_closes_by_itself() {
    let mut run = Run::new(Extension::None);
    run.origin(&frame(Side::Response, false, Opcode::Text, b"be"));
    run.client(&frame(Side::Request, false, Opcode::Text, b"half"));
    run.relay.stop();
    let end = frame(Side::Request, true, Opcode::Continuation, b"");
    let late = [client(Opcode::Text, b"late"), client(Opcode::Close, b"")].concat();
    run.client(&[&end[..], &late[..3]].concat());
    run.origin(&origin(Opcode::Close, b""));
    assert!(!run.relay.awaits_other(Side::Request) && run.farewell().is_none());
    run.client(&late[3..]);
    assert!(run.relay.is_over() && run.to_origin.ends_with(&end), "no frame without its beginning");
}

#[test]
fn a_side_whose_extension_is_unknown_can_be_pinged() {
    let mut run = Run::new(Extension::Unknown);
    let mut bytes = Vec::new();
    write(&mut bytes, &Header { rsv: RSV1, mask: Some(KEY), ..Header::new(Opcode::Text, 0) }, b"x");
    run.client(&bytes);
    assert!(run.relay.ping(Side::Request, PING, &mut Vec::new()));
    run.client(&client(Opcode::Pong, &PING));
    assert_eq!(run.to_origin, bytes);
    // What breaks the protocol may not even have frames.
    let mut run = Run::new(Extension::None);
    run.client(&bytes);
    assert!(!run.relay.ping(Side::Request, PING, &mut Vec::new()));
    assert!(!run.relay.ping(Side::Response, PING, &mut Vec::new()));
}

#[test]
fn a_side_that_closes_by_itself_needs_no_farewell() {
    let mut run = Run::new(Extension::None);
    run.client(&client(Opcode::Close, b""));
    run.relay.stop();
    assert_eq!(run.farewell(), None);
    run.origin(&origin(Opcode::Close, b""));
    assert!(run.relay.is_over() && run.farewell().is_none());
    assert_eq!(run.to_client, origin(Opcode::Close, b""));
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..20);
    (any::<bool>(), 0u8..16, prop::option::of(any::<[u8; 4]>()), 0u8..8, payload).prop_map(
        |(fin, code, mask, rsv, payload)| {
            let mut out = vec![u8::from(fin) << 7 | rsv << 4 | code];
            out.push(u8::from(mask.is_some()) << 7 | payload.len() as u8);
            out.extend(mask.into_iter().flatten());
            out.extend(payload);
            out
        },
    )
}

proptest! {
    #[test]
    fn whatever_comes_passes_as_it_came_and_means_the_same_under_every_cut(
        frames in prop::collection::vec(any_frame(), 0..12),
        cut in 1usize..30,
        pinged in any::<bool>(),
    ) {
        let bytes = frames.concat();
        let (mut whole, mut pieces) = (Run::new(Extension::Deflate), Run::new(Extension::Deflate));
        if pinged {
            // An answer that never comes must not hold anything else up.
            pieces.relay.ping(Side::Request, PING, &mut Vec::new());
        }
        whole.client(&bytes);
        bytes.chunks(cut).for_each(|piece| pieces.client(piece));
        prop_assert_eq!(&whole.to_origin, &bytes);
        prop_assert_eq!(&pieces.to_origin, &bytes);
        // Parts depend on the cuts; put together they don't.
        let joined = |run: &Run| run.script.0.replace("…\nRequest: …", "");
        prop_assert_eq!(joined(&whole), joined(&pieces));
    }
}
