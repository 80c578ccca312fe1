//! What an origin's certificate may be, and what is said of one that isn't right.

use crate::support::*;

/// A recorder for an origin with this certificate; it trusts the tests' authority.
fn recorder(identity: &Identity, protocol: Protocol) -> (Origin, Ouli) {
    let origin = Origin::with_certificate(protocol, identity).route("/", |_| "x");
    let ouli = Ouli::command("record").endpoint(&Endpoint::to(&origin)).start();
    (origin, ouli)
}

/// The 502 and the log say the same in plain words.
#[track_caller]
fn is_refused(identity: &Identity, words: &[&str]) {
    for protocol in [Protocol::Http1Tls, Protocol::H2Tls] {
        let (origin, ouli) = recorder(identity, protocol);
        let problem = ouli.client().get("/").problem(502, "origin-unreachable");
        for word in words {
            assert!(problem.to_lowercase().contains(word), "{problem} lacks `{word}`");
        }
        assert!(origin.requests().is_empty());
        wait_until("the log says why", || {
            let log = ouli.stderr().to_lowercase();
            words.iter().all(|word| log.contains(word)).then_some(()).ok_or(log)
        });
        let h2 = ouli.client_over(Protocol::H2c).get("/");
        h2.problem(502, "origin-unreachable");
        ouli.terminate().expect_code(0);
    }
}

#[test]
fn a_right_certificate_is_accepted() {
    let (_origin, ouli) = recorder(&Identity::with(Flaw::None), Protocol::Http1Tls);
    assert_eq!(ouli.client().get("/").text(), "x");
}

