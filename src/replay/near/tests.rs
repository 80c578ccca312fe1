use crate::exchange::{Body, Digest};
use crate::matching::{Asked, BodyPrint, key};
use crate::redact::Redactor;
use crate::replay::fixture::{asked, exchange, get, post, session};

fn near(
    exchanges: Vec<crate::exchange::Exchange>,
    method: &str,
    target: &str,
    body: &str,
) -> String {
    let session = session(exchanges);
    let (key, body) = asked(method, target, body);
    session.nearest(&key, &body).map(|near| near.to_string()).unwrap_or_default()
}

#[test]
fn an_empty_session_has_nothing_near() {
    assert_eq!(near(vec![], "GET", "/", ""), "");
}

#[test]
fn a_wrong_query_value_is_named() {
    let recorded = vec![get("/other", ""), get("/items?page=1&size=10", ""), get("/items", "")];
    assert_eq!(
        near(recorded, "GET", "/items?size=10&page=2", ""),
        "nearest recorded: GET /items?page=1&size=10 (number 2)\n\
         query parameter `page`: asked 2, recorded 1"
    );
}

#[test]
fn a_wrong_path_segment_is_nearer_than_a_wrong_method() {
    let recorded = vec![post("/users/7", "", ""), get("/users/8", ""), get("/orders/9", "")];
    assert_eq!(
        near(recorded, "GET", "/users/7", ""),
        "nearest recorded: GET /users/8 (number 2)\npath segment 2: asked 7, recorded 8"
    );
}

#[test]
fn a_handshake_is_told_from_a_page_and_by_what_it_offers() {
    let handshake = |offered: &str| {
        let mut one = get("/chat", "");
        let fields = [("upgrade", "websocket"), ("connection", "upgrade")];
        one.request.head.fields = fields.into_iter().collect();
        one.request.head.fields.push("sec-websocket-protocol", offered);
        one
    };
    assert_eq!(
        near(vec![get("/", ""), handshake("a,b")], "GET", "/chat", ""),
        "nearest recorded: GET /chat (number 2)\nupgrade: asked nothing, recorded websocket"
    );
    let session = session(vec![get("/chat", ""), handshake("c"), handshake("a,b")]);
    let body = BodyPrint::Conversation(b"a");
    let mut key = Vec::new();
    let asking = Asked { endpoint: "api", method: "GET", target: "/chat", body };
    key::write(&mut key, &asking, &Redactor::default());
    assert_eq!(
        session.nearest(&key, &asked("GET", "/chat", "").1).unwrap().to_string(),
        "nearest recorded: GET /chat (number 2)\nsubprotocols: asked a, recorded c"
    );
}

#[test]
fn the_nearest_of_many_bodies_is_the_one_with_the_fewest_differences() {
    let recorded = vec![
        post("/chat", r#"{"model":"m","messages":["a","b"],"n":1}"#, ""),
        post("/chat", r#"{"model":"m","messages":["a","c"],"n":2}"#, ""),
        post("/chat", r#"{"model":"x","messages":[],"n":9}"#, ""),
    ];
    assert_eq!(
        near(recorded, "POST", "/chat", r#"{"n":2,"messages":["a","b"],"model":"m"}"#),
        "nearest recorded: POST /chat (number 1)\nbody at /n: asked 2, recorded 1"
    );
}

#[test]
fn secrets_are_shown_on_neither_side() {
    let recorded = vec![get("/a?key=s1&b=1", "")];
    let text = near(recorded, "GET", "/a?key=s2&b=2", "");
    assert_eq!(
        text,
        "nearest recorded: GET /a?key=REDACTED&b=1 (number 1)\n\
         query parameter `b`: asked 2, recorded 1"
    );
    let recorded = vec![post("/a", r#"{"token":"s1","nested":{"password":{"x":"s2"}}}"#, "")];
    let text = near(recorded, "POST", "/a", r#"{"token":"s3","nested":{"password":{"x":"s4"}}}"#);
    assert!(!text.contains("s1") && !text.contains("s2"), "{text}");
    assert!(!text.contains("s3") && !text.contains("s4"), "{text}");
}

#[test]
fn a_body_that_is_not_at_hand_is_told_by_size_and_digest() {
    let body = Body::Omitted { digest: Digest([7; 32]), len: 5000 };
    let text = near(vec![exchange("POST", "/a", body, "")], "POST", "/a", &"x".repeat(6000));
    assert!(text.contains("body: asked 6000 bytes (digest "), "{text}");
    assert!(text.ends_with("recorded 5000 bytes (digest 0707070707070707…)"), "{text}");
}

#[test]
fn a_huge_session_is_searched_where_near_requests_stand() {
    let recorded = (0..20_000).map(|n| get(&format!("/things/{n:05}/part"), "")).collect();
    assert_eq!(
        near(recorded, "GET", "/things/12345/parts", ""),
        "nearest recorded: GET /things/12345/part (number 12346)\n\
         path segment 3: asked parts, recorded part"
    );
}

#[test]
fn the_search_is_bounded_at_both_ends_of_a_huge_session() {
    for target in ["/", "/zzz"] {
        let recorded = (0..3000).map(|n| get(&format!("/t{n:04}"), "")).collect();
        assert!(near(recorded, "GET", target, "").starts_with("nearest recorded: GET /t"));
    }
}
