//! Calls that end before their time: deadlines, cancellation, and servers that break off.

use std::time::{Duration, Instant};

use super::{record, replay};
use crate::support::frames::{DATA, END_HEADERS, Frame, FrameOrigin, HEADERS, fields};
use crate::support::grpc::{GrpcClient, GrpcOrigin, Note, prefixed};
use crate::support::*;

const CANCEL: u32 = 8;

/// A gRPC request as a client of another make sends it.
fn request(method: &str) -> Ask {
    let ask = Ask::new("POST", format!("/ouli.test.Notes/{method}"));
    ask.header("content-type", "application/grpc").header("te", "trailers")
}

#[test]
fn a_deadline_reaches_the_server_and_ends_the_call() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let client = GrpcClient::through(&recorder, Protocol::H2c).deadline(Duration::from_millis(400));
    let begun = Instant::now();
    let outcome = client.call("Say", &[Note::new("wait")]);
    assert!(matches!(outcome.code, 1 | 4), "cancelled or past its deadline: {outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let (_, metadata) = origin.calls().remove(0);
    assert_eq!(metadata.get("grpc-timeout").unwrap(), "400m", "{metadata:?}");
    wait_until("the server's work is cancelled", || origin.left() == 1);
    // A call in time is not bothered.
    let client = GrpcClient::through(&recorder, Protocol::H2c).deadline(Duration::from_secs(20));
    assert_eq!(client.call("Say", &[Note::new("hello")]).code, 0);
}

#[test]
fn the_deadline_is_no_part_of_what_is_matched() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let call = |ouli: &Ouli, seconds| {
        let client = GrpcClient::through(ouli, Protocol::H2c);
        client.deadline(Duration::from_secs(seconds)).call("Say", &[Note::new("hello")])
    };
    let recorded = call(&recorder, 20);
    let replay = replay(&origin, &recorder);
    assert_eq!(call(&replay, 30).messages, recorded.messages);
    replay.terminate().expect_code(0);
}

#[test]
fn a_cancelled_call_cancels_the_servers_work_at_once() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let mut call = GrpcClient::through(&recorder, Protocol::H2c).open("Chat");
    call.say("hello");
    call.expect("re: hello");
    call.say("wait");
    wait_until("the server is at work", || origin.came().len() == 2);
    drop(call);
    wait_until("it is told to stop", || origin.left() == 1);
}

#[test]
fn cancellation_is_recorded_and_replayed() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    // What the client saw before it left, twice: the second time from the recording.
    let talk = |ouli: &Ouli| {
        let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
        let mut stream = connection.begin(&request("Chat"));
        stream.send(prefixed(&Note::new("hello")));
        let head = stream.head().unwrap();
        stream.expect_bytes(prefixed(&Note::new("re: hello").number(1)));
        stream.send(prefixed(&Note::new("wait")));
        (head, stream, connection)
    };
    let (recorded, mut stream, connection) = talk(&recorder);
    wait_until("the server is at work", || origin.came().len() == 2);
    stream.reset(CANCEL);
    wait_until("it is told to stop", || origin.left() == 1);
    drop(connection);
    let replay = replay(&origin, &recorder);
    let cassette = recorder.recordings().cassette("default");
    let exchange = &cassette["exchanges"][0];
    assert_eq!(exchange["response"]["end"], "left_by_client", "{cassette}");
    assert_eq!(exchange["request"]["body"]["messages"].as_array().unwrap().len(), 2, "{cassette}");
    let (replayed, mut stream, _connection) = talk(&replay);
    assert_eq!(replayed, recorded);
    stream.reset(CANCEL);
    replay.terminate().expect_code(0);
}

/// Answers one message, then resets with this code.
fn breaking_off(code: u32) -> FrameOrigin {
    FrameOrigin::new(&[], move |talk| {
        while let Some(stream) = talk.request() {
            let head = fields(&[(":status", "200"), ("content-type", "application/grpc")]);
            talk.frames.send(&Frame::new(HEADERS, END_HEADERS, stream, head));
            let message = prefixed(&Note::new("last words"));
            talk.frames.send(&Frame::new(DATA, 0, stream, message));
            talk.frames.send(&Frame::reset(stream, code));
        }
    })
}

#[test]
fn a_server_that_breaks_off_does_so_on_replay_after_the_same_message() {
    const INTERNAL_ERROR: u32 = 2;
    let origin = breaking_off(INTERNAL_ERROR);
    let recorder = Ouli::command("record").origin(origin.url()).start();
    let call =
        |ouli: &Ouli| GrpcClient::through(ouli, Protocol::H2c).call("Say", &[Note::new("hello")]);
    let recorded = call(&recorder);
    assert_eq!(recorded.texts(), ["last words"], "{recorded:?}");
    assert_ne!(recorded.code, 0, "{recorded:?}");
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    let replayed = call(&replay);
    assert_eq!((replayed.code, replayed.texts()), (recorded.code, recorded.texts()));
    replay.terminate().expect_code(0);
}

#[test]
fn half_a_message_before_the_break_arrives_as_half() {
    let whole = prefixed(&Note::new("cut in two"));
    let half = whole[..whole.len() / 2].to_vec();
    let sent = half.clone();
    let origin = Origin::h2c().h2_script("*", move |talk| {
        talk.read_body();
        talk.begin(Reply::new(200).header("content-type", "application/grpc").body(sent.clone()));
        talk.reset(2);
    });
    let recorder = Ouli::record(&origin).start();
    let ask = |ouli: &Ouli| {
        let ask = request("Say").chunked([prefixed(&Note::new("hello"))]);
        ouli.client_over(Protocol::H2c).try_ask(&ask).unwrap()
    };
    let recorded = ask(&recorder);
    assert_eq!(recorded.body, half, "{recorded:?}");
    assert!(matches!(recorded.ending, Ending::StreamReset(_)), "{recorded:?}");
    recorder.terminate().expect_code(0);
    origin.stop();
    let replay = Ouli::replay(recorder.recordings()).start();
    assert_eq!(ask(&replay), recorded);
}

#[test]
fn a_drain_lets_open_calls_finish() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let mut call = GrpcClient::through(&recorder, Protocol::H2c).open("Chat");
    call.say("wait");
    wait_until("the server has it", || origin.came().len() == 1);
    recorder.signal(Signal::TERM);
    let address = recorder.address();
    wait_until("the drain has begun", || Connection::try_open(address).is_err());
    origin.release();
    call.expect("re: wait");
    call.say("more");
    call.expect("re: more");
    call.say("bye");
    assert_eq!(call.outcome().code, 0);
    recorder.wait().expect_code(0).expect_said(&["1 exchange"]);
}

#[test]
fn a_killed_recorder_keeps_every_message_its_client_saw() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let mut call = GrpcClient::through(&recorder, Protocol::H2c).open("Chat");
    for text in ["one", "two"] {
        call.say(text);
        call.expect(&format!("re: {text}"));
    }
    recorder.kill();
    origin.stop();
    let replay = super::replay_of(&origin, &recorder.recordings());
    let mut call = GrpcClient::through(&replay, Protocol::H2c).open("Chat");
    for text in ["one", "two"] {
        call.say(text);
        call.expect(&format!("re: {text}"));
    }
}
