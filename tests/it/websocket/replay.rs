//! A replay says what the origin said, once the client has said what preceded it.

use std::time::{Duration, Instant};

use super::{clients, say_all};
use crate::support::ws::{Frame, Said, echo, hold, text};
use crate::support::*;

/// Asks for two things before it answers, and says one thing by itself.
fn conversing() -> Origin {
    Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.say("welcome");
        talker.expect_text("one");
        talker.expect_text("two");
        talker.say("both");
        talker.say("and more");
        talker.expect(Said::Binary(vec![3]));
        talker.say_bytes(vec![33]);
        hold(&mut talker);
        talker.close(1000, "bye");
    })
}

#[track_caller]
fn converse(client: &Client) {
    let mut talker = client.converse("/");
    talker.expect_text("welcome");
    talker.say("one");
    talker.say("two");
    talker.expect_text("both");
    talker.expect_text("and more");
    talker.say_bytes(vec![3]);
    talker.expect(Said::Binary(vec![33]));
    talker.part(1000, "bye");
}

#[test]
fn each_message_of_the_origin_waits_for_those_of_the_client_that_preceded_it() {
    let origin = conversing();
    let recordings = record(&origin, |client| converse(client));
    origin.stop();
    let replay = Ouli::replay(recordings).start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        talker.expect_text("welcome");
        talker.expect_nothing_waiting();
        talker.say("one");
        talker.expect_nothing_waiting();
        talker.say("two");
        talker.expect_text("both");
        talker.expect_text("and more");
        talker.expect_nothing_waiting();
        talker.say_bytes(vec![3]);
        talker.expect(Said::Binary(vec![33]));
        talker.part(1000, "bye");
    }
    replay.terminate().expect_code(0);
}

#[test]
fn every_recording_is_used_once_and_strictly() {
    let origin = conversing();
    on_both_roads(&origin, |client| {
        converse(client);
        converse(client);
    });
    let recordings = record(&origin, |client| {
        converse(client);
        converse(client);
    });
    let replay = Ouli::replay(recordings.clone()).option("--strict").start();
    converse(&replay.client());
    // One is left.
    replay.terminate().expect_code(3);
    let replay = Ouli::replay(recordings).option("--strict").start();
    converse(&replay.client());
    converse(&replay.client_over(Protocol::H2c));
    replay.terminate().expect_code(0);
}

#[test]
fn json_counts_by_value_and_other_text_exactly() {
    let origin = Origin::http1().ws_echo("/");
    let json = r#"{"id": 1, "tags": ["a", "b"], "deep": {"x": null}}"#;
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        say_all(&mut talker, &[json, "plain text"]);
        talker.part(1000, "");
    });
    let replay = Ouli::replay(recordings).start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        talker.ask(r#"{"deep":{"x":null},"tags":["a","b"],"id":1}"#, json);
        talker.ask("plain text", "plain text");

        let mut talker = client.converse("/");
        talker.ask(json, json);
        talker.say("plain  text");
        talker.expect_close(1008);

        let mut talker = client.converse("/");
        talker.say(r#"{"id": 1, "tags": ["b", "a"], "deep": {"x": null}}"#);
        talker.expect_close(1008);
    }
    replay.terminate().expect_said(&["4 miss"]);
}

#[test]
fn binary_counts_exactly_and_is_no_text() {
    let origin = Origin::http1().ws_echo("/");
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.say_bytes(&b"{\"a\":1}"[..]);
        talker.expect(Said::Binary(b"{\"a\":1}".to_vec()));
    });
    let replay = Ouli::replay(recordings).start();
    let client = replay.client();
    let mut talker = client.converse("/");
    talker.say_bytes(&b"{\"a\":1}"[..]);
    talker.expect(Said::Binary(b"{\"a\":1}".to_vec()));
    let different: [fn(&mut crate::support::ws::Talker<'_>) -> bool; 2] =
        [|talker| talker.say_bytes(&b"{\"a\": 1}"[..]), |talker| talker.say("{\"a\":1}")];
    for say in different {
        let mut talker = client.converse("/");
        say(&mut talker);
        talker.expect_close(1008);
    }
}

#[test]
fn fragments_do_not_count() {
    let origin = Origin::http1().ws_echo("/");
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.frame(Frame::text("in ").unfinished());
        talker.frame(Frame::continuation("two"));
        talker.expect(text("in two"));
        talker.part(1000, "");
    });
    let replay = Ouli::replay(recordings).start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        talker.frame(Frame::text("").unfinished());
        for part in ["i", "n ", "", "t", "wo"] {
            talker.frame(Frame::continuation(part).unfinished());
            talker.frame(Frame::ping(part));
            talker.expect(Said::Pong(part.as_bytes().to_vec()));
        }
        talker.frame(Frame::continuation(""));
        talker.expect_text("in two");
        talker.part(1000, "");
    }
    replay.terminate().expect_code(0);
}

