//! Answers before the answer, and answers before the request has ended.

use crate::support::*;

#[test]
fn a_refusal_instead_of_a_100_arrives_without_the_body() {
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let origin = match protocol {
            Protocol::Http1 => Origin::http1().script("/", |talk| {
                talk.reply(Reply::new(417).body("no").header("connection", "close"));
            }),
            _ => Origin::h2c().h2_script("/", |talk| talk.reply(Reply::new(417).body("no"))),
        };
        let ouli = Ouli::record(&origin).start();
        let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
        let ask = Ask::new("POST", "/").header("expect", "100-continue");
        let mut stream = connection.begin(&ask);
        let answer = stream.receive().unwrap();
        assert_eq!((answer.status, answer.text()), (417, "no"), "{protocol}: {answer:?}");
        assert!(answer.interim.is_empty(), "{protocol}: {answer:?}");
    }
}

#[test]
fn a_100_of_the_origin_reaches_the_client_before_its_body_leaves() {
    let gate = Gate::new();
    let asked = gate.clone();
    let origin = Origin::h2c().h2_script("/", move |talk| {
        asked.pass();
        talk.interim(100, &[]);
        let body = talk.read_body();
        talk.reply(body);
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut stream = connection.begin(&Ask::new("POST", "/").header("expect", "100-continue"));
    wait_until("the origin has the head", || gate.reached() == 1);
    gate.open();
    assert_eq!(stream.interim().0, 100);
    stream.send("body");
    stream.finish();
    assert_eq!(stream.receive().unwrap().text(), "body");
}

#[test]
fn an_answer_may_come_before_its_request_has_ended() {
    let origin = Origin::h2c().h2_script("/", |talk| {
        talk.begin(Reply::ok("early"));
        let body = talk.read_body();
        talk.send(body);
        talk.finish();
    });
    let ouli = Ouli::record(&origin).start();
    let mut connection = ouli.client_over(Protocol::H2c).connect_h2();
    let mut stream = connection.begin(&Ask::new("POST", "/"));
    stream.expect_bytes("early");
    stream.send("late");
    stream.finish();
    stream.expect_bytes("late");
    ouli.terminate().expect_code(0);
    origin.stop();

    // Plain HTTP bodies count whole: a replay waits for all of the request.
    let replay = Ouli::replay(ouli.recordings()).option("--strict").start();
    let answer = replay.client_over(Protocol::H2c).ask(&Ask::post("/", "late"));
    assert_eq!(answer.text(), "earlylate");
    replay.terminate().expect_code(0);
}

#[test]
fn an_origin_that_answers_without_reading_is_no_error() {
    for client in [Protocol::Http1, Protocol::H2c] {
        let origin = Origin::h2c().h2_script("/", |talk| talk.reply(Reply::new(403).body("no")));
        let ouli = Ouli::record(&origin).start();
        let body = vec![0; 1 << 20];
        let answer = ouli.client_over(client).try_ask(&Ask::post("/", body)).unwrap();
        assert_eq!((answer.status, answer.text()), (403, "no"), "{client}: {answer:?}");
        ouli.terminate().expect_code(0);
    }
}
