//! From the raw tree to `Config`: the only place that says "invalid".
//!
//! Reads everything there is, and notes every fault on the way; what can't be read falls back to
//! its default so that the rest can still be judged.

use std::path::PathBuf;
use std::time::Duration;

use super::fault::Place;
use super::limits::{BOUNDS, Bound, Slot};
use super::raw::{Node, Value};
use super::read::{At, Reading, Table};
use super::{Config, Limits, Need, Sockets, keys, units};

mod descriptors;
mod endpoint;
mod template;
mod tls;

/// The configuration that `root` describes, as far as it can be read. Faults go to `reading`.
pub(super) fn resolve(reading: &mut Reading, root: &Node, need: Need) -> Config {
    let mut config = Config::default();
    let Some(top) = reading.table(&At { path: String::new(), node: root }, &keys::TOP) else {
        return config;
    };
    if let Some(dir) = top.get("recording_dir").and_then(|at| recording_dir(reading, &at)) {
        config.recording_dir = dir;
    }
    config.workers = top.get("workers").and_then(|at| workers(reading, &at));
    if let Some(table) = top.get("limits").and_then(|at| reading.table(&at, &keys::LIMITS)) {
        config.limits = limits(reading, &table);
    }
    if let Some(table) = top.get("sockets").and_then(|at| reading.table(&at, &keys::SOCKETS)) {
        config.sockets = sockets(reading, &table);
    }
    let endpoints = top.get("endpoints");
    if let Some(at) = &endpoints {
        config.endpoints = endpoint::endpoints(reading, at);
    }
    let is_empty = endpoints.as_ref().is_none_or(|at| at.node.is_empty_list());
    if is_empty && need == Need::Endpoints {
        let fault = reading
            .fault("endpoints", place_of(endpoints.as_ref()), "there is no endpoint")
            .with_hint("list some, or name an origin: ouli record http://localhost:3000");
        reading.faults.push(fault);
    }
    config
}

fn recording_dir(reading: &mut Reading, at: &At<'_>) -> Option<PathBuf> {
    let text = reading.text(at)?;
    if text.is_empty() || text.contains('\0') {
        reading.refuse(at, "this names no directory", "write `.` for the working directory");
        return None;
    }
    Some(PathBuf::from(text))
}

fn workers(reading: &mut Reading, at: &At<'_>) -> Option<usize> {
    /// More runtimes than any machine has cores.
    const WORKERS_MAX: u64 = 1024;
    let count = reading.count(at, "a number", (1, WORKERS_MAX), "leave it out for one per core")?;
    usize::try_from(count).ok()
}

fn limits(reading: &mut Reading, table: &Table<'_>) -> Limits {
    let mut limits = Limits::default();
    for bound in &BOUNDS {
        if let Some(at) = table.get(bound.key) {
            limit(reading, &at, bound, &mut limits);
        }
    }
    limits.max_connections_configured = table.get("max_connections").is_some();
    limits
}

fn limit(reading: &mut Reading, at: &At<'_>, bound: &Bound, limits: &mut Limits) {
    let value = match bound.slot {
        Slot::Count(_) => count(reading, at, bound),
        Slot::Size(_) | Slot::LongSize(_) => reading.size(at),
        Slot::Time(_) => reading.duration(at).map(units::millis),
    };
    let Some(value) = value.filter(|value| in_bounds(reading, at, bound, *value)) else { return };
    match bound.slot {
        Slot::Count(slot) | Slot::Size(slot) => {
            *slot(limits) = usize::try_from(value).unwrap_or(usize::MAX);
        }
        Slot::LongSize(slot) => *slot(limits) = value,
        Slot::Time(slot) => *slot(limits) = Duration::from_millis(value),
    }
}

/// A number that is too small is judged with the bound's reason, by `in_bounds`.
fn count(reading: &mut Reading, at: &At<'_>, bound: &Bound) -> Option<u64> {
    match at.node.value {
        Value::Integer(Some(value)) if value >= 0 => u64::try_from(value).ok(),
        _ => reading.count(at, "a number", (bound.min, bound.max), "a limit is never negative"),
    }
}

fn in_bounds(reading: &mut Reading, at: &At<'_>, bound: &Bound, value: u64) -> bool {
    let show = |value: u64| match bound.slot {
        Slot::Count(_) => value.to_string(),
        Slot::Size(_) | Slot::LongSize(_) => units::format_size(value),
        Slot::Time(_) => units::format_duration(Duration::from_millis(value)),
    };
    let (min, max, found) = (show(bound.min), show(bound.max), show(value));
    if value < bound.min {
        let reason = format!("expected at least {min}, found {found}");
        reading.refuse(at, reason, format!("with less, {}", bound.too_small));
    } else if value > bound.max {
        let reason = format!("expected at most {max}, found {found}");
        reading.refuse(at, reason, bound.too_large());
    } else {
        return true;
    }
    false
}

fn sockets(reading: &mut Reading, table: &Table<'_>) -> Sockets {
    let mut sockets = Sockets::default();
    if let Some(at) = table.get("recv_buffer") {
        sockets.recv_buffer = socket_buffer(reading, &at);
    }
    if let Some(at) = table.get("send_buffer") {
        sockets.send_buffer = socket_buffer(reading, &at);
    }
    if let Some(at) = table.get("backlog") {
        const HINT: &str = "the kernel caps it at net.core.somaxconn in any case";
        // Older kernels keep it in 16 bits.
        let backlog = reading.count(&at, "a number", (1, u64::from(u16::MAX)), HINT);
        sockets.backlog = backlog.and_then(|n| u32::try_from(n).ok()).unwrap_or(sockets.backlog);
    }
    sockets
}

/// `"kernel"` for none. Zero is refused: SO_SNDBUF takes it as "as small as can be".
fn socket_buffer(reading: &mut Reading, at: &At<'_>) -> Option<usize> {
    const MIN: u64 = 4 << 10;
    /// The kernel doubles the value in a C int.
    const MAX: u64 = 1 << 30;
    const HINT: &str = "write \"kernel\" to leave the size to the kernel";
    if at.node.as_text() == Some("kernel") {
        return None;
    }
    let bytes = reading.size(at)?;
    if !(MIN..=MAX).contains(&bytes) {
        let found = units::format_size(bytes);
        reading.refuse(at, format!("expected a size between 4KiB and 1GiB, found {found}"), HINT);
    }
    usize::try_from(bytes).ok()
}

fn place_of(at: Option<&At<'_>>) -> Option<Place> {
    at.and_then(|at| at.node.place)
}
