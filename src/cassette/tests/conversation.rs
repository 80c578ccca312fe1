//! WebSocket conversations: what is kept of them, how it reads, and what may be done to it by hand.

use super::*;
use crate::cassette::read::check;

fn message(at: u64, after: After, kind: Kind, bytes: &[u8]) -> Message {
    Message {
        at: Duration::from_millis(at),
        after,
        kind,
        compression: Compression::None,
        payload: Payload::Bytes(Bytes::copy_from_slice(bytes)),
    }
}

fn text(at: u64, text: &str) -> Message {
    message(at, After::End, Kind::Text, text.as_bytes())
}

fn binary(at: u64, bytes: &[u8]) -> Message {
    message(at, After::End, Kind::Binary, bytes)
}

/// The same, said by the origin once the client had said so much.
fn after(count: u32, message: Message) -> Message {
    Message { after: After::Messages(count), ..message }
}

pub(super) fn handshake(granted: &str) -> Exchange {
    let mut one = exchange();
    one.request.head.target = "/feed".to_owned();
    one.request.head.fields =
        Fields::from_iter([("Upgrade", "websocket"), ("Connection", "keep-alive, Upgrade")]);
    one.request.is_whole = false;
    let fields = [("upgrade", "websocket"), ("sec-websocket-extensions", granted)];
    one.response.head =
        ResponseHead { status: 101, fields: Fields::from_iter(fields), ..ResponseHead::default() };
    one.response.after = After::Messages(0);
    one.response.end_after = After::Messages(0);
    one
}

pub(super) fn body(messages: Vec<Message>) -> Body {
    if messages.is_empty() { Body::Absent } else { Body::Messages(messages) }
}

/// A conversation that nobody closed.
fn conversation(client: Vec<Message>, origin: Vec<Message>) -> Exchange {
    let mut one = handshake("permessage-deflate");
    one.response.end_after = After::Messages(client.len() as u32);
    one.request.body = body(client);
    one.response.body = body(origin);
    one
}

/// The same, closed.
fn closed(mut one: Exchange, by: Party, end_after: After) -> Exchange {
    let at = Duration::from_millis(90);
    one.response.close = Some(Close { at, by, code: Some(1000), reason: "bye".to_owned() });
    one.request.is_whole = by == Party::Client;
    one.response.end_after = end_after;
    one
}

/// The lines between `"conversation"` and the end of the exchange.
fn shown(folder: &Folder, given: &Exchange) -> String {
    let text = folder.write(std::slice::from_ref(given));
    let (_, rest) = text.split_once("\"conversation\": ").unwrap();
    rest.split_once("\n    }\n").unwrap().0.to_owned()
}

