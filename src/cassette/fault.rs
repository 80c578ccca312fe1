//! What can be wrong with a cassette, told so that a person finds the place.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A place in a file, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// Of the byte at `offset`, or of the end where `offset` lies beyond it.
    pub(crate) fn of(text: &[u8], offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let line = before.get(line_start..).unwrap_or_default();
        // Every byte but those that continue a character (RFC 3629 section 3).
        let column = 1 + line.iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
        Place { line: 1 + memchr::memchr_iter(b'\n', before).count(), column }
    }
}

/// One thing that is wrong with a cassette.
///
/// Shown as `line 81, column 7: expected a status between 200 and 999, found "OK"`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Finding {
    /// `None` where it isn't in the file: a cassette that can't be read at all.
    pub place: Option<Place>,
    /// Where in the document: `exchanges[3].response.status`; empty at the top.
    pub path: String,
    /// Lower-case, without a final period: `expected …, found …`
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Why a cassette could not be read. The source says where.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("could not open the cassette `{}`", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The file is there and breaks the format.
    #[error("could not open the cassette `{}`", path.display())]
    Faulty {
        path: PathBuf,
        #[source]
        first: Finding,
        /// Findings after the first; `check` lists them.
        more: usize,
    },
}

impl ReadError {
    /// What the person may do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ReadError::Unreadable { .. } => None,
            ReadError::Faulty { path, .. } => {
                Some(format!("`ouli check {}` lists every fault in it", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "ab\né😀x\n";
        let place = |offset| {
            let Place { line, column } = Place::of(text.as_bytes(), offset);
            (line, column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(2), (1, 3));
        assert_eq!(place(3), (2, 1));
        assert_eq!(place(text.find('x').unwrap_or(0)), (2, 3));
        assert_eq!(place(text.len()), (3, 1));
        assert_eq!(place(99), (3, 1));
    }
}
