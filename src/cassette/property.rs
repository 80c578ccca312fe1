//! Laws of the reader and of protobuf's JSON that must hold for any input: for fuzzing, and for
//! tests with random edits.

use super::json::Parser;
use super::{Bodies, Writer, protobuf, read_bytes};
use crate::grpc::testing;

/// Reading doesn't panic. What is read can be written, and reads as the same then.
///
/// # Panics
/// When that doesn't hold.
pub fn reading(bytes: &[u8]) {
    let cassette = match read_bytes(bytes) {
        Ok(cassette) => cassette,
        Err(findings) => {
            assert!(!findings.is_empty(), "a refusal without a reason");
            return;
        }
    };
    let folder = tempfile::tempdir().expect("a folder for body files");
    let bodies = Bodies::new(folder.path());
    let mut writer = Writer::new(Vec::new(), &cassette.endpoints, &bodies).expect("memory");
    // What a person wrote may be kept otherwise the first time: a large body in a file, a coded
    // one decoded. From then on it stays as it is.
    for exchange in &cassette.exchanges {
        writer.push(exchange).expect("an exchange of a listed endpoint");
    }
    let written = writer.finish().expect("memory");
    let again = read_bytes(&written).expect("what Ouli wrote");
    assert_eq!(again.endpoints, cassette.endpoints);
    let mut writer = Writer::new(Vec::new(), &again.endpoints, &bodies).expect("memory");
    for exchange in &again.exchanges {
        writer.push(exchange).expect("an exchange of a listed endpoint");
    }
    assert_eq!(writer.finish().expect("memory"), written, "the same text again");
}

/// Showing a message as JSON doesn't panic, and what is shown is the same message.
///
/// # Panics
/// When that doesn't hold.
pub fn showing(message: &[u8]) {
    let kind = testing::descriptors().method("/chat.Chat/Talk").expect("a known method").input;
    let Some(shown) = protobuf::show(&kind, message) else { return };
    assert!(!shown.contains('\n'), "one line: {shown}");
    let node = Parser::new(&shown).value().expect("what Ouli wrote");
    assert_eq!(protobuf::read(&kind, &node).expect("what Ouli wrote"), message);
}
