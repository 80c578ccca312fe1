//! Origin connections: shared by streams, several where one isn't enough.

use std::time::Duration;

use crate::support::*;

/// One runtime, so that all streams share one set of origin connections.
fn one_worker(origin: &Origin, limits: &str) -> Ouli {
    let setup = Ouli::record(origin).config(&format!("workers = 1\n[limits]\n{limits}\n"));
    setup.start()
}

/// Holds every stream until the gate opens.
fn holding(origin: Origin, gate: &Gate) -> Origin {
    let held = gate.clone();
    origin
        .h2_script("/hold", move |talk| {
            held.pass();
            talk.reply("held");
        })
        .route("/", |_| "x")
}

#[test]
fn requests_share_one_connection() {
    let gate = Gate::new();
    let origin = holding(Origin::h2c(), &gate);
    let ouli = one_worker(&origin, "");
    let mut first = ouli.client_over(Protocol::H2c);
    first.get("/");
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut streams: Vec<_> =
        (0..20).map(|_| connection.ask(&Ask::get("/hold")).unwrap()).collect();
    wait_until("all are at the origin", || {
        let open = origin.open_streams();
        (open == 20).then_some(()).ok_or(format!("{open} streams"))
    });
    assert_eq!(origin.connections(), 1);
    gate.open_for_all();
    for stream in &mut streams {
        assert_eq!(stream.receive().unwrap().text(), "held");
    }
}

#[test]
fn more_connections_are_opened_where_the_peer_limits_its_streams() {
    let gate = Gate::new();
    let origin = holding(Origin::h2c().max_streams(4), &gate);
    let ouli = one_worker(&origin, "");
    ouli.client_over(Protocol::H2c).get("/");
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut streams: Vec<_> =
        (0..18).map(|_| connection.ask(&Ask::get("/hold")).unwrap()).collect();
    wait_until("all are at the origin", || {
        let open = origin.open_streams();
        (open == 18).then_some(()).ok_or(format!("{open} of 18 streams"))
    });
    assert!(origin.most_streams() <= 4, "{}", origin.most_streams());
    assert!((5..=8).contains(&origin.connections()), "{} connections", origin.connections());
    gate.open_for_all();
    for stream in &mut streams {
        assert_eq!(stream.receive().unwrap().text(), "held");
    }
}

#[test]
fn a_limit_that_comes_with_the_settings_holds_from_the_first_request() {
    let gate = Gate::new();
    let origin = holding(Origin::h2c().max_streams(1), &gate);
    let ouli = one_worker(&origin, "");
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut streams: Vec<_> = (0..3).map(|_| connection.ask(&Ask::get("/hold")).unwrap()).collect();
    wait_until("all are at the origin", || {
        let open = origin.open_streams();
        (open == 3).then_some(()).ok_or(format!("{open} of 3 streams"))
    });
    assert_eq!(origin.most_streams(), 1);
    gate.open_for_all();
    for stream in &mut streams {
        assert_eq!(stream.receive().unwrap().text(), "held");
    }
}

#[test]
fn an_unused_connection_is_closed_in_time() {
    let origin = Origin::h2c().route("/", |_| "x");
    let ouli = one_worker(&origin, "origin_idle_timeout = \"200ms\"");
    ouli.client_over(Protocol::H2c).get("/");
    assert_eq!(origin.connections(), 1);
    wait_until("the idle connection is closed", || origin.open_connections() == 0);
    assert_eq!(ouli.client_over(Protocol::H2c).get("/").text(), "x");
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_connection_that_died_unnoticed_costs_no_request() {
    let origin = Origin::h2c().route("/", |_| "x").h2_script("/die", |talk| {
        talk.reply("last");
        talk.abort_connection(0);
    });
    let ouli = one_worker(&origin, "");
    let mut client = ouli.client_over(Protocol::H2c);
    for _ in 0..5 {
        let _ = client.try_ask(&Ask::get("/die"));
        assert_eq!(client.get("/").text(), "x");
    }
}

#[test]
fn a_thousand_cancelled_streams_end_no_connection_that_others_use() {
    // The h2 crate ends a connection after 1024 streams that it reset itself (h2#856).
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::h2c()
        .h2_script("/cancel", |talk| {
            talk.begin(Reply::ok("x"));
            talk.client_resets_within(Duration::from_secs(10));
        })
        .h2_script("/long", move |talk| {
            talk.begin(Reply::ok("be"));
            held.pass();
            talk.send("gun");
            talk.finish();
        });
    let ouli = one_worker(&origin, "");
    let mut other = ouli.client_over(Protocol::H2c).connect_h2();
    let mut long = other.begin(&Ask::get("/long"));
    long.expect_bytes("be");
    for _ in 0..3 {
        let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
        for _ in 0..400 {
            let mut stream = connection.begin(&Ask::get("/cancel"));
            stream.expect_bytes("x");
            stream.reset(8);
        }
    }
    gate.open();
    long.expect_bytes("gun");
    assert!(long.receive().unwrap().is_whole());
}

#[test]
fn an_http_1_client_and_an_http_2_client_share_an_origins_connection() {
    let origin = Origin::h2c().route("/", |n| n.to_string());
    let ouli = one_worker(&origin, "");
    assert_eq!(ouli.client().get("/").text(), "1");
    assert_eq!(ouli.client_over(Protocol::H2c).get("/").text(), "2");
    assert_eq!(origin.connections(), 1);
}
