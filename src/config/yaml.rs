//! YAML to the raw tree.
//!
//! One document. Aliases and merge keys are followed within a budget, so a small file can't grow
//! into a large tree. An unquoted scalar keeps its text, since YAML users write `no` and `8080`
//! where a string is meant; google/test-server reads them so too.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::fault::Place;
use super::raw::{Entry, Malformed, Node, Value};

/// Far above any real configuration; a tree of this size costs a few megabytes.
const NODES_MAX: usize = 50_000;
/// Aliases repeat what an anchor holds; this bounds all repetitions together.
const REPLAYED_MAX: usize = 10_000;
/// Endpoints nest four deep.
const DEPTH_MAX: usize = 32;

/// # Errors
/// The first place where `text` isn't YAML, repeats a key, or grows past the budget.
pub(super) fn parse(text: &str) -> Result<Node, Malformed> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPLAYED_MAX },
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Bare>>(text, options) {
        Ok(spanned) => Ok(node(spanned, text)),
        Err(error) => Err(malformed(&error)),
    }
}

fn malformed(error: &serde_saphyr::Error) -> Malformed {
    use serde_saphyr::Error;
    let place = error.location().and_then(place);
    let reason = match error {
        Error::AliasError { error, .. } => return malformed(error),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` stands here twice")
        }
        Error::MultipleDocuments { .. } => {
            "a second document begins here, and one is expected".into()
        }
        Error::Unexpected { .. } | Error::NullIntoString { .. } => "a key is a plain word".into(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            "its aliases or nesting grow past what a configuration needs".into()
        }
        _ => message(error, place),
    };
    Malformed { place, reason }
}

/// The parser's words without the place, which is told apart from them.
fn message(error: &serde_saphyr::Error, place: Option<Place>) -> String {
    let mut text = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    if let Some(at) = place.and_then(|p| text.find(&format!(" at line {}, column", p.line))) {
        text.truncate(at);
    }
    text.trim().replace('\n', ", ")
}

/// A value without its place: serde hands out the places only around a value.
enum Bare {
    Scalar(Value),
    List(Vec<Spanned<Bare>>),
    Table(Vec<(Spanned<String>, Spanned<Bare>)>),
}

fn node(spanned: Spanned<Bare>, text: &str) -> Node {
    let (value, plain) = match spanned.value {
        Bare::Scalar(value @ (Value::Null | Value::String(_))) => (value, None),
        Bare::Scalar(value) => (value, written(spanned.defined, text)),
        Bare::List(items) => {
            (Value::List(items.into_iter().map(|item| node(item, text)).collect()), None)
        }
        Bare::Table(entries) => {
            let entry = |(key, value): (Spanned<String>, Spanned<Bare>)| Entry {
                place: place(key.referenced),
                key: key.value,
                node: node(value, text),
            };
            (Value::Table(entries.into_iter().map(entry).collect()), None)
        }
    };
    Node { place: place(spanned.referenced), value, plain }
}

fn place(location: Location) -> Option<Place> {
    let (line, column) = (location.line() as usize, location.column() as usize);
    (line > 0).then_some(Place { line, column })
}

/// The characters of a scalar as they stand in the file.
fn written(location: Location, text: &str) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    Some(text.get(start..end)?.trim().to_owned())
}

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BareVisitor)
    }
}

struct BareVisitor;

impl<'de> Visitor<'de> for BareVisitor {
    type Value = Bare;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Bare, E> {
        Ok(Bare::Scalar(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Bare, E> {
        Ok(Bare::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Bare, E> {
        Ok(Bare::Scalar(Value::Integer(Some(value))))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Bare, E> {
        Ok(Bare::Scalar(Value::Integer(i64::try_from(value).ok())))
    }

    fn visit_f64<E: de::Error>(self, _value: f64) -> Result<Bare, E> {
        Ok(Bare::Scalar(Value::Float))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Bare, E> {
        Ok(Bare::Scalar(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Bare, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Bare::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Bare, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Bare::Table(table))
    }
}
