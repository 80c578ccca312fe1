//! Protobuf messages as JSON values, and back.
//!
//! Values are shown in protobuf's own JSON mapping. Map fields are objects here and lists of
//! entries in `grpc::descriptors`; an object's members keep the order that the entries had. A
//! message is shown only where its value gives the same bytes again.

use std::borrow::Cow;

use super::json::{Error, Member, Node, Parser, Value};
use crate::grpc::descriptors::Holds;
use crate::grpc::{Catalog, MessageType};
use crate::matching::Canonical;
use crate::spelling::nearest;

/// Levels of a message's own nesting: the rest of what the parser allows is the cassette's.
const DEPTH_MAX: usize = super::json::DEPTH_MAX - 10;

/// The message as JSON text, if it is one of this type and comes back byte for byte.
pub(crate) fn show(kind: &MessageType, bytes: &[u8]) -> Option<String> {
    let text = kind.json(bytes)?;
    let mut parser = Parser::with_depth(&text, DEPTH_MAX);
    let mut node = parser.value().ok()?;
    fold(kind, &mut node.value);
    let mut shown = String::new();
    super::layout::push_one_line(&mut shown, &node.value);
    let mut parser = Parser::with_depth(&shown, DEPTH_MAX);
    let again = parser.value().ok().filter(|_| parser.take_repeated().is_empty())?;
    let same = read(kind, &again).is_ok_and(|again| again == bytes);
    same.then_some(shown)
}

/// Messages count by their values as they are shown: the order of a map's entries, which differs
/// from run to run in some programs, doesn't count there.
impl Canonical for Catalog {
    fn request_json(&self, endpoint: &str, path: &str, message: &[u8]) -> Option<String> {
        show(&self.get(endpoint)?.method(path)?.input, message)
    }
}

/// The bytes of the message that `node` shows.
///
/// # Errors
/// Where it isn't one of this type, and why.
pub(crate) fn read(kind: &MessageType, node: &Node<'_>) -> Result<Vec<u8>, (usize, String)> {
    bytes(kind, &node.value).map_err(|error| {
        blame(kind, node).unwrap_or_else(|| (node.at, format!("not a {}: {error}", kind.name())))
    })
}

fn bytes(kind: &MessageType, value: &Value<'_>) -> Result<Vec<u8>, Error> {
    let mut value = value.clone();
    unfold(kind, &mut value);
    kind.bytes(&value)
}

