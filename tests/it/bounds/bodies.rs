//! A large body, either way, framed in each way, over each version.

use super::*;

const VERSIONS: [Protocol; 2] = [Protocol::Http1, Protocol::H2c];

/// Records and replays; memory is held against the bound on both roads.
fn on_both_roads_within(origin: &Origin, talk: impl Fn(&mut Client)) {
    let protocol = origin.protocol();
    let check = |ouli: &Ouli, road: &str| {
        // `max_kept_body` stands above the body: it is kept.
        let mut client = ouli.client_over(protocol);
        client.get("/warm");
        let ((), grown) = growth_kib(ouli, || talk(&mut client));
        assert!(grown < bound_kib(protocol), "{road}, {protocol:?}: grew by {grown} KiB");
    };
    let recorder = Ouli::record(origin).option("-q").start();
    check(&recorder, "record");
    recorder.terminate().expect_code(0);
    let replay = Ouli::replay(recorder.recordings()).option("-q").start();
    check(&replay, "replay");
}

#[test]
fn a_large_answer_costs_no_memory_of_its_size() {
    let body = large();
    for protocol in VERSIONS {
        let (sized, chunked) = (body.clone(), body.clone());
        let origin = Origin::of(protocol)
            .route("/warm", |_| "x")
            .route("/sized", move |_| sized.clone())
            .route("/chunked", move |_| {
                Reply::new(200).chunked(chunked.chunks(100_000).map(<[u8]>::to_vec))
            });
        on_both_roads_within(&origin, |client| {
            assert!(client.get("/sized").body == body, "by length");
            assert!(client.get("/chunked").body == body, "in chunks");
        });
    }
}

/// Tells whether a request's body came as it should, without keeping it whole over HTTP/2.
fn comparing(protocol: Protocol, body: &[u8]) -> Origin {
    let expected = body.to_vec();
    let said = |as_sent| if as_sent { "as sent" } else { "otherwise" };
    let origin = Origin::of(protocol).route("/warm", |_| "x");
    if !protocol.is_h2() {
        return origin.on("/up", move |request| said(request.body == expected));
    }
    origin.h2_script("/up", move |talk| {
        let (mut read, mut as_sent) = (0, true);
        while let Ok(bytes) = talk.read_raw() {
            as_sent &= expected[read..].starts_with(&bytes);
            read += bytes.len();
        }
        talk.reply(said(as_sent && read == expected.len()));
    })
}

#[test]
fn a_large_upload_costs_no_memory_of_its_size() {
    let body = large();
    for protocol in VERSIONS {
        let origin = comparing(protocol, &body);
        let sized = Ask::post("/up", body.clone());
        let chunked = Ask::new("POST", "/up").chunked(body.chunks(100_000).map(<[u8]>::to_vec));
        on_both_roads_within(&origin, |client| {
            for (way, ask) in [("by length", &sized), ("in chunks", &chunked)] {
                let answer = client.try_ask(ask);
                let answer = answer.unwrap_or_else(|e| panic!("{way}, {protocol:?}: {e}"));
                assert_eq!(answer.text(), "as sent", "{way}, {protocol:?}");
            }
        });
    }
}

#[test]
fn a_large_upload_that_waits_for_100_costs_no_memory_of_its_size() {
    let body = large();
    let origin =
        Origin::http1().route("/warm", |_| "x").on("/up", |request| request.body.len().to_string());
    on_both_roads_within(&origin, |client| {
        let mut connection = client.connect();
        let head = "POST /up HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: ";
        connection.send(format!("{head}{LARGE}\r\n\r\n"));
        assert_eq!(connection.receive_interim().0, 100);
        connection.send(&body);
        assert_eq!(connection.receive().text(), LARGE.to_string());
    });
}
