//! The composition root: builds everything from the configuration, and owns the order of start
//! and stop.
//!
//! Start: room for descriptors, recordings, every port claimed, runtimes up, `ready`. Stop: the
//! drain starts (a signal, a listener that failed, a disk that failed), connections finish or are
//! cut at its deadline, runtimes end, tapes are sealed, the summary is told.

mod recordings;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::LocalRuntime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::cassette::EndpointNote;
use crate::cli::{Invocation, Mode};
use crate::config::{Config, Endpoint, Pace};
use crate::exchange::Version;
use crate::http::answer::{self, Asked};
use crate::http::fault::{Fault, Problem, Tally};
use crate::http::road::Here;
use crate::http::target;
use crate::http1;
use crate::matching::Bounds;
use crate::net::conn::Conn;
use crate::net::drain::{Drain, Finished, Watch};
use crate::net::inflight::InFlight;
use crate::net::listener::{self, Acceptor, Claimed, Counts, Terms};
use crate::net::permits::Permits;
use crate::net::{NetworkError, arena, origin, rlimit};
use crate::record::{self, Keep, Omitted, Recorder, Run};
use crate::redact::{Redactor, Scratch};
use crate::replay::choose::AfterLast;
use crate::replay::source::{Conflict, LoadError, OpenError};
use crate::replay::{Library, Session, Settings};
use crate::seal::{self, SealedSession};
use crate::tape::{Disk, RealDisk};
use crate::telemetry::{self, Counters, Summary};

/// What all runtimes share.
pub struct Shared {
    pub config: Config,
    pub mode: Mode,
    /// The session of requests that name none.
    pub session: String,
    pub strict: bool,
    pub pace: Pace,
    /// Whether each exchange gets a line in the log.
    pub exchange_log: bool,
    pub in_flight: InFlight,
    pub faults: Tally,
    permits: Permits,
    drain: Drain,
    pub library: Arc<Library>,
    run: OnceLock<Arc<Run>>,
    misses: AtomicU64,
    omitted: Mutex<Vec<String>>,
}

impl Shared {
    /// The first fault of the disk, if there was one.
    pub fn disk_fault(&self) -> Option<&record::Error> {
        self.run.get()?.fault()
    }

