//! Writing a cassette, one exchange in memory at a time.
//!
//! The order of keys is fixed and defaults are left out, so that equal exchanges are equal text
//! and a diff shows what changed. docs/cassette.md describes what stands here key by key.

mod body;
mod call;
mod conversation;

pub(crate) use call::AS_SENT;
pub(crate) use conversation::{kind_name, party_name};

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use thiserror::Error;

use super::bodies::{Bodies, BodyError};
use super::conversation::{self as kept_conversation, KeptConversation};
use super::json::{Member, Node, Value};
use super::keep::{Kept, Message, keep};
use super::{EndpointNote, FORMAT, layout, time};
use crate::config::SourceType;
use crate::exchange::{
    After, Coding, Digest, End, Exchange, Fields, Request, RequestHead, Response, ResponseHead,
    Version,
};
use crate::grpc::{Catalog, Descriptors};

/// Why a cassette could not be written. The file begun is then of no use.
#[derive(Debug, Error)]
pub enum WriteError {
    #[error("could not write the cassette")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Body(#[from] BodyError),
    /// An exchange of an endpoint that the cassette doesn't list could never be served.
    #[error("an exchange came through the endpoint `{0}`, which the cassette doesn't list")]
    UnknownEndpoint(String),
}

/// Writes one cassette, exchange by exchange.
pub struct Writer<'b, W> {
    out: W,
    bodies: &'b Bodies,
    endpoints: Vec<String>,
    descriptors: Catalog,
    /// The text of one exchange, reused for the next.
    page: String,
    exchange_count: u64,
    /// Whether a body went to a file, whose name must be made durable.
    stored: bool,
    undecoded: Vec<Undecoded>,
}

/// A body that is kept as it came, because it doesn't decode by the coding that its headers name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecoded {
    /// `the answer to GET /a`, or `the request GET /a`.
    pub whose: String,
    pub coding: Coding,
}

impl<'b, W: Write> Writer<'b, W> {
    /// Writes the head of the cassette. `out` is written in pieces of an exchange and need not
    /// be buffered; making it durable is for its owner.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(out: W, endpoints: &[EndpointNote], bodies: &'b Bodies) -> Result<Self, WriteError> {
        Writer::described(out, endpoints, &Catalog::new(), bodies)
    }

    /// As `new`; the messages of gRPC calls through endpoints that `descriptors` names are shown by
    /// these. The sets are stored in `bodies`, so that the cassette can be read by itself.
    ///
    /// # Errors
    /// See `WriteError`.
    ///
    /// # Blocking
    /// Writes body files.
    pub fn described(
        out: W,
        endpoints: &[EndpointNote],
        descriptors: &Catalog,
        bodies: &'b Bodies,
    ) -> Result<Self, WriteError> {
        let names: Vec<String> = endpoints.iter().map(|note| note.name.clone()).collect();
        let mut descriptors = descriptors.clone();
        descriptors.retain(|name, _| names.contains(name));
        for set in descriptors.values() {
            bodies.store(set.bytes())?;
        }
        let mut writer = Writer {
            out,
            bodies,
            endpoints: names,
            page: String::new(),
            exchange_count: 0,
            stored: !descriptors.is_empty(),
            undecoded: Vec::new(),
            descriptors,
        };
        push_head(&mut writer.page, endpoints, &writer.descriptors);
        writer.flush_page()?;
        Ok(writer)
    }

    /// Adds an exchange. Its bodies may still be coded, as on a tape, or decoded, as `read` gives
    /// them; files that they name must lie in `bodies/`.
    ///
    /// # Errors
    /// See `WriteError`.
    ///
    /// # Blocking
    /// Reads and writes body files.
    pub fn push(&mut self, exchange: &Exchange) -> Result<(), WriteError> {
        self.push_with(exchange, &|_| None)
    }

    /// As `push`, for exchanges whose body files may lie elsewhere: `incoming` says where. A file
    /// that is kept as it is gets renamed into `bodies/`; one that is kept decoded stays where it
    /// is, for its owner to remove.
    ///
    /// # Errors
    /// See `WriteError`.
    ///
    /// # Blocking
    /// Reads and writes body files.
    pub fn push_with(
        &mut self,
        exchange: &Exchange,
        incoming: &dyn Fn(Digest) -> Option<PathBuf>,
    ) -> Result<(), WriteError> {
        if !self.endpoints.contains(&exchange.endpoint) {
            return Err(WriteError::UnknownEndpoint(exchange.endpoint.clone()));
        }
        let method = self
            .descriptors
            .get(&exchange.endpoint)
            .and_then(|set| set.method(&exchange.request.head.target));
        let (input, output) = method.map(|method| (method.input, method.output)).unzip();
        let request = Message::of_request(&exchange.request, input);
        let response = Message::of_response(&exchange.response, output);
        let contents = match exchange.is_conversation() {
            true => Contents::Conversation(kept_conversation::keep(exchange, self.bodies)?),
            false => Contents::Bodies(
                keep(&request, self.bodies, incoming)?,
                keep(&response, self.bodies, incoming)?,
            ),
        };
        self.stored |= contents.is_stored();
        if let Contents::Bodies(request, response) = &contents {
            self.note_undecoded(exchange, "the request", request);
            self.note_undecoded(exchange, "the answer to", response);
        }
        self.page.push_str(if self.exchange_count == 0 { "" } else { "," });
        layout::push_line(&mut self.page, 2);
        push_exchange(&mut self.page, exchange, &contents);
        self.exchange_count += 1;
        self.flush_page()
    }

    fn note_undecoded(&mut self, exchange: &Exchange, whose: &str, kept: &Kept<'_>) {
        if let Some(coding) = kept.undecoded {
            let RequestHead { method, target, .. } = &exchange.request.head;
            let whose = format!("{whose} {method} {target}");
            self.undecoded.push(Undecoded { whose, coding });
        }
    }

    /// Bodies that were kept as they came since this was asked last, because they don't decode.
    pub fn take_undecoded(&mut self) -> Vec<Undecoded> {
        std::mem::take(&mut self.undecoded)
    }

    /// Writes the end and gives `out` back. The names of all body files are durable then.
    ///
    /// # Errors
    /// See `WriteError`.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if self.exchange_count > 0 {
            layout::push_line(&mut self.page, 1);
        }
        self.page.push_str("]\n}\n");
        self.flush_page()?;
        self.out.flush()?;
        if self.stored {
            self.bodies.sync()?;
        }
        Ok(self.out)
    }

    fn flush_page(&mut self) -> Result<(), WriteError> {
        self.out.write_all(self.page.as_bytes())?;
        self.page.clear();
        Ok(())
    }
}

