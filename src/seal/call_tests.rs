//! gRPC calls from the tape into cassettes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::cassette::{self, Bodies, Cassette, EndpointNote};
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::*;
use crate::grpc::{self, Catalog, testing};
use crate::record::{Keep, Recorder};

fn catalog() -> Catalog {
    Catalog::from([("api".to_owned(), testing::descriptors())])
}

fn open(dir: &Path) -> Arc<Run> {
    let endpoint = EndpointNote {
        name: "api".to_owned(),
        listen: "127.0.0.1:8080".parse().unwrap(),
        source_type: SourceType::Http,
        origin: Target { scheme: Scheme::H2c, host: "localhost".to_owned(), port: 9000 },
    };
    Run::open(dir, vec![endpoint], |_| {}).unwrap()
}

/// Records a call whose two sides are these messages.
fn record(run: &Arc<Run>, messages: &[&[u8]]) {
    let recorder = Recorder::open(Arc::clone(run), 0, Keep::default()).unwrap();
    let fields = Fields::from_iter([("content-type", "application/grpc")]);
    let head = RequestHead {
        method: "POST".to_owned(),
        target: "/chat.Chat/Talk".to_owned(),
        version: Version::Http2,
        fields: fields.clone(),
    };
    let mut one = recorder.begin(run.next_seq(), "default", "api", 1, &head, Vec::new());
    one.response_head(Duration::ZERO, &ResponseHead { fields, ..ResponseHead::default() });
    for message in messages {
        let bytes = [&grpc::prefix(false, message.len() as u32)[..], message].concat();
        for bytes in bytes.chunks(16 << 10) {
            one.request_data(Duration::from_millis(1), bytes).unwrap();
            one.response_data(Duration::from_millis(2), bytes).unwrap();
            one.flush().unwrap();
        }
    }
    one.request_end(&Fields::new()).unwrap();
    one.end(End::Whole, &Fields::from_iter([("grpc-status", "0")])).unwrap();
    one.flush().unwrap();
}

fn read(dir: &Path, name: &str) -> Cassette {
    cassette::read(&dir.join(name), &Bodies::new(dir), &Catalog::new()).unwrap()
}

fn payloads(body: &Body) -> Vec<Payload> {
    let Body::Messages(messages) = body else { panic!("{body:?}") };
    messages.iter().map(|message| message.payload.clone()).collect()
}

fn hello() -> Vec<u8> {
    let line = testing::descriptors().method("/chat.Chat/Talk").unwrap().input;
    line.bytes(&serde_json::json!({"text": "hello"})).unwrap()
}

#[test]
fn a_sealed_call_is_shown_by_the_run_s_descriptors_and_read_without_them() {
    let dir = tempfile::tempdir().unwrap();
    for existing in [Existing::Replace, Existing::Append] {
        let run = open(dir.path());
        run.describe(catalog());
        record(&run, &[&hello()]);
        seal(run, existing).unwrap();
    }
    let text = std::fs::read_to_string(dir.path().join("default.json")).unwrap();
    assert_eq!(text.matches(r#""json": {"text": "hello"}"#).count(), 4, "{text}");
    assert!(!text.contains("base64"), "{text}");
    let cassette = read(dir.path(), "default.json");
    assert_eq!(cassette.descriptors, catalog());
    assert_eq!(cassette.exchanges.len(), 2);
    for one in &cassette.exchanges {
        let expected = [Payload::Bytes(hello().into())];
        assert_eq!(payloads(&one.request.body), expected);
        assert_eq!(payloads(&one.response.body), expected);
    }
}

#[test]
fn an_appending_run_without_descriptors_keeps_those_of_the_cassette() {
    let dir = tempfile::tempdir().unwrap();
    let run = open(dir.path());
    run.describe(catalog());
    record(&run, &[&hello()]);
    seal(run, Existing::Replace).unwrap();
    let run = open(dir.path());
    record(&run, &[&hello()]);
    seal(run, Existing::Append).unwrap();
    let text = std::fs::read_to_string(dir.path().join("default.json")).unwrap();
    assert_eq!(text.matches(r#""json": {"text": "hello"}"#).count(), 4, "{text}");
}

#[test]
fn large_messages_of_a_call_are_files_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..16 << 20).map(|n| (n * 31 + n / 255) as u8).collect();
    let run = open(dir.path());
    record(&run, &[&large, b"small", &large[..100_000]]);
    seal(run, Existing::Replace).unwrap();
    let cassette = read(dir.path(), "default.json");
    let file = |bytes: &[u8]| Payload::File {
        digest: cassette::bodies::digest_of(bytes),
        len: bytes.len() as u64,
    };
    let expected = [file(&large), Payload::Bytes("small".into()), file(&large[..100_000])];
    for body in [&cassette.exchanges[0].request.body, &cassette.exchanges[0].response.body] {
        assert_eq!(payloads(body), expected);
    }
    assert_eq!(cassette::check(&dir.path().join("default.json"), dir.path()), []);
    let bodies = std::fs::read_dir(dir.path().join("bodies")).unwrap().count();
    assert_eq!(bodies, 2, "nothing but the messages");
}

#[test]
fn a_killed_run_s_call_is_recovered_as_base64() {
    let dir = tempfile::tempdir().unwrap();
    let run = open(dir.path());
    run.describe(catalog());
    record(&run, &[&hello(), b"\0"]);
    drop(run);
    recover(dir.path()).unwrap();
    let cassette = read(dir.path(), "default.recovered.json");
    let expected = [Payload::Bytes(hello().into()), Payload::Bytes("\0".into())];
    assert_eq!(payloads(&cassette.exchanges[0].request.body), expected);
}
