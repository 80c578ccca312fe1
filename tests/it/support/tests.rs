//! The support code against itself: a client that talks to an origin with nothing between.

use super::*;

fn client(origin: &Origin) -> Client {
    Client::new(origin.address())
}

#[test]
fn a_route_counts_its_requests_on_one_kept_connection() {
    let origin = Origin::http1().route("/n", |n| n.to_string());
    let answers = client(&origin).get_many("/n", 3);
    assert_eq!(answers.iter().map(Response::text).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn what_the_origin_received_is_kept_byte_for_byte() {
    let origin = Origin::http1().route("/a", |_| "ok");
    let ask = Ask::post("/a?b=%20c", "body").header("X-One", "1").header("x-one", "2");
    client(&origin).ask(&ask);
    let request = origin.request("/a");
    let expected = format!(
        "POST /a?b=%20c HTTP/1.1\r\nhost: {}\r\nX-One: 1\r\nx-one: 2\r\ncontent-length: 4\r\n\r\n",
        origin.address()
    );
    assert_eq!(String::from_utf8_lossy(&request.raw_head), expected);
    assert_eq!(request.body, b"body");
}

#[test]
fn chunks_and_trailers_pass_in_both_directions() {
    let origin = Origin::http1().on("/c", |request| {
        assert_eq!(request.trailers.get("x-sum"), Some("7"));
        Reply::new(200).chunked([&request.body[..], b"!"]).trailer("x-end", "yes")
    });
    let ask = Ask::new("PUT", "/c").chunked(["ab", "cd"]).trailer("x-sum", "7");
    let answer = client(&origin).ask(&ask);
    assert_eq!((answer.text(), answer.chunks.len()), ("abcd!", 2));
    assert_eq!(answer.trailers.get("x-end"), Some("yes"));
}

#[test]
fn interim_answers_are_read_before_the_final_one() {
    let origin = Origin::http1()
        .raw("/i", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    let answer = client(&origin).get("/i");
    assert_eq!((answer.status, answer.interim[0].0), (204, 103));
}

#[test]
fn a_cut_and_a_reset_are_told_apart_from_an_end() {
    let start = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let origin = Origin::http1()
        .raw_then_close("/cut", start)
        .script("/reset", move |talk| {
            talk.send(start);
            talk.reset();
        })
        .route("/close", |_| Reply::new(200).until_close("all"));
    let cut = client(&origin).try_ask(&Ask::get("/cut")).unwrap();
    assert_eq!((cut.ending, cut.text()), (Ending::Cut, "half"));
    // A reset may overtake the head, too.
    let reset = client(&origin).try_ask(&Ask::get("/reset"));
    let reset = reset.map_or_else(|failure| failure.ending, |answer| answer.ending);
    assert_eq!(reset, Ending::Reset);
    assert_eq!(client(&origin).get("/close").text(), "all");
}

#[test]
fn a_gate_holds_an_answer_until_the_test_lets_it_go() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::http1().script("/g", move |talk| {
        talk.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na");
        held.pass();
        talk.send("b");
    });
    let mut connection = client(&origin).connect();
    connection.ask(&Ask::get("/g"));
    connection.receive_head();
    connection.expect_bytes("a");
    wait_until("the script waits", || gate.reached() == 1);
    gate.open();
    connection.expect_bytes("b");
}

#[test]
fn an_origin_sees_its_client_leave() {
    let gate = Gate::new();
    let seen = gate.clone();
    let origin = Origin::http1().script("/wait", move |talk| {
        if talk.client_leaves_within(std::time::Duration::from_secs(10)) {
            seen.pass();
        }
    });
    let mut connection = client(&origin).connect();
    connection.ask(&Ask::get("/wait"));
    wait_until("the request is there", || origin.requests().len() == 1);
    drop(connection);
    wait_until("the origin has seen it", || gate.reached() == 1);
    gate.open();
    wait_until("no connection is open", || origin.open_connections() == 0);
}

#[test]
fn pipelined_answers_come_in_order() {
    let origin = Origin::http1().on("/*", |request| request.target.clone());
    let mut connection = client(&origin).connect();
    (0..5).for_each(|n| connection.ask(&Ask::get(format!("/{n}"))));
    for n in 0..5 {
        assert_eq!(connection.receive().text(), format!("/{n}"));
    }
}

#[test]
fn a_malformed_answer_is_a_failure_that_shows_it() {
    let origin = Origin::http1()
        .raw_then_close(
            "/both",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .raw_then_close("/not", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")
        .raw_then_close(
            "/size",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
        );
    for path in ["/both", "/not", "/size"] {
        let failure = client(&origin).try_ask(&Ask::get(path)).expect_err(path);
        assert!(failure.malformed.is_some(), "{path}: {failure}");
    }
}

#[test]
fn codings_round_trip() {
    let plain = "ouli ".repeat(1000).into_bytes();
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let bytes = coded(coding, &plain);
        assert!(bytes.len() < plain.len() / 4);
        assert_eq!(decoded(coding, &bytes), plain);
    }
}

#[test]
fn a_stopped_origin_refuses_connections() {
    let origin = Origin::http1().route("/", |_| "x");
    let mut kept = client(&origin);
    kept.get("/");
    origin.stop();
    assert!(Connection::try_open(origin.address()).is_err());
    wait_until("its connections are closed", || origin.open_connections() == 0);
}
