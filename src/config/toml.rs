//! TOML to the raw tree.
//!
//! Uses the parser's own document with spans. Nesting is bounded by that parser, size by `file`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Place;
use super::raw::{Entry, Malformed, Node, Value};

/// # Errors
/// The first place where `text` isn't TOML; a repeated key counts as such.
pub(super) fn parse(text: &str) -> Result<Node, Malformed> {
    let lines = Lines::new(text);
    let document = DeTable::parse(text).map_err(|error| Malformed {
        place: error.span().map(|span| lines.place(span.start)),
        reason: error.message().trim().replace('\n', ", "),
    })?;
    Ok(table(document.get_ref(), document.span(), &lines))
}

fn table(table: &DeTable<'_>, span: Range<usize>, lines: &Lines<'_>) -> Node {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            place: Some(lines.place(key.span().start)),
            node: node(value, lines),
        })
        .collect();
    // The parser's table is ordered by key, a reader's by line.
    entries.sort_by_key(|entry| entry.place);
    Node { place: Some(lines.place(span.start)), value: Value::Table(entries), plain: None }
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    let span = value.span();
    let place = Some(lines.place(span.start));
    let value = match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Float(_) => Value::Float,
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, lines)).collect()),
        DeValue::Table(inner) => return table(inner, span, lines),
    };
    Node { place, value, plain: None }
}

/// Finds line and column of a byte offset.
struct Lines<'a> {
    text: &'a str,
    /// Offset of each line's first byte.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).map_or(0, |part| part.chars().count());
        Place { line, column: before + 1 }
    }
}