    pub fn note_miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// A body was too large to keep: said now, and again in the summary.
    pub fn note_omitted(&self, session: &str, omitted: &Omitted) {
        let line = format!(
            "{session}: a body of {} bytes was larger than `max_kept_body` and is kept as length \
             and SHA-256 {} only",
            omitted.len, omitted.digest
        );
        tracing::warn!("{line}");
        self.omitted.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// One runtime's own.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub arenas: arena::Pool,
    pub origins: origin::Pool,
    pub dialer: origin::Dialer,
    pub recorder: Option<Recorder>,
    pub counters: Arc<Counters>,
    /// Room for redacted heads; used within one step, never across a wait.
    pub scratch: RefCell<Scratch>,
    /// Sessions this runtime has met, so that a hit takes no lock.
    sessions: RefCell<HashMap<String, Arc<Session>>>,
}

impl Worker {
    /// The recordings of a session, loaded at its first use.
    pub async fn session(&self, name: &str) -> Result<Arc<Session>, Arc<LoadError>> {
        if let Some(session) = self.sessions.borrow().get(name) {
            return Ok(session.clone());
        }
        let session = self.shared.library.session(name).await?;
        if !session.recorded().is_empty() {
            self.sessions.borrow_mut().insert(name.to_owned(), session.clone());
        }
        Ok(session)
    }
}

/// Why a run could not start, or how it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Recordings(#[from] OpenError),
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    Seal(#[from] seal::Error),
    #[error("no endpoint to serve: the recordings in `{0}` name none")]
    NoEndpoints(String),
    /// Under `--strict`: what is wrong with cassettes, one error for each fault.
    #[error("{}", recordings::list_faults(.0))]
    Broken(Vec<LoadError>),
    #[error("{}", recordings::list_conflicts(.0))]
    Conflicts(Vec<Conflict>),
    #[error("sealing took longer than {0:?}; the tapes are kept, and recovered at the next run")]
    SealTooSlow(Duration),
    #[error("could not make the recording directory `{}`", .0.display())]
    RecordingDir(PathBuf, #[source] std::io::Error),
    #[error("the system refused {0}: {1}")]
    System(&'static str, std::io::Error),
}

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Recordings(error) => error.hint().map(str::to_owned),
            Error::Broken(_) => Some(
                "mend them; without --strict a cassette is only looked at when it is used".into(),
            ),
            Error::Conflicts(_) => Some(
                "name the one to serve, `ouli replay ORIGIN`, or write the endpoints into a \
                 configuration"
                    .into(),
            ),
            Error::NoEndpoints(_) => {
                Some("name the origin that the recordings stand for: ouli replay ORIGIN".into())
            }
            _ => None,
        }
    }
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

/// An endpoint with the port it has.
struct Bound {
    endpoint: Arc<Endpoint>,
    address: SocketAddr,
    counts: Arc<Counts>,
    warned_of_cookies: Arc<AtomicBool>,
    sockets: Vec<std::net::TcpListener>,
}

/// Runs record, replay or auto until it is told to stop.
pub fn run(invocation: Invocation) -> Result<Ended, Error> {
    let log_format = invocation.log.format;
    for warning in &invocation.config.warnings {
        tracing::warn!("{warning}");
    }
    let workers = worker_count(&invocation.config);
    let drain = Drain::new();
    let mut shared = open(invocation, &drain)?;
    let bound = bind(&mut shared.config, &shared.library.clone(), workers)?;
    let notes = bound.iter().map(Bound::note).collect::<Vec<_>>();
    let shared = Arc::new(shared);
    if shared.mode != Mode::Replay {
        let run = open_run(&shared, notes)?;
        if let Some(held) = run.holder(&shared.session) {
            tracing::warn!("{held}: requests that name no other session can't be recorded here");
        }
        let _ = shared.run.set(run);
    }
    let (finished, counters, arenas) = serve(&shared, bound, workers)?;
    conclude(&shared, finished, &counters, &arenas, log_format)
}

fn worker_count(config: &Config) -> usize {
    config
        .workers
        .or_else(|| thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1)
        .max(1)
}

/// Descriptors besides those of connections: standard streams, the runtimes' own, listeners,
/// tapes, locks, cassettes being read.
const FIXED_DESCRIPTORS: usize = 64;

fn open(invocation: Invocation, drain: &Drain) -> Result<Shared, Error> {
    let Invocation { mode, mut config, session, strict, pace, log } = invocation;
    make_room(&mut config, mode)?;
    if mode != Mode::Replay {
        // Where a replay misses the directory that is a mistake; a recorder makes it.
        RealDisk
            .create_dirs(&config.recording_dir)
            .map_err(|error| Error::RecordingDir(config.recording_dir.clone(), error))?;
    }
    let library = recordings::open(&config, settings(&config, mode, strict))?;
    if strict {
        recordings::check(&library)?;
    }
    Ok(Shared {
        exchange_log: telemetry::tells_exchanges(&log),
        in_flight: InFlight::new(config.limits.max_in_flight, config.limits.queue_timeout),
        faults: Tally::default(),
        permits: Permits::new(config.limits.max_connections),
        drain: drain.clone(),
        library,
        run: OnceLock::new(),
        misses: AtomicU64::new(0),
        omitted: Mutex::new(Vec::new()),
        config,
        mode,
        session,
        strict,
        pace,
    })
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
    }
}

