//! Recording WebSocket conversations, and reading back what was said.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::cassette::bodies::digest_of;
use crate::exchange::*;
use crate::tape::{Side, TapeRun};
use crate::ws::deflate::Deflater;
use crate::ws::frame::Mask;

const TEXT: Option<(Kind, bool)> = Some((Kind::Text, false));
const BINARY: Option<(Kind, bool)> = Some((Kind::Binary, false));
const COMPRESSED: Option<(Kind, bool)> = Some((Kind::Text, true));

const KEY: [u8; 4] = [1, 2, 3, 250];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Bench {
    run: Arc<Run>,
    recorder: Recorder,
    _dir: tempfile::TempDir,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::open(&dir.path().join("r"), Vec::new(), |_| {}).unwrap();
    let recorder = Recorder::open(Arc::clone(&run), 0, Keep::default()).unwrap();
    Bench { run, recorder, _dir: dir }
}

impl Bench {
    /// Begins a conversation with these extensions.
    fn begin(&self, granted: &str) -> Recording {
        let fields = Fields::from_iter([("upgrade", "websocket"), ("connection", "Upgrade")]);
        let head = RequestHead {
            method: "GET".into(),
            target: "/feed".into(),
            fields,
            ..Default::default()
        };
        let seq = self.run.next_seq();
        let mut one = self.recorder.begin(seq, "default", "api", 7, &head, Vec::new());
        one.request_end(&Fields::new()).unwrap();
        let fields = Fields::from_iter([("sec-websocket-extensions", granted)]);
        one.response_head(ms(1), &ResponseHead { status: 101, fields, ..Default::default() });
        one.converse();
        one.flush().unwrap();
        one
    }

    fn exchange(&self) -> Exchange {
        let run = TapeRun::open(&self.run.tapes()).unwrap();
        let mut all = run.exchanges("default");
        all.next().unwrap().unwrap()
    }
}

impl Recording {
    /// What the client says, masked, as one read gave it.
    fn client(&mut self, at: u64, begins: Option<(Kind, bool)>, ends: bool, bytes: &[u8]) {
        let mut masked = bytes.to_vec();
        Mask::new(KEY).apply(&mut masked);
        let (part, mask) = (Part { begins, ends }, Some(Mask::new(KEY)));
        self.said(ms(at), Side::Request, part, &masked, mask).unwrap();
    }

    fn origin(&mut self, at: u64, begins: Option<(Kind, bool)>, ends: bool, bytes: &[u8]) {
        self.said(ms(at), Side::Response, Part { begins, ends }, bytes, None).unwrap();
    }

    fn end_whole(mut self) {
        self.end(End::Whole, &Fields::new()).unwrap();
        self.flush().unwrap();
    }
}

fn messages(body: &Body) -> &[Message] {
    match body {
        Body::Absent => &[],
        Body::Messages(messages) => messages,
        other => panic!("{other:?}"),
    }
}

/// When each message came, after what, and what it is.
fn told(body: &Body) -> Vec<(u64, After, Kind, Compression, Vec<u8>)> {
    let one = |message: &Message| match &message.payload {
        Payload::Bytes(bytes) => {
            let Message { at, after, kind, compression, .. } = message;
            (at.as_millis() as u64, *after, *kind, *compression, bytes.to_vec())
        }
        other => panic!("{other:?}"),
    };
    messages(body).iter().map(one).collect()
}

fn texts(body: &Body) -> Vec<(Compression, String)> {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    told(body).into_iter().map(|(.., compression, bytes)| (compression, text(bytes))).collect()
}

