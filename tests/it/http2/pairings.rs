//! What every pair of client and origin must agree on, whatever the two speak; recorded, and
//! replayed with the origin gone.

use crate::support::*;

/// Asks that trailers be sent, in the way that this protocol has for it.
fn with_trailers(ask: Ask, client: Protocol) -> Ask {
    let ask = ask.header("te", "trailers");
    match client.is_h2() {
        true => ask,
        false => ask.header("connection", "te"),
    }
}

#[test]
fn statuses_heads_and_bodies_arrive() {
    let origin = |origin: Origin| {
        origin
            .route("/small", |n| Reply::ok(n.to_string()).header("x-one", "1").header("x-one", "2"))
            .route("/empty", |_| Reply::ok(""))
            .route("/large", |_| Reply::ok(vec![0xa7; 1 << 20]).header("x-large", "yes"))
            .route("/pieces", |_| Reply::new(200).chunked(["one", "two", "three"]))
            .route("/none", |_| Reply::new(204).without_body().header("x-none", "1"))
            .route("/same", |_| Reply::new(304).without_body().header("etag", "\"a\""))
            .route("/gone", |_| Reply::new(410).body("gone").header("x-latin", "caf\u{e9}"))
    };
    for_every_pairing(origin, |client, _| {
        let small = client.get("/small");
        assert_eq!(small.headers.all("x-one"), ["1", "2"], "{small:?}");
        assert!(small.text().parse::<u32>().is_ok(), "{small:?}");
        let head = client.ask(&Ask::new("HEAD", "/large"));
        assert_eq!((head.status, head.body.len()), (200, 0), "{head:?}");
        assert_eq!(head.header("content-length"), Some("1048576"), "{head:?}");
        assert_eq!(head.header("x-large"), Some("yes"), "{head:?}");
        let empty = client.get("/empty");
        assert_eq!((empty.status, empty.text()), (200, ""), "{empty:?}");
        let large = client.get("/large");
        assert!(large.body == vec![0xa7; 1 << 20], "{large:?}");
        let pieces = client.get("/pieces");
        assert_eq!(pieces.text(), "onetwothree", "{pieces:?}");
        let none = client.get("/none");
        assert_eq!((none.status, none.header("x-none")), (204, Some("1")), "{none:?}");
        let same = client.get("/same");
        assert_eq!((same.status, same.header("etag")), (304, Some("\"a\"")), "{same:?}");
        let gone = client.get("/gone");
        assert_eq!((gone.status, gone.text()), (410, "gone"), "{gone:?}");
        assert_eq!(gone.header("x-latin"), Some("caf\u{e9}"), "{gone:?}");
        vec![small, head, empty, large, pieces, none, same, gone]
    });
}

#[test]
fn request_bodies_arrive() {
    let origin = |origin: Origin| {
        origin.on("/echo", |request| {
            assert!(request.whole, "{request:?}");
            Reply::ok(request.body.clone()).header("x-method", &request.method)
        })
    };
    for_every_pairing(origin, |client, _| {
        let large = vec![0x5a; 1 << 20];
        let asks = [
            (Ask::post("/echo", ""), &b""[..]),
            (Ask::post("/echo", "small"), b"small"),
            (Ask::new("PUT", "/echo").chunked(["in ", "three ", "parts"]), b"in three parts"),
            (Ask::new("PATCH", "/echo").body("patched"), b"patched"),
            (Ask::post("/echo", large.clone()), &large[..]),
        ];
        let answers = asks.iter().map(|(ask, body)| {
            let answer = client.ask(ask);
            assert!(answer.body == *body, "{answer:?}");
            assert_eq!(answer.header("x-method"), Some(&*ask.method), "{answer:?}");
            answer
        });
        answers.collect::<Vec<_>>()
    });
}

#[test]
fn trailers_arrive_both_ways() {
    let origin = |origin: Origin| {
        origin
            .on("/up", |request| format!("{:?}", request.trailers.all("x-sum")))
            .route("/down", |_| Reply::new(200).chunked(["a", "b"]).trailer("x-end", "1"))
            .route("/only", |_| Reply::new(200).chunked([""; 0]).trailer("x-end", "2"))
    };
    for_every_pairing(origin, |client, pair| {
        let ask = Ask::new("POST", "/up").header("trailer", "x-sum").chunked(["ab", "c"]);
        let up = client.ask(&ask.trailer("x-sum", "7").trailer("x-sum", "8"));
        assert_eq!(up.text(), "[\"7\", \"8\"]", "{up:?}");
        let down = client.ask(&with_trailers(Ask::get("/down"), pair.client));
        assert_eq!((down.text(), down.trailers.get("x-end")), ("ab", Some("1")), "{down:?}");
        let only = client.ask(&with_trailers(Ask::get("/only"), pair.client));
        assert_eq!((only.text(), only.trailers.get("x-end")), ("", Some("2")), "{only:?}");
        vec![up, down, only]
    });
}

#[test]
fn the_origin_is_asked_by_its_own_name() {
    let origin = |origin: Origin| {
        let own = origin.address().to_string();
        origin.on("/a%20b", move |request| {
            assert_eq!(request.authority, own, "{request:?}");
            assert_eq!(request.target, "/a%20b?q=%2F&q=2");
            assert!(request.headers.all("host").len() < 2, "{request:?}");
            request.headers.get("host").unwrap_or(&own).to_owned()
        })
    };
    for_every_pairing(origin, |client, _| vec![client.get("/a%20b?q=%2F&q=2")]);
}

