use proptest::prelude::*;

use super::*;
use crate::exchange::{Fields, Kind};
use crate::matching::{Asked, BodyKey, BodyPrint, Bounds, MessageKey, Method, key};

const BOUNDS: Bounds = Bounds { match_bytes_max: 1 << 16, decoded_bytes_max: 1 << 20 };

struct Side {
    key: Vec<u8>,
    body: BodyKey,
}

fn side(target: &str, content_type: &str, content: &[u8]) -> Side {
    let fields = Fields::from_iter([("content-type", content_type)]);
    let mut body = BodyKey::new(&fields, BOUNDS, Vec::new());
    body.push(content);
    let asked = Asked { endpoint: "api", method: "POST", target, body: body.finish() };
    let mut key = Vec::new();
    key::write(&mut key, &asked, &Redactor::default());
    Side { key, body }
}

fn between(asked: &Side, recorded: &Side) -> Differences {
    let shown = (asked.body.content_to_show(), recorded.body.content_to_show());
    let content = |shown, body: &BodyKey| Content { bytes: shown, len: body.len() };
    Differences::between(
        (&Parts::of(&asked.key).unwrap(), content(shown.0.as_deref(), &asked.body)),
        (&Parts::of(&recorded.key).unwrap(), content(shown.1.as_deref(), &recorded.body)),
        &Redactor::default(),
    )
}

fn targets(asked: &str, recorded: &str) -> String {
    between(&side(asked, "", b""), &side(recorded, "", b"")).to_string()
}

