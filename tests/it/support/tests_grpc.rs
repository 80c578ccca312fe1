//! The gRPC peers against each other, with nothing between.

use super::grpc::{GrpcClient, GrpcOrigin, Note};
use super::wait_until;

#[test]
fn all_four_kinds_of_call_are_served() {
    let origin = GrpcOrigin::h2c();
    let client = GrpcClient::to(origin.address()).metadata("x-tag", "a").metadata("x-tag", "b");
    let client = client.binary("x-raw-bin", &[0, 255]);
    let said = client.call("Say", &[Note::new("hello").number(1)]);
    assert_eq!((said.code, said.texts()), (0, vec!["re: hello"]), "{said:?}");
    assert_eq!(said.metadata_of("x-tag"), ["a", "b"]);
    assert_eq!(said.trailers_of("x-served"), ["Say"]);
    assert_eq!(client.call("Count", &[Note::new("n").number(3)]).messages.len(), 3);
    let gathered = client.call("Gather", &[Note::new("a").number(1), Note::new("b").number(2)]);
    assert_eq!((gathered.texts(), gathered.messages[0].number), (vec!["a b"], 3));

    let mut chat = client.open("Chat");
    for text in ["one", "two"] {
        chat.say(text);
        chat.expect(&format!("re: {text}"));
    }
    chat.say("bye");
    assert_eq!(chat.outcome().code, 0);
}

#[test]
fn failures_have_details_and_metadata() {
    let origin = GrpcOrigin::h2c();
    let failed = GrpcClient::to(origin.address()).call("Say", &[Note::new("fail")]);
    assert_eq!((failed.code, failed.messages.len()), (9, 0), "{failed:?}");
    assert!(failed.message.ends_with("100% ünlikely") && failed.details.ends_with(b"details"));
    assert_eq!(failed.trailers_of("x-reason"), ["because", "and so on"]);
}

#[test]
fn a_dropped_call_is_left_and_large_or_compressed_messages_pass() {
    let origin = GrpcOrigin::h2c();
    let client = GrpcClient::to(origin.address());
    let mut call = client.open("Chat");
    call.say("hello");
    call.expect("re: hello");
    call.say("wait");
    wait_until("the origin waits", || origin.came().len() == 2);
    drop(call);
    wait_until("the origin noticed", || origin.left() == 1);
    let large = Note::new("large").payload(vec![0xa7; 16 << 20]);
    let answer = client.gzip().call("Say", std::slice::from_ref(&large));
    assert!(answer.messages[0].payload == large.payload);
    assert_eq!(origin.came(), ["hello", "wait", "large"]);
}
