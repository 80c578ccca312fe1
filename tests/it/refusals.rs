//! Malformed requests: each gets its fault and loses its connection; nothing of it is forwarded or
//! recorded, and the program goes on unharmed.

use crate::support::*;

/// What is wrong, the bytes, and the status and fault they get.
struct Case {
    what: &'static str,
    bytes: Vec<u8>,
    status: u16,
    fault: &'static str,
}

fn bad(what: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
    Case { what, bytes: bytes.into(), status: 400, fault: "bad-request" }
}

/// A request whose fields are these lines, after a Host.
fn fields(what: &'static str, lines: &str) -> Case {
    bad(what, format!("POST / HTTP/1.1\r\nhost: x\r\n{lines}\r\n\r\n"))
}

fn line_ends() -> Vec<Case> {
    vec![
        bad("bare LF throughout", "GET / HTTP/1.1\nhost: x\n\n"),
        bad("bare LF after the request line", "GET / HTTP/1.1\nhost: x\r\n\r\n"),
        bad("bare LF after a field", "GET / HTTP/1.1\r\nhost: x\na: b\r\n\r\n"),
        bad("bare LF as the end", "GET / HTTP/1.1\r\nhost: x\r\n\n"),
        bad("bare CR in a value", "GET / HTTP/1.1\r\nhost: x\r\na: b\rc: d\r\n\r\n"),
        bad("NUL in a value", &b"GET / HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n"[..]),
        fields("a folded field", "a: b\r\n c"),
        fields("a folded field, with a tab", "a: b\r\n\tc"),
        bad("a folded first field", "GET / HTTP/1.1\r\n host: x\r\n\r\n"),
    ]
}

fn request_lines() -> Vec<Case> {
    let line = |what, line: &str| bad(what, format!("{line}\r\nhost: x\r\n\r\n"));
    vec![
        line("no version", "GET /"),
        line("no target", "GET HTTP/1.1"),
        line("an empty target", "GET  HTTP/1.1"),
        line("two blanks", "GET /  HTTP/1.1"),
        line("a blank in the target", "GET /a b HTTP/1.1"),
        line("a target without slash", "GET a HTTP/1.1"),
        line("a method that is no token", "G(T / HTTP/1.1"),
        line("a blank first", " GET / HTTP/1.1"),
        line("a version in lower case", "GET / http/1.1"),
        line("a version without dot", "GET / HTTP/1"),
        line("a long version", "GET / HTTP/1.10"),
        line("another major version", "GET / HTTP/3.0"),
        line("another protocol", "GET / ICAP/1.1"),
        bad("a control character in the target", &b"GET /\x01 HTTP/1.1\r\nhost: x\r\n\r\n"[..]),
        bad("rubbish", &b"\x80\x81\x82\x83\r\n\r\n"[..]),
    ]
}

fn field_lines() -> Vec<Case> {
    vec![
        fields("a blank before the colon", "a : b"),
        fields("no colon", "a"),
        fields("no name", ": b"),
        fields("a name that is no token", "a(b: c"),
        fields("a name in UTF-8", "n\u{e4}me: c"),
        fields("a second Host", "Host: y"),
        fields("the same Host twice", "host: x"),
        bad("no Host", "GET / HTTP/1.1\r\na: b\r\n\r\n"),
        bad("two values in Host", "GET / HTTP/1.1\r\nhost: a, b\r\n\r\n"),
        bad("a Host that is no host", "GET / HTTP/1.1\r\nhost: a/b@c\r\n\r\n"),
    ]
}