fn make_room(config: &mut Config, mode: Mode) -> Result<(), Error> {
    let limits = &mut config.limits;
    let listeners = config.endpoints.len().max(1) * 64;
    let need = rlimit::Need {
        connections: limits.max_connections,
        per_connection: if mode == Mode::Replay { 1 } else { 2 },
        fixed: FIXED_DESCRIPTORS + listeners + limits.origin_idle_max,
    };
    let asked = if limits.max_connections_configured {
        rlimit::Asked::ByConfiguration
    } else {
        rlimit::Asked::ByDefault
    };
    let possible = rlimit::make_room(need, asked)?;
    if possible < limits.max_connections {
        tracing::warn!(
            "the limit of file descriptors allows {possible} connections instead of {}",
            limits.max_connections
        );
        limits.max_connections = possible;
    }
    Ok(())
}

/// Claims every port before anything serves.
fn bind(config: &mut Config, library: &Library, workers: usize) -> Result<Vec<Bound>, Error> {
    if config.endpoints.is_empty() {
        config.endpoints = recordings::endpoints(library)?;
    }
    if config.endpoints.is_empty() {
        return Err(Error::NoEndpoints(config.recording_dir.display().to_string()));
    }
    let claim = |endpoint: &Endpoint| {
        let address = SocketAddr::new(endpoint.source_address, endpoint.source_port);
        let claimed: Claimed = listener::claim(&endpoint.name, address, workers, &config.sockets)?;
        Ok(Bound {
            endpoint: Arc::new(endpoint.clone()),
            address: claimed.address(),
            counts: Arc::default(),
            warned_of_cookies: Arc::default(),
            sockets: claimed.into_sockets(),
        })
    };
    config.endpoints.iter().map(claim).collect()
}

/// An endpoint as the recordings remember it.
fn endpoint_of(note: EndpointNote) -> Endpoint {
    Endpoint {
        name: note.name,
        source_address: note.listen.ip(),
        source_port: note.listen.port(),
        source_type: note.source_type,
        ..Endpoint::new(note.origin)
    }
}

impl Bound {
    fn note(&self) -> EndpointNote {
        EndpointNote {
            name: self.endpoint.name.clone(),
            listen: self.address,
            source_type: self.endpoint.source_type,
            origin: self.endpoint.target.clone(),
        }
    }
}

fn open_run(shared: &Arc<Shared>, notes: Vec<EndpointNote>) -> Result<Arc<Run>, Error> {
    let drain = shared.drain.clone();
    let drain_timeout = shared.config.limits.drain_timeout;
    let run = Run::open(&shared.config.recording_dir, notes, move |error| {
        tracing::error!("{error}; nothing more can be kept, so Ouli drains and stops");
        drain.start(Instant::now() + drain_timeout);
    })?;
    Ok(run)
}

type Served = (Outcome, Vec<Arc<Counters>>, Vec<arena::Counts>);

/// Serves until the drain has finished.
fn serve(shared: &Arc<Shared>, bound: Vec<Bound>, workers: usize) -> Result<Served, Error> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let mut bound = bound;
    let lines: Vec<String> = bound.iter().map(|b| b.listening_line(shared.mode)).collect();
    let mut threads = Vec::new();
    let mut counters = Vec::new();
    for number in 0..workers {
        let listeners = bound.iter_mut().map(Bound::listener).collect::<Vec<_>>();
        let counted = Arc::new(Counters::default());
        counters.push(counted.clone());
        let (shared, events, stop) = (shared.clone(), events.clone(), stopped.clone());
        let thread = thread::Builder::new()
            .name(format!("ouli-{number}"))
            .spawn(move || work(number, &shared, listeners, counted, &events, stop))
            .map_err(|error| Error::System("a thread", error))?;
        threads.push(thread);
    }
    drop(events);
    let outcome = supervise(shared, &mut inbox, workers, &lines);
    // Only now may runtimes drop what is left: the outcome has counted it.
    stop.send_replace(true);
    let mut arenas = Vec::new();
    for thread in threads {
        match thread.join() {
            Ok(counts) => arenas.push(counts),
            Err(_) => tracing::error!("a runtime ended in a panic"),
        }
    }
    let mut outcome = outcome?;
    outcome.refused = bound.iter().map(|b| b.counts.refused.load(Ordering::Relaxed)).sum();
    Ok((outcome, counters, arenas))
}

