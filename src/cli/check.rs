//! `ouli check`: every fault in a configuration and in cassettes.
//!
//! Only reads, and opens no connection. What it finds goes to stderr, in the order in which it was
//! asked for, faults of one file in the order of the file; stdout stays empty.

use std::env;
use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::{Cassettes, Check};
use crate::cassette::{self, Finding};
use crate::config::{self, RECORDING_DIR};
use crate::replay::source::Folder;
use crate::session;

pub fn run(check: &Check) -> ExitCode {
    let report = examine(check);
    // Where nobody can be told, the exit code says it.
    let _ = io::Write::write_all(&mut io::stderr(), report.to_string().as_bytes());
    report.exit_code()
}

/// What was looked at, and all that is to be said about it.
#[derive(Debug, Default)]
struct Report {
    text: String,
    config: Option<PathBuf>,
    config_fault_count: usize,
    cassette_count: usize,
    faulty_cassette_count: usize,
}

fn examine(check: &Check) -> Report {
    let mut report = Report::default();
    let mut recording_dir = None;
    if let Some(path) = &check.config {
        recording_dir = report.check_config(path);
    }
    match &check.cassettes {
        Cassettes::Named(paths) => paths.iter().for_each(|path| report.check_path(path)),
        Cassettes::Recorded { dir } => {
            let recordings = dir.join(recording_dir.unwrap_or_else(|| RECORDING_DIR.into()));
            // A project that hasn't recorded anything yet is fine.
            if recordings.is_dir() {
                report.check_folder(&recordings);
            }
        }
    }
    report
}

impl Report {
    /// Gives the folder that its recordings are in, if the file says so much.
    fn check_config(&mut self, path: &Path) -> Option<PathBuf> {
        let checked = config::check(path);
        self.config = Some(path.to_owned());
        self.config_fault_count = checked.faults.len();
        self.say(&checked.faults);
        for warning in &checked.warnings {
            self.say(format_args!("warning: {warning}\n"));
        }
        checked.recording_dir
    }

    /// A cassette, or a folder of them.
    fn check_path(&mut self, path: &Path) {
        match path.metadata() {
            Ok(found) if found.is_dir() => self.check_folder(path),
            Ok(_) => self.check_cassette(path, &recording_dir_of(path)),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn check_folder(&mut self, dir: &Path) {
        let (sessions, unreadable) = match Folder::open(dir) {
            Ok(folder) => folder.sessions(),
            Err(error) => return self.unreadable(dir, &error),
        };
        for error in unreadable {
            self.unreadable(&error.path, &error.cause);
        }
        for name in sessions {
            let path = session::cassette_path(dir, &name);
            self.check_cassette(&path, &recording_dir_of(&path));
        }
    }

    fn check_cassette(&mut self, path: &Path, recording_dir: &Path) {
        let findings = cassette::check(path, recording_dir);
        self.cassette_count += 1;
        self.faulty_cassette_count += usize::from(!findings.is_empty());
        for finding in &findings {
            self.say(Shown { finding, file: path });
        }
    }

    fn unreadable(&mut self, path: &Path, cause: &dyn fmt::Display) {
        self.cassette_count += 1;
        self.faulty_cassette_count += 1;
        self.say(format_args!(
            "error: could not read `{}`\n  caused by: {cause}\n",
            path.display()
        ));
    }

    fn say(&mut self, what: impl fmt::Display) {
        // Writing to memory doesn't fail.
        let _ = write!(self.text, "{what}");
    }

    /// A configuration outweighs cassettes: with a faulty one, nothing runs.
    fn exit_code(&self) -> ExitCode {
        match (self.config_fault_count, self.faulty_cassette_count) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }
}

/// All faults, then one line that says what was looked at, so that "fine" is never silence.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("checked ")?;
        if let Some(config) = &self.config {
            let faults = Count(self.config_fault_count, "fault");
            write!(f, "`{}`: {faults}; ", config.display())?;
        }
        let cassettes = Count(self.cassette_count, "cassette");
        match self.faulty_cassette_count {
            0 if self.cassette_count == 0 => writeln!(f, "{cassettes}"),
            0 => writeln!(f, "{cassettes}: no faults"),
            faulty => writeln!(f, "{cassettes}: {faulty} faulty"),
        }
    }
}

/// `no faults`, `1 fault`, `2 faults`
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count(count, what) = self;
        match count {
            0 => write!(f, "no {what}s"),
            1 => write!(f, "1 {what}"),
            _ => write!(f, "{count} {what}s"),
        }
    }
}

/// A finding in the form that faults of a configuration have.
struct Shown<'a> {
    finding: &'a Finding,
    file: &'a Path,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { finding, file } = self;
        let file = file.display();
        match finding.path.as_str() {
            "" => writeln!(f, "error: invalid cassette `{file}`")?,
            path => writeln!(f, "error: invalid `{path}` in `{file}`")?,
        }
        writeln!(f, "  caused by: {finding}")
    }
}

