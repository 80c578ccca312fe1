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
        body.len() == self.len(path) && self.holds(0, body, path)
    }

    pub(crate) fn len(&self, path: &str) -> usize {
        self.parts(path).iter().map(|part| part.len()).sum()
    }

    /// Whether these are the body's bytes from `offset` on.
    pub(crate) fn holds(&self, offset: usize, bytes: &[u8], path: &str) -> bool {
        let (mut offset, mut rest) = (offset, bytes);
        for part in self.parts(path) {
            let here = part.get(offset..).unwrap_or_default();
            let len = here.len().min(rest.len());
            if here[..len] != rest[..len] {
                return false;
            }
            rest = &rest[len..];
            offset = offset.saturating_sub(part.len());
        }
        rest.is_empty()
    }

    fn parts<'a>(&'a self, path: &'a str) -> [&'a [u8]; 3] {
        match &self.after {
            Some(after) => [&self.before, path.as_bytes(), after],
            None => [&self.before, &[], &[]],
        }
    }
}

/// What one request asks for.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) session: Option<u64>,
}

/// What the next request asks for: always one path, or `/item/0000000` and so on in turn, of a fixed
/// width, so that every body has the same size; and all of them in each of so many sessions.
pub(crate) struct Paths {
    one: String,
    count: u64,
    sessions: u64,
    next: u64,
    step: u64,
}

impl Paths {
    /// `--path`, or `--paths COUNT`; `--sessions COUNT`; `--order mixed`.
    pub(crate) fn new(args: &Args) -> Self {
        // A prime step visits every path, and not in the order in which they were recorded.
        let step = if args.get::<String>("order").as_deref() == Some("mixed") { 7919 } else { 1 };
        Self {
            one: args.get("path").unwrap_or_else(|| "/".into()),
            count: args.get("paths").unwrap_or(0),
            sessions: args.get("sessions").unwrap_or(0),
            next: 0,
            step,
        }
    }

    /// Writes the next; false if it is the one that is there.
    pub(crate) fn next_into(&mut self, asked: &mut Asked) -> bool {
        use std::fmt::Write as _;
        if self.count == 0 && self.sessions == 0 {
            if asked.path.is_empty() {
                asked.path.push_str(&self.one);
            }
            return false;
        }
        let (paths, sessions) = (self.count.max(1), self.sessions.max(1));
        asked.path.clear();
        // Writing to a string can't fail.
        let _ = match self.count {
            0 => write!(asked.path, "{}", self.one),
            _ => write!(asked.path, "/item/{:07}", self.next % paths),
        };
        asked.session = (self.sessions > 0).then(|| self.next / paths);
        self.next = (self.next + self.step) % (paths * sessions);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_around_its_path_is_known_from_every_offset_and_a_wrong_byte_shows() {
        let expected = ExpectedBody::new(b"ab@PATH@cd".to_vec());
        let whole = b"ab/xcd";
        assert_eq!(expected.len("/x"), whole.len());
        for start in 0..=whole.len() {
            for end in start..=whole.len() {
                assert!(expected.holds(start, &whole[start..end], "/x"), "{start}..{end}");
            }
        }
        assert!(expected.matches(whole, "/x"));
        assert!(!expected.matches(b"ab/xc", "/x"));
        assert!(!expected.matches(b"ab/xcde", "/x"));
        assert!(!expected.holds(2, b"/y", "/x"));
    }

    #[test]
    fn every_path_is_asked_for_in_every_session() {
        let mut paths = Paths { one: "/".into(), count: 3, sessions: 2, next: 0, step: 5 };
        let mut seen: Vec<_> = (0..6)
            .map(|_| {
                let mut asked = Asked::default();
                paths.next_into(&mut asked);
                (asked.session, asked.path)
            })
            .collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 6);
    }
}
