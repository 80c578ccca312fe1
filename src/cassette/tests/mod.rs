//! What is written is read again, and looks as it should.

mod call;
mod conversation;
pub(crate) mod law;
mod stream;

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::bodies::digest_of;
use super::*;
use crate::coding;
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::*;
use crate::grpc::Catalog;

pub(super) struct Folder {
    pub(super) dir: tempfile::TempDir,
    pub(super) bodies: Bodies,
}

impl Folder {
    pub(super) fn new() -> Folder {
        let dir = tempfile::tempdir().unwrap();
        let bodies = Bodies::new(dir.path());
        Folder { dir, bodies }
    }

    pub(super) fn write(&self, exchanges: &[Exchange]) -> String {
        let mut writer = Writer::new(Vec::new(), &[endpoint()], &self.bodies).unwrap();
        for exchange in exchanges {
            writer.push(exchange).unwrap();
        }
        String::from_utf8(writer.finish().unwrap()).unwrap()
    }

    /// Written and read again.
    pub(super) fn keep(&self, exchange: &Exchange) -> Exchange {
        let text = self.write(std::slice::from_ref(exchange));
        let cassette = read_bytes(text.as_bytes()).unwrap_or_else(|e| panic!("{e:#?}\n{text}"));
        assert_eq!(cassette.endpoints, [endpoint()]);
        assert_eq!(cassette.exchanges.len(), 1);
        cassette.exchanges.into_iter().next().unwrap()
    }
}

pub(super) fn endpoint() -> EndpointNote {
    EndpointNote {
        name: "openai".to_owned(),
        listen: "127.0.0.1:8080".parse().unwrap(),
        source_type: SourceType::Http,
        origin: Target { scheme: Scheme::Https, host: "api.openai.com".to_owned(), port: 443 },
    }
}

/// `GET /` and an empty 200.
fn exchange() -> Exchange {
    Exchange {
        endpoint: "openai".to_owned(),
        recorded_at_ms: 1_795_166_353_125,
        request: Request {
            head: RequestHead {
                method: "GET".to_owned(),
                target: "/".to_owned(),
                version: Version::Http11,
                fields: Fields::new(),
            },
            body: Body::Absent,
            coding: None,
            trailers: Fields::new(),
            is_whole: true,
        },
        response: Response {
            at: Duration::from_millis(41),
            after: After::End,
            interim: Vec::new(),
            head: ResponseHead::default(),
            body: Body::Absent,
            coding: None,
            trailers: Fields::new(),
            end: End::Whole,
            end_after: After::End,
            close: None,
        },
    }
}

/// An answer with this body and these headers.
fn answer(body: Body, fields: &[(&str, &str)]) -> Exchange {
    let mut exchange = exchange();
    exchange.response.head.fields = fields.iter().copied().collect();
    exchange.response.body = body;
    exchange
}

fn whole(bytes: impl Into<Vec<u8>>) -> Body {
    Body::Whole(Bytes::from(bytes.into()))
}

fn piece(at_ms: u64, bytes: impl Into<Vec<u8>>) -> Piece {
    Piece { at: Duration::from_millis(at_ms), bytes: Bytes::from(bytes.into()) }
}

