//! Answers that didn't end well while they were recorded.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::support::*;

/// Two events, then silence until the client leaves.
fn stream(gone: &Gate) -> Origin {
    let gone = gone.clone();
    Origin::http1().script("/", move |talk| {
        talk.send(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n\
             9\r\ndata: 1\n\n\r\ne\r\ndata: [DONE]\n\n\r\n",
        );
        talk.client_leaves_within(Duration::from_secs(10));
        gone.open_for_all();
        gone.pass();
        talk.close();
    })
}

#[track_caller]
fn read_to_done(connection: &mut Connection) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("[DONE]\n\n") {
        seen.extend(connection.read_some().unwrap_or_else(|ending| panic!("{ending:?}: {seen:?}")));
    }
}

#[test]
fn an_exchange_that_its_client_left_answers_then_is_silent_then_cut() {
    let gone = Gate::new();
    let origin = stream(&gone);
    let recorder = Ouli::record(&origin).start();
    let mut connection = recorder.client().connect();
    connection.ask(&Ask::get("/"));
    read_to_done(&mut connection);
    drop(connection);
    wait_until("the origin has seen it leave", || gone.reached() == 1);
    recorder.terminate().expect_code(0);

    let replay = Ouli::replay(recorder.recordings())
        .option("--strict")
        .limits("replay_wait = \"300ms\"")
        .start();
    let mut connection = replay.client().connect();
    let begun = Instant::now();
    connection.ask(&Ask::get("/"));
    read_to_done(&mut connection);
    assert!(begun.elapsed() < Duration::from_millis(290), "its bytes come at once");
    let (rest, ending) = connection.read_to_end();
    assert!(begun.elapsed() > Duration::from_millis(280), "then silence: {:?}", begun.elapsed());
    assert!(rest.is_empty() && ending != Ending::Silence, "then a cut: {rest:?} {ending:?}");
    replay.terminate().expect_code(0);
}

#[test]
fn a_client_that_leaves_such_an_answer_at_done_is_content() {
    let gone = Gate::new();
    let origin = stream(&gone);
    let recorder = Ouli::record(&origin).start();
    let leave_at_done = |ouli: &Ouli| {
        let mut connection = ouli.client().connect();
        connection.ask(&Ask::get("/"));
        read_to_done(&mut connection);
    };
    leave_at_done(&recorder);
    wait_until("the origin has seen it leave", || gone.reached() == 1);
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    leave_at_done(&replay);
    let ended = replay.terminate();
    ended.expect_code(0);
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
}

#[test]
fn an_answer_cut_by_the_origin_is_cut_at_the_same_byte_every_time() {
    let body = "x".repeat(100_000);
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n{body}");
    let origin = Origin::http1().raw_then_close("/", cut);
    let recorder = Ouli::record(&origin).start();
    let seen = recorder.client().try_ask(&Ask::get("/")).unwrap();
    assert_eq!((seen.body.len(), seen.is_whole()), (100_000, false));
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).start();
    for _ in 0..3 {
        let answer = replay.client().try_ask(&Ask::get("/")).unwrap();
        assert_eq!((answer.body.len(), answer.is_whole()), (100_000, false));
    }
}

#[test]
fn an_answer_before_the_request_ended_replays_before_the_request_has_ended() {
    let origin = Origin::http1().script("/", |talk| {
        talk.reply(Reply::new(413).header("connection", "close").body("enough"));
    });
    let head = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n";
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        connection.send(head);
        let answer = connection.receive();
        assert_eq!((answer.status, answer.text()), (413, "enough"));
    });
}

#[test]
fn a_coded_stream_that_its_client_left_is_readable_and_comes_as_far_again() {
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coder.write_all(b"data: readable\n\ndata: [DONE]\n\n").unwrap();
    coder.flush().unwrap();
    let chunk = coder.get_ref().clone();
    let gone = Gate::new();
    let origin = {
        let gone = gone.clone();
        Origin::http1().script("/", move |talk| {
            talk.send(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                 content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
            );
            talk.send([format!("{:x}\r\n", chunk.len()).as_bytes(), &chunk, b"\r\n"].concat());
            talk.client_leaves_within(Duration::from_secs(10));
            gone.open_for_all();
            gone.pass();
            talk.close();
        })
    };
    let leave_at_done = |ouli: &Ouli| {
        let mut connection = ouli.client().connect();
        connection.ask(&Ask::get("/"));
        assert_eq!(connection.receive_head().0, 200);
        let mut came = Vec::new();
        while !inflated(&came).contains("[DONE]\n\n") {
            came.extend(connection.read_some().unwrap_or_else(|end| panic!("{end:?}: {came:?}")));
        }
    };
    let recorder = Ouli::record(&origin).start();
    leave_at_done(&recorder);
    wait_until("the origin has seen it leave", || gone.reached() == 1);
    recorder.terminate().expect_code(0);
    assert!(recorder.recordings().cassette_text("default").contains("data: readable"));
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    leave_at_done(&replay);
    replay.terminate().expect_code(0);
}

/// What the first chunk of a body says, as far as it has come.
fn inflated(chunk: &[u8]) -> String {
    let start = chunk.windows(2).position(|pair| pair == b"\r\n").map_or(chunk.len(), |at| at + 2);
    let mut text = Vec::new();
    // It has no end, which is an error behind what it says.
    let _ = flate2::read::GzDecoder::new(&chunk[start..]).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
