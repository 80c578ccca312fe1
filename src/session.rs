//! Session names: which are allowed, which one a request asks for, and the files they stand for.
//!
//! Pure. A name comes from the network and becomes a path, so what is checked here is all that
//! keeps a request from reading or writing outside the recording folder: paths are made from
//! checked names only.

use std::path::{Path, PathBuf};

use crate::exchange::Fields;

/// The request fields that name a session, the first that is there counting. Neither is ever
/// forwarded or recorded.
pub const FIELDS: [&str; 2] = ["ouli-session", "test-name"];

/// A part and the longest ending that Ouli puts behind it stay below the 255 bytes that file
/// systems allow.
const PART_BYTES_MAX: usize = 200;

/// Leaves three quarters of Linux' PATH_MAX to the folder that the recordings lie in.
const NAME_BYTES_MAX: usize = 1024;

/// What recovery puts behind a name. A session of such a name can be replayed, not recorded: its
/// cassette belongs to recovery.
const RECOVERED: &str = ".recovered";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("a session name must not be empty")]
    Empty,
    #[error("a session name is UTF-8 text")]
    NotText,
    #[error("a session name has at most {NAME_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    #[error("a session name must not have empty parts: one `/` between parts, none at the ends")]
    EmptyPart,
    #[error("a part of a session name must not start with a dot, found `{0}`")]
    LeadingDot(String),
    #[error("a session name must not hold backslashes; folders are parted by `/`")]
    Backslash,
    #[error("a session name must not hold control characters, found {0:?}")]
    Control(char),
    #[error("a part of a session name has at most {PART_BYTES_MAX} bytes, found one of {0}")]
    PartTooLong(usize),
    #[error("a part of a session name must not end in `.json`, found `{0}`")]
    JsonEnding(String),
    #[error("a session name must not start with `bodies/`: large bodies are kept there")]
    Bodies,
    #[error("a request names one session, this one has {count} `{field}` fields")]
    Repeated { field: &'static str, count: usize },
    #[error(
        "`{0}` is named as what was recovered from a killed recorder: such a session can be \
         replayed, not recorded"
    )]
    Recovered(String),
}

/// Checks a name for replay. See [`check_recordable`] for recording.
pub fn check(name: &str) -> Result<(), BadName> {
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(BadName::TooLong(name.len()));
    }
    if name.contains('\\') {
        return Err(BadName::Backslash);
    }
    if let Some(control) = name.chars().find(|c| c.is_control()) {
        return Err(BadName::Control(control));
    }
    if name.split('/').next() == Some("bodies") {
        return Err(BadName::Bodies);
    }
    name.split('/').try_for_each(check_part)
}

fn check_part(part: &str) -> Result<(), BadName> {
    if part.is_empty() {
        return Err(BadName::EmptyPart);
    }
    if part.starts_with('.') {
        return Err(BadName::LeadingDot(part.to_owned()));
    }
    if part.len() > PART_BYTES_MAX {
        return Err(BadName::PartTooLong(part.len()));
    }
    // Some file systems know no case, so neither does this check.
    let ending = part.len().checked_sub(".json".len()).and_then(|start| part.get(start..));
    if ending.is_some_and(|ending| ending.eq_ignore_ascii_case(".json")) {
        return Err(BadName::JsonEnding(part.to_owned()));
    }
    Ok(())
}

/// Checks a name for recording: as [`check`], and it must not be one that recovery writes.
pub fn check_recordable(name: &str) -> Result<(), BadName> {
    check(name)?;
    refuse_recovered(name)
}

/// What [`check_recordable`] asks beyond [`check`], for a name that has passed that.
pub fn refuse_recovered(name: &str) -> Result<(), BadName> {
    match is_recovered(name) {
        true => Err(BadName::Recovered(name.to_owned())),
        false => Ok(()),
    }
}

/// The session that a request belongs to: the one its fields name, else `default`, which has been
/// checked already.
///
/// Errors: the name is not allowed, or the field stands there twice, equal or not: two hands have
/// put it there, and which of them is right can't be known.
pub fn pick<'a>(fields: &'a Fields, default: &'a str) -> Result<&'a str, BadName> {
    for name in FIELDS {
        let mut values = fields.get_all(name);
        let Some(value) = values.next() else { continue };
        match values.count() {
            0 => {}
            more => return Err(BadName::Repeated { field: name, count: more + 1 }),
        }
        let session = std::str::from_utf8(value).map_err(|_| BadName::NotText)?;
        check(session)?;
        return Ok(session);
    }
    Ok(default)
}

/// Whether a field names a session and so stays with Ouli.
pub fn is_session_field(name: &[u8]) -> bool {
    FIELDS.iter().any(|field| field.as_bytes().eq_ignore_ascii_case(name))
}

/// Where the cassette of a checked name lies: `checkout/pay` in `checkout/pay.json`.
pub fn cassette_path(recording_dir: &Path, name: &str) -> PathBuf {
    recording_dir.join(format!("{name}.json"))
}

/// The session that recovery makes of what a killed run left of `name`, the `number`th time,
/// counted from 1: `pay.recovered`, `pay.recovered-2`.
pub fn recovered_name(name: &str, number: u32) -> String {
    match number {
        0 | 1 => format!("{name}{RECOVERED}"),
        more => format!("{name}{RECOVERED}-{more}"),
    }
}

/// The session that a recovered one was recovered of, and the how manyth time that was. None for
/// a name that recovery doesn't give.
pub fn of_recovered(name: &str) -> Option<(&str, u32)> {
    // Asked of every request's session, and nearly none looks like it.
    if !name.ends_with(|last: char| last == 'd' || last.is_ascii_digit()) {
        return None;
    }
    let (of, number) = name.rsplit_once(RECOVERED)?;
    if number.is_empty() {
        return Some((of, 1));
    }
    let digits = number.strip_prefix('-')?;
    let number: u32 = digits.parse().ok().filter(|number| *number > 1)?;
    // Another spelling of the number is another name.
    (digits == number.to_string()).then_some((of, number))
}

