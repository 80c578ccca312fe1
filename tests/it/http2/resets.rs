//! Streams that end before their time, on either side, and what a recording makes of it.

use std::time::Duration;

use crate::support::frames::{Frame, FrameOrigin};
use crate::support::*;

/// RFC 9113 section 7.
const CANCEL: u32 = 8;
const INTERNAL_ERROR: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(10);

/// An origin that begins an answer, and whose gate is reached once its client has left.
fn waiting(protocol: Protocol, left: &Gate) -> Origin {
    let at_leave = left.clone();
    match protocol {
        Protocol::Http1 => Origin::http1().script("/", move |talk| {
            talk.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfirst");
            if talk.client_leaves_within(PATIENCE) {
                at_leave.pass();
            }
            talk.close();
        }),
        _ => Origin::h2c().h2_script("/", move |talk| {
            talk.begin(Reply::ok("first"));
            if talk.client_resets_within(PATIENCE) == Some(CANCEL) {
                at_leave.pass();
            }
        }),
    }
}

#[track_caller]
fn exchange(recordings: &Recordings) -> serde_json::Value {
    let cassette = recordings.cassette("default");
    assert_eq!(cassette["exchanges"].as_array().unwrap().len(), 1, "{cassette}");
    cassette["exchanges"][0].clone()
}

#[test]
fn a_reset_by_the_client_cancels_the_origins_work() {
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let left = Gate::new();
        left.open_for_all();
        let origin = waiting(protocol, &left).route("/next", |_| "next");
        let ouli = Ouli::record(&origin).start();
        let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
        let mut stream = connection.begin(&Ask::get("/"));
        stream.expect_bytes("first");
        stream.reset(CANCEL);
        wait_until(&format!("the {protocol} origin sees it"), || left.reached() == 1);
        // The connection and the others on it go on.
        let next = connection.ask(&Ask::get("/next")).unwrap().receive().unwrap();
        assert_eq!(next.text(), "next");
    }
}

#[test]
fn a_client_that_leaves_altogether_cancels_every_stream_it_had() {
    let left = Gate::new();
    left.open_for_all();
    let origin = waiting(Protocol::H2c, &left);
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut streams: Vec<_> = (0..5).map(|_| connection.begin(&Ask::get("/"))).collect();
    streams.iter_mut().for_each(|stream| stream.expect_bytes("first"));
    drop(streams);
    drop(connection);
    wait_until("the origin sees them go", || {
        (left.reached() == 5).then_some(()).ok_or(format!("{} of 5", left.reached()))
    });
}

#[test]
fn an_http_1_client_that_leaves_resets_the_origins_stream() {
    let left = Gate::new();
    left.open_for_all();
    let origin = waiting(Protocol::H2c, &left);
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.ask(&Ask::get("/"));
    connection.receive_head();
    drop(connection);
    wait_until("the origin sees the reset", || left.reached() == 1);
    assert_eq!(origin.connections(), 1, "only the stream is lost");
}

#[test]
fn what_a_client_left_is_recorded_as_far_as_it_came() {
    let left = Gate::new();
    left.open_for_all();
    let origin = waiting(Protocol::H2c, &left);
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut stream = connection.begin(&Ask::get("/"));
    stream.finish();
    stream.expect_bytes("first");
    drop(stream);
    wait_until("the origin sees it", || left.reached() == 1);
    ouli.terminate().expect_code(0);
    origin.stop();
    assert_eq!(exchange(&ouli.recordings())["response"]["end"], "left_by_client");

    let limits = "replay_wait = \"300ms\"";
    let replay = Ouli::replay(ouli.recordings()).limits(limits).start();
    let answer = replay.client_over(Protocol::H2c).try_ask(&Ask::get("/")).unwrap();
    assert_eq!(answer.text(), "first");
    assert!(matches!(answer.ending, Ending::StreamReset(_)), "{answer:?}");
}