#[test]
fn a_typical_cassette_reads_well() {
    let mut chat = exchange();
    chat.request.head = RequestHead {
        method: "POST".to_owned(),
        target: "/v1/chat/completions".to_owned(),
        version: Version::Http11,
        fields: [
            ("Host", "api.openai.com"),
            ("Authorization", "Bearer REDACTED"),
            ("Content-Type", "application/json"),
        ]
        .into_iter()
        .collect(),
    };
    chat.request.body = whole(
        r#"{"model": "gpt-5", "stream": true, "messages": [{"role": "system", "content": "You are a terse assistant."}, {"role": "user", "content": "H\u00e9llo"}]}"#,
    );
    chat.response.interim = vec![ResponseHead {
        status: 103,
        reason: b"Early Hints".to_vec(),
        fields: [("Link", "</style.css>; rel=preload")].into_iter().collect(),
        version: Version::Http11,
    }];
    chat.response.head.reason = b"OK".to_vec();
    chat.response.head.fields =
        [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
            .into_iter()
            .collect();
    chat.response.body = Body::Pieces(vec![
        piece(812, "data: {\"delta\":\"Hello\"}\n\n"),
        piece(830, &b"data: \xf0\x9f"[..]),
        piece(831, &b"\x98\x80\n\ndata: two\n\n"[..]),
        piece(900, "data: [DONE]\n\n"),
    ]);
    chat.response.trailers = [("x-checksum", "9")].into_iter().collect();
    chat.response.end = End::LeftByClient;

    let mut page = answer(
        whole(coding::encode(Coding::Gzip, b"<html>\n<p>Hi</p>\n</html>\n").unwrap()),
        &[("Content-Encoding", "gzip"), ("X-Note", "caf\u{e9}")],
    );
    page.response.head.fields.push("X-Latin", b"caf\xe9");
    page.response.head.version = Version::Http10;
    page.response.head.status = 404;
    page.response.head.reason = b"Nicht gefunden \xfc".to_vec();

    let tiny = answer(whole(&b"\0\x01\x02"[..]), &[]);
    let empty = answer(whole(""), &[]);
    let omitted = answer(Body::Omitted { digest: digest_of(b"x"), len: 300_000_000 }, &[]);
    let folder = Folder::new();
    let image = answer(whole(vec![0xff; 5000]), &[("Content-Type", "image/png")]);
    let text = folder.write(&[chat, page, tiny, empty, omitted, image]);
    insta::assert_snapshot!(text);
    assert_eq!(read_bytes(text.as_bytes()).unwrap().exchanges.len(), 6);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["format"], 1);
}

#[test]
fn a_cassette_without_exchanges_is_whole() {
    let text = Folder::new().write(&[]);
    assert!(text.ends_with("\"exchanges\": []\n}\n"), "{text}");
    assert_eq!(read_bytes(text.as_bytes()).unwrap().exchanges, []);
}

#[test]
fn a_coded_body_is_kept_readable_and_says_its_coding() {
    let json = br#"{"a":1}"#;
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
        let coded = coding::encode(coding, json).unwrap();
        let fields = [("Content-Encoding", coding.name())];
        let mut given = answer(whole(coded.clone()), &fields);
        given.request.head.fields = fields.iter().copied().collect();
        given.request.body = whole(coded);
        let kept = Folder::new().keep(&given);
        for (body, taken_off) in
            [(&kept.response.body, kept.response.coding), (&kept.request.body, kept.request.coding)]
        {
            assert_eq!((body, taken_off), (&whole(&json[..]), Some(coding)));
        }
        assert_eq!(Folder::new().keep(&kept), kept, "and is kept so from then on");
    }
}

#[test]
fn a_coded_stream_is_decoded_piece_by_piece() {
    let plain = vec![piece(1, "data: 1\n\n"), piece(2, ""), piece(30, "data: 2\n\n")];
    let coded = coding::encode_pieces(Coding::Gzip, &plain, coding::Extent::Whole).unwrap();
    let given = answer(Body::Pieces(coded), &[("content-encoding", "x-gzip")]);
    let kept = Folder::new().keep(&given);
    assert_eq!(kept.response.body, Body::Pieces(plain));
    assert_eq!(kept.response.coding, Some(Coding::Gzip));
}

#[test]
fn bytes_that_something_else_depends_on_stay_coded() {
    let coded = coding::encode(Coding::Gzip, b"plain text").unwrap();
    let gzip = ("Content-Encoding", "gzip");
    let kept_coded = |given: &Exchange| {
        let kept = Folder::new().keep(given);
        assert_eq!(&kept, given);
    };
    for name in ["Content-Range", "Content-Digest", "digest", "Content-MD5", "Repr-Digest"] {
        kept_coded(&answer(whole(coded.clone()), &[gzip, (name, "x")]));
    }
    kept_coded(&answer(whole(coded.clone()), &[gzip, ("X-Amz-Checksum-CRC32", "x")]));
    kept_coded(&answer(whole(coded.clone()), &[("Content-Encoding", "gzip, gzip")]));
    kept_coded(&answer(whole(coded.clone()), &[("Content-Encoding", "br")]));
    kept_coded(&answer(whole(coded[..9].to_vec()), &[gzip]));
    kept_coded(&answer(whole(""), &[gzip]));
    kept_coded(&answer(Body::Absent, &[gzip]));
    kept_coded(&answer(Body::Pieces(Vec::new()), &[gzip]));

    let mut partial = answer(whole(coded.clone()), &[gzip]);
    partial.response.head.status = 206;
    kept_coded(&partial);
    let mut cut = answer(whole(coded.clone()), &[gzip]);
    cut.response.end = End::CutByOrigin;
    kept_coded(&cut);
    let mut trailed = answer(whole(coded), &[gzip]);
    trailed.response.trailers = [("Content-Digest", "x")].into_iter().collect();
    kept_coded(&trailed);
}

