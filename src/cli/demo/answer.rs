//! What the demo's program got, whatever it was spoken in.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Context, Result};

use super::conversation::Message;
use super::http1::Content;
use crate::coding::{self, Extent};
use crate::exchange::{Fields, ResponseHead};
use crate::ws::{close, handshake};

/// Decoded bytes of an answer at most.
const DECODED_MAX: u64 = 1 << 20;

/// What a program sees of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In their order, without those that only frame the body on this connection.
    pub(super) fields: Fields,
    pub(super) body: Body,
    pub(super) trailers: Fields,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Its content coding taken off.
    Whole(Vec<u8>),
    /// Of a gRPC call, their prefixes taken off.
    Messages(Vec<Vec<u8>>),
    /// What was heard in a WebSocket conversation.
    Conversation { messages: Vec<Message>, closed: close::Said },
}

pub(super) struct Played {
    pub(super) answer: Answer,
    /// From the request's first byte to the answer's last.
    pub(super) took: Duration,
}

impl Answer {
    pub(super) fn of_request(head: &ResponseHead, content: Content) -> Result<Answer> {
        let body = match coding::of(&head.fields) {
            Some(coding) => coding::decode(coding, &content.body, Extent::Whole, DECODED_MAX)
                .with_context(|| format!("its {} content doesn't decode", coding.name()))?,
            None => content.body,
        };
        Ok(Answer {
            status: head.status,
            fields: unframed(&head.fields),
            body: Body::Whole(body),
            trailers: content.trailers,
        })
    }

    pub(super) fn of_call(head: &ResponseHead, messages: Vec<Vec<u8>>, trailers: Fields) -> Answer {
        let (status, fields) = (head.status, unframed(&head.fields));
        Answer { status, fields, body: Body::Messages(messages), trailers }
    }

    pub(super) fn of_conversation(
        head: &ResponseHead,
        messages: Vec<Message>,
        closed: close::Said,
    ) -> Answer {
        let body = Body::Conversation { messages, closed };
        Answer {
            status: head.status,
            fields: unframed(&head.fields),
            body,
            trailers: Fields::new(),
        }
    }

    /// The origin did what it was asked for.
    pub(super) fn is_fine(&self) -> bool {
        let is_fine = match &self.body {
            Body::Whole(_) => self.status == 200,
            Body::Messages(_) => {
                self.status == 200 && self.trailers.get("grpc-status") == Some(b"0")
            }
            // Over HTTP/2 it is granted with 200 (RFC 8441 section 5).
            Body::Conversation { closed, .. } => {
                matches!(self.status, 101 | 200) && closed.code == Some(close::NORMAL)
            }
        };
        is_fine && !self.is_fault()
    }

    /// Ouli made this answer itself, or the end of it, because of a fault.
    pub(super) fn is_fault(&self) -> bool {
        // A call's or a conversation's may come after messages.
        self.fields.contains("ouli-fault")
            || self.trailers.contains("ouli-fault")
            || self.is_closed_by_policy()
    }

    /// So Ouli closes what goes on otherwise than recorded; the origin never does.
    fn is_closed_by_policy(&self) -> bool {
        match &self.body {
            Body::Conversation { closed, .. } => closed.code == Some(close::POLICY_VIOLATION),
            Body::Whole(_) | Body::Messages(_) => false,
        }
    }

    /// What it says of a fault.
    pub(super) fn explanation(&self) -> Cow<'_, str> {
        let text = match &self.body {
            Body::Whole(body) => body.as_slice(),
            Body::Messages(_) => {
                let told = [&self.trailers, &self.fields].map(|fields| fields.get("grpc-message"));
                told.into_iter().flatten().next().unwrap_or_default()
            }
            Body::Conversation { closed, .. } => closed.reason.as_bytes(),
        };
        String::from_utf8_lossy(text.trim_ascii_end())
    }
}

impl Body {
    /// Bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Body::Whole(bytes) => bytes.len(),
            Body::Messages(messages) => messages.iter().map(Vec::len).sum(),
            Body::Conversation { messages, .. } => {
                messages.iter().map(|message| message.payload.len()).sum()
            }
        }
    }
}

fn unframed(fields: &Fields) -> Fields {
    /// These say how bytes are cut on one connection; a recoded body may have another length, and
    /// a handshake has another key each time.
    const FRAMING: [&str; 5] =
        ["content-length", "transfer-encoding", "connection", "upgrade", handshake::ACCEPT];
    let kept = fields.iter().filter(|field| !FRAMING.iter().any(|name| field.is(name)));
    kept.map(|field| (field.name, field.value)).collect()
}
