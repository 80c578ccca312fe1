//! Answers that are cut: whatever cut them, and however they are framed, they must not look whole.

use std::time::Duration;

use crate::support::*;

/// For HTTP/1.0 a body of unknown length ends with its connection.
const OLD: &str = "GET / HTTP/1.0\r\nhost: x\r\n\r\n";

const BEGUN: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";

fn read_old(client: &Client) -> (bool, Ending) {
    let mut connection = client.connect();
    connection.send(OLD);
    let (bytes, ending) = connection.read_to_end();
    (bytes.ends_with(b"\r\n\r\nhalf"), ending)
}

#[test]
fn an_answer_that_ends_with_its_connection_ends_orderly_only_when_it_is_whole() {
    let whole = Origin::http1().raw("/", format!("{BEGUN}0\r\n\r\n"));
    on_both_roads(&whole, |client| assert_eq!(read_old(client), (true, Ending::Cut)));
    let cut = Origin::http1().raw_then_close("/", BEGUN);
    on_both_roads(&cut, |client| assert_eq!(read_old(client), (true, Ending::Reset)));
}

#[test]
fn a_killed_recorder_does_not_make_half_an_answer_look_whole() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        talk.send(BEGUN);
        held.pass();
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send(OLD);
    let mut seen = Vec::new();
    while !seen.ends_with(b"half") {
        seen.extend(connection.read_some().unwrap());
    }
    ouli.kill();
    assert_eq!(connection.read_to_end(), (Vec::new(), Ending::Reset));
    gate.open();
}

#[test]
fn an_answer_cut_by_the_end_of_the_drain_does_not_look_whole() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/", move |talk| {
        talk.send(BEGUN);
        held.pass();
    });
    let ouli = Ouli::record(&origin).options(["--drain-timeout", "200ms"]).start();
    let mut connection = ouli.client().connect();
    connection.send(OLD);
    let mut seen = Vec::new();
    while !seen.ends_with(b"half") {
        seen.extend(connection.read_some().unwrap());
    }
    let ended = ouli.terminate();
    ended.expect_code(0);
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
    assert_eq!(connection.read_to_end(), (Vec::new(), Ending::Reset));
    gate.open();
}
