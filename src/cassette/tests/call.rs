//! gRPC calls: what is kept of them, how it reads, and what may be done to it by hand.

use super::*;
use crate::cassette::protobuf;
use crate::cassette::read::check;
use crate::grpc::{Catalog, MessageType, testing};

fn line() -> MessageType {
    testing::descriptors().method("/chat.Chat/Ask").unwrap().input
}

fn catalog() -> Catalog {
    Catalog::from([("openai".to_owned(), testing::descriptors())])
}

pub(super) fn message(at: u64, after: After, bytes: &[u8]) -> Message {
    Message {
        kind: Kind::Binary,
        at: Duration::from_millis(at),
        after,
        compression: Compression::None,
        payload: Payload::Bytes(Bytes::copy_from_slice(bytes)),
    }
}

fn typed(media: &str) -> Fields {
    Fields::from_iter([("content-type", media)])
}

/// A call of `/chat.Chat/Talk` whose sides have these messages.
fn call(media: &str, request: Vec<Message>, response: Vec<Message>) -> Exchange {
    let mut one = exchange();
    one.request.head.method = "POST".to_owned();
    one.request.head.target = "/chat.Chat/Talk".to_owned();
    one.request.head.fields = typed(media);
    one.request.body = Body::Messages(request);
    one.response.head.fields = typed(media);
    one.response.body = Body::Messages(response);
    one
}

impl Folder {
    fn write_described(&self, exchange: &Exchange) -> String {
        let endpoints = [endpoint()];
        let writer = Writer::described(Vec::new(), &endpoints, &catalog(), &self.bodies);
        let mut writer = writer.unwrap();
        writer.push(exchange).unwrap();
        String::from_utf8(writer.finish().unwrap()).unwrap()
    }

    fn read_text(&self, text: &str) -> Result<Exchange, String> {
        let path = self.dir.path().join("default.json");
        std::fs::write(&path, text).unwrap();
        let findings = check(&path, self.dir.path());
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        match read(&path, &self.bodies, &Catalog::new()) {
            Ok(mut cassette) => {
                assert_eq!(findings, [""; 0], "{text}");
                Ok(cassette.exchanges.remove(0))
            }
            Err(_) => Err(findings.join("\n")),
        }
    }
}

fn hello() -> Vec<u8> {
    line().bytes(&serde_json::json!({"text": "hello", "id": "7"})).unwrap()
}

