//! `Expect: 100-continue` in its outcomes, and other interim answers.

use std::time::{Duration, Instant};

use crate::support::*;

const HEAD: &str =
    "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";

#[test]
fn the_client_gets_100_when_the_origin_gave_it() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        assert!(talk.request().headers.lists("expect", "100-continue"));
        held.pass();
        talk.send("HTTP/1.1 100 Continue\r\n\r\n");
        talk.read_body();
        talk.reply("got it");
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send(HEAD);
    wait_until("the origin has the head", || gate.reached() == 1);
    gate.open();
    assert_eq!(connection.receive_interim().0, 100);
    connection.send("body");
    let answer = connection.receive();
    assert_eq!((answer.text(), answer.interim.len()), ("got it", 0), "100 comes once");
    assert_eq!(origin.request("/").body, b"body");
}

#[test]
fn the_client_gets_100_after_a_second_from_a_silent_origin() {
    let origin = Origin::http1().script("/", |talk| {
        talk.read_body();
        talk.reply("got it");
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    let begun = Instant::now();
    connection.send(HEAD);
    assert_eq!(connection.receive_interim().0, 100);
    assert!(begun.elapsed() > Duration::from_millis(900), "after {:?}", begun.elapsed());
    connection.send("body");
    assert_eq!(connection.receive().text(), "got it");
}

#[test]
fn the_client_gets_the_origins_final_answer_instead_of_100() {
    let origin = Origin::http1().script("/", |talk| {
        talk.reply(Reply::new(401).body("no"));
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send(HEAD);
    let answer = connection.receive();
    assert_eq!((answer.status, answer.interim.len()), (401, 0));
    assert!(origin.requests()[0].body.is_empty(), "the body was never asked for");
}

#[test]
fn a_client_whose_body_is_never_read_is_told_that_its_connection_ends() {
    let origin = Origin::http1().script("/", |talk| {
        talk.reply(Reply::new(401).body("no"));
        talk.close();
    });
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        connection.send(HEAD);
        let answer = connection.receive();
        assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
        connection.expect_close();
    });
}

#[test]
fn a_client_that_does_not_wait_for_100_is_served_all_the_same() {
    let origin = Origin::http1().on("/", |request| request.body.clone());
    on_both_roads(&origin, |client| {
        let answer = client.ask(&Ask::post("/", "body").header("Expect", "100-continue"));
        assert_eq!(answer.text(), "body");
    });
}

#[test]
fn a_replay_asks_for_the_body_it_has_to_match() {
    let origin = Origin::http1().on("/", |request| request.body.clone());
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        connection.send(HEAD);
        assert_eq!(connection.receive_interim().0, 100);
        connection.send("body");
        assert_eq!(connection.receive().text(), "body");
    });
}

#[test]
fn interim_answers_are_relayed_in_order_on_both_roads() {
    let origin = Origin::http1().raw(
        "/",
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n\
         HTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 103 Early Hints\r\nlink: </b.css>; rel=preload\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone",
    );
    on_both_roads(&origin, |client| {
        let answer = client.get("/");
        let statuses: Vec<_> = answer.interim.iter().map(|(status, _)| *status).collect();
        assert_eq!((statuses, answer.text()), (vec![103, 102, 103], "done"));
        assert_eq!(answer.interim[0].1.get("Link"), Some("</a.css>; rel=preload"));
    });
}

#[test]
fn an_interim_answer_arrives_before_the_final_one_leaves_the_origin() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        talk.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        held.pass();
        talk.reply("late");
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.ask(&Ask::get("/"));
    assert_eq!(connection.receive_interim().0, 103);
    gate.open();
    assert_eq!(connection.receive().text(), "late");
}

#[test]
fn an_http_1_0_client_gets_no_interim_answer() {
    let origin = Origin::http1().raw(
        "/",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone",
    );
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        connection.send("GET / HTTP/1.0\r\nhost: x\r\n\r\n");
        let answer = connection.receive();
        assert_eq!((answer.interim.len(), answer.text()), (0, "done"), "RFC 9110 section 15.2");
    });
}

#[test]
fn an_http_1_0_client_cannot_expect_anything() {
    let origin = Origin::http1().script("/", |talk| {
        assert!(!talk.request().headers.has("expect"), "nobody would wait for the answer");
        talk.read_body();
        talk.reply("got it");
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send(HEAD.replace("HTTP/1.1", "HTTP/1.0"));
    std::thread::sleep(Duration::from_millis(1200)); // longer than a silent origin is waited for
    connection.send("body");
    let answer = connection.receive();
    assert_eq!((answer.text(), answer.interim.len()), ("got it", 0), "RFC 9110 section 10.1.1");
}

#[test]
fn a_client_without_a_body_is_not_invited_to_send_it() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        held.pass();
        talk.reply("x");
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("GET / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\r\n");
    std::thread::sleep(Duration::from_millis(1200));
    gate.open();
    let answer = connection.receive();
    assert_eq!((answer.text(), answer.interim.len()), ("x", 0));
}

#[test]
fn a_client_that_leaves_before_it_was_invited_is_noticed_at_once() {
    let (head, left) = (Gate::new(), Gate::new());
    let (has_head, has_left) = (head.clone(), left.clone());
    let origin = Origin::http1().script("/", move |talk| {
        has_head.open();
        has_head.pass();
        // Sooner than its silence would have the client invited.
        if talk.client_leaves_within(Duration::from_millis(800)) {
            has_left.open();
            has_left.pass();
        }
        talk.close();
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send(HEAD);
    wait_until("the origin has the head", || head.reached() == 1);
    drop(connection);
    wait_until("the origin's request is cancelled", || left.reached() == 1);
    ouli.terminate().expect_code(0);
    assert!(ouli.recordings().files().iter().all(|file| !file.ends_with(".json")));
}

#[test]
fn an_unknown_expectation_is_forwarded() {
    let origin = Origin::http1()
        .on("/", |request| request.headers.get("expect").unwrap_or("lost").to_owned());
    let ouli = Ouli::record(&origin).start();
    let answer = ouli.client().ask(&Ask::get("/").header("expect", "the-unexpected"));
    assert_eq!(answer.text(), "the-unexpected");
}
