//! Laws of the tape's format and of its reading, and the locks.

use std::borrow::Cow;
use std::time::Duration;

use proptest::prelude::*;

use super::format::{Frame, Header, Split, encode, encode_masked, split};
use super::lock::{ClaimError, RunLock, SessionHeld, is_alive};
use super::*;
use crate::cassette::EndpointNote;
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::*;
use crate::ws::frame::Mask;

fn fields() -> impl Strategy<Value = Fields> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
    proptest::collection::vec((bytes(), bytes()), 0..6).prop_map(Fields::from_iter)
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::Http10), Just(Version::Http11), Just(Version::Http2)]
}

fn request_head() -> impl Strategy<Value = RequestHead> {
    (".{0,8}", ".{0,30}", version(), fields()).prop_map(|(method, target, version, fields)| {
        RequestHead { method, target, version, fields }
    })
}

fn response_head() -> impl Strategy<Value = ResponseHead> {
    let reason = proptest::collection::vec(any::<u8>(), 0..9);
    (version(), 100..1000u16, reason, fields()).prop_map(|(version, status, reason, fields)| {
        ResponseHead { version, status, reason, fields }
    })
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Request), Just(Side::Response)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Whole),
        Just(End::CutByOrigin),
        Just(End::LeftByClient),
        Just(End::RecorderKilled)
    ]
}

fn header() -> impl Strategy<Value = Header> {
    let endpoint = (".{1,9}", any::<std::net::SocketAddr>(), 0..2u8, 0..3u8, "[a-z.]{1,9}");
    let endpoint =
        (endpoint, any::<u16>()).prop_map(|((name, listen, source, scheme, host), port)| {
            EndpointNote {
                name,
                // What a listener has: no flow, no scope.
                listen: std::net::SocketAddr::new(listen.ip(), listen.port()),
                source_type: if source == 0 { SourceType::Http } else { SourceType::Https },
                origin: Target {
                    scheme: [Scheme::Http, Scheme::Https, Scheme::H2c][usize::from(scheme)],
                    host,
                    port,
                },
            }
        });
    ("[A-Za-z0-9-]{1,30}", any::<u64>(), proptest::collection::vec(endpoint, 0..4))
        .prop_map(|(run, started_at_ms, endpoints)| Header { run, started_at_ms, endpoints })
}

fn message_kind() -> impl Strategy<Value = (Kind, bool)> {
    (prop_oneof![Just(Kind::Text), Just(Kind::Binary)], any::<bool>())
}

fn part() -> impl Strategy<Value = Part> {
    (prop::option::of(message_kind()), any::<bool>())
        .prop_map(|(begins, ends)| Part { begins, ends })
}

fn party() -> impl Strategy<Value = Party> {
    prop_oneof![Just(Party::Client), Just(Party::Origin), Just(Party::Ouli)]
}

