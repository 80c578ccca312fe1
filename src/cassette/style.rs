//! The known ways in which programs write JSON, so that a body can be kept as a value and still
//! come back byte for byte.
//!
//! A style says where white space stands, which characters are escaped, and whether a newline
//! ends the text. `detect` gives one only if writing the value in it gives exactly the bytes it
//! was read from; numbers keep their own text, so they never stand in the way.

use super::json::{self, Node, Parser, Value};

/// Levels of a body's own nesting: the rest of what the parser allows is the cassette's.
const DEPTH_MAX: usize = json::DEPTH_MAX - 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) layout: Layout,
    pub(crate) escapes: Escapes,
    /// A line feed after the value.
    pub(crate) newline: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `{"a":1,"b":[]}`: JavaScript, Go, Ruby, serde_json.
    #[default]
    Compact,
    /// `{"a": 1, "b": []}`: Python.
    Spaced,
    /// A line for each member and element, indented by this many spaces per level.
    Indent(u8),
    Tab,
}

/// What is escaped beyond quotes, backslashes and control characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Escapes {
    /// Everything that isn't ASCII: Python, PHP.
    pub(crate) ascii: bool,
    /// `<`, `>`, `&`, U+2028 and U+2029: Go, Rails.
    pub(crate) html: bool,
    /// `/`: PHP.
    pub(crate) slash: bool,
    /// What a reader wouldn't see, or would see in another order: only for the cassette's own
    /// text, never a body's style.
    pub(crate) invisible: bool,
}

const INDENT_MAX: u8 = 8;

/// Bytes at which `render` stops. A value nested deep enough grows a thousandfold in an indented
/// style, and a file may come from anyone.
pub(crate) const RENDER_BYTES_MAX: usize = 64 << 20;

impl Style {
    /// The style of a body that is `text`, with its value; `None` if no known style gives these
    /// bytes again.
    pub(crate) fn detect(text: &str) -> Option<(Style, Node<'_>)> {
        let mut parser = Parser::with_depth(text, DEPTH_MAX);
        let node = parser.value().ok()?;
        parser.end().ok()?;
        if !parser.take_repeated().is_empty() {
            return None; // tools that people use on JSON would keep one of them
        }
        let escapes = Escapes {
            ascii: text.is_ascii() && text.contains("\\u"),
            html: ["\\u003c", "\\u003e", "\\u0026", "\\u2028", "\\u2029"]
                .iter()
                .any(|escape| text.contains(escape)),
            slash: text.contains("\\/"),
            invisible: false,
        };
        let newline = text.ends_with('\n');
        let fits = |(layout, ascii)| {
            let style = Style { layout, escapes: Escapes { ascii, ..escapes }, newline };
            (style.render(&node.value) == text).then_some(style)
        };
        // Simplest first: escapes alone don't show whether a style escapes all that isn't ASCII.
        let layouts = layouts(text);
        let plain = layouts.clone().map(|layout| (layout, false)).find_map(fits);
        let style = plain.or_else(|| {
            layouts.filter(|_| escapes.ascii).map(|layout| (layout, true)).find_map(fits)
        })?;
        Some((style, node))
    }

