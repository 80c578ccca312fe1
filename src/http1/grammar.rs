//! The characters that RFC 9110 and 9112 allow in each place, and the shape of a host.
//!
//! One table per class, so that the scanner, the parser, the writer and whoever checks a
//! hand-written cassette mean the same by "a field value".

const TOKEN: u8 = 1;
const FIELD_VALUE: u8 = 2;
const TARGET: u8 = 4;
const HOST: u8 = 8;

/// For each byte the classes that it belongs to.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        // tchar (RFC 9110 section 5.6.2).
        if b.is_ascii_alphanumeric() || is_one_of(b, b"!#$%&'*+-.^_`|~") {
            table[byte] |= TOKEN;
        }
        // field-vchar, SP and HTAB (RFC 9110 section 5.5); obs-text is kept, not interpreted.
        if b == b'\t' || (b >= b' ' && b != 0x7f) {
            table[byte] |= FIELD_VALUE;
        }
        // Visible ASCII. Stricter than most: no bytes over 0x7F, and no fragment, which a target
        // never has (RFC 9112 section 3.2). More lenient than RFC 3986: clients send `|` and `"`
        // as they are, and they arrive as they are.
        if b > b' ' && b < 0x7f && b != b'#' {
            table[byte] |= TARGET;
        }
        // unreserved, sub-delims and `%` (RFC 3986 section 3.2.2).
        if b.is_ascii_alphanumeric() || is_one_of(b, b"-._~!$&'()*+,;=%") {
            table[byte] |= HOST;
        }
        byte += 1;
    }
    table
}

const fn is_one_of(byte: u8, set: &[u8]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

fn has_class(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    has_class(byte, TOKEN)
}

pub(super) fn is_field_value_byte(byte: u8) -> bool {
    has_class(byte, FIELD_VALUE)
}

pub(super) fn is_target_byte(byte: u8) -> bool {
    has_class(byte, TARGET)
}

/// The white space that may stand around a field value (RFC 9110 section 5.6.3).
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Whether this can be a method or a field name (RFC 9110 section 5.6.2).
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// Whether this can be a field value as a parser hands it out: no control characters but HTAB, no
/// white space around it (RFC 9110 section 5.5). Empty is fine.
pub fn is_field_value(text: &[u8]) -> bool {
    text.iter().all(|&byte| is_field_value_byte(byte))
        && !text.first().is_some_and(|&byte| is_blank(byte))
        && !text.last().is_some_and(|&byte| is_blank(byte))
}

/// Whether this is `uri-host [ ":" port ]` (RFC 9110 section 7.2). Empty is fine: it is what a
/// client sends when its target has no authority (RFC 9112 section 3.2).
pub fn is_host(text: &[u8]) -> bool {
    let (is_host_valid, rest) = match text {
        [b'[', inner @ ..] => match memchr::memchr(b']', inner) {
            Some(end) => {
                let (literal, rest) = inner.split_at(end);
                (is_ip_literal(literal), rest.get(1..).unwrap_or_default())
            }
            None => return false,
        },
        _ => {
            let end = memchr::memchr(b':', text).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            // A port alone names nothing.
            (is_reg_name(name) && (end > 0 || rest.is_empty()), rest)
        }
    };
    is_host_valid
        && match rest {
            [] => true,
            [b':', port @ ..] => is_port(port),
            _ => false,
        }
}

/// What stands between `[` and `]`: an IPv6 address, perhaps with a zone, or IPvFuture
/// (RFC 3986 section 3.2.2). Its digits are the resolver's affair.
fn is_ip_literal(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| byte == b':' || has_class(byte, HOST))
}

fn is_reg_name(text: &[u8]) -> bool {
    text.iter().all(|&byte| has_class(byte, HOST))
}

/// `*DIGIT`, and a port (RFC 3986 section 3.2.3).
fn is_port(text: &[u8]) -> bool {
    let value = text.iter().try_fold(0u32, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    });
    value.is_some_and(|value| value <= u32::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_a_name_or_literal_and_a_port() {
        for good in [
            "",
            "a",
            "a.example",
            "a:80",
            "a:",
            "127.0.0.1:0",
            "[::1]",
            "[::1]:8080",
            "[fe80::1%25eth0]",
            "under_score",
            "xn--bcher-kva.example",
            "a%20b",
            "a:65535",
            "a:00080",
        ] {
            assert!(is_host(good.as_bytes()), "{good:?}");
        }
        for bad in [
            "a b",
            "a/",
            "/",
            "user@a",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:99999999999",
            "::1",
            ":80",
            "[::1",
            "[]",
            "[::1]x",
            "[::1]:x",
            "[a b]",
            "a,b:80x",
            "a?b",
            "a#b",
            "a\\b",
            "\u{e9}",
            "a\t",
            "http://a",
            "a:+80",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn field_values_have_no_controls_and_no_white_space_around_them() {
        for good in ["", "a", "a b", "a\tb", "\u{e9}", "\"x\\\""] {
            assert!(is_field_value(good.as_bytes()), "{good:?}");
        }
        for bad in [" a", "a ", "\ta", "a\r\nb: c", "a\nb", "\0", "\x7f", "\x1b[0m"] {
            assert!(!is_field_value(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn tokens_are_what_rfc_9110_lists() {
        assert!(is_token(b"GET") && is_token(b"X-y_1!#$%&'*+.^`|~"));
        for bad in ["", "a b", "a:", "(a)", "a/b", "a\"", "\u{e9}", "a\0", "a@b", "a[", "a{"] {
            assert!(!is_token(bad.as_bytes()), "{bad:?}");
        }
    }
}
