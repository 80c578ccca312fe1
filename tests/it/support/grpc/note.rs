//! The one message of the tests' service.

use prost::Message;

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Note {
    #[prost(string, tag = "1")]
    pub text: String,
    #[prost(uint64, tag = "2")]
    pub number: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
}

impl Note {
    pub fn new(text: &str) -> Self {
        Note { text: text.to_owned(), ..Note::default() }
    }

    pub fn number(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    pub fn payload(mut self, payload: Vec<u8>) -> Self {
        self.payload = payload;
        self
    }
}

/// A message with its prefix, uncompressed, as it stands on the wire.
pub fn prefixed(note: &Note) -> Vec<u8> {
    let message = note.encode_to_vec();
    let mut bytes = vec![0];
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend(message);
    bytes
}