/// The recording folder that the cassette at `path` belongs to, where its `bodies/` are: sessions
/// may lie in folders of their own, so it need not be the next one up. Where nothing tells, it is.
fn recording_dir_of(path: &Path) -> PathBuf {
    let parent = path.parent().unwrap_or(Path::new(""));
    // A path inside the folder, such as `pay.json`, shows nothing of what is above it.
    let working_dir = env::current_dir().unwrap_or_default();
    let beyond = working_dir.ancestors().skip(1).take_while(|_| path.is_relative());
    let above: Vec<&Path> = parent.ancestors().chain(beyond).collect();
    // `.ouli` goes first: a folder of sessions may be called `bodies`.
    [".ouli", "bodies"]
        .iter()
        .find_map(|mark| above.iter().find(|dir| dir.join(mark).is_dir()))
        .map_or_else(|| parent.to_owned(), |dir| dir.to_path_buf())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FINE: &str = "{\"format\": 1, \"endpoints\": [], \"exchanges\": []}\n";
    const CONFIG: &str = "[[endpoints]]\ntarget_host = \"a\"\ntarget_type = \"http\"\n";

    /// A folder with these files in it.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn named(dir: &Path, names: &[&str]) -> Report {
        let paths = names.iter().map(|name| dir.join(name)).collect();
        examine(&Check { config: None, cassettes: Cassettes::Named(paths) })
    }

    fn all(dir: &Path, config: Option<&str>) -> Report {
        let cassettes = Cassettes::Recorded { dir: dir.to_owned() };
        examine(&Check { config: config.map(|name| dir.join(name)), cassettes })
    }

    /// What is printed, the folder's name left out.
    fn told(report: &Report, dir: &Path) -> String {
        report.to_string().replace(&format!("{}/", dir.display()), "")
    }

    #[test]
    fn what_is_fine_is_said_in_a_line() {
        let dir = folder(&[
            ("ouli.toml", CONFIG),
            ("recordings/a.json", FINE),
            ("recordings/b/c.json", FINE),
        ]);
        let dir = dir.path();
        let report = all(dir, Some("ouli.toml"));
        assert_eq!(told(&report, dir), "checked `ouli.toml`: no faults; 2 cassettes: no faults\n");
        assert_eq!(report.exit_code(), ExitCode::SUCCESS);
        assert_eq!(told(&named(dir, &["recordings/b"]), dir), "checked 1 cassette: no faults\n");
    }

    #[test]
    fn all_faults_of_all_files_are_told_together() {
        let dir = folder(&[
            ("ouli.toml", "recording_dir = \"kept\"\n[limits]\nmax_hedders = 1\n"),
            ("kept/a.json", "{\"format\": 1,\n \"endpoints\": 3, \"exchanges\": {}}"),
            ("kept/b/c.json", "{\"format\": 1,\n"),
            ("recordings/not-these.json", "oops"),
        ]);
        let dir = dir.path();
        let report = all(dir, Some("ouli.toml"));
        insta::assert_snapshot!(told(&report, dir), @r#"
        error: invalid `endpoints` in `ouli.toml`
          caused by: there is no endpoint
        hint: list some, or name an origin: ouli record http://localhost:3000
        error: invalid `limits.max_hedders` in `ouli.toml`
          caused by: line 3, column 1: unknown key
        hint: did you mean `max_headers`?
        error: invalid `endpoints` in `kept/a.json`
          caused by: line 2, column 15: expected an array of endpoints, found 3
        error: invalid `exchanges` in `kept/a.json`
          caused by: line 2, column 31: expected an array of exchanges, found an empty object
        error: invalid cassette `kept/b/c.json`
          caused by: line 2, column 1: expected a key in double quotes, found the end of the file
        checked `ouli.toml`: 2 faults; 2 cassettes: 2 faulty
        "#);
        assert_eq!(report.exit_code(), ExitCode::from(2));
    }

    #[test]
    fn a_configuration_that_cannot_be_parsed_leaves_the_usual_folder_to_check() {
        let dir = folder(&[("ouli.toml", "[[["), ("recordings/a.json", "oops")]);
        let report = all(dir.path(), Some("ouli.toml"));
        assert_eq!((report.config_fault_count, report.faulty_cassette_count), (1, 1));
    }

    #[test]
    fn a_body_file_that_is_missing_is_a_fault_wherever_the_session_lies() {
        let digest = "0".repeat(64);
        let body = format!("{{\"file\": {{\"sha256\": \"{digest}\", \"bytes\": 3}}}}");
        let cassette = format!(
            "{{\"format\": 1, \"endpoints\": [{{\"name\": \"o\", \"listen\": \"127.0.0.1:1\", \
             \"source_type\": \"http\", \"origin\": \"http://o:80\"}}], \"exchanges\": [{{\
             \"endpoint\": \"o\", \"recorded_at\": \"2026-01-01T00:00:00.000Z\", \
             \"request\": {{\"method\": \"GET\", \"target\": \"/\", \"headers\": []}}, \
             \"response\": {{\"at_ms\": 1, \"status\": 200, \"headers\": [], \"body\": {body}}}}}]}}"
        );
        let dir = folder(&[("r/deep/er/a.json", &cassette), ("r/bodies/other", "")]);
        let dir = dir.path();
        for asked in ["r", "r/deep", "r/deep/er/a.json"] {
            let report = named(dir, &[asked]);
            let told = told(&report, dir);
            assert!(told.contains(&format!("`r/bodies/{digest}` is missing")), "{asked}: {told}");
            assert_eq!(report.exit_code(), ExitCode::FAILURE);
        }
    }

    #[test]
    fn what_is_not_there_is_a_fault() {
        let dir = folder(&[]);
        let report = named(dir.path(), &["a.json"]);
        insta::assert_snapshot!(told(&report, dir.path()), @r#"
        error: could not read `a.json`
          caused by: No such file or directory (os error 2)
        checked 1 cassette: 1 faulty
        "#);
        assert_eq!(report.exit_code(), ExitCode::FAILURE);
    }

    #[test]
    fn the_recording_folder_is_the_one_with_the_marks() {
        let dir = folder(&[("r/.ouli/x", ""), ("r/a/bodies/b.json", ""), ("plain/c.json", "")]);
        let dir = dir.path();
        assert_eq!(recording_dir_of(&dir.join("r/a/bodies/b.json")), dir.join("r"));
        assert_eq!(recording_dir_of(&dir.join("plain/c.json")), dir.join("plain"));
        assert_eq!(recording_dir_of(Path::new("c.json")), Path::new(""));
    }
}
