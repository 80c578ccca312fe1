//! What a recorded call looks like to a person, and what they may change in it.

use std::fs;

use prost_reflect::prost::Message;
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto, ServiceDescriptorProto, field_descriptor_proto::Type,
};

use super::{endpoints, record, replay_of};
use crate::support::grpc::{GrpcClient, GrpcOrigin, Note};
use crate::support::*;

/// What protoc would write for the tests' service.
fn descriptors() -> Vec<u8> {
    let field = |name: &str, number, kind: Type| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        r#type: Some(kind.into()),
        label: Some(1),
        ..Default::default()
    };
    let note = DescriptorProto {
        name: Some("Note".to_owned()),
        field: vec![
            field("text", 1, Type::String),
            field("number", 2, Type::Uint64),
            field("payload", 3, Type::Bytes),
        ],
        ..Default::default()
    };
    let method = |name: &str, from_client, from_server| MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(".ouli.test.Note".to_owned()),
        output_type: Some(".ouli.test.Note".to_owned()),
        client_streaming: Some(from_client),
        server_streaming: Some(from_server),
        ..Default::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Notes".to_owned()),
        method: vec![
            method("Say", false, false),
            method("Count", false, true),
            method("Gather", true, false),
            method("Chat", true, true),
        ],
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("notes.proto".to_owned()),
        package: Some("ouli.test".to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![note],
        service: vec![service],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

/// An endpoint that knows what messages mean.
fn described(command: &str, origin: &GrpcOrigin, folder: &std::path::Path) -> (Endpoint, String) {
    let path = folder.join("notes.binpb");
    fs::write(&path, descriptors()).unwrap();
    let [plain, _] = endpoints(origin);
    (plain.line(&format!("grpc_descriptors = \"{}\"", path.display())), command.to_owned())
}

#[test]
fn messages_stand_one_by_one_without_their_prefix() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let notes = ["one", "two", "bye"].map(Note::new);
    GrpcClient::through(&recorder, Protocol::H2c).call("Chat", &notes);
    recorder.terminate().expect_code(0);
    let cassette = recorder.recordings().cassette("default");
    let exchange = &cassette["exchanges"][0];
    let asked = exchange["request"]["body"]["messages"].as_array().expect("messages");
    let answered = exchange["response"]["body"]["messages"].as_array().expect("messages");
    assert_eq!((asked.len(), answered.len()), (3, 2), "{cassette}");
    let coded = |note: &Note| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(note.encode_to_vec())
    };
    assert_eq!(asked[0]["base64"], coded(&Note::new("one")), "{cassette}");
    assert_eq!(answered[1]["base64"], coded(&Note::new("re: two").number(1)), "{cassette}");
    assert!(exchange["response"]["trailers"].to_string().contains("grpc-status"), "{cassette}");
    Ouli::command("check")
        .options([recorder.recordings().join("default.json").display().to_string()])
        .run()
        .expect_code(0);
}

#[test]
fn the_cassette_says_after_which_message_each_answer_came() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let mut call = GrpcClient::through(&recorder, Protocol::H2c).open("Chat");
    call.head();
    for text in ["one", "two", "three"] {
        call.say(text);
        call.expect(&format!("re: {text}"));
    }
    call.say("bye");
    call.outcome();
    recorder.terminate().expect_code(0);
    let cassette = recorder.recordings().cassette("default");
    let response = &cassette["exchanges"][0]["response"];
    let messages = response["body"]["messages"].as_array().unwrap();
    let after: Vec<_> = messages.iter().map(|message| message["after"].as_u64()).collect();
    assert_eq!(after, [Some(1), Some(2), Some(3)], "{cassette}");
    assert_eq!(response["after"], 0, "{cassette}");
}

