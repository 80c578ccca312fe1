//! What is wrong with a configuration or a command line, in words for a person.
//!
//! Owns the one form in which such faults are shown. Knows nothing of keys or files beyond their
//! names: whoever finds a fault says where it stands, what was found and what helps.

use std::fmt;
use std::path::Path;

/// A position in a text, both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One fault. `Display` gives its lines, without a line end after the last:
///
/// ```text
/// error: invalid `endpoints[1].source_port` in `ouli.toml`
///   caused by: line 12, column 15: expected a port between 0 and 65535, found 70000
/// hint: 0 lets the system choose
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What can't be used, with the file or option it stands in.
    subject: String,
    /// Where in the file; none for a command line or for the file as a whole.
    place: Option<Place>,
    reason: String,
    hint: Option<String>,
}

impl Fault {
    /// `subject` completes "error: …"; `reason` says what was expected and what was found.
    pub fn new(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Fault { subject: subject.into(), place: None, reason: reason.into(), hint: None }
    }

    /// A fault of one key of a file. An empty key means the file as a whole.
    pub fn in_file(
        path: &Path,
        key: &str,
        place: Option<Place>,
        reason: impl Into<String>,
    ) -> Self {
        let subject = match key {
            "" => format!("invalid configuration `{}`", path.display()),
            _ => format!("invalid `{key}` in `{}`", path.display()),
        };
        Fault { subject, place, reason: reason.into(), hint: None }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn place(&self) -> Option<Place> {
        self.place
    }

    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.subject)?;
        f.write_str("  caused by: ")?;
        if let Some(place) = self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Every fault that was found in one go; never empty when it is an error. Faults of a file stand
/// in the order of the file. `Display` gives all of them and ends with a line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn append(&mut self, other: Faults) {
        self.0.extend(other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// Reading order: what concerns the whole file first.
    pub(crate) fn sort(&mut self) {
        self.0.sort_by_key(Fault::place);
    }

    /// `value`, unless there are faults.
    ///
    /// # Errors
    /// The faults themselves.
    pub fn or<T>(self, value: T) -> Result<T, Faults> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|fault| writeln!(f, "{fault}"))
    }
}

impl std::error::Error for Faults {}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Faults(vec![fault])
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(faults: Vec<Fault>) -> Self {
        Faults(faults)
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// `text` in quotes for a message: control characters escaped, cut at 60 characters.
pub(crate) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut shown: String = text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}
