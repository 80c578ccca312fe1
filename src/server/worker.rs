//! One runtime, on a thread of its own: listeners, arenas, origin connections, a tape.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;

use super::bound::Listener;
use super::supervise::Event;
use super::{Error, Server, connection};
use crate::config::Endpoint;
use crate::exchange::Version;
use crate::http::context::{Here, Worker};
use crate::http::fault::{Fault, Problem};
use crate::http::target;
use crate::http::{answer, client};
use crate::http2::links::Links;
use crate::net::drain::Watch;
use crate::net::listener::{Acceptor, Terms};
use crate::net::{NetworkError, arena, origin};
use crate::record::{Keep, Recorder};
use crate::redact::Redactor;
use crate::telemetry::Counters;

/// A runtime's thread: accepts and serves until the drain has finished.
pub(super) fn run(
    number: usize,
    server: &Arc<Server>,
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
    let arenas = arena::Pool::new(server.shared.limits.max_connections);
    let counts = arenas.clone();
    runtime.block_on(async {
        match accept_all(number, server, listeners, arenas, counters, events) {
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
    server: &Server,
    listeners: Vec<Listener>,
    arenas: arena::Pool,
    counters: Arc<Counters>,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<(), Error> {
    spawn_local(arenas.clone().tend());
    let worker = Rc::new(build(number, server, arenas, counters)?);
    let watch = server.drain.watch();
    for listener in listeners {
        let (acceptor, here) = open(server, &worker, listener, &watch)?;
        let events = events.clone();
        spawn_local(async move {
            if let Err(error) = accept_until_drain(acceptor, here).await {
                let _ = events.send(Event::Failed(error.into()));
            }
        });
    }
    Ok(())
}

/// What the runtime has of its own.
fn build(
    number: usize,
    server: &Server,
    arenas: arena::Pool,
    counters: Arc<Counters>,
) -> Result<Worker, Error> {
    let shared = server.shared.clone();
    let limits = &shared.limits;
    let keep = Keep { max_kept_body: limits.max_kept_body, ..Keep::default() };
    let recorder = shared.run.clone().map(|run| Recorder::open(run, number, keep)).transpose()?;
    let kept_max = limits.origin_idle_max.div_ceil(server.workers);
    let spare_max = origin::SPARE_MAX.div_ceil(server.workers);
    Ok(Worker {
        origins: origin::Pool::new(kept_max, spare_max, limits.origin_idle_timeout),
        dialer: origin::Dialer::new(server.sockets.clone(), limits.origin_connect_timeout),
        links: Links::default(),
        arenas,
        recorder,
        counters,
        scratch: RefCell::default(),
        sessions: RefCell::default(),
        shared,
    })
}

/// One endpoint's accept loop on this runtime, and what its requests meet.
fn open(
    server: &Server,
    worker: &Rc<Worker>,
    listener: Listener,
    watch: &Watch,
) -> Result<(Acceptor, Rc<Here>), Error> {
    let Listener { endpoint, origin, tls, address, counts, warned_of_cookies, socket } = listener;
    let terms = Terms {
        endpoint: endpoint.name.as_str().into(),
        permits: server.permits.clone(),
        counts,
        refusal: if tls.is_some() { Arc::default() } else { refusal(&endpoint) },
    };
    let acceptor = Acceptor::new(socket, terms, watch.clone())
        .map_err(|error| Error::System("to accept", error))?;
    let here = Here {
        worker: worker.clone(),
        origin,
        tls,
        redactor: Arc::new(Redactor::new(&endpoint.redact_request_headers)),
        authority_of_origin: target::host_field(&endpoint.target),
        authority: address.to_string(),
        drain: watch.clone(),
        warned_of_cookies,
        endpoint,
    };
    Ok((acceptor, Rc::new(here)))
}

async fn accept_until_drain(mut acceptor: Acceptor, here: Rc<Here>) -> Result<(), NetworkError> {
    while let Some(conn) = acceptor.next().await? {
        spawn_local(connection::serve(conn, here.clone()));
    }
    Ok(())
}

/// What a connection over the limit is told, where no TLS has to come first.
fn refusal(endpoint: &Endpoint) -> Arc<[u8]> {
    let problem = Problem::new(Fault::Overloaded, "the limit of open connections is reached")
        .hint("raise `max_connections` in `[limits]`");
    let (head, body) = problem.answer();
    let asked = client::asked_by_nobody(Version::Http11, false, false);
    let mut out = Vec::new();
    let framing = answer::framing(&asked, head.status, Some(body.len() as u64));
    answer::write_head(&mut out, &head, endpoint, &asked, framing);
    out.extend_from_slice(&body);
    out.into()
}
