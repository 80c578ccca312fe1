//! The composition root: builds everything from the configuration, and owns the order of start
//! and stop.
//!
//! Start: room for descriptors, recordings, every port claimed (`bound`), runtimes up (`worker`),
//! `ready`. Stop: the drain starts (a signal, a listener that failed, a disk that failed),
//! connections finish or are cut at its deadline, runtimes end (`supervise`), tapes are sealed, the
//! summary is told (`conclude`).

mod bound;
mod conclude;
mod connection;
mod error;
mod recordings;
mod summary;
mod supervise;
mod worker;

use std::sync::Arc;
use std::thread;

use tokio::time::Instant;

use crate::config::{Config, Endpoint, Mode, Pace, Sockets};
use crate::http::context::{Notes, Shared};
use crate::matching::Bounds;
use crate::net::drain::Drain;
use crate::net::inflight::InFlight;
use crate::net::origin;
use crate::net::permits::Permits;
use crate::net::rlimit;
use crate::record::Run;
use crate::redact::Redactor;
use crate::replay::choose::AfterLast;
use crate::replay::{Library, Settings};
use crate::tape::{Disk, RealDisk};
use crate::telemetry::{self, Log};
use bound::Bound;
pub use error::Error;

/// What to run, checked.
#[derive(Debug)]
pub struct Invocation {
    pub mode: Mode,
    /// The file's, with what the command line overrides: endpoints (by ORIGIN), `recording_dir`
    /// and `limits.drain_timeout`. Its endpoints are empty only in replay.
    pub config: Config,
    /// For requests that name none.
    pub session: String,
    pub strict: bool,
    pub pace: Pace,
    pub log: Log,
}

/// How a run ended that could start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Fine,
    /// Something failed that the log has told of.
    Failed,
    /// `--strict`: a miss, or a recording left unused.
    Unfaithful,
}

/// What start and stop need besides what requests share.
struct Server {
    shared: Arc<Shared>,
    strict: bool,
    /// What lowers the guard, to be told once more at the end.
    lowered_guards: Vec<String>,
    /// Runtimes, at least one.
    workers: usize,
    sockets: Sockets,
    permits: Permits,
    drain: Drain,
}

impl Server {
    fn start_drain(&self) {
        self.drain.start(Instant::now() + self.shared.limits.drain_timeout);
    }
}

/// Runs record, replay or auto until it is told to stop.
///
/// Blocking: for the whole run.
pub fn run(mut invocation: Invocation) -> Result<Ended, Error> {
    for warning in &invocation.config.warnings {
        tracing::warn!("{warning}");
    }
    let log_format = invocation.log.format;
    let library = open_library(&mut invocation)?;
    let workers = worker_count(&invocation.config);
    let bound = bound::claim_all(&invocation.config, workers)?;
    let server = Arc::new(build(invocation, workers, library, &bound)?);
    let served = supervise::serve(&server, bound)?;
    conclude::conclude(&server, &served, log_format)
}

/// Makes room for descriptors, opens the recordings, and takes the endpoints from them where the
/// invocation names none.
fn open_library(invocation: &mut Invocation) -> Result<Arc<Library>, Error> {
    let Invocation { mode, config, strict, .. } = invocation;
    make_room(config, *mode)?;
    if mode.forwards() {
        // Where a replay misses the directory that is a mistake; a recorder makes it.
        RealDisk
            .create_dirs(&config.recording_dir)
            .map_err(|error| Error::RecordingDir(config.recording_dir.clone(), error))?;
    }
    let library = recordings::open(config, settings(config, *mode, *strict))?;
    if *strict {
        recordings::check(&library)?;
    }
    if config.endpoints.is_empty() {
        config.endpoints = recordings::endpoints(&library)?;
    }
    if *mode != Mode::Record {
        library.prepare();
    }
    if config.endpoints.is_empty() {
        return Err(Error::NoEndpoints(config.recording_dir.display().to_string()));
    }
    Ok(library)
}