#[test]
fn messages_remember_after_which_of_the_client_they_came() {
    let bench = bench();
    let mut one = bench.begin("");
    one.origin(2, TEXT, true, b"welcome");
    one.client(3, TEXT, false, b"hel");
    // Begins before the client's message is whole, and is whole later.
    one.origin(4, BINARY, false, b"");
    one.client(5, None, false, b"");
    one.client(6, None, true, b"lo");
    one.origin(7, None, true, b"\0\x01");
    one.origin(8, TEXT, true, b"");
    one.client(9, BINARY, true, b"");
    one.closed(ms(10), Party::Client, Some(1000), "bye").unwrap();
    one.origin(11, TEXT, true, b"late");
    one.end_whole();
    let Exchange { request, response, .. } = bench.exchange();
    let (after, none) = (After::Messages, Compression::None);
    assert_eq!(
        told(&request.body),
        [
            (6, After::End, Kind::Text, none, b"hello".to_vec()),
            (9, After::End, Kind::Binary, none, b"".to_vec()),
        ]
    );
    assert_eq!(
        told(&response.body),
        [
            (2, after(0), Kind::Text, none, b"welcome".to_vec()),
            (7, after(0), Kind::Binary, none, b"\0\x01".to_vec()),
            (8, after(1), Kind::Text, none, b"".to_vec()),
            (11, After::End, Kind::Text, none, b"late".to_vec()),
        ]
    );
    let close = Close { at: ms(10), by: Party::Client, code: Some(1000), reason: "bye".into() };
    assert_eq!(response.close, Some(close));
    assert_eq!((response.after, response.end_after), (after(0), After::End));
    assert!(request.is_whole);
    assert_eq!(response.end, End::Whole);
}

#[test]
fn the_first_close_counts_and_its_sender_says_nothing_more() {
    for (by, of_client, of_origin) in
        [(Party::Client, 1, 1), (Party::Origin, 2, 0), (Party::Ouli, 2, 1)]
    {
        let bench = bench();
        let mut one = bench.begin("");
        one.client(1, TEXT, true, b"a");
        one.closed(ms(2), by, None, "lost without a code").unwrap();
        one.closed(ms(3), Party::Client, Some(1001), "").unwrap();
        one.client(4, TEXT, true, b"b");
        one.origin(5, TEXT, true, b"c");
        one.end_whole();
        let Exchange { request, response, .. } = bench.exchange();
        assert_eq!(messages(&request.body).len(), of_client, "{by:?}");
        assert_eq!(messages(&response.body).len(), of_origin, "{by:?}");
        let close = Close { at: ms(2), by, code: None, reason: String::new() };
        assert_eq!(response.close, Some(close));
        assert_eq!(request.is_whole, by == Party::Client);
        let end_after = if request.is_whole { After::End } else { After::Messages(1) };
        assert_eq!(response.end_after, end_after, "how far it had come when it was closed");
    }
}

#[test]
fn a_reason_is_cut_to_what_a_close_frame_holds() {
    let bench = bench();
    let mut one = bench.begin("");
    one.closed(ms(2), Party::Origin, Some(999), &"ä".repeat(100)).unwrap();
    one.end_whole();
    let close = bench.exchange().response.close.unwrap();
    assert_eq!((close.code, close.reason), (Some(999), "ä".repeat(61)));
}

#[test]
fn a_conversation_that_nobody_closed_says_how_its_connection_was_lost() {
    for end in [End::CutByOrigin, End::LeftByClient, End::ResetByOrigin(ResetCode::CANCEL)] {
        let bench = bench();
        let mut one = bench.begin("");
        one.client(1, TEXT, true, b"a");
        one.origin(2, TEXT, true, b"b");
        one.origin(3, TEXT, false, b"half of a mess");
        one.client(3, TEXT, false, b"and of an");
        one.end(end, &Fields::new()).unwrap();
        one.flush().unwrap();
        let Exchange { request, response, .. } = bench.exchange();
        assert_eq!((messages(&request.body).len(), messages(&response.body).len()), (1, 1));
        assert_eq!((response.end, response.close), (end, None));
        assert_eq!((request.is_whole, response.end_after), (false, After::Messages(1)));
    }
}

#[test]
fn a_conversation_without_a_word_has_no_bodies() {
    let bench = bench();
    bench.begin("").end_whole();
    let exchange = bench.exchange();
    assert!(exchange.is_conversation() && !exchange.request.is_whole);
    assert_eq!((exchange.request.body, exchange.response.body), (Body::Absent, Body::Absent));
}

