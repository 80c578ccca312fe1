//! Bodies and where they end. Framing is rebuilt on each side, never relayed.

use crate::support::*;

#[test]
fn head_gets_the_fields_of_get_and_no_body() {
    let origin = Origin::http1()
        .route("/length", |_| Reply::ok("twelve bytes").header("x-a", "1"))
        .raw("/chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        .raw("/none", "HTTP/1.1 200 OK\r\nx-a: 2\r\n\r\n");
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        for (path, length) in [("/length", Some("12")), ("/chunked", None), ("/none", None)] {
            connection.ask(&Ask::new("HEAD", path));
            let answer = connection.receive_for("HEAD").unwrap();
            assert_eq!(answer.header("content-length"), length, "{path}: {answer:?}");
            assert!(!answer.headers.has("connection"), "kept alive: {answer:?}");
        }
        connection.ask(&Ask::get("/length"));
        assert_eq!(connection.receive().text(), "twelve bytes");
    });
}

#[test]
fn no_content_and_not_modified_have_no_body_and_keep_the_connection() {
    let origin = Origin::http1()
        .route("/204", |_| Reply::new(204).without_body().header("x-a", "1"))
        .route("/304", |_| Reply::new(304).without_body().header("Content-Length", "512"))
        .route("/next", |_| "next");
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        connection.ask(&Ask::get("/204"));
        let answer = connection.receive();
        assert_eq!((answer.status, answer.header("x-a")), (204, Some("1")));
        connection.ask(&Ask::get("/304"));
        let answer = connection.receive();
        assert_eq!((answer.status, answer.header("content-length")), (304, Some("512")));
        connection.ask(&Ask::get("/next"));
        assert_eq!(connection.receive().text(), "next");
    });
}

#[test]
fn a_no_content_with_a_length_loses_it() {
    let origin =
        Origin::http1().raw("/", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nx-a: 1\r\n\r\n");
    // The client refuses a 204 with framing fields.
    on_both_roads(&origin, |client| assert_eq!(client.get("/").header("x-a"), Some("1")));
}

#[test]
fn chunked_answers_keep_their_trailers() {
    let origin = Origin::http1().route("/", |_| {
        let reply = Reply::new(200).header("Trailer", "X-Sum").chunked(["one", "two"]);
        reply.trailer("X-Sum", "abc").trailer("x-sum", "def").trailer("X-Undeclared", "1")
    });
    on_both_roads(&origin, |client| {
        let ask = Ask::get("/").header("TE", "trailers").header("Connection", "TE");
        let answer = client.ask(&ask);
        assert_eq!(answer.text(), "onetwo");
        assert_eq!(answer.trailers.names(), ["X-Sum", "x-sum", "X-Undeclared"], "{answer:?}");
    });
}

#[test]
fn chunked_requests_keep_their_trailers() {
    let origin = Origin::http1().on("/", |request| {
        format!("{} {:?}", String::from_utf8_lossy(&request.body), request.trailers.get("X-Sum"))
    });
    let ouli = Ouli::record(&origin).start();
    let ask = Ask::new("POST", "/").header("trailer", "x-sum").chunked(["a", "bc"]);
    let answer = ouli.client().ask(&ask.trailer("X-Sum", "9"));
    assert_eq!(answer.text(), "abc Some(\"9\")");
}

#[test]
fn trailers_cannot_smuggle_framing_or_routing() {
    let origin = Origin::http1().route("/", |_| {
        let reply = Reply::new(200).chunked(["x"]).trailer("content-length", "9");
        reply.trailer("transfer-encoding", "gzip").trailer("x-fine", "1")
    });
    let ouli = Ouli::record(&origin).start();
    // RFC 9110 section 6.5.1: dropped, or the answer is cut as malformed; never passed on.
    let answer = ouli.client().try_ask(&Ask::get("/").header("te", "trailers")).unwrap();
    for name in ["content-length", "transfer-encoding"] {
        assert!(!answer.trailers.has(name), "{answer:?}");
    }
}

#[test]
fn chunk_extensions_are_read_and_not_relayed() {
    let origin = Origin::http1().raw(
        "/",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
         3;a=b\r\none\r\n003 ; c=\"d;e\"\r\ntwo\r\n0;last\r\n\r\n",
    );
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        connection.ask(&Ask::get("/").header("connection", "close"));
        let (bytes, _) = connection.read_to_end();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("a=b") && !text.contains("last"), "{text}");
        assert!(text.contains("one") && text.contains("two"), "{text}");
    });
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    let body = "until the end".repeat(10_000);
    let sent = body.clone();
    let origin = Origin::http1().route("/", move |_| Reply::new(200).until_close(sent.clone()));
    on_both_roads(&origin, |client| assert_eq!(client.get("/").text(), body));
}

