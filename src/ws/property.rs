//! The laws of compression, its negotiation, and of what a replay makes of a client's bytes: as
//! functions that panic where one doesn't hold, for property tests and fuzzing. Not part of the
//! product.

use super::close::Said;
use super::deflate::{Agreement, Deflater, Fault, Granted, Inflater, Terms};
use super::extensions::{self, Extension};
use super::receiver::{Event, Limits, Receiver};
use super::violation::Violation;
use crate::exchange::{Fields, Kind};

/// Small, so that inputs of a fuzzer's size reach it.
const BYTES_MAX: u64 = 5000;

/// Pieces of `bytes` that are `len` long; 0 is all of it.
fn pieces(bytes: &[u8], len: u8) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(if len == 0 { bytes.len().max(1) } else { len.into() })
}

/// What was handed out of a message, and how it ended.
type Inflated = (Vec<u8>, Result<(), Fault>);

fn inflate<'a>(inflater: &mut Inflater, pieces: impl Iterator<Item = &'a [u8]>) -> Inflated {
    let mut plain = Vec::new();
    let mut sink = |bytes: &[u8]| {
        assert!(!bytes.is_empty());
        plain.extend_from_slice(bytes);
    };
    let mut pieces = pieces;
    let pushed = pieces.try_for_each(|piece| inflater.push(piece, &mut sink));
    let ended = pushed.and_then(|()| inflater.finish());
    (plain, ended)
}

/// Anything inflates the same however it is cut, to no more than it may, twice over. The first
/// byte is takeover and window, the second the length of the cuts, the third where the second
/// message begins.
///
/// # Panics
/// When that doesn't hold.
pub fn inflating(data: &[u8]) {
    let [terms, len, half, bytes @ ..] = data else { return };
    let takeover = terms & 1 == 1;
    let fresh = || Inflater::new(takeover, 8 + (terms >> 1 & 7), BYTES_MAX);
    let (mut whole, mut cut) = (fresh(), fresh());
    let (first, second) = bytes.split_at(bytes.len().min(usize::from(*half) * 4));
    let mut is_lost = false;
    for message in [first, second] {
        let at_once = inflate(&mut whole, pieces(message, 0));
        assert_eq!(at_once, inflate(&mut cut, pieces(message, *len)), "cut into pieces of {len}");
        let (plain, ended) = at_once;
        assert!(plain.len() as u64 <= BYTES_MAX);
        assert_eq!(ended == Err(Fault::Lost), is_lost);
        is_lost = takeover && ended.is_err();
    }
}

/// What is deflated inflates to the same, message after message, and comes out of a deflater that
/// was used before as out of a new one. The first byte is takeover and window, the second the
/// length of the cuts, the third that of the messages.
///
/// # Panics
/// When that doesn't hold.
pub fn deflating(data: &[u8]) {
    let [terms, len, message_len, bytes @ ..] = data else { return };
    let bits = 9 + (terms >> 1) % 7;
    let fresh = || Deflater::new(bits).expect("a window that the library can do");
    let mut deflater = fresh();
    let mut inflater = Inflater::new(terms & 1 == 1, bits, bytes.len() as u64);
    for message in pieces(bytes, *message_len) {
        let (mut at_once, mut used, mut in_pieces) = (Vec::new(), Vec::new(), Vec::new());
        fresh().message(message, &mut at_once);
        deflater.message(message, &mut used);
        assert_eq!(at_once, used);
        pieces(message, *len).for_each(|piece| deflater.push(piece, &mut in_pieces));
        deflater.finish(&mut in_pieces);
        for deflated in [at_once, in_pieces] {
            let (plain, ended) = inflate(&mut inflater, pieces(&deflated, *len));
            assert_eq!((&plain[..], ended), (message, Ok(())));
        }
    }
}

/// An agreement reads back as itself, and answers one of the offers by the rules of RFC 7692
/// section 7.1. Four bytes are the terms that were recorded, each line of the others a field.
///
/// # Panics
/// When that doesn't hold.
pub fn negotiating(data: &[u8]) {
    let [server_takeover, client_takeover, server_bits, client_bits, text @ ..] = data else {
        return;
    };
    let fields: Fields = text
        .split(|&byte| byte == b'\n')
        .map(|line| (super::handshake::EXTENSIONS, line))
        .collect();
    let recorded = Terms {
        server_takeover: server_takeover & 1 == 1,
        client_takeover: client_takeover & 1 == 1,
        server_bits: 8 + server_bits % 8,
        client_bits: 8 + client_bits % 8,
    };
    let Some(Agreement { terms, value }) = recorded.offered_by(&fields) else { return };
    let answer = Fields::from_iter([(super::handshake::EXTENSIONS, &value)]);
    assert_eq!(Terms::granted(&answer), Granted::Deflate(terms), "{value}");
    let offers = extensions::listed(&fields).expect("a list of which one is granted");
    let answer = extensions::listed(&answer).expect("a list of one");
    let [answer] = &answer[..] else { panic!("{answer:?}") };
    assert!(offers.iter().any(|offer| is_answer(answer, offer)), "{value} to {offers:?}");
    assert_eq!(terms.offered_by(&fields), Some(Agreement { terms, value }), "it is settled");
}

