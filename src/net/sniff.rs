//! Which protocol a connection's first bytes speak.
//!
//! Pure. The bytes stay where they are: whoever asked hands them to the codec it chose.

/// The client connection preface (RFC 9113 section 3.4).
pub const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Content type "handshake" and the legacy major version of a TLS record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// Too few bytes to tell.
    NeedMore,
    /// HTTP/1.x, or nothing known: its codec has the words to refuse it.
    Http1,
    Http2Preface,
    Tls,
}

/// Decides on at most the preface's 24 bytes; nearly always on the first.
pub fn classify(bytes: &[u8]) -> Sniffed {
    if bytes.starts_with(HTTP2_PREFACE) {
        Sniffed::Http2Preface
    } else if bytes.starts_with(TLS_HANDSHAKE) {
        Sniffed::Tls
    } else if HTTP2_PREFACE.starts_with(bytes) || TLS_HANDSHAKE.starts_with(bytes) {
        Sniffed::NeedMore
    } else {
        Sniffed::Http1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        let table: &[(&[u8], Sniffed)] = &[
            (b"", Sniffed::NeedMore),
            (b"G", Sniffed::Http1),
            (b"GET / HTTP/1.1\r\n", Sniffed::Http1),
            (b"\r\nGET / HTTP/1.1\r\n", Sniffed::Http1),
            (b"P", Sniffed::NeedMore),
            (b"PO", Sniffed::Http1),
            (b"PRI", Sniffed::NeedMore),
            (b"PROPFIND", Sniffed::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", Sniffed::NeedMore),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Sniffed::Http2Preface),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04", Sniffed::Http2Preface),
            (b"PRI * HTTP/1.1\r\n\r\n", Sniffed::Http1),
            (b"\x16", Sniffed::NeedMore),
            (b"\x16\x03\x01\x02\x00", Sniffed::Tls),
            (b"\x16\x04", Sniffed::Http1),
            (b"\x80\x2e\x01", Sniffed::Http1),
        ];
        for (bytes, expected) in table {
            assert_eq!(classify(bytes), *expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_decided_stays_decided_when_more_bytes_come() {
        for whole in [HTTP2_PREFACE, b"PUT /x HTTP/1.1\r\n\r\n", b"\x16\x03\x03\x00\x2f\x01"] {
            let decided = classify(whole);
            for end in 0..whole.len() {
                let early = classify(&whole[..end]);
                assert!(early == Sniffed::NeedMore || early == decided, "at {end}");
            }
        }
    }
}
