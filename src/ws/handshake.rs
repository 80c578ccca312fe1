//! The opening handshake (RFC 6455 section 4, RFC 8441 section 5): what asks for a conversation,
//! and what grants one.
//!
//! Pure. A handshake stands in the terms of HTTP/1.1 here, over whatever version it is made.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha1::{Digest as _, Sha1};

use crate::exchange::{Fields, RequestHead, ResponseHead, Version};
use crate::http1::framing::list_members;

/// What `Upgrade` and `:protocol` say.
pub const PROTOCOL: &str = "websocket";

/// The only version there is.
pub const VERSION: &str = "13";

pub const KEY: &str = "sec-websocket-key";
pub const ACCEPT: &str = "sec-websocket-accept";
pub const SUBPROTOCOL: &str = "sec-websocket-protocol";
pub const EXTENSIONS: &str = "sec-websocket-extensions";
pub const VERSIONS: &str = "sec-websocket-version";

/// Appended to a key before it is digested (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a request asks for a conversation (RFC 6455 section 4.2.1). What else it must have is
/// for the origin to judge.
pub fn is_asked_by(head: &RequestHead) -> bool {
    head.method == "GET"
        && head.version != Version::Http10
        && has_member(&head.fields, "upgrade", PROTOCOL)
        && has_member(&head.fields, "connection", "upgrade")
}

/// Whether an answer in the terms of HTTP/1.1 grants it.
pub fn is_granted_by(head: &ResponseHead) -> bool {
    head.status == 101 && has_member(&head.fields, "upgrade", PROTOCOL)
}

fn has_member(fields: &Fields, name: &str, member: &str) -> bool {
    list_members(fields, name).any(|found| found.eq_ignore_ascii_case(member.as_bytes()))
}

/// Whether the answer is to this key.
pub fn is_accepted(head: &ResponseHead, key: &str) -> bool {
    head.fields.get(ACCEPT).is_some_and(|answer| answer == accept(key.as_bytes()).as_bytes())
}

/// What a server answers to a client's key.
pub fn accept(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    BASE64_STANDARD.encode(digest)
}

/// A key for a handshake that Ouli makes, of 16 random bytes.
pub fn key(random: [u8; 16]) -> String {
    BASE64_STANDARD.encode(random)
}

/// Whether a client's key is one: 16 bytes in base64 (RFC 6455 section 4.2.1).
pub fn is_key(key: &[u8]) -> bool {
    BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

/// The subprotocols that a client offers, in its order: what of a handshake counts besides method,
/// path and query.
pub fn subprotocols(fields: &Fields) -> impl Iterator<Item = &[u8]> {
    list_members(fields, SUBPROTOCOL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(fields: &[(&str, &str)]) -> RequestHead {
        let fields = fields.iter().copied().collect();
        RequestHead { method: "GET".into(), target: "/".into(), fields, ..RequestHead::default() }
    }

    #[test]
    fn the_key_of_the_rfc_is_answered_as_there() {
        // RFC 6455 section 1.3.
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key(key([7; 16]).as_bytes()));
        assert!(!is_key(b"dGhlIHNhbXBsZSBub25jZ") && !is_key(b"AAAA"));
    }

    #[test]
    fn both_fields_and_the_method_ask_for_a_conversation() {
        let both = [("Upgrade", "h2c, WebSocket"), ("Connection", "keep-alive, Upgrade")];
        assert!(is_asked_by(&asking(&both)));
        assert!(!is_asked_by(&asking(&both[..1])) && !is_asked_by(&asking(&both[1..])));
        assert!(!is_asked_by(&RequestHead { method: "POST".into(), ..asking(&both) }));
        assert!(!is_asked_by(&RequestHead { version: Version::Http10, ..asking(&both) }));
    }
}
