//! From threads started to threads joined: readiness, reasons to stop, the drain.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::bound::Bound;
use super::{Error, Server, worker};
use crate::net::arena;
use crate::net::drain::Finished;
use crate::telemetry::{self, Counters};

/// What a runtime tells the supervisor.
pub(super) enum Event {
    Accepting,
    Failed(Error),
}

/// How serving ended, and what it came to.
pub(super) struct Served {
    pub(super) finished: Finished,
    /// Whether something failed that the log has told of.
    pub(super) failed: bool,
    /// Connections over the limit.
    pub(super) refused: u64,
    /// A runtime each.
    pub(super) counters: Vec<Arc<Counters>>,
    pub(super) arenas: Vec<arena::Counts>,
}

/// Serves until the drain has finished.
pub(super) fn serve(server: &Arc<Server>, mut bound: Vec<Bound>) -> Result<Served, Error> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);
    let lines: Vec<String> = bound.iter().map(|b| b.listening_line(server.shared.mode)).collect();
    let mut threads = Vec::new();
    let mut counters = Vec::new();
    for number in 0..server.workers {
        let listeners = bound.iter_mut().filter_map(Bound::listener).collect();
        let counted = Arc::<Counters>::default();
        counters.push(counted.clone());
        let (server, events, stop) = (server.clone(), events.clone(), stopped.clone());
        let thread = thread::Builder::new()
            .name(format!("ouli-{number}"))
            .spawn(move || worker::run(number, &server, listeners, counted, &events, stop))
            .map_err(|error| Error::System("a thread", error))?;
        threads.push(thread);
    }
    drop(events);
    let supervised = supervise(server, &mut inbox, &lines);
    // Only now may runtimes drop what is left: the outcome has counted it.
    stop.send_replace(true);
    let arenas = threads.into_iter().filter_map(joined).collect();
    let (finished, failed) = supervised?;
    let refused = bound.iter().map(|b| b.counts.refused.load(Ordering::Relaxed)).sum();
    Ok(Served { finished, failed, refused, counters, arenas })
}

fn joined(thread: thread::JoinHandle<arena::Counts>) -> Option<arena::Counts> {
    let joined = thread.join();
    if joined.is_err() {
        tracing::error!("a runtime ended in a panic");
    }
    joined.ok()
}

/// Waits for readiness, then for a reason to stop, then for the drain's end.
fn supervise(
    server: &Arc<Server>,
    inbox: &mut mpsc::UnboundedReceiver<Event>,
    lines: &[String],
) -> Result<(Finished, bool), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::System("a runtime", error))?;
    runtime.block_on(async {
        for _ in 0..server.workers {
            match inbox.recv().await {
                Some(Event::Accepting) => {}
                Some(Event::Failed(error)) => {
                    server.drain.stop_now();
                    return Err(error);
                }
                None => return Err(gone()),
            }
        }
        heed_signals(Arc::downgrade(server)).map_err(|error| Error::System("signals", error))?;
        announce(lines);
        let (mut failed, mut is_served) = (false, true);
        let mut is_over = std::pin::pin!(server.drain.finished());
        let finished = loop {
            tokio::select! {
                finished = &mut is_over => break finished,
                event = inbox.recv(), if is_served => {
                    is_served = event.is_some();
                    let error = match event {
                        Some(Event::Accepting) => continue,
                        Some(Event::Failed(error)) => error,
                        None => gone(),
                    };
                    tracing::error!("{error}");
                    failed = true;
                    server.start_drain();
                }
            }
        };
        Ok((finished, failed))
    })
}

/// No runtime is left to tell anything.
fn gone() -> Error {
    Error::System("a runtime", std::io::Error::other("its thread has ended"))
}

/// Signals so close together are one wish: wrappers such as `timeout` and `npm run` send theirs to
/// a program that has had it as a member of the process group already.
const SAME_WISH: Duration = Duration::from_millis(100);

/// The first signal starts the drain; a second one ends the program on the spot, its tapes left
/// for recovery. In a thread of its own until the program ends: a seal can be stopped as well.
fn heed_signals(server: Weak<Server>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _guard = runtime.enter();
        Signals::new()?
    };
    let heed = async move {
        signals.next().await;
        let first = Instant::now();
        tracing::debug!("draining");
        if let Some(server) = server.upgrade() {
            server.start_drain();
        }
        while first.elapsed() < SAME_WISH {
            signals.next().await;
        }
        telemetry::tell(
            "stopped at once; recordings that were not sealed are recovered at the next run",
        );
        std::process::exit(1);
    };
    thread::Builder::new().name("ouli-signals".into()).spawn(move || runtime.block_on(heed))?;
    Ok(())
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
