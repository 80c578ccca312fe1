//! Connections to origins that speak HTTP/2, shared by streams.
//!
//! One set per runtime. A request takes a place on a connection whose peer has room for one more
//! stream; where none has, another is dialled, and those who ask meanwhile wait for it. Whether an
//! origin speaks HTTP/2 is known once one connection has been made. A connection that its peer ends
//! (GOAWAY) takes no more requests, and is driven until its streams are over.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use h2::client::{Connection, SendRequest};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::liveness::Liveness;
use super::watched::{Vitals, Watched};
use super::{Chunk, settings};
use crate::config::Limits;
use crate::net::deadline::{Deadline, within};
use crate::net::origin::Origin;
use crate::net::stream::Stream;
use crate::net::tls::{OriginFailure, Protocol};

/// Streams that are cancelled cost their connection something that it never gets back: h2 ends one
/// after 1,024 (h2#856). Before that it is retired.
const CANCELLED_MAX: usize = 512;

/// All HTTP/2 connections of one runtime, by their origin's number. Clones are the same.
#[derive(Clone, Default)]
pub struct Links(Rc<RefCell<HashMap<usize, Rc<Shelf>>>>);

/// The connections to one origin.
#[derive(Default)]
struct Shelf {
    links: RefCell<Vec<Rc<Link>>>,
    /// As its connections have shown.
    speaks: Cell<Option<Protocol>>,
    dialling: Cell<bool>,
    /// A place has come free, a connection has been made, or a dial has failed.
    changed: Notify,
}

/// What a request may do to reach its origin.
pub enum Way {
    /// Send it here.
    Place(Place),
    /// Make a connection, and say what came of it.
    Dial(Dialling),
}

impl Links {
    /// A place on a connection, as soon as there is one or one must be made. An origin that is
    /// known to speak HTTP/1.1 is always dialled.
    ///
    /// Cancel safety: nothing is held until it completes.
    pub async fn way(&self, origin: &Origin) -> Way {
        let shelf = self.shelf(origin);
        loop {
            let mut changed = pin!(shelf.changed.notified());
            changed.as_mut().enable();
            if let Some(way) = shelf.way() {
                return way;
            }
            changed.await;
        }
    }

    fn shelf(&self, origin: &Origin) -> Rc<Shelf> {
        self.0.borrow_mut().entry(origin.number()).or_default().clone()
    }
}

impl Shelf {
    /// None where another's dial must be waited for.
    fn way(self: &Rc<Self>) -> Option<Way> {
        if let Some(place) = self.place() {
            return Some(Way::Place(place));
        }
        let is_first = self.speaks.get() != Some(Protocol::Http1);
        if is_first && self.dialling.replace(true) {
            return None;
        }
        Some(Way::Dial(Dialling { shelf: self.clone(), is_first }))
    }

    fn place(self: &Rc<Self>) -> Option<Place> {
        let mut links = self.links.borrow_mut();
        links.retain(|link| !link.is_over());
        let link = links.iter().find(|link| link.has_room())?;
        link.active.set(link.active.get() + 1);
        link.is_used.set(true);
        let sender = link.sender.clone();
        Some(Place { link: link.clone(), shelf: self.clone(), sender, is_whole: false })
    }
}

/// The right to make a connection. Those who wait for it learn when it is dropped.
pub struct Dialling {
    shelf: Rc<Shelf>,
    /// Others wait for what comes of it.
    is_first: bool,
}

impl Dialling {
    /// The origin chose HTTP/1.1.
    pub fn is_http1(&self) {
        self.shelf.speaks.set(Some(Protocol::Http1));
    }

    /// Begins HTTP/2 on a fresh connection, and takes the first place on it.
    ///
    /// # Errors
    /// The origin doesn't speak it, or says nothing for `origin_connect_timeout`.
    pub async fn begin(self, stream: Stream, limits: &Limits) -> Result<Place, NoHttp2> {
        let begun = pin!(begin(stream, limits, self.shelf.clone()));
        let link = within(limits.origin_connect_timeout, begun)
            .await
            .map_err(|_| NoHttp2::Silent(limits.origin_connect_timeout))??;
        self.shelf.speaks.set(Some(Protocol::Http2));
        link.active.set(1);
        let sender = link.sender.clone();
        self.shelf.links.borrow_mut().push(link.clone());
        Ok(Place { link, shelf: self.shelf.clone(), sender, is_whole: false })
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        if self.is_first {
            self.shelf.dialling.set(false);
            self.shelf.changed.notify_waiters();
        }
    }
}

/// Why HTTP/2 didn't come about on a connection.
#[derive(Debug, thiserror::Error)]
pub enum NoHttp2 {
    #[error("it said nothing for {0:?} where HTTP/2 begins with SETTINGS")]
    Silent(std::time::Duration),
    #[error("it doesn't speak HTTP/2: {0}")]
    Failed(#[from] h2::Error),
    #[error("it closed the connection where HTTP/2 begins")]
    Closed,
    /// It wants nothing of Ouli, as TLS has told.
    #[error(transparent)]
    Refused(OriginFailure),
}

/// A connection, as those who use it see it.
struct Link {
    sender: SendRequest<Chunk>,
    /// Streams whose windows fit into the connection's together: answers that nobody reads leave
    /// room for all others.
    streams_max: usize,
    active: Cell<usize>,
    cancelled: Cell<usize>,
    /// Whether a request went out on it before.
    is_used: Cell<bool>,
    /// It takes no more requests.
    is_retired: Cell<bool>,
    /// Its driver, to be woken when it has become idle.
    driver: RefCell<Option<Waker>>,
}

impl Link {
    fn is_over(&self) -> bool {
        self.is_retired.get() || self.is_ended()
    }