#[test]
fn a_body_that_decodes_to_a_bomb_stays_coded() {
    let coded = coding::encode(Coding::Zstd, &vec![0; 17 << 20]).unwrap();
    let given = answer(whole(coded), &[("Content-Encoding", "zstd")]);
    assert_eq!(Folder::new().keep(&given), given);
}

#[test]
fn a_file_that_decodes_to_a_bomb_stays_coded() {
    let folder = Folder::new();
    let coded = coding::encode(Coding::Zstd, &vec![0; 17 << 20]).unwrap();
    let (digest, len) = (folder.bodies.store(&coded).unwrap(), coded.len() as u64);
    let given = answer(Body::File { digest, len }, &[("Content-Encoding", "zstd")]);
    assert_eq!(folder.keep(&given), given);
}

#[test]
fn a_large_text_body_goes_to_a_file_of_its_own() {
    let folder = Folder::new();
    let large = "x".repeat((64 << 10) + 1);
    let kept = folder.keep(&answer(whole(large.clone()), &[]));
    let digest = digest_of(large.as_bytes());
    assert_eq!(kept.response.body, Body::File { digest, len: large.len() as u64 });
    assert_eq!(folder.bodies.read(digest, large.len() as u64).unwrap(), large.as_bytes());
    assert_eq!(folder.keep(&kept), kept);

    let fits = answer(whole("x".repeat(64 << 10)), &[]);
    assert_eq!(folder.keep(&fits), fits);
}

#[test]
fn a_coded_file_is_kept_decoded_and_the_coded_one_left_to_its_owner() {
    let folder = Folder::new();
    let plain = vec![b'y'; 300_000];
    let coded = coding::encode(Coding::Brotli, &plain).unwrap();
    let (digest, len) = (digest_of(&coded), coded.len() as u64);
    let tape = folder.dir.path().join("run.1.body");
    std::fs::write(&tape, &coded).unwrap();
    let given = answer(Body::File { digest, len }, &[("Content-Encoding", "br")]);

    let mut writer = Writer::new(Vec::new(), &[endpoint()], &folder.bodies).unwrap();
    writer.push_with(&given, &|asked| (asked == digest).then(|| tape.clone())).unwrap();
    let cassette = read_bytes(&writer.finish().unwrap()).unwrap();
    let response = &cassette.exchanges[0].response;
    let expected = Body::File { digest: digest_of(&plain), len: 300_000 };
    assert_eq!((&response.body, response.coding), (&expected, Some(Coding::Brotli)));
    folder.bodies.verify(digest_of(&plain), 300_000).unwrap();
    assert!(tape.exists());
    assert!(folder.bodies.open(digest, len).is_err());
}

#[test]
fn a_file_that_is_kept_as_it_is_moves_into_bodies() {
    let folder = Folder::new();
    let (digest, len) = (digest_of(b"not gzip"), 8);
    let tape = folder.dir.path().join("run.1.body");
    std::fs::write(&tape, b"not gzip").unwrap();
    let given = answer(Body::File { digest, len }, &[("Content-Encoding", "gzip")]);
    for _ in 0..2 {
        // The second time as after a kill: the file has moved, the tape still names it.
        let mut writer = Writer::new(Vec::new(), &[endpoint()], &folder.bodies).unwrap();
        writer.push_with(&given, &|_| Some(tape.clone())).unwrap();
        let cassette = read_bytes(&writer.finish().unwrap()).unwrap();
        assert_eq!(cassette.exchanges, std::slice::from_ref(&given));
        assert!(!tape.exists());
        folder.bodies.verify(digest, len).unwrap();
    }
}

#[test]
fn an_exchange_whose_body_file_is_gone_can_still_be_written() {
    let given =
        answer(Body::File { digest: digest_of(b"gone"), len: 4 }, &[("Content-Encoding", "gzip")]);
    assert_eq!(Folder::new().keep(&given), given);
}

#[test]
fn an_exchange_of_an_unlisted_endpoint_is_refused() {
    let folder = Folder::new();
    let mut writer = Writer::new(Vec::new(), &[], &folder.bodies).unwrap();
    let error = writer.push(&exchange()).unwrap_err();
    assert!(matches!(error, WriteError::UnknownEndpoint(name) if name == "openai"));
}

