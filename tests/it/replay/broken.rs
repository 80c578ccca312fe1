//! Cassettes that don't parse: said with file, line, column and what was expected.

use std::fs;

use crate::support::*;

fn with_cassette(text: &str) -> Recordings {
    let origin = Origin::http1().route("/", |_| "x");
    let recordings = record(&origin, |client| drop(client.ask(&Ask::get("/").session("fine"))));
    fs::write(recordings.path.join("default.json"), text).unwrap();
    recordings
}

#[test]
fn a_broken_cassette_is_reported_on_first_use_and_at_the_end() {
    let recordings = with_cassette("{\n  \"format\": 1,\n  \"exchanges\": [}\n");
    let replay = Ouli::replay(recordings).start();
    assert_eq!(replay.client().ask(&Ask::get("/").session("fine")).text(), "x");
    let problem = replay.client().get("/").problem(500, "bad-cassette");
    assert!(problem.contains("default.json") && problem.contains('3'), "place: {problem}");
    replay.client().get("/").problem(500, "bad-cassette");
    replay.terminate().expect_code(1).expect_said(&["default.json"]);
}

#[test]
fn a_broken_cassette_that_nobody_uses_does_no_harm() {
    let recordings = with_cassette("not json");
    let replay = Ouli::replay(recordings).start();
    assert_eq!(replay.client().ask(&Ask::get("/").session("fine")).text(), "x");
    replay.terminate().expect_code(0);
}

#[test]
fn strict_reports_it_at_start() {
    let recordings = with_cassette("{\n  \"format\": 1,\n  \"exchanges\": [}\n");
    let ended = Ouli::replay(recordings).option("--strict").run();
    ended.expect_code(1).expect_said(&["default.json", "line 3", "column 17", "expected"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn check_reports_every_fault_with_its_place() {
    let origin = Origin::http1().route("/", |_| Reply::json("{}"));
    let recordings = record(&origin, |client| drop(client.get_many("/", 2)));
    let path = recordings.path.join("default.json").display().to_string();
    let fine = Ouli::command(&format!("check {path}")).run();
    fine.expect_code(0);
    assert_eq!(fine.stdout, "");

    recordings.edit("default", |text| {
        let text = text.replacen("\"status\": 200", "\"status\": \"OK\"", 1);
        let last = text.rfind("\"GET\"").unwrap();
        format!("{}17{}", &text[..last], &text[last + 5..])
    });
    let text = recordings.cassette_text("default");
    let line_of = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let (status, method) = (line_of("\"OK\""), line_of("\"method\": 17"));
    let ended = Ouli::command(&format!("check {path}")).run();
    assert!(matches!(ended.code, Some(1 | 3)), "{ended:?}");
    ended.expect_said(&["default.json", "status", "method"]);
    ended.expect_said(&[&status.to_string(), &method.to_string(), "expected"]);
    assert_eq!(ended.stdout, "", "faults go to stderr");
}

#[test]
fn check_reports_faults_of_a_configuration() {
    let ended = Ouli::command("check").config("[limits]\nmax_conections = 1\n").run();
    assert_ne!(ended.code, Some(0));
    ended.expect_said(&["ouli.toml", "max_conections", "max_connections"]);
    let origin = Origin::http1();
    Ouli::command("check").config(&one_endpoint(&origin, "")).run().expect_code(0);
}

#[test]
fn a_cassette_of_a_later_format_is_not_guessed_at() {
    let recordings = with_cassette("{\"format\": 99, \"exchanges\": []}\n");
    let ended = Ouli::replay(recordings).option("--strict").run();
    ended.expect_code(1).expect_said(&["99"]);
}

#[test]
fn a_broken_cassette_is_never_overwritten_by_auto() {
    let broken = "{\n  \"format\": 1, oops\n";
    let recordings = with_cassette(broken);
    let origin = Origin::http1().route("/", |_| "x");
    let auto = Ouli::auto(&origin).recordings(&recordings).start();
    auto.client().get("/").problem(500, "bad-cassette");
    auto.terminate().expect_code(1);
    assert_eq!(recordings.cassette_text("default"), broken);
}
