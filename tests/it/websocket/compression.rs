//! permessage-deflate: agreed on end to end, readable in the cassette, agreed on again on replay.

use serde_json::json;

use super::{clients, exchange, script};
use crate::support::ws::{Frame, Said, hold};
use crate::support::*;

const GRANTS: [&str; 5] = [
    "permessage-deflate",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
];

/// What fits each of `GRANTS` as an offer.
const OFFER: &str = "permessage-deflate; client_max_window_bits";

const LINES: [&str; 4] = [
    "the quick brown fox jumps over the lazy dog",
    "the quick brown fox jumps over the lazy dog",
    "the lazy dog jumps over the quick brown fox",
    "{\"fox\": \"quick\", \"dog\": \"lazy\"}",
];

/// Grants compression in these terms, and answers each text with another, compressed.
fn deflating(grant: &'static str) -> Origin {
    Origin::http1().ws("/", move |talk| {
        let mut talker = talk.grant(&[("Sec-WebSocket-Extensions", grant)]);
        while let Ok(said) = talker.next() {
            match said {
                Said::Text(text) => drop(talker.say_compressed(&format!("re: {text}"))),
                Said::Close(code, reason) => {
                    talker.close(code.unwrap(), &reason);
                    return;
                }
                _ => {}
            }
        }
    })
}

#[track_caller]
fn converse_compressed(client: &Client) {
    let mut talker = client.handshake("/").extensions(OFFER).open();
    assert!(talker.is_compressing(), "{:?}", talker.granted());
    for line in LINES {
        talker.say_compressed(line);
        talker.expect_text(&format!("re: {line}"));
    }
    talker.say_compressed_in_fragments(LINES[0], 3);
    talker.expect_text(&format!("re: {}", LINES[0]));
    talker.part(1000, "");
}

#[test]
fn compressed_messages_are_readable_in_the_cassette_whatever_the_terms() {
    for grant in GRANTS {
        let origin = deflating(grant);
        let recordings = record(&origin, |client| converse_compressed(client));
        let exchange = exchange(&recordings, 0);
        let mut lines = LINES.to_vec();
        lines.push(LINES[0]);
        let expected: Vec<_> = lines
            .iter()
            .flat_map(|line| {
                let said = match line.starts_with('{') {
                    true => serde_json::from_str::<serde_json::Value>(line).unwrap().to_string(),
                    false => (*line).to_owned(),
                };
                [format!("client: {said}"), format!("origin: re: {line}")]
            })
            .collect();
        assert_eq!(script(&exchange), expected, "{grant}: {exchange:#}");
        let messages = exchange["conversation"]["messages"].as_array().unwrap();
        assert!(
            messages.iter().all(|message| message["compressed"] == json!(true)),
            "{exchange:#}"
        );
    }
}

#[test]
fn compressed_bytes_pass_as_they_are() {
    let origin = deflating("permessage-deflate");
    let ouli = Ouli::record(&origin).start();
    for (n, client) in clients(&ouli).into_iter().enumerate() {
        let mut talker = client.handshake("/").extensions(OFFER).open();
        for line in LINES {
            talker.say_compressed(line);
            talker.expect_text(&format!("re: {line}"));
        }
        super::expect_same_bytes(&origin.conversation(n), &talker.log());
    }
}

#[test]
fn compression_is_agreed_on_again_where_it_was_recorded_and_is_offered() {
    for grant in GRANTS {
        let origin = deflating(grant);
        let recordings = record(&origin, |client| converse_compressed(client));
        origin.stop();
        let replay = Ouli::replay(recordings).start();
        for client in clients(&replay) {
            converse_compressed(&client);
        }
        replay.terminate().expect_code(0);
    }
}