/// What an exchange has besides its heads.
enum Contents<'a> {
    /// Of the request and of the response.
    Bodies(Kept<'a>, Kept<'a>),
    Conversation(KeptConversation),
}

impl Contents<'_> {
    /// Some of it is in `bodies/`.
    fn is_stored(&self) -> bool {
        match self {
            Contents::Bodies(request, response) => {
                request.content.is_stored() || response.content.is_stored()
            }
            Contents::Conversation(conversation) => conversation.is_stored(),
        }
    }
}

/// The members of an object, each on a line of its own.
struct Members<'p> {
    out: &'p mut String,
    level: usize,
    empty: bool,
}

impl<'p> Members<'p> {
    /// Opens an object on a line at `level`.
    fn open(out: &'p mut String, level: usize) -> Self {
        out.push('{');
        Members { out, level: level + 1, empty: true }
    }

    /// Starts a member; its value is to follow.
    fn key(&mut self, key: &str) -> &mut String {
        self.out.push_str(if self.empty { "" } else { "," });
        self.empty = false;
        layout::push_line(self.out, self.level);
        layout::push_text(self.out, key);
        self.out.push_str(": ");
        self.out
    }

    fn text(&mut self, key: &str, text: &str) {
        layout::push_text(self.key(key), text);
    }

    fn number(&mut self, key: &str, number: u64) {
        let mut digits = itoa::Buffer::new();
        self.key(key).push_str(digits.format(number));
    }

    fn close(self) {
        if !self.empty {
            layout::push_line(self.out, self.level - 1);
        }
        self.out.push('}');
    }
}

fn push_head(out: &mut String, endpoints: &[EndpointNote], descriptors: &Catalog) {
    let mut members = Members::open(out, 0);
    members.number("format", FORMAT);
    let list = members.key("endpoints");
    layout::push_block(list, ('[', ']'), endpoints, 1, |out, note| {
        let set = descriptors.get(&note.name).map(|set| &**set);
        layout::push_one_line(out, &endpoint_value(note, set));
    });
    members.key("exchanges").push('[');
}

fn endpoint_value<'a>(note: &'a EndpointNote, descriptors: Option<&Descriptors>) -> Value<'a> {
    let source_type = match note.source_type {
        SourceType::Http => "http",
        SourceType::Https => "https",
    };
    let descriptors = descriptors.map(|set| {
        let len = set.bytes().len() as u64;
        ("grpc_descriptors", stored_value(set.digest(), len))
    });
    let members = [
        ("name", string(&note.name)),
        ("listen", Value::String(note.listen.to_string().into())),
        ("source_type", string(source_type)),
        ("origin", Value::String(note.origin.to_string().into())),
    ];
    object(members.into_iter().chain(descriptors))
}

