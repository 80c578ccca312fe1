//! Conversations over HTTP/2: extended CONNECT (RFC 8441) on either side.

use super::{exchange, script};
use crate::support::ws::{Said, echo};
use crate::support::*;

#[test]
fn a_listener_announces_that_it_takes_conversations() {
    let origin = Origin::http1().ws_echo("/").route("/n", |n| n.to_string());
    let recordings = record(&origin, |client| drop(client.get("/n")));
    for ouli in [Ouli::record(&origin).start(), Ouli::replay(recordings).start()] {
        let connection = ouli.client_over(Protocol::H2c).connect_h2();
        connection.wait_takes_conversations();
    }
}

#[test]
fn conversations_and_requests_share_a_connection() {
    let origin = Origin::http1().ws_echo("/chat").route("/n", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    let client = ouli.client_over(Protocol::H2c);
    let mut connection = client.connect_h2();
    let handshake = client.handshake("/chat");
    let mut open: Vec<_> = (0..20).map(|_| handshake.open_on(&mut connection)).collect();
    for (n, talker) in open.iter_mut().enumerate() {
        talker.ask(&format!("to {n}"), &format!("to {n}"));
    }
    let mut stream = connection.ask(&Ask::get("/n")).unwrap();
    assert_eq!(stream.receive().unwrap().text(), "1");
    // One that is reset takes no other with it.
    open[3].reset();
    origin.conversation(3).wait_end();
    open.remove(3);
    open.iter_mut().for_each(|talker| talker.ask("still there", "still there"));
    open.iter_mut().for_each(|talker| talker.part(1000, ""));
    ouli.terminate().expect_code(0);
    let kept = ouli.recordings().cassette("default");
    assert_eq!(kept["exchanges"].as_array().map(Vec::len), Some(21), "{kept:#}");
}

#[test]
fn conversations_share_a_connection_to_an_origin_that_takes_them() {
    let origin = Origin::h2c().ws_echo("/");
    let ouli = Ouli::record(&origin).start();
    let mut open: Vec<_> = (0..10).map(|_| ouli.client().converse("/")).collect();
    for (n, talker) in open.iter_mut().enumerate() {
        talker.ask(&n.to_string(), &n.to_string());
    }
    assert!(origin.connections() < 10, "{} connections", origin.connections());
    open.iter_mut().for_each(|talker| talker.part(1000, ""));
    wait_until("the streams have ended", || origin.open_streams() == 0);
}

#[test]
fn an_origin_of_http_2_that_takes_no_conversations_is_a_fault_that_says_so() {
    let origin = Origin::h2c().ws_echo("/").without_extended_connect().route("/n", |_| "x");
    let ouli = Ouli::record(&origin).start();
    ouli.client().get("/n");
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let client = ouli.client_over(protocol);
        let refusal = client.handshake("/").refused();
        assert_eq!(refusal.status / 100, 5, "{refusal:?}");
        assert!(refusal.fault().is_some(), "Ouli says so itself: {refusal:?}");
    }
    assert_eq!(ouli.client().get("/n").text(), "x");
}

#[test]
fn an_origin_behind_tls_is_asked_over_the_version_that_takes_it() {
    for protocol in [Protocol::Http1Tls, Protocol::H2Tls] {
        let origin = Origin::of(protocol).ws_echo("/");
        let ouli = Ouli::command("record").endpoint(&Endpoint::to(&origin)).start();
        for client in super::clients(&ouli) {
            let mut talker = client.converse("/");
            talker.ask("secret", "secret");
            talker.part(1000, "");
        }
        ouli.terminate().expect_code(0);
        assert_eq!(
            script(&exchange(&ouli.recordings(), 1)),
            ["client: secret", "origin: secret"],
            "{protocol}"
        );
    }
}

#[test]
fn an_end_of_stream_without_a_close_is_a_loss() {
    let origin = Origin::h2c().ws("/", |talk| {
        let mut talker = talk.accept();
        talker.say("whole");
        talker.expect_text("go");
    });
    let ouli = Ouli::record(&origin).start();
    for client in super::clients(&ouli) {
        let mut talker = client.converse("/");
        talker.expect_text("whole");
        talker.say("go");
        assert_ne!(talker.expect_end(), Ending::Silence);
    }
    ouli.terminate().expect_code(0);
    let exchange = exchange(&ouli.recordings(), 0);
    assert_eq!(exchange["response"]["end"], serde_json::json!("cut_by_origin"), "{exchange:#}");
}

#[test]
fn another_protocol_over_extended_connect_is_refused() {
    let origin = Origin::http1().ws_echo("/");
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    connection.wait_takes_conversations();
    let mut stream = connection.begin(&Ask::new("CONNECT", "/").protocol("connect-udp"));
    let status = stream.head().map(|(status, _)| status);
    assert!(status.is_ok_and(|status| (400..600).contains(&status)), "{status:?}");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn the_close_of_one_version_is_the_close_of_the_other() {
    let origin = Origin::h2c().ws("/", |talk| echo(&mut talk.accept()));
    let ouli = Ouli::record(&origin).start();
    let mut talker = ouli.client().converse("/");
    talker.ask("x", "x");
    talker.close(4000, "over");
    talker.expect(Said::close(4000, "over"));
    assert_eq!(talker.expect_end(), Ending::Cut);
    assert_eq!(origin.conversation(0).frames_received().len(), 2);
}

#[test]
fn an_answer_to_a_key_that_an_origin_of_http_2_makes_up_goes_no_further() {
    let origin = Origin::h2c().ws("/", |talk| {
        echo(&mut talk.grant(&[("sec-websocket-accept", "made up")]));
    });
    let ouli = Ouli::record(&origin).start();
    for protocol in [Protocol::Http1, Protocol::H2c] {
        ouli.client_over(protocol).converse("/").ask("hello", "hello");
    }
}

#[test]
fn the_stream_of_a_refused_handshake_is_ended_and_not_reset() {
    let (told, ended) = std::sync::mpsc::channel();
    let origin = Origin::h2c().ws_echo("/other").h2_script("/", move |talk| {
        talk.reply(Reply::new(401));
        let ended = loop {
            // The end may be a frame without bytes.
            if let Err(ending) = talk.read_raw() {
                break ending;
            }
        };
        told.send(ended).unwrap();
    });
    let ouli = Ouli::record(&origin).start();
    for protocol in [Protocol::Http1, Protocol::H2c] {
        assert_eq!(ouli.client_over(protocol).handshake("/").refused().status, 401);
        assert_eq!(ended.recv().unwrap(), Ending::Cut, "{protocol}");
    }
}