#[test]
fn an_unkept_message_leaves_what_is_known_of_it() {
    let bench = bench();
    let mut one = bench.begin("");
    let digest = digest_of(b"all of it");
    one.client(1, TEXT, true, b"a");
    one.origin(2, BINARY, false, b"its first bytes");
    one.client(3, TEXT, true, b"b");
    one.unkept(ms(4), Side::Response, Kind::Binary, false, 1 << 40, digest).unwrap();
    one.unkept(ms(5), Side::Request, Kind::Text, true, 7, digest).unwrap();
    one.origin(6, TEXT, true, b"c");
    one.end_whole();
    let Exchange { request, response, .. } = bench.exchange();
    let omitted = |at, after, kind, compression, len| {
        let payload = Payload::Omitted { digest, len };
        Message { at: ms(at), after, kind, compression, payload }
    };
    let (began, none) = (After::Messages(1), Compression::None);
    let answers = messages(&response.body);
    assert_eq!(answers[0], omitted(4, began, Kind::Binary, none, 1 << 40));
    assert_eq!(answers[1].after, After::Messages(3), "it counts");
    let sent = messages(&request.body);
    assert_eq!(sent[2], omitted(5, After::End, Kind::Text, Compression::On, 7));
}

fn deflated(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::new(15).unwrap().message(text.as_bytes(), &mut out);
    out
}

/// `Hello`, said with reference to one before (RFC 7692 section 7.2.3.2).
const AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

