//! What never reaches the disk, a log line or a miss answer: credentials in header fields and in
//! the queries of URLs.
//!
//! Pure. Works on copies: the live traffic is never altered. Keeps the order, case and repetition
//! of fields, and what in a value isn't secret: the scheme of `Authorization`, a cookie's name and
//! attributes, the rest of a URL. Redacting twice gives the same as redacting once, so what is
//! read back from a cassette may be redacted again.
//!
//! Knows nothing of bodies.

mod field;
mod url;

use std::borrow::Cow;

use crate::exchange::{Fields, RequestHead, ResponseHead};

/// What stands where a secret stood.
pub const MARK: &str = "REDACTED";

/// Knows which fields and query values are secret: the built-in names, and those of the
/// configuration.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Header names beyond the built-in ones; compared without regard to case.
    headers: Vec<Box<str>>,
}

/// Room for redacted copies, used again for every head so that redaction allocates nothing once
/// it has grown.
#[derive(Debug, Default)]
pub struct Scratch {
    request: RequestHead,
    response: ResponseHead,
    trailers: Fields,
    value: Vec<u8>,
}

impl Redactor {
    /// A redactor for the built-in names and these header names, whose whole value is secret.
    pub fn new<N: AsRef<str>>(headers: impl IntoIterator<Item = N>) -> Redactor {
        let headers = headers.into_iter().map(|name| name.as_ref().into()).collect();
        Redactor { headers }
    }

    /// The head without its secrets: itself when it has none, else a copy in `scratch`.
    pub fn request_head<'a>(
        &self,
        head: &'a RequestHead,
        scratch: &'a mut Scratch,
    ) -> &'a RequestHead {
        let target = self.target(&head.target);
        let fields_differ =
            self.copy(&head.fields, &mut scratch.request.fields, &mut scratch.value);
        if !fields_differ && matches!(target, Cow::Borrowed(_)) {
            return head;
        }
        let copy = &mut scratch.request;
        copy.method.clone_from(&head.method);
        copy.target.clear();
        copy.target.push_str(&target);
        copy.version = head.version;
        if !fields_differ {
            copy.fields.clone_from(&head.fields);
        }
        copy
    }

    /// The head without its secrets: itself when it has none, else a copy in `scratch`.
    pub fn response_head<'a>(
        &self,
        head: &'a ResponseHead,
        scratch: &'a mut Scratch,
    ) -> &'a ResponseHead {
        let copy = &mut scratch.response;
        if !self.copy(&head.fields, &mut copy.fields, &mut scratch.value) {
            return head;
        }
        copy.version = head.version;
        copy.status = head.status;
        copy.reason.clone_from(&head.reason);
        copy
    }

    /// The trailers without their secrets: themselves when they have none, else a copy in
    /// `scratch`.
    pub fn trailers<'a>(&self, trailers: &'a Fields, scratch: &'a mut Scratch) -> &'a Fields {
        if !self.copy(trailers, &mut scratch.trailers, &mut scratch.value) {
            return trailers;
        }
        &scratch.trailers
    }

    /// The request target without the values of secret query parameters and without user
    /// information. Borrowed when it has none.
    pub fn target<'a>(&self, target: &'a str) -> Cow<'a, str> {
        url::redact_target(target)
    }

    /// The value of one field without its secrets. Borrowed when it has none.
    pub fn value<'a>(&self, name: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
        let mut redacted = Vec::new();
        match self.rule(name) {
            Some(rule) if rule.apply(value, &mut redacted) => Cow::Owned(redacted),
            _ => Cow::Borrowed(value),
        }
    }

    /// Whether the value of a form field or JSON member of that name is kept out of logs and miss
    /// answers. Bodies on the disk are not altered.
    pub fn is_secret_in_body(&self, name: &[u8]) -> bool {
        const PASSWORDS: [&str; 4] = ["password", "secret", "client_secret", "refresh_token"];
        let named = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        url::is_secret(name) || PASSWORDS.iter().any(|known| named(known))
    }

    /// Fills `out` with `fields` redacted and says true, or leaves it in any state and says false
    /// when nothing is secret.
    fn copy(&self, fields: &Fields, out: &mut Fields, value: &mut Vec<u8>) -> bool {
        let mut differs = false;
        for (n, field) in fields.iter().enumerate() {
            value.clear();
            let secret = self.rule(field.name).is_some_and(|rule| rule.apply(field.value, value));
            if secret && !differs {
                differs = true;
                out.clear();
                fields.iter().take(n).for_each(|kept| out.push(kept.name, kept.value));
            }
            match (secret, differs) {
                (true, _) => out.push(field.name, value.as_slice()),
                (false, true) => out.push(field.name, field.value),
                (false, false) => {}
            }
        }
        differs
    }

    fn rule(&self, name: &[u8]) -> Option<field::Rule> {
        use field::Rule;

        let named = |extra: &str| extra.as_bytes().eq_ignore_ascii_case(name);
        match field::built_in(name) {
            // These are secret in parts, unless the configuration says that all of it is.
            Some(Rule::Url | Rule::Links | Rule::Refresh | Rule::Subprotocols) | None
                if self.headers.iter().any(|extra| named(extra)) =>
            {
                Some(Rule::Whole)
            }
            built_in => built_in,
        }
    }
}

#[cfg(test)]
mod tests;