    /// Whether the peer, or a failure, has ended it.
    fn is_ended(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        matches!(self.sender.clone().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    fn has_room(&self) -> bool {
        self.active.get() < self.streams_max.min(self.sender.current_max_send_streams())
    }

    fn wake_driver(&self) {
        if let Some(waker) = self.driver.take() {
            waker.wake();
        }
    }
}

/// Room for one stream on a connection.
pub struct Place {
    link: Rc<Link>,
    shelf: Rc<Shelf>,
    pub sender: SendRequest<Chunk>,
    /// Whether the exchange came to its end on both sides.
    pub is_whole: bool,
}

impl Place {
    /// Whether the connection has served nobody before.
    pub fn is_fresh(&self) -> bool {
        !self.link.is_used.get()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let link = &self.link;
        link.active.set(link.active.get() - 1);
        if !self.is_whole {
            link.cancelled.set(link.cancelled.get() + 1);
            if link.cancelled.get() >= CANCELLED_MAX {
                link.is_retired.set(true);
            }
        }
        if link.active.get() == 0 {
            link.wake_driver();
        }
        self.shelf.changed.notify_waiters();
    }
}

/// Makes a link and its driver, once the peer has said how many streams it takes.
async fn begin(stream: Stream, limits: &Limits, shelf: Rc<Shelf>) -> Result<Rc<Link>, NoHttp2> {
    let vitals = Vitals::new(limits.h2.max_idle_frames);
    let watched = Watched::new(stream, Vec::new(), 0, vitals.clone());
    let (sender, mut h2) = settings::client(limits).handshake(watched).await?;
    poll_fn(|cx| match Pin::new(&mut h2).poll(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err(NoHttp2::Closed)),
        // h2 keeps an error's text alone.
        Poll::Ready(Err(error)) => Poll::Ready(Err(match vitals.take_refusal() {
            Some(refusal) => NoHttp2::Refused(refusal),
            None => error.into(),
        })),
        Poll::Pending if sender.current_max_send_streams() == settings::STREAMS_UNTOLD => {
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(Ok(())),
    })
    .await?;
    let link = Rc::new(Link {
        sender,
        streams_max: (limits.h2.connection_window / limits.h2.stream_window).max(1),
        active: Cell::new(0),
        cancelled: Cell::new(0),
        is_used: Cell::new(false),
        is_retired: Cell::new(false),
        driver: RefCell::new(None),
    });
    let liveness = Liveness::new(h2.ping_pong(), vitals.clone(), limits.h2.clone());
    let idle_timeout = limits.origin_idle_timeout;
    let driver = Driver { h2, vitals, liveness, idle_timeout, idle: Deadline::new() };
    spawn_local(driver.run(link.clone(), shelf));
    Ok(link)
}

/// Keeps one connection going until it is over, or nobody has needed it for a while.
struct Driver {
    h2: Connection<Watched<Stream>, Chunk>,
    vitals: Vitals,
    liveness: Liveness,
    idle_timeout: std::time::Duration,
    idle: Deadline,
}

impl Driver {
    async fn run(mut self, link: Rc<Link>, shelf: Rc<Shelf>) {
        poll_fn(|cx| self.poll(cx, &link)).await;
        link.is_retired.set(true);
        shelf.links.borrow_mut().retain(|other| !Rc::ptr_eq(other, &link));
        drop(link);
        // Nobody asks for streams any more: h2 says so to the peer, and ends.
        let _ = within(crate::net::stream::LINGER_MAX, pin!(&mut self.h2)).await;
        shelf.changed.notify_waiters();
    }

    /// Ready when the connection is over, is given up, or was idle for its time.
    fn poll(&mut self, cx: &mut Context<'_>, link: &Link) -> Poll<()> {
        match Pin::new(&mut self.h2).poll(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                tracing::debug!("an HTTP/2 connection to an origin ended: {error}");
                return Poll::Ready(());
            }
            Poll::Pending => {}
        }
        if self.vitals.floods() {
            tracing::warn!(
                "an HTTP/2 origin sent more than `h2_max_idle_frames` frames that carry nothing; \
                 its connection is ended"
            );
            return Poll::Ready(());
        }
        let is_active = link.active.get() > 0;
        if let Poll::Ready(dead) = self.liveness.poll(cx, is_active) {
            tracing::warn!("an HTTP/2 connection to an origin is given up: {dead}");
            return Poll::Ready(());
        }
        *link.driver.borrow_mut() = Some(cx.waker().clone());
        if is_active {
            self.idle.clear();
            return Poll::Pending;
        }
        if link.is_over() || self.idle_timeout.is_zero() {
            return Poll::Ready(());
        }
        if self.idle.at().is_none() {
            self.idle.set_after(self.idle_timeout);
        }
        self.idle.poll_expired(cx)
    }
}
