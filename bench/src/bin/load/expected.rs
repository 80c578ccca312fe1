//! What the load asks for, and what each answer's body must be.

use ouli_bench::args::Args;

/// Stands for the request's path in the expected body, so that a case can prove *which* recording
/// it was given.
const PATH_MARK: &str = "@PATH@";

/// The body every answer must have, around the place of its request's path.
pub(crate) struct ExpectedBody {
    before: Vec<u8>,
    after: Option<Vec<u8>>,
}

impl ExpectedBody {
    pub(crate) fn new(template: Vec<u8>) -> Self {
        match memchr::memmem::find(&template, PATH_MARK.as_bytes()) {
            Some(at) => Self {
                after: Some(template[at + PATH_MARK.len()..].to_vec()),
                before: template[..at].to_vec(),
            },
            None => Self { before: template, after: None },
        }
    }

    pub(crate) fn matches(&self, body: &[u8], path: &str) -> bool {
        let Some(after) = &self.after else { return body == self.before };
        body.strip_prefix(self.before.as_slice())
            .and_then(|rest| rest.strip_prefix(path.as_bytes()))
            .is_some_and(|rest| rest == after)
    }
}

/// Which path the next request asks for: always one, or `/item/0000000` and so on in turn, of a
/// fixed width, so that every body has the same size.
pub(crate) struct Paths {
    one: String,
    count: u64,
    next: u64,
    step: u64,
}

impl Paths {
    pub(crate) fn new(args: &Args) -> Self {
        let count = args.get("paths").unwrap_or(0);
        // A prime step visits every path, and not in the order in which they were recorded.
        let step = if args.get::<String>("order").as_deref() == Some("mixed") { 7919 } else { 1 };
        Self { one: args.get("path").unwrap_or_else(|| "/".into()), count, next: 0, step }
    }

    /// Writes the next path; false if it is the one that is there.
    pub(crate) fn next_into(&mut self, path: &mut String) -> bool {
        use std::fmt::Write as _;
        if self.count == 0 {
            if path.is_empty() {
                path.push_str(&self.one);
            }
            return false;
        }
        path.clear();
        // Writing to a string can't fail.
        let _ = write!(path, "/item/{:07}", self.next);
        self.next = (self.next + self.step) % self.count;
        true
    }
}
