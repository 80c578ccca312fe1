//! Sizes and durations as people write them. Pure.

use std::time::Duration;

/// Why a text is no size or duration: what is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) reason: String,
    pub(crate) hint: String,
}

impl Unreadable {
    fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Unreadable { reason: reason.into(), hint: hint.into() }
    }
}

const SIZE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `"64KiB"`, `"256 MiB"`, `"65536"`: a whole number of bytes.
///
/// # Errors
/// Decimal units are refused, because half the world means 1000 by `KB` and half 1024.
pub(crate) fn parse_size(text: &str) -> Result<u64, Unreadable> {
    const FORM: &str = "write a whole number with B, KiB, MiB, GiB or TiB, such as \"64KiB\"";
    let (digits, unit) = split_number(text.trim());
    if unit.starts_with('.') {
        return Err(Unreadable::new("expected a whole number", "take the next smaller unit"));
    }
    let number: u64 = digits.parse().map_err(|_| Unreadable::new("expected a size", FORM))?;
    let factor = match unit.trim_start() {
        "" => 1,
        unit => match SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some((_, factor)) => *factor,
            None => return Err(unknown_size_unit(digits, unit, FORM)),
        },
    };
    number.checked_mul(factor).ok_or_else(|| Unreadable::new("expected a size below 16 EiB", FORM))
}

fn unknown_size_unit(digits: &str, unit: &str, form: &str) -> Unreadable {
    let decimal = ["K", "M", "G", "T"].into_iter().find(|letter| {
        unit.eq_ignore_ascii_case(letter) || unit.eq_ignore_ascii_case(&format!("{letter}B"))
    });
    match decimal {
        Some(letter) => Unreadable::new(
            "expected a size in binary units",
            format!("`{unit}` means 1000 to some and 1024 to others: write \"{digits}{letter}iB\""),
        ),
        None => Unreadable::new("expected a size", form),
    }
}

/// The shortest text that `parse_size` reads as `bytes`.
pub(crate) fn format_size(bytes: u64) -> String {
    let (name, factor) = SIZE_UNITS
        .into_iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .unwrap_or(("B", 1));
    format!("{}{name}", bytes / factor)
}

const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `"300ms"`, `"10s"`, `"1m"`, `"1m30s"`: whole numbers, each unit at most once, large ones
/// first.
///
/// # Errors
/// A number without unit is refused: seconds and milliseconds are confused too easily.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, Unreadable> {
    const FORM: &str = "write whole numbers with h, m, s or ms, such as \"10s\" or \"1m30s\"";
    let expected = || Unreadable::new("expected a duration", FORM);
    let mut rest = text.trim();
    let mut units = DURATION_UNITS.into_iter();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(expected());
    }
    while !rest.is_empty() {
        let (digits, after) = split_number(rest);
        if after.starts_with('.') {
            return Err(Unreadable::new("expected whole numbers", "take the next smaller unit"));
        }
        let number: u64 = digits.parse().map_err(|_| expected())?;
        let name_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (name, after) = after.split_at(name_len);
        if name.is_empty() {
            return Err(Unreadable::new("expected a duration with its unit", FORM));
        }
        let (_, factor) = units.find(|(unit, _)| *unit == name).ok_or_else(expected)?;
        total = number
            .checked_mul(factor)
            .and_then(|millis| total.checked_add(millis))
            .ok_or_else(|| Unreadable::new("expected a duration within a lifetime", FORM))?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A text that `parse_duration` reads as `duration`, to the millisecond.
pub(crate) fn format_duration(duration: Duration) -> String {
    let mut rest = millis(duration);
    let mut text = String::new();
    for (name, factor) in DURATION_UNITS {
        if rest >= factor {
            text.push_str(&format!("{}{name}", rest / factor));
            rest %= factor;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_read_as_people_write_them() {
        let sizes =
            [("0", 0), ("65536", 65536), ("64KiB", 64 << 10), ("64 kib", 64 << 10), ("1B", 1)];
        for (text, bytes) in sizes {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5MiB", "64KB", "64k", "1XiB", "99999999TiB", "1 2"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        let times =
            [("0s", 0), ("300ms", 300), ("10s", 10_000), ("1m30s", 90_000), ("1h", 3_600_000)];
        for (text, millis) in times {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "10", "s", "1.5s", "-1s", "1d", "1s1m", "1s1s", "1 s", "99999999999999999h"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_size_reads_back_as_it_was_written(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn a_duration_reads_back_as_it_was_written(millis in 0..u64::MAX / 2) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
