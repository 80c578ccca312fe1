//! WebSocket conversations from the tape into cassettes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::cassette::bodies::digest_of;
use crate::cassette::{self, Bodies, Cassette, EndpointNote};
use crate::config::{Scheme, SourceType, Target};
use crate::exchange::*;
use crate::grpc::Catalog;
use crate::record::{Keep, Part, Recorder, Recording};
use crate::tape::Side;
use crate::ws::deflate::Deflater;
use crate::ws::frame::Mask;

fn open(dir: &Path) -> Arc<Run> {
    let endpoint = EndpointNote {
        name: "api".to_owned(),
        listen: "127.0.0.1:8080".parse().unwrap(),
        source_type: SourceType::Http,
        origin: Target { scheme: Scheme::Http, host: "localhost".to_owned(), port: 9000 },
    };
    Run::open(dir, vec![endpoint], |_| {}).unwrap()
}

/// Begins a conversation with compression.
fn begin(run: &Arc<Run>) -> Recording {
    let recorder = Recorder::open(Arc::clone(run), 0, Keep::default()).unwrap();
    let head = RequestHead {
        method: "GET".to_owned(),
        target: "/feed".to_owned(),
        fields: Fields::from_iter([("Upgrade", "websocket"), ("Connection", "Upgrade")]),
        ..RequestHead::default()
    };
    let mut one = recorder.begin(run.next_seq(), "default", "api", 1, &head, Vec::new());
    let fields = Fields::from_iter([
        ("upgrade", "websocket"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ]);
    one.response_head(Duration::ZERO, &ResponseHead { status: 101, fields, ..Default::default() });
    one.converse();
    one
}

/// Says a message as reads of 16 KiB give it.
fn say(one: &mut Recording, side: Side, (kind, compressed): (Kind, bool), bytes: &[u8]) {
    let mut begins = Some((kind, compressed));
    let mut parts = bytes.chunks(16 << 10).peekable();
    while let Some(bytes) = parts.next() {
        let part = Part { begins: begins.take(), ends: parts.peek().is_none() };
        let mut bytes = bytes.to_vec();
        let mask = (side == Side::Request).then(|| Mask::new([9, 8, 7, 6]));
        mask.iter().for_each(|mask| mask.clone().apply(&mut bytes));
        one.said(Duration::from_millis(1), side, part, &bytes, mask).unwrap();
        one.flush().unwrap();
    }
}

fn close(one: &mut Recording) {
    one.closed(Duration::from_millis(2), Party::Client, Some(1000), "").unwrap();
    one.end(End::Whole, &Fields::new()).unwrap();
    one.flush().unwrap();
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::new(15).unwrap().message(plain, &mut out);
    out
}

fn read(dir: &Path, name: &str) -> Cassette {
    assert_eq!(cassette::check(&dir.join(name), dir), []);
    cassette::read(&dir.join(name), &Bodies::new(dir), &Catalog::new()).unwrap()
}

fn payloads(body: &Body) -> Vec<(Compression, Payload)> {
    let Body::Messages(messages) = body else { panic!("{body:?}") };
    messages.iter().map(|message| (message.compression, message.payload.clone())).collect()
}

const TEXT: (Kind, bool) = (Kind::Text, false);
const COMPRESSED: (Kind, bool) = (Kind::Text, true);

#[test]
fn a_conversation_is_sealed_appended_to_and_sealed_again_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for existing in [Existing::Replace, Existing::Append] {
        let run = open(dir.path());
        let mut one = begin(&run);
        say(&mut one, Side::Response, TEXT, b"welcome");
        say(&mut one, Side::Request, COMPRESSED, &deflated(br#"{"say":"hello"}"#));
        say(&mut one, Side::Response, COMPRESSED, &deflated(br#"{"id":1}"#));
        close(&mut one);
        drop(one);
        seal(run, existing).unwrap();
    }
    let text = std::fs::read_to_string(dir.path().join("default.json")).unwrap();
    for line in [
        r#"{"at_ms": 1, "from": "origin", "text": "welcome"},"#,
        r#"{"at_ms": 1, "from": "client", "compressed": true, "json": {"say": "hello"}},"#,
        r#"{"at_ms": 1, "from": "origin", "compressed": true, "json": {"id": 1}}"#,
        r#""close": {"at_ms": 2, "from": "client", "code": 1000}"#,
    ] {
        assert_eq!(text.matches(line).count(), 2, "{line} in\n{text}");
    }
    let cassette = read(dir.path(), "default.json");
    let [first, second] = &cassette.exchanges[..] else { panic!("two") };
    assert_eq!((&first.request.body, &first.response), (&second.request.body, &second.response));
}

#[test]
fn large_messages_are_files_of_their_own_also_where_they_were_small_on_the_wire() {
    let dir = tempfile::tempdir().unwrap();
    let noise: Vec<u8> = (0..4 << 20).map(|n: u32| (n * 31 + n / 255) as u8).collect();
    let long = "all work and no play ".repeat(10_000).into_bytes();
    let run = open(dir.path());
    let mut one = begin(&run);
    say(&mut one, Side::Request, (Kind::Binary, false), &noise);
    say(&mut one, Side::Response, COMPRESSED, &deflated(&long));
    say(&mut one, Side::Response, TEXT, b"small");
    close(&mut one);
    drop(one);
    seal(run, Existing::Replace).unwrap();
    let file = |bytes: &[u8]| Payload::File { digest: digest_of(bytes), len: bytes.len() as u64 };
    let cassette = read(dir.path(), "default.json");
    let Exchange { request, response, .. } = &cassette.exchanges[0];
    assert_eq!(payloads(&request.body), [(Compression::None, file(&noise))]);
    let small = Payload::Bytes("small".into());
    let answers = [(Compression::Off, file(&long)), (Compression::None, small)];
    assert_eq!(payloads(&response.body), answers);
    assert_eq!(std::fs::read_dir(dir.path().join("bodies")).unwrap().count(), 2);
}

#[test]
fn a_killed_run_s_conversation_is_recovered_with_every_whole_message() {
    let dir = tempfile::tempdir().unwrap();
    let run = open(dir.path());
    let mut one = begin(&run);
    for n in 0..20 {
        say(&mut one, Side::Request, TEXT, format!("ask {n}").as_bytes());
        say(&mut one, Side::Response, COMPRESSED, &deflated(format!("answer {n}").as_bytes()));
    }
    let half = Part { begins: Some(TEXT), ends: false };
    one.said(Duration::ZERO, Side::Response, half, b"half", None).unwrap();
    one.flush().unwrap();
    drop(one);
    drop(run);
    recover(dir.path()).unwrap();
    let cassette = read(dir.path(), "default.recovered.json");
    let Exchange { request, response, .. } = &cassette.exchanges[0];
    let bytes = |text: String| Payload::Bytes(text.into_bytes().into());
    let asked: Vec<_> = (0..20).map(|n| (Compression::None, bytes(format!("ask {n}")))).collect();
    let answered: Vec<_> =
        (0..20).map(|n| (Compression::Off, bytes(format!("answer {n}")))).collect();
    assert_eq!(payloads(&request.body), asked);
    assert_eq!(payloads(&response.body), answered);
    assert_eq!((response.end, &response.close), (End::RecorderKilled, &None));
}
