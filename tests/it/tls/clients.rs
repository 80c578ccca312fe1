//! Clients that speak TLS to Ouli, and those that fail to.

use std::time::{Duration, Instant};

use crate::support::*;

fn https(origin: &Origin) -> Endpoint {
    Endpoint::to(origin).https()
}

fn recorder(origin: &Origin) -> Ouli {
    Ouli::command("record").endpoint(&https(origin)).start()
}

/// The log, once it holds all of these words.
#[track_caller]
fn log_says(ouli: &Ouli, words: &[&str]) {
    wait_until(&format!("the log says {words:?}"), || {
        let log = ouli.stderr().to_lowercase();
        words.iter().all(|word| log.contains(word)).then_some(()).ok_or(log)
    });
}

#[test]
fn alpn_chooses_the_version() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = recorder(&origin);
    assert_eq!(ouli.client_over(Protocol::Http1Tls).get("/").version, "HTTP/1.1");
    assert_eq!(ouli.client_over(Protocol::H2Tls).get("/").version, "HTTP/2");
    assert!(ouli.stdout().contains("listening https://127.0.0.1:"), "{}", ouli.stdout());
}

#[test]
fn a_configured_certificate_is_the_one_that_is_shown() {
    let own = Authority::new("this test alone");
    let identity = own.server(&["localhost", "127.0.0.1"]);
    let origin = Origin::http1().route("/", |_| "x");
    let endpoint =
        https(&origin).line("source_cert = \"own.pem\"").line("source_key = \"own.key\"");
    let setup = Ouli::command("record").endpoint(&endpoint).identity("own", &identity);
    let ouli = setup.start();
    for protocol in [Protocol::Http1Tls, Protocol::H2Tls] {
        let client = Client::new(ouli.address_for("https")).over(protocol).trusting(own.pem());
        assert_eq!(client.named("localhost").get("/").text(), "x", "{protocol}");
    }
    // The local authority has no part in it: nobody made one.
    assert!(!ouli.folder().join("authority").exists());
}

#[test]
fn a_certificate_is_issued_for_whatever_name_is_asked_for() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = recorder(&origin);
    let authority = ouli.authority();
    for name in ["localhost", "api.example.test", "a.b.c.example.test"] {
        for protocol in [Protocol::Http1Tls, Protocol::H2Tls] {
            let client = Client::new(ouli.address()).over(protocol).trusting(&authority);
            assert_eq!(client.named(name).get("/").text(), "x", "{name} over {protocol}");
        }
    }
    // Without a name, by the address that is called.
    let mut client = Client::new(ouli.address()).over(Protocol::Http1Tls).trusting(&authority);
    assert_eq!(client.get("/").text(), "x");
}

#[test]
fn many_names_at_once_are_all_served() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = recorder(&origin);
    let authority = ouli.authority();
    std::thread::scope(|scope| {
        for n in 0..40 {
            let client = Client::new(ouli.address()).over(Protocol::Http1Tls).trusting(&authority);
            let mut client = client.named(&format!("host{}.test", n % 10));
            scope.spawn(move || assert_eq!(client.get("/").text(), "x"));
        }
    });
}

#[test]
fn a_client_that_does_not_trust_the_authority_is_a_line_in_the_log() {
    let origin = Origin::http1();
    let ouli = recorder(&origin);
    let stranger = Client::new(ouli.address()).over(Protocol::Http1Tls);
    assert!(stranger.trusting(Authority::new("another").pem()).try_connect().is_err());
    log_says(&ouli, &["ouli ca"]);
    // It is the client's trouble, and nobody else's.
    assert_eq!(ouli.client_over(Protocol::Http1Tls).get("/").status, 404);
    ouli.terminate().expect_code(0);
}

#[test]
fn a_client_with_no_protocol_in_common_is_refused_in_plain_words() {
    let origin = Origin::http1();
    let ouli = recorder(&origin);
    let config = tls_config(&[b"imap"], &[ouli.authority()]);
    assert!(Connection::over_tls(ouli.address(), config, "localhost").is_err());
    log_says(&ouli, &["neither http/2 nor http/1.1"]);
}

#[test]
fn plain_http_to_a_tls_port_is_told_apart() {
    let origin = Origin::http1();
    let ouli = recorder(&origin);
    let mut plain = Client::new(ouli.address()).connect();
    plain.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let (bytes, ending) = plain.read_to_end();
    assert!(matches!(ending, Ending::Cut | Ending::Reset), "{ending:?}");
    const ALERT: &[u8] = &[21, 3];
    assert!(bytes.is_empty() || bytes.starts_with(ALERT), "{}", bytes.escape_ascii());
    log_says(&ouli, &["plain http"]);
    assert!(origin.requests().is_empty());
}

#[test]
fn tls_to_a_plain_port_is_told_apart() {
    let origin = Origin::http1();
    let ouli = Ouli::record(&origin).start();
    let client = Client::new(ouli.address()).over(Protocol::Http1Tls).trusting(authority().pem());
    assert!(client.try_connect().is_err());
    assert_eq!(ouli.client().get("/").status, 404);
}

