//! Uploads: requests that stream through, however they are sent, match again when they are replayed,
//! and may be answered before they have ended.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::BOTH;
use crate::support::*;

/// Over `max_match_body`, which is 1 MiB, and other bytes for each seed.
fn large(seed: u8) -> Vec<u8> {
    (0..3 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed).collect()
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every way to send this body.
fn ways(path: &str, body: &[u8]) -> [(&'static str, Ask); 3] {
    let sized = Ask::new("PUT", path).body(body);
    [
        ("by length", sized.clone()),
        ("in chunks", Ask::new("PUT", path).chunked(body.chunks(50_000))),
        ("expecting 100", sized.header("expect", "100-continue")),
    ]
}

/// The origin says what it got.
fn receiving(protocol: Protocol) -> Origin {
    Origin::of(protocol).on("/*", |request| sha256_hex(&request.body))
}

#[test]
fn a_large_upload_arrives_and_matches_however_it_is_sent() {
    let body = large(1);
    for protocol in BOTH {
        let origin = receiving(protocol);
        let upload = |client: &mut Client| {
            for over in BOTH {
                let mut client = Client::new(client.address()).over(over);
                for (way, ask) in ways("/up", &body) {
                    let answer = client.ask(&ask);
                    assert_eq!(answer.text(), sha256_hex(&body), "{protocol}, {over}, {way}");
                }
            }
        };
        let recordings = on_both_roads(&origin, upload);
        let kept = recordings.cassette("default");
        let file = &kept["exchanges"][0]["request"]["body"]["file"]["sha256"];
        assert_eq!(*file, sha256_hex(&body), "{kept:#}");
        let bodies = recordings.files().into_iter().filter(|file| file.starts_with("bodies/"));
        assert_eq!(bodies.count(), 1, "equal bodies are kept once");
    }
}

#[test]
fn what_was_uploaded_one_way_matches_what_is_uploaded_another() {
    let body = large(2);
    let recorded = ways("/up", &body);
    let origin = receiving(Protocol::Http1);
    let recordings = record(&origin, |client| drop(client.ask(&recorded[0].1)));
    let replay = Ouli::replay(recordings).start();
    for protocol in BOTH {
        for (way, ask) in &recorded {
            let answer = replay.client_over(protocol).ask(ask);
            assert_eq!(answer.text(), sha256_hex(&body), "{protocol}, {way}");
        }
        let mut other = body.clone();
        *other.last_mut().unwrap() ^= 1;
        for (way, ask) in ways("/up", &other) {
            let missed = replay.client_over(protocol).ask(&ask);
            assert_eq!((missed.status, missed.fault()), (501, Some("miss")), "{way}");
        }
    }
}

#[test]
fn an_upload_reaches_the_origin_while_it_is_sent_over_both_versions() {
    for protocol in BOTH {
        let origin = Origin::http1().script("/", |talk| {
            for _ in 0..5 {
                let part = talk.read_part(4);
                talk.send(
                    [&b"HTTP/1.1 103 Early Hints\r\nlink: <"[..], &part, b">\r\n\r\n"].concat(),
                );
            }
            talk.read_body();
            talk.reply("thanks");
        });
        let ouli = Ouli::record(&origin).start();
        let parts = ["one;", "two;", "tri;", "for;", "fiv;"];
        let head = |headers: &Headers| headers.get("link").unwrap().to_owned();
        match protocol.is_h2() {
            false => {
                let mut connection = ouli.client().connect();
                connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n");
                for part in parts {
                    connection.send(part);
                    assert_eq!(head(&connection.receive_interim().1), format!("<{part}>"));
                }
                assert_eq!(connection.receive().text(), "thanks");
            }
            true => {
                let mut connection = ouli.client_over(protocol).connect_h2();
                let ask = Ask::new("POST", "/").header("content-length", "20");
                let mut stream = connection.begin(&ask);
                for part in parts {
                    stream.send(part);
                    assert_eq!(head(&stream.interim().1), format!("<{part}>"));
                }
                stream.finish();
                assert_eq!(stream.receive().unwrap().text(), "thanks");
            }
        }
    }
}

/// An origin that reads a little of the request, refuses it, and closes.
fn refusing(protocol: Protocol) -> Origin {
    let refusal = || Reply::new(401).header("www-authenticate", "Bearer").body("who are you?");
    match protocol.is_h2() {
        true => Origin::h2c().h2_script("/up", move |talk| {
            talk.read_to(1000);
            talk.reply(refusal());
        }),
        false => Origin::http1().script("/up", move |talk| {
            talk.read_part(1000);
            talk.reply(refusal().header("connection", "close"));
        }),
    }
}

/// An origin needn't read what it refuses, and Ouli needn't keep more than it has read.
#[test]
fn a_401_to_an_upload_that_still_comes_reaches_its_client() {
    let body = large(3);
    for origin in BOTH {
        let origin = refusing(origin);
        on_both_roads(&origin, |client| {
            for protocol in BOTH {
                let mut client = Client::new(client.address()).over(protocol);
                let answer = client.try_ask(&Ask::post("/up", body.clone()));
                let answer = answer.unwrap_or_else(|failure| panic!("{protocol}: {failure}"));
                assert_eq!((answer.status, answer.text()), (401, "who are you?"), "{protocol}");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            }
        });
    }
}

#[test]
fn a_401_reaches_a_client_that_reads_it_before_it_has_sent_all() {
    let origin = refusing(Protocol::Http1);
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("POST /up HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n");
    connection.send(&large(4)[..1000]);
    let answer = connection.receive();
    assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
    drop(connection);
    ouli.terminate().expect_code(0);
    let kept = ouli.recordings().cassette("default");
    let exchange = &kept["exchanges"][0];
    assert_eq!(exchange["request"]["incomplete"], true, "{kept:#}");
    assert_eq!(exchange["response"]["status"], 401);

    // What begins like it gets the same, all of it sent.
    let replay = Ouli::replay(ouli.recordings()).option("--strict").start();
    let answer = replay.client().ask(&Ask::post("/up", &large(4)[..200_000]));
    assert_eq!((answer.status, answer.text()), (401, "who are you?"));
    replay.terminate().expect_code(0);
}

/// A form with a file in it, as a browser or curl sends it.
fn form(boundary: &str, file: &[u8]) -> Ask {
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nholiday\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let body = [head.as_bytes(), file, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
    Ask::post("/form", body)
        .header("content-type", &format!("multipart/form-data; boundary={boundary}"))
}

#[test]
fn a_form_with_a_large_file_matches_without_regard_to_its_boundary() {
    let (file, other) = (large(5), large(6));
    let origin = Origin::http1().route("/form", |n| n.to_string());
    let recordings = record(&origin, |client| {
        assert_eq!(client.ask(&form("----one", &file)).text(), "1");
        assert_eq!(client.ask(&form("----one", &other)).text(), "2");
    });
    let replay = Ouli::replay(recordings).option("--strict").start();
    assert_eq!(replay.client().ask(&form("another-boundary", &other)).text(), "2");
    let over = Protocol::H2c;
    assert_eq!(replay.client_over(over).ask(&form("a-third", &file)).text(), "1");
    replay.terminate().expect_code(0);
}

/// The digest is computed as it flows: memory doesn't grow with the body.
#[test]
fn a_large_upload_costs_a_replay_no_memory_of_its_size() {
    let body = vec![7; 48 << 20];
    let origin = receiving(Protocol::Http1);
    let ask = Ask::post("/up", body.clone());
    let recordings = record(&origin, |client| drop(client.ask(&ask)));
    let replay = Ouli::replay(recordings).start();
    replay.client().get("/warm").problem(501, "miss");
    let before = replay.memory_kib("VmHWM");
    assert_eq!(replay.client().ask(&ask).text(), sha256_hex(&body));
    let grown = replay.memory_kib("VmHWM") - before;
    assert!(grown < 16 << 10, "grew by {grown} KiB");
}

#[test]
fn an_upload_whose_client_is_never_invited_is_answered_at_once() {
    let origin = Origin::http1().script("/up", |talk| {
        talk.reply(Reply::new(401).header("connection", "close").body("no"));
    });
    let talk = |client: &mut Client| {
        for protocol in BOTH {
            let client = Client::new(client.address()).over(protocol);
            let ask = Ask::new("POST", "/up").header("expect", "100-continue");
            match protocol.is_h2() {
                true => {
                    let mut connection = client.connect_h2();
                    let mut stream = connection.begin(&ask);
                    assert_eq!(stream.head().map(|head| head.0), Ok(401), "{protocol}");
                }
                false => {
                    let mut connection = client.connect();
                    connection.ask(&ask.header("content-length", "4"));
                    assert_eq!(connection.receive().status, 401, "{protocol}");
                }
            }
        }
    };
    let begun = std::time::Instant::now();
    on_both_roads(&origin, talk);
    assert!(begun.elapsed() < Duration::from_secs(10), "nobody waits for a body");
}

#[test]
fn an_origin_that_breaks_off_during_an_upload_is_said_so() {
    let body = large(7);
    for reset in [false, true] {
        let origin = Origin::http1().script("/up", move |talk| {
            talk.read_part(1000);
            match reset {
                true => talk.reset(),
                false => talk.close(),
            }
        });
        let ouli = Ouli::record(&origin).start();
        for protocol in BOTH {
            for (way, ask) in [
                ("by length", Ask::post("/up", body.clone())),
                ("expecting 100", Ask::post("/up", body.clone()).header("expect", "100-continue")),
            ] {
                let answer = ouli.client_over(protocol).try_ask(&ask);
                let answer =
                    answer.unwrap_or_else(|failure| panic!("{protocol}, {way}: {failure}"));
                answer.problem(502, "origin-broke-off");
            }
        }
        ouli.terminate().expect_code(0);
        assert!(!ouli.recordings().files().contains(&"default.json".to_owned()));
    }
}