/// One endpoint's listener on one runtime.
struct Listener {
    endpoint: Arc<Endpoint>,
    address: SocketAddr,
    counts: Arc<Counts>,
    warned_of_cookies: Arc<AtomicBool>,
    socket: Option<std::net::TcpListener>,
}

impl Bound {
    fn listening_line(&self, mode: Mode) -> String {
        let Bound { endpoint, address, .. } = self;
        let scheme = endpoint.source_type.as_str();
        format!("listening {scheme}://{address} -> {} ({})", endpoint.target, mode.as_str())
    }

    fn listener(&mut self) -> Listener {
        Listener {
            endpoint: self.endpoint.clone(),
            address: self.address,
            counts: self.counts.clone(),
            warned_of_cookies: self.warned_of_cookies.clone(),
            socket: self.sockets.pop(),
        }
    }
}

/// What a runtime tells the supervisor.
enum Event {
    Accepting,
    Failed(Error),
}

/// How serving ended.
struct Outcome {
    finished: Finished,
    failed: bool,
    refused: u64,
}

/// Waits for readiness, then for a reason to stop, then for the drain's end.
fn supervise(
    shared: &Shared,
    inbox: &mut mpsc::UnboundedReceiver<Event>,
    workers: usize,
    lines: &[String],
) -> Result<Outcome, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::System("a runtime", error))?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(|error| Error::System("signals", error))?;
        for _ in 0..workers {
            if let Some(Event::Failed(error)) = inbox.recv().await {
                shared.drain.stop_now();
                return Err(error);
            }
        }
        announce(lines);
        let mut failed = false;
        let mut is_over = std::pin::pin!(shared.drain.finished());
        let finished = loop {
            tokio::select! {
                finished = &mut is_over => break finished,
                () = signals.next() => stop_in_order(shared),
                Some(Event::Failed(error)) = inbox.recv() => {
                    tracing::error!("{error}");
                    failed = true;
                    shared.drain.start(Instant::now() + shared.config.limits.drain_timeout);
                }
            }
        };
        Ok(Outcome { finished, failed, refused: 0 })
    })
}

/// Starts the drain; a second signal ends the program on the spot, its tapes left for recovery.
fn stop_in_order(shared: &Shared) {
    if shared.drain.is_draining() {
        telemetry::tell(
            "stopped at once; recordings that were not sealed are recovered at the next run",
        );
        std::process::exit(1);
    }
    tracing::debug!("draining");
    shared.drain.start(Instant::now() + shared.config.limits.drain_timeout);
}

/// stdout: a line per endpoint, then `ready`.
fn announce(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    // Nobody may be reading; that is no reason not to serve.
    let _ = out.write_all(format!("{text}ready\n").as_bytes()).and_then(|()| out.flush());
}

/// "File size limit exceeded", the same number on Linux and macOS.
const SIGXFSZ: i32 = 25;

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Held, so that a file that may grow no further is an error of its write and not the end of
    /// the program.
    _file_size: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A runtime's thread: accepts and serves until the drain has finished.
fn work(
    number: usize,
    shared: &Arc<Shared>,
    listeners: Vec<Listener>,
    counters: Arc<Counters>,
    events: &mpsc::UnboundedSender<Event>,
    mut stop: watch::Receiver<bool>,
) -> arena::Counts {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default());
    let runtime: LocalRuntime = match built {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = events.send(Event::Failed(Error::System("a runtime", error)));
            return arena::Counts::default();
        }
    };
    let arenas = arena::Pool::new(shared.config.limits.max_connections);
    let counts = arenas.clone();
    runtime.block_on(async {
        match accept_all(number, shared, listeners, arenas, counters, events) {
            Ok(()) => {
                let _ = events.send(Event::Accepting);
                // An error means that the supervisor is gone, which is as good a reason.
                let _ = stop.wait_for(|stop| *stop).await;
            }
            Err(error) => {
                let _ = events.send(Event::Failed(error));
            }
        }
    });
    // Connections that are left are cut here, with the runtime's tasks.
    drop(runtime);
    counts.counts()
}