fn push_exchange(out: &mut String, exchange: &Exchange, contents: &Contents<'_>) {
    let mut members = Members::open(out, 2);
    members.text("endpoint", &exchange.endpoint);
    members.text("recorded_at", &time::write(exchange.recorded_at_ms));
    let (request, response) = match contents {
        Contents::Bodies(request, response) => (Some(request), Some(response)),
        Contents::Conversation(_) => (None, None),
    };
    push_request(members.key("request"), &exchange.request, request);
    push_response(members.key("response"), &exchange.response, response);
    if let Contents::Conversation(conversation) = contents {
        let close = exchange.response.close.as_ref();
        conversation::push_conversation(members.key("conversation"), conversation, close, 3);
    }
    members.close();
}

/// `kept` is `None` in a conversation, whose end is told with it.
fn push_request(out: &mut String, request: &Request, kept: Option<&Kept<'_>>) {
    let mut members = Members::open(out, 3);
    members.text("method", &request.head.method);
    members.text("target", &request.head.target);
    push_version(&mut members, request.head.version);
    push_fields(&mut members, "headers", &request.head.fields);
    if let Some(kept) = kept {
        body::push_body(&mut members, kept);
    }
    push_fields(&mut members, "trailers", &request.trailers);
    if kept.is_some() && !request.is_whole {
        members.key("incomplete").push_str("true");
    }
    members.close();
}

/// `kept` is `None` in a conversation, whose order is told with it.
fn push_response(out: &mut String, response: &Response, kept: Option<&Kept<'_>>) {
    let mut members = Members::open(out, 3);
    members.number("at_ms", millis(response.at));
    if kept.is_some() {
        push_after(&mut members, "after", response.after);
    }
    if !response.interim.is_empty() {
        let list = members.key("interim");
        layout::push_block(list, ('[', ']'), &response.interim, 4, |out, head| {
            let mut members = Members::open(out, 5);
            push_status(&mut members, head);
            members.close();
        });
    }
    push_status(&mut members, &response.head);
    if let Some(kept) = kept {
        body::push_body(&mut members, kept);
    }
    push_fields(&mut members, "trailers", &response.trailers);
    if response.end != End::Whole {
        members.text("end", end_name(response.end));
    }
    if let End::ResetByOrigin(code) = response.end {
        members.text("reset", &code.to_string());
    }
    if kept.is_some() {
        push_after(&mut members, "end_after", response.end_after);
    }
    members.close();
}

fn push_after(members: &mut Members<'_>, key: &str, after: After) {
    if let After::Messages(count) = after {
        members.number(key, u64::from(count));
    }
}

fn push_status(members: &mut Members<'_>, head: &ResponseHead) {
    members.number("status", u64::from(head.status));
    if !head.reason.is_empty() {
        layout::push_value(members.key("reason"), &bytes_value(&head.reason), 4);
    }
    push_version(members, head.version);
    push_fields(members, "headers", &head.fields);
}

fn push_version(members: &mut Members<'_>, version: Version) {
    if version != Version::Http11 {
        members.text("version", version.as_str());
    }
}

/// One pair per line, however long.
fn push_fields(members: &mut Members<'_>, key: &str, fields: &Fields) {
    if fields.is_empty() {
        return;
    }
    let level = members.level;
    let pairs: Vec<_> = fields.iter().collect();
    layout::push_block(members.key(key), ('[', ']'), &pairs, level, |out, field| {
        let pair = Value::Array([field.name, field.value].map(|b| node(bytes_value(b))).into());
        layout::push_one_line(out, &pair);
    });
}

/// Bytes that are mostly text: a string where they are UTF-8.
fn bytes_value(bytes: &[u8]) -> Value<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => string(text),
        Err(_) => object([("base64", base64_value(bytes))]),
    }
}

fn base64_value(bytes: &[u8]) -> Value<'static> {
    Value::String(BASE64_STANDARD.encode(bytes).into())
}

fn stored_value(digest: Digest, len: u64) -> Value<'static> {
    let len = Value::Number(len.to_string().into());
    object([("sha256", Value::String(digest.to_string().into())), ("bytes", len)])
}

fn string(text: &str) -> Value<'_> {
    Value::String(text.into())
}

/// A node that was never at any place.
fn node(value: Value<'_>) -> Node<'_> {
    Node { at: 0, value }
}

fn object<'a>(members: impl IntoIterator<Item = (&'static str, Value<'a>)>) -> Value<'a> {
    let member =
        |(key, value): (&'static str, _)| Member { at: 0, key: key.into(), node: node(value) };
    Value::Object(members.into_iter().map(member).collect())
}

/// Whole milliseconds; what is finer is cut off.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The names of `End::Whole`, which is left out, and of the others.
pub(crate) fn end_name(end: End) -> &'static str {
    match end {
        End::Whole => "whole",
        End::CutByOrigin => "cut_by_origin",
        End::ResetByOrigin(_) => "reset_by_origin",
        End::LeftByClient => "left_by_client",
        End::RecorderKilled => "recorder_killed",
    }
}