#[test]
fn messages_stand_one_per_line_and_say_what_they_waited_for() {
    let answers = vec![
        message(3, After::Messages(1), &hello()),
        message(9, After::End, b""),
        Message { payload: Payload::Rest("\0\0".into()), ..message(10, After::End, b"") },
    ];
    let mut given = call("application/grpc", vec![message(1, After::End, &hello())], answers);
    given.response.after = After::Messages(0);
    given.response.end_after = After::Messages(1);
    given.response.end = End::CutByOrigin;
    given.request.is_whole = false;
    let folder = Folder::new();
    let text = folder.write(std::slice::from_ref(&given));
    for expected in [
        r#"{"at_ms": 1, "base64": "CgVoZWxsbxAH"}"#,
        r#"{"at_ms": 3, "after": 1, "base64": "CgVoZWxsbxAH"},"#,
        r#"{"at_ms": 9, "base64": ""},"#,
        r#"{"at_ms": 10, "rest": "AAA="}"#,
        r#""incomplete": true"#,
        r#""after": 0,"#,
        r#""end_after": 1"#,
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert_eq!(folder.read_text(&text).unwrap(), given);
    let text = folder.write_described(&given);
    let shown = r#"{"at_ms": 3, "after": 1, "json": {"text": "hello", "id": "7"}},"#;
    assert!(text.contains(shown), "{text}");
    assert!(text.contains(r#"{"at_ms": 9, "json": {}},"#), "{text}");
    assert_eq!(folder.read_text(&text).unwrap(), given);
}

#[test]
fn a_message_that_is_edited_goes_out_as_edited() {
    let folder = Folder::new();
    let given = call("application/grpc+proto", vec![message(1, After::End, &hello())], vec![]);
    let text = folder.write_described(&given);
    let edited = text.replace(r#"{"text": "hello", "id": "7"}"#, r#"{"id": 8, "score": 1.50e1}"#);
    let read = folder.read_text(&edited).unwrap();
    let expected = line().bytes(&serde_json::json!({"id": "8", "score": 15.0})).unwrap();
    assert_eq!(read.request.body, Body::Messages(vec![message(1, After::End, &expected)]));
}

#[test]
fn maps_keep_the_order_that_they_had_on_the_wire() {
    let counts = |pairs: &[(&str, u8)]| -> Vec<u8> {
        let entry = |(key, value): &(&str, u8)| {
            let inner = [&[0x0a, key.len() as u8], key.as_bytes(), &[0x10, *value]].concat();
            [&[0x1a, inner.len() as u8][..], &inner].concat()
        };
        pairs.iter().flat_map(entry).collect()
    };
    for pairs in [&[("b", 1), ("a", 2), ("", 0)][..], &[("a", 2), ("b", 1)]] {
        let bytes = counts(pairs);
        let json = protobuf::show(&line(), &bytes).unwrap();
        let members: Vec<String> =
            pairs.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        assert_eq!(json, format!("{{\"counts\": {{{}}}}}", members.join(", ")));
    }
    // A key twice would be lost on whoever edits it.
    assert_eq!(protobuf::show(&line(), &counts(&[("a", 1), ("a", 2)])), None);
    // replies { key: true, value { counts { "x": 1 } } }
    let inner = counts(&[("x", 1)]);
    let entry = [&[0x08, 1, 0x12, inner.len() as u8][..], &inner].concat();
    let bytes = [&[0x22, entry.len() as u8][..], &entry].concat();
    let json = protobuf::show(&line(), &bytes).unwrap();
    assert_eq!(json, r#"{"replies": {"true": {"counts": {"x": 1}}}}"#);
}

#[test]
fn what_json_would_not_give_back_is_base64() {
    let unknown_field = [0x98, 0x06, 1];
    let out_of_order = [&hello()[7..], &hello()[..7]].concat();
    for bytes in [&unknown_field[..], &out_of_order, b"\xff", b"\x0a\xff"] {
        let given = call("application/grpc", vec![message(1, After::End, bytes)], vec![]);
        let folder = Folder::new();
        let text = folder.write_described(&given);
        assert!(text.contains("\"base64\""), "{text}");
        assert_eq!(folder.read_text(&text).unwrap(), given);
    }
}

#[test]
fn what_does_not_fit_its_type_is_told_where_it_stands() {
    let folder = Folder::new();
    let given = call("application/grpc", vec![message(1, After::End, &hello())], vec![]);
    let text = folder.write_described(&given);
    let at = "line 18, column";
    let cases = [
        (r#"{"texts": ""}"#, format!("{at} 35: expected \"text\", found \"texts\"")),
        (r#"{"text": 5}"#, format!("{at} 43: not as in chat.Line: invalid type: integer `5`")),
        (r#"{"inner": {"id": "x"}}"#, format!("{at} 51: not as in chat.Line: invalid digit")),
        (r#"{"more": [{}, {"id": []}]}"#, format!("{at} 55: not as in chat.Line: invalid type")),
        (r#"{"replies": {"true": {"a": 1}}}"#, format!("{at} 56: expected a field of chat.Line")),
        (r#"{"replies": {"maybe": {}}}"#, format!("{at} 46: not as in chat.Line: ")),
        (r#"{"sent": "yesterday"}"#, format!("{at} 43: not as in chat.Line: ")),
        ("[]", format!("{at} 34: expected a chat.Line, which is an object")),
        ("7", format!("{at} 34: expected a chat.Line, which is an object")),
    ];
    for (json, expected) in cases {
        let edited = text.replace(r#"{"text": "hello", "id": "7"}"#, json);
        let found = folder.read_text(&edited).unwrap_err();
        assert!(found.starts_with(&expected), "{json}\n{found}\n{expected}");
    }
}

#[test]
fn compressed_messages_are_kept_decompressed_where_they_decompress() {
    let plain = hello();
    let coded = coding::encode(Coding::Gzip, &plain).unwrap();
    let on =
        |bytes: &[u8]| Message { compression: Compression::On, ..message(1, After::End, bytes) };
    let off = Message { compression: Compression::Off, ..message(1, After::End, &plain) };
    let mut given = call("application/grpc", vec![on(&coded), on(b"damaged"), off.clone()], vec![]);
    given.request.head.fields.push("grpc-encoding", "gzip");
    let folder = Folder::new();
    let text = folder.write_described(&given);
    assert!(
        text.contains(r#""compressed": true, "json": {"text": "hello", "id": "7"}}"#),
        "{text}"
    );
    assert!(text.contains(r#""compressed": "as_sent", "base64": "ZGFtYWdlZA=="}"#), "{text}");
    let read = folder.read_text(&text).unwrap();
    assert_eq!(read.request.body, Body::Messages(vec![off.clone(), on(b"damaged"), off]));
    let unnamed = text.replace("grpc-encoding", "x-encoding");
    let found = folder.read_text(&unnamed).unwrap_err();
    assert!(found.contains("column 40: expected \"as_sent\", since no grpc-encoding"), "{found}");
}

#[test]
fn json_text_stands_as_bodies_do() {
    let texts = [&br#"{"a": 1}"#[..], b"{\"a\":1}", b"plain", b"", b"\xff"];
    let messages = texts.map(|text| message(1, After::End, text)).to_vec();
    let given = call("application/grpc+json", messages, vec![]);
    let folder = Folder::new();
    let text = folder.write_described(&given);
    for expected in [
        r#""json_style": "spaced", "json": {"a": 1}}"#,
        r#"{"at_ms": 1, "json": {"a": 1}}"#,
        r#""text": "plain"}"#,
        r#""text": ""}"#,
        r#""base64": "/w=="}"#,
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert_eq!(folder.read_text(&text).unwrap(), given);
}

#[test]
fn large_messages_go_to_files_one_by_one() {
    let large = vec![0xee; 70_000];
    let folder = Folder::new();
    let given = call("application/grpc", vec![message(1, After::End, &large)], vec![]);
    let text = folder.write(std::slice::from_ref(&given));
    let read = folder.read_text(&text).unwrap();
    let payload = Payload::File { digest: digest_of(&large), len: 70_000 };
    let file = Message { payload, ..message(1, After::End, b"") };
    assert_eq!(read.request.body, Body::Messages(vec![file.clone()]));
    assert_eq!(folder.write(&[read]), text, "written again as it was");
    let kept = keep_message(None, message(1, After::End, &large), &folder.bodies);
    assert_eq!(kept.unwrap(), file);
    std::fs::remove_file(folder.bodies.path_of(digest_of(&large))).unwrap();
    let findings = {
        std::fs::write(folder.dir.path().join("a.json"), &text).unwrap();
        check(&folder.dir.path().join("a.json"), folder.dir.path())
    };
    assert!(findings[0].to_string().contains("is missing"), "{findings:?}");
}

#[test]
fn a_cassette_without_its_descriptor_set_says_so() {
    let folder = Folder::new();
    let given = call("application/grpc", vec![message(1, After::End, &hello())], vec![]);
    let text = folder.write_described(&given);
    let path = folder.bodies.path_of(testing::descriptors().digest());
    let name = path.display().to_string();
    std::fs::write(&path, b"nonsense").unwrap();
    let found = folder.read_text(&text).unwrap_err();
    assert!(found.starts_with("line 4, column "), "{found}");
    assert!(found.contains(&name), "{found}");
    // A configured one goes before it.
    let file = folder.dir.path().join("default.json");
    let cassette = read(&file, &folder.bodies, &catalog()).unwrap();
    assert_eq!(cassette.exchanges, [given]);
    assert_eq!(read_endpoints(&file).unwrap(), [endpoint()]);
}

#[test]
fn a_message_is_read_wherever_the_endpoints_stand() {
    let folder = Folder::new();
    let given = call("application/grpc", vec![message(1, After::End, &hello())], vec![]);
    let value: serde_json::Value = serde_json::from_str(&folder.write_described(&given)).unwrap();
    let moved = serde_json::json!({
        "exchanges": value["exchanges"], "endpoints": value["endpoints"], "format": 1,
    });
    assert_eq!(folder.read_text(&moved.to_string()).unwrap(), given);
}

#[test]
fn what_a_call_can_not_be_is_told() {
    let folder = Folder::new();
    let answers = vec![message(3, After::Messages(1), b"ab"), message(4, After::End, b"")];
    let mut given = call("application/grpc", vec![message(1, After::End, b"ab")], answers);
    given.response.end_after = After::Messages(1);
    let text = folder.write(std::slice::from_ref(&given));
    let of_request = "{\"at_ms\": 1, \"base64\": \"YWI=\"}";
    let cases = [
        (
            "\"after\": 1",
            "\"after\": 2",
            "expected a number of messages up to 1, those of the request, found 2",
        ),
        (of_request, "{\"at_ms\": 1, \"json\": {}}", "since no descriptor set says what this"),
        (
            of_request,
            "{\"at_ms\": 1, \"rest\": \"AA==\"}",
            "up to 0, those of the request, found 1",
        ),
        (of_request, "{\"after\": 1, \"base64\": \"\"}", "expected a key \"at_ms\""),
        (
            of_request,
            "{\"at_ms\": 1, \"after\": 0, \"base64\": \"\"}",
            "expected no such key in a request, found 0",
        ),
        (
            "{\"at_ms\": 4, \"base64\": \"\"}",
            "{\"at_ms\": 4, \"rest\": \"\"}, {\"at_ms\": 4, \"base64\": \"\"}",
            "expected a whole message, found a rest before the last",
        ),
        (of_request, "{\"at_ms\": 1, \"compressed\": 1, \"base64\": \"\"}", "true or \"as_sent\""),
        ("application/grpc", "application/json", "name no type application/grpc"),
        (
            "{\"at_ms\": 4, \"base64\": \"\"}",
            &format!(
                "{{\"at_ms\": 4, \"file\": {{\"sha256\": \"{}\", \"bytes\": 4294967296}}}}",
                "0".repeat(64)
            ),
            "expected at most 4294967295 bytes",
        ),
    ];
    for (from, to, expected) in cases {
        let found = folder.read_text(&text.replace(from, to));
        let found = found.expect_err(to);
        assert!(found.contains(expected), "{to}\n{found}");
    }
}

#[test]
fn the_examples_of_calls_in_the_documentation_are_what_ouli_writes() {
    let page = include_str!("../../../docs/cassette.md");
    let placeholder =
        regex::Regex::new("\"sha256\": \"[0-9a-f]{64}\", \"bytes\": [0-9]+}").unwrap();
    let mut count = 0;
    for (_, rest) in
        page.match_indices("```json call\n").map(|(at, open)| page.split_at(at + open.len()))
    {
        let (example, _) = rest.split_once("```").unwrap();
        let folder = Folder::new();
        folder.bodies.store(testing::descriptors().bytes()).unwrap();
        let described = example.contains("grpc_descriptors");
        let digest = testing::descriptors().digest().to_string();
        let len = testing::descriptors().bytes().len();
        let stored = format!("\"sha256\": \"{digest}\", \"bytes\": {len}}}");
        let text = placeholder.replace_all(example, &stored).into_owned();
        let path = folder.dir.path().join("default.json");
        std::fs::write(&path, &text).unwrap();
        let cassette = read(&path, &folder.bodies, &Catalog::new()).unwrap_or_else(|error| {
            panic!("{error}: {:#?}", check(&path, folder.dir.path()));
        });
        assert_eq!(cassette.descriptors.len(), usize::from(described));
        let mut writer = Writer::described(
            Vec::new(),
            &cassette.endpoints,
            &cassette.descriptors,
            &folder.bodies,
        )
        .unwrap();
        cassette.exchanges.iter().for_each(|one| writer.push(one).unwrap());
        assert_eq!(String::from_utf8(writer.finish().unwrap()).unwrap(), text);
        count += 1;
    }
    assert_eq!(count, 2);
}

proptest! {
    #[test]
    fn any_bytes_are_kept_as_a_message_that_gives_them_back(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(prop_oneof![Just(0x0a), Just(0x1a), Just(0x2a), 0u8..12], 0..40),
        ],
        (text, id, score) in (any::<String>(), any::<i64>(), any::<f64>()),
    ) {
        let known = line().bytes(&serde_json::json!({
            "text": text, "id": id.to_string(), "inner": {"score": score.is_finite().then_some(score)},
        })).unwrap();
        property::showing(&bytes);
        property::showing(&known);
        let folder = Folder::new();
        let both = vec![message(1, After::End, &bytes), message(2, After::End, &known)];
        let given = call("application/grpc", both, vec![]);
        let text = folder.write_described(&given);
        prop_assert_eq!(folder.read_text(&text).unwrap(), given);
    }
}
