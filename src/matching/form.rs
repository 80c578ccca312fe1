//! Forms (`application/x-www-form-urlencoded`) by fields, as bytes to digest: names and values
//! decoded, in canonical order. As in a query, order doesn't count and repetition does.

use std::borrow::Cow;

use super::target::hex_pair;

/// A name and its value.
pub(super) type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The fields of a form, decoded. Empty parts are no fields; a missing `=` is an empty value.
pub(super) fn fields(text: &[u8]) -> impl Iterator<Item = Field<'_>> {
    text.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).map(|part| {
        let equals = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        let value = part.get(equals + 1..).unwrap_or_default();
        (decode(&part[..equals]), decode(value))
    })
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        let (byte, behind) = match byte {
            b'+' => (b' ', behind),
            b'%' if let Some(byte) = hex_pair(behind) => {
                (byte, behind.get(2..).unwrap_or_default())
            }
            byte => (*byte, behind),
        };
        decoded.push(byte);
        rest = behind;
    }
    decoded.into()
}

/// Writes the canonical form to `out`, which is cleared.
pub(super) fn canonical(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut sorted: Vec<_> = fields(text).collect();
    sorted.sort();
    for text in sorted.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        canonical(text.as_bytes(), &mut out);
        out
    }

    #[test]
    fn order_and_encoding_do_not_count() {
        for (a, b) in [
            ("a=1&b=2", "b=2&a=1"),
            ("a=b+c", "a=b%20c"),
            ("a=%C3%A9", "%61=%c3%a9"),
            ("a", "a="),
            ("&a=1&&", "a=1"),
        ] {
            assert_eq!(form(a), form(b), "{a} {b}");
        }
    }

    #[test]
    fn names_values_and_repetition_count() {
        for (a, b) in [
            ("a=1", "a=2"),
            ("a=1", "b=1"),
            ("a=1&a=1", "a=1"),
            ("a=b%2Bc", "a=b+c"),
            ("a=1%26b=2", "a=1&b=2"),
            ("ab=c", "a=bc"),
        ] {
            assert_ne!(form(a), form(b), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn text_is_decoded_as_the_url_standard_says(text in "[a+%0-9A-Fz]{0,20}") {
            let spaced = text.replace('+', " ");
            let known: Vec<u8> = percent_encoding::percent_decode_str(&spaced).collect();
            prop_assert_eq!(&*decode(text.as_bytes()), &known[..]);
        }
    }
}