#[test]
fn a_replay_compresses_what_was_compressed_for_a_client_that_offers_it() {
    let origin = deflating("permessage-deflate");
    let recordings = record(&origin, |client| converse_compressed(client));
    let replay = Ouli::replay(recordings).start();
    let client = replay.client();
    let mut talker = client.handshake("/").extensions(OFFER).open();
    talker.say_compressed(LINES[0]);
    let frame = talker.next_frame().unwrap();
    assert_eq!(frame.rsv, 0b100, "{frame:?}");
}

#[test]
fn a_client_that_offers_no_compression_gets_none() {
    let origin = deflating("permessage-deflate");
    let recordings = record(&origin, |client| converse_compressed(client));
    let replay = Ouli::replay(recordings).start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        assert!(!talker.granted().has("sec-websocket-extensions"), "{:?}", talker.granted());
        for line in LINES {
            talker.ask(line, &format!("re: {line}"));
        }
        talker.ask(LINES[0], &format!("re: {}", LINES[0]));
        talker.part(1000, "");
    }
    replay.terminate().expect_code(0);
}

#[test]
fn a_client_that_offers_less_gets_no_more() {
    // It can't be told of its own window, and must be spared the server's context.
    let origin = deflating(GRANTS[4]);
    let recordings = record(&origin, |client| converse_compressed(client));
    let replay = Ouli::replay(recordings).start();
    let client = replay.client();
    let offer = "permessage-deflate; server_no_context_takeover";
    let mut talker = client.handshake("/").extensions(offer).open();
    if let Some(granted) = talker.granted().get("sec-websocket-extensions") {
        assert!(granted.contains("server_no_context_takeover"), "{granted}");
        assert!(!granted.contains("client_max_window_bits"), "{granted}");
    }
    for line in LINES {
        talker.ask(line, &format!("re: {line}"));
    }
}

#[test]
fn what_can_not_be_inflated_passes_and_is_kept_as_it_was_sent() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.grant(&[("sec-websocket-extensions", "permessage-deflate")]);
        talker.frame(Frame::new(1, b"\xff\xff\xff").rsv(0b100));
        hold(&mut talker);
    });
    let recordings = record(&origin, |client| {
        let mut talker = client.handshake("/").extensions(OFFER).open();
        talker.expect_frame(&Frame::new(1, b"\xff\xff\xff").rsv(0b100));
    });
    let exchange = exchange(&recordings, 0);
    assert_eq!(script(&exchange), ["origin: base64 ////"], "{exchange:#}");
    let message = &exchange["conversation"]["messages"][0];
    assert_eq!(message["compressed"], json!("as_sent"), "{exchange:#}");
}

#[test]
fn an_extension_that_ouli_does_not_know_passes_and_ends_what_can_be_kept() {
    let marked = || Frame::text("marked").rsv(0b010);
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.grant(&[("sec-websocket-extensions", "x-own")]);
        talker.say("plain");
        talker.frame(marked());
        talker.say("who knows");
        hold(&mut talker);
    });
    let ouli = Ouli::record(&origin).start();
    let mut talker = ouli.client().handshake("/").extensions("x-own").open();
    talker.expect_text("plain");
    talker.expect_frame(&marked());
    talker.expect_text("who knows");
    talker.close(1000, "");
    talker.expect_end();
    ouli.terminate().expect_code(0).expect_said(&["extension"]);
    assert_eq!(script(&exchange(&ouli.recordings(), 0)), ["origin: plain"]);
}

#[test]
fn an_edited_text_is_compressed_anew() {
    let origin = deflating("permessage-deflate");
    let recordings = record(&origin, |client| converse_compressed(client));
    recordings.edit("default", |cassette| {
        cassette.replacen("re: the quick brown fox", "edited: a slow red fox", 1)
    });
    let replay = Ouli::replay(recordings).start();
    let client = replay.client();
    let mut talker = client.handshake("/").extensions(OFFER).open();
    talker.say_compressed(LINES[0]);
    talker.expect_text("edited: a slow red fox jumps over the lazy dog");
}