#[test]
fn a_silent_client_is_closed_in_time() {
    let origin = Origin::http1();
    let setup = Ouli::command("record").endpoint(&https(&origin));
    let ouli = setup.more_limits("first_byte_timeout = \"300ms\"").start();
    for begun in ["", "\x16\x03\x01"] {
        let mut silent = Client::new(ouli.address()).connect();
        silent.send(begun);
        let at = Instant::now();
        silent.expect_close();
        let took = at.elapsed();
        assert!(took > Duration::from_millis(200) && took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn a_client_that_is_silent_after_its_handshake_is_closed_in_time() {
    let origin = Origin::http1();
    let setup = Ouli::command("record").endpoint(&https(&origin));
    let ouli = setup.more_limits("first_byte_timeout = \"300ms\"").start();
    let mut silent = ouli.client_over(Protocol::Http1Tls).connect();
    let (bytes, ending) = silent.read_to_end();
    assert!(bytes.is_empty() && matches!(ending, Ending::Cut | Ending::Reset), "{ending:?}");
}

#[test]
fn handshakes_in_a_crowd_all_succeed() {
    let origin = Origin::http1().route("/", |_| "x");
    let setup = Ouli::command("record").endpoint(&https(&origin));
    let ouli = setup.more_limits("max_handshakes = 2").start();
    let authority = ouli.authority();
    std::thread::scope(|scope| {
        for _ in 0..30 {
            let client = Client::new(ouli.address()).over(Protocol::H2Tls).trusting(&authority);
            let mut client = client;
            scope.spawn(move || assert_eq!(client.get("/").text(), "x"));
        }
    });
}

#[test]
fn silent_handshakes_take_no_ones_turn_for_good() {
    let origin = Origin::http1().route("/", |_| "x");
    let setup = Ouli::command("record").endpoint(&https(&origin));
    let limits = "max_handshakes = 2\nfirst_byte_timeout = \"1s\"";
    let ouli = setup.more_limits(limits).start();
    let _silent: Vec<_> = (0..10).map(|_| Client::new(ouli.address()).connect()).collect();
    let authority = ouli.authority();
    let ask = || {
        let client = Client::new(ouli.address()).over(Protocol::Http1Tls).trusting(&authority);
        let mut client = client;
        client.try_ask(&Ask::get("/")).map_err(|failure| failure.to_string())
    };
    assert_eq!(wait_until("a handshake gets its turn", ask).text(), "x");
}

#[test]
fn over_the_connection_limit_a_tls_client_is_closed() {
    let origin = Origin::http1().route("/", |_| "x");
    let setup = Ouli::command("record").endpoint(&https(&origin));
    let ouli = setup.more_limits("max_connections = 1").start();
    let mut first = ouli.client_over(Protocol::Http1Tls);
    assert_eq!(first.get("/").text(), "x");
    let mut second = Client::new(ouli.address()).connect();
    second.expect_close();
    assert_eq!(first.get("/").text(), "x");
}

#[test]
fn sessions_are_resumed_with_clients() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = recorder(&origin);
    let config = tls_config(&[b"http/1.1"], &[ouli.authority()]);
    let kinds: Vec<bool> = (0..4)
        .map(|_| {
            let connection = Connection::over_tls(ouli.address(), config.clone(), "localhost");
            let mut connection = connection.unwrap();
            connection.ask(&Ask::get("/")); // tickets come with the first bytes
            connection.receive();
            connection.was_resumed()
        })
        .collect();
    assert_eq!(kinds, [false, true, true, true]);
}

#[test]
fn a_killed_recorder_does_not_make_half_an_answer_look_whole() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        talk.send("HTTP/1.1 200 OK\r\n\r\nhalf");
        held.pass();
    });
    let ouli = recorder(&origin);
    let mut connection = ouli.client_over(Protocol::Http1Tls).connect();
    connection.send("GET / HTTP/1.0\r\nhost: x\r\n\r\n");
    connection.receive_head();
    connection.expect_bytes("half");
    ouli.kill();
    assert_eq!(connection.read_to_end(), (Vec::new(), Ending::Reset));
    gate.open();
}

#[test]
fn both_a_plain_and_a_tls_listener_may_stand_for_one_origin() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = Ouli::command("record")
        .endpoint(&Endpoint::to(&origin).named("plain"))
        .endpoint(&https(&origin).named("tls"))
        .start();
    for protocol in Protocol::ALL {
        assert_eq!(ouli.client_over(protocol).get("/").text(), "x", "{protocol}");
    }
}

#[test]
fn redirects_lead_to_the_tls_listener() {
    let origin = Origin::http1();
    let own = format!("{}/there", origin.url());
    let origin = origin.route("/", move |_| Reply::new(302).header("location", &own));
    let ouli = recorder(&origin);
    for protocol in [Protocol::Http1Tls, Protocol::H2Tls] {
        let answer = ouli.client_over(protocol).get("/");
        let expected = format!("https://{}/there", ouli.address());
        assert_eq!(answer.header("location"), Some(&*expected), "{protocol}");
    }
}