#[test]
fn a_conversation_reads_well() {
    let client = vec![text(50, r#"{"say":"hello"}"#), text(62, "{\"type\":6}\u{1e}")];
    let origin = vec![
        after(0, text(43, "welcome")),
        Message {
            compression: Compression::Off,
            ..after(1, text(54, r#"{"id": 1, "text": "hi"}"#))
        },
        after(1, binary(55, b"\0\x01\x02")),
        after(2, text(70, "one\ntwo\n")),
    ];
    let given = closed(conversation(client, origin), Party::Client, After::End);
    let folder = Folder::new();
    insta::assert_snapshot!(folder.write(std::slice::from_ref(&given)));
    assert_eq!(folder.keep(&given), given);
}

#[test]
fn a_message_says_its_type_where_its_content_does_not() {
    let lines = [
        (text(1, "a"), r#""text": "a""#),
        (text(1, ""), r#""text": """#),
        (text(1, "[1]"), r#""json": [1]"#),
        (message(1, After::End, Kind::Text, b"\xff"), r#""type": "text", "base64": "/w==""#),
        (binary(1, b"\xff"), r#""base64": "/w==""#),
        (binary(1, b""), r#""base64": """#),
        (binary(1, b"\x01"), r#""base64": "AQ==""#),
        (binary(1, b"a"), r#""type": "binary", "text": "a""#),
        (binary(1, b"{}"), r#""type": "binary", "json": {}"#),
        (
            Message { compression: Compression::Off, ..text(1, "a") },
            r#""compressed": true, "text": "a""#,
        ),
        (
            Message { compression: Compression::On, ..text(1, "a") },
            r#""type": "text", "compressed": "as_sent", "base64": "YQ==""#,
        ),
        (
            Message { compression: Compression::On, ..binary(1, b"a") },
            r#""compressed": "as_sent", "base64": "YQ==""#,
        ),
    ];
    let folder = Folder::new();
    for (message, expected) in lines {
        let given = conversation(vec![message], vec![]);
        let line = format!("{{\"at_ms\": 1, \"from\": \"client\", {expected}}}");
        let shown = shown(&folder, &given);
        assert!(shown.contains(&line), "{line} in\n{shown}");
        assert_eq!(folder.keep(&given), given);
    }
}

#[test]
fn what_is_too_large_or_too_binary_to_read_goes_to_a_file() {
    let folder = Folder::new();
    let (long, noise) = ("x".repeat(64 << 10), vec![0xee; 4 << 10]);
    for message in [text(1, &long), binary(1, &noise)] {
        let given = conversation(vec![message], vec![]);
        assert_eq!(folder.keep(&given), given, "as much as may stand here");
    }
    for (kind, bytes) in [
        (Kind::Text, format!("{long}x").into_bytes()),
        (Kind::Binary, [&noise[..], b"\xee"].concat()),
        (Kind::Text, [&noise[..], b"\xee"].concat()),
    ] {
        let given = message(1, After::End, kind, &bytes);
        let (digest, len) = (digest_of(&bytes), bytes.len() as u64);
        let file = Message { payload: Payload::File { digest, len }, ..given.clone() };
        let kept = folder.keep(&conversation(vec![given], vec![]));
        assert_eq!(kept, conversation(vec![file], vec![]));
        assert_eq!(folder.keep(&kept), kept, "written again as it was");
        assert_eq!(std::fs::read(folder.bodies.path_of(digest)).unwrap(), bytes);
    }
}

#[test]
fn a_check_reads_the_files_of_messages() {
    let folder = Folder::new();
    let bytes = vec![0xee; 5000];
    let text = folder.write(&[conversation(vec![binary(1, &bytes)], vec![])]);
    let path = folder.dir.path().join("a.json");
    std::fs::write(&path, text).unwrap();
    assert_eq!(check(&path, folder.dir.path()), []);
    std::fs::remove_file(folder.bodies.path_of(digest_of(&bytes))).unwrap();
    let findings = check(&path, folder.dir.path());
    assert_eq!(findings[0].path, "exchanges[0].conversation.messages[0].file");
    assert!(findings[0].to_string().contains("is missing"), "{findings:?}");
}

#[test]
fn a_close_stands_behind_what_came_before_it() {
    let sent = || vec![text(1, "a"), text(2, "b")];
    let answers = || vec![after(1, text(3, "c"))];
    let late = || vec![after(1, text(3, "c")), text(99, "d")];
    let folder = Folder::new();
    let none = None;
    for (given, place) in [
        (closed(conversation(sent(), answers()), Party::Client, After::End), none),
        (closed(conversation(sent(), late()), Party::Client, After::End), Some(3)),
        (closed(conversation(sent(), answers()), Party::Origin, After::Messages(2)), none),
        (closed(conversation(sent(), answers()), Party::Origin, After::Messages(1)), Some(2)),
        (closed(conversation(sent(), vec![]), Party::Ouli, After::Messages(0)), Some(0)),
        (closed(conversation(vec![], vec![]), Party::Ouli, After::Messages(0)), none),
    ] {
        let shown = shown(&folder, &given);
        let place = place.map(|place| format!("\"at_ms\": 90, \"after\": {place}, \"from\""));
        let expected = place.unwrap_or_else(|| "\"at_ms\": 90, \"from\"".to_owned());
        assert!(shown.contains(&expected), "{expected} in\n{shown}");
        assert_eq!(folder.keep(&given), given);
    }
}

#[test]
fn a_close_without_a_code_or_with_any_is_kept() {
    let folder = Folder::new();
    for (code, reason) in [(None, ""), (Some(1005), ""), (Some(65_535), "x"), (Some(0), "")] {
        let mut given = closed(conversation(vec![], vec![]), Party::Origin, After::Messages(0));
        let close = given.response.close.as_mut().unwrap();
        (close.code, close.reason) = (code, reason.to_owned());
        assert_eq!(folder.keep(&given), given);
    }
}

#[test]
fn nobody_has_to_say_or_close_anything() {
    let folder = Folder::new();
    let mut given = conversation(vec![], vec![]);
    given.response.end = End::CutByOrigin;
    assert_eq!(shown(&folder, &given), "{\n        \"messages\": []\n      }");
    assert_eq!(folder.keep(&given), given);
}

#[test]
fn what_was_omitted_says_what_it_was() {
    let omitted = |kind, compression| {
        let payload = Payload::Omitted { digest: digest_of(b"x"), len: 1 << 40 };
        Message { kind, compression, payload, ..binary(1, b"") }
    };
    let folder = Folder::new();
    for kind in [Kind::Text, Kind::Binary] {
        for compression in [Compression::None, Compression::On, Compression::Off] {
            let given = conversation(vec![omitted(kind, compression)], vec![]);
            assert!(shown(&folder, &given).contains("\"omitted\": {\"sha256\""));
            assert_eq!(folder.keep(&given), given);
        }
    }
}

/// A conversation as somebody wrote it, with one part of it another.
fn written(part: &str, other: &str) -> Result<Exchange, String> {
    let given = closed(
        conversation(vec![text(2, "a")], vec![after(0, text(1, "b")), after(1, text(3, "c"))]),
        Party::Client,
        After::End,
    );
    let text = Folder::new().write(std::slice::from_ref(&given));
    assert_eq!(text.matches(part).count(), 1, "{part} should stand once in\n{text}");
    let tell = |finding: Finding| format!("{} | {finding}", finding.path);
    match read_bytes(text.replace(part, other).as_bytes()) {
        Ok(mut cassette) => Ok(cassette.exchanges.remove(0)),
        Err(findings) => Err(findings.into_iter().map(tell).collect::<Vec<_>>().join("\n")),
    }
}

const MIDDLE: &str = r#"{"at_ms": 2, "from": "client", "text": "a"}"#;

#[test]
fn messages_may_be_added_moved_and_taken_out() {
    let origin = |one: &Exchange| match &one.response.body {
        Body::Messages(all) => all.iter().map(|message| message.after).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let gone = written(&format!("{MIDDLE},"), "").unwrap();
    assert_eq!(gone.request.body, Body::Absent);
    assert_eq!(origin(&gone), [After::Messages(0); 2]);
    let more = written(MIDDLE, &format!("{MIDDLE}, {MIDDLE}")).unwrap();
    assert_eq!(origin(&more), [After::Messages(0), After::Messages(2)]);
    let early = written(r#"{"at_ms": 90, "from""#, r#"{"at_ms": 90, "after": 2, "from""#).unwrap();
    assert_eq!(origin(&early), [After::Messages(0), After::End]);
    let by = |who: &str| written(r#""at_ms": 90, "from": "client""#, who).unwrap().response;
    let ouli = by(r#""at_ms": 90, "after": 1, "from": "ouli""#);
    assert_eq!(ouli.end_after, After::Messages(0));
    let origin = by(r#""at_ms": 90, "from": "origin""#);
    assert_eq!(origin.end_after, After::Messages(1));
}

#[test]
fn faults_of_messages_are_told() {
    let at = "exchanges[0].conversation.messages[1]";
    for (line, path, expected) in [
        ("7", "", "expected a message, which is an object, found 7"),
        (r#"{"from": "client", "text": ""}"#, "", "expected a key \"at_ms\", found none"),
        (r#"{"at_ms": 1, "text": ""}"#, "", "expected a key \"from\", found none"),
        (
            r#"{"at_ms": 1, "from": "ouli", "text": ""}"#,
            ".from",
            "expected one of \"client\", \"origin\", found \"ouli\"",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "type": "ping", "text": ""}"#,
            ".type",
            "expected one of \"text\", \"binary\", found \"ping\"",
        ),
        (
            r#"{"at_ms": 1, "from": "client"}"#,
            "",
            "expected one of the keys json, text, base64, file, omitted, found none",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "text": "", "json": 1}"#,
            "",
            "expected one content, found \"json\" and \"text\"",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "text": "", "json_style": "spaced"}"#,
            "",
            "expected a key \"json\" beside \"json_style\", found none",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "compressed": 1, "text": ""}"#,
            ".compressed",
            "expected true or \"as_sent\", found 1",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "compressed": "as_sent", "text": ""}"#,
            "",
            "expected \"base64\", since the message is still compressed",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "base64": "a"}"#,
            ".base64",
            "expected base64 with its padding (RFC 4648 section 4), found \"a\"",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "after": 1, "text": ""}"#,
            "",
            "expected one of the keys at_ms, from, type, compressed, json_style, json, text, base64, file, omitted, found \"after\"",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "omitted": {"bytes": 1}}"#,
            ".omitted",
            "expected a key \"sha256\", found none",
        ),
    ] {
        assert_eq!(told(MIDDLE, line), format!("{at}{path} | {expected}"));
    }
}

/// What is found of it: where, and what. All of it stands on one line of the file.
fn told(part: &str, other: &str) -> String {
    let found = written(part, other).expect_err(other);
    let place = regex::Regex::new(r"\| line \d+, column \d+: ").unwrap();
    place.replace_all(&found, "| ").into_owned()
}

#[test]
fn faults_of_a_close_are_told() {
    let at = "exchanges[0].conversation.close";
    let close = r#"{"at_ms": 90, "from": "client", "code": 1000, "reason": "bye"}"#;
    for (other, path, expected) in [
        ("1000", "", "expected a close, which is an object, found 1000"),
        (r#"{"from": "client"}"#, "", "expected a key \"at_ms\", found none"),
        (
            r#"{"at_ms": 1, "from": "server"}"#,
            ".from",
            "expected one of \"client\", \"origin\", \"ouli\", found \"server\"",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "code": 65536}"#,
            ".code",
            "expected a close code up to 65535, found 65536",
        ),
        (
            r#"{"at_ms": 1, "from": "client", "reason": "bye"}"#,
            "",
            "expected a key \"code\" beside \"reason\", found none",
        ),
        (
            &format!(
                r#"{{"at_ms": 1, "from": "client", "code": 1, "reason": "{}"}}"#,
                "ä".repeat(62)
            ),
            ".reason",
            &format!("expected a reason of at most 123 bytes, found \"{}\"…", "ä".repeat(40)),
        ),
        (
            r#"{"at_ms": 1, "from": "client", "after": 4}"#,
            ".after",
            "expected a number of messages up to 3, those above, found 4",
        ),
    ] {
        assert_eq!(told(close, other), format!("{at}{path} | {expected}"));
    }
    for (by, index) in [("client", 1), ("origin", 2)] {
        let close = format!(r#"{{"at_ms": 1, "after": 1, "from": "{by}", "code": 1000"#);
        assert_eq!(
            told(r#"{"at_ms": 90, "from": "client", "code": 1000"#, &close),
            format!(
                "exchanges[0].conversation.messages[{index}] | expected no message of the {by} \
                 behind its close"
            )
        );
    }
}

#[test]
fn what_a_conversation_can_not_be_is_told() {
    let asks = "exchanges[0] | expected a request that asks for one beside \"conversation\": a GET \
                with the headers \"Upgrade: websocket\" and \"Connection: Upgrade\"";
    let target = r#""target": "/feed","#;
    for (part, other, expected) in [
        (r#""method": "GET""#, r#""method": "POST""#, asks),
        (r#"["Upgrade", "websocket"]"#, r#"["Upgrade", "h2c"]"#, asks),
        (
            r#""status": 101"#,
            r#""status": 200"#,
            "exchanges[0].response.status | expected 101, the status of a conversation, found 200",
        ),
        (
            target,
            r#""target": "/feed", "body": {"text": ""},"#,
            "exchanges[0].request | expected no key \"body\" beside \"conversation\"",
        ),
        (
            target,
            r#""target": "/feed", "incomplete": false,"#,
            "exchanges[0].request | expected no key \"incomplete\" beside \"conversation\"",
        ),
        (
            r#""status": 101,"#,
            r#""status": 101, "body": {"text": ""},"#,
            "exchanges[0].response | expected no key \"body\" beside \"conversation\"",
        ),
        (
            r#""status": 101,"#,
            r#""end_after": 1, "status": 101,"#,
            "exchanges[0].response.end_after | expected no such key, since the request is no gRPC \
             call, found 1",
        ),
        (
            r#""messages": ["#,
            r#""message": ["#,
            "exchanges[0].conversation | expected a key \"messages\", found none\n\
             exchanges[0].conversation | expected \"messages\", found \"message\"",
        ),
    ] {
        assert_eq!(told(part, other), expected);
    }
    let compressed = r#"{"at_ms": 2, "from": "client", "compressed": true, "text": "a"}"#;
    assert!(written(MIDDLE, compressed).is_ok());
    let refused = Folder::new().write(&[handshake("")]);
    let refused = refused.replace("[]", &format!("[{compressed}]"));
    let findings = read_bytes(refused.as_bytes()).unwrap_err();
    let expected =
        "expected \"as_sent\", since the response grants no permessage-deflate, found true";
    assert_eq!(findings[0].message, expected);
}

#[test]
fn the_example_of_a_conversation_in_the_documentation_is_what_ouli_writes() {
    let page = include_str!("../../../docs/cassette.md");
    let (_, rest) = page.split_once("```json conversation\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let cassette = read_bytes(example.as_bytes()).unwrap_or_else(|found| panic!("{found:#?}"));
    let folder = Folder::new();
    let mut writer = Writer::new(Vec::new(), &cassette.endpoints, &folder.bodies).unwrap();
    cassette.exchanges.iter().for_each(|one| writer.push(one).unwrap());
    assert_eq!(String::from_utf8(writer.finish().unwrap()).unwrap(), example);
}

proptest! {
    #[test]
    fn no_edit_of_a_conversation_makes_the_reader_panic(
        at in 800usize..1900,
        cut in 0usize..30,
        put in r#"([\[\]{}:,"\\ 0-9]|null|true|"ouli"|"json"|"after"|"as_sent"|"client"){0,6}"#,
    ) {
        let client = vec![text(2, "a"), Message { compression: Compression::On, ..binary(3, b"a") }];
        let origin = vec![after(1, Message { compression: Compression::Off, ..text(1, "{}") })];
        let given = closed(conversation(client, origin), Party::Origin, After::Messages(1));
        let mut bytes = Folder::new().write(&[given]).into_bytes();
        let at = at.min(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put.bytes());
        property::reading(&bytes);
    }
}
