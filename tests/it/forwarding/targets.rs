//! Request targets and methods.

use crate::support::*;

#[test]
fn a_target_arrives_as_it_was_sent() {
    let targets =
        ["/a%20b/%7Euser/..%2f?x=1&&y=%zz&=", "//double//", "/?", "/%C3%A9?q=a+b", "/;p=1"];
    let origin = Origin::http1().on("/*", |request| request.target.clone());
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    for target in targets {
        assert_eq!(client.get(target).text(), target);
    }
}

#[test]
fn methods_arrive_as_they_were_sent() {
    let origin =
        Origin::http1().on("/", |request| Reply::ok("x").header("x-method", &request.method));
    on_both_roads(&origin, |client| {
        for method in ["GET", "DELETE", "PATCH", "OPTIONS", "PURGE", "get", "M-SEARCH"] {
            let answer = client.ask(&Ask::new(method, "/"));
            assert_eq!(answer.header("x-method"), Some(method));
        }
    });
}

#[test]
fn options_asterisk_is_forwarded_as_such() {
    let origin = Origin::http1().on("*", |request| request.target.clone());
    let ouli = Ouli::record(&origin).start();
    assert_eq!(ouli.client().ask(&Ask::new("OPTIONS", "*")).text(), "*");
}

#[test]
fn the_absolute_form_is_served_when_it_names_the_endpoints_own_origin() {
    let origin = Origin::http1().on("/*", |request| request.target.clone());
    let own = origin.url();
    on_both_roads(&origin, |client| {
        assert_eq!(client.get(&format!("{own}/a?b=c")).text(), "/a?b=c");
    });
    let host = origin.requests()[0].headers.get("host").map(str::to_owned);
    assert_eq!(host, Some(origin.address().to_string()));
}

#[test]
fn the_absolute_form_of_another_origin_is_a_bad_request() {
    let origin = Origin::http1().route("/*", |_| "x");
    let ouli = Ouli::record(&origin).start();
    let answer = ouli.client().get("http://elsewhere.example/");
    answer.problem(400, "bad-request");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn connect_is_a_bad_request_with_a_hint() {
    let origin = Origin::http1().route("/*", |_| "x");
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("CONNECT api.example.com:443 HTTP/1.1\r\nhost: api.example.com:443\r\n\r\n");
    let answer = connection.receive_for("GET").unwrap();
    let problem = answer.problem(400, "bad-request");
    assert!(problem.contains("CONNECT") && problem.contains("base URL"), "a hint: {problem}");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn an_http_1_0_client_gets_an_answer_it_can_read() {
    let origin = Origin::http1()
        .route("/", |_| Reply::new(200).chunked(["in ", "chunks"]).trailer("x-end", "1"));
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        connection.send("GET / HTTP/1.0\r\nhost: x\r\n\r\n");
        let answer = connection.receive();
        assert!(!answer.headers.has("transfer-encoding"), "{answer:?}");
        assert_eq!((answer.text(), answer.is_whole()), ("in chunks", true));
        connection.expect_close();
    });
    assert_eq!(origin.requests()[0].version, "HTTP/1.1", "Ouli's own towards the origin");
}

#[test]
fn an_http_1_0_client_may_keep_its_connection() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    for n in ["1", "2"] {
        connection.send("GET / HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n");
        let answer = connection.receive();
        assert_eq!(answer.text(), n);
        assert!(answer.headers.lists("connection", "keep-alive"), "{answer:?}");
    }
}

#[test]
fn a_connection_with_close_ends_after_its_answer() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        connection.ask(&Ask::get("/").header("Connection", "close"));
        let answer = connection.receive();
        assert!(answer.headers.lists("connection", "close"), "{answer:?}");
        connection.expect_close();
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::http1().on("/*", |request| {
        format!("{} {}", request.target, String::from_utf8_lossy(&request.body))
    });
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        let host = client.address().to_string();
        let mut bytes = Vec::new();
        for n in 0..20 {
            bytes.extend(Ask::get(format!("/{n}")).to_bytes(&host));
            bytes.extend(Ask::post(format!("/p{n}"), format!("body {n}")).to_bytes(&host));
        }
        connection.send(bytes);
        for n in 0..20 {
            assert_eq!(connection.receive().text(), format!("/{n} "));
            assert_eq!(connection.receive().text(), format!("/p{n} body {n}"));
        }
    });
}

#[test]
fn empty_lines_before_a_request_line_are_skipped() {
    let origin = Origin::http1().route("/", |n| n.to_string());
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client().connect();
    connection.send("\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(connection.receive().text(), "1");
}
