//! `ouli auto` on a miss: the request goes out as a recorder would have sent it.

use crate::support::*;

#[test]
fn a_request_with_trailers_reaches_the_origin_with_them() {
    let origin = Origin::http1().on("/", |request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        format!("{body} {:?}", request.trailers.get("x-sum"))
    });
    let ouli = Ouli::auto(&origin).start();
    let ask = Ask::new("POST", "/").chunked(["a", "bc"]).trailer("x-sum", "9");
    assert_eq!(ouli.client().ask(&ask).text(), "abc Some(\"9\")");
    let sent = origin.request("/");
    assert!(sent.headers.has("transfer-encoding") && !sent.headers.has("content-length"));
}

#[test]
fn exchanges_are_kept_in_the_order_of_their_heads() {
    let origin = Origin::http1().on("/*", |request| request.target.clone());
    let ouli = Ouli::auto(&origin).start();
    let mut slow = ouli.client().connect();
    slow.send(
        "POST /first HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n",
    );
    assert_eq!(slow.receive_interim().0, 100, "its head has come");
    assert_eq!(ouli.client().get("/second").text(), "/second");
    slow.send("x");
    assert_eq!(slow.receive().text(), "/first");
    ouli.terminate().expect_code(0);
    let kept = ouli.recordings().cassette("default");
    let target = |n: usize| kept["exchanges"][n]["request"]["target"].clone();
    assert_eq!((target(0), target(1)), ("/first".into(), "/second".into()), "{kept:#}");
}
