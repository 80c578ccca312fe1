//! Reading a configuration file: from the disk, by its ending.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::fault::{Fault, Faults};
use super::read::Reading;
use super::resolve::resolve;
use super::{Config, toml, yaml};

/// A real configuration has a few KiB; more is the wrong file.
const BYTES_MAX: u64 = 1 << 20;

/// What a file has to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// At least one endpoint.
    Endpoints,
    /// Nothing: endpoints come from elsewhere, should there be none.
    Nothing,
}

/// The configuration in the file at `path`.
///
/// # Errors
/// Every fault in the file, or that it can't be read.
pub fn load(path: &Path, need: Need) -> Result<Config, Faults> {
    parse_bytes(&read(path)?, path, need)
}

/// What `ouli check` has to say about a configuration.
#[derive(Debug, Default)]
pub struct Checked {
    /// Every fault in the file, or that it can't be read. Empty if all is well.
    pub faults: Faults,
    /// As `Config::warnings`.
    pub warnings: Vec<String>,
    /// Where its recordings are, also when other things are wrong with it. None if the file can't
    /// be read or parsed.
    pub recording_dir: Option<PathBuf>,
}

/// Judges the configuration in the file at `path`. It has to stand for itself, without an ORIGIN.
pub fn check(path: &Path) -> Checked {
    let judged = read(path).map_err(Faults::from);
    match judged.and_then(|bytes| judge(&bytes, path, Need::Endpoints)) {
        Ok((config, faults)) => {
            Checked { faults, warnings: config.warnings, recording_dir: Some(config.recording_dir) }
        }
        Err(faults) => Checked { faults, ..Checked::default() },
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: std::io::Error| {
        let fault = Fault::new(
            format!("could not read the configuration `{}`", path.display()),
            error.to_string(),
        );
        match error.kind() {
            std::io::ErrorKind::NotFound => fault.with_hint("`--config` names the file"),
            _ => fault.with_hint("it has to be a file that you may read"),
        }
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Toml,
    Yaml,
}

fn format(path: &Path) -> Result<Format, Fault> {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    match ending.to_str() {
        Some("toml") => Ok(Format::Toml),
        Some("yaml" | "yml") => Ok(Format::Yaml),
        _ => Err(Fault::in_file(path, "", None, "the ending of its name doesn't tell its format")
            .with_hint("call it .toml, .yaml or .yml")),
    }
}

/// The configuration that `bytes` describe; `path` gives the format and stands in messages.
///
/// # Errors
/// Every fault there is; one that isn't TOML or YAML at all has that one.
pub fn parse_bytes(bytes: &[u8], path: &Path, need: Need) -> Result<Config, Faults> {
    let (config, faults) = judge(bytes, path, need)?;
    faults.or(config)
}

/// The configuration as far as it can be read, and what is wrong with it.
///
/// # Errors
/// It isn't TOML or YAML at all.
fn judge(bytes: &[u8], path: &Path, need: Need) -> Result<(Config, Faults), Faults> {
    let whole = |reason: String, hint| Fault::in_file(path, "", None, reason).with_hint(hint);
    let format = format(path)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(whole("it has more than 1MiB".into(), "name a configuration").into());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        whole(format!("not UTF-8 from byte {} on", error.valid_up_to()), "save it as UTF-8")
    })?;
    // A byte order mark is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = match format {
        Format::Toml => toml::parse(text),
        Format::Yaml => yaml::parse(text),
    };
    let root = root.map_err(|fault| {
        let hint = match format {
            Format::Toml => {
                "text stands in quotes, a list in [ ]; each key stands once in its table"
            }
            Format::Yaml => {
                "entries of one level stand below each other; text with `: ` or ` #` in quotes"
            }
        };
        Fault::in_file(path, "", fault.place, fault.reason).with_hint(hint)
    })?;
    let mut reading = Reading::new(path);
    let mut config = resolve(&mut reading, &root, need);
    reading.faults.sort();
    config.warnings = reading.warnings;
    Ok((config, reading.faults))
}
