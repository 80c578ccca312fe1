//! What of a client's message counts, of a gRPC call or a WebSocket conversation: a digest of its
//! content, computed as it flows.
//!
//! A message counts decompressed when its compression can be taken off, and as it came when it
//! can't. Encoders of protobuf may write one value in several ways (the order of a map's entries
//! changes from run to run in some), so a message whose JSON is known counts by its value. So does
//! text that is JSON; text and binary messages are never the same. Memory is bounded by
//! `match_bytes_max`: a larger message counts by the digest of its bytes, which is also the name
//! of the file that a recording keeps it in.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::body::sha256;
use super::coded::Coded;
use super::{Bounds, json};
use crate::exchange::{Coding, Digest, Fields, Kind};
use crate::grpc;

/// Bytes of a print as part of a key.
pub const PRINT_BYTES: usize = 1 + size_of::<Digest>();

/// Who knows the messages of some gRPC methods.
pub trait Canonical: fmt::Debug + Send + Sync {
    /// A client's message of the method at this path (`/package.Service/Method`) of an endpoint, as
    /// JSON; none where the method isn't known or the bytes are no message of it. Equal messages
    /// have JSON of equal value.
    fn request_json(&self, endpoint: &str, path: &str, message: &[u8]) -> Option<String>;
}

/// The method that a call's messages are of, and who may know them.
#[derive(Clone, Copy, Debug)]
pub struct Method<'a> {
    /// The endpoint's name.
    pub endpoint: &'a str,
    pub path: &'a str,
    pub canonical: Option<&'a dyn Canonical>,
}

/// What two messages have in common when they count as the same.
#[derive(Clone, Copy, Debug)]
pub struct MessagePrint {
    by: By,
    digest: Digest,
    /// Of the bytes of text that counts by value, which a recording may know no more of.
    exact: Option<Digest>,
    /// Bytes of the content. Says nothing about messages that count by value.
    pub len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Bytes,
    Value,
    /// By its bytes, which are text.
    Text,
}

/// Accumulates the messages of one client, one after the other.
pub struct MessageKey<'a> {
    form: Form<'a>,
    coding: Option<Coding>,
    bounds: Bounds,
    /// Of the last message.
    kind: Kind,
    coded: Option<Coded>,
    /// The content, while it is within bounds.
    kept: Vec<u8>,
    /// Takes over from `kept` when the content passes its bound.
    flowing: Option<Sha256>,
    /// `kept` isn't the whole content: there was more than may be kept, or it doesn't decode.
    in_part: bool,
    len: u64,
}

/// How messages are compared.
#[derive(Clone, Copy)]
enum Form<'a> {
    Bytes,
    Json,
    /// Of a conversation: text that is JSON by value, everything else by its bytes.
    Text,
    Known {
        endpoint: &'a str,
        path: &'a str,
        canonical: &'a dyn Canonical,
    },
}

impl MessagePrint {
    /// Of a message of this kind that counts by its bytes, whose digest is known.
    pub fn of_bytes(kind: Kind, digest: Digest, len: u64) -> MessagePrint {
        let by = match kind {
            Kind::Binary => By::Bytes,
            Kind::Text => By::Text,
        };
        MessagePrint { by, digest, exact: None, len }
    }

    /// The same message by its bytes, where it is text that counts by value: what it agrees with
    /// where only the digest of a recorded one was kept.
    pub fn exact(self) -> Option<MessagePrint> {
        Some(MessagePrint::of_bytes(Kind::Text, self.exact?, self.len))
    }

    /// What tells prints apart, to be part of a key.
    pub fn to_bytes(self) -> [u8; PRINT_BYTES] {
        let mut bytes = [0; PRINT_BYTES];
        let (kind, digest) = bytes.split_at_mut(1);
        kind.fill(match self.by {
            By::Bytes => 1,
            By::Value => 2,
            By::Text => 3,
        });
        digest.copy_from_slice(&self.digest.0);
        bytes
    }
}

/// `12 bytes (digest 9f86d081884c7d65…)`
impl fmt::Display for MessagePrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest.to_string();
        let digest = digest.get(..16).unwrap_or_default();
        write!(f, "{} bytes (digest {digest}…)", self.len)
    }
}

impl PartialEq for MessagePrint {
    fn eq(&self, other: &Self) -> bool {
        (self.by, self.digest) == (other.by, other.digest)
    }
}

impl Eq for MessagePrint {}

