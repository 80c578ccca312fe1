//! Which header fields hold secrets, and what of each value may stay.

use super::{MARK, url};

/// What of a field's value is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// All.
    Whole,
    /// `Bearer abc`: all behind the scheme.
    Credentials,
    /// `sid=abc; theme=dark`: every value.
    Cookie,
    /// `sid=abc; Path=/`: the first value; attributes stay.
    SetCookie,
    /// A URL: user information and the values of secret query parameters.
    Url,
    /// `<URL>; rel=next, <URL>`: the same of each.
    Links,
    /// `5; url=URL`: the same.
    Refresh,
    /// `chat, token, abc`: what browsers say instead of a header, which they can't set on a
    /// WebSocket.
    Subprotocols,
}

const RULES: [(&str, Rule); 13] = [
    ("authorization", Rule::Credentials),
    ("proxy-authorization", Rule::Credentials),
    ("cookie", Rule::Cookie),
    ("set-cookie", Rule::SetCookie),
    ("x-api-key", Rule::Whole),
    ("api-key", Rule::Whole),
    ("x-goog-api-key", Rule::Whole),
    // Redirects and links repeat what the query of a request had.
    ("location", Rule::Url),
    ("content-location", Rule::Url),
    ("link", Rule::Links),
    ("referer", Rule::Url),
    ("refresh", Rule::Refresh),
    ("sec-websocket-protocol", Rule::Subprotocols),
];

/// The lengths that names in `RULES` have, as bits: most fields are done with one test.
const LENGTHS: u32 = {
    let mut lengths = 0;
    let mut n = 0;
    while n < RULES.len() {
        lengths |= 1 << RULES[n].0.len();
        n += 1;
    }
    lengths
};

pub(super) fn built_in(name: &[u8]) -> Option<Rule> {
    if name.len() >= 32 || LENGTHS & (1 << name.len()) == 0 {
        return None;
    }
    let is = |rule: &&(&str, Rule)| rule.0.as_bytes().eq_ignore_ascii_case(name);
    RULES.iter().find(is).map(|(_, rule)| *rule)
}

impl Rule {
    /// Writes the redacted value to `out`, which is empty, and says whether it differs.
    pub(super) fn apply(self, value: &[u8], out: &mut Vec<u8>) -> bool {
        if value.is_empty() || value == MARK.as_bytes() {
            return false;
        }
        match self {
            Rule::Whole => out.extend_from_slice(MARK.as_bytes()),
            Rule::Credentials => credentials(value, out),
            Rule::Cookie => cookie(value, out),
            Rule::SetCookie => set_cookie(value, out),
            Rule::Url => return url::redact_one(value, out),
            Rule::Links => return url::redact_links(value, out),
            Rule::Refresh => return url::redact_refresh(value, out),
            Rule::Subprotocols => subprotocols(value, out),
        }
        out != value
    }
}

/// Schemes that may stay readable: the IANA registry, and others seen on the web. A list, because
/// the first word of a value whose author forgot the scheme is the secret itself.
const SCHEMES: [&str; 30] = [
    "basic",
    "bearer",
    "digest",
    "token",
    "apikey",
    "api-key",
    "key",
    "oauth",
    "dpop",
    "gnap",
    "hoba",
    "mac",
    "hawk",
    "mutual",
    "ntlm",
    "negotiate",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "vapid",
    "signature",
    "aws",
    "aws4-hmac-sha256",
    "aws4-ecdsa-p256-sha256",
    "sharedkey",
    "sharedkeylite",
    "sharedaccesssignature",
    "googlelogin",
    "bot",
    "ssws",
];

/// Subprotocols that a secret follows as the next one.
const BEFORE_SECRETS: [&str; 7] =
    ["token", "bearer", "authorization", "apikey", "api-key", "access_token", "jwt"];

/// What subprotocols begin with whose rest is a secret.
const SECRET_PREFIXES: [&[u8]; 2] =
    [b"openai-insecure-api-key.", b"base64url.bearer.authorization.k8s.io."];

fn subprotocols(value: &[u8], out: &mut Vec<u8>) {
    let mut is_secret = false;
    for (n, member) in value.split(|byte| *byte == b',').enumerate() {
        if n > 0 {
            out.push(b',');
        }
        let name = member.trim_ascii();
        let blank = member.len() - member.trim_ascii_start().len();
        out.extend_from_slice(&member[..blank]);
        let prefix = SECRET_PREFIXES.into_iter().find(|prefix| name.starts_with(prefix));
        match prefix {
            _ if is_secret && !name.is_empty() => out.extend_from_slice(MARK.as_bytes()),
            Some(prefix) => {
                out.extend_from_slice(prefix);
                out.extend_from_slice(MARK.as_bytes());
            }
            None => out.extend_from_slice(&member[blank..]),
        }
        if name.is_empty() {
            continue;
        }
        is_secret = BEFORE_SECRETS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    }
}

fn credentials(value: &[u8], out: &mut Vec<u8>) {
    let scheme_len = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_len);
    if SCHEMES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(scheme)) {
        out.extend_from_slice(scheme);
        if !rest.trim_ascii().is_empty() {
            out.push(b' ');
            out.extend_from_slice(MARK.as_bytes());
        }
    } else {
        out.extend_from_slice(MARK.as_bytes());
    }
}

/// RFC 6265 section 4.2.1: pairs behind `; `. A part without `=` is a value without a name.
fn cookie(value: &[u8], out: &mut Vec<u8>) {
    for (n, part) in value.split(|byte| *byte == b';').enumerate() {
        if n > 0 {
            out.push(b';');
        }
        pair(part, out);
    }
}

/// RFC 6265 section 4.1.1: one pair, then attributes.
fn set_cookie(value: &[u8], out: &mut Vec<u8>) {
    for (n, part) in value.split(|byte| *byte == b';').enumerate() {
        if n > 0 {
            out.push(b';');
        }
        if n > 0 && is_harmless_attribute(part) {
            out.extend_from_slice(part);
        } else {
            pair(part, out);
        }
    }
}

/// ` sid=abc` as ` sid=REDACTED`; white space and an empty value stay.
fn pair(part: &[u8], out: &mut Vec<u8>) {
    let name_end = part.iter().position(|byte| *byte == b'=').map_or(0, |equals| equals + 1);
    let (name, value) = part.split_at(name_end);
    if name.is_empty() {
        let spaces = value.len() - value.trim_ascii_start().len();
        out.extend_from_slice(&value[..spaces]);
    }
    out.extend_from_slice(name);
    if !value.trim_ascii().is_empty() {
        out.extend_from_slice(MARK.as_bytes());
    }
}

/// Whether a part of `Set-Cookie` is a known attribute with a value that can't hide a second
/// cookie: some servers join several with a comma.
fn is_harmless_attribute(part: &[u8]) -> bool {
    const ATTRIBUTES: [&str; 10] = [
        "path",
        "domain",
        "max-age",
        "secure",
        "httponly",
        "samesite",
        "partitioned",
        "priority",
        "version",
        "expires",
    ];
    let mut sides = part.splitn(2, |byte| *byte == b'=');
    let name = sides.next().unwrap_or_default().trim_ascii();
    let value = sides.next().unwrap_or_default();
    let known = ATTRIBUTES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    // A date has one comma: `Wed, 09 Jun 2027 10:18:14 GMT`.
    let commas_max = usize::from(name.eq_ignore_ascii_case(b"expires"));
    let commas = value.iter().filter(|byte| **byte == b',').count();
    part.trim_ascii().is_empty() || (known && commas <= commas_max && !value.contains(&b'='))
}
