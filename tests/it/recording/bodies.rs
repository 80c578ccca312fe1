//! How bodies are kept: readable, decoded, in files of their own, or as length and digest only.

use sha2::{Digest, Sha256};

use crate::support::*;

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that are no text in any encoding, another sequence for each seed.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn body_files(recordings: &Recordings) -> Vec<String> {
    recordings
        .files()
        .into_iter()
        .filter_map(|f| f.strip_prefix("bodies/").map(Into::into))
        .collect()
}

#[test]
fn large_binary_bodies_are_files_named_by_their_digest_and_shared() {
    let body = noise(200 << 10, 7);
    let (one, two, three) = (body.clone(), body.clone(), noise(100 << 10, 8));
    let request = three.clone();
    let origin = Origin::http1()
        .route("/one", move |_| one.clone())
        .route("/two", move |_| Reply::new(200).chunked(two.chunks(3000)))
        .on("/up", |request| request.body.len().to_string());
    let recordings = on_both_roads(&origin, |client| {
        assert!(client.get("/one").body == body && client.get("/two").body == body);
        assert_eq!(client.post("/up", three.clone()).text(), (100 << 10).to_string());
    });
    let mut expected = vec![sha256_hex(&body), sha256_hex(&request)];
    expected.sort();
    assert_eq!(body_files(&recordings), expected, "equal bodies share a file");
    for name in expected {
        let kept = std::fs::read(recordings.path.join("bodies").join(&name)).unwrap();
        assert_eq!(sha256_hex(&kept), name);
    }
}

