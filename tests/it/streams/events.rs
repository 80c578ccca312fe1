//! Event streams and other answers in pieces: what the cassette shows of them, and their replay.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{BOTH, event_stream, pieces, read_in_step, step_by_step};
use crate::support::*;

fn owned(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    parts.iter().map(|part| part.to_vec()).collect()
}

/// Records these parts one by one, and replays them to clients of both versions.
#[track_caller]
fn same_again(protocol: Protocol, parts: &[Vec<u8>]) -> Recordings {
    let (origin, gate) = step_by_step(protocol, event_stream(), parts.to_vec());
    let whole = parts.concat();
    let recorder = Ouli::record(&origin).start();
    let recorded = read_in_step(&recorder.client_over(protocol), &gate, parts);
    assert!(recorded == (whole.clone(), Ending::Whole), "{recorded:?}");
    recorder.terminate().expect_code(0);
    origin.stop();
    let replay = Ouli::replay(recorder.recordings()).start();
    for client in BOTH {
        let answer = replay.client_over(client).get("/");
        assert!(answer.body == whole, "{client}: {answer:?}");
        // A piece that comes with the one before may share its frame.
        assert!(client.is_h2() || answer.chunks.len() == parts.len(), "{answer:?}");
    }
    recorder.recordings()
}

#[test]
fn each_event_is_an_element_of_the_cassette_and_several_lines_are_an_array() {
    for protocol in BOTH {
        let parts =
            owned(&[b"data: one\n\n", b"event: x\ndata: two\ndata: three\n\n", b": ping\n"]);
        let pieces = pieces(&same_again(protocol, &parts));
        let texts: Vec<_> = pieces.iter().map(|piece| piece["text"].clone()).collect();
        let expected = json!([
            ["data: one", "", ""],
            ["event: x", "data: two", "data: three", "", ""],
            ": ping\n",
        ]);
        assert_eq!(json!(texts), expected, "{protocol}");
        assert!(pieces.iter().all(|piece| piece["at_ms"].is_u64()), "{pieces:?}");
    }
}

#[test]
fn a_piece_that_splits_a_character_is_base64_and_so_is_the_rest_of_it() {
    for protocol in BOTH {
        let parts = owned(&[b"data: \xc3", b"\xa4\n\n", "data: \u{e4}\n\n".as_bytes()]);
        let pieces = pieces(&same_again(protocol, &parts));
        assert_eq!(
            (&pieces[0]["base64"], &pieces[0]["text"]),
            (&json!("ZGF0YTogww=="), &json!(null))
        );
        assert_eq!(pieces[1]["base64"], "pAoK");
        assert_eq!(pieces[2]["text"], json!(["data: \u{e4}", "", ""]));
    }
}

#[test]
fn ten_thousand_pieces_of_one_byte_come_back_one_by_one() {
    let parts: Vec<_> = (0..10_000).map(|n: u32| vec![b'a' + (n % 26) as u8]).collect();
    let recordings = same_again(Protocol::Http1, &parts);
    assert_eq!(pieces(&recordings).len(), 10_000);
}

#[test]
fn trailers_behind_a_stream_come_again() {
    for protocol in BOTH {
        let head = event_stream().trailer("x-sum", "26").trailer("x-end", "yes");
        let (origin, gate) = step_by_step(protocol, head, owned(&[b"data: 1\n\n"]));
        gate.open_for_all();
        let ask = Ask::get("/").header("te", "trailers");
        on_both_roads(&origin, |client| {
            for over in BOTH {
                let ask = match over.is_h2() {
                    true => ask.clone(),
                    false => ask.clone().header("connection", "te"),
                };
                let answer = Client::new(client.address()).over(over).ask(&ask);
                assert_eq!(answer.text(), "data: 1\n\n");
                let trailers = ["x-sum", "x-end"].map(|name| answer.trailers.get(name));
                assert_eq!(trailers, [Some("26"), Some("yes")], "{protocol}, {over}: {answer:?}");
            }
        });
    }
}

#[test]
fn a_silence_of_a_hundred_seconds_is_kept_and_scaled() {
    let parts = owned(&[b"data: 1\n\n", b"data: 2\n\n"]);
    let recordings = same_again(Protocol::Http1, &parts);
    let silence = |at: &serde_json::Value| format!("\"at_ms\": {},", at["at_ms"]);
    let second = pieces(&recordings).remove(1);
    recordings.edit("default", |text| {
        let at = text.rfind(&silence(&second)).unwrap();
        format!("{}\"at_ms\": 100123{}", &text[..at], &text[at + silence(&second).len() - 1..])
    });
    let replay = Ouli::replay(recordings).options(["--pace", "200x"]).start();
    for protocol in BOTH {
        let client = replay.client_over(protocol);
        let begun = Instant::now();
        let mut reader = Reader::ask(&client, &Ask::get("/"));
        reader.head();
        reader.expect("data: 1\n\n");
        let first = begun.elapsed();
        reader.expect("data: 2\n\n");
        assert!(begun.elapsed() > Duration::from_millis(490), "{:?}", begun.elapsed());
        assert!(first < Duration::from_millis(400), "{protocol}: {first:?}");
    }
}
