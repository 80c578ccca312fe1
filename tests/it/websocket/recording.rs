//! What a cassette holds of a conversation.

use serde_json::json;

use super::{clients, close, exchange, exchange_of, say_all, script};
use crate::support::ws::{Frame, Said, hold, text};
use crate::support::*;

#[test]
fn a_conversation_reads_like_a_script() {
    let origin = Origin::http1().ws("/chat", |talk| {
        let mut talker = talk.grant(&[("sec-websocket-protocol", "chat")]);
        talker.say("who is it?");
        talker.expect_text("me");
        talker.say(r#"{"hello": "me", "n": 1}"#);
        talker.expect(Said::Binary(vec![0, 1, 0xff]));
        talker.say("");
        talker.expect_text("one\ntwo\nthree");
        talker.say_bytes(vec![2; 3]);
        talker.expect(Said::close(1000, "bye"));
        talker.close(1000, "bye");
    });
    let ouli = Ouli::record(&origin).start();
    for (n, client) in clients(&ouli).into_iter().enumerate() {
        let client = client.in_session(&format!("client{n}"));
        let mut talker = client.handshake("/chat").subprotocols("chat").open();
        talker.expect_text("who is it?");
        talker.frame(Frame::text("m").unfinished());
        talker.frame(Frame::continuation("e"));
        talker.expect_text(r#"{"hello": "me", "n": 1}"#);
        talker.say_bytes(vec![0, 1, 0xff]);
        talker.expect_text("");
        talker.say("one\ntwo\nthree");
        talker.expect(Said::Binary(vec![2; 3]));
        talker.part(1000, "bye");
    }
    ouli.terminate().expect_code(0);
    for n in 0..2 {
        let exchange = exchange_of(&ouli.recordings(), &format!("client{n}"), 0);
        // In the terms of HTTP/1.1, whatever the client spoke.
        assert_eq!(exchange["request"]["method"], json!("GET"), "{exchange:#}");
        assert_eq!(exchange["response"]["status"], json!(101), "{exchange:#}");
        assert_eq!(
            script(&exchange),
            [
                "origin: who is it?",
                "client: me",
                "origin: {\"hello\":\"me\",\"n\":1}",
                "client: base64 AAH/",
                "origin: ",
                "client: one\ntwo\nthree",
                "origin: base64 AgIC",
            ],
            "{exchange:#}"
        );
        assert_eq!(close(&exchange), ("client", Some(1000), "bye"), "{exchange:#}");
        for key in ["body", "stream", "messages"] {
            assert!(exchange["response"][key].is_null(), "`{key}` beside it: {exchange:#}");
        }
        let times = exchange["conversation"]["messages"].as_array().unwrap();
        let times: Vec<_> = times.iter().map(|message| message["at_ms"].as_u64()).collect();
        assert!(times.iter().all(Option::is_some) && times.is_sorted(), "{exchange:#}");
    }
}

#[test]
fn text_and_binary_stay_what_they_were() {
    let origin = Origin::http1().ws_echo("/");
    let recorder = Ouli::record(&origin).start();
    let talk = |ouli: &Ouli| {
        let mut talker = ouli.client().converse("/");
        for payload in [&b"looks like text"[..], b"{\"a\":1}", b"", b"\xef\xbb\xbfmarked"] {
            talker.say_bytes(payload);
            talker.expect(Said::Binary(payload.to_vec()));
        }
        for said in ["", "{\"a\": 1.0, \"b\": 1e400}", "[1,2]", "null", "\"x\"", " 1", "\u{1e}\0\r"]
        {
            talker.ask(said, said);
        }
        talker.part(1000, "");
    };
    talk(&recorder);
    recorder.terminate().expect_code(0);
    origin.stop();
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    talk(&replay);
    replay.terminate().expect_code(0);
}

#[test]
fn pings_and_pongs_are_not_kept() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.frame(Frame::ping("origin's"));
        talker.expect(Said::Pong(b"origin's".to_vec()));
        talker.frame(Frame::text("in ").unfinished());
        talker.frame(Frame::ping("between"));
        talker.frame(Frame::continuation("two"));
        hold(&mut talker);
        talker.close(1000, "");
    });
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        talker.expect(Said::Ping(b"origin's".to_vec()));
        talker.frame(Frame::pong("origin's"));
        talker.expect(Said::Ping(b"between".to_vec()));
        talker.expect(text("in two"));
        talker.frame(Frame::ping("client's"));
        talker.part(1000, "");
    });
    let exchange = exchange(&recordings, 0);
    assert_eq!(script(&exchange), ["origin: in two"], "{exchange:#}");
    for needle in ["between", "client's"] {
        assert_eq!(recordings.files_with(needle), Vec::<String>::new());
    }
}

