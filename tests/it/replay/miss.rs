//! A miss names what was asked and the nearest recorded request, and is never served by it.

use crate::support::*;

#[test]
fn a_miss_names_the_request_the_nearest_recording_and_each_difference() {
    let origin = Origin::http1().route("/*", |_| "recorded");
    let recordings = record(&origin, |client| {
        client.get("/entirely/else");
        let body = r#"{"model":"gpt-5","temperature":0.25}"#;
        client
            .ask(&Ask::post("/v1/chat?stream=1", body).header("content-type", "application/json"));
    });
    let replay = Ouli::replay(recordings).start();
    let body = r#"{"model":"gpt-6","temperature":0.25}"#;
    let asked = Ask::post("/v1/chat?stream=2", body).header("content-type", "application/json");
    let answer = replay.client().ask(&asked);
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let problem = answer.problem(501, "miss");
    for part in ["POST", "/v1/chat?stream=2", "/v1/chat?stream=1", "stream", "gpt-5", "gpt-6"] {
        assert!(problem.contains(part), "`{part}` isn't in {problem}");
    }
    assert!(
        !problem.contains("temperature") || !problem.contains("0.25"),
        "equal parts: {problem}"
    );
    replay.terminate().expect_code(0).expect_said(&["miss"]);
}

#[test]
fn a_miss_without_any_recording_says_so() {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).start();
    let answer = replay.client().ask(&Ask::get("/").session("empty/one"));
    let problem = answer.problem(501, "miss");
    assert!(problem.contains("empty/one"), "{problem}");
}

#[test]
fn a_miss_leaves_the_connection_usable_although_it_had_a_body() {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).start();
    let mut connection = replay.client().connect();
    connection.ask(&Ask::post("/nowhere", vec![b'x'; 300_000]));
    connection.receive().problem(501, "miss");
    connection.ask(&Ask::get("/"));
    assert_eq!(connection.receive().text(), "x");
}

#[test]
fn a_missing_recording_directory_is_an_error_with_a_hint() {
    let ended = Ouli::command("replay").origin("http://a.example").run();
    ended.expect_code(1).expect_said(&["recordings", "hint", "ouli record"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_miss_of_head_has_no_body() {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.get("/")));
    let replay = Ouli::replay(recordings).start();
    let mut connection = replay.client().connect();
    connection.ask(&Ask::new("HEAD", "/nowhere"));
    let answer = connection.receive_for("HEAD").unwrap();
    assert_eq!((answer.status, answer.fault()), (501, Some("miss")));
    connection.ask(&Ask::get("/"));
    assert_eq!(connection.receive().text(), "x");
}
