//! The support code for TLS and HTTP/2 against itself: clients and origins with nothing between.

use super::frames::{DATA, Frame, FrameOrigin, Frames, GOAWAY};
use super::*;

fn client(origin: &Origin) -> Client {
    Client::new(origin.address()).over(origin.protocol()).trusting(authority().pem())
}

#[test]
fn every_protocol_has_the_same_small_language() {
    for protocol in Protocol::ALL {
        let origin = Origin::of(protocol).route("/n", |n| n.to_string()).on("/c", |request| {
            assert_eq!(request.trailers.get("x-sum"), Some("7"));
            Reply::new(200).chunked([&request.body[..], b"!"]).trailer("x-end", "yes")
        });
        let mut client = client(&origin);
        let answers = client.get_many("/n", 3);
        let texts: Vec<_> = answers.iter().map(Response::text).collect();
        assert_eq!(texts, ["1", "2", "3"], "{protocol}");
        let ask = Ask::new("PUT", "/c").chunked(["ab", "cd"]).trailer("x-sum", "7");
        let answer = client.ask(&ask);
        assert_eq!(answer.text(), "abcd!", "{protocol}");
        assert_eq!(answer.trailers.get("x-end"), Some("yes"), "{protocol}");
        assert_eq!(client.ask(&Ask::new("HEAD", "/n")).body, b"", "{protocol}");
        assert_eq!(client.get("/nowhere").status, 404, "{protocol}");
        assert_eq!(origin.connections(), 1, "{protocol}");
        assert_eq!(origin.requests().len(), 6, "{protocol}");
        assert_eq!(origin.request("/c").authority, origin.address().to_string(), "{protocol}");
    }
}

#[test]
fn interim_answers_and_cuts_are_seen_over_every_protocol() {
    for protocol in Protocol::ALL {
        let origin = Origin::of(protocol)
            .route("/i", |_| Reply::ok("x").after_interim(103, "link", "</a>"))
            .route("/cut", |_| Reply::ok("half").cut(7));
        let answer = client(&origin).get("/i");
        assert_eq!((answer.status, answer.interim[0].0), (200, 103), "{protocol}");
        let cut = client(&origin).try_ask(&Ask::get("/cut")).unwrap();
        let ending = if protocol.is_h2() { Ending::StreamReset(7) } else { Ending::Cut };
        assert_eq!((cut.text(), cut.ending), ("half", ending), "{protocol}");
    }
}

#[test]
fn large_bodies_pass_both_ways_at_once() {
    for protocol in Protocol::ALL {
        let origin = Origin::of(protocol).on("/", |request| Reply::ok(request.body.clone()));
        let body = vec![0xa7; 1 << 20];
        let asks = vec![Ask::post("/", body.clone()); 3];
        for answer in client(&origin).ask_at_once(&asks) {
            assert!(answer.body == body, "{protocol}");
        }
    }
}

#[test]
fn each_flaw_of_a_certificate_is_found() {
    let flaws = [
        Flaw::Expired,
        Flaw::NotYetValid,
        Flaw::WrongName,
        Flaw::UnknownAuthority,
        Flaw::SelfSigned,
    ];
    for flaw in flaws {
        let origin = Origin::with_certificate(Protocol::Http1Tls, &Identity::with(flaw));
        assert!(client(&origin).try_connect().is_err(), "{flaw:?}");
    }
}

#[test]
fn a_client_shows_its_certificate_to_an_origin_that_asks() {
    for protocol in [Protocol::Http1Tls, Protocol::H2Tls] {
        let origin = Origin::for_clients_of(protocol, authority()).route("/", |_| "hello");
        let identity = authority().client("somebody");
        assert_eq!(client(&origin).identified(&identity).get("/").text(), "hello");
        assert!(client(&origin).try_ask(&Ask::get("/")).is_err());
        wait_until("the origin noticed", || !origin.failed_handshakes().is_empty());
    }
}

#[test]
fn a_stream_is_held_step_by_step() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::h2c().h2_script("/s", move |talk| {
        talk.interim(103, &[("link", "</a>")]);
        assert_eq!(talk.read_to(4), b"half");
        talk.begin(Reply::ok("one"));
        held.pass();
        talk.send("two");
        talk.read_body();
        talk.trailers(&[("x-end", "1")]);
    });
    let mut connection = client(&origin).connect_h2();
    let mut stream = connection.begin(&Ask::new("POST", "/s"));
    assert_eq!(stream.interim().0, 103);
    stream.send("half");
    assert_eq!(stream.head().unwrap().0, 200);
    stream.expect_bytes("one");
    gate.open();
    stream.expect_bytes("two");
    stream.finish();
    assert_eq!(stream.receive().unwrap().trailers.get("x-end"), Some("1"));
}

#[test]
fn an_origin_sees_a_reset_and_sends_goaways() {
    let gate = Gate::new();
    let seen = gate.clone();
    let origin = Origin::h2c()
        .h2_script("/wait", move |talk| {
            talk.begin(Reply::ok("x"));
            let patience = std::time::Duration::from_secs(10);
            assert_eq!(talk.client_resets_within(patience), Some(8));
            seen.pass();
        })
        .h2_script("/bye", |talk| {
            talk.go_away();
            talk.reply("bye");
        });
    let mut connection = client(&origin).connect_h2();
    let mut stream = connection.begin(&Ask::get("/wait"));
    stream.expect_bytes("x");
    stream.reset(8);
    wait_until("the origin has seen it", || gate.reached() == 1);
    gate.open();
    assert_eq!(connection.ask(&Ask::get("/bye")).unwrap().receive().unwrap().text(), "bye");
    assert_eq!(connection.wait_end(), Ending::Cut);
}

#[test]
fn a_stream_limit_is_told_and_counted() {
    let origin = Origin::h2c().max_streams(3).route("/", |_| "x");
    let mut connection = client(&origin).connect_h2();
    connection.ask(&Ask::get("/")).unwrap().receive().unwrap();
    wait_until("the settings are here", || connection.max_streams() == 3);
    assert!((1..=3).contains(&origin.most_streams()));
}

#[test]
fn frames_can_be_written_and_read_one_by_one() {
    let origin = FrameOrigin::new(&[], |talk| {
        while let Some(stream) = talk.request() {
            talk.answer(stream, "raw");
        }
    });
    let mut client = Client::new(origin.address()).over(Protocol::H2c);
    assert_eq!(client.get("/").text(), "raw");
    assert_eq!(origin.seen(), [vec![1]]);

    let origin = Origin::h2c().route("/", |_| "hello");
    let mut frames = Frames::connect(origin.address(), &[]);
    frames.send(&Frame::request(1, frames::END_STREAM, "GET", "/"));
    assert_eq!(frames.until(DATA).payload, b"hello");
    frames.send(&Frame::new(frames::PING, 0, 1, [0; 8])); // a ping on a stream is an error
    assert_eq!(frames.until(GOAWAY).code(), Some(1));
    std::mem::forget(origin); // it would report the broken client
}
