//! A place among those in flight is held until the answer's last byte has gone.

use super::*;

/// One place, and a queue that is soon over.
const ONE_PLACE: &str = "max_in_flight = 1\nqueue_timeout = \"200ms\"";

/// While a client leaves its answer waiting, others are told so; then its place is free.
#[track_caller]
fn holds_its_place_to_the_last_byte(ouli: &Ouli) {
    let mut slow = ouli.client().connect();
    slow.ask(&Ask::get("/large"));
    slow.receive_head();
    let mut other = ouli.client();
    for _ in 0..2 {
        let answer = other.ask(&Ask::get("/small"));
        answer.problem(503, "overloaded");
        let seconds = answer.header("retry-after").map(str::parse::<u32>);
        assert!(matches!(seconds, Some(Ok(1..))), "{answer:?}");
    }
    // All but the last of it.
    slow.read_exactly(LARGE - 1);
    slow.read_exactly(1);
    wait_until("the place is free", || other.get("/small").status == 200);
}

#[test]
fn a_slow_reader_holds_its_place_until_the_last_byte_has_gone() {
    let body = large();
    let origin =
        Origin::http1().route("/large", move |_| body.clone()).route("/small", |_| "small");
    let recorder = Ouli::record(&origin).option("-q").limits(ONE_PLACE).start();
    recorder.client().get("/small");
    holds_its_place_to_the_last_byte(&recorder);
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).option("-q").limits(ONE_PLACE).start();
    holds_its_place_to_the_last_byte(&replay);
}

#[test]
fn a_stream_that_rests_holds_its_place_until_it_ends() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().route("/small", |_| "small").script("/events", move |talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n");
        talk.send("transfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n");
        held.pass();
        talk.send("0\r\n\r\n");
    });
    let ouli = Ouli::record(&origin).limits(ONE_PLACE).start();
    let mut stream = ouli.client().connect();
    stream.ask(&Ask::get("/events"));
    stream.receive_head();
    stream.expect_bytes("9\r\ndata: 1\n\n\r\n");
    let mut other = ouli.client();
    other.ask(&Ask::get("/small")).problem(503, "overloaded");
    gate.open();
    stream.expect_bytes("0\r\n\r\n");
    assert_eq!(other.get("/small").text(), "small");
}
