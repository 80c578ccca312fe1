//! A client that goes away cancels its origin request at once.

use std::time::Duration;

use crate::support::*;

/// Runs `ask` against an origin that waits for its client to leave, and leaves once the origin's
/// script has come that far.
#[track_caller]
fn origin_sees_its_client_leave(
    begin: impl Fn(&mut Talk<'_>) + Send + Sync + 'static,
    ask: impl Fn(&mut Connection),
    leave: impl Fn(Connection),
) {
    let (begun, left) = (Gate::new(), Gate::new());
    let (at_begin, at_leave) = (begun.clone(), left.clone());
    let origin = Origin::http1().script("/", move |talk| {
        begin(talk);
        at_begin.pass();
        if talk.client_leaves_within(Duration::from_secs(10)) {
            at_leave.open_for_all();
            at_leave.pass();
        }
        talk.close();
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    ask(&mut connection);
    wait_until("the origin's script has begun", || begun.reached() == 1);
    begun.open();
    leave(connection);
    wait_until("the origin sees its client leave", || {
        (left.reached() == 1).then_some(()).ok_or(format!("{} open", origin.open_connections()))
    });
    wait_until("the connection is closed", || origin.open_connections() == 0);
    assert!(!ouli.has_exited());
}

#[test]
fn while_it_waits_for_the_head() {
    let ask = |connection: &mut Connection| connection.ask(&Ask::get("/"));
    origin_sees_its_client_leave(|_| {}, ask, drop);
}

#[test]
fn while_it_waits_for_the_head_with_a_reset() {
    let ask = |connection: &mut Connection| connection.ask(&Ask::get("/"));
    origin_sees_its_client_leave(|_| {}, ask, Connection::reset);
}

#[test]
fn in_the_middle_of_the_answer() {
    let begin = |talk: &mut Talk<'_>| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfirst");
    };
    let ask = |connection: &mut Connection| {
        connection.ask(&Ask::get("/"));
        connection.receive_head();
        connection.expect_bytes("first");
    };
    origin_sees_its_client_leave(begin, ask, drop);
}

#[test]
fn in_the_middle_of_its_own_body() {
    let begin = |talk: &mut Talk<'_>| drop(talk.read_part(4));
    let ask = |connection: &mut Connection| {
        connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf");
    };
    origin_sees_its_client_leave(begin, ask, drop);
}

#[test]
fn with_pipelined_bytes_waiting_behind_the_request() {
    let ask = |connection: &mut Connection| {
        connection.ask(&Ask::get("/"));
        connection.ask(&Ask::get("/second"));
    };
    origin_sees_its_client_leave(|_| {}, ask, drop);
}

#[test]
fn the_origin_connection_of_a_left_answer_is_not_used_again() {
    let origin = Origin::http1()
        .script("/long", |talk| {
            talk.send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nfirst");
            talk.client_leaves_within(Duration::from_secs(10));
            talk.close();
        })
        .route("/next", |_| "next");
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.ask(&Ask::get("/long"));
    connection.receive_head();
    connection.expect_bytes("first");
    drop(connection);
    assert_eq!(ouli.client().get("/next").text(), "next");
    wait_until("the cancelled connection is closed", || origin.open_connections() <= 1);
}
