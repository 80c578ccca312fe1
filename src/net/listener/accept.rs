//! Accepts connections, refuses those beyond the limit, and lives through what accept(2) can say.
//!
//! Errors of a single connection are ignored. Those of the system (no descriptors, no memory)
//! leave the socket ready, so a loop would spin: it pauses. Those of the socket itself end the
//! loop with an error. A refusal never waits for its peer, and takes few descriptors.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, timeout};

#[cfg(debug_assertions)]
use super::sabotage::Sabotage;
use super::trouble::Trouble;
use crate::net::NetworkError;
use crate::net::conn::Conn;
use crate::net::drain::{Guard, Watch};
use crate::net::permits::Permits;
use crate::net::stream::{LINGER_BYTES_MAX, LINGER_MAX, Stream};
use crate::net::throttle::Throttle;

/// Connections taken before other tasks have their turn: the last of them waits for as many
/// `accept4` of about 3 µs each, half the time a new connection may take to its first byte.
const ACCEPT_BATCH: usize = 16;

/// A drain takes at most so many more: the kernel's queue may be that long, and clients that keep
/// coming must not keep the port open.
const SWEPT_MAX: usize = 4096;

/// How long accepting rests when the system is out of something.
const PAUSE: Duration = Duration::from_millis(100);

/// Errors of single connections in a row after which the loop rests all the same.
const CONNECTION_ERRORS_MAX: usize = 64;

/// Refused connections of one worker and endpoint that may linger until their peer has read the
/// refusal; beyond that they are closed at once, so that a flood costs no descriptors.
pub const REFUSED_LINGERING_MAX: usize = 32;

const LOG_PERIOD: Duration = Duration::from_secs(1);

/// What an accept loop needs to know, whichever worker runs it.
#[derive(Clone, Debug)]
pub struct Terms {
    pub endpoint: Arc<str>,
    pub permits: Permits,
    pub counts: Arc<Counts>,
    /// Written to a connection beyond the limit before it is closed; empty closes without a word.
    pub refusal: Arc<[u8]>,
}

/// What happened at the listeners, all workers together.
#[derive(Debug, Default)]
pub struct Counts {
    pub accepted: AtomicU64,
    /// At the connection limit.
    pub refused: AtomicU64,
    /// Errors that made accepting pause.
    pub pauses: AtomicU64,
}

/// One worker's accept loop.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    address: SocketAddr,
    terms: Terms,
    watch: Watch,
    /// Holds the drain's end back until the queue of the kernel is empty.
    guard: Guard,
    /// Refused connections that linger.
    pub(super) lingering: Rc<Cell<usize>>,
    taken_in_turn: usize,
    /// Accepted since the drain started.
    swept: usize,
    errors_in_row: usize,
    refusal_log: Throttle,
    error_log: Throttle,
    #[cfg(debug_assertions)]
    sabotage: Sabotage,
}

impl Acceptor {
    /// Registers a claimed socket with the runtime it is called in.
    ///
    /// Panics: outside a runtime.
    pub fn new(socket: net::TcpListener, terms: Terms, watch: Watch) -> io::Result<Self> {
        let address = socket.local_addr()?;
        Ok(Acceptor {
            listener: TcpListener::from_std(socket)?,
            address,
            guard: watch.guard(),
            watch,
            lingering: Rc::default(),
            taken_in_turn: 0,
            swept: 0,
            errors_in_row: 0,
            refusal_log: Throttle::new(LOG_PERIOD),
            error_log: Throttle::new(LOG_PERIOD),
            #[cfg(debug_assertions)]
            sabotage: Sabotage::of(&terms.endpoint),
            terms,
        })
    }

    /// The next connection that has a permit. `None` once the program drains and the clients that
    /// had queued before are served; then drop the acceptor, which closes the listener.
    ///
    /// Errors: `ListenerFailed`, and the acceptor is of no more use. Cancel safety: no connection
    /// is lost. Must run in a `LocalRuntime` or `LocalSet`.
    pub async fn next(&mut self) -> Result<Option<Conn>, NetworkError> {
        loop {
            if self.taken_in_turn >= ACCEPT_BATCH {
                self.taken_in_turn = 0;
                yield_now().await;
            }
            let Some(accepted) = self.accept().await else { return Ok(None) };
            match accepted {
                Ok((tcp, peer)) => {
                    self.errors_in_row = 0;
                    self.taken_in_turn += 1;
                    if let Some(conn) = self.admit(tcp, peer) {
                        return Ok(Some(conn));
                    }
                }
                Err(error) => match self.live_through(error).await? {
                    AfterError::TryAgain => {}
                    AfterError::GiveUp => return Ok(None),
                },
            }
        }
    }

