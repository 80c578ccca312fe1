//! `--pace recorded`: each part of an answer after the gap it was recorded with.

use std::time::{Duration, Instant};

use crate::support::*;

#[test]
fn a_head_that_came_before_its_first_piece_does_so_again() {
    let origin = Origin::http1().script("/", |talk| {
        talk.send(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n",
        );
        std::thread::sleep(Duration::from_millis(600));
        talk.send("9\r\ndata: 1\n\n\r\n0\r\n\r\n");
    });
    let recordings = record(&origin, |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).options(["--pace", "recorded"]).start();
    let mut connection = replay.client().connect();
    let begun = Instant::now();
    connection.ask(&Ask::get("/"));
    assert_eq!(connection.receive_head().0, 200);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    connection.expect_bytes("9\r\ndata: 1\n\n\r\n");
    assert!(begun.elapsed() > Duration::from_millis(550), "{:?}", begun.elapsed());
}

#[test]
fn an_ordinary_answer_takes_as_long_as_it_took() {
    let origin = Origin::http1().script("/", |talk| {
        std::thread::sleep(Duration::from_millis(400));
        talk.reply("slow");
    });
    let recordings = record(&origin, |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).options(["--pace", "2x"]).start();
    let mut client = replay.client();
    for _ in 0..2 {
        let begun = Instant::now();
        assert_eq!(client.get("/").text(), "slow");
        assert!(begun.elapsed() > Duration::from_millis(190), "{:?}", begun.elapsed());
    }
}

fn slow() -> Origin {
    Origin::http1().script("/", |talk| {
        std::thread::sleep(Duration::from_millis(300));
        talk.reply("slow");
    })
}

/// Less than the recording took, and more than an answer takes at once.
const SLOW: Duration = Duration::from_millis(280);

fn took(ouli: &Ouli, ask: &Ask) -> Duration {
    let begun = Instant::now();
    assert_eq!(ouli.client().ask(ask).text(), "slow");
    begun.elapsed()
}

#[test]
fn a_request_says_how_fast_it_is_answered_whatever_the_command_line_says() {
    let recordings = record(&slow(), |client| drop(client.get("/")));
    let instant = Ouli::replay(recordings.clone()).start();
    assert!(took(&instant, &Ask::get("/").header("ouli-pace", "recorded")) > SLOW);
    let recorded = Ouli::replay(recordings).options(["--pace", "recorded"]).start();
    assert!(took(&recorded, &Ask::get("/").header("Ouli-Pace", "instant")) < SLOW);
    assert!(took(&recorded, &Ask::get("/")) > SLOW);
    let refused = recorded.client().ask(&Ask::get("/").header("ouli-pace", "fast"));
    let expected = "the field `ouli-pace`: expected instant, recorded or a multiple, found ";
    assert!(refused.problem(400, "bad-request").contains(expected), "{refused:?}");
    let twice = Ask::get("/").header("ouli-pace", "recorded").header("ouli-pace", "instant");
    let refused = recorded.client().ask(&twice);
    let expected = "the field `ouli-pace` stands there more than once";
    assert!(refused.problem(400, "bad-request").contains(expected), "{refused:?}");
}

#[test]
fn an_endpoint_has_a_pace_of_its_own() {
    let origin = slow();
    let config = one_endpoint(&origin, "pace = \"recorded\"");
    let recorder = Ouli::command("record").config(&config).start();
    assert_eq!(recorder.client().get("/").text(), "slow");
    recorder.terminate().expect_code(0);
    let ouli = Ouli::command("replay").config(&config).recordings(&recorder.recordings()).start();
    assert!(took(&ouli, &Ask::get("/")) > SLOW);
    assert!(took(&ouli, &Ask::get("/").header("ouli-pace", "instant")) < SLOW);
}

#[test]
fn what_a_request_says_of_its_pace_is_neither_forwarded_nor_recorded() {
    let origin = Origin::http1().route("/", |_| "fine");
    let ask = Ask::get("/").header("ouli-pace", "2x");
    let recordings = record(&origin, |client| drop(client.ask(&ask)));
    assert!(!origin.request("/").headers.has("ouli-pace"));
    assert!(!recordings.cassette_text("default").contains("ouli-pace"));
}

/// More than the buffers between both take.
const LARGE: usize = 12 << 20;

/// Between pieces.
const GAP: Duration = Duration::from_millis(600);

/// How long the client takes before it goes on: as long as two gaps and more.
const DAWDLE: Duration = Duration::from_millis(1500);

/// The client's time is part of the gap in which it falls, and the next one follows it. A timer may be
/// early by a little.
const SHIFTED: Duration = Duration::from_millis(1500 + 600 - 100);

#[test]
fn a_client_that_is_slow_to_take_an_answer_shifts_what_follows() {
    let origin = Origin::http1().script("/", |talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n");
        talk.send(format!("transfer-encoding: chunked\r\n\r\n{LARGE:x}\r\n"));
        talk.send(vec![b'.'; LARGE]);
        std::thread::sleep(GAP);
        talk.send("\r\n3\r\nthe\r\n");
        std::thread::sleep(GAP);
        talk.send("3\r\nend\r\n0\r\n\r\n");
    });
    let recordings = record(&origin, |client| drop(client.get("/")));
    for limits in ["", "index_over = 0"] {
        let ouli = Ouli::replay(recordings.clone());
        let ouli = ouli.options(["--pace", "recorded"]).limits(limits).start();
        let begun = Instant::now();
        let mut connection = ouli.client().connect();
        connection.ask(&Ask::get("/"));
        connection.receive_head();
        std::thread::sleep(DAWDLE);
        connection.read_exactly(LARGE);
        while !connection.read_some().unwrap().ends_with(b"0\r\n\r\n") {}
        assert!(begun.elapsed() > SHIFTED, "HTTP/1.1, {limits}: {:?}", begun.elapsed());

        let begun = Instant::now();
        let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
        // The window of a stream is small.
        let mut stream = connection.ask(&Ask::get("/")).unwrap();
        stream.head().unwrap();
        std::thread::sleep(DAWDLE);
        assert_eq!(stream.receive().unwrap().body.len(), LARGE + "theend".len());
        assert!(begun.elapsed() > SHIFTED, "HTTP/2, {limits}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_client_that_is_slow_to_send_its_request_shifts_what_follows() {
    let origin = Origin::http1().script("/", |talk| {
        talk.read_body();
        talk.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegin\r\n");
        std::thread::sleep(GAP);
        talk.send("3\r\nend\r\n0\r\n\r\n");
    });
    let recordings = record(&origin, |client| drop(client.post("/", "hello")));
    let ouli = Ouli::replay(recordings).options(["--pace", "recorded"]).start();
    ouli.client().post("/", "hello"); // Reads the cassette.
    let begun = Instant::now();
    let mut connection = ouli.client().connect();
    connection.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n");
    std::thread::sleep(DAWDLE);
    connection.send("hello");
    assert_eq!(connection.receive().text(), "beginend");
    assert!(begun.elapsed() > SHIFTED, "HTTP/1.1: {:?}", begun.elapsed());

    let begun = Instant::now();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut stream = connection.begin(&Ask::new("POST", "/"));
    std::thread::sleep(DAWDLE);
    stream.send("hello");
    stream.finish();
    assert_eq!(stream.receive().unwrap().text(), "beginend");
    assert!(begun.elapsed() > SHIFTED, "HTTP/2: {:?}", begun.elapsed());
}
