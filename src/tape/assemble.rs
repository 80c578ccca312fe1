//! From an exchange's frames to the exchange.
//!
//! Pure. Also decides what a piece is: the tape keeps every read from the origin with its time, and
//! only here it shows whether when they came means anything.

use std::time::Duration;

use bytes::Bytes;

use super::call::{Arrival, Mark};
use super::conversation::{Conversation, Finished};
use super::format::{Frame, Side};
use super::reader::{KeepMessage, ReadError};
use crate::exchange::{
    After, Body, Digest, End, Exchange, Fields, Message, Party, Piece, Request, RequestHead,
    Response, ResponseHead,
};
use crate::grpc;

/// Reads further apart than this came at different times for the origin's reasons, not the
/// network's.
const GAP: Duration = Duration::from_millis(20);

/// Media types whose bodies are read piece by piece, whoever sends them.
const STREAMED: [&str; 7] = [
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-seq",
    "application/stream+json",
];

const GRPC_WEB: &str = "application/grpc-web";

/// A streamed answer of more pieces than this is given as one: each costs some 300 bytes while it is
/// sealed and 700 while its cassette is read, however little is in it.
const PIECES_MAX: usize = 1 << 18;

/// Where a body's bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Tape,
    File,
    /// Nowhere, and not yet known as what.
    Overflowed,
    Omitted {
        len: u64,
        digest: Digest,
    },
}

/// A body that was had otherwise than from the bytes on the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Named {
        digest: Digest,
        len: u64,
    },
    /// Read from its file, because it is to be given in pieces.
    Read(Bytes),
    /// A call's, found by `call::split`.
    Messages(Vec<Message>),
}

/// One side's body, as its frames tell.
#[derive(Debug, Default)]
struct Gathered {
    place: Place,
    bytes: Vec<u8>,
    /// No more than one over `PIECES_MAX`, except a call's, whose messages need them all.
    reads: Vec<Arrival>,
    trailers: Fields,
}

/// Takes an exchange's frames in their order.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    endpoint: String,
    recorded_at_ms: u64,
    request_head: RequestHead,
    interim: Vec<ResponseHead>,
    answered: Option<Answered>,
    request: Gathered,
    response: Gathered,
    /// How far the request has come.
    mark: Mark,
    /// How far it had when the answer was over.
    mark_at_end: Option<Mark>,
    /// Once one has been granted.
    conversation: Option<Box<Conversation>>,
}

#[derive(Debug)]
struct Answered {
    at: Duration,
    mark: Mark,
    head: ResponseHead,
}

impl Assembly {
    /// Each message of a conversation goes through `keep` when it is whole.
    pub(super) fn push(
        &mut self,
        frame: Frame<'_>,
        keep: KeepMessage<'_>,
    ) -> Result<(), ReadError> {
        match frame {
            Frame::Opened { endpoint, recorded_at_ms, head, .. } => {
                self.endpoint = endpoint.to_owned();
                self.recorded_at_ms = recorded_at_ms;
                self.request_head = head.into_owned();
            }
            Frame::RequestData { at, bytes } => self.data(Side::Request, at, bytes),
            Frame::RequestSpan { at, len } => self.arrived(Side::Request, at, len),
            Frame::RequestEnded { trailers } => {
                self.request.trailers = trailers.into_owned();
                self.mark.ended = true;
            }
            Frame::Interim { head, .. } => self.interim.push(head.into_owned()),
            Frame::Answered { at, head } => {
                let (mark, head) = (self.mark, head.into_owned());
                // RFC 9110 section 15.2.2; nothing else is granted with it here.
                self.conversation =
                    (head.status == 101).then(|| Box::new(Conversation::new(&head.fields)));
                self.answered = Some(Answered { at, mark, head });
            }
            Frame::Data { at, bytes } => self.data(Side::Response, at, bytes),
            Frame::Span { at, len } => self.arrived(Side::Response, at, len),
            Frame::Ended { trailers, .. } => {
                self.response.trailers = trailers.into_owned();
                self.mark_at_end = Some(self.mark);
            }
            Frame::BodyFile(side) => self.side(side).place = Place::File,
            Frame::Overflowed(side) => self.side(side).place = Place::Overflowed,
            Frame::Omitted { side, len, digest } => {
                self.side(side).place = Place::Omitted { len, digest };
            }
            Frame::BodyDigest { .. } | Frame::Tape(_) | Frame::Abandoned => {}
            Frame::Said { .. } | Frame::Unkept { .. } | Frame::Closed { .. } => {
                if let Some(conversation) = &mut self.conversation {
                    return conversation.push(frame, keep);
                }
            }
        }
        Ok(())
    }