/// A frame that borrows nothing.
#[derive(Clone, Debug)]
enum Sample {
    Frame(Frame<'static>),
    Opened(String, String, u64, RequestHead),
    RequestData(Duration, Vec<u8>),
    Data(Duration, Vec<u8>),
    Said(Duration, Side, Part, Vec<u8>),
    Closed(Duration, Party, Option<u16>, String),
}

impl Sample {
    fn frame(&self) -> Frame<'_> {
        match self {
            Sample::Frame(frame) => frame.clone(),
            Sample::Opened(session, endpoint, recorded_at_ms, head) => Frame::Opened {
                session,
                endpoint,
                recorded_at_ms: *recorded_at_ms,
                head: Cow::Borrowed(head),
            },
            Sample::RequestData(at, bytes) => Frame::RequestData { at: *at, bytes },
            Sample::Data(at, bytes) => Frame::Data { at: *at, bytes },
            Sample::Said(at, side, part, bytes) => {
                Frame::Said { at: *at, side: *side, part: *part, bytes }
            }
            Sample::Closed(at, by, code, reason) => {
                Frame::Closed { at: *at, by: *by, code: *code, reason }
            }
        }
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    let at = || any::<u64>().prop_map(Duration::from_nanos);
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    let note = || (side(), any::<u64>(), any::<[u8; 32]>().prop_map(Digest));
    let frames = prop_oneof![
        header().prop_map(|header| Frame::Tape(Cow::Owned(header))),
        (at(), any::<u64>()).prop_map(|(at, len)| Frame::RequestSpan { at, len }),
        fields().prop_map(|trailers| Frame::RequestEnded { trailers: Cow::Owned(trailers) }),
        (at(), response_head())
            .prop_map(|(at, head)| Frame::Interim { at, head: Cow::Owned(head) }),
        (at(), response_head())
            .prop_map(|(at, head)| Frame::Answered { at, head: Cow::Owned(head) }),
        (at(), any::<u64>()).prop_map(|(at, len)| Frame::Span { at, len }),
        (end(), fields())
            .prop_map(|(end, trailers)| Frame::Ended { end, trailers: Cow::Owned(trailers) }),
        side().prop_map(Frame::BodyFile),
        side().prop_map(Frame::Overflowed),
        note().prop_map(|(side, len, digest)| Frame::BodyDigest { side, len, digest }),
        note().prop_map(|(side, len, digest)| Frame::Omitted { side, len, digest }),
        Just(Frame::Abandoned),
        (at(), note(), message_kind()).prop_map(|(at, (side, len, digest), (kind, compressed))| {
            Frame::Unkept { at, side, kind, compressed, len, digest }
        }),
    ];
    prop_oneof![
        4 => frames.prop_map(Sample::Frame),
        1 => (".{0,20}", ".{0,9}", any::<u64>(), request_head())
            .prop_map(|(session, endpoint, ms, head)| Sample::Opened(session, endpoint, ms, head)),
        1 => (at(), bytes()).prop_map(|(at, bytes)| Sample::RequestData(at, bytes)),
        1 => (at(), bytes()).prop_map(|(at, bytes)| Sample::Data(at, bytes)),
        2 => (at(), side(), part(), bytes())
            .prop_map(|(at, side, part, bytes)| Sample::Said(at, side, part, bytes)),
        1 => (at(), party(), any::<Option<u16>>(), ".{0,200}")
            .prop_map(|(at, by, code, reason)| Sample::Closed(at, by, code, reason)),
    ]
}

proptest! {
    #[test]
    fn every_frame_is_decoded_to_what_was_encoded(sample in sample(), seq: u64, rest: Vec<u8>) {
        let mut bytes = Vec::new();
        encode(&mut bytes, Seq(seq), &sample.frame());
        let len = bytes.len();
        bytes.extend_from_slice(&rest);
        let Split::Frame { raw, size } = split(&bytes) else { panic!("no frame") };
        prop_assert_eq!(size, len);
        prop_assert_eq!(raw.seq, Seq(seq));
        prop_assert_eq!(raw.decode(), Ok(sample.frame()));
    }

    #[test]
    fn a_frame_that_isn_t_whole_is_no_frame(sample in sample(), cut: prop::sample::Index) {
        let mut bytes = Vec::new();
        encode(&mut bytes, Seq(1), &sample.frame());
        bytes.truncate(cut.index(bytes.len()));
        let is_short = matches!(split(&bytes), Split::Short { .. });
        prop_assert!(is_short);
    }

    #[test]
    fn a_masked_part_is_on_the_tape_as_it_was_before_its_mask(
        part in part(),
        plain: Vec<u8>,
        key: [u8; 4],
    ) {
        let frame = |bytes| Frame::Said { at: Duration::ZERO, side: Side::Request, part, bytes };
        let mut masked = plain.clone();
        Mask::new(key).apply(&mut masked);
        let (mut expected, mut found) = (b"before".to_vec(), b"before".to_vec());
        encode(&mut expected, Seq(1), &frame(&plain));
        encode_masked(&mut found, Seq(1), &frame(&masked), Mask::new(key));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_tape_of_any_bytes_is_read_without_harm(bytes: Vec<u8>) {
        property::reading(&bytes);
        property::reading_frames(&bytes);
    }

    /// Frames that are whole but stand in any order, and payloads of another kind.
    #[test]
    fn a_tape_of_any_frames_is_read_without_harm(
        samples in proptest::collection::vec((sample(), 0..4u64), 0..20),
    ) {
        let mut bytes = tape(&[(1, opened("a")), (1, granted())]);
        for (sample, seq) in samples {
            encode(&mut bytes, Seq(seq), &sample.frame());
        }
        property::reading(&bytes);
    }
}

/// A tape with its header and these frames.
fn tape(frames: &[(u64, Frame<'_>)]) -> Vec<u8> {
    let header = Header { run: "run".to_owned(), started_at_ms: 5, endpoints: Vec::new() };
    let mut bytes = Vec::new();
    encode(&mut bytes, Seq(0), &Frame::Tape(Cow::Owned(header)));
    for (seq, frame) in frames {
        encode(&mut bytes, Seq(*seq), frame);
    }
    bytes
}

fn opened(session: &str) -> Frame<'_> {
    let fields = Fields::from_iter([("Host", "h"), ("Accept", "*/*")]);
    let head =
        RequestHead { method: "GET".into(), target: "/a".into(), fields, ..Default::default() };
    Frame::Opened { session, endpoint: "api", recorded_at_ms: 9, head: Cow::Owned(head) }
}

fn called(session: &str) -> Frame<'_> {
    let fields = Fields::from_iter([("content-type", "application/grpc")]);
    let head = RequestHead { target: "/a.B/C".into(), fields, ..Default::default() };
    Frame::Opened { session, endpoint: "api", recorded_at_ms: 9, head: Cow::Owned(head) }
}

fn answered(media: &str) -> Frame<'_> {
    let fields = Fields::from_iter([("content-type", media)]);
    let head = ResponseHead { fields, ..Default::default() };
    Frame::Answered { at: Duration::from_millis(1), head: Cow::Owned(head) }
}

/// A conversation, with compression.
fn granted() -> Frame<'static> {
    let fields = Fields::from_iter([("sec-websocket-extensions", "permessage-deflate")]);
    let head = ResponseHead { status: 101, fields, ..Default::default() };
    Frame::Answered { at: Duration::from_millis(1), head: Cow::Owned(head) }
}

