//! The default match key: what two requests must share to count as the same.

use crate::support::*;

/// Records the first request; the second must hit it, or miss.
#[track_caller]
fn compare(recorded: &Ask, asked: &Ask, hits: bool) {
    let origin = Origin::http1().route("/*", |_| "hit");
    let recordings = record(&origin, |client| drop(client.ask(recorded)));
    let replay = Ouli::replay(recordings).start();
    let answer = replay.client().ask(asked);
    match hits {
        true => assert_eq!(answer.text(), "hit", "{asked:?} should match {recorded:?}"),
        false => assert_eq!((answer.status, answer.fault()), (501, Some("miss")), "{asked:?}"),
    }
}

fn json(body: &str) -> Ask {
    Ask::post("/", body).header("content-type", "application/json")
}

fn form(body: &str) -> Ask {
    Ask::post("/", body).header("content-type", "application/x-www-form-urlencoded")
}

fn multipart(boundary: &str) -> Ask {
    let part = |name: &str, value: &str| {
        format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let body = format!("{}{}--{boundary}--\r\n", part("a", "1"), part("b", "2"));
    let kind = format!("multipart/form-data; boundary={boundary}");
    Ask::post("/", body).header("content-type", &kind)
}

#[test]
fn requests_that_mean_the_same_match() {
    compare(&Ask::get("/?a=1&b=2"), &Ask::get("/?b=2&a=1"), true);
    compare(&Ask::get("/%7Ea/%41"), &Ask::get("/~a/A"), true);
    compare(&Ask::get("/a%2fb"), &Ask::get("/a%2Fb"), true);
    compare(&json(r#"{"a":1,"b":[1,2]}"#), &json("{ \"b\": [1, 2],\n \"a\": 1 }"), true);
    compare(&json(r#"{"a":"\u00e4"}"#), &json("{\"a\":\"ä\"}"), true);
    compare(&form("a=1&b=x+y"), &form("b=x%20y&a=1"), true);
    compare(&multipart("XXXX"), &multipart("YYYY"), true);
    let chunked = Ask::new("POST", "/").chunked(["bo", "dy"]);
    compare(&Ask::post("/", "body"), &chunked, true);
}

#[test]
fn requests_that_mean_something_else_do_not() {
    compare(&Ask::get("/a"), &Ask::get("/A"), false);
    compare(&Ask::get("/a"), &Ask::new("HEAD", "/b"), false);
    compare(&Ask::get("/a"), &Ask::new("DELETE", "/a"), false);
    compare(&Ask::get("/a"), &Ask::get("/a/"), false);
    compare(&Ask::get("/a%2Fb"), &Ask::get("/a/b"), false);
    compare(&Ask::get("/?a=1&a=2"), &Ask::get("/?a=1"), false);
    compare(&Ask::get("/?a"), &Ask::get("/"), false);
    compare(&json("[1,2]"), &json("[2,1]"), false);
    compare(&json("9007199254740993"), &json("9007199254740992"), false);
    compare(&json(r#"{"a":null}"#), &json("{}"), false);
    compare(&form("a=1"), &form("a=1&a=1"), false);
    compare(&Ask::post("/", "body"), &Ask::post("/", "body "), false);
}

#[test]
fn headers_do_not_count() {
    compare(
        &Ask::get("/").header("user-agent", "one").header("accept", "*/*"),
        &Ask::get("/").header("User-Agent", "two").header("x-request-id", "7"),
        true,
    );
}