impl<'a> MessageKey<'a> {
    /// For the messages of a call with these request fields. `buffer` gives its memory;
    /// [`into_buffer`](Self::into_buffer) gives it back.
    pub fn new(
        fields: &Fields,
        method: Method<'a>,
        bounds: Bounds,
        buffer: Vec<u8>,
    ) -> MessageKey<'a> {
        let Method { endpoint, path, canonical } = method;
        let form = match (grpc::format(fields), canonical) {
            (Some(format), _) if format.eq_ignore_ascii_case(b"json") => Form::Json,
            (_, Some(canonical)) => Form::Known { endpoint, path, canonical },
            _ => Form::Bytes,
        };
        MessageKey::start(form, grpc::encoding::of(fields), bounds, buffer)
    }

    fn start(
        form: Form<'a>,
        coding: Option<Coding>,
        bounds: Bounds,
        buffer: Vec<u8>,
    ) -> MessageKey<'a> {
        let mut key = MessageKey {
            form,
            coding,
            bounds,
            kind: Kind::Binary,
            coded: None,
            kept: buffer,
            flowing: None,
            in_part: false,
            len: 0,
        };
        key.begin(Kind::Binary, false);
        key
    }

    /// A message begins; what was known of the one before is forgotten.
    pub fn begin(&mut self, kind: Kind, compressed: bool) {
        self.kind = kind;
        let coding = if compressed { self.coding } else { None };
        self.coded = coding.map(|coding| Coded::new(coding, self.bounds.decoded_bytes_max));
        self.kept.clear();
        self.flowing = None;
        self.in_part = false;
        self.len = 0;
    }

    /// Whether the print of the message that has begun, of `len` bytes, takes more than the SHA-256
    /// digest that they are known by.
    pub fn needs_content(&self, len: u64) -> bool {
        let by_value = match self.form {
            Form::Bytes => false,
            Form::Text => self.kind == Kind::Text,
            Form::Json | Form::Known { .. } => true,
        };
        let in_bounds = usize::try_from(len).is_ok_and(|len| len <= self.bounds.match_bytes_max);
        self.coded.is_some() || by_value && in_bounds
    }

    /// Takes the next bytes of the message, cut anywhere, its prefix off.
    pub fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let Some(mut coded) = self.coded.take() else { return self.take(bytes) };
        coded.push(bytes, |decoded| self.take(decoded));
        self.coded = Some(coded);
    }

    /// Takes content.
    fn take(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if let Some(flowing) = &mut self.flowing {
            return flowing.update(bytes);
        }
        if self.kept.len() + bytes.len() <= self.bounds.match_bytes_max {
            return self.kept.extend_from_slice(bytes);
        }
        let mut flowing = Sha256::new_with_prefix(&self.kept);
        flowing.update(bytes);
        self.kept.clear();
        self.in_part = true;
        self.flowing = Some(flowing);
    }

    /// The message has ended.
    pub fn finish(&mut self) -> MessagePrint {
        let len = self.len;
        if let Some(coded) = self.coded.take()
            && let Err(coded) = coded.finish()
        {
            self.in_part = true;
            return MessagePrint::of_bytes(self.kind, coded, len);
        }
        if let Some(flowing) = self.flowing.take() {
            return MessagePrint::of_bytes(self.kind, Digest(flowing.finalize().into()), len);
        }
        match self.value(&self.kept) {
            Some(digest) => {
                let exact = (self.kind == Kind::Text).then(|| sha256(&self.kept));
                MessagePrint { by: By::Value, digest, exact, len }
            }
            None => MessagePrint::of_bytes(self.kind, sha256(&self.kept), len),
        }
    }

    /// The digest of the content's value, where it has one.
    fn value(&self, content: &[u8]) -> Option<Digest> {
        json::digest(&self.json(content)?)
    }

    /// The content as JSON, where it counts by value. Whatever is to be ignored of messages by rule
    /// would be taken out here.
    pub(crate) fn json<'c>(&self, content: &'c [u8]) -> Option<Cow<'c, [u8]>> {
        match self.form {
            Form::Bytes => None,
            Form::Json => Some(content.into()),
            Form::Text => (self.kind == Kind::Text).then_some(content.into()),
            Form::Known { endpoint, path, canonical } => {
                let json = canonical.request_json(endpoint, path, content)?;
                Some(json.into_bytes().into())
            }
        }
    }

    /// The whole content of the last message, decompressed. None when it was larger than
    /// `match_bytes_max` or doesn't decode.
    pub fn content(&self) -> Option<&[u8]> {
        (!self.in_part).then_some(&self.kept)
    }

    /// Bytes of content that have come of the last message.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a message with this print is a conversation's, and text.
    pub(crate) fn is_text(&self, print: MessagePrint) -> bool {
        matches!(self.form, Form::Text) && print.by != By::Bytes
    }

    /// The buffer that was given to `new`, grown perhaps.
    pub fn into_buffer(self) -> Vec<u8> {
        self.kept
    }
}