fn is_answer(answer: &Extension<'_>, offer: &Extension<'_>) -> bool {
    let find = |extension: &Extension<'_>, name: &str| {
        let mut all = extension.parameters.iter();
        let found = all.find(|one| one.name.eq_ignore_ascii_case(name.as_bytes()))?;
        let digits = found.value.clone().unwrap_or_default();
        Some(String::from_utf8(digits).expect("a token").parse::<u8>().ok())
    };
    let both = |name| (find(offer, name), find(answer, name));
    let takeover = match both("server_no_context_takeover") {
        (Some(_), said) => said.is_some(),
        (None, _) => true,
    };
    let server_bits = match both("server_max_window_bits") {
        (Some(most), said) => said.is_some_and(|bits| bits <= most),
        (None, _) => true,
    };
    let client_bits = match both("client_max_window_bits") {
        (None, said) => said.is_none(),
        (Some(Some(most)), Some(Some(bits))) => bits <= most,
        (Some(_), said) => said != Some(None),
    };
    offer.name.eq_ignore_ascii_case(answer.name) && takeover && server_bits && client_bits
}

/// What a receiver hears, the pieces of a message put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Began(Kind, bool),
    Data(Vec<u8>),
    Ended,
    Ping(Vec<u8>),
    Pong,
    Closed(Said),
    Violated(Violation),
}

/// What is heard in `input` where it comes in pieces of `len`. What comes of a message right before
/// a violation is left out: how much it is depends on the pieces.
///
/// # Panics
/// Where a receiver doesn't keep the order of its events.
pub fn hear(mut receiver: Receiver, input: &[u8], len: u8) -> Vec<Heard> {
    let mut heard = Vec::new();
    for piece in pieces(input, len) {
        let (mut piece, mut at) = (piece.to_vec(), 0);
        while let Some(event) = receiver.next(&mut piece, &mut at) {
            note(&mut heard, event);
        }
        assert_eq!(at, piece.len(), "all of it was taken");
    }
    let is_last = |event: &Heard| matches!(event, Heard::Closed(_) | Heard::Violated(_));
    let last = heard.iter().position(is_last);
    assert!(last.is_none_or(|last| last + 1 == heard.len()), "{heard:?}");
    heard
}

fn note(heard: &mut Vec<Heard>, event: Event<'_>) {
    let noted = match event {
        Event::Began { kind, is_compressed } => Heard::Began(kind, is_compressed),
        Event::Data(bytes) => {
            assert!(!bytes.is_empty());
            if let Some(Heard::Data(sum)) = heard.last_mut() {
                return sum.extend_from_slice(bytes);
            }
            Heard::Data(bytes.to_vec())
        }
        Event::Ended => Heard::Ended,
        Event::Ping(payload) => Heard::Ping(payload.to_vec()),
        Event::Pong => Heard::Pong,
        Event::Closed(said) => Heard::Closed(said),
        Event::Violated(violation) => {
            heard.pop_if(|last| matches!(last, Heard::Data(_)));
            Heard::Violated(violation)
        }
    };
    heard.push(noted);
}

/// Small, so that inputs of a fuzzer's size reach them.
const LIMITS: Limits =
    Limits { message_bytes_max: BYTES_MAX, fragments_max: 8, idle_frames_max: 8 };

/// A client's bytes mean the same however they are cut, and its messages keep the rules: no more
/// than a message may have, UTF-8 in a text, one after the other. The first byte says what was
/// agreed on, the second is the length of the cuts.
///
/// # Panics
/// When that doesn't hold.
pub fn receiving(data: &[u8]) {
    let [terms, len, bytes @ ..] = data else { return };
    let agreed = Terms { client_takeover: terms & 2 == 0, ..Terms::default() };
    let receiver = || Receiver::new(LIMITS, (terms & 1 == 1).then_some(agreed));
    let whole = hear(receiver(), bytes, 0);
    assert_eq!(whole, hear(receiver(), bytes, *len), "cut into pieces of {len}");
    let mut open: Option<(Kind, Vec<u8>)> = None;
    for heard in whole {
        match heard {
            Heard::Began(kind, is_compressed) => {
                assert!(!is_compressed || terms & 1 == 1);
                assert!(open.replace((kind, Vec::new())).is_none());
            }
            Heard::Data(bytes) => {
                open.as_mut().expect("a message that began").1.extend_from_slice(&bytes);
            }
            Heard::Ended => {
                let (kind, bytes) = open.take().expect("a message that began");
                assert!(bytes.len() as u64 <= BYTES_MAX);
                assert!(kind == Kind::Binary || std::str::from_utf8(&bytes).is_ok());
            }
            Heard::Ping(payload) => assert!(payload.len() <= 125),
            Heard::Pong | Heard::Closed(_) | Heard::Violated(_) => {}
        }
    }
}
