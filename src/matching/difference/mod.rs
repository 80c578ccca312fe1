//! In what two requests differ: data to list, lines to read. Values come redacted and cut short.

mod body;
mod head;
mod message;

use std::fmt;

use serde::Serialize;

use super::key::Parts;
use crate::redact::Redactor;
pub use body::Content;
pub(super) use head::segments;

/// Differences that are listed; the rest are counted.
const LISTED_MAX: usize = 12;

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 120;

/// Where two requests differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Endpoint,
    Method,
    /// The paths have different numbers of segments.
    Path,
    /// Counted from 1.
    Segment(usize),
    /// By the parameter's name.
    Query(String),
    /// Whether a WebSocket conversation is asked for.
    Upgrade,
    /// The subprotocols that a handshake offers.
    Subprotocol,
    /// As a whole.
    Body,
    /// A JSON pointer (RFC 6901); empty for the whole value.
    Json(String),
    /// By the field's name.
    Form(String),
    /// Counted from 1, in characters.
    Text {
        line: usize,
        column: usize,
    },
    /// Counted from 0.
    Byte(usize),
    /// Somewhere in a client's message of a gRPC call or a WebSocket conversation, which is counted
    /// from 1; the place inside is one that a body has.
    Message(u32, Box<Place>),
}

/// One difference. A side is none where it has nothing in that place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    #[serde(rename = "in", serialize_with = "as_text")]
    pub place: Place,
    pub asked: Option<String>,
    pub recorded: Option<String>,
}

/// All differences between two requests, the first few of them listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    pub listed: Vec<Difference>,
    /// How many more there are.
    pub more: usize,
}

impl Differences {
    /// Between a request that was asked for and one that is recorded.
    pub fn between(
        asked: (&Parts<'_>, Content<'_>),
        recorded: (&Parts<'_>, Content<'_>),
        redactor: &Redactor,
    ) -> Differences {
        let mut differences = Differences::default();
        differences.compare_heads(asked.0, recorded.0);
        let have_bodies = body::has_body(asked.0.body) || body::has_body(recorded.0.body);
        if asked.0.body != recorded.0.body && have_bodies {
            let (asked, recorded) = ((asked.0.body, asked.1), (recorded.0.body, recorded.1));
            differences.compare_bodies(asked, recorded, redactor);
        }
        differences
    }

    pub fn count(&self) -> usize {
        self.listed.len() + self.more
    }

    /// Notes a difference; the sides are only made into text when it is listed.
    fn note(
        &mut self,
        place: impl FnOnce() -> Place,
        asked: Option<impl FnOnce() -> String>,
        recorded: Option<impl FnOnce() -> String>,
    ) {
        if self.listed.len() == LISTED_MAX {
            self.more += 1;
            return;
        }
        let asked = asked.map(|text| shortened(text()));
        let recorded = recorded.map(|text| shortened(text()));
        self.listed.push(Difference { place: place(), asked, recorded });
    }
}

/// Cut to what is shown, with line ends and control characters made visible.
fn shortened(text: String) -> String {
    let visible = |c: char| match c.is_control() {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    let mut short: String = text.chars().take(VALUE_CHARS_MAX).map(visible).collect();
    if text.chars().nth(VALUE_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

fn as_text<S: serde::Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(place)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Endpoint => f.write_str("endpoint"),
            Place::Method => f.write_str("method"),
            Place::Path => f.write_str("path"),
            Place::Segment(n) => write!(f, "path segment {n}"),
            Place::Query(name) => write!(f, "query parameter `{name}`"),
            Place::Upgrade => f.write_str("upgrade"),
            Place::Subprotocol => f.write_str("subprotocols"),
            Place::Form(name) => write!(f, "form field `{name}`"),
            Place::Message(n, inside) => {
                write!(f, "message {n}")?;
                inside.write_inside(f)
            }
            Place::Body | Place::Json(_) | Place::Text { .. } | Place::Byte(_) => {
                f.write_str("body")?;
                self.write_inside(f)
            }
        }
    }
}

impl Place {
    /// Where in a body or a message it is, to stand behind the word for that.
    fn write_inside(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Json(pointer) if pointer.is_empty() => f.write_str(", as a whole"),
            Place::Json(pointer) => write!(f, " at {pointer}"),
            Place::Text { line, column } => write!(f, ", line {line}, column {column}"),
            Place::Byte(offset) => write!(f, ", byte {offset}"),
            _ => Ok(()),
        }
    }
}

/// `query parameter `page`: asked 2, recorded 1`
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |text: &Option<String>| match text {
            Some(text) if text.is_empty() => "an empty value".to_owned(),
            Some(text) => text.clone(),
            None => "nothing".to_owned(),
        };
        write!(f, "{}: asked {}, recorded {}", self.place, side(&self.asked), side(&self.recorded))
    }
}

/// A line per difference, without a line end after the last.
impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, difference) in self.listed.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{difference}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

#[cfg(test)]
mod tests;
