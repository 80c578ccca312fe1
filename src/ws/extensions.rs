//! The list in `Sec-WebSocket-Extensions`, taken apart (RFC 6455 section 9.1).
//!
//! Strict: a list that isn't one as a whole says nothing.

use crate::exchange::Fields;
use crate::http1::grammar::is_token_byte;

use super::handshake::EXTENSIONS;

/// One extension that is offered or granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension<'a> {
    pub name: &'a [u8],
    pub parameters: Vec<Parameter<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    pub name: &'a [u8],
    /// Without its quotes.
    pub value: Option<Vec<u8>>,
}

/// What the lines of the field list together, in their order; none where one of them can't be read.
pub fn listed(fields: &Fields) -> Option<Vec<Extension<'_>>> {
    let mut extensions = Vec::new();
    for line in fields.get_all(EXTENSIONS) {
        read(line, &mut extensions)?;
    }
    Some(extensions)
}

/// Elements may be empty (RFC 9110 section 5.6.1.2).
fn read<'a>(line: &'a [u8], extensions: &mut Vec<Extension<'a>>) -> Option<()> {
    let mut text = Text(line);
    loop {
        if !text.is_at_any(b",") {
            extensions.push(text.extension()?);
        }
        if !text.take(b',') {
            return text.0.is_empty().then_some(());
        }
    }
}

/// What is still to be read of a line.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn extension(&mut self) -> Option<Extension<'a>> {
        let mut extension = Extension { name: self.token()?, parameters: Vec::new() };
        while self.take(b';') {
            let name = self.token()?;
            let value = if self.take(b'=') { Some(self.value()?) } else { None };
            extension.parameters.push(Parameter { name, value });
        }
        Some(extension)
    }

    /// Within quotes stands a token as well, once they and the backslashes are off.
    fn value(&mut self) -> Option<Vec<u8>> {
        if !self.take(b'"') {
            return self.token().map(<[u8]>::to_vec);
        }
        let mut value = Vec::new();
        loop {
            let byte = match self.next()? {
                b'"' => break,
                b'\\' => self.next()?,
                byte => byte,
            };
            if !is_token_byte(byte) {
                return None;
            }
            value.push(byte);
        }
        (!value.is_empty()).then_some(value)
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        self.skip_blanks();
        let len = self.0.iter().take_while(|&&byte| is_token_byte(byte)).count();
        let (token, rest) = self.0.split_at(len);
        self.0 = rest;
        (len > 0).then_some(token)
    }

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.is_at_any(&[byte]) && !self.0.is_empty();
        if is_there {
            self.next();
        }
        is_there
    }

    /// Whether one of these bytes, or the end, comes next.
    fn is_at_any(&mut self, bytes: &[u8]) -> bool {
        self.skip_blanks();
        self.0.first().is_none_or(|byte| bytes.contains(byte))
    }

    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Option<String> {
        let fields: Fields = lines.iter().map(|line| ("Sec-WebSocket-Extensions", line)).collect();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let parameter = |parameter: &Parameter<'_>| match &parameter.value {
            Some(value) => format!(" {}={}", text(parameter.name), text(value)),
            None => format!(" {}", text(parameter.name)),
        };
        let extension = |extension: &Extension<'_>| {
            let parameters: String = extension.parameters.iter().map(parameter).collect();
            format!("{}{parameters}", text(extension.name))
        };
        Some(listed(&fields)?.iter().map(extension).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn lists_are_taken_apart() {
        for (lines, expected) in [
            (&[][..], ""),
            (&["", " , ,"], ""),
            (&["a"], "a"),
            (&["a;b;c=d", "e , f"], "a b c=d, e, f"),
            (&[" a\t;\tb = \"1\\5\" ,, c "], "a b=15, c"),
        ] {
            assert_eq!(told(lines).as_deref(), Some(expected), "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_list_says_nothing() {
        for line in [
            "a b",
            ";",
            "a;",
            "a;;b",
            "a;b=",
            "a;b=\"",
            "a;b=\"\"",
            "a;b=\"1",
            "a;b=\"\\",
            "=",
            "a;b=\"c d\"",
            "a;b=\"c,d\"",
            "a;b=\"c\"d",
            "a/b",
            "\"a\"",
            "a;b==c",
            "\u{e9}",
        ] {
            assert_eq!(told(&["ok", line]), None, "{line}");
        }
    }
}
