//! From nodes to endpoints and exchanges.
//!
//! Besides shapes, checks what would let a hand-edited text break out of its place when it is
//! sent: names, values, targets and reasons are taken only without the characters that end them.

use std::net::SocketAddr;
use std::time::Duration;

use super::body::{bytes, message_body, stored};
use super::call::{Asked, Reading};
use super::conversation;
use super::keys::{ENDPOINT, EXCHANGE, INTERIM, REQUEST, RESPONSE};
use super::notes::{Notes, Object, Step};
use crate::cassette::call::Side;
use crate::cassette::json::{Node, Value};
use crate::cassette::write::end_name;
use crate::cassette::{EndpointNote, origin, time};
use crate::config::SourceType;
use crate::exchange::{
    After, Digest, End, Exchange, Fields, Request, RequestHead, ResetCode, Response, ResponseHead,
    STATUSES, Version,
};
use crate::grpc::{self, Catalog};
use crate::ws::deflate::{Granted, Terms};
use crate::ws::handshake;

const VERSIONS: [Version; 3] = [Version::Http10, Version::Http11, Version::Http2];

const ENDS: [End; 5] = [
    End::Whole,
    End::CutByOrigin,
    End::ResetByOrigin(ResetCode::INTERNAL_ERROR),
    End::LeftByClient,
    End::RecorderKilled,
];

/// What a conversation tells otherwise: a side of an exchange, and a key there.
const NOT_IN_CONVERSATIONS: [(&str, &str); 3] =
    [("request", "body"), ("request", "incomplete"), ("response", "body")];

/// A descriptor set that an endpoint names.
pub(super) struct NamedSet {
    pub(super) endpoint: String,
    /// Where it is named.
    pub(super) at: usize,
    pub(super) index: usize,
    pub(super) digest: Digest,
    pub(super) len: u64,
}

/// The endpoints, and the descriptor sets that they name.
pub(super) fn endpoints(
    notes: &mut Notes,
    node: &Node<'_>,
    sets: &mut Vec<NamedSet>,
) -> Option<Vec<EndpointNote>> {
    let mut index = 0;
    let mut names: Vec<&str> = Vec::new();
    notes.array(node, "an array of endpoints", |notes, node| {
        index += 1;
        let object = notes.object(node, &ENDPOINT, "an endpoint, which is an object")?;
        let name = notes.required(&object, "name", |notes, node| {
            let name = notes.text(node, "the endpoint's name", |name| !name.is_empty())?;
            if names.contains(&name) {
                notes.expected(node, "a name that no other endpoint has");
                return None;
            }
            names.push(name);
            Some(name.to_owned())
        });
        let listen = notes.required(&object, "listen", |notes, node| {
            let what = "an address and a port such as \"127.0.0.1:8080\"";
            let text = notes.text(node, what, |text| text.parse::<SocketAddr>().is_ok())?;
            text.parse().ok()
        });
        let source_type = notes.required(&object, "source_type", |notes, node| {
            let what = "\"http\" or \"https\"";
            match notes.text(node, what, |text| matches!(text, "http" | "https"))? {
                "https" => Some(SourceType::Https),
                _ => Some(SourceType::Http),
            }
        });
        let origin = notes.required(&object, "origin", |notes, node| {
            let what = "an origin such as \"https://api.example.com:443\"";
            origin::parse(notes.text(node, what, |text| origin::parse(text).is_some())?)
        });
        let descriptors = notes.optional(&object, "grpc_descriptors", None, |notes, node| {
            stored(notes, node).map(|(digest, len)| Some((node.at, digest, len)))
        });
        let name = name?;
        if let Some((at, digest, len)) = descriptors? {
            sets.push(NamedSet { endpoint: name.clone(), at, index: index - 1, digest, len });
        }
        Some(EndpointNote { name, listen: listen?, source_type: source_type?, origin: origin? })
    })
}

/// An exchange, and where it names its endpoint.
pub(super) fn exchange(
    notes: &mut Notes,
    node: &Node<'_>,
    descriptors: &Catalog,
) -> Option<(Exchange, usize)> {
    let object = notes.object(node, &EXCHANGE, "an exchange, which is an object")?;
    let endpoint = notes.required(&object, "endpoint", |notes, node| {
        Some((notes.text(node, "an endpoint's name", |_| true)?.to_owned(), node.at))
    });
    let recorded_at_ms = notes.optional(&object, "recorded_at", 0, |notes, node| {
        let what = "a time such as \"2026-11-20T09:12:33.125Z\"";
        time::parse(notes.text(node, what, |text| time::parse(text).is_some())?)
    });
    let set = endpoint.as_ref().and_then(|(name, _)| descriptors.get(name));
    let mut output = None;
    let request = notes.required(&object, "request", |notes, node| {
        request(notes, node, |target| {
            let method = set.and_then(|set| set.method(target))?;
            output = Some(method.output);
            Some(method.input)
        })
    });
    let conversation = object.member("conversation");
    let asked = request.as_ref().map(|request| Asked {
        is_call: grpc::is_call(&request.head.fields),
        sent: Asked::sent(&request.body),
        kind: output,
    });
    let response = notes.required(&object, "response", |notes, node| {
        response(notes, node, asked.as_ref(), conversation.is_some())
    });
    let granted = response.as_ref().map(|response| Terms::granted(&response.head.fields));
    let inflates = granted.is_none_or(|granted| matches!(granted, Granted::Deflate(_)));
    let fits = conversation.is_none_or(|_| fits_conversation(notes, &object, request.as_ref()));
    let conversation = notes.optional(&object, "conversation", None, |notes, node| {
        conversation::conversation(notes, node, inflates).map(Some)
    });
    let (endpoint, endpoint_at) = endpoint?;
    let (mut request, mut response) = (request?, response?);
    if let Some(conversation) = conversation?.filter(|_| fits) {
        conversation.put_into(&mut request, &mut response);
    }
    let exchange = Exchange { endpoint, recorded_at_ms: recorded_at_ms?, request, response };
    fits.then_some((exchange, endpoint_at))
}