fn said(ms: u64, side: Side, begins: Option<(Kind, bool)>, ends: bool, bytes: &[u8]) -> Frame<'_> {
    Frame::Said { at: Duration::from_millis(ms), side, part: Part { begins, ends }, bytes }
}

fn data(ms: u64, bytes: &[u8]) -> Frame<'_> {
    Frame::Data { at: Duration::from_millis(ms), bytes }
}

fn request_data(ms: u64, bytes: &[u8]) -> Frame<'_> {
    Frame::RequestData { at: Duration::from_millis(ms), bytes }
}

fn ended(end: End) -> Frame<'static> {
    Frame::Ended { end, trailers: Cow::Owned(Fields::from_iter([("x-t", "1")])) }
}

/// Three exchanges that overlap, of each frame kind that an exchange on the tape alone has.
fn busy_tape() -> Vec<u8> {
    tape(&[
        (1, opened("a")),
        (2, opened("b")),
        (2, request_data(0, b"hello")),
        (2, Frame::RequestEnded { trailers: Cow::Owned(Fields::new()) }),
        (1, answered("text/event-stream")),
        (1, data(2, b"data: 1\n\n")),
        (2, Frame::Interim { at: Duration::ZERO, head: Cow::Owned(ResponseHead::default()) }),
        (3, opened("a")),
        (1, data(9, b"data: 2\n\n")),
        (2, answered("text/plain")),
        (2, data(9, b"plain")),
        (2, ended(End::Whole)),
        (4, opened("b")),
        (1, ended(End::LeftByClient)),
        (4, Frame::Abandoned),
        (3, answered("text/plain")),
        (3, data(30, b"cut")),
        (3, ended(End::CutByOrigin)),
        (5, called("c")),
        (5, request_data(1, b"\0\0\0\0\x02hi\0\0")),
        (5, answered("application/grpc")),
        (5, data(2, b"\0\0\0\0\x01a\0\0\0\0\x04")),
        (5, request_data(3, b"\0\0\x01b")),
        (5, data(4, b"abcd\x01\0\0\0\0")),
        (5, ended(End::Whole)),
        (5, request_data(3, b"\0\0\0\0\0")),
        (5, Frame::RequestEnded { trailers: Cow::Owned(Fields::new()) }),
        (6, opened("d")),
        (6, granted()),
        (6, said(2, Side::Response, Some((Kind::Text, true)), false, &HELLO[..3])),
        (6, said(3, Side::Request, Some((Kind::Binary, false)), true, b"\x01")),
        (6, said(4, Side::Response, None, true, &HELLO[3..])),
        (6, said(5, Side::Response, Some((Kind::Text, true)), true, &HELLO_AGAIN)),
        (6, unkept(6)),
        (6, said(7, Side::Response, Some((Kind::Text, false)), true, b"bye")),
        (
            6,
            Frame::Closed {
                at: Duration::from_millis(8),
                by: Party::Client,
                code: Some(1000),
                reason: "enough",
            },
        ),
        (6, said(9, Side::Response, Some((Kind::Binary, false)), true, b"late")),
        (6, Frame::Ended { end: End::Whole, trailers: Cow::Owned(Fields::new()) }),
    ])
}

/// `Hello`, and `Hello` again with reference to it (RFC 7692 sections 7.2.3.1 and 7.2.3.2).
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
const HELLO_AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

