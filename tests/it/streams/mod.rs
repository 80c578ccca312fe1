//! Streams: answers that come in pieces and uploads that go in pieces, from origins that fail and for
//! clients that other people wrote, the same recorded and replayed.

mod boundaries;
mod frame_boundaries;

use crate::support::*;

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

/// What this client sees. `ouli-fault` says that there was no answer to see.
#[track_caller]
fn seen(client: &mut Client, ask: &Ask) -> Seen {
    let Ok(answer) = client.try_ask(ask) else { return Seen::Nothing };
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
