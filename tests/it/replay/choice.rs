//! Which recorded answer a request gets.

use std::time::{Duration, Instant};

use crate::support::*;

fn texts(answers: &[Response]) -> Vec<&str> {
    answers.iter().map(Response::text).collect()
}

#[test]
fn the_nth_equal_request_gets_the_nth_answer_and_then_the_last_again() {
    let origin = Origin::http1().route("/n", |n| n.to_string()).route("/m", |n| format!("m{n}"));
    let recordings = record(&origin, |client| {
        client.get("/n");
        client.get("/m");
        client.get_many("/n", 2);
    });
    let replay = Ouli::replay(recordings).start();
    let mut client = replay.client();
    assert_eq!(texts(&client.get_many("/n", 5)), ["1", "2", "3", "3", "3"]);
    assert_eq!(texts(&client.get_many("/m", 2)), ["m1", "m1"]);
    replay.terminate().expect_code(0);
}

#[test]
fn strict_makes_a_repeat_a_miss() {
    let origin = Origin::http1().route("/n", |n| n.to_string());
    let recordings = record(&origin, |client| drop(client.get_many("/n", 2)));
    let replay = Ouli::replay(recordings).option("--strict").start();
    let mut client = replay.client();
    assert_eq!(texts(&client.get_many("/n", 2)), ["1", "2"]);
    client.get("/n").problem(501, "miss");
    replay.terminate().expect_code(3);
}

#[test]
fn strict_ends_with_3_on_a_miss_or_an_unused_recording_and_only_then() {
    let origin = Origin::http1().on("/*", |request| request.target.clone());
    let recordings = record(&origin, |client| {
        client.get("/a");
        client.get("/b");
        client.ask(&Ask::get("/c").session("other"));
    });
    let run = |paths: &[&str]| {
        let replay = Ouli::replay(recordings.clone()).option("--strict").start();
        paths.iter().for_each(|path| drop(replay.client().get(path)));
        replay.terminate()
    };
    run(&["/a", "/b"]).expect_code(0);
    run(&["/a"]).expect_code(3).expect_said(&["unused"]);
    run(&["/a", "/b", "/z"]).expect_code(3).expect_said(&["miss"]);
    run(&[]).expect_code(0); // No session was opened.

    let lenient = Ouli::replay(recordings.clone()).start();
    lenient.client().get("/z").problem(501, "miss");
    lenient.terminate().expect_code(0);
}

#[test]
fn the_same_requests_get_the_same_bytes_run_after_run() {
    let origin = Origin::http1()
        .route("/json", |n| {
            Reply::json(&format!("{{\"n\":{n}}}")).header("Date", "Tue, 15 Nov 1994 08:12:31 GMT")
        })
        .route("/events", |_| Reply::events(["a", "b", "c"]))
        .route("/trailers", |_| Reply::new(200).chunked(["x", "y"]).trailer("x-t", "1"))
        .route("/coded", |_| {
            let body = coded("br", &b"words and words ".repeat(100));
            Reply::ok(body).header("content-encoding", "br")
        });
    let paths = ["/json", "/events", "/trailers", "/coded", "/json", "/nowhere"];
    let recordings = record(&origin, |client| paths.iter().for_each(|p| drop(client.get(p))));
    let raw = || {
        let replay = Ouli::replay(recordings.clone()).start();
        let mut connection = replay.client().connect();
        for path in &paths[..5] {
            connection.ask(&Ask::get(*path));
        }
        connection.ask(&Ask::get("/nowhere").header("connection", "close"));
        connection.read_to_end().0
    };
    let first = raw();
    assert!(first.len() > 500);
    for _ in 0..2 {
        assert_eq!(raw().escape_ascii().to_string(), first.escape_ascii().to_string());
    }
}

#[test]
fn order_of_occurrence_is_the_order_of_request_heads() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        let nth = talk.nth();
        if nth == 1 {
            held.pass();
        }
        talk.reply(nth.to_string());
    });
    let recorder = Ouli::record(&origin).start();
    let mut first = recorder.client().connect();
    first.ask(&Ask::get("/"));
    wait_until("the first is at the origin", || gate.reached() == 1);
    assert_eq!(recorder.client().get("/").text(), "2", "answered first, asked second");
    gate.open();
    assert_eq!(first.receive().text(), "1");
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).start();
    assert_eq!(texts(&replay.client().get_many("/", 2)), ["1", "2"]);
}

#[test]
fn another_sessions_recording_is_a_miss() {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.ask(&Ask::get("/").session("one"))));
    let replay = Ouli::replay(recordings).start();
    replay.client().ask(&Ask::get("/").session("two")).problem(501, "miss");
    assert_eq!(replay.client().ask(&Ask::get("/").session("one")).text(), "x");
}

/// Three events with pauses between: time is the subject.
fn paced() -> Origin {
    Origin::http1().script("/", |talk| {
        talk.send(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n",
        );
        for n in 0..3 {
            talk.send(format!("9\r\ndata: {n}\n\n\r\n"));
            std::thread::sleep(Duration::from_millis(200));
        }
        talk.send("0\r\n\r\n");
    })
}

#[test]
fn a_pace_is_instant_recorded_or_a_multiple() {
    let origin = paced();
    let recordings = record(&origin, |client| drop(client.get("/")));
    let took = |pace: &str| {
        let replay = Ouli::replay(recordings.clone()).options(["--pace", pace]).start();
        let mut client = replay.client();
        let begun = Instant::now();
        let answer = client.get("/");
        (begun.elapsed(), answer)
    };
    let (instant, answer) = took("instant");
    assert!(instant < Duration::from_millis(190), "instant took {instant:?}");
    let (recorded, paced) = took("recorded");
    assert!(recorded > Duration::from_millis(380), "recorded took {recorded:?}");
    assert_eq!(paced, answer);
    let gaps: Vec<_> = paced.chunks.windows(2).map(|two| two[1].0 - two[0].0).collect();
    assert!(gaps.iter().all(|gap| *gap > Duration::from_millis(150)), "{gaps:?}");
    let (double, _) = took("2x");
    assert!(double > Duration::from_millis(180) && double < recorded, "2x took {double:?}");
}

#[test]
fn replay_alone_serves_where_they_were_the_endpoints_that_the_recordings_name() {
    let origin = Origin::http1().route("/", |_| "x");
    let recorder = Ouli::record(&origin).start();
    recorder.client().get("/");
    let address = recorder.address();
    recorder.terminate().expect_code(0);
    let mut recordings = recorder.recordings();
    recordings.origin = None; // so nothing on the command line names it
    let replay = Ouli::replay(recordings).start();
    let expected = vec![(address, origin.url(), "replay".to_owned())];
    assert_eq!(replay.listening(), expected);
    assert_eq!(replay.client().get("/").text(), "x");
}