/// Calls `change` for every map in `value`, inner ones first, with the type of its entries.
fn each_map(
    kind: &MessageType,
    value: &mut Value<'_>,
    change: &dyn Fn(&MessageType, &mut Value<'_>),
) {
    let Value::Object(members) = value else { return };
    if kind.is_well_known() && !kind.is_any() {
        return;
    }
    let packed = if kind.is_any() { any_type(kind, members) } else { None };
    let kind = packed.as_ref().unwrap_or(kind);
    for member in members {
        match kind.field(&member.key) {
            Some(Holds::Message(inner)) => match &mut member.node.value {
                Value::Array(elements) => {
                    elements.iter_mut().for_each(|one| each_map(&inner, &mut one.value, change));
                }
                value => each_map(&inner, value, change),
            },
            Some(Holds::Map(entry)) => {
                each_entry(&entry, &mut member.node.value, change);
                change(&entry, &mut member.node.value);
            }
            Some(Holds::Scalar) | None => {}
        }
    }
}

/// As `each_map`, in the values of a map's entries, whichever form the map has.
fn each_entry(
    entry: &MessageType,
    map: &mut Value<'_>,
    change: &dyn Fn(&MessageType, &mut Value<'_>),
) {
    match map {
        Value::Array(entries) => {
            entries.iter_mut().for_each(|one| each_map(entry, &mut one.value, change));
        }
        Value::Object(members) => {
            let Some(Holds::Message(inner)) = entry.field("value") else { return };
            members.iter_mut().for_each(|one| each_map(&inner, &mut one.node.value, change));
        }
        _ => {}
    }
}

/// What an `Any` holds, where it shows its own fields.
fn any_type(kind: &MessageType, members: &[Member<'_>]) -> Option<MessageType> {
    let named = members.iter().find(|member| member.key == "@type")?;
    let Value::String(url) = &named.node.value else { return None };
    kind.named(url).filter(|packed| !packed.is_well_known())
}

/// Makes objects of lists of entries.
fn fold(kind: &MessageType, value: &mut Value<'_>) {
    each_map(kind, value, &|_, map| {
        let Value::Array(entries) = map else { return };
        let members: Option<Vec<Member<'_>>> = entries.iter_mut().map(fold_entry).collect();
        if let Some(members) = members {
            *map = Value::Object(members);
        }
    });
}

/// `None` where an entry is without key or value: as a member it would have both.
fn fold_entry<'a>(entry: &mut Node<'a>) -> Option<Member<'a>> {
    let Value::Object(members) = &mut entry.value else { return None };
    let [key, value] = &mut members[..] else { return None };
    if key.key != "key" || value.key != "value" {
        return None;
    }
    let key = match std::mem::replace(&mut key.node.value, Value::Null) {
        Value::String(text) | Value::Number(text) => text,
        Value::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
        _ => return None,
    };
    let value = std::mem::replace(&mut value.node.value, Value::Null);
    Some(Member { at: 0, key, node: Node { at: 0, value } })
}

/// Makes lists of entries of objects.
fn unfold(kind: &MessageType, value: &mut Value<'_>) {
    each_map(kind, value, &|entry, map| {
        let Value::Object(members) = map else { return };
        let entries = std::mem::take(members).into_iter().map(|member| {
            let key = match (entry.has_boolean_keys(), &*member.key) {
                (true, "true") => Value::Bool(true),
                (true, "false") => Value::Bool(false),
                _ => Value::String(member.key),
            };
            let at = member.at;
            let key = Member { at, key: "key".into(), node: Node { at, value: key } };
            let value = Member { at, key: "value".into(), node: member.node };
            Node { at, value: Value::Object(vec![key, value]) }
        });
        *map = Value::Array(entries.collect());
    });
}

/// The innermost place that keeps `node` from being a message of this type, and what is wrong
/// there; `None` where no member alone is to blame.
fn blame(kind: &MessageType, node: &Node<'_>) -> Option<(usize, String)> {
    let Value::Object(members) = &node.value else {
        let well_known = kind.is_well_known();
        return (!well_known)
            .then(|| (node.at, format!("expected a {}, which is an object", kind.name())));
    };
    if kind.is_well_known() {
        return None;
    }
    members.iter().find_map(|member| {
        let Some(holds) = kind.field(&member.key) else {
            return Some((member.at, unknown_field(kind, &member.key)));
        };
        let alone = Value::Object(vec![member.clone()]);
        let error = bytes(kind, &alone).err()?;
        let inner = match (holds, &member.node.value) {
            (Holds::Message(inner), Value::Array(elements)) => {
                elements.iter().find_map(|one| blame(&inner, one))
            }
            (Holds::Message(inner), _) => blame(&inner, &member.node),
            (Holds::Map(entry), Value::Object(members)) => match entry.field("value") {
                Some(Holds::Message(inner)) => {
                    members.iter().find_map(|one| blame(&inner, &one.node))
                }
                _ => None,
            },
            _ => None,
        };
        Some(
            inner
                .unwrap_or_else(|| (member.node.at, format!("not as in {}: {error}", kind.name()))),
        )
    })
}

fn unknown_field(kind: &MessageType, key: &str) -> String {
    let names = kind.field_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let expected = match (nearest(key, &names), &names[..]) {
        (Some(near), _) => format!("\"{near}\""),
        (None, []) => format!("nothing, since {} has no fields", kind.name()),
        (None, names) => format!("a field of {} ({})", kind.name(), names.join(", ")),
    };
    format!("expected {expected}, found {key:?}")
}
