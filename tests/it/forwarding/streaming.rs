//! Bodies stream: the first byte arrives before the last has left.

use std::time::Duration;

use crate::support::*;

#[test]
fn the_first_byte_of_an_answer_arrives_before_the_last_leaves_the_origin() {
    let heads = ["content-length: 8", "transfer-encoding: chunked", "x-until: close"];
    for head in heads {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::http1().script("/", move |talk| {
            let parts = match head.starts_with("transfer") {
                true => ["4\r\nhalf\r\n", "4\r\nrest\r\n0\r\n\r\n"],
                false => ["half", "rest"],
            };
            talk.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{}", parts[0]));
            held.pass();
            talk.send(parts[1]);
            talk.close();
        });
        let ouli = Ouli::record(&origin).start();
        let mut connection = ouli.client().connect();
        connection.ask(&Ask::get("/"));
        read_until(&mut connection, b"half");
        gate.open();
        read_until(&mut connection, b"rest");
    }
}

#[track_caller]
fn read_until(connection: &mut Connection, needle: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    while memchr::memmem::find(&seen, needle).is_none() {
        let shown = |seen: &[u8]| seen.escape_ascii().to_string();
        match connection.read_some() {
            Ok(bytes) => seen.extend(bytes),
            Err(ending) => panic!("{ending:?} after `{}`", shown(&seen)),
        }
    }
    seen
}

#[test]
fn the_first_byte_of_a_request_reaches_the_origin_before_the_last_is_sent() {
    let gate = Gate::new();
    let seen = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        assert_eq!(talk.read_part(4), b"half");
        seen.pass();
        talk.read_body();
        talk.reply("thanks");
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nhalf");
    wait_until("the origin has the first half", || gate.reached() == 1);
    gate.open();
    connection.send("rest");
    assert_eq!(connection.receive().text(), "thanks");
    assert_eq!(origin.request("/").body, b"halfrest");
}

#[test]
fn events_arrive_one_by_one() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        talk.send(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n",
        );
        for n in 1..=5 {
            talk.send(format!("9\r\ndata: {n}\n\n\r\n"));
            held.pass();
        }
        talk.send("0\r\n\r\n");
    });
    let recorder = Ouli::record(&origin).start();
    let mut connection = recorder.client().connect();
    connection.ask(&Ask::get("/"));
    connection.receive_head();
    for n in 1..=5 {
        read_until(&mut connection, format!("data: {n}\n\n").as_bytes());
        gate.open();
    }
    read_until(&mut connection, b"0\r\n\r\n");
    recorder.terminate().expect_code(0);
    let kept = recorder.recordings().cassette("default");
    let pieces = find_key(&kept, "stream").and_then(|stream| stream.as_array());
    assert_eq!(pieces.map(Vec::len), Some(5), "a piece is never merged with another: {kept:#}");
}

/// The first value under this key, however deep.
fn find_key<'a>(value: &'a serde_json::Value, key: &str) -> Option<&'a serde_json::Value> {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            map.get(key).or_else(|| map.values().find_map(|inner| find_key(inner, key)))
        }
        Value::Array(list) => list.iter().find_map(|inner| find_key(inner, key)),
        _ => None,
    }
}

#[test]
fn an_answer_may_come_before_its_request_has_ended() {
    let origin = Origin::http1().script("/", |talk| {
        talk.read_part(3);
        talk.reply(Reply::new(413).header("connection", "close").body("enough"));
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nabc");
    let answer = connection.receive();
    assert_eq!((answer.status, answer.text()), (413, "enough"));
}

#[test]
fn both_directions_flow_at_the_same_time() {
    let origin = Origin::http1().script("/", |talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n");
        for _ in 0..4 {
            let part = talk.read_part(3);
            talk.send(part);
        }
        talk.read_body();
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n");
    connection.receive_head();
    for part in ["abc", "def", "ghi", "jkl"] {
        connection.send(part);
        connection.expect_bytes(part);
    }
}

#[test]
fn a_cut_answer_is_cut_at_the_same_byte_on_both_roads() {
    let cuts = [
        ("by length", "content-length: 100\r\n\r\nonly this"),
        ("in a chunk", "transfer-encoding: chunked\r\n\r\n64\r\nonly this"),
        ("before the last chunk", "transfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n"),
    ];
    for (name, rest) in cuts {
        let origin = Origin::http1().raw_then_close("/", format!("HTTP/1.1 200 OK\r\n{rest}"));
        on_both_roads(&origin, |client| {
            let answer = client.try_ask(&Ask::get("/")).unwrap();
            assert!(!answer.is_whole(), "{name}: {answer:?}");
            assert_eq!(answer.text(), "only this", "{name}");
        });
    }
}

#[test]
fn a_reset_by_the_origin_is_a_cut_and_loses_no_byte_that_came_before() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        talk.send("HTTP/1.1 200 OK\r\nx-until: close\r\n\r\nonly this");
        held.pass();
        talk.reset();
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.ask(&Ask::get("/"));
    read_until(&mut connection, b"only this");
    gate.open();
    let (rest, ending) = connection.read_to_end();
    let ended_well = ending == Ending::Cut && rest.ends_with(b"0\r\n\r\n");
    assert!(!ended_well, "a reset isn't the end of a body: {rest:?} {ending:?}");
}

#[test]
fn an_origin_that_breaks_off_before_its_head_is_said_so() {
    let origin = Origin::http1()
        .script("/nothing", |talk| talk.close())
        .raw_then_close("/half", "HTTP/1.1 200 OK\r\ncontent-le");
    let ouli = Ouli::record(&origin).start();
    for path in ["/nothing", "/half"] {
        ouli.client().get(path).problem(502, "origin-broke-off");
    }
    ouli.terminate().expect_code(0);
    assert!(!ouli.recordings().files().contains(&"default.json".to_owned()));
}

/// An origin that answers before it has the whole request, and never ends its answer.
fn early() -> Origin {
    Origin::http1().script("/", |talk| {
        talk.read_part(4);
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf");
        talk.client_leaves_within(Duration::from_secs(10));
        talk.close();
    })
}

#[test]
fn an_answer_is_left_by_a_client_that_fails_to_send_its_request() {
    let ends: [fn(&mut Connection); 2] = [
        |_| {}, // it owes bytes and sends none
        |connection| connection.finish_sending(),
    ];
    for end in ends {
        let origin = early();
        let ouli = Ouli::record(&origin).limits("stall_timeout = \"300ms\"").start();
        let mut connection = ouli.client().connect();
        connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nhalf");
        read_until(&mut connection, b"half");
        end(&mut connection);
        assert!(connection.read_to_end().0.is_empty());
        ouli.terminate().expect_code(0);
        let kept = ouli.recordings().cassette("default");
        let ended = &kept["exchanges"][0]["response"]["end"];
        assert_eq!(ended, "left_by_client", "{kept:#}");
    }
}