#[test]
fn equal_exchanges_are_equal_text() {
    let given = answer(whole(r#"{"b":1,"a":[]}"#), &[("B", "1"), ("a", "2"), ("B", "3")]);
    assert_eq!(Folder::new().write(std::slice::from_ref(&given)), Folder::new().write(&[given]));
}

#[test]
fn the_example_of_the_documentation_is_what_ouli_writes() {
    let page = include_str!("../../../docs/cassette.md");
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let cassette = read_bytes(example.as_bytes()).unwrap();
    let folder = Folder::new();
    let mut writer = Writer::new(Vec::new(), &cassette.endpoints, &folder.bodies).unwrap();
    for exchange in &cassette.exchanges {
        writer.push(exchange).unwrap();
    }
    assert_eq!(String::from_utf8(writer.finish().unwrap()).unwrap(), example);
}

#[test]
fn lines_come_back_with_the_ends_they_had() {
    for text in [
        "one",
        "one\n",
        "one\ntwo",
        "one\ntwo\n",
        "one\r\ntwo\r\n",
        "one\r\ntwo\nthree\r",
        "\n",
        "\n\n",
        "\n\none",
        "",
        "a\u{2028}b\u{feff}",
        "\t\r",
    ] {
        let given = answer(whole(text), &[]);
        assert_eq!(Folder::new().keep(&given), given, "{text:?}");
        let given = answer(Body::Pieces(vec![piece(1, text)]), &[]);
        assert_eq!(Folder::new().keep(&given), given, "{text:?}");
    }
}

#[test]
fn endpoints_are_read_from_the_start_of_a_large_file() {
    let folder = Folder::new();
    let text = folder.write(&vec![answer(whole("x".repeat(60_000)), &[]); 20]);
    let path = folder.dir.path().join("large.json");
    // Whatever stands further on isn't looked at.
    std::fs::write(&path, text.replace("\"exchanges\": [", "\"exchanges\": [ nonsense")).unwrap();
    assert_eq!(read_endpoints(&path).unwrap(), [endpoint()]);
    assert!(read(&path, &folder.bodies, &Catalog::new()).is_err());
}

#[test]
fn endpoints_are_found_when_keys_were_moved() {
    let folder = Folder::new();
    let text = folder.write(&vec![answer(whole("x".repeat(60_000)), &[]); 3]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let moved = serde_json::json!({
        "exchanges": value["exchanges"], "endpoints": value["endpoints"], "format": 1,
    });
    let path = folder.dir.path().join("moved.json");
    std::fs::write(&path, moved.to_string()).unwrap();
    assert_eq!(read_endpoints(&path).unwrap(), [endpoint()]);
    let cassette = read(&path, &folder.bodies, &Catalog::new()).unwrap();
    assert_eq!(cassette, read_bytes(text.as_bytes()).unwrap());
}

/// `cargo test --release -- --ignored --nocapture ten_thousand`
#[test]
#[ignore = "a measurement"]
fn ten_thousand_exchanges_are_read_in_well_under_200_ms() {
    let rows: Vec<String> = (0..8)
        .map(|n| format!(r#"{{"id":{n},"name":"row {n}","price":{n}.50,"tags":["a","b"]}}"#))
        .collect();
    let json = format!(r#"{{"rows":[{}]}}"#, rows.join(","));
    let fields = [("Content-Type", "application/json"), ("Server", "test"), ("X-Request-Id", "1")];
    let given = answer(whole(json), &fields);
    let folder = Folder::new();
    let started = std::time::Instant::now();
    let text = folder.write(&vec![given; 10_000]);
    eprintln!("written: {} MB in {:?}", text.len() / 1_000_000, started.elapsed());
    let path = folder.dir.path().join("large.json");
    std::fs::write(&path, text).unwrap();
    for _ in 0..5 {
        let started = std::time::Instant::now();
        let count = read(&path, &Bodies::new(path.parent().unwrap()), &Catalog::new())
            .unwrap()
            .exchanges
            .len();
        eprintln!("read: {count} exchanges in {:?}", started.elapsed());
    }
    let started = std::time::Instant::now();
    read_endpoints(&path).unwrap();
    eprintln!("endpoints: {:?}", started.elapsed());
}
