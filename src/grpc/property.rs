//! Laws of splitting that must hold for any input: for fuzzing.

use super::{Event, Splitter, prefix};

/// A body is split alike however it is cut, and its whole messages are what it begins with. The
/// first byte is the length of the cuts.
///
/// # Panics
/// When that doesn't hold.
pub fn splitting(data: &[u8]) {
    let [len, bytes @ ..] = data else { return };
    let whole = split(&[bytes]);
    let messages = body(&whole.messages);
    assert_eq!(whole.whole_bytes, messages.len() as u64);
    assert!(bytes.starts_with(&messages), "the messages are what the body begins with");
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(*len).max(1)).collect();
    assert_eq!(split(&pieces), whole, "cut into pieces of {len}");
}

/// What a splitter made of a body that came in these pieces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) messages: Vec<(bool, Vec<u8>)>,
    /// Of a message that began and didn't end.
    pub(super) begun: Option<(bool, u32, Vec<u8>)>,
    pub(super) rest: Vec<u8>,
    pub(super) whole_bytes: u64,
    pub(super) is_between: bool,
}

/// # Panics
/// Where the splitter's counts aren't those of its events.
pub(super) fn split(pieces: &[&[u8]]) -> Split {
    let mut splitter = Splitter::new();
    let mut split = Split::default();
    for piece in pieces {
        for event in splitter.events(piece) {
            match event {
                Event::Began { compressed, len } => split.begun = Some((compressed, len, vec![])),
                Event::Data(range) => {
                    assert!(!range.is_empty());
                    split
                        .begun
                        .as_mut()
                        .expect("a message that began")
                        .2
                        .extend_from_slice(&piece[range]);
                }
                Event::Ended => {
                    let (compressed, len, bytes) =
                        split.begun.take().expect("a message that began");
                    assert_eq!(bytes.len(), len as usize);
                    split.messages.push((compressed, bytes));
                }
                Event::Rest(range) => split.rest.extend_from_slice(&piece[range]),
            }
        }
    }
    assert_eq!(splitter.messages() as usize, split.messages.len());
    assert_eq!(splitter.is_malformed(), !split.rest.is_empty());
    split.whole_bytes = splitter.whole_bytes();
    split.is_between = splitter.is_between();
    split
}

/// A body of these messages: compressed or not, and their bytes.
pub(super) fn body(messages: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let one = |(compressed, bytes): &(bool, Vec<u8>)| {
        [&prefix(*compressed, bytes.len() as u32)[..], bytes].concat()
    };
    messages.iter().flat_map(one).collect()
}