fn framing_fields() -> Vec<Case> {
    vec![
        fields("a length and chunked", "content-length: 4\r\ntransfer-encoding: chunked"),
        fields("chunked and a length", "Transfer-Encoding: chunked\r\nContent-Length: 4"),
        fields("two lengths", "content-length: 4\r\ncontent-length: 5"),
        fields("the same length twice", "content-length: 4\r\ncontent-length: 4"),
        fields("two lengths in one line", "content-length: 4, 4"),
        fields("a length with a sign", "content-length: +4"),
        fields("a negative length", "content-length: -1"),
        fields("a length in hex", "content-length: 0x4"),
        fields("an empty length", "content-length:"),
        fields("a length with a blank", "content-length: 4 4"),
        fields("a length past 64 bits", "content-length: 99999999999999999999"),
        fields("a coding that isn't the last", "transfer-encoding: chunked, gzip"),
        fields("chunked twice", "transfer-encoding: chunked, chunked"),
        fields("chunked in two lines", "transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        fields("an unknown coding", "transfer-encoding: xchunked"),
        fields("identity", "transfer-encoding: identity"),
        fields("an empty coding", "transfer-encoding:"),
        bad(
            "chunked in HTTP/1.0",
            "POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ]
}

fn too_large() -> Vec<Case> {
    let large =
        |what, bytes: String, status, fault| Case { what, bytes: bytes.into(), status, fault };
    let many = "a: b\r\n".repeat(101);
    let fill = "x".repeat(70 << 10);
    let head = |rest: &str| format!("GET / HTTP/1.1\r\nhost: x\r\n{rest}\r\n");
    vec![
        large("too many fields", head(&many), 431, "head-too-large"),
        large("one field too large", head(&format!("a: {fill}\r\n")), 431, "head-too-large"),
        large("a head without end", format!("GET / HTTP/1.1\r\na: {fill}"), 431, "head-too-large"),
        large(
            "a target too long",
            format!("GET /{fill} HTTP/1.1\r\nhost: x\r\n\r\n"),
            414,
            "uri-too-long",
        ),
        large("a target without end", format!("GET /{fill}{fill}"), 414, "uri-too-long"),
    ]
}

/// Sends each case over a connection of its own and expects its fault and the connection's end.
#[track_caller]
fn refuses(ouli: &Ouli, cases: Vec<Case>) {
    for Case { what, bytes, status, fault } in cases {
        let mut connection = ouli.client().connect();
        connection.send(&bytes);
        let answer = connection.receive_for("GET").unwrap_or_else(|f| panic!("{what}: {f}"));
        assert_eq!((answer.status, answer.fault()), (status, Some(fault)), "{what}: {answer:?}");
        answer.problem(status, fault);
        assert!(answer.headers.lists("connection", "close"), "{what}: {answer:?}");
        connection.expect_close();
    }
    assert_eq!(ouli.client().get("/good").text(), "good", "the program goes on");
}

#[track_caller]
fn refused_while_recording(cases: Vec<Case>) {
    let mut counts = std::collections::BTreeMap::new();
    cases.iter().for_each(|case| *counts.entry(case.fault).or_insert(0) += 1);
    let origin = Origin::http1().route("/good", |_| "good");
    let ouli = Ouli::record(&origin).start();
    refuses(&ouli, cases);
    let ended = ouli.terminate();
    ended.expect_code(0).expect_said(&["default: 1 exchange"]);
    for (fault, count) in counts {
        ended.expect_said(&[&format!("{fault}: {count}")]);
    }
    assert_eq!(origin.requests().len(), 1, "only the good one was forwarded");
    let kept = ouli.recordings().cassette_text("default");
    assert_eq!(kept.matches("/good").count(), 1, "{kept}");
}

#[test]
fn other_line_ends_than_cr_lf() {
    refused_while_recording(line_ends());
}

#[test]
fn malformed_request_lines() {
    refused_while_recording(request_lines());
}

#[test]
fn malformed_fields_and_hosts() {
    refused_while_recording(field_lines());
}

#[test]
fn ambiguous_framing() {
    refused_while_recording(framing_fields());
}

#[test]
fn heads_that_are_too_large() {
    refused_while_recording(too_large());
}

#[test]
fn replay_refuses_what_record_refuses() {
    let origin = Origin::http1().route("/good", |_| "good");
    let recordings = record(&origin, |client| drop(client.get("/good")));
    let replay = Ouli::replay(recordings).start();
    let cases = [line_ends(), request_lines(), field_lines(), framing_fields(), too_large()];
    refuses(&replay, cases.into_iter().flatten().collect());
    replay.terminate().expect_code(0);
}

#[test]
fn a_refusal_says_why() {
    let origin = Origin::http1();
    let ouli = Ouli::record(&origin).start();
    let reasons = [
        ("GET / HTTP/1.1\nhost: x\n\n", "line feed"),
        ("GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", "Host"),
        ("GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n", "fold"),
        (
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "Transfer-Encoding",
        ),
    ];
    for (bytes, reason) in reasons {
        let mut connection = ouli.client().connect();
        connection.send(bytes);
        let problem = connection.receive().problem(400, "bad-request");
        assert!(problem.to_lowercase().contains(&reason.to_lowercase()), "{reason}: {problem}");
    }
}

#[test]
fn what_is_no_http_is_closed_without_an_answer() {
    let origin = Origin::http1().route("/good", |_| "good");
    let ouli = Ouli::record(&origin).start();
    let preface = "INVALID CONNECTION PREFACE\r\n\r\n";
    let mut connection = ouli.client().connect();
    connection.send(preface);
    connection.expect_close();
    // Behind a request it is a malformed one.
    let mut connection = ouli.client().connect();
    connection.send(format!("GET /good HTTP/1.1\r\nhost: x\r\n\r\n{preface}"));
    assert_eq!(connection.receive().text(), "good");
    connection.receive().problem(400, "bad-request");
    connection.expect_close();
}

#[test]
fn a_malformed_request_behind_a_good_one_costs_only_itself() {
    let origin = Origin::http1().route("/good", |_| "good");
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("GET /good HTTP/1.1\r\nhost: x\r\n\r\nGET /bad HTTP/1.1\nhost: x\n\n");
    assert_eq!(connection.receive().text(), "good");
    connection.receive().problem(400, "bad-request");
    connection.expect_close();
}

#[test]
fn what_follows_a_refused_head_is_never_read_as_a_request() {
    let origin = Origin::http1().route("/*", |_| "x");
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
    );
    connection.receive().problem(400, "bad-request");
    connection.expect_close();
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_malformed_body_never_becomes_a_whole_request() {
    let bodies = [
        ("no size", "\r\nabc\r\n0\r\n\r\n"),
        ("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
        ("a size in letters", "xyz\r\nabc\r\n0\r\n\r\n"),
        ("a size past 64 bits", "fffffffffffffffff\r\nabc"),
        ("a chunk longer than its size", "2\r\nabc\r\n0\r\n\r\n"),
        ("a bare LF after the size", "3\nabc\r\n0\r\n\r\n"),
        ("a bare LF after the chunk", "3\r\nabc\n0\r\n\r\n"),
        ("a malformed trailer", "3\r\nabc\r\n0\r\na b: c\r\n\r\n"),
    ];
    let origin = Origin::http1().on("/*", |request| request.body.clone());
    let ouli = Ouli::record(&origin).start();
    for (what, body) in bodies {
        let mut connection = ouli.client().connect();
        connection.send("POST /bad HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
        connection.send(body);
        let answer = connection.receive_for("POST").unwrap_or_else(|f| panic!("{what}: {f}"));
        assert_eq!((answer.status, answer.fault()), (400, Some("bad-request")), "{what}");
        connection.expect_close();
    }
    ouli.client().get("/good");
    ouli.terminate().expect_code(0);
    assert!(origin.requests().iter().all(|r| r.path() == "/good" || !r.whole), "forwarded whole");
    assert!(!ouli.recordings().cassette_text("default").contains("/bad"));
}

#[test]
fn a_connection_that_ends_inside_a_head_leaves_no_trace() {
    let origin = Origin::http1().route("/good", |_| "good");
    let ouli = Ouli::record(&origin).start();
    for part in ["", "G", "GET / HTTP/1.1\r\nhost: x\r\n", "\r\n"] {
        let mut connection = ouli.client().connect();
        connection.send(part);
        drop(connection);
    }
    assert_eq!(ouli.client().get("/good").text(), "good");
    ouli.terminate().expect_code(0);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn bytes_of_other_protocols_do_no_harm() {
    let origin = Origin::http1().route("/good", |_| "good");
    let ouli = Ouli::record(&origin).start();
    let tls_hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let ssh: &[u8] = b"SSH-2.0-OpenSSH_9.2\r\n";
    let zeros: &[u8] = &[0; 100_000];
    for bytes in [tls_hello, ssh, zeros] {
        let mut connection = ouli.client().connect();
        connection.send(bytes);
        connection.finish_sending();
        let (_, ending) = connection.read_to_end();
        assert_ne!(ending, Ending::Silence);
    }
    assert_eq!(ouli.client().get("/good").text(), "good");
}

#[test]
fn bad_session_names_are_refused_and_never_become_paths() {
    let origin = Origin::http1().route("/*", |_| "x");
    let ouli = Ouli::record(&origin).start();
    let long = "x".repeat(201);
    let names = [
        "..",
        "../up",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        ".hidden",
        "a/.hidden",
        "a\\b",
        "a.json",
        "a.json/b",
        "bodies",
        "bodies/a",
        ".ouli/a",
        "a\tb",
        "",
        &long,
    ];
    for name in names {
        let answer = ouli.client().ask(&Ask::get("/").session(name));
        assert_eq!((answer.status, answer.fault()), (400, Some("bad-session")), "`{name}`");
    }
    let fine = "x".repeat(200);
    for name in ["a/b/c", "Test_One-2", "caf\u{c3}\u{a9}", "a b", "a.b", &fine] {
        assert_eq!(ouli.client().ask(&Ask::get("/").session(name)).status, 200, "`{name}`");
    }
    assert_eq!(origin.requests().len(), 6);
}

#[test]
fn a_bad_session_on_the_command_line_is_bad_usage() {
    let origin = Origin::http1();
    for name in ["../up", "a.json"] {
        Ouli::record(&origin)
            .session(name)
            .run()
            .expect_code(2)
            .expect_said(&["--session", "hint"]);
    }
}
