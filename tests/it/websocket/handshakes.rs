//! The opening: the origin is asked first, and what it answers is what the client gets.

use super::{clients, exchange, script};
use crate::support::ws::echo;
use crate::support::*;

#[test]
fn the_heads_of_both_sides_pass() {
    let origin = Origin::http1().ws("/chat", |talk| {
        echo(&mut talk.grant(&[
            ("Sec-WebSocket-Protocol", "v2"),
            ("Sec-WebSocket-Extensions", "x-own; a=1"),
            ("Set-Cookie", "sid=1; Path=/"),
            ("X-Served-By", "origin"),
        ]));
    });
    let ouli = Ouli::record(&origin).start();
    for (n, client) in clients(&ouli).into_iter().enumerate() {
        let handshake = client
            .handshake("/chat?room=7")
            .subprotocols("v1, v2")
            .extensions("x-own; a=1, permessage-deflate; client_max_window_bits")
            .header("Origin", "https://app.test")
            .header("Cookie", "theme=dark")
            .header("Authorization", "Bearer abc")
            .header("X-Own", "1");
        let mut talker = handshake.open();
        let granted = talker.granted();
        assert_eq!(granted.get("sec-websocket-protocol"), Some("v2"));
        assert_eq!(granted.get("sec-websocket-extensions"), Some("x-own; a=1"));
        assert_eq!(granted.get("set-cookie"), Some("sid=1; Path=/"));
        assert_eq!(granted.get("x-served-by"), Some("origin"));
        talker.ask("x", "x");

        let asked = &origin.requests()[n];
        assert_eq!(asked.target, "/chat?room=7");
        assert_eq!(asked.authority, origin.address().to_string(), "the origin's own name");
        let expected = [
            ("sec-websocket-protocol", "v1, v2"),
            ("sec-websocket-extensions", "x-own; a=1, permessage-deflate; client_max_window_bits"),
            ("origin", "https://app.test"),
            ("cookie", "theme=dark"),
            ("authorization", "Bearer abc"),
            ("x-own", "1"),
        ];
        for (name, value) in expected {
            assert_eq!(asked.headers.get(name), Some(value), "{asked:?}");
        }
    }
}

#[test]
fn the_origin_decides_before_the_client_gets_its_answer() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().ws("/", move |talk| {
        held.pass();
        talk.refuse(Reply::new(401).header("www-authenticate", "Bearer"));
    });
    let ouli = Ouli::record(&origin).start();
    let client = ouli.client();
    let mut connection = client.connect();
    connection.ask(&client.handshake("/").upgrade());
    wait_until("the origin is asked", || gate.reached() == 1);
    assert!(!connection.has_ended(), "nothing has come yet");
    gate.open();
    assert_eq!(connection.receive().status, 401);
}

/// Answers `/STATUS` with that status.
fn refusing() -> Origin {
    Origin::http1().ws("/*", |talk| {
        let status: u16 = talk.request().path()[1..].parse().unwrap();
        let reply = Reply::new(status).header("location", "/elsewhere").header("x-why", "because");
        talk.refuse(reply.body(format!("no {status}")));
    })
}

#[test]
fn a_refusal_reaches_the_client_as_it_is_and_is_replayed() {
    let origin = refusing();
    let recorder = Ouli::record(&origin).start();
    let statuses = [302, 401, 403, 404, 426, 500, 200];
    let client = recorder.client();
    for status in statuses {
        let refusal = client.handshake(&format!("/{status}")).refused();
        assert_eq!((refusal.status, refusal.text()), (status, &*format!("no {status}")));
        assert_eq!(refusal.header("x-why"), Some("because"));
    }
    recorder.terminate().expect_code(0);
    let recordings = recorder.recordings();
    for (n, status) in statuses.into_iter().enumerate() {
        let exchange = exchange(&recordings, n);
        assert_eq!(exchange["response"]["status"], status, "{exchange:#}");
        assert!(exchange["conversation"].is_null(), "nobody conversed: {exchange:#}");
    }
    origin.stop();
    let replay = Ouli::replay(recordings).option("--strict").start();
    let client = replay.client();
    for status in statuses {
        let refusal = client.handshake(&format!("/{status}")).refused();
        assert_eq!((refusal.status, refusal.text()), (status, &*format!("no {status}")));
        assert_eq!(refusal.header("location"), Some("/elsewhere"));
    }
    replay.terminate().expect_code(0);
}

