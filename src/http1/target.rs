//! The four forms of a request target (RFC 9112 section 3.2).

use super::{Refusal, grammar};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`: what every request but CONNECT sends to an origin.
    Origin,
    /// `http://host/path?query`: what is sent to a proxy.
    Absolute,
    /// `host:port`, only with CONNECT.
    Authority,
    /// `*`, only with OPTIONS.
    Asterisk,
}

/// Which form the target has. Only the form is checked, not that each character may stand there.
///
/// # Errors
/// `Refusal::BadTargetForm` where it has none, or one that the method doesn't allow.
pub fn target_form(method: &str, target: &str) -> Result<TargetForm, Refusal> {
    if method == "CONNECT" {
        return if is_authority(target) {
            Ok(TargetForm::Authority)
        } else {
            Err(Refusal::BadTargetForm)
        };
    }
    match target {
        _ if target.starts_with('/') => Ok(TargetForm::Origin),
        "*" if method == "OPTIONS" => Ok(TargetForm::Asterisk),
        _ if is_absolute(target) => Ok(TargetForm::Absolute),
        _ => Err(Refusal::BadTargetForm),
    }
}

/// `uri-host ":" port`, both there (RFC 9112 section 3.2.3).
fn is_authority(target: &str) -> bool {
    let has_port = target.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    has_port && grammar::is_host(target.as_bytes())
}

/// `scheme "://" authority`, then a path, a query or nothing. The schemes of HTTP have a host
/// (RFC 9110 section 4.2.1) and no user information, which a recipient should take for an attack
/// (RFC 9110 section 4.2.4).
fn is_absolute(target: &str) -> bool {
    let Some((scheme, rest)) = target.split_once("://") else { return false };
    let mut letters = scheme.bytes();
    let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    is_scheme && !authority.is_empty() && grammar::is_host(authority.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_from_the_target_and_the_method() {
        use TargetForm::*;
        for (method, target, expected) in [
            ("GET", "/", Some(Origin)),
            ("GET", "//a/b", Some(Origin)),
            ("GET", "/a?b=http://c", Some(Origin)),
            ("OPTIONS", "/*", Some(Origin)),
            ("OPTIONS", "*", Some(Asterisk)),
            ("GET", "*", None),
            ("options", "*", None),
            ("OPTIONS", "**", None),
            ("GET", "http://a", Some(Absolute)),
            ("GET", "http://a:80/b?c", Some(Absolute)),
            ("GET", "http://a?c", Some(Absolute)),
            ("GET", "HTTPS://[::1]:80/", Some(Absolute)),
            ("GET", "http://user@a/", None),
            ("GET", "http:///b", None),
            ("GET", "http://?b", None),
            ("GET", "http:/a", None),
            ("GET", "1http://a/", None),
            ("GET", "://a/", None),
            ("GET", "a", None),
            ("GET", "a:80", None),
            ("GET", "?a", None),
            ("GET", "", None),
            ("CONNECT", "a:80", Some(Authority)),
            ("CONNECT", "[::1]:443", Some(Authority)),
            ("CONNECT", "a", None),
            ("CONNECT", "a:", None),
            ("CONNECT", ":80", None),
            ("CONNECT", "/", None),
            ("CONNECT", "http://a:80", None),
            ("CONNECT", "user@a:80", None),
        ] {
            assert_eq!(target_form(method, target).ok(), expected, "{method} {target}");
        }
    }
}