fn unkept(ms: u64) -> Frame<'static> {
    Frame::Unkept {
        at: Duration::from_millis(ms),
        side: Side::Request,
        kind: Kind::Text,
        compressed: false,
        len: 1 << 40,
        digest: Digest([7; 32]),
    }
}

fn read(bytes: &[u8]) -> (Vec<(String, Exchange)>, Vec<Torn>) {
    let run = TapeRun::of_bytes(vec![bytes.to_vec()]).unwrap();
    let mut all = Vec::new();
    for session in run.sessions() {
        all.extend(run.exchanges(session).map(|one| (session.to_owned(), one.unwrap())));
    }
    (all, run.torn().to_vec())
}

/// Where each frame begins, and where the last ends.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut at = vec![0];
    let mut rest = bytes;
    while let Split::Frame { size, .. } = split(rest) {
        rest = &rest[size..];
        at.push(bytes.len() - rest.len());
    }
    at
}

fn body_bytes(body: &Body) -> Vec<u8> {
    match body {
        Body::Absent => Vec::new(),
        Body::Whole(bytes) => bytes.to_vec(),
        Body::Pieces(pieces) => pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect(),
        Body::Messages(messages) => messages.iter().flat_map(on_wire).collect(),
        other => panic!("{other:?}"),
    }
}

fn on_wire(message: &Message) -> Vec<u8> {
    match &message.payload {
        Payload::Rest(bytes) => bytes.to_vec(),
        Payload::Omitted { digest, .. } => digest.0.to_vec(),
        Payload::Bytes(bytes) => {
            let (prefix, bytes) =
                crate::grpc::encoding::on_wire(message.compression, bytes, None).unwrap();
            [&prefix[..], &bytes].concat()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exchange_s_frames_are_found_among_those_of_others() {
    let (all, torn) = read(&busy_tape());
    assert_eq!(torn, []);
    let told: Vec<_> = all
        .iter()
        .map(|(session, one)| {
            let bytes = body_bytes(&one.response.body);
            (session.as_str(), String::from_utf8(bytes).unwrap(), one.response.end)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("a", "data: 1\n\ndata: 2\n\n".to_owned(), End::LeftByClient),
            ("a", "cut".to_owned(), End::CutByOrigin),
            ("b", "plain".to_owned(), End::Whole),
            ("c", "\0\0\0\0\x01a\0\0\0\0\x04abcd\x01\0\0\0\0".to_owned(), End::Whole),
            (
                "d",
                "\x01\0\0\0\x05Hello\x01\0\0\0\x05Hello\0\0\0\0\x03bye\0\0\0\0\x04late".to_owned(),
                End::Whole,
            ),
        ]
    );
}

/// Messages but for a rest.
fn whole_messages(response: &Response) -> &[Message] {
    match &response.body {
        Body::Messages(all) => match all.split_last() {
            Some((Message { payload: Payload::Rest(_), .. }, whole)) => whole,
            _ => all,
        },
        _ => &[],
    }
}

#[test]
fn every_truncation_of_a_tape_reads_as_a_prefix() {
    let whole = busy_tape();
    let boundaries = boundaries(&whole);
    let full = read(&whole).0;
    for len in 0..whole.len() {
        let (cut, torn) = read(&whole[..len]);
        let at = *boundaries.iter().rfind(|at| **at <= len).unwrap();
        let lost = (len - at) as u64;
        assert_eq!(
            torn.iter().map(|torn| (torn.at, torn.bytes)).next(),
            match lost {
                0 => None,
                lost => Some((at as u64, lost)),
            }
        );
        for (session, one) in &cut {
            let is_prefix = full.iter().any(|(of, original)| {
                let kept = body_bytes(&one.response.body);
                of == session
                    && original.request.head == one.request.head
                    && original.response.head == one.response.head
                    && body_bytes(&original.response.body).starts_with(&kept)
                    && body_bytes(&original.request.body)
                        .starts_with(&body_bytes(&one.request.body))
                    && whole_messages(&original.response).starts_with(whole_messages(&one.response))
                    && (one.response.close.is_none()
                        || one.response.close == original.response.close)
                    && (one == original
                        || one.response.end == End::RecorderKilled
                        || !one.request.is_whole)
            });
            assert!(is_prefix, "at {len}: {one:?}");
        }
    }
}

#[test]
fn every_flipped_bit_ends_the_tape_before_the_frame_it_is_in() {
    let whole = busy_tape();
    for frame in boundaries(&whole).windows(2) {
        let [at, end] = *frame else { panic!("two") };
        let before = read(&whole[..at]).0;
        for bit in at * 8..end * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (found, torn) = read(&flipped);
            assert_eq!(found, before, "bit {bit}");
            assert_eq!(torn.len(), 1);
            assert_eq!(torn[0].at, at as u64);
        }
    }
}

#[test]
fn the_tapes_of_a_run_are_merged_by_the_order_of_their_requests() {
    let one = [(1, opened("a")), (1, answered("x")), (4, opened("a")), (4, answered("x"))];
    let other = [(3, opened("a")), (2, opened("a")), (2, answered("y")), (3, answered("y"))];
    let run = TapeRun::of_bytes(vec![tape(&one), tape(&other)]).unwrap();
    let types: Vec<_> = run
        .exchanges("a")
        .map(|one| one.unwrap().response.head.fields.get("content-type").unwrap().to_vec())
        .collect();
    assert_eq!(types, [b"x", b"y", b"y", b"x"]);
}

#[test]
fn an_exchange_is_dropped_when_its_client_can_have_seen_nothing() {
    let run = TapeRun::of_bytes(vec![tape(&[(1, opened("a")), (2, opened("a"))])]).unwrap();
    assert_eq!(run.sessions().count(), 0);
    assert_eq!(run.dropped(), 2);
}

#[test]
fn a_tape_of_another_format_is_refused() {
    let mut bytes = tape(&[]);
    // The version stands behind prefix, kind, seq and magic; the checksum is put right again.
    bytes[8 + 9 + 8] = 99;
    let crc = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    let refused = TapeRun::of_bytes(vec![bytes]).err();
    assert!(matches!(refused, Some(ReadError::Version { found: 99, .. })), "{refused:?}");
}

fn run_id(number: u32) -> RunId {
    RunId::new(1_795_225_353_123, 4711, number)
}

fn held(claim: Result<(), ClaimError>) -> Option<SessionHeld> {
    match claim {
        Ok(()) => None,
        Err(ClaimError::Held(held)) => Some(held),
        Err(ClaimError::Io(error)) => panic!("{error}"),
    }
}

#[test]
fn a_session_belongs_to_the_first_live_run_that_claims_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = RunLock::create(dir.path(), &run_id(1), 11, 0).unwrap();
    let mut second = RunLock::create(dir.path(), &run_id(2), 22, 0).unwrap();
    assert_eq!(held(first.claim("a/b")), None);
    assert_eq!(held(first.claim("a/b")), None);
    assert_eq!(held(second.claim("other")), None);
    let holder = SessionHeld { session: "a/b".into(), pid: 11, run: run_id(1).to_string() };
    assert_eq!(held(second.claim("a/b")), Some(holder));
    drop(first);
    assert_eq!(held(second.claim("a/b")), None);
}

#[test]
fn the_claims_of_a_dead_run_bind_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let dead = dir.path().join(run_id(1).claims());
    let text = format!("{{\"run\":\"{}\",\"pid\":1,\"started_at_ms\":0}}\n\"a\"\n", run_id(1));
    std::fs::write(dead, text).unwrap();
    let mut live = RunLock::create(dir.path(), &run_id(2), 22, 0).unwrap();
    assert_eq!(held(live.claim("a")), None);
}