fn build(
    invocation: Invocation,
    workers: usize,
    library: Arc<Library>,
    bound: &[Bound],
) -> Result<Server, Error> {
    let Invocation { mode, config, session, strict, pace, log } = invocation;
    let drain = Drain::new();
    let run = match mode {
        Mode::Replay => None,
        Mode::Record | Mode::Auto => Some(open_run(&config, bound, &drain)?),
    };
    if let Some(held) = run.as_ref().and_then(|run| run.holder(&session)) {
        tracing::warn!("{held}: requests that name no other session can't be recorded here");
    }
    let lowered_guards = if mode.forwards() { lowered_guards(&config) } else { Vec::new() };
    let limits = config.limits;
    Ok(Server {
        permits: Permits::new(limits.max_connections),
        shared: Arc::new(Shared {
            in_flight: InFlight::new(limits.max_in_flight, limits.queue_timeout),
            exchange_log: telemetry::tells_exchanges(&log),
            notes: Notes::default(),
            limits,
            mode,
            session,
            pace,
            library,
            run,
        }),
        strict,
        lowered_guards,
        workers,
        sockets: config.sockets,
        drain,
    })
}

/// Declares the recording run. Its first fault of the disk starts the drain.
fn open_run(config: &Config, bound: &[Bound], drain: &Drain) -> Result<Arc<Run>, Error> {
    let (drain, drain_timeout) = (drain.clone(), config.limits.drain_timeout);
    let notes = bound.iter().map(Bound::note).collect();
    let run = Run::open(&config.recording_dir, notes, move |error| {
        tracing::error!("{error}; nothing more can be kept, so Ouli drains and stops");
        drain.start(Instant::now() + drain_timeout);
    })?;
    run.describe(config.descriptors());
    Ok(run)
}

/// A line for each endpoint whose origin may show any certificate.
fn lowered_guards(config: &Config) -> Vec<String> {
    let lowered = config.endpoints.iter().filter(|e| e.target_tls.danger_accept_invalid);
    let line = |endpoint: &Endpoint| {
        format!(
            "{}: the certificate of {} was not checked (`danger_accept_invalid_target_cert`)",
            endpoint.name, endpoint.target
        )
    };
    lowered.map(line).collect()
}

fn worker_count(config: &Config) -> usize {
    config
        .workers
        .or_else(|| thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1)
        .max(1)
}

fn settings(config: &Config, mode: Mode, strict: bool) -> Settings {
    Settings {
        redactor: Redactor::default(),
        bounds: Bounds::from(&config.limits),
        after_last: if strict && mode == Mode::Replay {
            AfterLast::Refuse
        } else {
            AfterLast::Repeat
        },
        index_over: config.limits.index_over,
        make_wire: crate::http::wire_for_any_endpoint,
    }
}

/// Descriptors besides those of connections: standard streams, the runtimes' own, listeners,
/// tapes, locks, cassettes being read.
const FIXED_DESCRIPTORS: usize = 64;

fn make_room(config: &mut Config, mode: Mode) -> Result<(), Error> {
    let listeners = config.endpoints.len().max(1) * worker_count(config);
    let limits = &mut config.limits;
    // A replay calls no origin. Otherwise each client may have one origin connection, in use or kept
    // for its next request: one that is kept is taken before another is dialled, or makes room for it.
    let (per_connection, spare) = match mode {
        Mode::Replay => (1, 0),
        Mode::Record | Mode::Auto => (2, limits.origin_idle_max.min(origin::SPARE_MAX)),
    };
    let need = rlimit::Need {
        connections: limits.max_connections,
        per_connection,
        fixed: FIXED_DESCRIPTORS + listeners + spare,
    };
    let asked = if limits.max_connections_configured {
        rlimit::Asked::ByConfiguration
    } else {
        rlimit::Asked::ByDefault
    };
    // Says so itself where it lowers the limit.
    limits.max_connections = rlimit::make_room(need, asked)?;
    limits.origin_idle_max = limits.origin_idle_max.min(limits.max_connections);
    Ok(())
}
