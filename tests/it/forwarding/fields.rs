//! Header fields: which stop here, and that the rest arrives untouched (RFC 9110 section 7.6.1).

use crate::support::*;

fn forwarded(ask: &Ask) -> Request {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = Ouli::record(&origin).start();
    ouli.client().ask(ask);
    origin.request("/")
}

#[test]
fn hop_by_hop_fields_of_a_request_are_not_forwarded() {
    let request = forwarded(
        &Ask::get("/")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Connection", "keep-alive")
            .header("Upgrade", "h2c")
            .header("TE", "gzip")
            .header("Connection", "keep-alive, X-Hop")
            .header("x-hop", "1")
            .header("x-stays", "1"),
    );
    for name in ["keep-alive", "proxy-connection", "upgrade", "te", "x-hop"] {
        assert!(!request.headers.has(name), "`{name}` was forwarded: {:?}", request.headers);
    }
    assert!(request.headers.has("x-stays"));
}

#[test]
fn fields_named_by_a_second_connection_line_are_not_forwarded() {
    let request = forwarded(
        &Ask::get("/")
            .header("Connection", "x-one")
            .header("X-One", "1")
            .header("X-Two", "2")
            .header("X-Three", "3")
            .header("connection", " ,x-two,, X-THREE ,")
            .header("x-four", "4"),
    );
    assert!(["x-one", "x-two", "x-three"].iter().all(|name| !request.headers.has(name)));
    assert_eq!(request.headers.get("x-four"), Some("4"));
    assert!(!request.headers.lists("connection", "x-two"));
}

#[test]
fn a_connection_line_cannot_take_away_what_frames_the_request() {
    let request = forwarded(
        &Ask::post("/", "body")
            .header("Connection", "host, content-length, close")
            .header("x-stays", "1"),
    );
    assert_eq!(request.body, b"body");
    assert!(request.headers.has("x-stays"));
}

#[test]
fn te_trailers_is_forwarded_and_other_codings_in_it_are_not() {
    let ask = Ask::get("/").header("TE", "gzip;q=0.5, trailers").header("Connection", "TE");
    let request = forwarded(&ask);
    assert_eq!(request.headers.get("te"), Some("trailers"), "{:?}", request.headers);
    assert!(request.headers.lists("connection", "te"), "RFC 9110 section 10.1.4");
}

#[test]
fn host_becomes_the_origins() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = Ouli::record(&origin).start();
    ouli.client().ask(&Ask::get("/").header("Host", "api.example.com:99"));
    let host = origin.request("/").headers.get("host").map(str::to_owned);
    assert_eq!(host, Some(origin.address().to_string()));
}

#[test]
fn order_case_and_repetition_of_request_fields_arrive_untouched() {
    let mut ask = Ask::get("/");
    let fields = [
        ("X-Zed", "1"),
        ("accept", "*/*"),
        ("x-zed", "2"),
        ("Accept-Encoding", "gzip, br"),
        ("X-EMPTY", ""),
        ("Cookie", "a=b; c=d"),
        ("X-zeD", "a  b,\tc"),
        ("x-latin", "caf\u{e9}"),
        ("User-Agent", "Some/1.0 (thing)"),
    ];
    for (name, value) in fields {
        ask = ask.header(name, value);
    }
    let mut seen = forwarded(&ask).headers.0;
    seen.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
    let expected = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(seen, expected, "only Host is Ouli's to change");
}

#[test]
fn order_case_and_repetition_of_answer_fields_arrive_untouched_on_both_roads() {
    let fields = [
        ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"),
        ("X-Zed", "1"),
        ("content-type", "text/plain"),
        ("x-zed", "2"),
        ("Vary", "Accept"),
        ("X-EMPTY", ""),
        ("vary", "Origin"),
        ("x-latin", "caf\u{e9}"),
        ("Server", "thing/1"),
    ];
    let origin = Origin::http1().route("/", move |_| {
        fields.iter().fold(Reply::ok("x"), |reply, (name, value)| reply.header(name, value))
    });
    on_both_roads(&origin, |client| {
        let mut seen = client.get("/").headers.0;
        seen.retain(|(name, _)| name != "content-length");
        assert_eq!(seen, fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    });
}

#[test]
fn set_cookie_lines_are_never_joined() {
    let origin = Origin::http1().route("/", |_| {
        Reply::ok("x").header("Set-Cookie", "a=1; Path=/").header("Set-Cookie", "b=2")
    });
    let ouli = Ouli::record(&origin).start();
    let answer = ouli.client().get("/");
    assert_eq!(answer.headers.all("set-cookie"), ["a=1; Path=/", "b=2"], "live, so not redacted");
}

#[test]
fn hop_by_hop_fields_of_an_answer_stop_here() {
    let origin = Origin::http1().raw(
        "/",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=9\r\nConnection: x-hop\r\nX-Hop: 1\r\n\
         Connection: x-other\r\nX-Other: 2\r\nProxy-Connection: keep-alive\r\nX-Stays: 3\r\n\
         content-length: 1\r\n\r\nx",
    );
    on_both_roads(&origin, |client| {
        let answer = client.get("/");
        for name in ["keep-alive", "x-hop", "x-other", "proxy-connection"] {
            assert!(!answer.headers.has(name), "`{name}` was passed on: {answer:?}");
        }
        assert_eq!(answer.header("x-stays"), Some("3"));
    });
}

#[test]
fn status_and_reason_arrive_as_they_were() {
    let origin = Origin::http1()
        .route("/teapot", |_| Reply::new(418).reason("I'm a teapot, short and stout"))
        .raw("/empty", "HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n")
        .raw("/high", "HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n");
    on_both_roads(&origin, |client| {
        let teapot = client.get("/teapot");
        let seen = (teapot.status, teapot.reason.as_str());
        assert_eq!(seen, (418, "I'm a teapot, short and stout"));
        assert_eq!(client.get("/empty").reason, "");
        assert_eq!(client.get("/high").status, 999);
    });
}

#[test]
fn alternative_services_and_transport_security_are_not_passed_on() {
    let origin = Origin::http1().route("/", |_| {
        Reply::ok("x")
            .header("Alt-Svc", "h3=\":443\"")
            .header("Strict-Transport-Security", "max-age=63072000")
    });
    on_both_roads(&origin, |client| {
        let answer = client.get("/");
        assert!(!answer.headers.has("alt-svc"), "{answer:?}");
        assert!(!answer.headers.has("strict-transport-security"), "{answer:?}");
    });
}

#[test]
fn a_secure_cookie_over_plain_http_warns_once() {
    let origin =
        Origin::http1().route("/", |_| Reply::ok("x").header("set-cookie", "id=1; Secure"));
    let ouli = Ouli::record(&origin).start();
    ouli.client().get_many("/", 3);
    let ended = ouli.terminate();
    let warnings = ended.stderr.lines().filter(|line| line.contains("Secure")).count();
    assert_eq!(warnings, 1, "{ended:?}");
}
