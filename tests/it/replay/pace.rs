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
