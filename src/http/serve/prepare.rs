//! Recorded answers made ready to be sent: content coded again, and small ones framed ahead.
//!
//! Pure. What is made here is kept with a recording that is in memory, and sent to whoever asks. In an
//! index stand the content coding and what HTTP/1.1 clients get as a rule; the rest is made each time.

use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;

use crate::coding::{self, EncodeError, Extent};
use crate::config::{Endpoint, Scheme, Target};
use crate::exchange::{Body, End, Response, Version};
use crate::http::answer::{self, Asked};
use crate::http::hop;
use crate::http1::framing::Framing;
use crate::http1::writer;
use crate::replay::answer::{Answer, Content, Frames, Wire};

/// Bodies up to this size are kept with their heads as one run of bytes; with what is around them,
/// where they are in pieces.
const WIRE_MAX: usize = 16 << 10;

/// What a chunk of such a body has around its bytes, at most.
const CHUNK_MAX: usize = "ffff\r\n\r\n".len();

/// What an answer needs before it can be sent in any form.
pub(super) fn prepare(response: &Response) -> Answer {
    let content = match coded(response) {
        Ok(content) => content,
        Err(error) => Content::Unusable(error.to_string()),
    };
    Answer { content, frames: OnceLock::new() }
}

/// How nearly every HTTP/1.1 request is asked.
const ORDINARY: Asked<'static> =
    Asked { version: Version::Http11, is_head: false, is_grpc: false, keep_alive: true, host: "" };

/// The body of an answer that is the same for every ordinary request, and small: its size, and its
/// pieces.
fn plain_body<'c>(
    response: &Response,
    endpoint: &Endpoint,
    content: &'c Content,
) -> Option<(usize, impl Iterator<Item = &'c [u8]>)> {
    let (whole, pieces) = match content {
        Content::None => (None, &[][..]),
        Content::Whole(bytes) => (Some(&bytes[..]), &[][..]),
        Content::Pieces(pieces) => (None, &pieces[..]),
        Content::File { .. } | Content::Unusable(_) => return None,
    };
    let chunks = pieces.iter().map(|piece| piece.bytes.len() + CHUNK_MAX);
    let size = whole.map_or(0, <[u8]>::len) + chunks.sum::<usize>();
    let is_plain = response.end == End::Whole
        && response.interim.is_empty()
        && size <= WIRE_MAX
        && !answer::depends_on_host(&response.head, endpoint);
    let body = whole.into_iter().chain(pieces.iter().map(|piece| &piece.bytes[..]));
    is_plain.then_some((size, body))
}

/// The whole answer as one run of bytes, where it is one for every ordinary request.
pub(super) fn wire(response: &Response, endpoint: &Endpoint, content: &Content) -> Option<Wire> {
    let (size, body) = plain_body(response, endpoint, content)?;
    let framing = framing_of(response, content, &ORDINARY);
    let mut out = Vec::with_capacity(response.head.fields.text_bytes() + size + 256);
    answer::write_head(&mut out, &response.head, endpoint, &ORDINARY, framing);
    match framing {
        Framing::None => {}
        Framing::Chunked => {
            body.for_each(|piece| writer::chunk(&mut out, piece));
            writer::last_chunk(&mut out, &hop::passing(&response.trailers));
        }
        _ => body.for_each(|piece| out.extend_from_slice(piece)),
    }
    Some(Wire { status: response.head.status, bytes: out.into() })
}

/// As `wire`, where that is one at every endpoint that replaces nothing in heads.
pub fn wire_for_any_endpoint(response: &Response) -> Option<Wire> {
    // Any with the widest rule: heads that it would change aren't framed.
    static ENDPOINT: LazyLock<Endpoint> = LazyLock::new(|| {
        Endpoint::new(Target { scheme: Scheme::Http, host: String::new(), port: 80 })
    });
    let content = coded(response).ok()?;
    wire(response, &ENDPOINT, &content)
}

/// As `wire`, for HTTP/2, where the answer has no trailers.
pub(super) fn frames(
    response: &Response,
    endpoint: &Endpoint,
    content: &Content,
) -> Option<Frames> {
    let (_, body) = plain_body(response, endpoint, content)?;
    if !response.trailers.is_empty() {
        return None;
    }
    let asked = Asked { version: Version::Http2, ..ORDINARY };
    let framing = framing_of(response, content, &asked);
    let (head, ()) = answer::h2_head(&response.head, endpoint, &asked, framing).into_parts();
    let body = match framing {
        Framing::None => Bytes::new(),
        _ => body.collect::<Vec<_>>().concat().into(),
    };
    Some(Frames { status: head.status, fields: head.headers, body })
}

