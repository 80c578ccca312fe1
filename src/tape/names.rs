//! What the files of a run are called, and which run a file belongs to.
//!
//! Pure. All of them stand in the recording directory's `.ouli` folder and begin with the run's id,
//! so that a run's leftovers can be told from another's by name alone.

use std::fmt;
use std::path::{Path, PathBuf};

use super::format::Side;
use crate::exchange::Seq;

/// The folder in a recording directory that holds what isn't for people.
pub const FOLDER: &str = ".ouli";

/// The folder that a recording directory keeps its tapes in.
pub fn folder(recording_dir: &Path) -> PathBuf {
    recording_dir.join(FOLDER)
}

/// Names a run: sorts by its start, holds no dot and nothing else that a file name may not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// `unique` tells apart what time and process can't: process ids in containers repeat.
    pub fn new(started_at_ms: u64, pid: u32, unique: u32) -> Self {
        let (days, ms) = (started_at_ms / 86_400_000, started_at_ms % 86_400_000);
        let (year, month, day) = date(days);
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        let (second, ms) = (ms / 1000 % 60, ms % 1000);
        RunId(format!(
            "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}{ms:03}Z-{pid}-{unique:08x}"
        ))
    }

    /// An id that was read from a file; `None` if no run could have it.
    pub fn checked(id: &str) -> Option<RunId> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (!id.is_empty() && id.bytes().all(fits)).then(|| RunId(id.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn tape(&self, worker: usize) -> String {
        format!("{self}.{worker}.tape")
    }

    pub fn body(&self, seq: Seq, side: Side) -> String {
        match side {
            Side::Request => format!("{self}.{}.request.body", seq.0),
            Side::Response => format!("{self}.{}.body", seq.0),
        }
    }

    /// Locked while the run lives; lists the sessions it has claimed.
    pub fn claims(&self) -> String {
        format!("{self}.run")
    }

    /// The manifest of a seal: which staged file becomes which cassette.
    pub fn manifest(&self) -> String {
        format!("{self}.seal")
    }

    /// A cassette that is written but not yet in its place, or a manifest that isn't whole yet.
    pub fn staged(&self, number: usize) -> String {
        format!("{self}.{number}.staged")
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file in the folder is to its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Tape(usize),
    Body(Seq, Side),
    Claims,
    Manifest,
    Staged(usize),
}

/// Reads a name that one of `RunId`'s methods made; `None` for whatever else lies there.
pub fn parse(name: &str) -> Option<(RunId, Role)> {
    let (run, rest) = name.split_once('.')?;
    let run = RunId::checked(run)?;
    let role = match rest.rsplit_once('.') {
        None if rest == "run" => Role::Claims,
        None if rest == "seal" => Role::Manifest,
        Some((number, "tape")) => Role::Tape(number.parse().ok()?),
        Some((number, "staged")) => Role::Staged(number.parse().ok()?),
        Some((seq, "body")) => match seq.strip_suffix(".request") {
            Some(seq) => Role::Body(Seq(seq.parse().ok()?), Side::Request),
            None => Role::Body(Seq(seq.parse().ok()?), Side::Response),
        },
        _ => return None,
    };
    Some((run, role))
}

/// The proleptic Gregorian date of a day counted from 1970-01-01, by walking 400-year cycles that
/// begin in March, so that the leap day is a cycle's last.
fn date(days: u64) -> (u64, u64, u64) {
    /// Days in 400 years.
    const CYCLE: u64 = 146_097;
    // 1970-01-01 is day 719,468 counted from 0000-03-01.
    let days = days + 719_468;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March take 31, 30, 31, 30, 31 days over and over: 153 in five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_says_when_it_began() {
        let cases = [
            (0, "19700101T000000000Z-7-0000002a"),
            (951_782_400_000, "20000229T000000000Z-7-0000002a"),
            (1_795_225_353_123, "20261121T014233123Z-7-0000002a"),
            (4_107_542_399_999, "21000228T235959999Z-7-0000002a"),
            (4_107_542_400_000, "21000301T000000000Z-7-0000002a"),
        ];
        for (ms, id) in cases {
            assert_eq!(RunId::new(ms, 7, 42).as_str(), id);
        }
    }

    #[test]
    fn every_name_a_run_gives_is_read_back() {
        let run = RunId::new(1_795_225_353_123, 4711, 0xdead_beef);
        let names = [
            (run.tape(3), Role::Tape(3)),
            (run.body(Seq(12), Side::Response), Role::Body(Seq(12), Side::Response)),
            (run.body(Seq(12), Side::Request), Role::Body(Seq(12), Side::Request)),
            (run.claims(), Role::Claims),
            (run.manifest(), Role::Manifest),
            (run.staged(0), Role::Staged(0)),
        ];
        for (name, role) in names {
            assert_eq!(parse(&name), Some((run.clone(), role)), "{name}");
        }
    }

    #[test]
    fn what_is_no_run_s_file_is_left_alone() {
        for name in [".gitignore", "lock", "recovery.lock", "x.tape", "x.y.body", "x.1.tape.bak"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
