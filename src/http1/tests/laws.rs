//! Laws over made-up, damaged and arbitrary input. The laws themselves are in `property`, where
//! the fuzz targets find them too.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::exchange::{Fields, RequestHead, ResponseHead, Version};
use crate::http1::framing::Framing;
use crate::http1::head::{HeadLimits, Role};
use crate::http1::property::{self, Connection, Event};
use crate::http1::writer;

const LIMITS: HeadLimits = HeadLimits { bytes_max: 8 << 10, fields_max: 50, target_max: 1 << 10 };

#[derive(Clone, Debug)]
enum Content {
    None,
    Length(Vec<u8>),
    Chunked(Vec<Vec<u8>>, Fields),
}

#[derive(Clone, Debug)]
struct Message {
    start: Start,
    fields: Fields,
    content: Content,
}

#[derive(Clone, Debug)]
enum Start {
    Request { method: String, target: String },
    Response { status: u16, reason: Vec<u8> },
}

impl Message {
    /// The fields with those that frame the content.
    fn framed_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        match &self.content {
            Content::None => {}
            Content::Length(data) => fields.push("Content-Length", data.len().to_string()),
            Content::Chunked(..) => fields.push("transfer-encoding", "chunked"),
        }
        fields
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let fields = self.framed_fields();
        match &self.start {
            Start::Request { method, target } => writer::request_head(out, method, target, &fields),
            Start::Response { status, reason } => {
                writer::response_head(out, Version::Http11, *status, reason, &fields);
            }
        }
        match &self.content {
            Content::None => {}
            Content::Length(data) => out.extend_from_slice(data),
            Content::Chunked(chunks, trailers) => {
                chunks.iter().for_each(|chunk| writer::chunk(out, chunk));
                writer::last_chunk(out, trailers);
            }
        }
    }

    fn events(&self) -> Vec<Event> {
        let (fields, version) = (self.framed_fields(), Version::Http11);
        let head = match self.start.clone() {
            Start::Request { method, target } => {
                Event::Request(RequestHead { method, target, version, fields })
            }
            Start::Response { status, reason } => {
                Event::Response(ResponseHead { version, status, reason, fields })
            }
        };
        let (framing, data, trailers) = match &self.content {
            Content::None => (Framing::None, Vec::new(), Fields::new()),
            Content::Length(data) => {
                (Framing::Length(data.len() as u64), data.clone(), Fields::new())
            }
            Content::Chunked(chunks, trailers) => {
                (Framing::Chunked, chunks.concat(), trailers.clone())
            }
        };
        let mut events = vec![head, Event::Framed(framing)];
        if !data.is_empty() {
            events.push(Event::Data(data));
        }
        events.push(Event::End(trailers));
        events
    }
}

fn name() -> impl Strategy<Value = String> {
    // None of the names that mean something to the codec begins so.
    "[xX][!#$%&'*+.^_`|~0-9a-zA-Z-]{0,12}"
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let inner =
        prop_oneof![8 => 0x21..=0x7eu8, 1 => 0x80..=0xffu8, 1 => Just(b' '), 1 => Just(b'\t')];
    vec(inner, 0..20).prop_map(|bytes| {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
        let end = bytes.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
        bytes[start..end].to_vec()
    })
}

fn fields() -> impl Strategy<Value = Fields> {
    vec((name(), value()), 0..8).prop_map(|pairs| pairs.into_iter().collect())
}

fn content() -> impl Strategy<Value = Content> {
    let data = || vec(any::<u8>(), 0..300);
    prop_oneof![
        Just(Content::None),
        data().prop_map(Content::Length),
        (vec(data(), 0..5), fields())
            .prop_map(|(chunks, trailers)| Content::Chunked(chunks, trailers)),
    ]
}

fn request() -> impl Strategy<Value = Message> {
    let target = "/[!-\"$-~]{0,30}";
    ("[A-Z!#$%&'*+.^_`|~0-9a-z-]{1,12}", target, fields(), content())
        .prop_filter("CONNECT has no path", |(method, ..)| method != "CONNECT")
        .prop_map(|(method, target, mut fields, content)| {
            fields.push("Host", "a.example:80");
            Message { start: Start::Request { method, target }, fields, content }
        })
}

fn response() -> impl Strategy<Value = Message> {
    let reason = vec(prop_oneof![0x20..=0x7eu8, 0x80..=0xffu8, Just(b'\t')], 0..20);
    (200..=999u16, reason, fields(), content()).prop_map(|(status, reason, fields, content)| {
        // Without a body only a status that has none isn't framed by the close.
        let (status, content) = match content {
            Content::None => (204, Content::None),
            content if matches!(status, 204 | 304) => (200, content),
            content => (status, content),
        };
        Message { start: Start::Response { status, reason }, fields, content }
    })
}

fn encode(messages: &[Message]) -> Vec<u8> {
    let mut out = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut out));
    out
}

fn read(role: Role, input: &[u8], cuts: Vec<usize>) -> Vec<Event> {
    Connection::new(role, LIMITS).read(input, cuts)
}