    fn data(&mut self, side: Side, at: Duration, bytes: &[u8]) {
        self.arrived(side, at, bytes.len() as u64);
        self.side(side).bytes.extend_from_slice(bytes);
    }

    fn arrived(&mut self, side: Side, at: Duration, len: u64) {
        let read = Arrival { at, len, mark: self.mark };
        if self.side(side).reads.len() <= PIECES_MAX || self.call(side).is_some() {
            self.side(side).reads.push(read);
        }
        if side == Side::Request {
            self.mark.bytes = self.mark.bytes.saturating_add(len);
        }
    }

    fn side(&mut self, side: Side) -> &mut Gathered {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    fn gathered(&self, side: Side) -> &Gathered {
        match side {
            Side::Request => &self.request,
            Side::Response => &self.response,
        }
    }

    pub(super) fn place(&self, side: Side) -> Place {
        self.gathered(side).place
    }

    pub(super) fn reads(&self, side: Side) -> &[Arrival] {
        &self.gathered(side).reads
    }

    /// What of a body is on the tape itself.
    pub(super) fn bytes(&self, side: Side) -> &[u8] {
        &self.gathered(side).bytes
    }

    /// Whether the answer's media type makes its pieces matter, also when they are in a file, and
    /// they are few enough.
    pub(super) fn is_in_pieces(&self) -> bool {
        self.response.reads.len() <= PIECES_MAX
            && self
                .answered
                .as_ref()
                .is_some_and(|answered| is_streamed_type(&answered.head.fields))
    }

    /// Whether both bodies are the messages of a conversation.
    pub(super) fn is_conversation(&self) -> bool {
        self.conversation.is_some()
    }

    /// The head's fields of a side whose body is a gRPC call's messages. An answer to a call that
    /// is none itself, as from a proxy on the way, is a body like any other.
    pub(super) fn call(&self, side: Side) -> Option<&Fields> {
        let request = Some(&self.request_head.fields).filter(|fields| grpc::is_call(fields))?;
        match side {
            Side::Request => Some(request),
            Side::Response => {
                let fields = &self.answered.as_ref()?.head.fields;
                Some(fields).filter(|fields| grpc::is_call(fields))
            }
        }
    }

    /// Of a conversation; `None` when it is none.
    pub(super) fn finish_conversation(self, end: End) -> Option<Exchange> {
        let Answered { at, head, .. } = self.answered?;
        let Finished { client, origin, close, after } = self.conversation?.finish();
        let closed_by_client = close.as_ref().is_some_and(|close| close.by == Party::Client);
        Some(Exchange {
            endpoint: self.endpoint,
            recorded_at_ms: self.recorded_at_ms,
            request: Request {
                head: self.request_head,
                body: client,
                coding: None,
                trailers: self.request.trailers,
                is_whole: closed_by_client,
            },
            response: Response {
                at,
                // No client speaks before it has been granted a conversation.
                after: After::Messages(0),
                interim: self.interim,
                head,
                body: origin,
                coding: None,
                trailers: self.response.trailers,
                end,
                end_after: after,
                close,
            },
        })
    }

    /// `None` when no answer head came. `request` and `response` are bodies that were had otherwise
    /// than from the tape. `after` says what a mark means; it counts in calls alone.
    pub(super) fn finish(
        self,
        end: End,
        request: Option<Given>,
        response: Option<Given>,
        after: &dyn Fn(Mark) -> After,
    ) -> Option<Exchange> {
        let after = match self.call(Side::Request) {
            Some(_) => after,
            None => &|_| After::End,
        };
        let end_after = after(self.mark_at_end.unwrap_or(self.mark));
        let Answered { at, mark, head } = self.answered?;
        let request_body = body(self.request.place, self.request.bytes.into(), &[], request);
        let streamed = is_streamed(&head.fields, &self.response.reads);
        let in_pieces = streamed && self.response.reads.len() <= PIECES_MAX;
        let reads = if in_pieces { self.response.reads.as_slice() } else { &[] };
        let body = body(self.response.place, self.response.bytes.into(), reads, response);
        Some(Exchange {
            endpoint: self.endpoint,
            recorded_at_ms: self.recorded_at_ms,
            request: Request {
                head: self.request_head,
                body: request_body,
                coding: None,
                trailers: self.request.trailers,
                is_whole: self.mark.ended,
            },
            response: Response {
                at,
                after: after(mark),
                interim: self.interim,
                head,
                body,
                coding: None,
                trailers: self.response.trailers,
                end,
                end_after,
                close: None,
            },
        })
    }
}

/// `reads` is empty for a body that is one.
fn body(place: Place, bytes: Bytes, reads: &[Arrival], given: Option<Given>) -> Body {
    match (place, given) {
        (Place::Omitted { len, digest }, _) => Body::Omitted { digest, len },
        (_, Some(Given::Named { digest, len })) => Body::File { digest, len },
        (_, Some(Given::Read(bytes))) => of_bytes(bytes, reads),
        (_, Some(Given::Messages(messages))) if messages.is_empty() => Body::Absent,
        (_, Some(Given::Messages(messages))) => Body::Messages(messages),
        (_, None) => of_bytes(bytes, reads),
    }
}

fn of_bytes(mut bytes: Bytes, reads: &[Arrival]) -> Body {
    if bytes.is_empty() {
        return Body::Absent;
    }
    if reads.is_empty() {
        return Body::Whole(bytes);
    }
    let mut pieces = Vec::with_capacity(reads.len());
    for &Arrival { at, len, .. } in reads {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
        if len > 0 {
            pieces.push(Piece { at, bytes: bytes.split_to(len) });
        }
    }
    Body::Pieces(pieces)
}

fn is_streamed(fields: &Fields, reads: &[Arrival]) -> bool {
    is_streamed_type(fields) || (!fields.contains("content-length") && came_apart(reads))
}

fn came_apart(reads: &[Arrival]) -> bool {
    reads.windows(2).any(|pair| match pair {
        [before, after] => after.at.saturating_sub(before.at) > GAP,
        _ => false,
    })
}

fn is_streamed_type(fields: &Fields) -> bool {
    let Some(value) = fields.get("content-type") else { return false };
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    // The form of gRPC for browsers has message formats behind its name.
    let is_grpc_web = essence
        .get(..GRPC_WEB.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(GRPC_WEB.as_bytes()));
    STREAMED.iter().any(|media| essence.eq_ignore_ascii_case(media.as_bytes()))
        || is_grpc_web
        || grpc::is_call(fields)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn typed(media: &str) -> Fields {
        Fields::from_iter([("Content-Type", media)])
    }

    fn reads(ms: &[u64]) -> Vec<Arrival> {
        let read =
            |ms: &u64| Arrival { at: Duration::from_millis(*ms), len: 1, mark: Mark::default() };
        ms.iter().map(read).collect()
    }

    #[test]
    fn media_types_that_are_read_in_pieces_are_streamed() {
        for media in [
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            "application/x-ndjson",
            "application/jsonl ; x=y",
            "application/grpc",
            "application/grpc+proto",
            "application/grpc-web",
        ] {
            assert!(is_streamed(&typed(media), &[]), "{media}");
        }
        for media in ["application/json", "text/plain", "application/grpcish", ""] {
            assert!(!is_streamed(&typed(media), &[]), "{media}");
        }
    }

    #[test]
    fn reads_apart_make_pieces_only_without_a_length() {
        let sized = Fields::from_iter([("content-length", "3")]);
        assert!(is_streamed(&Fields::new(), &reads(&[5, 10, 31])));
        assert!(!is_streamed(&sized, &reads(&[5, 10, 31])));
        assert!(!is_streamed(&Fields::new(), &reads(&[5, 10, 30])));
        assert!(!is_streamed(&Fields::new(), &reads(&[500])));
    }

    /// An event stream of so many pieces: of how many reads something is known, and what its body is.
    fn stream_of(pieces: usize) -> (usize, Body) {
        let keep = |_, message| Ok(message);
        let mut assembly = Assembly::default();
        let head = ResponseHead { fields: typed("text/event-stream"), ..ResponseHead::default() };
        let at = Duration::ZERO;
        assembly.push(Frame::Answered { at, head: Cow::Owned(head) }, &keep).unwrap();
        for _ in 0..pieces {
            assembly.push(Frame::Data { at, bytes: b"x" }, &keep).unwrap();
        }
        let known = assembly.reads(Side::Response).len();
        assert_eq!(assembly.is_in_pieces(), pieces <= PIECES_MAX);
        let exchange = assembly.finish(End::Whole, None, None, &|_| After::End);
        (known, exchange.unwrap().response.body)
    }

    #[test]
    fn a_stream_of_too_many_pieces_is_one_and_no_byte_of_it_is_lost() {
        let (_, body) = stream_of(PIECES_MAX);
        assert!(matches!(body, Body::Pieces(pieces) if pieces.len() == PIECES_MAX));
        let (known, body) = stream_of(PIECES_MAX + 1000);
        assert_eq!(known, PIECES_MAX + 1);
        assert!(matches!(body, Body::Whole(bytes) if bytes.len() == PIECES_MAX + 1000));
    }

    #[test]
    fn pieces_beyond_the_bytes_that_survived_are_left_out() {
        let Body::Pieces(pieces) = of_bytes(Bytes::from_static(b"ab"), &reads(&[1, 2, 3])) else {
            panic!("pieces");
        };
        assert_eq!(pieces.len(), 2);
    }
}
