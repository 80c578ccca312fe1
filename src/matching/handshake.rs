//! What of a handshake for a WebSocket conversation counts besides method, path and query: the
//! subprotocols that it offers, in its order, because an origin takes the first that suits it.

use crate::exchange::Fields;
use crate::redact::Redactor;
use crate::ws::handshake;

/// The offer of a handshake with these fields, as it stands in a key: `chat, superchat`; empty
/// where it offers none. A recording holds redacted fields, so live ones count as redacted too.
pub fn offered(fields: &Fields, redactor: &Redactor) -> Vec<u8> {
    let mut redacted = Fields::new();
    for value in fields.get_all(handshake::SUBPROTOCOL) {
        let name = handshake::SUBPROTOCOL;
        redacted.push(name, redactor.value(name.as_bytes(), value));
    }
    handshake::subprotocols(&redacted).collect::<Vec<_>>().join(&b", "[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(redactor: &Redactor, lines: &[&str]) -> String {
        let fields = lines.iter().map(|line| ("Sec-WebSocket-Protocol", *line)).collect();
        String::from_utf8(offered(&fields, redactor)).unwrap()
    }

    #[test]
    fn lines_and_white_space_do_not_count() {
        let redactor = Redactor::default();
        assert_eq!(offer(&redactor, &["a,b", " c"]), "a, b, c");
        assert_eq!(offer(&redactor, &["a , b,, c "]), "a, b, c");
        assert_eq!(offer(&redactor, &["c, b, a"]), "c, b, a");
        assert_eq!(offer(&redactor, &[]), "");
        assert_eq!(offer(&redactor, &[" , "]), "");
    }

    #[test]
    fn a_token_in_it_that_is_kept_out_of_recordings_does_not_count() {
        let redactor = Redactor::new(["sec-websocket-protocol"]);
        let recorded = offer(&redactor, &["REDACTED", "REDACTED"]);
        assert_eq!(offer(&redactor, &["bearer, secret1", "b"]), recorded);
        assert_ne!(offer(&redactor, &["bearer, secret1"]), recorded);
    }
}
