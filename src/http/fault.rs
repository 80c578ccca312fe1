//! Every way in which an exchange fails, and the answer that Ouli makes of it.
//!
//! One total `match` each from fault to name, HTTP status and title; the names are public. The body
//! is a problem document (RFC 9457).

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS};

use crate::exchange::{Fields, ResponseHead};
use crate::http1::Refusal;
use crate::http2::heads::Refused;

/// What went wrong; `whose` says on whose side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    Miss,
    BadRequest,
    BadSession,
    HeadTooLarge,
    UriTooLong,
    BodyTooLarge,
    RequestTimeout,
    OriginUnreachable,
    OriginBrokeOff,
    OriginTimeout,
    Overloaded,
    Draining,
    TapeUnavailable,
    BadCassette,
    Internal,
}

/// On whose side a fault lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Client,
    Origin,
    Recording,
    Ouli,
}

impl Fault {
    pub const ALL: [Fault; 15] = [
        Fault::Miss,
        Fault::BadRequest,
        Fault::BadSession,
        Fault::HeadTooLarge,
        Fault::UriTooLong,
        Fault::BodyTooLarge,
        Fault::RequestTimeout,
        Fault::OriginUnreachable,
        Fault::OriginBrokeOff,
        Fault::OriginTimeout,
        Fault::Overloaded,
        Fault::Draining,
        Fault::TapeUnavailable,
        Fault::BadCassette,
        Fault::Internal,
    ];