    /// `spaced, ascii, newline`: what differs from the default, which is compact.
    pub(crate) fn name(self) -> String {
        let layout = match self.layout {
            Layout::Compact => None,
            Layout::Spaced => Some("spaced".to_owned()),
            Layout::Indent(width) => Some(format!("indent {width}")),
            Layout::Tab => Some("tab".to_owned()),
        };
        let flags = [
            (self.escapes.ascii, "ascii"),
            (self.escapes.html, "html"),
            (self.escapes.slash, "slash"),
            (self.newline, "newline"),
        ];
        let flags = flags.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned());
        layout.into_iter().chain(flags).collect::<Vec<_>>().join(", ")
    }

    /// Words in any order, each at most once; one layout at most.
    pub(crate) fn from_name(name: &str) -> Option<Style> {
        let mut style = Style::default();
        let mut layout = None;
        for word in name.split(',').map(str::trim) {
            let flag = match word {
                "ascii" => &mut style.escapes.ascii,
                "html" => &mut style.escapes.html,
                "slash" => &mut style.escapes.slash,
                "newline" => &mut style.newline,
                _ => {
                    if layout.replace(layout_from_name(word)?).is_some() {
                        return None;
                    }
                    continue;
                }
            };
            if std::mem::replace(flag, true) {
                return None;
            }
        }
        style.layout = layout.unwrap_or_default();
        Some(style)
    }

    /// `value` in this style: the body's text. Longer than `RENDER_BYTES_MAX`, it is not whole.
    pub(crate) fn render(self, value: &Value<'_>) -> String {
        let mut out = String::new();
        self.push(&mut out, value, 0);
        if self.newline {
            out.push('\n');
        }
        out
    }

    fn push(self, out: &mut String, value: &Value<'_>, level: usize) {
        match value {
            Value::Array(elements) => self.push_list(out, ('[', ']'), elements, level, {
                |out, element| self.push(out, &element.value, level + 1)
            }),
            Value::Object(members) => self.push_list(out, ('{', '}'), members, level, {
                |out, member| {
                    push_string(out, &member.key, self.escapes);
                    out.push_str(if self.layout == Layout::Compact { ":" } else { ": " });
                    self.push(out, &member.node.value, level + 1);
                }
            }),
            scalar => push_scalar(out, scalar, self.escapes),
        }
    }

    fn push_list<T>(
        self,
        out: &mut String,
        (open, close): (char, char),
        items: &[T],
        level: usize,
        mut push_item: impl FnMut(&mut String, &T),
    ) {
        out.push(open);
        for (n, item) in items.iter().enumerate() {
            if out.len() > RENDER_BYTES_MAX {
                return;
            }
            if n > 0 {
                out.push_str(if self.layout == Layout::Spaced { ", " } else { "," });
            }
            self.push_line(out, level + 1);
            push_item(out, item);
        }
        if !items.is_empty() {
            self.push_line(out, level);
        }
        out.push(close);
    }

    fn push_line(self, out: &mut String, level: usize) {
        let (unit, count) = match self.layout {
            Layout::Compact | Layout::Spaced => return,
            Layout::Indent(width) => (" ", level * usize::from(width)),
            Layout::Tab => ("\t", level),
        };
        out.push('\n');
        out.push_str(&unit.repeat(count));
    }
}

fn layout_from_name(word: &str) -> Option<Layout> {
    match word {
        "compact" => Some(Layout::Compact),
        "spaced" => Some(Layout::Spaced),
        "tab" => Some(Layout::Tab),
        _ => {
            let width = word.strip_prefix("indent ")?.parse().ok()?;
            (1..=INDENT_MAX).contains(&width).then_some(Layout::Indent(width))
        }
    }
}

/// The layouts that `text` can have. Strings hold no bare line feeds, so the first one shows the
/// indent.
fn layouts(text: &str) -> impl Iterator<Item = Layout> + Clone {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let candidates = match body.split_once('\n') {
        None => [Some(Layout::Compact), Some(Layout::Spaced)],
        Some((_, rest)) if rest.starts_with('\t') => [Some(Layout::Tab), None],
        Some((_, rest)) => {
            let width = rest.len() - rest.trim_start_matches(' ').len();
            let width = u8::try_from(width).ok().filter(|width| (1..=INDENT_MAX).contains(width));
            [width.map(Layout::Indent), None]
        }
    };
    candidates.into_iter().flatten()
}