#[test]
fn pings_are_answered_and_pongs_ignored() {
    let origin = Origin::http1().ws_echo("/");
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.ask("x", "x");
        talker.part(1000, "");
    });
    let replay = Ouli::replay(recordings).start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        for payload in ["", "p", &"x".repeat(125)] {
            talker.frame(Frame::pong("unasked"));
            talker.frame(Frame::ping(payload));
            talker.expect(Said::Pong(payload.as_bytes().to_vec()));
        }
        talker.ask("x", "x");
        talker.part(1000, "");
    }
    replay.terminate().expect_code(0);
}

#[test]
fn the_subprotocols_offered_are_part_of_the_match() {
    let origin = Origin::http1().ws("/", |talk| {
        let offered = talk.request().headers.get("sec-websocket-protocol").map(str::to_owned);
        match offered.as_deref() {
            None => echo(&mut talk.accept()),
            Some(offered) => {
                let first = offered.split(',').next().unwrap();
                let mut talker = talk.grant(&[("sec-websocket-protocol", first)]);
                talker.say(&format!("speaking {first}"));
                hold(&mut talker);
            }
        }
    });
    let recordings = record(&origin, |client| {
        client.converse("/").ask("x", "x");
        client.handshake("/").subprotocols("a, b").open().expect_text("speaking a");
        client.handshake("/").subprotocols("b").open().expect_text("speaking b");
    });
    let replay = Ouli::replay(recordings).start();
    for client in clients(&replay) {
        for (offered, granted) in [("b", "b"), ("a, b", "a"), ("a,b", "a")] {
            let mut talker = client.handshake("/").subprotocols(offered).open();
            assert_eq!(talker.granted().get("sec-websocket-protocol"), Some(granted));
            talker.expect_text(&format!("speaking {granted}"));
        }
        client.converse("/").ask("x", "x");
        let miss = client.handshake("/").subprotocols("c").refused();
        let problem = miss.problem(501, "miss");
        assert!(problem.contains("subprotocol"), "{problem}");
    }
}

#[test]
fn path_and_query_are_part_of_the_match() {
    let origin = Origin::http1().ws_echo("/*");
    let recordings = record(&origin, |client| {
        client.converse("/room?b=2&a=1").ask("x", "x");
    });
    let replay = Ouli::replay(recordings).start();
    for client in clients(&replay) {
        client.converse("/room?a=1&b=2").ask("x", "x");
        for target in ["/room", "/room?a=1", "/hall?a=1&b=2"] {
            let miss = client.handshake(target).refused();
            miss.problem(501, "miss");
        }
    }
    // What asks for no conversation is another request.
    replay.client().get("/room?a=1&b=2").problem(501, "miss");
}

#[test]
fn the_answer_to_a_handshake_is_made_for_its_key() {
    let origin = Origin::http1().ws("/", |talk| {
        echo(
            &mut talk
                .grant(&[("X-Served-By", "origin"), ("Date", "Sat, 21 Nov 2026 02:36:00 GMT")]),
        );
    });
    let recordings = record(&origin, |client| client.converse("/").ask("x", "x"));
    // The key of the recording must not matter; `Handshake` checks what its own is answered with.
    recordings.edit("default", |cassette| {
        cassette.replace("dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA==")
    });
    let replay = Ouli::replay(recordings).start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        assert_eq!(talker.granted().get("x-served-by"), Some("origin"));
        assert_eq!(talker.granted().get("date"), Some("Sat, 21 Nov 2026 02:36:00 GMT"));
        talker.ask("x", "x");
    }
}

