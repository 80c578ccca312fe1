//! How a client's version is told, and what happens to one that is neither.

use std::time::Duration;

use crate::support::frames::{END_STREAM, Frame, Frames, HEADERS};
use crate::support::*;

#[test]
fn one_plain_port_speaks_both_versions() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    assert_eq!(ouli.client().get("/").version, "HTTP/1.1");
    assert_eq!(ouli.client_over(Protocol::H2c).get("/").version, "HTTP/2");
}

#[test]
fn a_preface_may_come_byte_by_byte() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        connection.send([*byte]);
    }
    // The peer's own settings come first (RFC 9113 section 3.4).
    assert_eq!(connection.read_exactly(9)[3], 4);
}

#[test]
fn half_a_preface_is_cut_off_in_time() {
    let origin = Origin::http1();
    let limits = "first_byte_timeout = \"200ms\"\nheader_timeout = \"200ms\"";
    let ouli = Ouli::record(&origin).limits(limits).start();
    let mut connection = ouli.client().connect();
    connection.send("PRI * HTTP/2.0\r\n\r\nSM");
    let (_, ending) = connection.read_to_end();
    assert!(matches!(ending, Ending::Cut | Ending::Reset), "{ending:?}");
}

#[test]
fn what_almost_looks_like_a_preface_is_answered_400() {
    let origin = Origin::http1();
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    let answer = connection.receive_for("GET").unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[test]
fn a_silent_http_2_client_is_closed_after_its_idle_timeout() {
    let origin = Origin::http1().route("/", |_| "x");
    let limits = "idle_timeout = \"300ms\"";
    let ouli = Ouli::record(&origin).limits(limits).start();
    let mut frames = Frames::connect(ouli.address(), &[]);
    frames.send(&Frame::request(1, END_STREAM, "GET", "/"));
    frames.until(HEADERS);
    let (codes, ending) = frames.read_to_end();
    assert!(codes.iter().all(|&code| code == 0), "{codes:?}");
    assert!(matches!(ending, Ending::Cut | Ending::Reset), "{ending:?}");
}

#[test]
fn a_client_that_never_answers_a_ping_is_left() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::h2c().h2_script("/", move |talk| {
        talk.begin(Reply::ok("x"));
        held.pass();
        talk.client_resets_within(Duration::from_secs(10));
    });
    let limits = "h2_ping_interval = \"200ms\"\nh2_ping_timeout = \"200ms\"";
    let ouli = Ouli::record(&origin).limits(limits).start();
    let mut connection = ouli.client().connect();
    // Raw bytes: nobody here acknowledges anything.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(Frame::settings(&[]).to_bytes());
    bytes.extend(Frame::new(4, 1, 0, []).to_bytes());
    bytes.extend(Frame::request(1, END_STREAM, "GET", "/").to_bytes());
    connection.send(bytes);
    wait_until("the origin was asked", || gate.reached() == 1);
    gate.open();
    let (_, ending) = connection.read_to_end();
    assert!(matches!(ending, Ending::Cut | Ending::Reset), "{ending:?}");
    wait_until("the origin's stream is cancelled", || origin.open_streams() == 0);
}