#[test]
fn only_a_dead_run_is_adopted_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let live = RunLock::create(dir.path(), &run_id(1), 11, 0).unwrap();
    assert!(is_alive(dir.path(), &run_id(1)).unwrap());
    assert!(RunLock::adopt(dir.path(), &run_id(1)).unwrap().is_none());
    drop(live);
    assert!(!is_alive(dir.path(), &run_id(1)).unwrap());
    let adopted = RunLock::adopt(dir.path(), &run_id(1)).unwrap();
    assert!(adopted.is_some());
    assert!(RunLock::adopt(dir.path(), &run_id(1)).unwrap().is_none());
}

#[test]
fn runs_that_claim_at_once_never_share_a_session() {
    let dir = tempfile::tempdir().unwrap();
    let taken: Vec<usize> = std::thread::scope(|scope| {
        let claim = |number: u32| {
            let folder = dir.path();
            move || {
                let mut lock = RunLock::create(folder, &run_id(number), number, 0).unwrap();
                let taken = (0..50).filter(|n| held(lock.claim(&n.to_string())).is_none());
                let taken = taken.collect::<Vec<_>>();
                (lock, taken)
            }
        };
        let threads: Vec<_> = (0..4).map(|number| scope.spawn(claim(number))).collect();
        // All locks live until every thread has tried every session.
        let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        done.into_iter().flat_map(|(_, taken)| taken).collect()
    });
    assert_eq!(taken.len(), 50);
}
