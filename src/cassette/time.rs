//! Points in time as RFC 3339 writes them, to the millisecond.
//!
//! Dates are counted by hand, since nothing else in the program needs a calendar.

const MS_PER_DAY: u64 = 24 * 60 * 60 * 1000;

/// 9999-12-31T23:59:59.999Z, the last that RFC 3339 can write.
pub(crate) const MS_MAX: u64 = 253_402_300_799_999;

/// `2026-11-20T09:12:33.125Z`. `ms` counts from the Unix epoch; later than `MS_MAX` is that.
pub(crate) fn write(ms: u64) -> String {
    let ms = ms.min(MS_MAX);
    let (year, month, day) = date(ms / MS_PER_DAY);
    let (s, ms) = (ms % MS_PER_DAY / 1000, ms % 1000);
    let (hour, minute, second) = (s / 3600, s / 60 % 60, s % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Takes any offset and any number of decimals (RFC 3339 section 5.6); what is finer than a
/// millisecond is cut off. `None` also for what comes before 1970 or after 9999.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    if day == 0 || day > days_in(year, month) {
        return None;
    }
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone_at);
    let (clock, decimals) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None; // 60 is a leap second (section 5.7); it counts as the next minute's first
    }
    let in_day = ((hour * 60 + minute) * 60 + second) * 1000 + thousandths(decimals)?;
    let local = days_before(year, month, day) * MS_PER_DAY + in_day;
    let ms = local.checked_add_signed(-offset_minutes(zone)? * 60_000)?;
    (ms <= MS_MAX).then_some(ms)
}

/// `+02:00` as 120, `Z` as 0.
fn offset_minutes(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let [hour, minute] = numbers(rest, ':', [2, 2])?;
    (hour < 24 && minute < 60).then_some(sign * (hour * 60 + minute) as i64)
}

fn thousandths(decimals: &str) -> Option<u64> {
    if decimals.is_empty() || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = decimals.bytes().chain(std::iter::repeat(b'0')).take(3);
    Some(digits.fold(0, |ms, digit| ms * 10 + u64::from(digit - b'0')))
}

/// Exactly N numbers of the given widths.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Leap days in the years before `year`, counted from the year 1.
fn leap_days_before(year: u64) -> u64 {
    let year = year - 1;
    year / 4 - year / 100 + year / 400
}

/// From 1970-01-01 to this date, which is not before it.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let years = (year - 1970) * 365 + leap_days_before(year) - leap_days_before(1970);
    years + (1..month).map(|month| days_in(year, month)).sum::<u64>() + day - 1
}

fn date(days: u64) -> (u64, u64, u64) {
    let mut year = 1970 + days / 366; // never too late; at most a few too early
    while days_before(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut left = days - days_before(year, 1, 1);
    let mut month = 1;
    while left >= days_in(year, month) {
        left -= days_in(year, month);
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_in_time_are_written_and_read() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_000_000_000_123, "2001-09-09T01:46:40.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (MS_MAX, "9999-12-31T23:59:59.999Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(write(ms), text);
            assert_eq!(parse(text), Some(ms));
        }
        assert_eq!(write(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        let mut before = String::new();
        for day in 0..150_000 {
            let text = write(day * MS_PER_DAY);
            assert_eq!(parse(&text), Some(day * MS_PER_DAY), "{text}");
            assert!(before < text, "{before} {text}");
            before = text;
        }
    }

    #[test]
    fn other_ways_to_write_a_time_are_understood() {
        let ms = parse("2026-11-20T09:12:33.125Z");
        assert!(ms.is_some());
        assert_eq!(parse("2026-11-20t11:12:33.1259+02:00"), ms);
        assert_eq!(parse("2026-11-19 22:42:33.125-10:30"), ms);
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let cases = [
            "",
            "2026-11-20",
            "2026-11-20T09:12:33",
            "2026-11-20T09:12Z",
            "2026-13-20T09:12:33Z",
            "2026-02-29T09:12:33Z",
            "2026-00-01T09:12:33Z",
            "2026-01-00T09:12:33Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T09:12:33.Z",
            "2026-11-20T09:12:33+2:00",
            "2026-11-20T09:12:33Zx",
            "26-11-20T09:12:33Z",
            "+026-11-20T09:12:33Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "2026-11-20T09:12:33é",
        ];
        for text in cases {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
