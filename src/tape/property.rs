//! Laws of the reader that hold of any tape: checked by the property tests and by the fuzz targets.
//! Not part of the product.

use std::borrow::Cow;
use std::time::Duration;

use super::TapeRun;
use super::format::{self, Frame, Header};
use crate::exchange::{
    After, Body, Compression, Exchange, Fields, Message, Payload, RequestHead, ResponseHead, Seq,
};
use crate::ws::handshake::EXTENSIONS;

/// Reading a tape neither panics nor takes more memory than the tape has bytes, yields only
/// exchanges with an answer, and says where it stopped.
///
/// # Panics
/// When that doesn't hold.
pub fn reading(bytes: &[u8]) {
    let Ok(run) = TapeRun::of_bytes(vec![bytes.to_vec()]) else { return };
    for torn in run.torn() {
        assert!(torn.at + torn.bytes == bytes.len() as u64, "a torn tail reaches the end");
    }
    for session in run.sessions() {
        for exchange in run.exchanges(session).flatten() {
            let Exchange { request, response, .. } = &exchange;
            for body in [&request.body, &response.body] {
                assert!(len(body) <= bytes.len() as u64, "a body is no longer than its tape");
            }
            let sent = After::Messages(messages(&request.body).len() as u32);
            for answered in messages(&response.body) {
                let waits = answered.after;
                assert!(waits == After::End || waits <= sent, "nothing waits in vain");
            }
        }
    }
}

fn messages(body: &Body) -> &[Message] {
    if let Body::Messages(messages) = body { messages } else { &[] }
}

/// Bytes that were on the tape; a named body's were not.
fn len(body: &Body) -> u64 {
    match body {
        Body::Whole(bytes) => bytes.len() as u64,
        Body::Pieces(pieces) => pieces.iter().map(|piece| piece.bytes.len() as u64).sum(),
        Body::Messages(messages) => messages.iter().map(len_of_message).sum(),
        Body::Absent | Body::File { .. } | Body::Omitted { .. } => 0,
    }
}

/// Deflate makes of a byte 1032 at most.
fn len_of_message(message: &Message) -> u64 {
    match (&message.payload, message.compression) {
        (Payload::Omitted { .. }, _) => 0,
        (payload, Compression::Off) => payload.len() / 1032,
        (payload, _) => payload.len(),
    }
}

/// As `reading`, of a tape whose frames are whole and hold anything: chance never hits a checksum.
/// Of `bytes`, each frame takes a kind, a seq, a length and its payload.
///
/// # Panics
/// When that doesn't hold.
pub fn reading_frames(mut bytes: &[u8]) {
    let mut tape = Vec::new();
    let header = Header { run: "fuzz".to_owned(), started_at_ms: 0, endpoints: Vec::new() };
    format::encode(&mut tape, Seq(0), &Frame::Tape(Cow::Owned(header)));
    for (seq, granted) in [(1, "permessage-deflate"), (2, "")] {
        begin_conversation(&mut tape, Seq(seq), granted);
    }
    while let Some(([kind, seq, len], rest)) = bytes.split_first_chunk() {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        // Few seqs, so that frames meet; kinds beyond the known ones now and then.
        format::encode_any(&mut tape, Seq(u64::from(seq % 4)), kind % 20, payload);
        bytes = rest;
    }
    reading(&tape);
}

/// So that frames of a conversation meet one.
fn begin_conversation(tape: &mut Vec<u8>, seq: Seq, granted: &str) {
    let head = Cow::Owned(RequestHead::default());
    let opened = Frame::Opened { session: "s", endpoint: "e", recorded_at_ms: 0, head };
    let fields = Fields::from_iter([(EXTENSIONS, granted)]);
    let head = ResponseHead { status: 101, fields, ..ResponseHead::default() };
    format::encode(tape, seq, &opened);
    format::encode(tape, seq, &Frame::Answered { at: Duration::ZERO, head: Cow::Owned(head) });
}