/// Pipelined messages, damaged in a few places where it hurts.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let messages = prop_oneof![vec(request(), 1..3), vec(response(), 1..3)];
    let marks = prop_oneof![
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\t".to_vec()),
        Just(b"\0".to_vec()),
        Just(b":".to_vec()),
        Just(b";".to_vec()),
        Just(b"0\r\n".to_vec()),
        Just(b"Content-Length: 3\r\n".to_vec()),
        Just(b"Host: b\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        vec(any::<u8>(), 1..3),
    ];
    (messages, vec((any::<Index>(), 0..3usize, marks), 0..4)).prop_map(|(messages, damages)| {
        let mut bytes = encode(&messages);
        for (index, removed, mark) in damages {
            let at = index.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, mark);
        }
        bytes
    })
}

/// Bytes that are more often than not about to be a message.
fn almost_http() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"GET ",
        b"GET / HTTP/1.1",
        b"HTTP/1.1 200 ",
        b"A: b",
        b"\r\n\r\n",
        b"\n\n",
        b"/",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 204\r\n",
        b"Host: a\r\n",
        b"Host:",
        b"X: y\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"Content-Length: 3\r\n",
        b"abc",
        b"*",
        b"http://a",
        b"Transfer-Encoding: chunked\r\n",
        b"3\r\n",
        b"0\r\n",
        b";x",
        b"PRI * HTTP/2.0\r\n",
        b"\0",
        b"\xff",
    ];
    let word = proptest::sample::select(words).prop_map(<[u8]>::to_vec);
    vec(prop_oneof![9 => word, 1 => vec(any::<u8>(), 1..4)], 0..24).prop_map(|words| words.concat())
}

/// Every mark, at every place, in front of what stands there and instead of it.
#[test]
fn a_head_with_one_damage_is_decided_alike_by_the_fast_and_the_slow_reading() {
    let heads: [&[u8]; 4] = [
        b"GET /a HTTP/1.1\r\nHost: a\r\nX: y z\r\n\r\n",
        b"\r\nOPTIONS * HTTP/1.0\r\nx:\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y z\r\n\r\n",
        b"HTTP/1.0 204\r\n\r\n",
    ];
    let marks: [&[u8]; 20] = [
        b"",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\n\r\n",
        b"\r\r\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b"\0",
        b"\x0b",
        b"\x7f",
        b"\xff",
        b":",
        b"/",
        b"*",
        b"1",
        b"\r\n ",
        b"\r\nHost: b\r\n",
    ];
    for head in heads {
        property::head(head);
        for (at, mark, removed) in (0..=head.len())
            .flat_map(|at| marks.iter().flat_map(move |&mark| (0..3).map(move |n| (at, mark, n))))
        {
            let mut damaged = head.to_vec();
            damaged.splice(at..(at + removed).min(head.len()), mark.iter().copied());
            property::head(&damaged);
            property::connection(&damaged);
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_under_every_cut(
        messages in vec(request(), 1..4),
        answers in vec(response(), 1..4),
        cuts in vec(0..40usize, 0..60),
    ) {
        for (role, messages) in [(Role::Server, messages), (Role::Client, answers)] {
            let input = encode(&messages);
            let expected: Vec<Event> = messages.iter().flat_map(Message::events).collect();
            prop_assert_eq!(&read(role, &input, Vec::new()), &expected);
            prop_assert_eq!(&read(role, &input, vec![1; input.len()]), &expected);
            prop_assert_eq!(&read(role, &input, cuts.clone()), &expected);
        }
    }

    #[test]
    fn a_cut_connection_yields_a_prefix(messages in vec(request(), 1..3), cut in any::<Index>()) {
        let input = encode(&messages);
        let cut = cut.index(input.len());
        let whole: Vec<Event> = messages.iter().flat_map(Message::events).collect();
        let part = read(Role::Server, &input[..cut], Vec::new());
        for (event, expected) in part.iter().zip(&whole) {
            match (event, expected) {
                (Event::Left(_) | Event::Truncated(_), _) => {}
                (Event::Data(data), Event::Data(all)) => prop_assert!(all.starts_with(data)),
                _ => prop_assert_eq!(event, expected),
            }
        }
        prop_assert!(!part.iter().any(|event| matches!(event, Event::Refused(_))));
    }

    #[test]
    fn damaged_messages_mean_the_same_under_every_cut(input in damaged(), cuts in vec(0..40usize, 0..60)) {
        property::connection(&input);
        for role in [Role::Server, Role::Client] {
            prop_assert_eq!(read(role, &input, Vec::new()), read(role, &input, cuts.clone()));
        }
    }

    #[test]
    fn almost_http_means_the_same_under_every_cut(input in almost_http()) {
        property::connection(&input);
    }

    #[test]
    fn the_fast_and_the_slow_reading_of_a_head_decide_alike(
        damaged in damaged(),
        almost in almost_http(),
        arbitrary in vec(any::<u8>(), 0..80),
    ) {
        for input in [damaged, almost, arbitrary] {
            property::head(&input);
            // Heads without what follows them.
            for end in memchr::memmem::find_iter(&input, b"\r\n\r\n") {
                property::head(&input[..end + 4]);
            }
        }
    }

    #[test]
    fn chunked_bodies_mean_the_same_under_every_cut(damaged in damaged(), almost in almost_http()) {
        for input in [damaged, almost] {
            property::body(&input);
            if let Some(end) = memchr::memmem::find(&input, b"\r\n\r\n") {
                property::body(&input[end + 4..]);
            }
        }
    }
}