pub(crate) fn push_scalar(out: &mut String, value: &Value<'_>, escapes: Escapes) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(text) => out.push_str(text),
        Value::String(text) => push_string(out, text, escapes),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// A JSON string with its quotes.
pub(crate) fn push_string(out: &mut String, text: &str, escapes: Escapes) {
    out.push('"');
    let mut rest = text;
    loop {
        // Most text is made of what no style escapes.
        let plain = json::blocks_without(rest.as_bytes(), |byte| {
            !matches!(byte, b'\x20'..=b'\x7e')
                || matches!(byte, b'"' | b'\\' | b'/' | b'<' | b'>' | b'&')
        });
        let (plain, tail) = rest.split_at(plain);
        out.push_str(plain);
        rest = tail;
        let Some((at, found)) = rest.char_indices().find(|(_, c)| escapes.apply_to(*c)) else {
            break;
        };
        out.push_str(rest.get(..at).unwrap_or_default());
        push_escape(out, found);
        rest = rest.get(at + found.len_utf8()..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}

fn push_escape(out: &mut String, found: char) {
    match found {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '/' => out.push_str("\\/"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => {
            for unit in found.encode_utf16(&mut [0; 2]) {
                out.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    let digit = u32::from(*unit >> shift & 0xF);
                    out.extend(char::from_digit(digit, 16));
                }
            }
        }
    }
}

impl Escapes {
    /// Those of the cassette's own text.
    pub(crate) const CASSETTE: Escapes =
        Escapes { ascii: false, html: false, slash: false, invisible: true };

    fn apply_to(self, c: char) -> bool {
        match c {
            '"' | '\\' | '\0'..='\x1f' => true,
            '/' => self.slash,
            '<' | '>' | '&' => self.html,
            '\x20'..='\x7e' => false,
            '\x7f' => self.invisible,
            '\u{2028}' | '\u{2029}' => self.ascii || self.html || self.invisible,
            _ => self.ascii || (self.invisible && is_invisible(c)),
        }
    }
}

/// Control characters, marks of no width, and those that turn the direction of what follows.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn style_of(text: &str) -> Option<String> {
        Style::detect(text).map(|(style, _)| style.name())
    }

    #[test]
    fn the_styles_of_common_programs_are_known() {
        let cases = [
            // JSON.stringify, serde_json, Go without escapes
            (r#"{"a":[1,2.50,"é\n"],"b":{},"c":[]}"#, ""),
            // python json.dumps
            (r#"{"a": [1, 2.50, "\u00e9\n\ud83d\ude00"], "b": {}}"#, "spaced, ascii"),
            (r#"{"a": "é"}"#, "spaced"),
            // json.dumps(indent=2), JSON.stringify(.., 2) and jq
            ("{\n  \"a\": [\n    1,\n    {}\n  ]\n}\n", "indent 2, newline"),
            ("{\n    \"a\": []\n}", "indent 4"),
            ("{\n\t\"a\": {\n\t\t\"b\": null\n\t}\n}\n", "tab, newline"),
            // Go's encoder
            ("{\"a\":\"\\u003cb\\u003e \\u0026 é\"}\n", "html, newline"),
            // PHP
            (r#"{"url":"http:\/\/x\/\u00e9"}"#, "ascii, slash"),
            (r#"{"c":"\u001f\b\f"}"#, ""),
            ("[]", ""),
            ("{}\n", "newline"),
            ("\"just a string\"", ""),
            ("-0.0e+10", ""),
        ];
        for (text, name) in cases {
            assert_eq!(style_of(text).as_deref(), Some(name), "{text}");
            let style = Style::from_name(name).unwrap_or_default();
            let (_, node) = Style::detect(text).unwrap();
            assert_eq!(style.render(&node.value), text);
        }
    }

    #[test]
    fn what_no_style_gives_back_has_none() {
        let cases = [
            r#"{"a":1, "b":2}"#,
            r#"{ "a": 1 }"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":"\u00E9"}"#,
            r#"{"a":"\u0041"}"#,
            r#"{"a":"\u00e9 é"}"#,
            r#"{"a":"\ud83d"}"#,
            "{\"a\":1}\n\n",
            "{\"a\":1}\r\n",
            "{\r\n  \"a\": 1\r\n}",
            "{\n  \"a\": [1, 2]\n}",
            " {}",
            "{\"a\":1",
            "",
        ];
        for text in cases {
            assert_eq!(style_of(text), None, "{text:?}");
        }
        let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
        assert_eq!(style_of(&deep), None);
    }

    #[test]
    fn names_are_taken_in_any_order_and_nothing_else_is() {
        let style = Style::from_name("newline,ascii, indent 3").unwrap();
        assert_eq!(style.name(), "indent 3, ascii, newline");
        assert_eq!(Style::from_name("compact"), Some(Style::default()));
        for name in ["", "indent", "indent 0", "indent 9", "tab, spaced", "ascii, ascii", "Tab"] {
            assert_eq!(Style::from_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn invisible_characters_are_escaped_in_the_cassettes_own_text() {
        let mut out = String::new();
        push_string(&mut out, "a\u{202e}b\u{7f}\u{85}\u{feff}é😀/<", Escapes::CASSETTE);
        assert_eq!(out, r#""a\u202eb\u007f\u0085\ufeffé😀/<""#);
    }

    proptest! {
        #[test]
        fn any_text_is_written_as_serde_json_writes_it(text in any::<String>()) {
            let mut out = String::new();
            push_string(&mut out, &text, Escapes::default());
            prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
        }
    }
}