#[test]
fn an_expired_certificate_is_refused_as_expired() {
    is_refused(&Identity::with(Flaw::Expired), &["expired"]);
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_refused_as_such() {
    is_refused(&Identity::with(Flaw::NotYetValid), &["not", "valid", "yet"]);
}

#[test]
fn a_certificate_for_another_name_is_refused_and_both_are_named() {
    is_refused(&Identity::with(Flaw::WrongName), &["other.test", "127.0.0.1"]);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_with_a_way_out() {
    is_refused(&Identity::with(Flaw::UnknownAuthority), &["authority", "target_ca"]);
}

#[test]
fn a_self_signed_certificate_is_refused_with_a_way_out() {
    is_refused(&Identity::with(Flaw::SelfSigned), &["target_ca"]);
}

#[test]
fn without_target_ca_the_systems_roots_count() {
    let origin = Origin::of(Protocol::Http1Tls).route("/", |_| "x");
    let setup = Ouli::command("record").endpoint(&Endpoint::to(&origin).untrusting());
    let ouli = setup.start();
    ouli.client().get("/").problem(502, "origin-unreachable");
    assert!(origin.requests().is_empty());
}

#[test]
fn target_ca_may_be_the_self_signed_certificate_itself() {
    let identity = Identity::with(Flaw::SelfSigned);
    let origin = Origin::with_certificate(Protocol::Http1Tls, &identity).route("/", |_| "x");
    let endpoint = Endpoint::to(&origin).untrusting().line("target_ca = \"self.pem\"");
    let setup = Ouli::command("record").endpoint(&endpoint).identity("self", &identity);
    assert_eq!(setup.start().client().get("/").text(), "x");
}

#[test]
fn target_server_name_is_asked_for_and_checked() {
    let identity = authority().server(&["inner.test"]);
    let origin = Origin::with_certificate(Protocol::H2Tls, &identity).route("/", |_| "x");
    let named = Endpoint::to(&origin).line("target_server_name = \"inner.test\"");
    let ouli = Ouli::command("record").endpoint(&named).start();
    assert_eq!(ouli.client().get("/").text(), "x");
    // It is a matter of TLS: the request still asks for the origin that was configured.
    assert_eq!(origin.request("/").authority, origin.address().to_string());

    let other = Endpoint::to(&origin).line("target_server_name = \"else.test\"");
    let ouli = Ouli::command("record").endpoint(&other).start();
    let problem = ouli.client().get("/").problem(502, "origin-unreachable");
    assert!(problem.contains("else.test"), "{problem}");
}

#[test]
fn the_dangerous_key_accepts_anything_and_never_in_silence() {
    for flaw in [Flaw::Expired, Flaw::WrongName, Flaw::UnknownAuthority, Flaw::SelfSigned] {
        let origin = Origin::with_certificate(Protocol::Http1Tls, &Identity::with(flaw));
        let origin = origin.route("/", |_| "x");
        let dangerous = Endpoint::to(&origin).line("danger_accept_invalid_target_cert = true");
        let ouli = Ouli::command("record").endpoint(&dangerous).start();
        wait_until("it warns at start", || {
            let log = ouli.stderr();
            log.contains("danger_accept_invalid_target_cert").then_some(()).ok_or(log)
        });
        let at_start = ouli.stderr().len();
        assert_eq!(ouli.client().get("/").text(), "x", "{flaw:?}");
        let ended = ouli.terminate();
        ended.expect_code(0);
        let summary = &ended.stderr[at_start..];
        assert!(summary.contains("danger_accept_invalid_target_cert"), "{ended:?}");
    }
}

#[test]
fn an_origin_without_tls_behind_https_is_a_502_that_says_so() {
    let plain = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = plain.local_addr().unwrap();
    let _serving = std::thread::spawn(move || {
        use std::io::{Read, Write};
        while let Ok((mut stream, _)) = plain.accept() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let endpoint = Endpoint::at(Protocol::Http1Tls, address);
    let ouli = Ouli::command("record").endpoint(&endpoint).start();
    let problem = ouli.client().get("/").problem(502, "origin-unreachable");
    assert!(problem.to_lowercase().contains("tls"), "{problem}");
}

#[test]
fn a_silent_handshake_is_a_504_in_time() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = Endpoint::at(Protocol::Http1Tls, silent.local_addr().unwrap());
    let setup = Ouli::command("record").endpoint(&endpoint);
    let ouli = setup.more_limits("origin_connect_timeout = \"300ms\"").start();
    ouli.client().get("/").problem(504, "origin-timeout");
}

#[test]
fn sessions_are_resumed_with_an_origin() {
    let origin = Origin::of(Protocol::Http1Tls);
    let origin = origin.route("/", |_| Reply::ok("x").header("connection", "close"));
    let ouli = Ouli::command("record").endpoint(&Endpoint::to(&origin).line("")).start();
    for _ in 0..5 {
        assert_eq!(ouli.client().get("/").text(), "x");
    }
    assert_eq!(origin.connections(), 5);
    // Two runtimes have a session each at most; all else is resumed.
    assert!(origin.full_handshakes() <= 2, "{} full handshakes", origin.full_handshakes());
}

#[test]
fn a_replay_asks_no_origin_whatever_its_certificate_says() {
    let origin = Origin::of(Protocol::H2Tls).route("/", |n| n.to_string());
    let setup = |command| Ouli::command(command).endpoint(&Endpoint::to(&origin));
    let recorder = setup("record").start();
    let seen = recorder.client().get("/");
    recorder.terminate().expect_code(0);
    let called = origin.connections();
    let replay = setup("replay").recordings(&recorder.recordings()).start();
    assert_eq!(replay.client().get("/"), seen);
    assert_eq!(origin.connections(), called);
    let cassette = recorder.recordings().cassette("default");
    let expected = format!("https://{}", origin.address());
    assert_eq!(cassette["endpoints"][0]["origin"], &*expected);
}

#[test]
fn an_answer_that_tls_truncates_is_cut() {
    // Its end is the connection's, and no close_notify came: an attacker could have sent that end.
    let origin = Origin::of(Protocol::Http1Tls).script("/", |talk| {
        talk.send("HTTP/1.1 200 OK\r\n\r\nhalf");
        talk.truncate();
    });
    let ouli = Ouli::command("record").endpoint(&Endpoint::to(&origin)).start();
    let answer = ouli.client().try_ask(&Ask::get("/")).unwrap();
    assert_eq!(answer.text(), "half");
    assert!(!answer.is_whole(), "{answer:?}");
    ouli.terminate().expect_code(0);
    let cassette = ouli.recordings().cassette("default");
    assert_eq!(cassette["exchanges"][0]["response"]["end"], "cut_by_origin");
}

#[test]
fn a_body_with_its_length_is_whole_without_close_notify() {
    let origin = Origin::of(Protocol::Http1Tls).script("/", |talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nall");
        talk.truncate();
    });
    let ouli = Ouli::command("record").endpoint(&Endpoint::to(&origin)).start();
    assert_eq!(ouli.client().get("/").text(), "all");
}

#[test]
fn an_endpoint_that_takes_its_origin_for_another_kind_says_which_there_are() {
    use Protocol::{H2Tls, H2c, Http1, Http1Tls};
    let kinds = [
        (Http1, Http1Tls, "origin-broke-off", "speaks TLS needs `https://`"),
        (Http1, H2c, "origin-broke-off", "HTTP/2 without TLS `h2c://`"),
        (H2Tls, H2c, "origin-unreachable", "or `h2c://` if it speaks HTTP/2"),
        (H2c, Http1, "origin-unreachable", "speaks HTTP/1.1 needs `http://`"),
        (H2c, H2Tls, "origin-unreachable", "speaks TLS `https://`"),
    ];
    for (taken_for, kind, fault, hint) in kinds {
        let origin = Origin::of(kind).forgiving();
        let endpoint = Endpoint::at(taken_for, origin.address());
        let ouli = Ouli::command("record").endpoint(&endpoint).start();
        let problem = ouli.client().get("/").problem(502, fault);
        assert!(problem.contains(hint), "{taken_for:?} for {kind:?}: {problem}");
    }
}