#[test]
fn an_http_1_0_origin_is_understood() {
    let origin = Origin::http1()
        .raw_then_close("/close", "HTTP/1.0 200 OK\r\nx-a: 1\r\n\r\nold times")
        .raw_then_close("/length", "HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold");
    on_both_roads(&origin, |client| {
        assert_eq!(client.get("/close").text(), "old times");
        let answer = client.get("/length");
        assert_eq!((answer.text(), answer.version.as_str()), ("old", "HTTP/1.1"));
    });
}

#[test]
fn bodies_of_many_sizes_arrive_whole_in_both_directions() {
    let origin = Origin::http1().on("/echo", |request| request.body.clone());
    on_both_roads(&origin, |client| {
        for size in [0, 1, 4095, 65_535, 65_536, 65_537, 1 << 20] {
            let body: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
            assert!(client.post("/echo", body.clone()).body == body, "{size} bytes, by length");
            let chunks: Vec<_> = body.chunks(7001).map(<[u8]>::to_vec).collect();
            let answer = client.ask(&Ask::new("PUT", "/echo").chunked(chunks));
            assert!(answer.body == body, "{size} bytes, in chunks");
        }
    });
}

#[test]
fn a_request_in_single_bytes_is_the_same_request() {
    let origin = Origin::http1().on("/", |request| request.body.clone());
    on_both_roads(&origin, |client| {
        let mut connection = client.connect();
        let ask = Ask::new("POST", "/").chunked(["abc", "d"]).trailer("x-end", "1");
        for byte in ask.to_bytes("x") {
            connection.send([byte]);
        }
        assert_eq!(connection.receive().text(), "abcd");
    });
}

#[test]
fn coded_bodies_pass_untouched_while_recording() {
    let plain = r#"{"words": "again and again and again"}"#.repeat(50);
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let bytes = coded(coding, plain.as_bytes());
        let sent = bytes.clone();
        let origin = Origin::http1().route("/", move |_| {
            Reply::json("").header("Content-Encoding", coding).body(sent.clone())
        });
        let ouli = Ouli::record(&origin).start();
        let answer = ouli.client().get("/");
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert!(answer.body == bytes, "{coding}: not the bytes that were sent");
    }
}

#[test]
fn a_malformed_answer_is_the_origins_fault() {
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        "HTTP/1.1 200 OK\ncontent-length: 3\n\nabc",
        "HTTP/1.1 20 OK\r\n\r\n",
        "not http at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: y\r\n folded\r\ncontent-length: 0\r\n\r\n",
    ];
    for bytes in answers {
        let origin = Origin::http1().raw_then_close("/", bytes);
        let ouli = Ouli::record(&origin).start();
        ouli.client().get("/").problem(502, "origin-broke-off");
        ouli.terminate().expect_code(0);
        assert!(!ouli.recordings().files().contains(&"default.json".to_owned()));
    }
}

#[test]
fn bytes_after_an_answer_never_become_the_next_answer() {
    let origin = Origin::http1()
        .raw("/more", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")
        .route("/next", |_| "genuine");
    let ouli = Ouli::record(&origin).start();
    let mut client = ouli.client();
    for _ in 0..5 {
        assert_eq!(client.get("/more").text(), "ok");
        assert_eq!(client.get("/next").text(), "genuine");
    }
}
