//! Hosts and addresses, from a file or from ORIGIN. Pure; asks no resolver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::units::Unreadable;

/// Checks a DNS name or IP address and gives it as `Target` keeps it: lower case, an IPv6 address
/// without brackets in its canonical form.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub(crate) fn parse_host(text: &str) -> Result<String, Unreadable> {
    let refuse = |reason: &str, hint: &str| Err(unreadable(reason, hint));
    if text.is_empty() {
        return refuse("expected a host", "write a name such as `api.example.com`");
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or(rest);
        return Err(unreadable(
            "expected a host alone",
            format!("write `{host}`, and the scheme `{scheme}` as `target_type`"),
        ));
    }
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let candidate = unbracketed.unwrap_or(text);
    if let Ok(address) = candidate.parse::<Ipv6Addr>() {
        return Ok(address.to_string());
    }
    if text.contains(['[', ']']) || text.matches(':').count() > 1 {
        return refuse("expected an IPv6 address", "write it like `::1`, without a zone");
    }
    if let Some((host, _)) = text.split_once(':') {
        return Err(unreadable(
            "expected a host alone",
            format!("write `{host}`; a port has its own place"),
        ));
    }
    if let Some((host, _)) = text.split_once('/') {
        return Err(unreadable(
            "expected a host alone",
            format!("write `{host}`; the path comes from each request"),
        ));
    }
    name(text)
}

fn name(text: &str) -> Result<String, Unreadable> {
    if !text.is_ascii() {
        return Err(unreadable(
            "expected a host name in ASCII",
            "write the name's `xn--` form, as a browser sends it",
        ));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let labels = || name.split('.');
    // A last label of digits is an IPv4 address to every resolver (RFC 1123 section 2.1).
    let numeric = labels().next_back().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    if numeric && !name.is_empty() && name.parse::<Ipv4Addr>().is_err() {
        return Err(unreadable("expected an IPv4 address", "write four numbers up to 255"));
    }
    if let Some(bad) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
        return Err(unreadable(
            format!("expected a host name, which has no {bad:?}"),
            "letters, digits, `-`, `_` and `.` only",
        ));
    }
    // RFC 1035 section 2.3.4: labels of up to 63 bytes, 253 in all.
    if name.len() > 253 || labels().any(|label| label.is_empty() || label.len() > 63) {
        return Err(unreadable(
            "expected a host name",
            "parts between dots have 1 to 63 characters, 253 in all",
        ));
    }
    Ok(text.to_ascii_lowercase())
}

/// An address to listen on. `localhost` is 127.0.0.1, without asking anyone.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    unbracketed.unwrap_or(text).parse().ok()
}

fn unreadable(reason: impl Into<String>, hint: impl Into<String>) -> Unreadable {
    Unreadable { reason: reason.into(), hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_are_checked_and_kept_in_one_form() {
        let good = [
            ("api.example.com", "api.example.com"),
            ("API.Example.COM", "api.example.com"),
            ("localhost", "localhost"),
            ("my_service", "my_service"),
            ("example.com.", "example.com."),
            ("10.0.0.1", "10.0.0.1"),
            ("::1", "::1"),
            ("[2001:DB8:0::1]", "2001:db8::1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("3com", "3com"),
        ];
        for (text, host) in good {
            assert_eq!(parse_host(text).as_deref(), Ok(host), "{text}");
        }
        let long = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            ".",
            "a..b",
            "a b",
            "http://a",
            "a:80",
            "a/b",
            "user@a",
            "1.2.3",
            "256.1.1.1",
            "[::1",
            "[a]",
            "fe80::1%eth0",
            "bücher.example",
            "a\n",
            long.as_str(),
        ] {
            assert!(parse_host(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_host_is_kept_as_it_is_or_refused(text in "\\PC{0,40}|[a-z0-9.:\\[\\]-]{0,20}") {
            if let Ok(host) = parse_host(&text) {
                prop_assert_eq!(parse_host(&host), Ok(host));
            }
        }
    }
}