fn accept_all(
    number: usize,
    shared: &Arc<Shared>,
    listeners: Vec<Listener>,
    arenas: arena::Pool,
    counters: Arc<Counters>,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<(), Error> {
    let limits = &shared.config.limits;
    let recorder = match shared.run.get() {
        None => None,
        Some(run) => {
            let keep = Keep { max_kept_body: limits.max_kept_body, ..Keep::default() };
            Some(Recorder::open(run.clone(), number, keep)?)
        }
    };
    let workers = worker_count(&shared.config);
    let worker = Rc::new(Worker {
        shared: shared.clone(),
        origins: origin::Pool::new(
            limits.origin_idle_max.div_ceil(workers),
            limits.origin_idle_timeout,
        ),
        dialer: origin::Dialer::new(shared.config.sockets.clone(), limits.origin_connect_timeout),
        arenas: arenas.clone(),
        recorder,
        counters,
        scratch: RefCell::default(),
        sessions: RefCell::default(),
    });
    spawn_local(arenas.tend());
    let watch = shared.drain.watch();
    for listener in listeners {
        accept(&worker, listener, &watch, events)?;
    }
    Ok(())
}

fn accept(
    worker: &Rc<Worker>,
    listener: Listener,
    watch: &Watch,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<(), Error> {
    let Listener { endpoint, address, counts, warned_of_cookies, socket } = listener;
    let Some(socket) = socket else { return Ok(()) };
    let terms = Terms {
        endpoint: endpoint.name.as_str().into(),
        permits: worker.shared.permits.clone(),
        counts,
        refusal: refusal(&endpoint),
    };
    let acceptor = Acceptor::new(socket, terms, watch.clone())
        .map_err(|error| Error::System("to accept", error))?;
    let here = Rc::new(Here {
        worker: worker.clone(),
        redactor: Arc::new(Redactor::new(&endpoint.redact_request_headers)),
        authority_of_origin: target::host_field(&endpoint.target),
        authority: address.to_string(),
        drain: watch.clone(),
        warned_of_cookies,
        endpoint,
    });
    let events = events.clone();
    spawn_local(async move {
        if let Err(error) = accept_until_drain(acceptor, here).await {
            let _ = events.send(Event::Failed(error.into()));
        }
    });
    Ok(())
}

async fn accept_until_drain(mut acceptor: Acceptor, here: Rc<Here>) -> Result<(), NetworkError> {
    while let Some(conn) = acceptor.next().await? {
        spawn_local(connection(conn, here.clone()));
    }
    Ok(())
}

async fn connection(conn: Conn, here: Rc<Here>) {
    http1::server::serve(conn, here).await;
}

/// What a connection over the limit is told.
fn refusal(endpoint: &Endpoint) -> Arc<[u8]> {
    let problem = Problem::new(Fault::Overloaded, "the limit of open connections is reached")
        .hint("raise `max_connections` in `[limits]`");
    let (head, body) = problem.answer();
    let asked = Asked { version: Version::Http11, is_head: false, keep_alive: false, host: "" };
    let mut out = Vec::new();
    let framing = answer::framing(&asked, head.status, Some(body.len() as u64));
    answer::write_head(&mut out, &head, endpoint, &asked, framing);
    out.extend_from_slice(&body);
    out.into()
}

/// After the last connection: seal, tell, judge.
fn conclude(
    shared: &Arc<Shared>,
    outcome: Outcome,
    counters: &[Arc<Counters>],
    arenas: &[arena::Counts],
    log_format: crate::cli::LogFormat,
) -> Result<Ended, Error> {
    for (number, counts) in arenas.iter().enumerate() {
        tracing::debug!("runtime {number}: {counts}");
    }
    let mut summary = summary_of(shared, &outcome, counters);
    let sealed = seal_run(shared, &mut summary);
    tell_replay(shared, &mut summary);
    summary.tell(log_format);
    sealed?;
    let failed = outcome.failed
        || shared.disk_fault().is_some()
        || !shared.library.faults().is_empty()
        || shared.faults.count_of(Fault::BadCassette) > 0;
    Ok(match (failed, shared.strict && (summary.misses > 0 || summary.unused > 0)) {
        (true, _) => Ended::Failed,
        (false, true) => Ended::Unfaithful,
        (false, false) => Ended::Fine,
    })
}

fn summary_of(shared: &Shared, outcome: &Outcome, counters: &[Arc<Counters>]) -> Summary {
    let total = |figure: fn(&Counters) -> u64| counters.iter().map(|c| figure(c)).sum();
    Summary {
        requests: total(|c| c.requests.get()),
        sent_bytes: total(|c| c.sent_bytes.get()),
        panics: total(|c| c.panics.get()),
        misses: shared.misses.load(Ordering::Relaxed),
        refused: outcome.refused,
        cut: match outcome.finished {
            Finished::InTime => 0,
            Finished::Late { left } => left,
        },
        faults: shared.faults.counts().collect(),
        notes: shared.omitted.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        ..Summary::default()
    }
}

/// Turns the run's tapes into cassettes, within `seal_timeout`.
fn seal_run(shared: &Arc<Shared>, summary: &mut Summary) -> Result<(), Error> {
    let Some(run) = shared.run.get() else { return Ok(()) };
    let how = match shared.mode {
        Mode::Auto => seal::Existing::Append,
        Mode::Record | Mode::Replay => seal::Existing::Replace,
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let sealing = run.clone();
    thread::spawn(move || {
        // Nobody listens any more once the time is up.
        let _ = sender.send(seal::seal(sealing, how));
    });
    let timeout = shared.config.limits.seal_timeout;
    let sealed = receiver.recv_timeout(timeout).map_err(|_| Error::SealTooSlow(timeout))??;
    recordings::tell_losses(&sealed);
    summary.sessions.extend(sealed.sessions.iter().map(|session| session_line(session, how)));
    Ok(())
}

/// `default: 12 exchanges replaced by 3`.
fn session_line(sealed: &SealedSession, how: seal::Existing) -> String {
    let SealedSession { session, path, kept, before, set_aside } = sealed;
    match (before, how) {
        _ if *set_aside => format!(
            "{session}: {kept} exchanges recorded into {}, because its cassette can't be read",
            path.display()
        ),
        (None, _) => format!("{session}: {kept} exchanges recorded"),
        (Some(before), seal::Existing::Replace) => {
            format!("{session}: {before} exchanges replaced by {kept}")
        }
        (Some(before), seal::Existing::Append) => {
            format!("{session}: {kept} exchanges added to {before}")
        }
    }
}

fn tell_replay(shared: &Shared, summary: &mut Summary) {
    summary.notes.extend(shared.library.faults().iter().map(|fault| fault.line()));
    if shared.mode == Mode::Replay {
        for session in shared.library.opened() {
            let unused = session.unused().count();
            let (name, hits, misses) = (session.name(), session.hits(), session.misses());
            summary.sessions.push(format!(
                "{name}: {hits} hits, {misses} misses, {unused} recorded exchanges unused"
            ));
            summary.unused += unused;
            if shared.strict {
                summary.notes.extend(session.unused().take(UNUSED_TOLD_MAX).map(|recorded| {
                    let head = &recorded.exchange.request.head;
                    format!("{name}: unused: {} {}", head.method, head.target)
                }));
            }
        }
    }
}

/// Unused recordings that the summary of a strict run names, per session.
const UNUSED_TOLD_MAX: usize = 20;
