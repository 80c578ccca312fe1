//! The orderly end over HTTP/2.

use std::thread;
use std::time::Duration;

use crate::support::frames::{DATA, END_STREAM, Frame, Frames, GOAWAY, HEADERS, SETTINGS};
use crate::support::*;

fn slow(gate: &Gate) -> Origin {
    let held = gate.clone();
    Origin::h2c()
        .h2_script("/slow", move |talk| {
            talk.begin(Reply::ok("la"));
            held.pass();
            talk.send("te");
            talk.finish();
        })
        .route("/", |n| n.to_string())
}

#[test]
fn a_drain_says_goaway_and_finishes_what_it_promised() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut streams: Vec<_> =
        (0..10).map(|_| connection.ask(&Ask::get("/slow")).unwrap()).collect();
    streams.iter_mut().for_each(|stream| stream.expect_bytes("la"));
    ouli.signal(Signal::TERM);
    let address = ouli.address();
    wait_until("the listener is closed", || Connection::try_open(address).is_err());
    assert!(!ouli.has_exited(), "answers are in flight");
    gate.open_for_all();
    for stream in &mut streams {
        stream.expect_bytes("te");
        assert!(stream.receive().unwrap().is_whole());
    }
    assert_eq!(connection.wait_end(), Ending::Cut);
    ouli.wait().expect_code(0).expect_said(&["default: 10 exchanges"]);
}

#[test]
fn the_goaway_names_the_last_stream_and_no_error() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).start();
    let mut frames = Frames::connect(ouli.address(), &[]);
    frames.send(&Frame::request(1, END_STREAM, "GET", "/slow"));
    frames.until(HEADERS);
    ouli.signal(Signal::TERM);
    let goaway = loop {
        let goaway = frames.until(GOAWAY);
        assert_eq!(goaway.code(), Some(0), "{goaway:?}");
        let last = u32::from_be_bytes(goaway.payload[..4].try_into().unwrap());
        if last < i32::MAX as u32 {
            break last;
        }
        // The first one only warns (RFC 9113 section 6.8).
        gate.open();
    };
    assert_eq!(goaway, 1);
    gate.open_for_all();
    let (codes, ending) = frames.read_to_end();
    assert!(codes.iter().all(|&code| code == 0), "{codes:?}");
    assert!(matches!(ending, Ending::Cut | Ending::Reset), "{ending:?}");
    ouli.wait().expect_code(0);
}

#[test]
fn a_request_body_on_its_way_is_finished() {
    let gate = Gate::new();
    let seen = gate.clone();
    let origin = Origin::h2c().h2_script("/", move |talk| {
        talk.read_to(4);
        seen.pass();
        let body = talk.read_body();
        talk.reply(Reply::ok(body));
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut stream = connection.begin(&Ask::new("POST", "/"));
    stream.send("half");
    wait_until("half is there", || gate.reached() == 1);
    gate.open();
    ouli.signal(Signal::TERM);
    let address = ouli.address();
    wait_until("the drain has begun", || Connection::try_open(address).is_err());
    stream.send("rest");
    stream.finish();
    assert_eq!(stream.receive().unwrap().text(), "halfrest");
    ouli.wait().expect_code(0);
}

#[test]
fn idle_connections_end_at_once() {
    let origin = slow(&Gate::new());
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    connection.ask(&Ask::get("/")).unwrap().receive().unwrap();
    // Who has asked nothing yet. A connection that Ouli hasn't begun to read is refused instead.
    let mut silent = Frames::connect(ouli.address(), &[]);
    silent.until(SETTINGS);
    let silent = thread::spawn(move || silent.read_to_end().1);
    let ended = ouli.terminate();
    ended.expect_code(0);
    assert!(ended.took < Duration::from_secs(3), "{ended:?}");
    assert_eq!(connection.wait_end(), Ending::Cut);
    assert_eq!(silent.join().unwrap(), Ending::Cut);
}

/// A GOAWAY's last stream is only told once a ping that goes with it comes back.
#[test]
fn a_client_that_confirms_no_goaway_is_closed_all_the_same() {
    let origin = Origin::h2c().route("/", |_| "x");
    let ouli = Ouli::record(&origin).limits("idle_timeout = \"200ms\"").start();
    let mut frames = Frames::connect(ouli.address(), &[]);
    frames.ignore_pings();
    frames.until(GOAWAY);
    // What it sends all the same is served.
    frames.send(&Frame::request(1, END_STREAM, "GET", "/"));
    frames.until(HEADERS);
    let (_, ending) = frames.read_to_end();
    assert!(matches!(ending, Ending::Cut | Ending::Reset), "{ending:?}");
}

#[test]
fn the_deadline_cuts_streams_and_the_summary_counts_them() {
    let gate = Gate::new();
    let origin = slow(&gate);
    let ouli = Ouli::record(&origin).options(["--drain-timeout", "300ms"]).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut streams: Vec<_> = (0..3).map(|_| connection.ask(&Ask::get("/slow")).unwrap()).collect();
    streams.iter_mut().for_each(|stream| stream.expect_bytes("la"));
    let ended = ouli.terminate();
    ended.expect_code(0).expect_said(&["3", "cut"]);
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
    for stream in &mut streams {
        assert!(!stream.receive().map_or(true, |answer| answer.is_whole()));
    }
    gate.open_for_all();
}

#[test]
fn a_killed_recorder_keeps_every_stream_its_client_saw_whole() {
    let origin = slow(&Gate::new());
    let ouli = Ouli::record(&origin).start();
    let asks = vec![Ask::get("/"); 60];
    let seen = ouli.client_over(Protocol::H2c).ask_at_once(&asks);
    ouli.kill();
    origin.stop();
    let replay = Ouli::replay(ouli.recordings()).start();
    let mut replayed = replay.client_over(Protocol::H2c).get_many("/", 60);
    // Which of them came first is for the recorder to say: sets are compared.
    let number = |answer: &Response| answer.text().parse::<u32>().unwrap();
    replayed.sort_by_key(number);
    let mut seen = seen;
    seen.sort_by_key(number);
    assert_eq!(replayed, seen);
}

#[test]
fn a_client_without_streams_that_answers_nothing_does_not_hold_up_the_drain() {
    let origin = Origin::http1().route("/", |_| "good");
    let ouli = Ouli::record(&origin).options(["--drain-timeout", "1h"]).start();
    let mut frames = Frames::connect(ouli.address(), &[]);
    frames.send(&Frame::request(1, END_STREAM, "GET", "/"));
    while frames.until(DATA).flags & END_STREAM == 0 {}
    // From here on nothing is read, so that the ping behind the GOAWAY stays unanswered.
    ouli.terminate().expect_code(0).expect_said(&["default: 1 exchange"]);
}
