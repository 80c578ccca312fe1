//! Coded streams: a client that decodes as bytes come sees each event when it is due, on both roads.

use std::time::{Duration, Instant};

use super::{BOTH, event_stream, pieces, step_by_step};
use crate::support::*;

const EVENTS: [&str; 4] = [
    "data: the first of them\n\n",
    "data: the second of them\n\n",
    "data: the third of them\n\n",
    "data: [DONE]\n\n",
];

/// Between two events. An event that came only with the next one would be late by this.
const GAP: Duration = Duration::from_millis(200);

/// Reads until so many events are decoded, of which there may be no more yet.
#[track_caller]
fn decode(reader: &mut Reader, coding: &str, count: usize) {
    let expected = EVENTS[..count].concat();
    let came = reader.until(|body| decoded_so_far(coding, body).len() >= expected.len());
    assert_eq!(String::from_utf8(decoded_so_far(coding, came)).unwrap(), expected, "{coding}");
}

#[track_caller]
fn each_event_comes_when_it_is_due(coding: &'static str, protocol: Protocol) {
    let parts = coded_parts(coding, &EVENTS);
    let (origin, gate) =
        step_by_step(protocol, event_stream().header("content-encoding", coding), parts);
    let recorder = Ouli::record(&origin).start();
    let mut reader = Reader::ask(&recorder.client_over(protocol), &Ask::get("/"));
    assert_eq!(reader.head().1.get("content-encoding"), Some(coding));
    for count in 1..=EVENTS.len() {
        gate.open();
        decode(&mut reader, coding, count);
        std::thread::sleep(GAP); // what is recorded
    }
    gate.open_for_all();
    let (body, ending) = reader.read_to_end();
    assert_eq!(String::from_utf8(decoded(coding, &body)).unwrap(), EVENTS.concat());
    assert_eq!(ending, Ending::Whole);
    recorder.terminate().expect_code(0);
    origin.stop();

    let texts: Vec<_> = pieces(&recorder.recordings()).iter().map(text_of).collect();
    assert_eq!(texts[..EVENTS.len()], EVENTS, "{coding}");
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    let ask = Ask::get("/").header("ouli-pace", "recorded");
    let mut reader = Reader::ask(&replay.client_over(protocol), &ask);
    reader.head();
    let begun = Instant::now();
    for count in 1..=EVENTS.len() {
        decode(&mut reader, coding, count);
        let due = GAP * (count as u32 - 1);
        assert!(begun.elapsed() + GAP / 4 > due, "{coding}: event {count} came too early");
    }
    let (body, ending) = reader.read_to_end();
    assert_eq!(String::from_utf8(decoded(coding, &body)).unwrap(), EVENTS.concat());
    assert_eq!(ending, Ending::Whole);
    replay.terminate().expect_code(0);
}

#[track_caller]
fn for_both_versions(coding: &'static str) {
    for protocol in BOTH {
        each_event_comes_when_it_is_due(coding, protocol);
    }
}

fn text_of(piece: &serde_json::Value) -> String {
    let lines = piece["text"].as_array().map_or(&[][..], Vec::as_slice);
    lines.iter().filter_map(|line| line.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_event_of_a_gzip_stream_decodes_when_it_is_due() {
    for_both_versions("gzip");
}

#[test]
fn each_event_of_a_deflate_stream_decodes_when_it_is_due() {
    for_both_versions("deflate");
}

#[test]
fn each_event_of_a_brotli_stream_decodes_when_it_is_due() {
    for_both_versions("br");
}

#[test]
fn each_event_of_a_zstd_stream_decodes_when_it_is_due() {
    for_both_versions("zstd");
}

/// What was cut is kept coded, so that it is cut at the same byte again.
#[test]
fn a_coded_stream_that_its_origin_cuts_is_cut_at_the_same_coded_byte() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let whole = coded_parts(coding, &EVENTS).concat();
        for len in [0, 1, whole.len() / 2, whole.len()] {
            let came = whole[..len].to_vec();
            let head = event_stream().header("content-encoding", coding);
            let cut = head.chunked((len > 0).then(|| came.clone())).cut(2);
            let origin = Origin::http1().route("/", move |_| cut.clone());
            on_both_roads(&origin, |client| {
                for over in BOTH {
                    let mut client = Client::new(client.address()).over(over);
                    let answer = client.try_ask(&Ask::get("/")).unwrap();
                    assert!(!answer.is_whole(), "{coding}, {over}: {answer:?}");
                    assert!(answer.body == came, "{coding}, {over}: {answer:?}");
                }
            });
        }
    }
}
