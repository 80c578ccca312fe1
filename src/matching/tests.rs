//! Laws of the whole key.

use proptest::prelude::*;

use super::*;
use crate::coding;
use crate::exchange::{Coding, Fields};
use crate::redact::Redactor;

const BOUNDS: Bounds = Bounds { match_bytes_max: 1 << 10, decoded_bytes_max: 1 << 20 };

fn key_of(method: &str, target: &str, body: BodyPrint<'_>) -> Vec<u8> {
    let mut out = b"left from before".to_vec();
    key::write(&mut out, &Asked { endpoint: "api", method, target, body }, &Redactor::default());
    out
}

fn get(target: &str) -> Vec<u8> {
    key_of("GET", target, BodyPrint::None)
}

fn print_in_chunks(fields: &[(&str, &str)], chunks: &[&[u8]]) -> BodyPrint<'static> {
    let fields: Fields = fields.iter().copied().collect();
    let mut body = BodyKey::new(&fields, BOUNDS, Vec::new());
    chunks.iter().for_each(|chunk| body.push(chunk));
    body.finish()
}

fn print(content_type: &str, bytes: impl AsRef<[u8]>) -> BodyPrint<'static> {
    print_in_chunks(&[("Content-Type", content_type)], &[bytes.as_ref()])
}

#[test]
fn method_path_query_endpoint_and_body_count() {
    let all = [
        get("/a"),
        get("/A"),
        get("/a/"),
        get("/a%2F"),
        get("/a?x=1"),
        get("/a?x=2"),
        get("/a?x=1&x=1"),
        get("/a?x"),
        get("/a?x="),
        get("/a?x=1%26y=2"),
        get("/a?x=1&y=2"),
        get("/a?x=b+c"),
        get("/a?x=b%20c"),
        key_of("POST", "/a", BodyPrint::None),
        key_of("get", "/a", BodyPrint::None),
        key_of("GET", "/a", print("", "x")),
        key_of("GET", "/a", BodyPrint::Part),
        key_of("GET", "/a", BodyPrint::Call),
        key_of("GET", "/a", BodyPrint::Conversation(b"")),
        key_of("GET", "/a", BodyPrint::Conversation(b"a")),
        key_of("GET", "/a", BodyPrint::Conversation(b"a, b")),
        key_of("GET", "/a", BodyPrint::Conversation(b"b, a")),
        key_of("GET", "/a", BodyPrint::Conversation(&[b'a'; 32])),
    ];
    for (n, a) in all.iter().enumerate() {
        assert!(!all[n + 1..].contains(a), "{n} is there twice");
    }
    let mut other = Vec::new();
    let asked = Asked { endpoint: "b", method: "GET", target: "/a", body: BodyPrint::None };
    key::write(&mut other, &asked, &Redactor::default());
    assert_ne!(other, get("/a"));
}

/// What a second one allocates.
fn allocations_once_warm(mut run: impl FnMut()) -> u64 {
    run();
    allocation_counter::measure(run).count_total
}

#[test]
fn the_key_of_an_ordinary_get_allocates_nothing_once_warm() {
    let redactor = Redactor::default();
    let mut out = Vec::new();
    for target in ["/", "/v1/items?sort=name&page=3&b=1&a=2", "/a%20b/%7Ec?q=%c3%a9&x=a+b&x="] {
        let asked = Asked { endpoint: "api", method: "GET", target, body: BodyPrint::None };
        assert_eq!(
            allocations_once_warm(|| key::write(&mut out, &asked, &redactor)),
            0,
            "{target}"
        );
    }
}

