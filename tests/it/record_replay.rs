//! The main job, end to end: record a program's traffic, stop the origin, replay it.

use crate::support::*;

#[test]
fn a_killed_recorder_keeps_every_exchange_its_client_saw_whole() {
    let origin = Origin::http1().route("/n", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    let seen = ouli.client().get_many("/n", 120);
    ouli.kill(); // SIGKILL: no drain, no flush.
    let replay = Ouli::replay(ouli.recordings()).start();
    assert_eq!(replay.client().get_many("/n", 120), seen);
}

#[test]
fn what_was_recorded_replays_the_same_after_the_origin_has_stopped() {
    let origin = Origin::http1()
        .route("/json", |n| Reply::json(&format!(r#"{{"n": {n}}}"#)).header("ETag", "\"v1\""))
        .route("/events", |_| Reply::events(["one", "two", "[DONE]"]))
        .on("/echo", |request| {
            Reply::new(201).header("X-Method", &request.method).body(request.body.clone())
        })
        .route("/gone", |_| Reply::new(404).body("not here"));
    let asks = [
        Ask::get("/json"),
        Ask::get("/events"),
        Ask::post("/echo", r#"{"a": 1}"#).header("content-type", "application/json"),
        Ask::new("PUT", "/echo").chunked(["in ", "chunks"]),
        Ask::new("DELETE", "/echo"),
        Ask::get("/gone"),
        Ask::get("/json"),
    ];
    let recorder = Ouli::record(&origin).start();
    let seen: Vec<_> = asks.iter().map(|ask| recorder.client().ask(ask)).collect();
    recorder.terminate().expect_code(0);
    origin.stop();

    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    let replayed: Vec<_> = asks.iter().map(|ask| replay.client().ask(ask)).collect();
    assert_eq!(replayed, seen);
    replay.terminate().expect_code(0);
}

#[test]
fn stdout_carries_a_line_for_each_endpoint_then_ready_and_nothing_more() {
    let origin = Origin::http1().route("/", |_| "x");
    for (setup, mode) in [(Ouli::record(&origin), "record"), (Ouli::auto(&origin), "auto")] {
        let ouli = setup.start();
        ouli.client().get("/");
        let address = ouli.address();
        let ended = ouli.terminate();
        let expected = format!("listening http://{address} -> {} ({mode})\nready\n", origin.url());
        assert_eq!(ended.stdout, expected);
    }
}

#[test]
fn the_summary_says_what_became_of_each_session() {
    let origin = Origin::http1().route("/*", |_| "x");
    let recorder = Ouli::record(&origin).start();
    recorder.client().get_many("/", 3);
    recorder.client().ask(&Ask::get("/a").session("other/one"));
    let ended = recorder.terminate();
    ended.expect_code(0).expect_said(&["default: 3 exchanges", "other/one: 1 exchange"]);

    let again = Ouli::record(&origin).recordings(&recorder.recordings()).start();
    again.client().get_many("/", 2);
    again.terminate().expect_said(&["default: 3 exchanges replaced by 2"]);
    let other = recorder.recordings().cassette_text("other/one");
    assert!(other.contains("/a"), "a session that wasn't recorded again stays: {other}");
}

#[test]
fn a_run_without_an_exchange_leaves_the_cassette_alone() {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.get("/")));
    let before = recordings.cassette_text("default");
    Ouli::record(&origin).recordings(&recordings).start().terminate().expect_code(0);
    assert_eq!(recordings.cassette_text("default"), before);
}

#[test]
fn sealing_leaves_only_cassettes_and_the_marker_for_git() {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.get("/")));
    assert_eq!(recordings.unsealed(), Vec::<String>::new());
    assert!(recordings.files().contains(&"default.json".to_owned()), "{:?}", recordings.files());
    assert!(recordings.path.join(".ouli/.gitignore").exists());
}

#[test]
fn auto_forwards_what_is_not_recorded_and_appends_it() {
    let origin = Origin::http1().on("/*", |request| request.target.clone());
    let recordings = record(&origin, |client| drop(client.get("/known")));

    let auto = Ouli::auto(&origin).recordings(&recordings).start();
    let answers = [auto.client().get("/known"), auto.client().get("/new")];
    assert_eq!(answers.each_ref().map(Response::text), ["/known", "/new"]);
    assert_eq!(origin.requests().len(), 2, "one while recording, one for what was new");
    auto.terminate().expect_code(0);

    origin.stop();
    let replay = Ouli::replay(recordings).option("--strict").start();
    assert_eq!(replay.client().get("/known").text(), "/known");
    assert_eq!(replay.client().get("/new").text(), "/new");
    replay.terminate().expect_code(0);
}

#[test]
fn auto_starts_without_any_recording() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let auto = Ouli::auto(&origin).start();
    assert_eq!(auto.client().get("/").text(), "1");
    auto.terminate().expect_code(0);
    let replay = Ouli::replay(auto.recordings()).start();
    assert_eq!(replay.client().get("/").text(), "1");
}

#[test]
fn sessions_are_kept_apart_and_their_header_goes_no_further() {
    let origin = Origin::http1().route("/*", |n| n.to_string());
    let recorder = Ouli::record(&origin).session("base").start();
    let ask = |name: &str, value: &str| Ask::get("/").header(name, value);
    recorder.client().ask(&ask("Ouli-Session", "checkout/pay"));
    recorder.client().ask(&ask("test-name", "TestPay"));
    recorder.client().get("/");
    recorder.terminate().expect_code(0);
    for request in origin.requests() {
        assert!(!request.headers.has("ouli-session") && !request.headers.has("test-name"));
    }
    let recordings = recorder.recordings();
    for session in ["checkout/pay", "TestPay", "base"] {
        let text = recordings.cassette_text(session).to_lowercase();
        assert!(!text.contains("ouli-session") && !text.contains("test-name"), "{text}");
    }

    let replay = Ouli::replay(recordings).session("base").start();
    assert_eq!(replay.client().ask(&ask("test-name", "TestPay")).text(), "2");
    assert_eq!(replay.client().ask(&ask("ouli-session", "checkout/pay")).text(), "1");
    assert_eq!(replay.client().get("/").text(), "3");
}
