//! What a head may say over HTTP/2, and what it may not.

use crate::support::*;

fn recorder(origin: &Origin) -> Ouli {
    Ouli::record(origin).start()
}

#[test]
fn a_host_that_disagrees_with_the_authority_is_refused() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = recorder(&origin);
    let mut client = ouli.client_over(Protocol::H2c);
    client.ask(&Ask::get("/").header("host", "other.test")).problem(400, "bad-request");
    client
        .ask(&Ask::get("/").header("host", "one.test").header("host", "two.test"))
        .problem(400, "bad-request");
    let same = ouli.address().to_string();
    assert_eq!(client.ask(&Ask::get("/").header("host", &same)).text(), "x");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn connect_is_refused_with_a_hint() {
    let origin = Origin::http1();
    let ouli = recorder(&origin);
    let mut client = ouli.client_over(Protocol::H2c);
    let answer = client.ask(&Ask::new("CONNECT", "").authority("api.test:443"));
    let problem = answer.problem(400, "bad-request");
    assert!(problem.contains("hint"), "{problem}");
    assert!(origin.requests().is_empty());
}

#[test]
fn an_asterisk_asks_about_the_whole_origin() {
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let origin = Origin::of(protocol).route("*", |_| Reply::ok("").header("allow", "GET"));
        let ouli = recorder(&origin);
        let mut frames = frames::Frames::connect(ouli.address(), &[]);
        let flags = frames::END_STREAM;
        frames.send(&frames::Frame::request(1, flags, "OPTIONS", "*"));
        frames.until(frames::HEADERS);
        assert_eq!(origin.requests()[0].target, "*", "{protocol}");
    }
}

#[test]
fn a_head_over_its_limit_is_answered_and_the_connection_goes_on() {
    let origin = Origin::h2c().route("/", |_| "x");
    let limits = "max_header_bytes = \"4KiB\"";
    let ouli = Ouli::record(&origin).limits(limits).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut refused = connection.ask(&Ask::get("/").header("x-big", &"a".repeat(6000))).unwrap();
    let refused = refused.receive().unwrap();
    assert_eq!(refused.status, 431, "{refused:?}");
    assert_eq!(connection.ask(&Ask::get("/")).unwrap().receive().unwrap().text(), "x");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn more_fields_than_the_limit_are_answered_431() {
    let origin = Origin::h2c().route("/", |_| "x");
    let ouli = Ouli::record(&origin).limits("max_headers = 20").start();
    let mut client = ouli.client_over(Protocol::H2c);
    let many = (0..40).fold(Ask::get("/"), |ask, n| ask.header(&format!("x-{n}"), "1"));
    client.ask(&many).problem(431, "head-too-large");
    assert_eq!(client.get("/").text(), "x");
}

#[test]
fn what_an_http_1_origin_frames_is_not_framed_twice() {
    let origin = Origin::http1()
        .route("/chunked", |_| Reply::new(200).chunked(["a", "b"]))
        .route("/closed", |_| Reply::new(200).until_close("all"))
        .route("/sized", |_| "sized");
    let ouli = recorder(&origin);
    let mut client = ouli.client_over(Protocol::H2c);
    let chunked = client.get("/chunked");
    assert_eq!(chunked.text(), "ab");
    assert!(!chunked.headers.has("transfer-encoding"), "{chunked:?}");
    let closed = client.get("/closed");
    assert_eq!(closed.text(), "all");
    assert!(!closed.headers.has("connection"), "{closed:?}");
    assert_eq!(client.get("/sized").header("content-length"), Some("5"));
}

#[test]
fn a_body_of_unknown_length_reaches_http_1_in_chunks() {
    let origin = Origin::http1().on("/", |request| {
        assert!(request.headers.lists("transfer-encoding", "chunked"), "{request:?}");
        Reply::ok(request.body.clone())
    });
    let ouli = recorder(&origin);
    let mut client = ouli.client_over(Protocol::H2c);
    assert_eq!(client.ask(&Ask::new("POST", "/").chunked(["a", "bc"])).text(), "abc");
}

#[test]
fn a_get_without_a_body_reaches_http_1_without_framing() {
    let origin = Origin::http1().route("/", |_| "x");
    let ouli = recorder(&origin);
    ouli.client_over(Protocol::H2c).get("/");
    let request = origin.request("/");
    for name in ["transfer-encoding", "content-length"] {
        assert!(!request.headers.has(name), "{request:?}");
    }
}

#[test]
fn rewritten_locations_name_the_listener_over_http_2_too() {
    let origin = Origin::h2c();
    let own = format!("http://{}/there", origin.address());
    let origin = origin.route("/", move |_| Reply::new(302).header("location", &own));
    let ouli = recorder(&origin);
    let answer = ouli.client_over(Protocol::H2c).get("/");
    let expected = format!("http://{}/there", ouli.address());
    assert_eq!(answer.header("location"), Some(&*expected));
}