fn bodies(content_type: &str, asked: impl AsRef<[u8]>, recorded: impl AsRef<[u8]>) -> String {
    let side = |content: &[u8]| side("/", content_type, content);
    between(&side(asked.as_ref()), &side(recorded.as_ref())).to_string()
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn paths_are_compared_by_segment_where_they_have_the_same_number() {
    assert_eq!(targets("/a/b/c", "/a/x/c"), "path segment 2: asked b, recorded x");
    assert_eq!(targets("/a/b", "/a"), "path: asked /a/b, recorded /a");
    assert_eq!(targets("/a/", "/a/b"), "path segment 2: asked an empty value, recorded b");
}

#[test]
fn query_parameters_are_compared_by_name() {
    assert_eq!(targets("/?a=1&b=2", "/?b=2"), "query parameter `a`: asked 1, recorded nothing");
    assert_eq!(targets("/?a", "/?a=1"), "query parameter `a`: asked (no value), recorded 1");
    assert_eq!(targets("/?a=1&a=2&a=3", "/?a=2&a=4"), {
        "query parameter `a`: asked 1, 3, recorded 4"
    });
    assert_eq!(targets("/?a=1&a=1", "/?a=1"), "query parameter `a`: asked 1, recorded nothing");
}

#[test]
fn json_is_compared_by_pointer() {
    for (asked, recorded, difference) in [
        ("{\"a\":1}", "{\"a\":2}", "body at /a: asked 1, recorded 2"),
        ("{\"a\":1.0}", "{\"a\":1}", "body at /a: asked 1.0, recorded 1"),
        ("{\"a/b~\":1}", "{}", "body at /a~1b~0: asked 1, recorded nothing"),
        ("{}", "{\"a\":\"x\"}", "body at /a: asked nothing, recorded \"x\""),
        ("[1,[2]]", "[1,[2,3]]", "body at /1/1: asked nothing, recorded 3"),
        ("{\"a\":[1]}", "{\"a\":{\"b\":1}}", {
            "body at /a: asked an array of 1 items, recorded an object with 1 members"
        }),
        ("1", "\"1\"", "body, as a whole: asked 1, recorded \"1\""),
    ] {
        assert_eq!(bodies(JSON, asked, recorded), difference);
    }
}

#[test]
fn long_texts_are_shown_where_they_part() {
    let long = |end: &str| format!("{{\"p\":\"{}{end}\"}}", "lorem ipsum ".repeat(100));
    assert_eq!(
        bodies(JSON, long("dolor"), long("sit")),
        "body at /p: asked \"…lorem ipsum lorem ipsum dolor\", recorded \"…lorem ipsum lorem ipsum sit\""
            .replace("…lorem", "… lorem")
    );
}

#[test]
fn repeated_json_members_are_told_apart_by_the_text() {
    assert_eq!(
        bodies(JSON, r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        r#"body, line 1, column 6: asked "{\"a\":1,\"a\":2}", recorded "{\"a\":2}""#
    );
}

#[test]
fn forms_are_compared_by_field() {
    assert_eq!(bodies(FORM, "a=1&b=x+y", "b=z&a=1"), "form field `b`: asked x y, recorded z");
    assert_eq!(bodies(FORM, "a=1", "a=1&c=2"), "form field `c`: asked nothing, recorded 2");
    assert_eq!(bodies(FORM, "token=1", "token=2"), {
        "form field `token`: asked REDACTED, recorded REDACTED"
    });
}

#[test]
fn text_is_compared_by_line_and_column() {
    assert_eq!(
        bodies("text/plain", "one\ntwo ä\nthree", "one\ntwo ö\nthree"),
        r#"body, line 2, column 5: asked "one\ntwo ä\nthree", recorded "one\ntwo ö\nthree""#
    );
    assert_eq!(bodies("text/plain", "ab", "a"), {
        r#"body, line 1, column 2: asked "ab", recorded "a""#
    });
}

#[test]
fn multipart_bodies_are_compared_without_their_boundaries() {
    let part = |boundary: &str, text: &str| {
        let content = format!("--{boundary}\r\n\r\n{text}\r\n--{boundary}--\r\n");
        let content_type = format!("multipart/form-data; boundary={boundary}");
        side("/", &content_type, content.as_bytes())
    };
    let text = between(&part("one", "abc"), &part("other", "abd")).to_string();
    assert!(text.starts_with("body, line 3, column 3: "), "{text}");
}

#[test]
fn bytes_are_compared_by_offset() {
    assert_eq!(bodies("image/png", b"\xff\x00\x01", b"\xff\x00\x02"), {
        "body, byte 2: asked 01 of 3 bytes, recorded 02 of 3 bytes"
    });
    assert_eq!(bodies("image/png", b"\xff\x00", b"\xff"), {
        "body, byte 1: asked 00 of 2 bytes, recorded the end of 1 bytes"
    });
}

/// Protobuf's wire format, whose messages start with a tag byte, stands for JSON behind it here.
#[derive(Debug)]
struct Tagged;

impl crate::matching::Canonical for Tagged {
    fn request_json(&self, _: &str, _: &str, message: &[u8]) -> Option<String> {
        String::from_utf8(message.strip_prefix(b"\x0a")?.to_vec()).ok()
    }
}

const TAGGED: Method<'_> = Method { endpoint: "api", path: "/", canonical: Some(&Tagged) };

fn messages(number: u32, asked: impl AsRef<[u8]>, recorded: impl AsRef<[u8]>) -> String {
    let (asked, recorded) = (asked.as_ref(), recorded.as_ref());
    let fields = Fields::from_iter([("content-type", "application/grpc")]);
    let mut key = MessageKey::new(&fields, TAGGED, BOUNDS, Vec::new());
    let mut print = |content: &[u8]| {
        key.begin(Kind::Binary, false);
        key.push(content);
        let print = key.finish();
        (print, key.content().map(<[u8]>::to_vec))
    };
    let (asked, recorded) = (print(asked), print(recorded));
    let redactor = Redactor::default();
    let (asked, recorded) = ((asked.0, asked.1.as_deref()), (recorded.0, recorded.1.as_deref()));
    Differences::between_messages(number, &key, asked, recorded, &redactor).to_string()
}

#[test]
fn messages_are_compared_by_value_or_by_offset() {
    for (asked, recorded, difference) in [
        ("\n{\"a\":1}", "\n{\"a\":2}", "message 3 at /a: asked 1, recorded 2"),
        ("\n{\"token\":\"a\"}", "\n{\"token\":\"b\"}", {
            "message 3 at /token: asked REDACTED, recorded REDACTED"
        }),
        ("{\"a\":1}", "{\"a\":2}", "message 3 at /a: asked 1, recorded 2"),
        ("abc", "abd", {
            "message 3, byte 2: asked 61 62 [63] of 3 bytes, recorded 61 62 [64] of 3 bytes"
        }),
        ("0123456789abcdefghijk", "0123456789", {
            "message 3, byte 10: asked …32 33 34 35 36 37 38 39 [61] 62 63 64 65 66 67 68 69 … \
             of 21 bytes, recorded …32 33 34 35 36 37 38 39 [end] of 10 bytes"
        }),
        ("same", "same", ""),
    ] {
        assert_eq!(messages(3, asked, recorded), difference);
    }
    let large = messages(1, "x".repeat(1 << 17), "");
    assert!(large.starts_with("message 1: asked 131072 bytes (digest "), "{large}");
}

/// Between two messages of a conversation.
fn said(asked: (Kind, &[u8]), recorded: (Kind, &[u8])) -> String {
    let mut key = MessageKey::of_conversation(BOUNDS, Vec::new());
    let mut print = |(kind, content): (Kind, &[u8])| {
        key.begin(kind, false);
        key.push(content);
        let print = key.finish();
        (print, key.content().map(<[u8]>::to_vec))
    };
    let (asked, recorded) = (print(asked), print(recorded));
    let (asked, recorded) = ((asked.0, asked.1.as_deref()), (recorded.0, recorded.1.as_deref()));
    Differences::between_messages(2, &key, asked, recorded, &Redactor::default()).to_string()
}

#[test]
fn text_messages_are_compared_by_value_or_by_line_and_column() {
    let text = |asked: &str, recorded: &str| {
        said((Kind::Text, asked.as_bytes()), (Kind::Text, recorded.as_bytes()))
    };
    for (asked, recorded, difference) in [
        (r#"{"items":[{"id":5}]}"#, r#"{"items":[{"id":4}]}"#, {
            "message 2 at /items/0/id: asked 5, recorded 4"
        }),
        (r#"{"token":"a"}"#, r#"{"token":"b"}"#, {
            "message 2 at /token: asked REDACTED, recorded REDACTED"
        }),
        ("5", "4", "message 2, as a whole: asked 5, recorded 4"),
        ("hello", "help", "message 2, line 1, column 4: asked \"hello\", recorded \"help\""),
        ("a\nb\n", "a\nc\n", {
            "message 2, line 2, column 1: asked \"a\\nb\\n\", recorded \"a\\nc\\n\""
        }),
        ("5", "five", "message 2, line 1, column 1: asked \"5\", recorded \"five\""),
        ("", "x", "message 2, line 1, column 1: asked \"\", recorded \"x\""),
        ("{\"a\":1}", "{ \"a\": 1 }", ""),
    ] {
        assert_eq!(text(asked, recorded), difference);
    }
    let large = text(&"x".repeat(1 << 17), "x");
    assert!(large.starts_with("message 2: asked 131072 bytes (digest "), "{large}");
}

