//! When two requests count as the same: the match key, and how far a missed request is from the
//! nearest recorded one.
//!
//! Pure. A key is a byte string; equal keys are equal requests and the other way round, so
//! whoever looks keys up compares them whole. It covers endpoint, method, path, query and body;
//! header fields count only where a rule names them, and today none does. The key of a gRPC call
//! is that of its head, and the key of a WebSocket conversation that of its handshake, where the
//! subprotocols offered count too: the messages of both have prints of their own, compared as they
//! come.
//!
//! Both sides go the same way: a recorded request gets its key from the same functions as a live
//! one. Invariants, each a property test: the key doesn't move with the order of the query, with
//! percent-encoding of unreserved characters, with order and white space in JSON, with the
//! boundary of a multipart body, with the chunks a body comes in, with its content coding, or
//! with redaction.

mod body;
mod coded;
pub mod difference;
mod form;
pub mod handshake;
mod json;
pub mod key;
mod message;
mod multipart;
pub mod nearest;
mod target;

pub use body::{BodyKey, BodyPrint, Bounds};
pub use difference::Differences;
pub use message::{Canonical, MessageKey, MessagePrint, Method, PRINT_BYTES};

/// What of a request counts.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The endpoint's name.
    pub endpoint: &'a str,
    pub method: &'a str,
    /// As sent, in origin, absolute or asterisk form; redacted or not.
    pub target: &'a str,
    pub body: BodyPrint<'a>,
}

#[cfg(test)]
mod tests;