/// The body as it goes out: with its content coding on again.
fn coded(response: &Response) -> Result<Content, EncodeError> {
    Ok(match coding::recode(&response.body, response.coding, Extent::of(response.end))? {
        Body::Absent => Content::None,
        Body::Whole(bytes) => Content::Whole(bytes),
        Body::Pieces(pieces) => Content::Pieces(pieces),
        Body::Messages(_) => Content::None,
        Body::File { digest, len } => Content::File { digest, len, coding: response.coding },
        Body::Omitted { digest, len } => Content::Unusable(format!(
            "its body of {len} bytes was larger than `max_kept_body` and was not kept; its \
             SHA-256 is {digest}"
        )),
    })
}

/// How the body is delimited for who asked like this.
pub(super) fn framing_of(response: &Response, content: &Content, asked: &Asked<'_>) -> Framing {
    let declared = response
        .head
        .fields
        .get("content-length")
        .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse::<u64>().ok());
    let length = match content {
        // A cut answer promises what its origin promised, and breaks the promise where it did.
        _ if response.end != End::Whole => {
            declared.filter(|declared| content.known_len().is_none_or(|len| len <= *declared))
        }
        _ if response.head.fields.contains("transfer-encoding") => None,
        _ if !response.trailers.is_empty() => None,
        // HTTP/2 needs no length, and where its origin gave none its client got none.
        Content::Whole(_) | Content::File { .. }
            if response.head.version == Version::Http2 && declared.is_none() =>
        {
            None
        }
        // The end of a stream was not known in advance.
        Content::Pieces(_) if declared.is_none() => None,
        content => content.known_len(),
    };
    answer::framing(asked, response.head.status, length)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::exchange::{Coding, Digest, Exchange, Piece};
    use crate::replay::fixture;
    use crate::replay::shelf::VERSION;

    fn endpoint() -> Endpoint {
        Endpoint::new(Target { scheme: Scheme::Http, host: "origin.test".into(), port: 80 })
    }

    fn exchange(fields: &[(&str, &str)], edit: impl FnOnce(&mut Exchange)) -> Exchange {
        let mut exchange = fixture::get("/", "hello");
        exchange.response.head.reason = b"OK".to_vec();
        exchange.response.head.fields = fields.iter().copied().collect();
        edit(&mut exchange);
        exchange
    }

    fn wire_of(exchange: &Exchange) -> Option<String> {
        let answer = prepare(&exchange.response);
        let wire = wire(&exchange.response, &endpoint(), &answer.content)?;
        Some(String::from_utf8(wire.bytes.to_vec()).unwrap())
    }

    #[test]
    fn an_ordinary_answer_is_one_run_of_bytes() {
        // The length is that of the body, whatever a person's edit has left in the head.
        assert_eq!(
            wire_of(&exchange(&[("a", "1"), ("Content-Length", "999")], |_| {})).unwrap(),
            "HTTP/1.1 200 OK\r\na: 1\r\nContent-Length: 5\r\n\r\nhello"
        );
        let chunked = exchange(&[("transfer-encoding", "chunked")], |exchange| {
            exchange.response.trailers = [("x-sum", "9")].into_iter().collect();
        });
        assert_eq!(
            wire_of(&chunked).unwrap(),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\nx-sum: 9\r\n\r\n"
        );
        let events = exchange(&[("content-type", "text/event-stream")], |exchange| {
            let piece =
                |at, text: &'static str| Piece { at: Duration::from_secs(at), bytes: text.into() };
            exchange.response.body =
                Body::Pieces(vec![piece(1, "data: 1\n\n"), piece(2, "data: 2\n\n")]);
        });
        assert_eq!(
            wire_of(&events).unwrap(),
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
             9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"
        );
        let empty = exchange(&[], |exchange| exchange.response.body = Body::Absent);
        assert_eq!(wire_of(&empty).unwrap(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let no_content = exchange(&[("content-length", "0")], |exchange| {
            exchange.response.head.status = 204;
            exchange.response.body = Body::Absent;
        });
        assert_eq!(wire_of(&no_content).unwrap(), "HTTP/1.1 204 OK\r\n\r\n");
    }

    /// When this fails, answers are framed otherwise than those in people's indexes: raise `VERSION`, so
    /// that these are made anew, and put in the new digest.
    #[test]
    fn answers_in_an_index_of_this_version_are_framed_like_this() {
        let usual: &[_] = &[
            ("Server", "origin"),
            ("Date", "Sat, 28 Nov 2026 12:00:00 GMT"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "5"),
            ("Connection", "keep-alive, x-hop"),
            ("X-Hop", "1"),
            ("Set-Cookie", "a=1; Domain=origin.test"),
            ("Alt-Svc", "h3=\":443\""),
        ];
        let chunked: &[_] = &[("transfer-encoding", "chunked"), ("trailer", "x-sum")];
        let with_trailers = |exchange: &mut Exchange| {
            exchange.response.trailers = [("x-sum", "9")].into_iter().collect();
        };
        let bodiless = |status| {
            move |exchange: &mut Exchange| {
                exchange.response.head.status = status;
                exchange.response.body = Body::Absent;
            }
        };
        let mut digest = Sha256::new();
        let mut count = 0;
        for exchange in [
            exchange(usual, |_| {}),
            exchange(usual, |exchange| exchange.response.head.version = Version::Http10),
            exchange(usual, |exchange| exchange.response.head.version = Version::Http2),
            exchange(&[], |exchange| exchange.response.head.reason = b"Fine".to_vec()),
            exchange(chunked, with_trailers),
            exchange(&[("content-length", "5")], |exchange| exchange.response.body = ones(5)),
            exchange(&[], |exchange| exchange.response.body = ones(5)),
            exchange(&[], bodiless(200)),
            exchange(&[("content-length", "0")], bodiless(204)),
            exchange(&[("content-length", "5"), ("etag", "\"a\"")], bodiless(304)),
            exchange(&[], |exchange| exchange.response.head.status = 599),
        ] {
            let Some(wire) = wire_for_any_endpoint(&exchange.response) else { continue };
            count += 1;
            digest.update(wire.status.to_le_bytes());
            digest.update(wire.bytes.len().to_le_bytes());
            digest.update(&wire.bytes);
        }
        let digest = Digest(digest.finalize().into()).to_string();
        assert_eq!((VERSION, count, &digest[..16]), (2, 11, "d6f92e895800d4f8"));
    }

    #[test]
    fn what_depends_on_who_asks_or_takes_its_time_is_not_built_ahead() {
        let edits: [fn(&mut Exchange); 5] = [
            |exchange| exchange.response.end = End::CutByOrigin,
            |exchange| exchange.response.interim.push(Default::default()),
            |exchange| exchange.response.head.fields.push("location", "/b"),
            |exchange| exchange.response.body = Body::Whole(vec![0; WIRE_MAX + 1].into()),
            |exchange| exchange.response.body = ones(WIRE_MAX / (1 + CHUNK_MAX) + 1),
        ];
        for (n, edit) in edits.into_iter().enumerate() {
            assert_eq!(wire_of(&exchange(&[], edit)), None, "edit {n}");
        }
        for body in [Body::Whole(vec![0; WIRE_MAX].into()), ones(WIRE_MAX / (1 + CHUNK_MAX))] {
            assert!(wire_of(&exchange(&[], |exchange| exchange.response.body = body)).is_some());
        }
    }

    fn ones(count: usize) -> Body {
        Body::Pieces(vec![Piece { at: Duration::ZERO, bytes: "1".into() }; count])
    }

    #[test]
    fn a_body_that_was_not_kept_says_so() {
        let omitted = exchange(&[], |exchange| {
            exchange.response.body = Body::Omitted { digest: Digest([7; 32]), len: 9000 };
        });
        let answer = prepare(&omitted.response);
        let Content::Unusable(why) = answer.content else { panic!("{answer:?}") };
        assert!(why.contains("9000 bytes") && why.contains("0707"), "{why}");
    }

    #[test]
    fn framing_follows_the_body_and_who_asks() {
        use Framing::*;
        let new = ORDINARY;
        let old = Asked { version: Version::Http10, ..new };
        let head = Asked { is_head: true, ..new };
        let whole = || Content::Whole("hello".into());
        let piece = |text: &'static str| Piece { at: Duration::ZERO, bytes: text.into() };
        let pieces = || Content::Pieces(vec![piece("hel"), piece("lo")]);
        let file = |coding| Content::File { digest: Digest([0; 32]), len: 70_000, coding };
        let length: &[_] = &[("content-length", "5")];
        let long: &[_] = &[("content-length", "9")];
        let chunked: &[_] = &[("transfer-encoding", "chunked")];
        let (end, cut) = (End::Whole, End::CutByOrigin);
        for (n, (fields, content, end, asked, expected)) in [
            (&[][..], whole(), end, new, Length(5)),
            (length, whole(), end, head, None),
            (chunked, whole(), end, new, Chunked),
            (chunked, whole(), end, old, Close),
            (&[], pieces(), end, new, Chunked),
            (length, pieces(), end, new, Length(5)),
            (&[], file(Option::None), end, new, Length(70_000)),
            (&[], file(Some(Coding::Gzip)), end, new, Chunked),
            // A cut answer must not look whole.
            (long, whole(), cut, new, Length(9)),
            (chunked, whole(), cut, new, Chunked),
            (&[], whole(), cut, new, Chunked),
            (&[], whole(), cut, old, Close),
            // A person made the body longer than its head says.
            (&[("content-length", "3")], whole(), cut, new, Chunked),
        ]
        .into_iter()
        .enumerate()
        {
            let exchange = exchange(fields, |exchange| exchange.response.end = end);
            assert_eq!(framing_of(&exchange.response, &content, &asked), expected, "case {n}");
        }
    }
}
