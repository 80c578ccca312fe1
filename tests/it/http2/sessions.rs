//! Sessions, misses and health over HTTP/2.

use crate::support::*;

#[test]
fn a_session_is_named_by_a_header_that_goes_no_further() {
    let origin = Origin::h2c().route("/n", |n| n.to_string());
    let recorder = Ouli::record(&origin).start();
    let mut connection = recorder.client_over(Protocol::H2c).connect_h2();
    for (session, text) in [("one", "1"), ("two/deep", "2"), ("one", "3")] {
        let mut stream = connection.ask(&Ask::get("/n").session(session)).unwrap();
        assert_eq!(stream.receive().unwrap().text(), text);
    }
    assert!(origin.requests().iter().all(|request| !request.headers.has("ouli-session")));
    recorder.terminate().expect_code(0);
    let recordings = recorder.recordings();
    assert_eq!(recordings.cassette("one")["exchanges"].as_array().unwrap().len(), 2);
    assert!(recordings.files_with("ouli-session").is_empty());
    origin.stop();

    let replay = Ouli::replay(recordings).start();
    let mut client = replay.client_over(Protocol::H2c);
    assert_eq!(client.ask(&Ask::get("/n").session("two/deep")).text(), "2");
    assert_eq!(client.ask(&Ask::get("/n").session("one")).text(), "1");
    client.ask(&Ask::get("/n").session("three")).problem(501, "miss");
    client.ask(&Ask::get("/n").session("../x")).problem(400, "bad-session");
    let two = Ask::get("/n").session("one").session("two");
    client.ask(&two).problem(400, "bad-session");
}

#[test]
fn a_miss_says_what_is_nearest() {
    let origin = Origin::h2c().route("/a", |_| "x");
    let recorder = Ouli::record(&origin).start();
    recorder.client_over(Protocol::H2c).get("/a?x=1");
    recorder.terminate().expect_code(0);
    origin.stop();

    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    let answer = replay.client_over(Protocol::H2c).get("/a?x=2");
    let problem = answer.problem(501, "miss");
    assert!(problem.contains("x=1"), "{problem}");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    replay.terminate().expect_code(3);
}

#[test]
fn the_cassette_says_over_which_version_it_was() {
    let origin = Origin::h2c().route("/", |_| "x");
    let recorder = Ouli::record(&origin).start();
    recorder.client().get("/");
    recorder.terminate().expect_code(0);
    let cassette = recorder.recordings().cassette("default");
    let exchange = &cassette["exchanges"][0];
    assert_eq!(exchange["response"]["version"], "HTTP/2", "{cassette}");
    assert!(cassette["endpoints"][0]["origin"].as_str().unwrap().starts_with("h2c://"));
}

#[test]
fn what_one_version_recorded_the_others_replay() {
    let origin = Origin::h2c().on("/", |request| Reply::ok(request.body.clone()));
    let recorder = Ouli::record(&origin).start();
    recorder.client().post("/", "by http/1.1");
    recorder.client_over(Protocol::H2c).post("/", "by h2c");
    recorder.terminate().expect_code(0);
    origin.stop();
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    assert_eq!(replay.client_over(Protocol::H2c).post("/", "by http/1.1").text(), "by http/1.1");
    assert_eq!(replay.client().post("/", "by h2c").text(), "by h2c");
    replay.terminate().expect_code(0);
}

#[test]
fn health_is_answered_and_never_forwarded() {
    let origin = Origin::h2c();
    let setup = Ouli::command("record").endpoint(&Endpoint::to(&origin).line("health = \"/up\""));
    let ouli = setup.start();
    assert_eq!(ouli.client_over(Protocol::H2c).get("/up").status, 200);
    assert_eq!(origin.connections(), 0);
}