impl MessageKey<'static> {
    /// For the messages of a WebSocket conversation, which come decompressed. `buffer` as in `new`.
    pub fn of_conversation(bounds: Bounds, buffer: Vec<u8>) -> MessageKey<'static> {
        MessageKey::start(Form::Text, None, bounds, buffer)
    }
}

impl fmt::Debug for MessageKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageKey").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coding;

    const BOUNDS: Bounds = Bounds { match_bytes_max: 1 << 10, decoded_bytes_max: 1 << 16 };

    /// Knows one method, whose messages are the letters of a set in any order.
    #[derive(Debug)]
    struct Letters;

    impl Canonical for Letters {
        fn request_json(&self, endpoint: &str, path: &str, message: &[u8]) -> Option<String> {
            let all_letters = message.iter().all(u8::is_ascii_alphabetic);
            let mut sorted = message.to_vec();
            sorted.sort_unstable();
            let is_known = (endpoint, path) == ("api", "/l.L/Set") && all_letters;
            is_known.then(|| format!("{{ \"set\": {:?} }}", String::from_utf8_lossy(&sorted)))
        }
    }

    fn key<'a>(content_type: &str, coding: &str, path: &'a str) -> MessageKey<'a> {
        let fields = Fields::from_iter([("content-type", content_type), ("grpc-encoding", coding)]);
        let method = Method { endpoint: "api", path, canonical: Some(&Letters) };
        MessageKey::new(&fields, method, BOUNDS, b"left from before".to_vec())
    }

    fn print(key: &mut MessageKey<'_>, compressed: bool, chunks: &[&[u8]]) -> MessagePrint {
        key.begin(Kind::Binary, compressed);
        chunks.iter().for_each(|chunk| key.push(chunk));
        key.finish()
    }

    #[test]
    fn messages_count_by_their_bytes_one_by_one() {
        let mut key = key("application/grpc", "identity", "/l.L/Other");
        let ab = print(&mut key, false, &[b"a", b"b"]);
        assert_eq!((ab.len, key.content()), (2, Some(&b"ab"[..])));
        assert_eq!(ab, MessagePrint::of_bytes(Kind::Binary, sha256(b"ab"), 2));
        assert_ne!(print(&mut key, false, &[b"ba"]), ab);
        assert_eq!(print(&mut key, true, &[b"ab"]), ab, "no coding is named");
        assert_eq!(
            print(&mut key, false, &[]),
            MessagePrint::of_bytes(Kind::Binary, sha256(b""), 0)
        );
    }

    #[test]
    fn messages_of_a_known_method_count_by_value() {
        let mut key = key("application/grpc+proto", "gzip", "/l.L/Set");
        let ab = print(&mut key, false, &[b"ab"]);
        assert_eq!(print(&mut key, false, &[b"ba"]), ab);
        assert_ne!(print(&mut key, false, &[b"abc"]), ab);
        assert_ne!(ab, MessagePrint::of_bytes(Kind::Binary, sha256(b"ab"), 2));
        let none_of_it = print(&mut key, false, &[b"12"]);
        assert_eq!(none_of_it, MessagePrint::of_bytes(Kind::Binary, sha256(b"12"), 2));
        assert!(key.needs_content(1024) && !key.needs_content(1025));
    }

    #[test]
    fn json_messages_count_by_value() {
        let mut key = key("application/grpc+JSON", "", "/l.L/Other");
        let one = print(&mut key, false, &[br#"{"a":1,"b":2}"#]);
        assert_eq!(print(&mut key, false, &[br#"{ "b": 2, "a": 1 }"#]), one);
        assert_ne!(print(&mut key, false, &[br#"{"a":1,"b":3}"#]), one);
    }

    fn said(key: &mut MessageKey<'_>, kind: Kind, content: &str) -> MessagePrint {
        key.begin(kind, false);
        key.push(content.as_bytes());
        key.finish()
    }

    #[test]
    fn text_of_a_conversation_counts_by_value_where_it_is_json() {
        let mut key = MessageKey::of_conversation(BOUNDS, Vec::new());
        for (a, b) in [
            (r#"{"a":1,"b":2}"#, r#"{ "b": 2, "a": 1 }"#),
            ("[1, 2]", "[1,2]"),
            ("5", " 5"),
            (r#""a""#, r#""\u0061""#),
        ] {
            let a = said(&mut key, Kind::Text, a);
            assert_eq!(a, said(&mut key, Kind::Text, b), "{b}");
        }
        for (a, b) in [("{\"a\":1}", "{\"a\":2}"), ("hello", "hello "), ("42[\"a\"]", "42[ \"a\"]")]
        {
            let a = said(&mut key, Kind::Text, a);
            assert_ne!(a, said(&mut key, Kind::Text, b), "{b}");
        }
    }

    #[test]
    fn binary_messages_of_a_conversation_count_by_their_bytes_and_are_never_text() {
        let mut key = MessageKey::of_conversation(BOUNDS, Vec::new());
        let json = said(&mut key, Kind::Binary, "[1]");
        assert_ne!(json, said(&mut key, Kind::Binary, "[ 1 ]"));
        for content in ["[1]", "some", "", &"x".repeat(2000)] {
            let text = said(&mut key, Kind::Text, content);
            let binary = said(&mut key, Kind::Binary, content);
            assert_ne!(text, binary, "{content}");
            assert_ne!(text.to_bytes(), binary.to_bytes(), "{content}");
        }
    }

    #[test]
    fn text_of_which_only_the_digest_is_known_counts_by_it() {
        let mut key = MessageKey::of_conversation(BOUNDS, Vec::new());
        for content in ["some", &"x".repeat(2000)] {
            let digest = sha256(content.as_bytes());
            let known = MessagePrint::of_bytes(Kind::Text, digest, content.len() as u64);
            assert_eq!(said(&mut key, Kind::Text, content), known);
            assert_eq!(known.exact(), None);
        }
        let known = MessagePrint::of_bytes(Kind::Text, sha256(b"[1]"), 3);
        assert_eq!(said(&mut key, Kind::Text, "[1]").exact(), Some(known));
        assert_eq!(said(&mut key, Kind::Binary, "[1]").exact(), None);
        key.begin(Kind::Text, false);
        assert!(key.needs_content(1024) && !key.needs_content(1025));
        key.begin(Kind::Binary, false);
        assert!(!key.needs_content(1));
    }

    #[test]
    fn a_compressed_message_counts_decompressed() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
            let mut key = key("application/grpc", coding.name(), "/l.L/Other");
            let plain = print(&mut key, false, &[b"some text"]);
            let coded = coding::encode(coding, b"some text").unwrap();
            assert_eq!(print(&mut key, true, &[&coded[..4], &coded[4..]]), plain);
            assert_eq!(key.content(), Some(&b"some text"[..]));
            assert_eq!(print(&mut key, true, &[]).len, 0);
            key.begin(Kind::Binary, true);
            assert!(key.needs_content(1 << 40));
            key.begin(Kind::Binary, false);
            assert!(!key.needs_content(1 << 40));
        }
    }

    #[test]
    fn what_does_not_decompress_counts_by_its_coded_bytes() {
        let mut key = key("application/grpc", "gzip", "/l.L/Set");
        let cut = &coding::encode(Coding::Gzip, b"abcdef").unwrap()[..12];
        let bomb = coding::encode(Coding::Gzip, &vec![0; 1 << 17]).unwrap();
        for coded in [cut, &bomb] {
            assert_eq!(print(&mut key, true, &[coded]), print(&mut key, false, &[coded]));
            print(&mut key, true, &[coded]);
            assert_eq!(key.content(), None);
        }
    }

    #[test]
    fn a_message_over_the_bound_counts_by_its_bytes_and_is_not_kept() {
        let mut key = key("application/grpc", "", "/l.L/Set");
        let large = vec![b'a'; 1025];
        assert_eq!(print(&mut key, false, &[&large]).digest, sha256(&large));
        assert_eq!((key.content(), key.len()), (None, 1025));
        assert!(print(&mut key, false, &[b"a"]).by == By::Value, "the next is a message again");
    }

    proptest! {
        #[test]
        fn chunks_of_a_message_do_not_count(
            message in prop::collection::vec(any::<u8>(), 0..2000),
            cut in 0..2000usize,
            compressed in any::<bool>(),
        ) {
            let mut key = key("application/grpc", "gzip", "/l.L/Set");
            let coded = coding::encode(Coding::Gzip, &message).unwrap();
            let message = if compressed { coded } else { message };
            let (head, tail) = message.split_at(cut.min(message.len()));
            let whole = print(&mut key, compressed, &[&message]);
            prop_assert_eq!(print(&mut key, compressed, &[head, tail]), whole);
        }
    }
}