#[test]
fn json_stands_in_the_cassette_as_json_and_text_as_text() {
    let origin = Origin::http1()
        .route("/json", |_| Reply::json(r#"{"answer":{"to":["life",42]}}"#))
        .route("/text", |_| Reply::ok("line one\nline two\n").header("content-type", "text/plain"))
        .route("/binary", |_| noise(100, 1));
    let recordings = record(&origin, |client| {
        for path in ["/json", "/text", "/binary"] {
            client.get(path);
        }
    });
    let cassette = recordings.cassette("default");
    let body = |n: usize| &cassette["exchanges"][n]["response"]["body"];
    assert_eq!(body(0)["json"]["answer"]["to"][1], 42, "{:#}", body(0));
    assert!(body(1)["text"].to_string().contains("line two"), "{:#}", body(1));
    assert!(body(2)["base64"].is_string(), "{:#}", body(2));
}

#[test]
fn every_style_of_json_replays_to_the_same_bytes() {
    let texts = [
        "{}",
        "[1,2]",
        "{\"a\": 1, \"b\": [true, null]}",
        "{\n  \"a\": 1\n}\n",
        "{\n    \"a\": [\n        1\n    ]\n}",
        "{\"a\":1.0,\"a\":1e3}",
        "{\"\\u00e4\":\"\\/\"}",
        " {\"odd\" :1}",
        "123456789012345678901234567890",
        "{\"big\":9007199254740993,\"neg\":-0.0}",
        "\"just a string\"",
        "{not json",
        "",
    ];
    let origin = Origin::http1().on("/*", move |request| {
        let index: usize = request.path().trim_start_matches('/').parse().unwrap();
        Reply::json(texts[index])
    });
    on_both_roads(&origin, |client| {
        for (index, text) in texts.iter().enumerate() {
            assert_eq!(client.get(&format!("/{index}")).text(), *text);
        }
    });
}

#[test]
fn coded_bodies_are_readable_in_the_cassette_and_equal_when_replayed() {
    let plain = r#"{"words":"readable, searchable, editable"}"#.to_owned();
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let bytes = coded(coding, plain.as_bytes());
        let origin = Origin::http1().route("/", move |_| {
            Reply::json("").header("content-encoding", coding).body(bytes.clone())
        });
        let recordings = on_both_roads(&origin, |client| {
            // Whatever the request accepts.
            let answer = client.ask(&Ask::get("/").header("accept-encoding", "identity"));
            assert_eq!(answer.header("content-encoding"), Some(coding));
            assert_eq!(String::from_utf8_lossy(&decoded(coding, &answer.body)), plain);
        });
        assert!(recordings.cassette_text("default").contains("searchable"), "{coding}");
    }
}

#[test]
fn a_coded_stream_keeps_its_pieces_readable() {
    let events: Vec<String> = (0..20).map(|n| format!("data: event number {n}\n\n")).collect();
    let plain = events.concat();
    let bytes = coded("gzip", plain.as_bytes());
    let origin = Origin::http1().route("/", move |_| {
        Reply::new(200)
            .header("content-type", "text/event-stream")
            .header("content-encoding", "gzip")
            .chunked(bytes.chunks(10))
    });
    let recordings = on_both_roads(&origin, |client| {
        let answer = client.get("/");
        assert_eq!(String::from_utf8_lossy(&decoded("gzip", &answer.body)), plain);
    });
    assert!(recordings.cassette_text("default").contains("event number 7"));
}

#[test]
fn what_depends_on_the_coded_bytes_keeps_them() {
    let bytes = coded("gzip", &b"some text, some text, some text".repeat(20));
    let (range, digest, broken) = (bytes.clone(), bytes.clone(), b"not gzip at all".to_vec());
    let origin = Origin::http1()
        .route("/range", move |_| {
            let reply = Reply::new(206).header("content-range", "bytes 0-99/1000");
            reply.header("content-encoding", "gzip").body(range.clone())
        })
        .route("/digest", move |_| {
            let reply = Reply::new(200).header("content-digest", "sha-256=:abc=:");
            reply.header("content-encoding", "gzip").body(digest.clone())
        })
        .route("/broken", move |_| {
            Reply::new(200).header("content-encoding", "gzip").body(broken.clone())
        });
    on_both_roads(&origin, |client| {
        assert!(client.get("/range").body == bytes, "a range");
        assert!(client.get("/digest").body == bytes, "a digest");
        assert_eq!(client.get("/broken").text(), "not gzip at all");
    });
}

#[test]
fn a_body_that_does_not_decode_is_kept_as_it_came_with_a_warning() {
    let origin = Origin::http1().route("/broken", |_| {
        Reply::new(200).header("content-encoding", "br").body("neither here nor there")
    });
    let recorder = Ouli::record(&origin).start();
    recorder.client().get("/broken?token=secret");
    let ended = recorder.terminate();
    ended.expect_code(0);
    let expected = "default: the body of the answer to GET /broken?token=REDACTED doesn't decode \
                    as br, which its headers name; it is kept as it came";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    assert!(recorder.recordings().cassette_text("default").contains("neither here nor there"));
}

#[test]
fn a_coded_request_body_matches_by_what_it_says() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let ask = |level: u32| {
        use std::io::Write;
        let level = flate2::Compression::new(level);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(br#"{"q": "the same question, the same question"}"#).unwrap();
        let ask = Ask::post("/", encoder.finish().unwrap());
        ask.header("content-type", "application/json").header("content-encoding", "gzip")
    };
    on_both_roads(&origin, |client| assert_eq!(client.ask(&ask(6)).text(), "1"));
}

#[test]
fn a_body_over_max_kept_body_passes_whole_and_is_kept_as_length_and_digest() {
    let large = noise(150 << 10, 3);
    let sent = large.clone();
    let origin = Origin::http1()
        .route("/down", move |_| sent.clone())
        .on("/up", |request| sha256_hex(&request.body));
    let recorder = Ouli::record(&origin).limits("max_kept_body = \"100KiB\"").start();
    assert!(recorder.client().get("/down").body == large);
    assert_eq!(recorder.client().post("/up", large.clone()).text(), sha256_hex(&large));
    let ended = recorder.terminate();
    ended.expect_code(0).expect_said(&["max_kept_body"]);
    let recordings = recorder.recordings();
    let kept = recordings.cassette_text("default");
    // Both omitted bodies, and the answer that says what the origin got.
    assert_eq!(kept.matches(&sha256_hex(&large)).count(), 3, "{kept}");
    assert!(kept.contains(&large.len().to_string()), "{kept}");
    assert_eq!(body_files(&recordings), Vec::<String>::new());

    let replay = Ouli::replay(recordings).start();
    let problem = replay.client().get("/down").problem(501, "miss");
    assert!(problem.contains("max_kept_body"), "says why: {problem}");
    let answer = replay.client().post("/up", large.clone());
    assert_eq!(answer.text(), sha256_hex(&large), "a request is matched by its digest");
}

#[test]
fn a_cassette_is_pretty_stable_and_names_its_format() {
    let origin =
        Origin::http1().on("/*", |request| Reply::json("{}").header("x-b", &request.target));
    let talk = |client: &mut Client| {
        client.ask(&Ask::get("/a?b=c").header("X-Zed", "1").header("x-zed", "2"));
        client.post("/d", r#"{"e": 1}"#);
    };
    let recordings = record(&origin, talk);
    let text = recordings.cassette_text("default");
    assert!(text.starts_with("{\n") && text.ends_with("}\n"), "{text}");
    assert!(recordings.cassette("default")["format"].is_u64());
    let first = &recordings.cassette("default")["exchanges"][0]["request"]["headers"];
    let names: Vec<_> = first.as_array().unwrap().iter().map(|pair| &pair[0]).collect();
    assert!(names.windows(2).any(|two| two == ["X-Zed", "x-zed"]), "order and case: {names:?}");
}

#[test]
fn match_keys_see_large_request_bodies_apart() {
    let (one, two) = (noise(3 << 20, 1), noise(3 << 20, 2));
    let origin = Origin::http1().route("/", |n| n.to_string());
    on_both_roads(&origin, |client| {
        assert_eq!(client.post("/", one.clone()).text(), "1");
        assert_eq!(client.post("/", two.clone()).text(), "2");
    });
}