    /// The value of the `ouli-fault` header.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Miss => "miss",
            Fault::BadRequest => "bad-request",
            Fault::BadSession => "bad-session",
            Fault::HeadTooLarge => "head-too-large",
            Fault::UriTooLong => "uri-too-long",
            Fault::BodyTooLarge => "body-too-large",
            Fault::RequestTimeout => "request-timeout",
            Fault::OriginUnreachable => "origin-unreachable",
            Fault::OriginBrokeOff => "origin-broke-off",
            Fault::OriginTimeout => "origin-timeout",
            Fault::Overloaded => "overloaded",
            Fault::Draining => "draining",
            Fault::TapeUnavailable => "tape-unavailable",
            Fault::BadCassette => "bad-cassette",
            Fault::Internal => "internal",
        }
    }

    pub fn status(self) -> u16 {
        match self {
            Fault::Miss => 501,
            Fault::BadRequest | Fault::BadSession => 400,
            Fault::HeadTooLarge => 431,
            Fault::UriTooLong => 414,
            Fault::BodyTooLarge => 413,
            Fault::RequestTimeout => 408,
            Fault::OriginUnreachable | Fault::OriginBrokeOff => 502,
            Fault::OriginTimeout => 504,
            Fault::Overloaded | Fault::Draining | Fault::TapeUnavailable => 503,
            Fault::BadCassette | Fault::Internal => 500,
        }
    }

    pub fn reason(self) -> &'static str {
        match self.status() {
            400 => "Bad Request",
            408 => "Request Timeout",
            413 => "Content Too Large",
            414 => "URI Too Long",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "Internal Server Error",
        }
    }

    /// The status of a gRPC call that ends with it.
    pub fn grpc_status(self) -> u8 {
        match self {
            Fault::Miss => 12,                          // UNIMPLEMENTED
            Fault::BadRequest | Fault::BadSession => 3, // INVALID_ARGUMENT
            Fault::HeadTooLarge | Fault::UriTooLong | Fault::BodyTooLarge => 8, // RESOURCE_EXHAUSTED
            Fault::RequestTimeout | Fault::OriginTimeout => 4,                  // DEADLINE_EXCEEDED
            Fault::OriginUnreachable | Fault::OriginBrokeOff => 14,             // UNAVAILABLE
            Fault::Overloaded | Fault::Draining | Fault::TapeUnavailable => 14, // UNAVAILABLE
            Fault::BadCassette | Fault::Internal => 13,                         // INTERNAL
        }
    }

    /// What a person reads first.
    pub fn title(self) -> &'static str {
        match self {
            Fault::Miss => "No recording answers this request",
            Fault::BadRequest => "The request is malformed",
            Fault::BadSession => "The session name can't be used",
            Fault::HeadTooLarge => "The request head is too large",
            Fault::UriTooLong => "The request target is too long",
            Fault::BodyTooLarge => "The request body is too large",
            Fault::RequestTimeout => "The request did not arrive in time",
            Fault::OriginUnreachable => "The origin can't be reached",
            Fault::OriginBrokeOff => "The origin broke off before it answered",
            Fault::OriginTimeout => "The origin did not answer in time",
            Fault::Overloaded => "Too many requests are being served",
            Fault::Draining => "Ouli is shutting down",
            Fault::TapeUnavailable => "The exchange can't be recorded",
            Fault::BadCassette => "The cassette of this session is broken",
            Fault::Internal => "Ouli failed on this request",
        }
    }

    pub fn whose(self) -> Whose {
        match self {
            Fault::BadRequest
            | Fault::BadSession
            | Fault::HeadTooLarge
            | Fault::UriTooLong
            | Fault::BodyTooLarge
            | Fault::RequestTimeout => Whose::Client,
            Fault::OriginUnreachable | Fault::OriginBrokeOff | Fault::OriginTimeout => {
                Whose::Origin
            }
            Fault::Miss | Fault::BadCassette => Whose::Recording,
            Fault::Overloaded | Fault::Draining | Fault::TapeUnavailable | Fault::Internal => {
                Whose::Ouli
            }
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a `grpc-message` escapes besides what isn't ASCII: controls and the percent sign.
const MESSAGE_ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// A fault with what a person needs to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub fault: Fault,
    pub detail: String,
    pub hint: Option<String>,
    /// Further members of the problem document, already JSON: `("nearest", {...})`.
    pub members: Vec<(&'static str, serde_json::Value)>,
}

impl Problem {
    pub fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Problem { fault, detail: detail.into(), hint: None, members: Vec::new() }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn hint_if(self, hint: Option<&str>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    pub fn member(mut self, name: &'static str, value: serde_json::Value) -> Self {
        self.members.push((name, value));
        self
    }

    /// The answer without framing fields, and its body.
    pub fn answer(&self) -> (ResponseHead, Vec<u8>) {
        let mut fields = Fields::new();
        fields.push("content-type", "application/problem+json");
        fields.push("ouli-fault", self.fault.name());
        match self.fault {
            // SDKs retry 5xx answers unless told otherwise; a miss stays a miss.
            Fault::Miss => fields.push("x-should-retry", "false"),
            Fault::Overloaded | Fault::Draining => fields.push("retry-after", "1"),
            _ => {}
        }
        let head = ResponseHead {
            status: self.fault.status(),
            reason: self.fault.reason().into(),
            fields,
            ..ResponseHead::default()
        };
        (head, self.document())
    }

    /// As the answer to a gRPC call, which ends with its head.
    pub fn grpc_answer(&self) -> ResponseHead {
        let mut fields = Fields::new();
        fields.push("content-type", "application/grpc");
        self.push_grpc(&mut fields);
        ResponseHead { status: 200, reason: b"OK".to_vec(), fields, ..ResponseHead::default() }
    }

    /// As the end of a gRPC call whose answer has begun.
    pub fn grpc_trailers(&self) -> Fields {
        let mut fields = Fields::new();
        self.push_grpc(&mut fields);
        fields
    }

    fn push_grpc(&self, fields: &mut Fields) {
        fields.push("grpc-status", itoa::Buffer::new().format(self.fault.grpc_status()));
        fields.push("grpc-message", self.grpc_message());
        fields.push("ouli-fault", self.fault.name());
    }

    /// One line, percent-encoded (gRPC over HTTP2, Status-Message), short enough for clients that
    /// take 8 KiB of metadata.
    fn grpc_message(&self) -> String {
        const BYTES_MAX: usize = 2 << 10;
        let mut text = format!("{}: {}", self.fault.title(), self.detail);
        if let Some(hint) = &self.hint {
            text.push_str("; ");
            text.push_str(hint);
        }
        text.truncate(text.floor_char_boundary(BYTES_MAX));
        percent_encoding::utf8_percent_encode(&text, MESSAGE_ESCAPED).to_string()
    }

    fn document(&self) -> Vec<u8> {
        let mut members = serde_json::Map::new();
        members.insert("title".into(), self.fault.title().into());
        members.insert("status".into(), self.fault.status().into());
        members.insert("fault".into(), self.fault.name().into());
        members.insert("detail".into(), self.detail.as_str().into());
        if let Some(hint) = &self.hint {
            members.insert("hint".into(), hint.as_str().into());
        }
        for (name, value) in &self.members {
            members.insert((*name).into(), value.clone());
        }
        let mut text = serde_json::to_vec_pretty(&members).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let fault = if refusal.is_target_too_long() {
            Fault::UriTooLong
        } else if refusal.is_too_large() {
            Fault::HeadTooLarge
        } else {
            Fault::BadRequest
        };
        Problem::new(fault, refusal.to_string())
    }
}

impl From<&Refused> for Problem {
    fn from(refused: &Refused) -> Self {
        let fault = match refused {
            Refused::TargetTooLong(_) => Fault::UriTooLong,
            Refused::TooLarge(_) | Refused::TooManyFields(_) => Fault::HeadTooLarge,
            Refused::UnknownProtocol
            | Refused::HostDisagrees
            | Refused::SeveralHosts
            | Refused::BadHost => Fault::BadRequest,
        };
        Problem::new(fault, refused.to_string())
    }
}

/// How often each fault was answered.
#[derive(Debug, Default)]
pub struct Tally([std::sync::atomic::AtomicU64; Fault::ALL.len()]);

impl Tally {
    pub fn count(&self, fault: Fault) {
        self.0[fault.index()].fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    pub fn count_of(&self, fault: Fault) -> u64 {
        self.0[fault.index()].load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The faults that occurred, with how often.
    pub fn counts(&self) -> impl Iterator<Item = (Fault, u64)> {
        let counted = Fault::ALL.into_iter().map(|fault| (fault, self.count_of(fault)));
        counted.filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_own_name_and_an_error_status() {
        let mut names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
        for (position, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault.index(), position);
            assert!((400..600).contains(&fault.status()), "{fault}");
        }
    }

    #[test]
    fn a_miss_asks_not_to_be_retried() {
        let (head, body) = Problem::new(Fault::Miss, "GET /a").hint("record it").answer();
        assert_eq!(head.status, 501);
        assert_eq!(head.fields.get("x-should-retry"), Some(&b"false"[..]));
        assert_eq!(head.fields.get("ouli-fault"), Some(&b"miss"[..]));
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["detail"], "GET /a");
        assert_eq!(document["hint"], "record it");
    }

    #[test]
    fn a_call_is_told_in_its_own_terms() {
        let problem = Problem::new(Fault::Miss, "message 2 differs: 100% \u{fc}\n").hint("look");
        let head = problem.grpc_answer();
        assert_eq!(head.status, 200);
        assert_eq!(head.fields.get("grpc-status"), Some(&b"12"[..]));
        let expected = "No recording answers this request: \
                        message 2 differs: 100%25 %C3%BC%0A; look";
        assert_eq!(head.fields.get("grpc-message"), Some(expected.as_bytes()));
        let long = Problem::new(Fault::Internal, "\u{fc}".repeat(5000)).grpc_trailers();
        assert!(long.get("grpc-message").unwrap().len() < 8 << 10);
    }

    #[test]
    fn a_tally_lists_only_what_occurred() {
        let tally = Tally::default();
        tally.count(Fault::Miss);
        tally.count(Fault::Miss);
        assert_eq!(tally.counts().collect::<Vec<_>>(), [(Fault::Miss, 2)]);
    }
}