/// Whether nothing stands beside a conversation that can't.
fn fits_conversation(
    notes: &mut Notes,
    exchange: &Object<'_, '_>,
    request: Option<&Request>,
) -> bool {
    let count = notes.count();
    if let Some(member) = exchange.member("conversation")
        && request.is_some_and(|request| !handshake::is_asked_by(&request.head))
    {
        let message = "expected a request that asks for one beside \"conversation\": a GET with \
                       the headers \"Upgrade: websocket\" and \"Connection: Upgrade\"";
        notes.note(member.at, message.to_owned());
    }
    for (side, key) in NOT_IN_CONVERSATIONS {
        let Some(Value::Object(members)) = exchange.get(side).map(|node| &node.value) else {
            continue;
        };
        for member in members.iter().filter(|member| member.key == key) {
            notes.within(Step::Key(side), |notes| {
                let message = format!("expected no key \"{key}\" beside \"conversation\"");
                notes.note(member.at, message);
            });
        }
    }
    notes.count() == count
}

/// `kind_of` says what the messages of a call to a target are.
fn request(
    notes: &mut Notes,
    node: &Node<'_>,
    kind_of: impl FnOnce(&str) -> Option<grpc::MessageType>,
) -> Option<Request> {
    let object = notes.object(node, &REQUEST, "a request, which is an object")?;
    let method = notes.required(&object, "method", |notes, node| {
        Some(notes.text(node, "a method such as \"GET\"", is_token)?.to_owned())
    });
    let target = notes.required(&object, "target", |notes, node| {
        let fits = |text: &str| !text.is_empty() && !text.bytes().any(|b| b <= 0x20 || b == 0x7f);
        Some(notes.text(node, "a request target such as \"/path?query\"", fits)?.to_owned())
    });
    let version = version(notes, &object);
    let fields = fields(notes, &object, "headers");
    let reading = fields
        .as_ref()
        .zip(target.as_ref())
        .map(|(fields, target)| Reading { side: Side::of(fields, kind_of(target)), asked: None });
    let body = message_body(notes, &object, fields.as_ref(), reading.as_ref());
    let trailers = self::fields(notes, &object, "trailers");
    let incomplete = notes.optional(&object, "incomplete", false, |notes, node| {
        let Value::Bool(incomplete) = node.value else {
            notes.expected(node, "true or false");
            return None;
        };
        Some(incomplete)
    });
    let head = RequestHead { method: method?, target: target?, version: version?, fields: fields? };
    let (body, coding) = body?;
    Some(Request { head, body, coding, trailers: trailers?, is_whole: !incomplete? })
}

/// `asked` is `None` where the request is faulty.
fn response(
    notes: &mut Notes,
    node: &Node<'_>,
    asked: Option<&Asked>,
    is_conversation: bool,
) -> Option<Response> {
    let object = notes.object(node, &RESPONSE, "a response, which is an object")?;
    let at = notes.optional(&object, "at_ms", Duration::ZERO, at_ms);
    let after = after(notes, &object, "after", asked);
    let interim = notes.optional(&object, "interim", Vec::new(), |notes, node| {
        notes.array(node, "an array of interim answers", |notes, node| {
            let object = notes.object(node, &INTERIM, "an interim answer, which is an object")?;
            status_line(notes, &object, "a status between 100 and 199 other than 101", |status| {
                matches!(status, 100 | 102..=199)
            })
        })
    });
    let status = object.get("status").and_then(super::notes::whole_number);
    let what = match (is_conversation, status) {
        (true, _) => "101, the status of a conversation",
        (false, Some(101)) => "a status between 200 and 999, since there is no \"conversation\"",
        (false, _) => "a status between 200 and 999",
    };
    let fits = |status| if is_conversation { status == 101 } else { status >= 200 };
    let head = status_line(notes, &object, what, fits);
    let fields = head.as_ref().map(|head| &head.fields);
    let reading = fields.zip(asked).map(|(fields, asked)| Reading {
        side: Side::of(fields, asked.kind.clone()),
        asked: Some(asked),
    });
    let body = message_body(notes, &object, fields, reading.as_ref());
    let trailers = self::fields(notes, &object, "trailers");
    let end_after = self::after(notes, &object, "end_after", asked);
    let end = notes.optional(&object, "end", End::Whole, |notes, node| {
        let names = ENDS.map(|end| format!("\"{}\"", end_name(end))).join(", ");
        let end_of = |text: &str| ENDS.into_iter().find(|end| end_name(*end) == text);
        let text = notes.text(node, &format!("one of {names}"), |text| end_of(text).is_some())?;
        end_of(text)
    });
    let end = end.and_then(|end| with_reset_code(notes, &object, end));
    let (body, coding) = body?;
    Some(Response {
        at: at?,
        after: after?,
        interim: interim?,
        head: head?,
        body,
        coding,
        trailers: trailers?,
        end: end?,
        end_after: end_after?,
        close: None,
    })
}

