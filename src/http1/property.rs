//! The codec's laws as functions that panic where one doesn't hold: checked by the property tests
//! on made-up messages and by the fuzz targets on anything. Not part of the product.

use super::body::{BodyDecoder, BodyEvent, Truncated};
use super::framing::{Framing, request_framing, response_framing};
use super::head::{self, HeadLimits, HeadScanner, Role};
use super::{Refusal, diagnose, writer};
use crate::exchange::{Fields, RequestHead, ResponseHead};

/// Small, so that inputs of a fuzzer's size reach them.
pub const LIMITS: HeadLimits = HeadLimits { bytes_max: 512, fields_max: 8, target_max: 64 };

/// What a connection's bytes mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Request(RequestHead),
    Response(ResponseHead),
    Framed(Framing),
    Data(Vec<u8>),
    End(Fields),
    Refused(Refusal),
    Truncated(Truncated),
    /// Bytes after the last whole head.
    Left(Vec<u8>),
}

enum Step {
    NeedMore,
    Consumed(usize),
    Refused(Refusal),
}

/// Reads messages the way a connection does: from a buffer that grows by one read at a time and
/// loses what is done with.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    limits: HeadLimits,
    scanner: HeadScanner,
    body: Option<BodyDecoder>,
    buffer: Vec<u8>,
    events: Vec<Event>,
    is_refused: bool,
}

impl Connection {
    pub fn new(role: Role, limits: HeadLimits) -> Self {
        Connection {
            role,
            limits,
            scanner: HeadScanner::new(role),
            body: None,
            buffer: Vec::new(),
            events: Vec::new(),
            is_refused: false,
        }
    }

    /// Reads `input`, cut into reads of these sizes; what is left comes as one.
    pub fn read(mut self, input: &[u8], cuts: impl IntoIterator<Item = usize>) -> Vec<Event> {
        let mut rest = input;
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            self.push(piece);
            rest = after;
        }
        self.push(rest);
        self.close()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while !self.is_refused {
            match self.step().unwrap_or_else(Step::Refused) {
                Step::NeedMore => return,
                Step::Consumed(len) => drop(self.buffer.drain(..len)),
                Step::Refused(refusal) => {
                    self.is_refused = true;
                    self.events.push(Event::Refused(refusal));
                }
            }
        }
    }

    fn step(&mut self) -> Result<Step, Refusal> {
        let Some(body) = &mut self.body else { return self.read_head() };
        let decoded = body.decode(&self.buffer)?;
        assert!(decoded.consumed <= self.buffer.len());
        match decoded.event {
            BodyEvent::Data(range) => {
                assert!(!range.is_empty() && range.end == decoded.consumed);
                let data = self.buffer.get(range).expect("data lies in the input");
                match self.events.last_mut() {
                    Some(Event::Data(sum)) => sum.extend_from_slice(data),
                    _ => self.events.push(Event::Data(data.to_vec())),
                }
            }
            BodyEvent::End => {
                assert!(body.is_ended());
                self.events.push(Event::End(body.take_trailers()));
                self.body = None;
                self.scanner.reset();
            }
            BodyEvent::NeedMore => {
                assert_eq!(decoded.consumed, self.buffer.len());
                self.buffer.clear();
                return Ok(Step::NeedMore);
            }
        }
        Ok(Step::Consumed(decoded.consumed))
    }

    fn read_head(&mut self) -> Result<Step, Refusal> {
        let Some(end) = self.scanner.scan(&self.buffer, &self.limits)? else {
            assert_eq!(self.scanner.seen(), self.buffer.len());
            return Ok(Step::NeedMore);
        };
        let head = self.buffer.get(..end).expect("the head lies in the buffer");
        let framing = match self.role {
            Role::Server => {
                let mut request = RequestHead::default();
                head::parse_request(head, &self.limits, &mut request)?;
                let framing = request_framing(&request)?;
                self.events.push(Event::Request(request));
                framing
            }
            Role::Client => {
                let mut response = ResponseHead::default();
                head::parse_response(head, &self.limits, &mut response)?;
                let framing = response_framing(&response, "GET")?;
                self.events.push(Event::Response(response));
                framing
            }
        };
        self.events.push(Event::Framed(framing));
        self.body = Some(BodyDecoder::new(framing, &self.limits));
        Ok(Step::Consumed(end))
    }

    fn close(mut self) -> Vec<Event> {
        match &mut self.body {
            _ if self.is_refused => {}
            Some(body) => match body.end_of_input() {
                Ok(()) => self.events.push(Event::End(body.take_trailers())),
                Err(truncated) => self.events.push(Event::Truncated(truncated)),
            },
            None if self.buffer.is_empty() => {}
            None => self.events.push(Event::Left(self.buffer)),
        }
        self.events
    }
}

