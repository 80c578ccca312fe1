//! Typed reading from the raw tree: each reader gives a value or notes a fault and gives none.
//!
//! `Reading` holds what was noted; `Table` is one table with its path. Asking for a key that is
//! absent gives none without a fault, so that defaults stay with whoever asks.

use std::path::Path;
use std::sync::Arc;

use super::fault::{Fault, Faults, Place};
use super::keys::{self, Known};
use super::raw::{Entry, Node, Value};
use super::units::{self, Unreadable};

/// One file being read.
pub(super) struct Reading {
    pub(super) path: Arc<Path>,
    pub(super) faults: Faults,
    pub(super) warnings: Vec<String>,
}

impl Reading {
    pub(super) fn new(path: &Path) -> Self {
        Reading { path: path.into(), faults: Faults::default(), warnings: Vec::new() }
    }

    pub(super) fn fault(
        &self,
        key: &str,
        place: Option<Place>,
        reason: impl Into<String>,
    ) -> Fault {
        Fault::in_file(&self.path, key, place, reason)
    }

    /// Notes that `at` holds something else than `expected`.
    pub(super) fn mistaken(&mut self, at: &At<'_>, expected: &str, hint: impl Into<String>) {
        self.refuse(at, format!("expected {expected}, found {}", at.node.found()), hint);
    }

    /// Notes that `at` holds a value that can't be used.
    pub(super) fn refuse(
        &mut self,
        at: &At<'_>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let fault = self.fault(&at.path, at.node.place, reason).with_hint(hint);
        self.faults.push(fault);
    }

    /// Notes that `at` may not do what its writer expects.
    pub(super) fn warn(&mut self, at: &At<'_>, reason: &str, hint: &str) {
        let line = at.node.place.map(|place| format!(", line {}", place.line)).unwrap_or_default();
        let file = self.path.display();
        self.warnings.push(format!("`{}` in `{file}`{line}: {reason}; {hint}", at.path));
    }

    pub(super) fn refuse_unreadable(&mut self, at: &At<'_>, why: Unreadable) {
        let reason = format!("{}, found {}", why.reason, at.node.found());
        self.refuse(at, reason, why.hint);
    }

    /// `at` as a table in which only the keys of `known` may stand; the others are noted.
    pub(super) fn table<'a>(&mut self, at: &At<'a>, known: &'static Known) -> Option<Table<'a>> {
        let entries = match &at.node.value {
            Value::Table(entries) => entries.as_slice(),
            // A YAML key with nothing behind it: all its keys are absent.
            Value::Null => &[],
            _ => {
                self.mistaken(
                    at,
                    "a table of keys and values",
                    format!("it holds {}", known.keys.join(", ")),
                );
                return None;
            }
        };
        let table = Table { path: at.path.clone(), place: at.node.place, entries, known };
        for entry in entries.iter().filter(|entry| !known.keys.contains(&entry.key.as_str())) {
            let fault = self
                .fault(&table.path_of(&entry.key), entry.place, "unknown key")
                .with_hint(keys::hint(&entry.key, known));
            self.faults.push(fault);
        }
        Some(table)
    }

    pub(super) fn list<'a>(&mut self, at: &At<'a>, of: &str) -> Vec<At<'a>> {
        let Value::List(items) = &at.node.value else {
            self.mistaken(
                at,
                &format!("a list of {of}"),
                "one alone is a list too: write [ ] around it",
            );
            return Vec::new();
        };
        let item = |(index, node)| At { path: format!("{}[{index}]", at.path), node };
        items.iter().enumerate().map(item).collect()
    }

    pub(super) fn text<'a>(&mut self, at: &At<'a>) -> Option<&'a str> {
        let text = at.node.as_text();
        if text.is_none() {
            let hint = match at.node.value {
                Value::List(_) | Value::Table(_) => "one value stands here",
                _ => "put the value in quotes",
            };
            self.mistaken(at, "a string", hint);
        }
        text
    }

    pub(super) fn boolean(&mut self, at: &At<'_>) -> Option<bool> {
        match at.node.value {
            Value::Bool(value) => Some(value),
            _ => {
                self.mistaken(at, "true or false", "without quotes");
                None
            }
        }
    }

    /// A whole number from `min` to `max`; `noun` says what it counts.
    pub(super) fn count(
        &mut self,
        at: &At<'_>,
        noun: &str,
        (min, max): (u64, u64),
        hint: &str,
    ) -> Option<u64> {
        let expected = format!("{noun} between {min} and {max}");
        match &at.node.value {
            Value::Integer(Some(value)) => {
                let value = u64::try_from(*value).ok().filter(|value| (min..=max).contains(value));
                if value.is_none() {
                    self.mistaken(at, &expected, hint);
                }
                return value;
            }
            Value::String(text) if text.parse::<u64>().is_ok() => {
                self.mistaken(at, &expected, "leave out the quotes");
            }
            _ => self.mistaken(at, &expected, "write a whole number, without quotes or unit"),
        }
        None
    }

    pub(super) fn port(&mut self, at: &At<'_>, min: u16, hint: &str) -> Option<u16> {
        let port = self.count(at, "a port", (u64::from(min), u64::from(u16::MAX)), hint)?;
        u16::try_from(port).ok()
    }

    /// A number of bytes, plain or with a unit.
    pub(super) fn size(&mut self, at: &At<'_>) -> Option<u64> {
        let read = match &at.node.value {
            Value::Integer(Some(bytes)) if *bytes >= 0 => return u64::try_from(*bytes).ok(),
            Value::String(text) => units::parse_size(text),
            _ => units::parse_size(""),
        };
        read.map_err(|why| self.refuse_unreadable(at, why)).ok()
    }

    pub(super) fn duration(&mut self, at: &At<'_>) -> Option<std::time::Duration> {
        let read = match &at.node.value {
            Value::String(text) => units::parse_duration(text),
            Value::Integer(Some(number)) => units::parse_duration(&number.to_string()),
            _ => units::parse_duration(""),
        };
        read.map_err(|why| self.refuse_unreadable(at, why)).ok()
    }
}

/// A value and its path in the file, such as `endpoints[1].source_port`.
pub(super) struct At<'a> {
    pub(super) path: String,
    pub(super) node: &'a Node,
}

pub(super) struct Table<'a> {
    path: String,
    pub(super) place: Option<Place>,
    entries: &'a [Entry],
    known: &'static Known,
}

impl<'a> Table<'a> {
    /// The value of `key`. A key with nothing behind it counts as absent, as YAML users expect.
    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        debug_assert!(self.known.keys.contains(&key), "`{key}` is not in the list of known keys");
        let entry = self.entries.iter().find(|entry| entry.key == key && !entry.node.is_null())?;
        Some(At { path: self.path_of(key), node: &entry.node })
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
