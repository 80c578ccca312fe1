//! A configuration file as it was written: values with their places, nothing judged.
//!
//! Both formats become this tree, so that every rule is stated once and every fault of a file can
//! be told in one run: a deserializer into structs would stop at the first. Depth and size are
//! bounded by the readers in `toml` and `yaml`.

use super::fault::{Place, quoted};

/// Why a text isn't of its format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) place: Option<Place>,
    pub(super) reason: String,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) place: Option<Place>,
    pub(super) value: Value,
    /// The text of an unquoted scalar, where the format lets any scalar stand for a string (YAML).
    pub(super) plain: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// None when it doesn't fit: no key takes such a number.
    Integer(Option<i64>),
    Float,
    Datetime,
    String(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Option<Place>,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    pub(super) fn is_empty_list(&self) -> bool {
        matches!(&self.value, Value::List(items) if items.is_empty())
    }

    /// The value as a string, if it is one or may stand for one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => self.plain.as_deref(),
        }
    }

    /// What was found, for "expected …, found …".
    pub(super) fn found(&self) -> String {
        if let Some(plain) = &self.plain {
            return quoted(plain).trim_matches('"').to_owned();
        }
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(Some(value)) => value.to_string(),
            Value::Integer(None) => "a number too large for any key".into(),
            Value::Float => "a number with a fraction".into(),
            Value::Datetime => "a date or time".into(),
            Value::String(text) => quoted(text),
            Value::List(_) => "a list".into(),
            Value::Table(_) => "a table".into(),
        }
    }
}