#[test]
fn a_refusal_reaches_a_client_of_http_2_as_well() {
    let origin = refusing();
    let ouli = Ouli::record(&origin).start();
    let client = ouli.client_over(Protocol::H2c);
    for status in [302, 401, 404] {
        let refusal = client.handshake(&format!("/{status}")).refused();
        assert_eq!((refusal.status, refusal.text()), (status, &*format!("no {status}")));
    }
    // What grants nothing in HTTP/1.1 would be a grant in HTTP/2.
    let refusal = client.handshake("/200").refused();
    assert!(refusal.status >= 400, "{refusal:?}");
}

#[test]
fn a_connection_serves_on_after_a_refusal() {
    let origin = refusing().route("/plain", |_| "fine");
    let ouli = Ouli::record(&origin).start();
    let client = ouli.client();
    let mut connection = client.connect();
    connection.ask(&client.handshake("/403").upgrade());
    assert_eq!(connection.receive().status, 403);
    connection.ask(&client.handshake("/404").upgrade());
    assert_eq!(connection.receive().text(), "no 404");
}

#[test]
fn another_upgrade_is_no_handshake() {
    let origin = Origin::http1().on("/", |request| {
        assert!(!request.headers.has("upgrade"), "{request:?}");
        "an answer like any other"
    });
    let ouli = Ouli::record(&origin).start();
    let ask = Ask::get("/").header("upgrade", "h2c").header("connection", "upgrade");
    assert_eq!(ouli.client().ask(&ask).text(), "an answer like any other");
}

#[test]
fn an_origin_that_cannot_be_reached_is_said_to_client_of_either_version() {
    let origin = Origin::http1();
    let ouli = Ouli::record(&origin).start();
    origin.stop();
    for client in clients(&ouli) {
        let refusal = client.handshake("/").refused();
        refusal.problem(502, "origin-unreachable");
    }
}

#[test]
fn no_secret_of_a_handshake_reaches_the_disk_or_the_log() {
    const SECRET: &str = "s3cr3t-d0nt-k33p";
    let origin = Origin::http1().ws("/", |talk| {
        echo(&mut talk.grant(&[("set-cookie", &format!("sid={SECRET}; HttpOnly"))]));
    });
    let ouli = Ouli::record(&origin).option("-v").start();
    let client = ouli.client();
    let target = format!("/?token={SECRET}&room=7");
    let handshake = client
        .handshake(&target)
        .header("authorization", &format!("Bearer {SECRET}"))
        .header("cookie", &format!("sid={SECRET}"));
    let mut talker = handshake.open();
    assert!(talker.granted().get("set-cookie").is_some_and(|cookie| cookie.contains(SECRET)));
    talker.ask("hello", "hello");
    let asked = origin.requests().remove(0);
    assert!(asked.target.contains(SECRET), "the live traffic is whole: {asked:?}");
    let recordings = ouli.recordings();
    assert!(!recordings.unsealed().is_empty(), "a tape is there");
    assert_eq!(recordings.files_with(SECRET), Vec::<String>::new(), "in the tape");
    talker.part(1000, "");
    let ended = ouli.terminate();
    ended.expect_code(0).expect_unsaid(&[SECRET]);
    assert_eq!(recordings.files_with(SECRET), Vec::<String>::new(), "in the cassette");

    // Another secret is no other request.
    let replay = Ouli::replay(recordings).option("--strict").start();
    let client = replay.client();
    let mut talker = client.handshake("/?room=7&token=other").open();
    talker.ask("hello", "hello");
    talker.part(1000, "");
    replay.terminate().expect_code(0);
    assert_eq!(script(&exchange(&ouli.recordings(), 0)), ["client: hello", "origin: hello"]);
}
