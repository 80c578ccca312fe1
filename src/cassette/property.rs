//! Laws of the reader that must hold for any input: for fuzzing, and for tests with random edits.

use super::{Bodies, Writer, read_bytes};

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
