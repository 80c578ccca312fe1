//! The command line and the configuration file, merged and checked: what a serving command runs on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{Replay, Shared};
use super::origin::{parse_listen, parse_origin};
use crate::config::fault::quoted;
use crate::config::{
    self, Config, Endpoint, Fault, Faults, Mode, Need, PACE_HINT, PACES, Pace, Target, units,
};
use crate::server::Invocation;
use crate::session;
use crate::telemetry::{Level, Log, LogFormat};

/// # Errors
/// Every fault of the options, ORIGIN and the file, in this order.
pub(super) fn resolve(
    mode: Mode,
    shared: &Shared,
    replay: &Replay,
    dir: &Path,
) -> Result<Invocation, Faults> {
    let mut faults = Faults::default();
    let mut note = |fault: Fault| faults.push(fault);
    let pace = parse_pace(&replay.pace).map_err(&mut note).unwrap_or(Pace::Instant);
    let format = log_format(&shared.log_format).map_err(&mut note).unwrap_or(LogFormat::Human);
    let session = default_session(&shared.session, mode).map_err(&mut note).unwrap_or_default();
    let drain_timeout = drain_timeout(shared).map_err(&mut note).unwrap_or(None);
    let endpoint = endpoint(shared).map_err(|found| faults.append(found)).unwrap_or(None);
    let config = load(mode, shared, dir).map_err(|found| faults.append(found));
    let mut config = config.unwrap_or_default();
    if shared.origin.is_some() {
        config.endpoints = endpoint.into_iter().collect();
    }
    if let Some(dir) = &shared.recording_dir {
        config.recording_dir = dir.clone();
    }
    if let Some(timeout) = drain_timeout {
        config.limits.drain_timeout = timeout;
    }
    let log = Log { format, level: level(shared) };
    faults.or(Invocation { mode, config, session, strict: replay.strict, pace, log })
}

/// The file's configuration, or the default where there is no file.
fn load(mode: Mode, shared: &Shared, dir: &Path) -> Result<Config, Faults> {
    let path = match &shared.config {
        Some(path) => Some(dir.join(path)),
        None => discover(dir)?,
    };
    let lacks_endpoints = mode.forwards() && shared.origin.is_none();
    match path {
        Some(path) if lacks_endpoints => config::load(&path, Need::Endpoints),
        Some(path) => config::load(&path, Need::Nothing),
        None if lacks_endpoints => Err(nothing_to_forward_to(mode).into()),
        None => Ok(Config::default()),
    }
}

fn nothing_to_forward_to(mode: Mode) -> Fault {
    let mode = mode.as_str();
    let reason = "there is neither an ORIGIN nor a configuration with endpoints";
    Fault::new("no origin", reason)
        .with_hint(format!("name the server to stand for: ouli {mode} http://localhost:3000"))
}

/// The configuration file in `dir`, if there is one.
///
/// # Errors
/// There are several, and nothing says which one is meant.
pub(super) fn discover(dir: &Path) -> Result<Option<PathBuf>, Fault> {
    let names = ["ouli.toml", "ouli.yaml", "ouli.yml"];
    let mut found = names.into_iter().filter(|name| dir.join(name).is_file());
    let Some(first) = found.next() else { return Ok(None) };
    match found.next() {
        None => Ok(Some(dir.join(first))),
        Some(second) => Err(Fault::new(
            "can't tell which configuration to take",
            format!("both ./{first} and ./{second} are here"),
        )
        .with_hint("name one with --config, or remove one")),
    }
}

fn endpoint(shared: &Shared) -> Result<Option<Endpoint>, Faults> {
    let mut faults = Faults::default();
    let listen = shared.listen.as_deref().map(parse_listen).transpose();
    let listen = listen.map_err(|fault| faults.push(fault)).unwrap_or(None);
    let Some(origin) = &shared.origin else {
        if shared.listen.is_some() {
            let fault =
                Fault::new("can't use `--listen`", "it goes with ORIGIN, and there is none");
            faults.push(fault.with_hint("endpoints of a file listen where `source_port` says"));
        }
        return faults.or(None);
    };
    let target = parse_origin(origin).map_err(|found| faults.append(found)).ok();
    faults.or(target.map(|target: Target| {
        let mut endpoint = Endpoint::new(target);
        if let Some((address, port)) = listen {
            (endpoint.source_address, endpoint.source_port) = (address, port);
        }
        endpoint
    }))
}

fn default_session(name: &str, mode: Mode) -> Result<String, Fault> {
    let refuse = |reason| {
        Fault::new("can't use `--session`", reason).with_hint("leave it out for `default`")
    };
    judge_session(name, mode).map_err(refuse)?;
    Ok(name.to_owned())
}

/// The one place where the command line asks what a session may be called.
fn judge_session(name: &str, mode: Mode) -> Result<(), String> {
    let judged =
        if mode.forwards() { session::check_recordable(name) } else { session::check(name) };
    judged.map_err(|bad| bad.to_string())
}

fn drain_timeout(shared: &Shared) -> Result<Option<Duration>, Fault> {
    let Some(text) = shared.drain_timeout.as_deref() else { return Ok(None) };
    let refuse = |reason: String, hint: String| {
        Fault::new("can't use `--drain-timeout`", reason).with_hint(hint)
    };
    let timeout = units::parse_duration(text)
        .map_err(|why| refuse(format!("{}, found {}", why.reason, quoted(text)), why.hint))?;
    if timeout > Duration::from_millis(config::limits::TIME_MAX) {
        return Err(refuse(
            format!("expected at most 24h, found {}", quoted(text)),
            "nothing that a test waits for takes longer than a day".into(),
        ));
    }
    Ok(Some(timeout))
}

fn log_format(text: &str) -> Result<LogFormat, Fault> {
    match text {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err(Fault::new(
            "can't use `--log-format`",
            format!("expected human or json, found {}", quoted(text)),
        )
        .with_hint("json writes an object per line, for programs")),
    }
}

fn parse_pace(text: &str) -> Result<Pace, Fault> {
    Pace::parse(text).ok_or_else(|| {
        let reason = format!("expected {PACES}, found {}", quoted(text));
        Fault::new("can't use `--pace`", reason).with_hint(PACE_HINT)
    })
}

fn level(shared: &Shared) -> Level {
    match (shared.quiet, shared.verbose) {
        (true, _) => Level::Quiet,
        (false, 0) => Level::Normal,
        (false, 1) => Level::Verbose,
        (false, _) => Level::Everything,
    }
}