#[test]
fn binary_messages_are_compared_by_offset_and_are_no_text() {
    let (text, binary) = (Kind::Text, Kind::Binary);
    assert_eq!(said((binary, b"abc"), (binary, b"abd")), {
        "message 2, byte 2: asked 61 62 [63] of 3 bytes, recorded 61 62 [64] of 3 bytes"
    });
    assert_eq!(said((binary, b"[1]"), (text, b"[1]")), "message 2: asked binary, recorded text");
    assert_eq!(said((text, b""), (binary, b"")), "message 2: asked text, recorded binary");
}

#[test]
fn calls_and_bodies_in_part_are_told_from_bodies() {
    let with = |body: BodyPrint<'_>| Side { key: key_with(body), body: side("/", JSON, b"").body };
    let cut = between(&side("/", JSON, b"{}"), &with(BodyPrint::Part)).to_string();
    assert!(cut.ends_with(", recorded the first 0 bytes of a body"), "{cut}");
    assert_eq!(between(&with(BodyPrint::Call), &side("/", JSON, b"")).to_string(), {
        "body: asked the messages of a gRPC call, recorded nothing"
    });
}

#[test]
fn a_handshake_is_told_from_other_requests_and_by_its_subprotocols() {
    let with = |offered| Side {
        key: key_with(BodyPrint::Conversation(offered)),
        body: side("/", JSON, b"").body,
    };
    let plain = || side("/", JSON, b"");
    for (asked, recorded, difference) in [
        (with(b"a, b"), with(b"c"), "subprotocols: asked a, b, recorded c"),
        (with(b""), with(b"c"), "subprotocols: asked nothing, recorded c"),
        (plain(), with(b"c"), "upgrade: asked nothing, recorded websocket"),
        (with(b""), plain(), "upgrade: asked websocket, recorded nothing"),
        (with(b"c"), with(b"c"), ""),
    ] {
        assert_eq!(between(&asked, &recorded).to_string(), difference);
    }
    let text = between(&side("/", JSON, b"{}"), &with(b"")).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "upgrade: asked nothing, recorded websocket");
    assert!(lines[1].starts_with("body: asked 2 bytes of JSON (digest "), "{text}");
    assert!(lines[1].ends_with(", recorded nothing"), "{text}");
}