#[test]
fn the_key_of_a_post_allocates_nothing_once_warm() {
    let members = (0..30).rev().map(|n| format!(r#""m{n}": ["\u0041", {{"b": {n}, "a": null}}]"#));
    let json = format!("{{{}}}", members.collect::<Vec<_>>().join(", "));
    let (redactor, bounds) = (Redactor::default(), Bounds { match_bytes_max: 1 << 16, ..BOUNDS });
    let (mut out, mut kept) = (Vec::new(), Vec::new());
    for content_type in ["application/json", "text/plain", "application/octet-stream"] {
        let fields = Fields::from_iter([("Content-Type", content_type)]);
        let mut write_key = || {
            let mut body = BodyKey::new(&fields, bounds, std::mem::take(&mut kept));
            json.as_bytes().chunks(1000).for_each(|chunk| body.push(chunk));
            let print = body.finish();
            let asked = Asked { endpoint: "api", method: "POST", target: "/v1/chat", body: print };
            key::write(&mut out, &asked, &redactor);
            kept = body.into_buffer();
        };
        assert_eq!(allocations_once_warm(&mut write_key), 0, "{content_type}");
    }
}

#[test]
fn the_key_of_a_request_leads_to_that_of_its_recording_in_part() {
    let part = key_of("GET", "/a?b=c", BodyPrint::Part);
    let handshake = BodyPrint::Conversation(b"a, b");
    for body in [BodyPrint::None, BodyPrint::Part, BodyPrint::Call, handshake, print("", "x")] {
        let mut out = b"left from before".to_vec();
        assert!(key::write_part(&mut out, &key_of("GET", "/a?b=c", body)));
        assert_eq!(out, part);
    }
    assert!(!key::write_part(&mut Vec::new(), b"no key"));
}

#[test]
fn a_key_is_taken_apart_as_it_was_made() {
    for body in [
        BodyPrint::None,
        BodyPrint::Part,
        BodyPrint::Call,
        BodyPrint::Conversation(b""),
        BodyPrint::Conversation(b"a, b"),
        BodyPrint::Conversation(&[7; 32]),
        print("", "x"),
    ] {
        let key = key_of("GET", "/a?b=c", body);
        assert_eq!(key::Parts::of(&key).map(|parts| parts.body), Some(body));
    }
}

#[test]
fn an_absolute_target_counts_as_its_path() {
    assert_eq!(get("http://api.example.com:80/a?x=1"), get("/a?x=1"));
    assert_eq!(get("http://api.example.com"), get("/"));
}

#[test]
fn many_parameters_sort_like_few() {
    let query = |range: &mut dyn Iterator<Item = u32>| {
        let parameters: Vec<String> = range.map(|n| format!("p{n}={n}")).collect();
        get(&format!("/?{}", parameters.join("&")))
    };
    assert_eq!(query(&mut (0..100)), query(&mut (0..100).rev()));
}

#[test]
fn secrets_in_the_query_do_not_count() {
    assert_eq!(get("/a?key=one&b=1"), get("/a?b=1&key=two"));
    assert_eq!(get("/a?key=one"), get("/a?key=REDACTED"));
    assert_ne!(get("/a?key=one"), get("/a"));
}

#[test]
fn the_content_type_says_how_bodies_compare() {
    let json = [r#"{"a":1,"b":2}"#, "{ \"b\": 2, \"a\": 1 }"];
    for by_value in ["application/json", "Application/JSON; charset=utf-8", "application/x+json"] {
        assert_eq!(print(by_value, json[0]), print(by_value, json[1]), "{by_value}");
    }
    assert_eq!(print_in_chunks(&[], &[json[0].as_bytes()]), print("text/json", json[1]));
    let curl = "application/x-www-form-urlencoded";
    assert_eq!(print(curl, json[0]), print(curl, json[1]));
    assert_eq!(print(curl, "a=1&b=2"), print(curl, "b=2&a=1"));
    assert_ne!(print("application/x-ndjson", json[0]), print("application/x-ndjson", json[1]));
    assert_eq!(print("text/plain", "a"), print("application/octet-stream", "a"));
}

#[test]
fn an_empty_body_is_no_body() {
    assert_eq!(print("application/json", ""), BodyPrint::None);
    assert_eq!(print_in_chunks(&[("content-encoding", "gzip")], &[b""]), BodyPrint::None);
}

#[test]
fn what_claims_to_be_json_and_is_not_counts_by_its_bytes() {
    assert!(matches!(print("application/json", "{not json"), BodyPrint::Bytes(_)));
}

#[test]
fn a_body_over_the_bound_counts_by_the_digest_of_its_bytes() {
    let large = format!("[{}1]", "1, ".repeat(1000));
    let expected = crate::exchange::Digest(<sha2::Sha256 as sha2::Digest>::digest(&large).into());
    assert_eq!(print("application/json", &large), BodyPrint::Bytes(expected));
    assert_eq!(print("application/octet-stream", &large), BodyPrint::Bytes(expected));
    let mut body = BodyKey::new(&Fields::new(), BOUNDS, Vec::new());
    body.push(large.as_bytes());
    body.finish();
    assert_eq!(body.content(), None);
}

#[test]
fn a_multipart_body_of_any_size_counts_without_its_boundary() {
    for size in [10, 5000] {
        let of = |boundary: &str| {
            let content = "x".repeat(size);
            let body = format!("--{boundary}\r\n\r\n{content}\r\n--{boundary}--\r\n");
            print(&format!("multipart/form-data; boundary={boundary}"), body)
        };
        assert_eq!(of("one"), of("two"));
        assert!(matches!(of("one"), BodyPrint::Multipart(_)));
    }
}

#[test]
fn a_coded_body_counts_decoded() {
    let text = r#"{"a": 1}"#;
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
        let coded = coding::encode(coding, text.as_bytes()).unwrap();
        let fields = [("content-type", "application/json"), ("content-encoding", coding.name())];
        let live = print_in_chunks(&fields, &[&coded[..3], &coded[3..]]);
        assert_eq!(live, print("application/json", text));
        let fields: Fields = fields.into_iter().collect();
        for (taken_off, bytes) in [(Some(coding), text.as_bytes()), (None, &coded)] {
            let mut recorded = BodyKey::recorded(&fields, taken_off, BOUNDS);
            recorded.push(bytes);
            assert_eq!(recorded.finish(), live);
            assert_eq!(recorded.content(), Some(text.as_bytes()));
        }
    }
}

#[test]
fn a_coded_body_that_does_not_decode_counts_coded() {
    let coded = coding::encode(Coding::Gzip, b"some text that is cut").unwrap();
    let cut = &coded[..coded.len() - 4];
    let fields = [("content-encoding", "gzip")];
    assert_eq!(print_in_chunks(&fields, &[cut]), print("application/octet-stream", cut));
    let bomb = coding::encode(Coding::Gzip, &vec![0; 2 << 20]).unwrap();
    assert_eq!(print_in_chunks(&fields, &[&bomb]), print("application/octet-stream", bomb));
}

#[test]
fn only_bodies_that_compare_by_more_than_bytes_need_their_content() {
    let needs = |fields: &[(&str, &str)], taken_off, len| {
        let fields: Fields = fields.iter().copied().collect();
        BodyKey::recorded(&fields, taken_off, BOUNDS).needs_content(len)
    };
    assert!(needs(&[("content-type", "application/json")], None, 1024));
    assert!(!needs(&[("content-type", "application/json")], None, 1025));
    assert!(!needs(&[("content-type", "image/png")], None, 10));
    assert!(needs(&[("content-type", "multipart/x; boundary=b")], None, 1 << 40));
    assert!(needs(&[("content-encoding", "gzip")], None, 1 << 40));
    assert!(!needs(&[("content-encoding", "gzip")], Some(Coding::Gzip), 1 << 40));
}

fn parameters() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("(key|[a-c]{1,2})(=[a-c%/é.~-]{0,3})?", 0..40)
}

proptest! {
    #[test]
    fn the_order_of_the_query_does_not_count(
        (one, other) in parameters().prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle())),
    ) {
        prop_assert_eq!(
            get(&format!("/?{}", one.join("&"))),
            get(&format!("/?{}", other.join("&")))
        );
    }

    #[test]
    fn encoding_unreserved_characters_does_not_count(
        text in "[a-zA-Z0-9._~/-]{0,12}(\\?[a-z0-9._~=&-]{0,12})?",
        which in prop::collection::vec(any::<bool>(), 32),
    ) {
        let encoded: String = text.chars().zip(which).map(|(c, encode)| {
            match encode && !"/?=&".contains(c) {
                true if c.is_ascii_lowercase() => format!("%{:02x}", c as u32),
                true => format!("%{:02X}", c as u32),
                false => c.to_string(),
            }
        }).collect();
        prop_assert_eq!(get(&format!("/{text}")), get(&format!("/{encoded}")));
    }

    #[test]
    fn redaction_does_not_count(parameters in parameters()) {
        let target = format!("/a?{}", parameters.join("&"));
        let redacted = Redactor::default().target(&target).into_owned();
        prop_assert_eq!(get(&target), get(&redacted));
    }

    #[test]
    fn chunks_of_a_body_do_not_count(
        body in prop::collection::vec(any::<u8>(), 0..3000),
        cut in 0..3000usize,
        content_type in prop::sample::select(vec![
            "application/json", "text/plain", "image/png", "multipart/mixed; boundary=b",
            "application/x-www-form-urlencoded",
        ]),
    ) {
        let (head, tail) = body.split_at(cut.min(body.len()));
        let fields = [("content-type", content_type)];
        prop_assert_eq!(
            print_in_chunks(&fields, &[head, tail]),
            print_in_chunks(&fields, &[&body])
        );
    }

    #[test]
    fn any_other_path_has_another_key(a in "[/a%2Ff.]{0,8}", b in "[/a%2Ff.]{0,8}") {
        let decoded = |path: &str| percent_encoding::percent_decode_str(path).collect::<Vec<_>>();
        if decoded(&a) != decoded(&b) {
            prop_assert_ne!(get(&format!("/{a}")), get(&format!("/{b}")));
        }
    }
}
