//! After the last connection: seal, tell, judge.

use std::thread;

use super::summary::{Summary, counted};
use super::supervise::Served;
use super::{Ended, Error, Server, recordings};
use crate::config::Mode;
use crate::http::context::Shared;
use crate::http::fault::Fault;
use crate::net::drain::Finished;
use crate::seal::{self, SealedSession};
use crate::telemetry::{Counters, LogFormat};

/// After the last connection: seal, tell, judge.
pub(super) fn conclude(
    server: &Server,
    served: &Served,
    log_format: LogFormat,
) -> Result<Ended, Error> {
    let shared = &*server.shared;
    for (number, counts) in served.arenas.iter().enumerate() {
        tracing::debug!("runtime {number}: {counts}");
    }
    for (number, counters) in served.counters.iter().enumerate() {
        tracing::debug!("runtime {number}: {} requests sent again", counters.retries.get());
    }
    let mut summary = summary_of(shared, served);
    summary.notes.extend(server.lowered_guards.iter().cloned());
    let sealed = seal_run(shared, &mut summary);
    tell_replay(server, &mut summary);
    summary.tell(log_format);
    sealed?;
    let failed = served.failed
        || shared.disk_fault().is_some()
        || !shared.library.faults().is_empty()
        || shared.notes.faults.count_of(Fault::BadCassette) > 0;
    Ok(match (failed, server.strict && (summary.misses > 0 || summary.unused > 0)) {
        (true, _) => Ended::Failed,
        (false, true) => Ended::Unfaithful,
        (false, false) => Ended::Fine,
    })
}

fn summary_of(shared: &Shared, served: &Served) -> Summary {
    let total = |figure: fn(&Counters) -> u64| served.counters.iter().map(|c| figure(c)).sum();
    Summary {
        requests: total(|c| c.requests.get()),
        sent_bytes: total(|c| c.sent_bytes.get()),
        panics: total(|c| c.panics.get()),
        misses: shared.notes.misses(),
        refused: served.refused,
        cut: match served.finished {
            Finished::InTime => 0,
            Finished::Late { left } => left,
        },
        faults: shared.notes.faults.counts().collect(),
        notes: shared.notes.omitted_lines(),
        ..Summary::default()
    }
}

/// Turns the run's tapes into cassettes, within `seal_timeout`.
fn seal_run(shared: &Shared, summary: &mut Summary) -> Result<(), Error> {
    let Some(run) = &shared.run else { return Ok(()) };
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
    let timeout = shared.limits.seal_timeout;
    let sealed = receiver.recv_timeout(timeout).map_err(|_| Error::SealTooSlow(timeout))??;
    recordings::tell_losses(&sealed);
    summary.sessions.extend(sealed.sessions.iter().map(|session| session_line(session, how)));
    Ok(())
}

/// `default: 12 exchanges replaced by 3`.
fn session_line(sealed: &SealedSession, how: seal::Existing) -> String {
    let SealedSession { session, path, kept, before, set_aside } = sealed;
    let exchanges = |count: usize| counted(count as u64, "exchange", "exchanges");
    match (before, how) {
        _ if *set_aside => format!(
            "{session}: {} recorded into {}, because its cassette can't be read",
            exchanges(*kept),
            path.display()
        ),
        (None, _) => format!("{session}: {} recorded", exchanges(*kept)),
        (Some(before), seal::Existing::Replace) => {
            format!("{session}: {} replaced by {kept}", exchanges(*before))
        }
        (Some(before), seal::Existing::Append) => {
            format!("{session}: {} added to {before}", exchanges(*kept))
        }
    }
}

fn tell_replay(server: &Server, summary: &mut Summary) {
    let shared = &*server.shared;
    summary.notes.extend(shared.library.faults().iter().map(|fault| fault.line()));
    if shared.mode == Mode::Replay {
        for session in shared.library.opened() {
            let unused = session.unused_count();
            let name = session.name();
            summary.sessions.push(format!(
                "{name}: {}, {}, {} unused",
                counted(session.hits(), "hit", "hits"),
                counted(session.misses(), "miss", "misses"),
                counted(unused as u64, "recorded exchange", "recorded exchanges"),
            ));
            summary.unused += unused;
            if server.strict {
                let unused = session.unused_requests(UNUSED_TOLD_MAX).into_iter();
                summary.notes.extend(unused.map(|line| format!("{name}: unused: {line}")));
            }
        }
    }
}

/// Unused recordings that the summary of a strict run names, per session.
const UNUSED_TOLD_MAX: usize = 20;