#[test]
fn descriptors_turn_messages_into_json_that_may_be_edited() {
    let folder = tempfile::TempDir::new().unwrap();
    let origin = GrpcOrigin::h2c();
    let (endpoint, command) = described("record", &origin, folder.path());
    let recorder = Ouli::command(&command).endpoint(&endpoint).start();
    let call = |ouli: &Ouli| {
        GrpcClient::through(ouli, Protocol::H2c).call("Say", &[Note::new("hello").number(41)])
    };
    assert_eq!(call(&recorder).messages[0].number, 42);
    recorder.terminate().expect_code(0);
    origin.stop();
    let cassette = recorder.recordings().cassette("default");
    let exchange = &cassette["exchanges"][0];
    let asked = &exchange["request"]["body"]["messages"][0]["json"];
    assert_eq!(*asked, serde_json::json!({"text": "hello", "number": "41"}), "{cassette}");
    let answered = &exchange["response"]["body"]["messages"][0]["json"];
    assert_eq!(*answered, serde_json::json!({"text": "re: hello", "number": "42"}), "{cassette}");

    recorder.recordings().edit("default", |text| text.replace("re: hello", "edited, and longer"));
    // The descriptors went with the recording: nothing needs to be configured again.
    let replay = replay_of(&origin, &recorder.recordings());
    let replayed = call(&replay);
    assert_eq!(replayed.texts(), ["edited, and longer"], "{replayed:?}");
    assert_eq!(replayed.messages[0].number, 42);
    replay.terminate().expect_code(0);
}

#[test]
fn a_message_with_what_the_descriptors_do_not_know_is_kept_as_bytes() {
    #[derive(Clone, PartialEq, Message)]
    #[prost(prost_path = "prost_reflect::prost")]
    struct Wider {
        #[prost(string, tag = "1")]
        text: String,
        #[prost(string, tag = "9")]
        unknown: String,
    }
    let folder = tempfile::TempDir::new().unwrap();
    let origin = GrpcOrigin::h2c();
    let (endpoint, command) = described("record", &origin, folder.path());
    let recorder = Ouli::command(&command).endpoint(&endpoint).start();
    let message = Wider { text: "hello".into(), unknown: "more".into() }.encode_to_vec();
    let mut body = vec![0];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    let ask = Ask::new("POST", "/ouli.test.Notes/Say").header("te", "trailers");
    let ask = ask.header("content-type", "application/grpc").chunked([body]);
    let answer = recorder.client_over(Protocol::H2c).ask(&ask);
    assert_eq!(answer.trailers.get("grpc-status"), Some("0"), "{answer:?}");
    recorder.terminate().expect_code(0);
    let cassette = recorder.recordings().cassette("default");
    let asked = &cassette["exchanges"][0]["request"]["body"]["messages"][0];
    assert!(asked["base64"].is_string() && asked["json"].is_null(), "{cassette}");
}

#[test]
fn descriptors_that_are_none_are_refused_at_start() {
    let origin = GrpcOrigin::h2c();
    let [plain, _] = endpoints(&origin);
    let setup =
        || Ouli::command("record").endpoint(&plain.clone().line("grpc_descriptors = \"x.binpb\""));
    setup().run().expect_code(2).expect_said(&["grpc_descriptors", "x.binpb"]);
    let garbage = setup().file("x.binpb", "no descriptors").run();
    garbage.expect_code(2).expect_said(&["grpc_descriptors", "x.binpb"]);
}

#[test]
fn credentials_in_metadata_are_redacted() {
    let origin = GrpcOrigin::h2c();
    let recorder = record(&origin);
    let client = GrpcClient::through(&recorder, Protocol::H2c);
    client.metadata("authorization", "Bearer s3cr3t-t0ken").call("Say", &[Note::new("hello")]);
    let (_, metadata) = origin.calls().remove(0);
    assert_eq!(metadata.get("authorization").unwrap(), "Bearer s3cr3t-t0ken");
    recorder.terminate().expect_code(0);
    assert!(recorder.recordings().files_with("s3cr3t-t0ken").is_empty());
}
