//! Every fault is found, with its place and in words that help.

use proptest::prelude::*;

use super::*;
use crate::cassette::tests::Folder;
use crate::exchange::{Body, Version};

/// A small cassette with `%` replaced.
const PATTERN: &str = r#"{
  "format": 1,
  "endpoints": [
    {"name": "api", "listen": "127.0.0.1:80", "source_type": "http", "origin": "http://x:80"}
  ],
  "exchanges": [
    {
      "endpoint": "api",
      "recorded_at": "2026-11-20T09:12:33.125Z",
      "request": {"method": "GET", "target": "/"},
      "response": {"status": 200}
    }
  ]
}
"#;

/// `PATTERN` with one part exchanged for another.
fn with(part: &str, other: &str) -> String {
    assert_eq!(PATTERN.matches(part).count(), 1, "{part} should stand once");
    PATTERN.replace(part, other)
}

fn with_request(members: &str) -> String {
    with(r#"{"method": "GET", "target": "/"}"#, &format!("{{{members}}}"))
}

fn with_response(members: &str) -> String {
    with(r#"{"status": 200}"#, &format!("{{{members}}}"))
}

fn with_body(members: &str) -> String {
    with_response(&format!(r#""status": 200, "body": {{{members}}}"#))
}

/// Without descriptor sets.
fn read_alone(path: &Path) -> Result<Cassette, ReadError> {
    read(path, &Bodies::new(path), &Catalog::new())
}

/// `path | line:column message`, one per line.
fn findings(text: &str) -> String {
    let Err(findings) = read_bytes(text.as_bytes()) else { return "none".to_owned() };
    let line = |finding: Finding| {
        let Place { line, column } = finding.place.unwrap();
        format!("{} | {line}:{column} {}", finding.path, finding.message)
    };
    findings.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn expect(text: &str, expected: &str) {
    assert_eq!(findings(text), expected, "\n{text:.1000}");
}

/// Each case is the members of a request, a response or a body, and what is said of them.
#[track_caller]
fn expect_each(make: fn(&str) -> String, at: &str, cases: &[(&str, &str)]) {
    for (members, expected) in cases {
        expect(&make(members), &format!("{at}{expected}"));
    }
}

#[test]
fn what_a_person_leaves_out_has_a_default() {
    let text = PATTERN.replace("      \"recorded_at\": \"2026-11-20T09:12:33.125Z\",\n", "");
    let cassette = read_bytes(text.as_bytes()).unwrap();
    let exchange = &cassette.exchanges[0];
    assert_eq!(exchange.recorded_at_ms, 0);
    assert_eq!(exchange.request.head.version, Version::Http11);
    assert_eq!(exchange.response.body, Body::Absent);
    assert!(exchange.response.head.reason.is_empty());
}

#[test]
fn faults_of_the_outermost_level_are_told() {
    expect("", " | 1:1 expected a value, found the end of the file");
    expect("[]", " | 1:1 expected a cassette, which is an object, found an empty array");
    expect(
        "{}",
        " | 1:1 expected a key \"format\", found none\n \
         | 1:1 expected a key \"endpoints\", found none\n \
         | 1:1 expected a key \"exchanges\", found none",
    );
    expect(
        &with("\"format\": 1", "\"format\": \"1\""),
        "format | 2:13 expected the number of a format, found \"1\"",
    );
    expect(
        &with("\"format\": 1", "\"format\": 0"),
        "format | 2:13 expected the number of a format, found 0",
    );
    expect(
        &with("\"format\": 1", "\"format\": 1.0"),
        "format | 2:13 expected the number of a format, found 1.0",
    );
    expect(
        &with("\"exchanges\"", "\"exchange\""),
        " | 1:1 expected a key \"exchanges\", found none\n | 6:3 expected \"exchanges\", found \"exchange\"",
    );
    expect(
        r#"{"format": 1, "endpoints": {}, "exchanges": 5}"#,
        "endpoints | 1:28 expected an array of endpoints, found an empty object\n\
         exchanges | 1:45 expected an array of exchanges, found 5",
    );
    expect(
        r#"{"format": 1, "format": 2, "endpoints": [], "exchanges": []}"#,
        " | 1:15 expected each key once, found \"format\" again",
    );
    expect(
        r#"{"format": 1, "endpoints": [], "exchanges": []} x"#,
        " | 1:49 expected nothing more, found `x`",
    );
}

#[test]
fn a_newer_format_is_the_only_thing_said() {
    let message = "expected a format up to 1 (a newer Ouli wrote this cassette), found 2";
    let text = r#"{"format": 2, "new": true, "exchanges": {"new": []}}"#;
    expect(text, &format!("format | 1:12 {message}"));
    let text = r#"{"exchanges": [{"new": []}], "format": 2}"#;
    expect(text, &format!("format | 1:40 {message}"));
}

#[test]
fn faults_of_endpoints_are_told() {
    let endpoint = r#"{"name": "api", "listen": "127.0.0.1:80", "source_type": "http", "origin": "http://x:80"}"#;
    let other = endpoint.replace("http://x:80", "x");
    expect(
        &with(endpoint, &other),
        "endpoints[0].origin | 4:80 expected an origin such as \"https://api.example.com:443\", found \"x\"",
    );
    let other = endpoint.replace("127.0.0.1:80", "localhost:80");
    expect(
        &with(endpoint, &other),
        "endpoints[0].listen | 4:31 expected an address and a port such as \"127.0.0.1:8080\", found \"localhost:80\"",
    );
    let other = endpoint.replace("\"http\"", "\"h2c\"");
    expect(
        &with(endpoint, &other),
        "endpoints[0].source_type | 4:62 expected \"http\" or \"https\", found \"h2c\"",
    );
    let twice = format!("{endpoint},\n    {endpoint}");
    expect(
        &with(endpoint, &twice),
        "endpoints[1].name | 5:14 expected a name that no other endpoint has, found \"api\"",
    );
    expect(
        &with(endpoint, "{\"name\": \"\"}"),
        "endpoints[0] | 4:5 expected a key \"listen\", found none\n\
        endpoints[0] | 4:5 expected a key \"source_type\", found none\n\
        endpoints[0] | 4:5 expected a key \"origin\", found none\n\
        endpoints[0].name | 4:14 expected the endpoint's name, found \"\"",
    );
}

#[test]
fn an_endpoint_that_is_not_listed_is_told_wherever_the_list_stands() {
    let expected = "exchanges[0].endpoint | 8:19 expected the endpoint \"api\", found \"apy\"";
    expect(&with("\"endpoint\": \"api\"", "\"endpoint\": \"apy\""), expected);
    expect(
        &with("\"endpoint\": \"api\"", "\"endpoint\": \"unheard\""),
        "exchanges[0].endpoint | 8:19 expected one of the endpoints api, found \"unheard\"",
    );
}

#[test]
fn faults_of_an_exchange_are_told_all_at_once() {
    let text = with("\"2026-11-20T09:12:33.125Z\"", "12");
    let text = text.replace("\"GET\"", "\"G ET\"").replace("200", "\"OK\"");
    expect(
        &text,
        "exchanges[0].recorded_at | 9:22 expected a time such as \"2026-11-20T09:12:33.125Z\", found 12\n\
         exchanges[0].request.method | 10:29 expected a method such as \"GET\", found \"G ET\"\n\
         exchanges[0].response.status | 11:30 expected a status between 200 and 999, found \"OK\"",
    );
}

#[test]
fn faults_of_a_request_are_told() {
    let target = "expected a request target such as \"/path?query\", found";
    let cases = [
        (r#""target": "/""#, " | 10:18 expected a key \"method\", found none"),
        (
            r#""method": "", "target": "/""#,
            ".method | 10:29 expected a method such as \"GET\", found \"\"",
        ),
        (r#""method": "GET", "target": "/a b""#, &format!(".target | 10:46 {target} \"/a b\"")),
        (
            r#""method": "GET", "target": "/\r\nX: y""#,
            &format!(".target | 10:46 {target} \"/\\r\\nX: y\""),
        ),
        (r#""method": "GET", "target": null"#, &format!(".target | 10:46 {target} null")),
        (
            r#""method": "GET", "target": "/", "version": "1.1""#,
            ".version | 10:62 expected one of \"HTTP/1.0\", \"HTTP/1.1\", \"HTTP/2\", found \"1.1\"",
        ),
        (
            r#""method": "GET", "target": "/", "headrs": []"#,
            " | 10:51 expected \"headers\", found \"headrs\"",
        ),
        (
            r#""method": "GET", "target": "/", "xyz": []"#,
            " | 10:51 expected one of the keys method, target, version, headers, body, trailers, incomplete, found \"xyz\"",
        ),
    ];
    expect_each(with_request, "exchanges[0].request", &cases);
    expect(
        &with_request(r#""method": "GET", "target": "/", "method": "PUT""#),
        "exchanges[0] | 10:51 expected each key once, found \"method\" again",
    );
}

#[test]
fn faults_of_a_response_are_told() {
    let status = "expected a status between 200 and 999, found";
    let cases = [
        ("", " | 11:19 expected a key \"status\", found none"),
        (
            r#""status": 101"#,
            ".status | 11:30 expected a status between 200 and 999, since there is no \"conversation\", found 101",
        ),
        (r#""status": 1000"#, &format!(".status | 11:30 {status} 1000")),
        (r#""status": -200"#, &format!(".status | 11:30 {status} -200")),
        (r#""status": 2e2"#, &format!(".status | 11:30 {status} 2e2")),
        (
            &format!(r#""status": {}"#, "9".repeat(100)),
            &format!(".status | 11:30 {status} {}…", "9".repeat(40)),
        ),
        (
            r#""status": 200, "at_ms": 1.5"#,
            ".at_ms | 11:44 expected a whole number of milliseconds, found 1.5",
        ),
        (
            r#""status": 200, "reason": "A\r\nB""#,
            ".reason | 11:45 expected a reason without line breaks, found \"A\\r\\nB\"",
        ),
        (
            r#""status": 200, "reason": 5"#,
            ".reason | 11:45 expected a reason such as \"OK\", found 5",
        ),
        (
            r#""status": 200, "end": "cut""#,
            ".end | 11:42 expected one of \"whole\", \"cut_by_origin\", \"reset_by_origin\", \"left_by_client\", \"recorder_killed\", found \"cut\"",
        ),
        (
            r#""status": 200, "interim": [{"status": 101}, {"status": 100, "body": {}}]"#,
            ".interim[0].status | 11:58 expected a status between 100 and 199 other than 101, found 101\n\
             exchanges[0].response.interim[1] | 11:80 expected one of the keys status, reason, version, headers, found \"body\"",
        ),
    ];
    expect_each(with_response, "exchanges[0].response", &cases);
}

#[test]
fn faults_of_headers_are_told() {
    let pair = "expected a pair such as [\"Content-Type\", \"text/plain\"], found";
    let name = "expected a field name such as \"Content-Type\", found";
    let cases = [
        (r#"{"A": "b"}"#, " | 11:46 expected an array of [name, value] pairs, found an object"),
        (r#"["A: b"]"#, &format!("[0] | 11:47 {pair} \"A: b\"")),
        (r#"[["A"]]"#, &format!("[0] | 11:47 {pair} an array")),
        (r#"[["A", "b", "c"]]"#, &format!("[0] | 11:47 {pair} an array")),
        (r#"[["A b", ""]]"#, &format!("[0][0] | 11:48 {name} \"A b\"")),
        (r#"[["A:", ""]]"#, &format!("[0][0] | 11:48 {name} \"A:\"")),
        (r#"[["", ""]]"#, &format!("[0][0] | 11:48 {name} \"\"")),
        (
            r#"[["A", "b\nC: d"], ["A", 5]]"#,
            "[0][1] | 11:53 expected a field value without line breaks, found \"b\\nC: d\"\n\
             exchanges[0].response.headers[1][1] | 11:71 expected a field value, which is a string, found 5",
        ),
        (
            r#"[["A", {"base64": "AA"}]]"#,
            "[0][1].base64 | 11:64 expected base64 with its padding (RFC 4648 section 4), found \"AA\"",
        ),
        (
            r#"[["A", {"base64": "DQo="}]]"#,
            "[0][1] | 11:53 expected a field value without line breaks, found an object",
        ),
    ];
    for (headers, expected) in cases {
        let text = with_response(&format!(r#""status": 200, "headers": {headers}"#));
        expect(&text, &format!("exchanges[0].response.headers{expected}"));
    }
}

#[test]
fn faults_of_bodies_are_told() {
    let contents = "json, text, base64, file, omitted, stream, messages";
    let hex = "0123456789abcdef".repeat(4);
    let cases = [
        ("", &*format!(" | 11:43 expected one of the keys {contents}, found none")),
        (r#""text": "a", "json": 1"#, " | 11:57 expected one content, found \"json\" and \"text\""),
        (r#""text": 5"#, ".text | 11:52 expected a string or an array of lines, found 5"),
        (r#""text": ["a", 5]"#, ".text[1] | 11:58 expected a line, which is a string, found 5"),
        (
            r#""base64": "a-_b""#,
            ".base64 | 11:54 expected base64 with its padding (RFC 4648 section 4), found \"a-_b\"",
        ),
        (
            r#""json": {}, "json_style": "pretty""#,
            ".json_style | 11:70 expected a JSON style such as \"spaced\" or \"indent 2, newline\", found \"pretty\"",
        ),
        (
            r#""text": "a", "json_style": "tab""#,
            " | 11:57 expected a key \"json\" beside \"json_style\", found none",
        ),
        (
            r#""coding": "lzma", "text": "a""#,
            ".coding | 11:54 expected one of \"gzip\", \"deflate\", \"br\", \"zstd\", found \"lzma\"",
        ),
        (
            r#""coding": "gzip", "text": "a""#,
            ".coding | 11:54 expected no coding, since no Content-Encoding header names just one, found \"gzip\"",
        ),
        (
            r#""file": {"sha256": "../../etc/passwd", "bytes": -1}"#,
            ".file.sha256 | 11:63 expected a SHA-256 digest of 64 lower-case hexadecimal digits, found \"../../etc/passwd\"\n\
             exchanges[0].response.body.file.bytes | 11:92 expected a whole number of bytes, found -1",
        ),
        (
            &format!(r#""file": {{"sha256": "{hex}"}}"#),
            ".file | 11:52 expected a key \"bytes\", found none",
        ),
        (r#""omitted": 5"#, ".omitted | 11:55 expected an object with sha256 and bytes, found 5"),
        (
            r#""stream": [{"text": ""}, {"at_ms": 1}, {"at_ms": 1, "text": "", "base64": ""}, 5]"#,
            ".stream[0] | 11:55 expected a key \"at_ms\", found none\n\
             exchanges[0].response.body.stream[1] | 11:69 expected one of the keys text, base64, found none\n\
             exchanges[0].response.body.stream[2] | 11:83 expected one of text and base64, found both\n\
             exchanges[0].response.body.stream[3] | 11:123 expected a piece, which is an object, found 5",
        ),
    ];
    expect_each(with_body, "exchanges[0].response.body", &cases);
}

#[test]
fn a_coding_other_than_the_headers_is_told() {
    let text = with_response(
        r#""status": 200, "headers": [["content-encoding", "br"]], "body": {"coding": "gzip", "text": ""}"#,
    );
    expect(
        &text,
        "exchanges[0].response.body.coding | 11:95 expected \"br\", the coding that the headers name, found \"gzip\"",
    );
}

#[test]
fn where_the_text_stops_being_json_what_came_before_is_still_judged() {
    let text = with("\"GET\"", "5")
        .replace("{\"status\": 200}\n    }", "{\"status\": 200}\n    },\n    {oops}");
    expect(
        &text,
        "exchanges[0].request.method | 10:29 expected a method such as \"GET\", found 5\n \
         | 13:6 expected a key in double quotes, found `o`",
    );
}

#[test]
fn a_byte_that_is_no_text_is_told() {
    let mut bytes = PATTERN.as_bytes().to_vec();
    let at = PATTERN.find("GET").unwrap();
    bytes[at] = 0xff;
    let findings = read_bytes(&bytes).unwrap_err();
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].to_string(),
        "line 10, column 30: expected UTF-8 text, found the byte 0xff"
    );
}

#[test]
fn a_byte_order_mark_and_other_line_ends_are_taken() {
    let text = format!("\u{feff}{}", PATTERN.replace('\n', "\r\n"));
    assert!(read_bytes(text.as_bytes()).is_ok());
    let text = text.replace("200", "2");
    let status = "expected a status between 200 and 999, found 2";
    expect(&text, &format!("exchanges[0].response.status | 11:30 {status}"));
}

#[test]
fn hostile_files_are_refused_quickly() {
    let deep = with_body(&format!(r#""json": {}"#, "[".repeat(500_000)));
    expect(&deep, " | 11:239 expected at most 192 levels of nesting, found more");
    let rows = "[".repeat(150) + &"1,".repeat(60_000) + "1" + &"]".repeat(150);
    let wide = with_body(&format!(r#""json": {rows}, "json_style": "indent 8""#));
    let message = "expected at most 67108864 bytes in this style, found more";
    expect(&wide, &format!("exchanges[0].response.body.json | 11:52 {message}"));
    let many = with_response(&format!(r#""status": 200, "headers": [{}1]"#, "1,".repeat(100_000)));
    assert_eq!(read_bytes(many.as_bytes()).unwrap_err().len(), FINDINGS_MAX + 1);
}

#[test]
fn the_first_fault_is_what_a_failed_read_tells() {
    let folder = Folder::new();
    let path = folder.dir.path().join("login.json");
    std::fs::write(&path, with("200", "\"OK\"").replace("\"GET\"", "1")).unwrap();
    let error = read_alone(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("could not open the cassette `{}`", path.display()));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "line 10, column 29: expected a method such as \"GET\", found 1");
    assert!(matches!(&error, ReadError::Faulty { more: 1, .. }));
    assert_eq!(
        error.hint().unwrap(),
        format!("`ouli check {}` lists every fault in it", path.display())
    );
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let folder = Folder::new();
    let path = folder.dir.path().join("none.json");
    assert!(matches!(read_alone(&path), Err(ReadError::Unreadable { .. })));
    assert!(matches!(read_endpoints(&path), Err(ReadError::Unreadable { .. })));
    let findings = check(&path, folder.dir.path());
    assert_eq!((findings.len(), findings[0].place), (1, None));
    // A folder can't be read either.
    assert!(matches!(read_alone(folder.dir.path()), Err(ReadError::Unreadable { .. })));
}

#[test]
fn a_check_reads_the_body_files() {
    let folder = Folder::new();
    let digest = folder.bodies.store(b"large").unwrap();
    let file = |len| format!(r#""file": {{"sha256": "{digest}", "bytes": {len}}}"#);
    let path = folder.dir.path().join("a.json");
    let said = |text: String| {
        std::fs::write(&path, text).unwrap();
        assert!(read_alone(&path).is_ok(), "files matter only when they are used");
        let findings = check(&path, folder.dir.path());
        findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
    };
    let name = folder.bodies.path_of(digest).display().to_string();
    assert_eq!(said(with_body(&file(5))), "");
    assert_eq!(
        said(with_body(&file(6))),
        format!("line 11, column 52: the body file `{name}` has 5 bytes where the cassette says 6")
    );
    std::fs::write(&name, b"lar9e").unwrap();
    assert!(said(with_body(&file(5))).contains("is not what its name says"));
    std::fs::remove_file(&name).unwrap();
    assert_eq!(
        said(with_body(&file(5))),
        format!("line 11, column 52: the body file `{name}` is missing")
    );
}

proptest! {
    #[test]
    fn no_edit_of_a_cassette_makes_the_reader_panic(
        at in 0usize..400,
        cut in 0usize..30,
        put in r#"([\[\]{}:,"\\ 0-9eé]|null|"text"|"json"){0,6}"#,
    ) {
        let text = with_body(r#""stream": [{"at_ms": 1, "text": ["a", ""]}, {"at_ms": 2, "base64": "AA=="}]"#);
        let mut bytes = text.into_bytes();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put.bytes());
        crate::cassette::property::reading(&bytes);
    }

    #[test]
    fn no_edit_of_a_call_makes_the_reader_panic(
        at in 200usize..1100,
        cut in 0usize..30,
        put in r#"([\[\]{}:,"\\ 0-9]|null|true|"rest"|"json"|"after"|"as_sent"){0,6}"#,
    ) {
        let grpc = r#""headers": [["content-type", "application/grpc"], ["grpc-encoding", "gzip"]]"#;
        let text = with(
            r#"{"method": "GET", "target": "/"}"#,
            &format!(
                r#"{{"method": "POST", "target": "/a.B/C", {grpc}, "incomplete": true, "body": {{
                  "messages": [{{"at_ms": 1, "base64": ""}}, {{"at_ms": 2, "rest": "AAA="}}]}}}}"#
            ),
        );
        let text = text.replace(
            r#"{"status": 200}"#,
            &format!(
                r#"{{"after": 0, "status": 200, {grpc}, "body": {{"messages": [
                  {{"at_ms": 3, "after": 1, "compressed": true, "base64": "AAA="}},
                  {{"at_ms": 3, "compressed": "as_sent", "text": "x"}}]}}, "end_after": 1}}"#
            ),
        );
        assert_eq!(findings(&text), "none");
        let mut bytes = text.into_bytes();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put.bytes());
        crate::cassette::property::reading(&bytes);
    }
}