#[test]
fn an_edited_cassette_is_what_is_said() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.expect_text("hello");
        talker.say("the first");
        talker.say(r#"{"n": 1}"#);
        talker.close(1000, "was enough");
        hold(&mut talker);
    });
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.ask("hello", "the first");
        talker.expect_text(r#"{"n": 1}"#);
        talker.expect_close(1000);
        talker.close(1000, "");
    });
    recordings.edit("default", |cassette| {
        let cassette = cassette.replace("the first", "the edited, and much longer than it was");
        let cassette = cassette.replace("\"n\": 1", "\"n\": 2");
        let cassette = cassette.replace("was enough", "is enough");
        cassette.replace("\"hello\"", "\"hallo\"")
    });
    let replay = Ouli::replay(recordings).option("--strict").start();
    let mut talker = replay.client().converse("/");
    talker.ask("hallo", "the edited, and much longer than it was");
    talker.expect_text(r#"{"n": 2}"#);
    assert_eq!(talker.expect_close(1000), "is enough");
    talker.close(1000, "");
    talker.expect_end();
    replay.terminate().expect_code(0);
}

#[test]
fn at_the_recorded_pace_messages_keep_their_gaps() {
    const GAP: Duration = Duration::from_millis(300);
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.expect_text("go");
        for n in 0..3 {
            std::thread::sleep(GAP);
            talker.say(&n.to_string());
        }
        hold(&mut talker);
    });
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.say("go");
        (0..3).for_each(|n| talker.expect_text(&n.to_string()));
    });
    for (pace, bounds) in [("recorded", 600..3000), ("instant", 0..500)] {
        let replay = Ouli::replay(recordings.clone()).options(["--pace", pace]).start();
        let mut talker = replay.client().converse("/");
        talker.say("go");
        let begun = Instant::now();
        (0..3).for_each(|n| talker.expect_text(&n.to_string()));
        let took = begun.elapsed();
        assert!(bounds.contains(&took.as_millis()), "{pace}: {took:?}");
    }
}

#[test]
fn a_client_that_is_slow_to_take_a_message_shifts_what_follows() {
    const GAP: Duration = Duration::from_millis(600);
    const DAWDLE: Duration = Duration::from_millis(1500);
    let large = vec![b'.'; 12 << 20];
    let said = large.clone();
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        talker.say_bytes(said.clone());
        for text in ["the", "end"] {
            std::thread::sleep(GAP);
            talker.say(text);
        }
        hold(&mut talker);
    });
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.expect(Said::Binary(large.clone()));
        talker.expect_text("the");
        talker.expect_text("end");
    });
    let replay = Ouli::replay(recordings).options(["--pace", "recorded"]).start();
    for client in clients(&replay) {
        let begun = Instant::now();
        let mut talker = client.converse("/");
        std::thread::sleep(DAWDLE);
        talker.expect(Said::Binary(large.clone()));
        talker.expect_text("the");
        talker.expect_text("end");
        let took = begun.elapsed();
        assert!(took > DAWDLE + GAP - Duration::from_millis(100), "{took:?}");
    }
}

#[test]
fn a_ping_amid_a_large_message_is_answered_behind_it() {
    let large: Vec<u8> = (0..16_u32 << 20).map(|n| (n % 251) as u8).collect();
    let said = large.clone();
    let origin = Origin::http1().ws("/", move |talk| {
        let mut talker = talk.accept();
        talker.say_bytes(said.clone());
        hold(&mut talker);
        talker.close(1000, "");
    });
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.expect(Said::Binary(large.clone()));
        talker.part(1000, "");
    });
    let replay = Ouli::replay(recordings).start();
    for client in clients(&replay) {
        let mut talker = client.converse("/");
        talker.peek().expect("the message has begun");
        talker.frame(Frame::ping("amid"));
        assert!(talker.next_frame().unwrap().payload == large, "the message isn't as it was");
        talker.expect_frame(&Frame::pong("amid"));
        talker.part(1000, "");
    }
    replay.terminate().expect_code(0);
}
