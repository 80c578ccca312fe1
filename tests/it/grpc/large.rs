//! Large messages, compressed messages, and many of them.

use super::{endpoints, record, replay, replay_of};
use crate::support::grpc::{GrpcClient, GrpcOrigin, Note};
use crate::support::*;

/// Bytes that don't compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn messages_of_16_mib_pass_both_ways_and_replay() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let large = noise(16 << 20);
    let call = |ouli: &Ouli| {
        let note = Note::new("large").payload(large.clone());
        GrpcClient::through(ouli, Protocol::H2c).call("Say", &[note])
    };
    let recorded = call(&recorder);
    assert_eq!(recorded.code, 0, "{} {}", recorded.code, recorded.message);
    assert!(recorded.messages[0].payload == large);
    let replay = replay(&origin, &recorder);
    assert!(call(&replay) == recorded, "the replay differs");
    replay.terminate().expect_code(0);
}

#[test]
fn large_messages_of_a_stream_stay_apart() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let payload = noise(300_000);
    let call = |ouli: &Ouli| {
        let note = Note::new("n").number(10).payload(payload.clone());
        GrpcClient::through(ouli, Protocol::H2c).call("Count", &[note])
    };
    let recorded = call(&recorder);
    assert_eq!(recorded.messages.len(), 10);
    let replay = replay(&origin, &recorder);
    assert!(call(&replay) == recorded, "the replay differs");
    replay.terminate().expect_code(0);
}

#[test]
fn compressed_messages_replay_and_match_by_what_is_in_them() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let note = Note::new("compressed").payload(vec![7; 100_000]);
    let call = |ouli: &Ouli, notes: &[Note]| {
        GrpcClient::through(ouli, Protocol::H2c).gzip().call("Chat", notes)
    };
    let notes = [note.clone(), Note::new("small"), Note::new("bye")];
    let recorded = call(&recorder, &notes);
    assert_eq!(recorded.metadata_of("grpc-encoding"), ["gzip"], "{recorded:?}");
    assert!(recorded.messages[0].payload == note.payload);
    let replay = replay(&origin, &recorder);
    assert!(call(&replay, &notes) == recorded, "the replay differs");
    replay.terminate().expect_code(0);
    // It is kept readable: what is in it stands in a file, or in the cassette, uncompressed.
    let cassette = recorder.recordings().cassette("default");
    let messages = &cassette["exchanges"][0]["response"]["body"]["messages"];
    assert_eq!(messages[0]["compressed"], true, "{messages}");
}

#[test]
fn a_long_stream_of_small_messages_replays_in_order() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let call = |ouli: &Ouli| {
        GrpcClient::through(ouli, Protocol::H2c).call("Count", &[Note::new("n").number(5_000)])
    };
    let recorded = call(&recorder);
    assert_eq!(recorded.messages.len(), 5_000);
    let replay = replay(&origin, &recorder);
    assert!(call(&replay) == recorded, "the replay differs");
    replay.terminate().expect_code(0);
}

#[test]
fn an_answer_that_was_too_large_to_be_kept_is_a_miss_that_says_so() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let call =
        |ouli: &Ouli| GrpcClient::through(ouli, Protocol::H2c).call("Say", &[Note::new("hello")]);
    assert_eq!(call(&recorder).code, 0);
    recorder.terminate().expect_code(0);
    recorder.recordings().edit("default", |text| {
        let mut cassette: serde_json::Value = serde_json::from_str(&text).unwrap();
        cassette["exchanges"][0]["response"]["body"] =
            serde_json::json!({ "omitted": { "sha256": "0".repeat(64), "bytes": 300_000_000 } });
        cassette.to_string()
    });
    let missed = call(&replay_of(&origin, &recorder.recordings()));
    assert_eq!(missed.code, 12, "{missed:?}");
    assert!(missed.message.contains("300000000 bytes"), "{missed:?}");
}

#[test]
fn a_large_message_costs_no_memory_of_its_size_while_it_is_recorded() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let client = GrpcClient::through(&recorder, Protocol::H2c);
    client.call("Say", &[Note::new("warm")]);
    let before = recorder.memory_kib("RssAnon");
    let note = Note::new("large").payload(noise(16 << 20));
    assert_eq!(client.call("Say", &[note]).code, 0);
    let grown = recorder.memory_kib("RssAnon").saturating_sub(before);
    assert!(grown < 12 << 10, "grew by {grown} KiB");
}

#[test]
fn a_call_with_a_message_over_max_kept_body_passes_and_its_replay_says_why_it_misses() {
    let origin = GrpcOrigin::h2c();
    let [plain, _] = endpoints(&origin);
    let limits = "max_kept_body = \"100KiB\"";
    let recorder = Ouli::command("record").endpoint(&plain).more_limits(limits).start();
    let note = [Note::new("large").payload(noise(150 << 10))];
    let call = |ouli: &Ouli| GrpcClient::through(ouli, Protocol::H2c).call("Say", &note);
    assert_eq!(call(&recorder).code, 0);
    let missed = call(&replay(&origin, &recorder));
    assert_eq!(missed.code, 12, "{missed:?}");
    let why = "no call to this method is recorded whose messages were small enough to keep";
    assert!(missed.message.contains(why), "{missed:?}");
}