#[test]
fn compressed_messages_are_inflated_as_far_as_they_can_be() {
    let bench = bench();
    let mut one = bench.begin("permessage-deflate; client_no_context_takeover");
    let hello = deflated("Hello");
    for half in [&hello[..2], &hello[2..]] {
        one.origin(2, COMPRESSED.filter(|_| half.len() == 2), half.len() != 2, half);
    }
    one.client(2, COMPRESSED, true, &hello);
    one.origin(3, TEXT, true, b"plain");
    one.origin(4, COMPRESSED, true, &AGAIN);
    one.client(5, COMPRESSED, true, b"\x7f");
    one.origin(5, COMPRESSED, true, b"\x7f");
    one.client(6, COMPRESSED, true, &hello);
    one.origin(6, COMPRESSED, true, b"\x00");
    one.end_whole();
    let Exchange { request, response, .. } = bench.exchange();
    let (on, off) = (Compression::On, Compression::Off);
    let all = |all: &[(Compression, &str)]| {
        all.iter().map(|(compression, text)| (*compression, text.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(texts(&request.body), all(&[(off, "Hello"), (on, "\x7f"), (off, "Hello")]));
    assert_eq!(
        texts(&response.body),
        all(&[
            (off, "Hello"),
            (Compression::None, "plain"),
            (off, "Hello"),
            (on, "\x7f"),
            (on, "\0")
        ]),
        "what follows may refer to what is damaged"
    );
}

#[test]
fn what_is_compressed_by_nobody_s_leave_stays_as_it_is() {
    for granted in ["", "permessage-deflate, x-other", "permessage-deflate; level=9"] {
        let bench = bench();
        let mut one = bench.begin(granted);
        one.client(2, COMPRESSED, true, &AGAIN);
        one.end_whole();
        let exchange = bench.exchange();
        let message = &messages(&exchange.request.body)[0];
        assert_eq!(message.compression, Compression::On, "{granted}");
        assert_eq!(message.payload, Payload::Bytes(AGAIN.to_vec().into()));
    }
}

#[test]
fn nothing_of_a_message_waits_for_its_end_however_large_it_is() {
    let bench = bench();
    let mut one = bench.begin("");
    let large: Vec<u8> = (0..8 << 20).map(|n: u32| (n * 31 + n / 255) as u8).collect();
    let mut parts = large.chunks(60_000).peekable();
    one.client(1, BINARY, false, b"");
    while let Some(part) = parts.next() {
        one.client(2, None, parts.peek().is_none(), part);
    }
    one.flush().unwrap();
    one.origin(3, TEXT, true, b"thanks");
    one.end(End::Whole, &Fields::new()).unwrap();
    one.flush().unwrap();
    let buffer = one.take_buffer();
    assert!(buffer.is_empty() && buffer.capacity() < 1 << 20, "{}", buffer.capacity());
    let exchange = bench.exchange();
    assert!(told(&exchange.request.body)[0].4 == large);
}

/// What happens in a conversation.
#[derive(Clone, Debug)]
enum Step {
    Client(Kind, Vec<u8>),
    Origin(Kind, Vec<u8>),
    Closes(Party),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let said = || {
        let kind = prop_oneof![Just(Kind::Text), Just(Kind::Binary)];
        (kind, prop::collection::vec(any::<u8>(), 0..300))
    };
    let party = prop_oneof![Just(Party::Client), Just(Party::Origin), Just(Party::Ouli)];
    let step = prop_oneof![
        5 => said().prop_map(|(kind, bytes)| Step::Client(kind, bytes)),
        5 => said().prop_map(|(kind, bytes)| Step::Origin(kind, bytes)),
        1 => party.prop_map(Step::Closes),
    ];
    prop::collection::vec(step, 0..16)
}

/// Says a message in parts of this size, which may be larger than it; an odd one has an empty part
/// behind it that ends it.
fn say(one: &mut Recording, at: u64, by: Side, (kind, bytes): (Kind, &[u8]), size: usize) {
    let mut begins = Some((kind, false));
    let mut parts: Vec<&[u8]> = bytes.chunks(size).collect();
    if bytes.is_empty() || bytes.len() % 2 == 1 {
        parts.push(b"");
    }
    for (n, part) in parts.iter().enumerate() {
        let ends = n + 1 == parts.len();
        match by {
            Side::Request => one.client(at, begins.take(), ends, part),
            Side::Response => one.origin(at, begins.take(), ends, part),
        }
        if n % 3 == 1 {
            one.flush().unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However messages came apart, a conversation reads back as it went; and killed anywhere it
    /// reads as its beginning.
    #[test]
    fn a_conversation_reads_back_as_it_went(
        steps in steps(),
        size in 1usize..400,
        stop in 0usize..24,
    ) {
        let bench = bench();
        let mut one = bench.begin("permessage-deflate");
        let (mut client, mut origin, mut closed) = (Vec::new(), Vec::new(), None);
        let mut closed_after = After::Messages(0);
        for (at, step) in (0..).zip(steps.iter().take(stop)) {
            let so_far = match closed {
                Some(Party::Client) => After::End,
                _ => After::Messages(client.len() as u32),
            };
            match step {
                Step::Client(kind, bytes) => {
                    say(&mut one, at, Side::Request, (*kind, bytes), size);
                    if closed != Some(Party::Client) {
                        client.push((at, After::End, *kind, Compression::None, bytes.clone()));
                    }
                }
                Step::Origin(kind, bytes) => {
                    say(&mut one, at, Side::Response, (*kind, bytes), size);
                    if closed != Some(Party::Origin) {
                        origin.push((at, so_far, *kind, Compression::None, bytes.clone()));
                    }
                }
                Step::Closes(by) => {
                    one.closed(ms(at), *by, Some(1000), "").unwrap();
                    if closed.is_none() {
                        closed = Some(*by);
                        closed_after = if *by == Party::Client { After::End } else { so_far };
                    }
                }
            }
            one.flush().unwrap();
        }
        // A message that is cut short by the kill.
        one.origin(99, BINARY, false, b"half");
        one.flush().unwrap();
        let is_killed = stop < steps.len();
        match is_killed {
            true => drop(one),
            false => one.end_whole(),
        }
        let Exchange { request, response, .. } = bench.exchange();
        let end_after = closed.map_or(After::Messages(client.len() as u32), |_| closed_after);
        prop_assert_eq!(told(&request.body), client);
        prop_assert_eq!(told(&response.body), origin);
        prop_assert_eq!(response.close.map(|close| close.by), closed);
        prop_assert_eq!(request.is_whole, closed == Some(Party::Client));
        prop_assert_eq!(response.end_after, end_after);
        let end = if is_killed { End::RecorderKilled } else { End::Whole };
        prop_assert_eq!(response.end, end);
    }
}