fn after(
    notes: &mut Notes,
    object: &Object<'_, '_>,
    key: &'static str,
    asked: Option<&Asked>,
) -> Option<After> {
    notes.optional(object, key, After::End, |notes, node| asked?.after(notes, node))
}

/// What an answer that was reset by its origin was reset with.
fn with_reset_code(notes: &mut Notes, object: &Object<'_, '_>, end: End) -> Option<End> {
    let End::ResetByOrigin(usual) = end else {
        if let Some(member) = object.member("reset") {
            let message = "expected \"end\": \"reset_by_origin\" beside \"reset\"";
            notes.note(member.at, message.to_owned());
            return None;
        }
        return Some(end);
    };
    let code = notes.optional(object, "reset", usual, |notes, node| {
        let what = "an error code of HTTP/2 such as \"CANCEL\"";
        ResetCode::from_name(notes.text(node, what, |text| ResetCode::from_name(text).is_some())?)
    });
    code.map(End::ResetByOrigin)
}

/// The four keys that a final answer shares with interim ones.
fn status_line(
    notes: &mut Notes,
    object: &Object<'_, '_>,
    what: &str,
    fits: impl FnOnce(u16) -> bool,
) -> Option<ResponseHead> {
    let status = notes.required(object, "status", |notes, node| {
        let status = super::notes::whole_number(node).and_then(|number| {
            u16::try_from(number).ok().filter(|status| STATUSES.contains(status))
        });
        let status = status.filter(|status| fits(*status));
        if status.is_none() {
            notes.expected(node, what);
        }
        status
    });
    let reason = notes.optional(object, "reason", Vec::new(), |notes, node| {
        let reason = bytes(notes, node, "a reason such as \"OK\"")?;
        let fits = stays_in_line(&reason);
        if !fits {
            notes.expected(node, "a reason without line breaks");
        }
        fits.then_some(reason)
    });
    let version = version(notes, object);
    let fields = fields(notes, object, "headers");
    Some(ResponseHead { version: version?, status: status?, reason: reason?, fields: fields? })
}

fn version(notes: &mut Notes, object: &Object<'_, '_>) -> Option<Version> {
    notes.optional(object, "version", Version::Http11, |notes, node| {
        let version_of = |text: &str| VERSIONS.into_iter().find(|v| v.as_str() == text);
        let what = "one of \"HTTP/1.0\", \"HTTP/1.1\", \"HTTP/2\"";
        version_of(notes.text(node, what, |text| version_of(text).is_some())?)
    })
}

pub(super) fn at_ms(notes: &mut Notes, node: &Node<'_>) -> Option<Duration> {
    let ms = notes.number(node, "a whole number of milliseconds", 0..=u64::MAX)?;
    Some(Duration::from_millis(ms))
}

/// Headers or trailers: an array of pairs.
fn fields(notes: &mut Notes, object: &Object<'_, '_>, key: &'static str) -> Option<Fields> {
    notes.optional(object, key, Fields::new(), |notes, node| {
        let mut fields = Fields::new();
        let pairs = notes.array(node, "an array of [name, value] pairs", |notes, node| {
            let pair = match &node.value {
                Value::Array(pair) => <&[Node<'_>; 2]>::try_from(&**pair).ok(),
                _ => None,
            };
            let Some([name, value]) = pair else {
                notes.expected(node, "a pair such as [\"Content-Type\", \"text/plain\"]");
                return None;
            };
            let name = notes.within(Step::Index(0), |notes| {
                notes.text(name, "a field name such as \"Content-Type\"", is_token)
            });
            let value = notes.within(Step::Index(1), |notes| field_value(notes, value));
            fields.push(name?, value?);
            Some(())
        });
        pairs.map(|_| fields)
    })
}

fn field_value(notes: &mut Notes, node: &Node<'_>) -> Option<Vec<u8>> {
    let value = bytes(notes, node, "a field value, which is a string")?;
    let fits = stays_in_line(&value);
    if !fits {
        notes.expected(node, "a field value without line breaks");
    }
    fits.then_some(value)
}

/// RFC 9110 section 5.5: these three would end the field or be taken for its end.
fn stays_in_line(value: &[u8]) -> bool {
    !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}