#[test]
fn fields_of_one_connection_end_there() {
    let origin = |origin: Origin| {
        let is_h2 = origin.protocol().is_h2();
        origin.on("/", move |request| {
            let reply = Reply::ok(request.headers.names().join(" ")).header("x-kept", "1");
            match is_h2 {
                true => reply,
                false => reply
                    .header("connection", "x-dropped, keep-alive")
                    .header("x-dropped", "1")
                    .header("keep-alive", "timeout=5"),
            }
        })
    };
    for_every_pairing(origin, |client, pair| {
        let ask = Ask::get("/").header("x-own", "1");
        let ask = match pair.client.is_h2() {
            true => ask,
            false => ask
                .header("connection", "x-hop")
                .header("x-hop", "1")
                .header("keep-alive", "timeout=5")
                .header("proxy-connection", "keep-alive"),
        };
        let answer = client.ask(&ask);
        let names: Vec<_> = answer.text().split(' ').map(str::to_ascii_lowercase).collect();
        assert!(names.contains(&"x-own".to_owned()), "{answer:?}");
        for name in ["connection", "x-hop", "keep-alive", "proxy-connection", "transfer-encoding"] {
            assert!(!names.contains(&name.to_owned()), "{name} reached the origin: {answer:?}");
        }
        for name in ["x-dropped", "keep-alive"] {
            assert!(!answer.headers.has(name), "{name} reached the client: {answer:?}");
        }
        assert_eq!(answer.header("x-kept"), Some("1"), "{answer:?}");
        vec![answer]
    });
}

#[test]
fn trailers_are_accepted_of_every_origin_and_no_other_te_is_passed_on() {
    let origin =
        |origin: Origin| origin.on("/", |request| format!("{:?}", request.headers.all("te")));
    for_every_pairing(origin, |client, pair| {
        let trailers = client.ask(&with_trailers(Ask::get("/"), pair.client));
        assert_eq!(trailers.text(), "[\"trailers\"]", "{trailers:?}");
        let plain = client.get("/");
        if !pair.client.is_h2() {
            let ask = Ask::get("/").header("te", "gzip;q=0.5").header("connection", "te");
            let other = client.ask(&ask);
            assert!(!other.text().contains("gzip"), "{other:?}");
        }
        vec![trailers, plain]
    });
}

#[test]
fn cookies_that_came_apart_reach_http_1_joined() {
    let origin = |origin: Origin| {
        origin.on("/", |request| {
            if request.version == "HTTP/1.1" {
                // RFC 9113 section 8.2.3
                assert_eq!(request.headers.get("cookie"), Some("a=1; b=2; c=3"), "{request:?}");
            }
            request.headers.all("cookie").join("; ")
        })
    };
    for_every_pairing(origin, |client, pair| {
        let ask = match pair.client.is_h2() {
            true => Ask::get("/").header("cookie", "a=1").header("cookie", "b=2; c=3"),
            false => Ask::get("/").header("cookie", "a=1; b=2; c=3"),
        };
        let answer = client.ask(&ask);
        assert_eq!(answer.text(), "a=1; b=2; c=3", "{answer:?}");
        vec![answer]
    });
}

#[test]
fn interim_answers_arrive_before_the_final_one() {
    let origin = |origin: Origin| {
        origin.route("/", |_| {
            let hints = Reply::ok("final").after_interim(103, "link", "</a.css>");
            hints.after_interim(103, "link", "</b.js>")
        })
    };
    for_every_pairing(origin, |client, _| {
        let answer = client.get("/");
        let links: Vec<_> = answer.interim.iter().map(|(_, headers)| headers.get("link")).collect();
        assert_eq!(links, [Some("</a.css>"), Some("</b.js>")], "{answer:?}");
        assert_eq!(answer.text(), "final");
        vec![answer]
    });
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let origin = |origin: Origin| origin.on("/", |request| Reply::ok(request.body.clone()));
    for_every_pairing(origin, |client, _| {
        let answer = client.ask(&Ask::post("/", "promised").header("expect", "100-continue"));
        assert_eq!(answer.text(), "promised");
        // Where the body has come already, nobody needs to ask for it (RFC 9110 section 10.1.1).
        vec![Response { interim: Vec::new(), ..answer }]
    });
}

/// RFC 9113 section 7; what an origin says that fails in the midst of an answer, and what stands
/// for an HTTP/1.1 origin's broken connection.
const INTERNAL_ERROR: u32 = 2;

#[test]
fn an_answer_that_breaks_off_does_so_after_its_last_byte() {
    let origin = |origin: Origin| {
        origin
            .route("/cut", |_| Reply::ok("half").cut(INTERNAL_ERROR))
            .route("/large", |_| Reply::ok(vec![7; 40_000]).cut(INTERNAL_ERROR))
            .route("/next", |_| "whole")
    };
    for_every_pairing(origin, |client, pair| {
        let broken = |answer: &Response| match answer.ending {
            Ending::StreamReset(code) => pair.client.is_h2() && code == INTERNAL_ERROR,
            Ending::Cut | Ending::Reset => !pair.client.is_h2(),
            _ => false,
        };
        let cut = client.try_ask(&Ask::get("/cut")).unwrap();
        assert_eq!((cut.status, cut.text()), (200, "half"), "{cut:?}");
        assert!(broken(&cut), "{cut:?}");
        let large = client.try_ask(&Ask::get("/large")).unwrap();
        assert!(large.body == [7; 40_000] && broken(&large), "{large:?}");
        // A stream is lost, not the connection; and not the recorder.
        let next = client.get("/next");
        assert_eq!(next.text(), "whole");
        let bodies = [cut, large].map(|answer| Response { ending: Ending::Cut, ..answer });
        bodies.into_iter().chain([next]).collect::<Vec<_>>()
    });
}
