//! Streams: answers that come in pieces and uploads that go in pieces, from origins that fail and for
//! clients that other people wrote, the same recorded and replayed.

mod boundaries;
mod browser;
mod codings;
mod curl;
mod events;
mod frame_boundaries;
mod python;
mod uploads;

use crate::support::*;

/// What clients speak.
const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::H2c];

/// What is seen of an answer: its head and body as far as they came, and whether that was all.
#[derive(Debug, PartialEq)]
enum Seen {
    /// No head came, or Ouli said so instead.
    Nothing,
    Answer {
        status: u16,
        kept: Vec<String>,
        body: String,
        trailers: String,
        is_whole: bool,
    },
}

/// What this client sees, which takes trailers. `ouli-fault` says that there was no answer to see.
#[track_caller]
fn seen(client: &mut Client, ask: &Ask) -> Seen {
    let ask = ask.clone().header("te", "trailers");
    let ask = match client.protocol().is_h2() {
        true => ask,
        false => ask.header("connection", "te"),
    };
    let Ok(answer) = client.try_ask(&ask) else { return Seen::Nothing };
    if let Some(fault) = answer.fault() {
        assert_eq!((answer.status, fault), (502, "origin-broke-off"), "{answer:?}");
        return Seen::Nothing;
    }
    Seen::Answer {
        status: answer.status,
        kept: answer.headers.all("x-kept").into_iter().map(str::to_owned).collect(),
        body: answer.body.escape_ascii().to_string(),
        trailers: format!("{:?}", answer.trailers),
        is_whole: answer.is_whole(),
    }
}

/// An origin, and a gate: each time it opens, the next part of the answer is sent, its end the last.
#[track_caller]
fn step_by_step(protocol: Protocol, head: Reply, parts: Vec<Vec<u8>>) -> (Origin, Gate) {
    let gate = Gate::new();
    let origin = match protocol.is_h2() {
        true => Origin::of(protocol).h2_script("/", h2_steps(head, parts, gate.clone())),
        false => Origin::of(protocol).script("/", h1_steps(head, parts, gate.clone())),
    };
    (origin, gate)
}

fn h1_steps(head: Reply, parts: Vec<Vec<u8>>, gate: Gate) -> impl Fn(&mut Talk<'_>) {
    move |talk| {
        let whole = head.to_bytes("GET");
        let start = head.to_bytes("HEAD").len();
        talk.send(&whole[..start]);
        for part in &parts {
            gate.pass();
            talk.send(chunk(part));
        }
        gate.pass();
        talk.send(&whole[start..]);
    }
}

fn h2_steps(head: Reply, parts: Vec<Vec<u8>>, gate: Gate) -> impl Fn(&mut H2Talk) {
    move |talk| {
        talk.begin(head.clone());
        for part in &parts {
            gate.pass();
            talk.send(part.clone());
        }
        gate.pass();
        let (_, trailers) = head.parts();
        let trailers = trailers.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        match trailers.collect::<Vec<_>>() {
            none if none.is_empty() => talk.finish(),
            trailers => talk.trailers(&trailers),
        }
    }
}

/// A part of a body, as it goes over HTTP/1.1.
fn chunk(part: impl AsRef<[u8]>) -> Vec<u8> {
    let part = part.as_ref();
    [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()
}

/// The head of an event stream.
fn event_stream() -> Reply {
    Reply::events::<&str>([])
}

/// Reads a part, and then lets the next one go, to the end.
#[track_caller]
fn read_in_step(client: &Client, gate: &Gate, parts: &[Vec<u8>]) -> (Vec<u8>, Ending) {
    let mut reader = Reader::ask(client, &Ask::get("/"));
    assert_eq!(reader.head().0, 200);
    for part in parts {
        gate.open();
        reader.expect(part);
    }
    gate.open();
    reader.read_to_end()
}

/// The pieces of the first answer in the default session.
#[track_caller]
fn pieces(recordings: &Recordings) -> Vec<serde_json::Value> {
    let cassette = recordings.cassette("default");
    let pieces = &cassette["exchanges"][0]["response"]["body"]["stream"];
    pieces.as_array().cloned().unwrap_or_else(|| panic!("no stream in {cassette:#}"))
}
