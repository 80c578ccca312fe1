//! An origin as a cassette names it: `https://api.example.com:443`.

use std::net::Ipv6Addr;

use crate::config::{Scheme, Target};

/// The port may be left out where the scheme has one of its own. `None` where a scheme, a host or
/// a port can't be made out, or something follows.
pub(crate) fn parse(text: &str) -> Option<Target> {
    let (scheme, authority) = text.split_once("://")?;
    let scheme = Scheme::ALL.into_iter().find(|known| known.as_str() == scheme)?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host.parse::<Ipv6Addr>().ok()?.to_string(), port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            (is_name(host).then(|| host.to_ascii_lowercase())?, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        None if port.is_empty() => scheme.default_port(),
        _ => return None,
    };
    (port != 0).then_some(Target { scheme, host, port })
}

fn is_name(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !host.is_empty() && host.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_come_back_as_written() {
        for text in ["http://127.0.0.1:8080", "https://api.example.com:443", "h2c://[::1]:50051"] {
            assert_eq!(parse(text).map(|target| target.to_string()).as_deref(), Some(text));
        }
        assert_eq!(parse("https://API.example.com"), parse("https://api.example.com:443"));
    }

    #[test]
    fn what_is_no_origin_is_none() {
        for text in [
            "",
            "https://",
            "example.com",
            "ftp://x:1",
            "http://x:",
            "http://x:0",
            "http://x:65536",
            "http://x:+1",
            "http://x/path",
            "http://u@x",
            "http://[::1",
            "http://[x]:1",
            "http://[::1]x",
            "http://a b",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
