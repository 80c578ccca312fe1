//! A person may edit a cassette by hand; what depends on the edit follows.

use crate::support::*;

#[test]
fn an_edited_text_changes_the_answer_and_its_length() {
    let origin = Origin::http1().route("/", |_| Reply::ok("the old answer"));
    let recordings = record(&origin, |client| drop(client.get("/")));
    recordings.edit("default", |text| text.replace("the old answer", "a new and longer answer"));
    let replay = Ouli::replay(recordings).start();
    let answer = replay.client().get("/");
    assert_eq!(answer.text(), "a new and longer answer");
    assert_eq!(answer.header("content-length"), Some("23"));
}

#[test]
fn an_edited_json_value_changes_the_answer() {
    let origin = Origin::http1().route("/", |_| Reply::json(r#"{"state":"pending"}"#));
    let recordings = record(&origin, |client| drop(client.get("/")));
    recordings.edit("default", |text| text.replace("pending", "confirmed"));
    let replay = Ouli::replay(recordings).start();
    assert_eq!(replay.client().get("/").json()["state"], "confirmed");
}

#[test]
fn an_edited_coded_body_is_coded_again() {
    let bytes = coded("gzip", br#"{"state":"pending"}"#);
    let origin = Origin::http1().route("/", move |_| {
        Reply::json("").header("content-encoding", "gzip").body(bytes.clone())
    });
    let recordings = record(&origin, |client| drop(client.get("/")));
    recordings.edit("default", |text| text.replace("pending", "confirmed"));
    let replay = Ouli::replay(recordings).start();
    let answer = replay.client().get("/");
    let plain = decoded("gzip", &answer.body);
    assert_eq!(String::from_utf8_lossy(&plain), r#"{"state":"confirmed"}"#);
}

#[test]
fn an_edited_request_matches_what_it_says_now() {
    let origin = Origin::http1().on("/*", |_| "found");
    let recordings = record(&origin, |client| {
        client.post("/old/path?a=1", r#"{"name":"old"}"#);
    });
    recordings.edit("default", |text| {
        text.replace("/old/path?a=1", "/new/path?b=2").replace("\"old\"", "\"new\"")
    });
    let replay = Ouli::replay(recordings).start();
    let answer = replay.client().post("/new/path?b=2", r#"{"name":"new"}"#);
    assert_eq!(answer.text(), "found");
    replay.client().post("/old/path?a=1", r#"{"name":"old"}"#).problem(501, "miss");
}

#[test]
fn edited_headers_and_status_are_sent() {
    let origin = Origin::http1().route("/", |_| Reply::ok("x").header("X-Limit", "100"));
    let recordings = record(&origin, |client| drop(client.get("/")));
    recordings.edit("default", |text| {
        let text = text.replace("\"status\": 200", "\"status\": 429").replace("\"OK\"", "\"Slow\"");
        text.replace("[\"X-Limit\", \"100\"]", "[\"X-Limit\", \"0\"],\n[\"Retry-After\", \"7\"]")
    });
    let replay = Ouli::replay(recordings).start();
    let answer = replay.client().get("/");
    assert_eq!((answer.status, answer.reason.as_str()), (429, "Slow"));
    assert_eq!((answer.header("x-limit"), answer.header("retry-after")), (Some("0"), Some("7")));
}

#[test]
fn a_body_file_that_is_gone_is_a_fault_of_the_cassette() {
    let origin = Origin::http1().route("/large", |_| vec![0xff; 200_000]).route("/small", |_| "x");
    let recordings = record(&origin, |client| {
        client.get("/large");
        client.get("/small");
    });
    std::fs::remove_dir_all(recordings.path.join("bodies")).unwrap();
    let replay = Ouli::replay(recordings.clone()).start();
    replay.client().get("/large").problem(500, "bad-cassette");
    replay.terminate().expect_code(1);
    let path = recordings.path.join("default.json").display().to_string();
    let checked = Ouli::command(&format!("check {path}")).run();
    assert_ne!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn crlf_line_ends_and_a_byte_order_mark_of_an_editor_do_no_harm() {
    let origin = Origin::http1().route("/", |_| Reply::json(r#"{"a":1}"#));
    let recordings = record(&origin, |client| drop(client.get("/")));
    recordings.edit("default", |text| text.replace('\n', "\r\n"));
    let replay = Ouli::replay(recordings).start();
    assert_eq!(replay.client().get("/").text(), r#"{"a":1}"#);
}