#[test]
fn messages_stand_where_they_came() {
    let origin = Origin::http1().ws("/", |talk| {
        let mut talker = talk.accept();
        for n in 0..3 {
            talker.say(&format!("pushed {n}"));
        }
        for n in 0..2 {
            talker.expect_text(&format!("asked {n}"));
        }
        talker.say("answered both");
        hold(&mut talker);
    });
    let recordings = record(&origin, |client| {
        let mut talker = client.converse("/");
        (0..3).for_each(|n| talker.expect_text(&format!("pushed {n}")));
        talker.say("asked 0");
        talker.say("asked 1");
        talker.expect_text("answered both");
    });
    assert_eq!(
        script(&exchange(&recordings, 0)),
        [
            "origin: pushed 0",
            "origin: pushed 1",
            "origin: pushed 2",
            "client: asked 0",
            "client: asked 1",
            "origin: answered both",
        ]
    );
}

#[test]
fn large_messages_stand_in_files_of_their_own() {
    const LEN: usize = 300_000;
    let origin = Origin::http1().ws_echo("/");
    let recorder = Ouli::record(&origin).start();
    let talk = |ouli: &Ouli| {
        let mut talker = ouli.client().converse("/");
        talker.say_bytes(vec![0xa7; LEN]);
        talker.expect(Said::Binary(vec![0xa7; LEN]));
        let text = "text ".repeat(LEN);
        talker.ask(&text, &text);
        talker.part(1000, "");
    };
    talk(&recorder);
    recorder.terminate().expect_code(0);
    let recordings = recorder.recordings();
    let in_files = |file: &String| file.starts_with("bodies/");
    assert_eq!(recordings.files().into_iter().filter(in_files).count(), 2, "one for each content");
    origin.stop();
    let replay = Ouli::replay(recordings).option("--strict").start();
    talk(&replay);
    replay.terminate().expect_code(0);
}

#[test]
fn two_hundred_conversations_at_once_are_kept_apart() {
    const COUNT: usize = 200;
    let origin = Origin::http1().ws_echo("/*");
    let recorder = Ouli::record(&origin).option("-q").start();
    let talk = |ouli: &Ouli| {
        let client = ouli.client();
        let targets: Vec<_> = (0..COUNT).map(|n| format!("/{n}")).collect();
        let mut talkers: Vec<_> = targets.iter().map(|target| client.converse(target)).collect();
        for round in 0..3 {
            for (n, talker) in talkers.iter_mut().enumerate() {
                talker.say(&format!("{n} says {round}"));
            }
            for (n, talker) in talkers.iter_mut().enumerate() {
                talker.expect_text(&format!("{n} says {round}"));
            }
        }
        talkers.iter_mut().for_each(|talker| talker.part(1000, ""));
    };
    talk(&recorder);
    recorder.terminate().expect_code(0);
    let kept = recorder.recordings().cassette("default");
    let exchanges = kept["exchanges"].as_array().unwrap();
    assert_eq!(exchanges.len(), COUNT);
    for exchange in exchanges {
        let n = exchange["request"]["target"].as_str().unwrap().trim_start_matches('/');
        let expected: Vec<_> = (0..3)
            .flat_map(|round| ["client", "origin"].map(|from| format!("{from}: {n} says {round}")))
            .collect();
        assert_eq!(script(exchange), expected, "{exchange:#}");
    }
    origin.stop();
    let replay = Ouli::replay(recorder.recordings()).options(["--strict", "-q"]).start();
    talk(&replay);
    replay.terminate().expect_code(0);
}

#[test]
fn conversations_and_ordinary_requests_share_a_session() {
    let origin = Origin::http1().ws_echo("/chat").route("/n", |n| n.to_string());
    let recordings = on_both_roads(&origin, |client| {
        assert_eq!(client.get("/n").text(), "1");
        let mut talker = client.converse("/chat");
        say_all(&mut talker, &["one", "two"]);
        assert_eq!(client.get("/n").text(), "2");
        talker.part(1000, "");
    });
    let kept = recordings.cassette("default");
    assert_eq!(kept["exchanges"].as_array().map(Vec::len), Some(3), "{kept:#}");
}
