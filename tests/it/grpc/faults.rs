//! Ouli's own answers to gRPC requests: trailers-only, with the status that says the same.

use super::{endpoints, record, replay};
use crate::support::grpc::{GrpcClient, GrpcOrigin, Note, prefixed};
use crate::support::*;

/// The form of the answer on the wire: one head, status 200, nothing else.
#[track_caller]
fn is_trailers_only(answer: &Response, code: &str, fault: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/grpc"), "{answer:?}");
    assert_eq!(answer.header("grpc-status"), Some(code), "{answer:?}");
    assert_eq!(answer.fault(), Some(fault), "{answer:?}");
    let message = answer.header("grpc-message").expect("a message");
    assert!(!message.is_empty() && message.is_ascii(), "{answer:?}");
    assert!(answer.body.is_empty() && answer.trailers.names().is_empty(), "{answer:?}");
}

fn request() -> Ask {
    let ask = Ask::new("POST", "/ouli.test.Notes/Say").header("content-type", "application/grpc");
    ask.header("te", "trailers").chunked([prefixed(&Note::new("hello"))])
}

#[test]
fn a_miss_is_unimplemented_and_names_the_nearest() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    GrpcClient::through(&recorder, Protocol::H2c).call("Say", &[Note::new("other")]);
    let replay = replay(&origin, &recorder);
    let answer = replay.client_over(Protocol::H2c).ask(&request());
    is_trailers_only(&answer, "12", "miss");
    let outcome = GrpcClient::through(&replay, Protocol::H2c).call("Never", &[Note::new("x")]);
    assert_eq!(outcome.code, 12, "{outcome:?}");
    assert!(outcome.message.contains("Never"), "{outcome:?}");
    replay.terminate().expect_code(3);
}

#[test]
fn an_origin_that_is_gone_is_unavailable() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    origin.stop();
    let answer = recorder.client_over(Protocol::H2c).ask(&request());
    is_trailers_only(&answer, "14", "origin-unreachable");
    recorder.terminate().expect_code(0);
    assert!(!recorder.recordings().files().contains(&"default.json".to_owned()));
}

#[test]
fn a_wrong_certificate_is_unavailable_and_says_why() {
    let identity = Identity::with(Flaw::Expired);
    let origin = Origin::with_certificate(Protocol::H2Tls, &identity);
    let ouli = Ouli::command("record").endpoint(&Endpoint::to(&origin)).start();
    let outcome = GrpcClient::through(&ouli, Protocol::H2c).call("Say", &[Note::new("hello")]);
    assert_eq!(outcome.code, 14, "{outcome:?}");
    assert!(outcome.message.contains("expired"), "{outcome:?}");
}

#[test]
fn a_session_name_that_cannot_be_is_an_invalid_argument() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let answer = recorder.client_over(Protocol::H2c).ask(&request().session("../x"));
    is_trailers_only(&answer, "3", "bad-session");
}

#[test]
fn an_origin_that_is_too_slow_is_past_the_deadline() {
    let origin = Origin::h2c().h2_script("*", |talk| {
        talk.client_resets_within(std::time::Duration::from_secs(10));
    });
    let limits = "origin_header_timeout = \"300ms\"";
    let ouli = Ouli::record(&origin).limits(limits).start();
    let answer = ouli.client_over(Protocol::H2c).ask(&request());
    is_trailers_only(&answer, "4", "origin-timeout");
}

#[test]
fn an_origin_that_breaks_off_before_its_head_is_unavailable() {
    let origin = Origin::h2c().h2_script("*", |talk| {
        talk.read_body();
        talk.reset(2);
    });
    let ouli = Ouli::record(&origin).start();
    let answer = ouli.client_over(Protocol::H2c).ask(&request());
    is_trailers_only(&answer, "14", "origin-broke-off");
}

#[test]
fn a_call_that_finds_no_room_is_unavailable() {
    let origin = GrpcOrigin::h2c();
    let [plain, _] = endpoints(&origin);
    let setup = Ouli::command("record").endpoint(&plain);
    let ouli = setup.more_limits("max_in_flight = 1\nqueue_timeout = \"0s\"").start();
    let mut first = GrpcClient::through(&ouli, Protocol::H2c).open("Chat");
    first.say("hello");
    first.expect("re: hello");
    let answer = ouli.client_over(Protocol::H2c).ask(&request());
    is_trailers_only(&answer, "14", "overloaded");
    first.say("bye");
    assert_eq!(first.outcome().code, 0);
}

#[test]
fn a_broken_cassette_is_internal() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    GrpcClient::through(&recorder, Protocol::H2c).call("Say", &[Note::new("hello")]);
    recorder.terminate().expect_code(0);
    recorder.recordings().edit("default", |text| text.replace("\"exchanges\"", "\"changes\""));
    let [plain, _] = endpoints(&origin);
    let setup = Ouli::command("replay").endpoint(&plain).recordings(&recorder.recordings());
    let replay = setup.start();
    let answer = replay.client_over(Protocol::H2c).ask(&request());
    is_trailers_only(&answer, "13", "bad-cassette");
    replay.terminate().expect_code(1);
}

#[test]
fn what_is_not_grpc_gets_a_problem_document_from_the_same_listener() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    origin.stop();
    let mut client = recorder.client_over(Protocol::H2c);
    client.post("/ouli.test.Notes/Say", "{}").problem(502, "origin-unreachable");
    let web = request().header("x", "1");
    is_trailers_only(&client.ask(&web), "14", "origin-unreachable");
}

#[test]
fn a_message_may_hold_any_character_of_the_request_and_stays_one_field() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    GrpcClient::through(&recorder, Protocol::H2c).call("Say", &[Note::new("hello")]);
    let replay = replay(&origin, &recorder);
    let ask = Ask::new("POST", "/ouli.test.Notes/100%25%0d%0agrpc-status:%200");
    let ask = ask.header("content-type", "application/grpc+proto").header("te", "trailers");
    let answer = replay.client_over(Protocol::H2c).ask(&ask.chunked([b"\0\0\0\0\0"]));
    assert_eq!(answer.headers.all("grpc-status"), ["12"], "{answer:?}");
}