/// The session whose cassette lies at `path`, a path relative to the recording folder. None for
/// files that are no cassette: bodies, Ouli's own folder, other endings.
pub fn of_cassette(path: &Path) -> Option<&str> {
    let name = path.to_str()?.strip_suffix(".json")?;
    // What recovery puts behind a name may make it longer than a request may ask for.
    let of = of_recovered(name).map_or(name, |(of, _)| of);
    (check(name).is_ok() || check(of).is_ok()).then_some(name)
}

/// Whether a name is that of a recovered session.
pub fn is_recovered(name: &str) -> bool {
    of_recovered(name).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_tests_and_folders_are_allowed() {
        for name in ["default", "checkout/pay", "a b", "täst", "a..b", "x.recovered", "a/bodies"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        assert_eq!(check(&"n".repeat(200)), Ok(()));
    }

    #[test]
    fn names_that_could_leave_the_folder_or_hit_other_files_are_refused() {
        for (name, reason) in [
            ("", BadName::Empty),
            ("..", BadName::LeadingDot("..".into())),
            ("a/../b", BadName::LeadingDot("..".into())),
            (".", BadName::LeadingDot(".".into())),
            (".ouli/x", BadName::LeadingDot(".ouli".into())),
            ("/etc/passwd", BadName::EmptyPart),
            ("a//b", BadName::EmptyPart),
            ("a/", BadName::EmptyPart),
            ("a\\b", BadName::Backslash),
            ("a\0b", BadName::Control('\0')),
            ("a\u{85}", BadName::Control('\u{85}')),
            ("a.json", BadName::JsonEnding("a.json".into())),
            ("a.JSON/b", BadName::JsonEnding("a.JSON".into())),
            ("bodies", BadName::Bodies),
            ("bodies/a", BadName::Bodies),
        ] {
            assert_eq!(check(name), Err(reason), "{name:?}");
        }
        assert_eq!(check(&"n".repeat(201)), Err(BadName::PartTooLong(201)));
        assert_eq!(check(&"n/".repeat(600)), Err(BadName::TooLong(1200)));
    }

    #[test]
    fn a_recovered_session_is_replayed_but_never_recorded_over() {
        for name in ["pay.recovered", "pay.recovered-2", "a/pay.recovered-10"] {
            assert_eq!(check(name), Ok(()), "{name}");
            assert_eq!(check_recordable(name), Err(BadName::Recovered(name.into())), "{name}");
        }
        let others = ["pay", "recovered", "pay.recovered-x", "pay.recovered-1", "pay.recovered-02"];
        for name in others.into_iter().chain(["pay.recovered/a", "pay.recovered-"]) {
            assert_eq!(check_recordable(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn recovered_names_say_what_was_recovered_and_the_how_manyth_time() {
        assert_eq!(recovered_name("pay", 1), "pay.recovered");
        assert_eq!(recovered_name("pay", 2), "pay.recovered-2");
        for number in [1, 2, 9, 10, u32::MAX] {
            assert_eq!(of_recovered(&recovered_name("a/pay", number)), Some(("a/pay", number)));
        }
        let again = recovered_name("pay.recovered", 3);
        assert_eq!(of_recovered(&again), Some(("pay.recovered", 3)));
    }

    #[test]
    fn a_request_field_names_the_session() {
        let named = |pairs: &[(&str, &str)]| {
            let fields: Fields = pairs.iter().copied().collect();
            pick(&fields, "default").map(str::to_owned)
        };
        assert_eq!(named(&[("host", "h")]), Ok("default".into()));
        assert_eq!(named(&[("Ouli-Session", "a/b")]), Ok("a/b".into()));
        assert_eq!(named(&[("test-name", "t")]), Ok("t".into()));
        assert_eq!(named(&[("test-name", "t"), ("ouli-session", "s")]), Ok("s".into()));
        assert_eq!(named(&[("ouli-session", "")]), Err(BadName::Empty));
        let twice = BadName::Repeated { field: "ouli-session", count: 2 };
        assert_eq!(named(&[("ouli-session", "a"), ("OULI-SESSION", "a")]), Err(twice));
    }

    #[test]
    fn a_name_that_is_no_text_is_refused() {
        let fields: Fields = [("ouli-session", &b"\xff"[..])].into_iter().collect();
        assert_eq!(pick(&fields, "default"), Err(BadName::NotText));
    }

    #[test]
    fn cassettes_are_told_from_other_files() {
        assert_eq!(of_cassette(Path::new("checkout/pay.json")), Some("checkout/pay"));
        assert_eq!(of_cassette(Path::new(".ouli/x.json")), None);
        assert_eq!(of_cassette(Path::new("bodies/x.json")), None);
        assert_eq!(of_cassette(Path::new("notes.txt")), None);
        let long = recovered_name(&"n".repeat(200), 12);
        assert_eq!(of_cassette(Path::new(&format!("{long}.json"))), Some(&*long));
    }

    proptest! {
        #[test]
        fn an_allowed_name_stays_inside_the_folder(name in "[a-c./\\\\ é]{1,12}") {
            if check(&name).is_ok() {
                let path = cassette_path(Path::new("/r"), &name);
                let only_names = path.components().skip(2).all(|part| {
                    matches!(part, std::path::Component::Normal(_))
                });
                prop_assert!(path.starts_with("/r") && only_names);
                prop_assert_eq!(of_cassette(path.strip_prefix("/r").unwrap()), Some(&*name));
            }
        }
    }
}
