//! What an origin refuses by GOAWAY or REFUSED_STREAM is sent again once, where it can't have been
//! seen (RFC 9113 sections 6.8 and 8.7).

use crate::support::frames::{Frame, FrameOrigin};
use crate::support::*;

const REFUSED_STREAM: u32 = 7;
const NO_ERROR: u32 = 0;

/// An origin that refuses the first `times` requests.
fn refusing(times: usize) -> Origin {
    Origin::h2c().h2_script("/", move |talk| match talk.nth() <= times {
        true => talk.reset(REFUSED_STREAM),
        false => {
            let body = talk.read_body();
            talk.reply(Reply::ok(body));
        }
    })
}

#[test]
fn a_refused_get_is_sent_again_once() {
    let origin = refusing(1);
    let ouli = Ouli::record(&origin).start();
    assert_eq!(ouli.client_over(Protocol::H2c).get("/").status, 200);
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_request_refused_twice_fails() {
    let origin = refusing(2);
    let ouli = Ouli::record(&origin).start();
    ouli.client_over(Protocol::H2c).get("/").problem(502, "origin-broke-off");
    assert_eq!(origin.requests().len(), 2, "no third time");
}

#[test]
fn a_refused_post_without_a_body_is_sent_again_for_nobody_saw_it() {
    let origin = refusing(1);
    let ouli = Ouli::record(&origin).start();
    assert_eq!(ouli.client_over(Protocol::H2c).ask(&Ask::post("/", "")).status, 200);
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn one_exchange_is_recorded_however_often_it_was_sent() {
    let origin = refusing(1);
    let ouli = Ouli::record(&origin).start();
    ouli.client().get("/");
    ouli.terminate().expect_code(0);
    let cassette = ouli.recordings().cassette("default");
    assert_eq!(cassette["exchanges"].as_array().unwrap().len(), 1, "{cassette}");
    assert_eq!(cassette["exchanges"][0]["response"]["status"], 200);
}

/// Goes away on the first connection without having looked at what came after the first request.
fn leaving(answers_first: bool) -> FrameOrigin {
    FrameOrigin::new(&[], move |talk| {
        while let Some(stream) = talk.request() {
            match (talk.connection, stream) {
                (0, 1) if answers_first => talk.answer(1, "kept"),
                (0, _) => {
                    let last = if answers_first { 1 } else { 0 };
                    talk.frames.send(&Frame::go_away(last, NO_ERROR));
                    return talk.wait_close();
                }
                _ => talk.answer(stream, "again"),
            }
        }
    })
}

#[test]
fn a_request_above_a_goaways_last_stream_goes_to_a_new_connection() {
    let origin = leaving(true);
    let ouli = Ouli::command("record").origin(origin.url()).start();
    let mut client = ouli.client_over(Protocol::H2c);
    assert_eq!(client.get("/").text(), "kept");
    assert_eq!(client.get("/").text(), "again");
    assert_eq!(origin.seen().len(), 2, "{:?}", origin.seen());
}

#[test]
fn a_post_above_a_goaways_last_stream_was_never_seen_and_goes_again() {
    let origin = leaving(false);
    let ouli = Ouli::command("record").origin(origin.url()).start();
    let answer = ouli.client_over(Protocol::H2c).ask(&Ask::post("/", ""));
    assert_eq!(answer.text(), "again");
}

#[test]
fn a_post_that_may_have_been_seen_is_not_sent_again() {
    let origin = FrameOrigin::new(&[], |talk| {
        while let Some(stream) = talk.request() {
            match talk.connection {
                0 => {
                    // The request counts as seen, and then the connection is gone.
                    talk.frames.send(&Frame::go_away(stream, 2));
                    return;
                }
                _ => talk.answer(stream, "twice"),
            }
        }
    });
    let ouli = Ouli::command("record").origin(origin.url()).start();
    let mut client = ouli.client_over(Protocol::H2c);
    client.post("/", "pay").problem(502, "origin-broke-off");
    assert_eq!(origin.seen().iter().flatten().count(), 1, "{:?}", origin.seen());
}

#[test]
fn streams_below_a_goaways_last_stream_finish() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::h2c()
        .h2_script("/slow", move |talk| {
            talk.begin(Reply::ok("be"));
            talk.go_away();
            held.pass();
            talk.send("gun");
            talk.finish();
        })
        .route("/next", |_| "next");
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut slow = connection.begin(&Ask::get("/slow"));
    slow.expect_bytes("be");
    // The next one goes elsewhere, and meets no closing door.
    for _ in 0..3 {
        let next = connection.ask(&Ask::get("/next")).unwrap().receive().unwrap();
        assert_eq!(next.text(), "next");
    }
    gate.open();
    slow.expect_bytes("gun");
    assert!(slow.receive().unwrap().is_whole());
    assert_eq!(origin.connections(), 2);
}

#[test]
fn an_origin_that_does_not_speak_http_2_is_a_502_that_says_so() {
    let origin = Origin::http1().route("/", |_| "x");
    let url = origin.url().replace("http://", "h2c://");
    let ouli = Ouli::command("record").origin(url).start();
    let answer = ouli.client().get("/");
    let problem = answer.problem(502, answer.fault().unwrap_or_default());
    assert!(problem.contains("HTTP/2"), "{problem}");
    std::mem::forget(origin); // the preface is no request, and it would say so
}

#[test]
fn an_origin_that_takes_no_streams_is_a_502_at_once() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    let origin = FrameOrigin::new(&[(MAX_CONCURRENT_STREAMS, 0)], |talk| talk.wait_close());
    let ouli = Ouli::command("record").origin(origin.url()).start();
    let problem = ouli.client().get("/").problem(502, "origin-unreachable");
    assert!(problem.contains("takes no requests"), "{problem}");
}