    /// `None` once the drain has started and nothing is left to accept.
    async fn accept(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        #[cfg(debug_assertions)]
        if let Some(error) = self.sabotage.strike() {
            return Some(Err(error));
        }
        if self.watch.is_draining() {
            self.swept += 1;
            if self.swept > SWEPT_MAX {
                return None;
            }
        }
        poll_fn(|cx| match self.listener.poll_accept(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => {
                self.taken_in_turn = 0;
                self.guard.poll_started(cx).map(|()| None)
            }
        })
        .await
    }

    fn admit(&mut self, tcp: TcpStream, peer: SocketAddr) -> Option<Conn> {
        let Some(permit) = self.terms.permits.try_acquire() else {
            self.refuse(tcp, peer);
            return None;
        };
        // Elsewhere an accepted socket starts with Nagle's algorithm on.
        #[cfg(not(target_os = "linux"))]
        let _ = tcp.set_nodelay(true);
        self.terms.counts.accepted.fetch_add(1, Ordering::Relaxed);
        Some(Conn::new(Stream::from(tcp), permit, self.watch.guard()))
    }

    /// Says no, as far as a fresh socket takes it, and never waits.
    fn refuse(&mut self, tcp: TcpStream, peer: SocketAddr) {
        self.terms.counts.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(unsaid) = self.refusal_log.pass(Instant::now()) {
            let error = NetworkError::ConnectionLimitReached(self.terms.permits.limit());
            let endpoint = &*self.terms.endpoint;
            tracing::warn!(endpoint, %peer, %error, unsaid, "refused a connection");
        }
        // Straight to the socket: its send buffer is empty, whatever the runtime knows of it.
        let told = SockRef::from(&tcp).send(&self.terms.refusal).is_ok_and(|sent| sent > 0);
        if !told || self.lingering.get() >= REFUSED_LINGERING_MAX {
            return;
        }
        let lingering = Lingering::new(self.lingering.clone());
        // It has no drain guard: who was refused is not in flight.
        spawn_local(async move {
            Stream::from(tcp).close_lingering(LINGER_BYTES_MAX, LINGER_MAX).await;
            drop(lingering);
        });
    }

    pub(super) async fn live_through(
        &mut self,
        error: io::Error,
    ) -> Result<AfterError, NetworkError> {
        self.errors_in_row += 1;
        match Trouble::of(&error) {
            Trouble::Listener => Err(NetworkError::ListenerFailed {
                endpoint: self.terms.endpoint.to_string(),
                address: self.address,
                cause: error.into(),
            }),
            Trouble::Connection if self.errors_in_row <= CONNECTION_ERRORS_MAX => {
                Ok(AfterError::TryAgain)
            }
            Trouble::Connection | Trouble::System => {
                self.pause(&error).await;
                Ok(match self.watch.is_draining() {
                    true => AfterError::GiveUp,
                    false => AfterError::TryAgain,
                })
            }
        }
    }

    /// A drain ends it: who can't be accepted now is not served any more.
    async fn pause(&mut self, error: &io::Error) {
        self.terms.counts.pauses.fetch_add(1, Ordering::Relaxed);
        if let Some(unsaid) = self.error_log.pass(Instant::now()) {
            let endpoint = &*self.terms.endpoint;
            tracing::warn!(endpoint, %error, unsaid, "could not accept a connection, will try again");
        }
        let drained = poll_fn(|cx| self.guard.poll_started(cx));
        // Either way it is over.
        let _ = timeout(PAUSE, drained).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterError {
    TryAgain,
    GiveUp,
}

/// Counts a refused connection while it lingers.
struct Lingering(Rc<Cell<usize>>);

impl Lingering {
    fn new(count: Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Lingering(count)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