fn read(role: Role, input: &[u8], cuts: impl IntoIterator<Item = usize>) -> Vec<Event> {
    Connection::new(role, LIMITS).read(input, cuts)
}

/// What a connection's bytes mean doesn't depend on how they were cut.
pub fn connection(input: &[u8]) {
    for role in [Role::Server, Role::Client] {
        let whole = read(role, input, []);
        assert_eq!(whole, read(role, input, input.iter().map(|_| 1)));
        assert_eq!(whole, read(role, input, input.iter().map(|&byte| usize::from(byte % 16))));
        assert_eq!(whole, read(role, input, [input.len() / 2]));
    }
}

/// The fast and the slow reading of a head decide alike; the scanner refuses nothing that they
/// take; what is taken, written out and read again is the same.
pub fn head(input: &[u8]) {
    let mut request = RequestHead::default();
    let verdict = head::parse_request(input, &LIMITS, &mut request);
    if input.len() <= LIMITS.bytes_max {
        assert_eq!(verdict, diagnose::request(input, &LIMITS));
    }
    if verdict.is_ok() {
        assert_eq!(HeadScanner::new(Role::Server).scan(input, &LIMITS), Ok(Some(input.len())));
        let mut written = Vec::new();
        writer::request_head(&mut written, &request.method, &request.target, &request.fields);
        let mut again = RequestHead::default();
        let roomy = HeadLimits { bytes_max: usize::MAX, ..LIMITS };
        // The writer's version is 1.1, for which a Host may be missing.
        if request.fields.contains("host") {
            assert_eq!(head::parse_request(&written, &roomy, &mut again), Ok(()));
            assert_eq!((request.method, request.target), (again.method, again.target));
            assert_eq!(request.fields, again.fields);
        }
    }

    let mut response = ResponseHead::default();
    let verdict = head::parse_response(input, &LIMITS, &mut response);
    if input.len() <= LIMITS.bytes_max {
        assert_eq!(verdict, diagnose::response(input, &LIMITS));
    }
    if verdict.is_ok() {
        assert_eq!(HeadScanner::new(Role::Client).scan(input, &LIMITS), Ok(Some(input.len())));
        let mut written = Vec::new();
        let ResponseHead { version, status, reason, fields } = &response;
        writer::response_head(&mut written, *version, *status, reason, fields);
        let mut again = ResponseHead::default();
        let roomy = HeadLimits { bytes_max: usize::MAX, ..LIMITS };
        assert_eq!(head::parse_response(&written, &roomy, &mut again), Ok(()));
        assert_eq!(response, again);
    }
}

/// A chunked body means the same under every cut; what is taken, written out and read again is
/// the same.
pub fn body(input: &[u8]) {
    let whole = decode_chunked(input, usize::MAX);
    assert_eq!(whole, decode_chunked(input, 1));
    assert_eq!(whole, decode_chunked(input, 7));
    let Ok(Some((data, trailers, _))) = whole else { return };
    let mut written = Vec::new();
    data.chunks(5).for_each(|chunk| writer::chunk(&mut written, chunk));
    writer::last_chunk(&mut written, &trailers);
    let roomy = HeadLimits { bytes_max: usize::MAX, ..LIMITS };
    let again = decode_chunked_within(&written, 3, &roomy);
    assert_eq!(again, Ok(Some((data, trailers, written.len()))));
}

/// Data, trailers and length of a chunked body; `None` where it isn't over.
type ChunkedBody = Option<(Vec<u8>, Fields, usize)>;

fn decode_chunked(input: &[u8], read_len: usize) -> Result<ChunkedBody, Refusal> {
    decode_chunked_within(input, read_len, &LIMITS)
}

fn decode_chunked_within(
    input: &[u8],
    read_len: usize,
    limits: &HeadLimits,
) -> Result<ChunkedBody, Refusal> {
    let mut decoder = BodyDecoder::new(Framing::Chunked, limits);
    let (mut data, mut total) = (Vec::new(), 0);
    for mut piece in input.chunks(read_len.min(input.len()).max(1)) {
        loop {
            let decoded = decoder.decode(piece)?;
            total += decoded.consumed;
            match decoded.event {
                BodyEvent::NeedMore => break,
                BodyEvent::End => return Ok(Some((data, decoder.take_trailers(), total))),
                BodyEvent::Data(range) => {
                    data.extend_from_slice(piece.get(range).expect("data lies in the input"));
                }
            }
            piece = piece.get(decoded.consumed..).expect("consumed lies in the input");
        }
    }
    Ok(None)
}