#[test]
fn a_reset_by_the_origin_is_recorded_and_replayed_as_one() {
    let origin = Origin::h2c().route("/", |_| Reply::ok("half").cut(INTERNAL_ERROR));
    let ouli = Ouli::record(&origin).start();
    let ask = |ouli: &Ouli| ouli.client_over(Protocol::H2c).try_ask(&Ask::get("/")).unwrap();
    let recorded = ask(&ouli);
    assert_eq!(recorded.text(), "half");
    assert_eq!(recorded.ending, Ending::StreamReset(INTERNAL_ERROR), "{recorded:?}");
    ouli.terminate().expect_code(0);
    origin.stop();
    assert_eq!(exchange(&ouli.recordings())["response"]["end"], "reset_by_origin");
    let replay = Ouli::replay(ouli.recordings()).option("--strict").start();
    assert_eq!(ask(&replay), recorded);
    replay.terminate().expect_code(0);
}

#[test]
fn a_reset_keeps_its_code() {
    const ENHANCE_YOUR_CALM: u32 = 11;
    for code in [CANCEL, ENHANCE_YOUR_CALM] {
        let origin = Origin::h2c().route("/", move |_| Reply::ok("half").cut(code));
        let ouli = Ouli::record(&origin).start();
        let ask = |ouli: &Ouli| ouli.client_over(Protocol::H2c).try_ask(&Ask::get("/")).unwrap();
        let recorded = ask(&ouli);
        assert_eq!(recorded.ending, Ending::StreamReset(code), "{recorded:?}");
        ouli.terminate().expect_code(0);
        origin.stop();
        assert_eq!(ask(&Ouli::replay(ouli.recordings()).start()), recorded);
    }
}

#[test]
fn a_reset_instead_of_an_answer_is_a_502() {
    let origin = Origin::h2c().h2_script("/", |talk| {
        talk.read_body();
        talk.reset(INTERNAL_ERROR);
    });
    let ouli = Ouli::record(&origin).start();
    for protocol in [Protocol::Http1, Protocol::H2c] {
        ouli.client_over(protocol).post("/", "x").problem(502, "origin-broke-off");
    }
    assert_eq!(origin.requests().len(), 2, "a POST is never sent again");
}

/// RFC 9113 section 8.1: a server may answer early and ask for no more of the request.
#[test]
fn an_answer_that_wants_no_more_of_the_request_is_whole() {
    const NO_ERROR: u32 = 0;
    let origin = FrameOrigin::new(&[], |talk| {
        while let Some(stream) = talk.request() {
            talk.answer(stream, "enough");
            talk.frames.send(&Frame::reset(stream, NO_ERROR));
        }
    });
    let ouli = Ouli::command("record").origin(origin.url()).start();
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let body = vec![0; 300_000];
        let answer = ouli.client_over(protocol).try_ask(&Ask::post("/", body)).unwrap();
        assert_eq!(answer.text(), "enough", "{protocol}: {answer:?}");
    }
}

/// What was read of the request before it went out counts, sent or not: it is its match key.
#[test]
fn a_request_that_was_answered_early_is_recorded_with_all_of_its_body() {
    let origin = FrameOrigin::new(&[], |talk| {
        while let Some(stream) = talk.request() {
            talk.answer(stream, "enough");
        }
    });
    let body = vec![7; 300_000];
    for command in ["auto", "record"] {
        let ouli = Ouli::command(command).origin(origin.url()).start();
        let ask = Ask::post("/", body.clone());
        assert_eq!(ouli.client().try_ask(&ask).unwrap().text(), "enough", "{command}");
        ouli.terminate().expect_code(0);
        let replay = Ouli::replay(ouli.recordings()).start();
        assert_eq!(replay.client().ask(&ask).text(), "enough", "{command}");
    }
}

#[test]
fn a_request_that_its_client_breaks_off_is_not_whole_at_the_origin() {
    let (seen, cut) = (Gate::new(), Gate::new());
    let (at_half, at_cut) = (seen.clone(), cut.clone());
    let origin = Origin::h2c().h2_script("/", move |talk| {
        talk.read_to(4);
        at_half.pass();
        talk.read_body();
        if talk.broken().is_some() {
            at_cut.pass();
        }
    });
    cut.open_for_all();
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut stream = connection.begin(&Ask::new("POST", "/"));
    stream.send("half");
    wait_until("half is there", || seen.reached() == 1);
    seen.open();
    stream.reset(CANCEL);
    wait_until("the origin sees the reset", || cut.reached() == 1);
    assert!(!origin.requests()[0].whole);
}
