//! How JSON values are laid out in a cassette, for people: what fits on a line stands on one.
//!
//! Where nothing else is said, a value that is short enough stands on the rest of its line;
//! otherwise each member or element gets its own. Long rows of numbers are filled like text.

use super::json::{Member, Node, Value};
use super::style::{Escapes, push_scalar, push_string};

/// Characters up to which a line is filled; a long string may run over.
const WIDTH: usize = 100;

/// Spaces per level.
const INDENT: usize = 2;

/// Starts a line at `level`.
pub(crate) fn push_line(out: &mut String, level: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', level * INDENT));
}

/// A string of the cassette's own.
pub(crate) fn push_text(out: &mut String, text: &str) {
    push_string(out, text, Escapes::CASSETTE);
}

/// Appends `value`, which starts on a line at `level` that may hold something already.
pub(crate) fn push_value(out: &mut String, value: &Value<'_>, level: usize) {
    let start = out.len();
    if push_inline(out, value, start + room(out)) {
        return;
    }
    out.truncate(start);
    match value {
        Value::Array(elements) if elements.iter().all(|node| is_number(&node.value)) => {
            push_numbers(out, elements, level);
        }
        Value::Array(elements) => {
            push_block(out, ('[', ']'), elements, level, |out, node| {
                push_value(out, &node.value, level + 1);
            });
        }
        Value::Object(members) => {
            push_block(out, ('{', '}'), members, level, |out, member| {
                push_key(out, member);
                push_value(out, &member.node.value, level + 1);
            });
        }
        scalar => push_scalar(out, scalar, Escapes::CASSETTE),
    }
}

/// Appends `value` without a line break, however long it is.
pub(crate) fn push_one_line(out: &mut String, value: &Value<'_>) {
    push_inline(out, value, usize::MAX);
}

/// Opens, gives each item a line of its own at `level + 1`, closes.
pub(crate) fn push_block<T>(
    out: &mut String,
    (open, close): (char, char),
    items: &[T],
    level: usize,
    mut push_item: impl FnMut(&mut String, &T),
) {
    out.push(open);
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        push_line(out, level + 1);
        push_item(out, item);
    }
    if !items.is_empty() {
        push_line(out, level);
    }
    out.push(close);
}

/// Characters that still fit on the last line of `out`, less one for a comma.
fn room(out: &str) -> usize {
    let line = out.rsplit('\n').next().unwrap_or_default();
    WIDTH.saturating_sub(line.chars().count() + 1)
}

/// On one line, as far as `end`, a length of `out`. Says whether it got that far; if not, what
/// it has written is of no use.
fn push_inline(out: &mut String, value: &Value<'_>, end: usize) -> bool {
    let (open, close, len) = match value {
        Value::Array(elements) => ('[', ']', elements.len()),
        Value::Object(members) => ('{', '}', members.len()),
        scalar => {
            push_scalar(out, scalar, Escapes::CASSETTE);
            return out.len() <= end;
        }
    };
    out.push(open);
    for n in 0..len {
        if n > 0 {
            out.push_str(", ");
        }
        let node = match value {
            Value::Array(elements) => elements.get(n),
            Value::Object(members) => members.get(n).map(|member| {
                push_key(out, member);
                &member.node
            }),
            _ => None,
        };
        if out.len() > end || !node.is_some_and(|node| push_inline(out, &node.value, end)) {
            return false;
        }
    }
    out.push(close);
    out.len() <= end
}

fn push_key(out: &mut String, member: &Member<'_>) {
    push_text(out, &member.key);
    out.push_str(": ");
}

fn is_number(value: &Value<'_>) -> bool {
    matches!(value, Value::Number(_))
}

fn push_numbers(out: &mut String, elements: &[Node<'_>], level: usize) {
    out.push('[');
    push_line(out, level + 1);
    let mut left = WIDTH.saturating_sub((level + 1) * INDENT);
    for (n, node) in elements.iter().enumerate() {
        let Value::Number(text) = &node.value else { continue };
        if n > 0 && text.len() + 2 > left {
            out.push(',');
            push_line(out, level + 1);
            left = WIDTH.saturating_sub((level + 1) * INDENT);
        } else if n > 0 {
            out.push_str(", ");
        }
        out.push_str(text);
        left = left.saturating_sub(text.len() + 2);
    }
    push_line(out, level);
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;

    fn laid_out(json: &str) -> String {
        let mut out = String::new();
        push_value(&mut out, &parse(json).unwrap().value, 0);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&out).unwrap(),
            serde_json::from_str::<serde_json::Value>(json).unwrap()
        );
        out
    }

    #[test]
    fn what_is_short_stands_on_one_line() {
        assert_eq!(
            laid_out(r#"{"a":[1,{"b":null}],"c":[]}"#),
            r#"{"a": [1, {"b": null}], "c": []}"#
        );
    }

    #[test]
    fn what_is_long_is_broken_up_as_far_as_it_must() {
        let name = "n".repeat(60);
        let json = format!(r#"{{"name":"{name}","list":[{{"id":1}},{{"id":2}}],"empty":{{}}}}"#);
        let json = json.replace("\"empty\"", "\"a_key_that_makes_this_line_too_long\"");
        assert_eq!(
            laid_out(&json),
            format!(
                r#"{{
  "name": "{name}",
  "list": [{{"id": 1}}, {{"id": 2}}],
  "a_key_that_makes_this_line_too_long": {{}}
}}"#
            )
        );
    }

    #[test]
    fn rows_of_numbers_are_filled() {
        let numbers: Vec<String> = (0..60).map(|n| format!("0.{n:04}")).collect();
        let out = laid_out(&format!("[{}]", numbers.join(",")));
        assert_eq!(out.lines().count(), 7);
        assert!(out.lines().all(|line| line.chars().count() <= WIDTH), "{out}");
    }

    #[test]
    fn a_long_string_runs_over_its_line() {
        let json = format!("[\"{}\"]", "x".repeat(300));
        assert_eq!(laid_out(&json).lines().count(), 3);
    }
}