fn key_with(body: BodyPrint<'_>) -> Vec<u8> {
    let asked = Asked { endpoint: "api", method: "POST", target: "/", body };
    let mut key = Vec::new();
    key::write(&mut key, &asked, &Redactor::default());
    key
}

#[test]
fn a_missing_body_is_one_difference() {
    let text = bodies(JSON, "{}", "");
    assert!(text.starts_with("body: asked 2 bytes of JSON (digest "), "{text}");
    assert!(text.ends_with(", recorded nothing"), "{text}");
}

#[test]
fn differences_past_the_first_few_are_counted() {
    let numbers = |from: u32| format!("{:?}", (from..from + 100).collect::<Vec<_>>());
    let differences =
        between(&side("/", JSON, numbers(0).as_bytes()), &side("/", JSON, numbers(1).as_bytes()));
    assert_eq!((differences.listed.len(), differences.more), (12, 88));
    assert!(differences.to_string().ends_with("\nand 88 more"));
}

#[test]
fn differences_are_data_too() {
    let differences = between(&side("/?a=1", JSON, b""), &side("/", JSON, b""));
    let expected = serde_json::json!({
        "listed": [{ "in": "query parameter `a`", "asked": "1", "recorded": null }],
        "more": 0,
    });
    assert_eq!(serde_json::to_value(&differences).unwrap(), expected);
}

proptest! {
    #[test]
    fn different_keys_always_have_a_difference_and_equal_ones_none(
        paths in prop::array::uniform2("/[ab/]{0,3}(\\?[ab=&]{0,6})?"),
        types in prop::array::uniform2(prop::sample::select(
            vec![JSON, FORM, "text/plain", "image/png", "multipart/mixed; boundary=b"],
        )),
        contents in prop::array::uniform2("[\\[\\]{}\",:ab&=1é-]{0,6}|\\{\"a\":[12],\"b\":[12]\\}"),
    ) {
        let a = side(&paths[0], types[0], contents[0].as_bytes());
        let b = side(&paths[1], types[1], contents[1].as_bytes());
        prop_assert_eq!(between(&a, &b).count() == 0, a.key == b.key);
        let same = crate::matching::nearest::distance(
            &Parts::of(&a.key).unwrap(),
            &Parts::of(&b.key).unwrap(),
        );
        prop_assert_eq!(same == 0, a.key == b.key);
    }

    #[test]
    fn what_is_shown_is_bounded(content in "\\PC{0,2000}", other in ".{0,2000}") {
        let text = bodies("text/plain", content, other);
        prop_assert!(text.chars().count() < 4000);
    }

    #[test]
    fn keys_taken_apart_are_never_misread(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Parts::of(&bytes).map(|parts| parts.parameters().count());
    }
}
