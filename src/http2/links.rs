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

use super::gather::Gathering;
use super::liveness::Liveness;
use super::watched::{Vitals, Watched};
use super::{Chunk, settings};
use crate::config::{Limits, Target};
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
struct Shelf {
    target: Target,
    links: RefCell<Vec<Rc<Link>>>,
    /// As its connections have shown.
    speaks: Cell<Option<Protocol>>,
    dialling: Cell<bool>,
    /// Dials that failed.
    failures: Cell<u64>,
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
        let failures = shelf.failures.get();
        loop {
            let mut changed = pin!(shelf.changed.notified());
            changed.as_mut().enable();
            if let Some(way) = shelf.way(shelf.failures.get() != failures) {
                return way;
            }
            changed.await;
        }
    }

    /// A place on a connection that is open and whose peer takes WebSocket over it, as it has
    /// announced (RFC 8441 section 3).
    pub fn extended(&self, origin: &Origin) -> Option<Place> {
        let shelf = self.0.borrow().get(&origin.number())?.clone();
        shelf.place(|link| link.sender.is_extended_connect_protocol_enabled())
    }

    fn shelf(&self, origin: &Origin) -> Rc<Shelf> {
        let mut shelves = self.0.borrow_mut();
        shelves.entry(origin.number()).or_insert_with(|| Rc::new(Shelf::new(origin))).clone()
    }
}

impl Shelf {
    fn new(origin: &Origin) -> Self {
        Shelf {
            target: origin.target.clone(),
            links: RefCell::default(),
            speaks: Cell::new(None),
            dialling: Cell::new(false),
            failures: Cell::new(0),
            changed: Notify::new(),
        }
    }

    /// None where another's dial must be waited for. `waited`: for one that failed, and whoever has
    /// done so dials itself, or the last of many would wait for all of their time-outs.
    fn way(self: &Rc<Self>, waited: bool) -> Option<Way> {
        if let Some(place) = self.place(|_| true) {
            return Some(Way::Place(place));
        }
        let is_first = !waited && self.speaks.get() != Some(Protocol::Http1);
        if is_first && self.dialling.replace(true) {
            return None;
        }
        Some(Way::Dial(Dialling { shelf: self.clone(), is_first }))
    }

    fn place(self: &Rc<Self>, is_fit: impl Fn(&Link) -> bool) -> Option<Place> {
        let mut links = self.links.borrow_mut();
        links.retain(|link| !link.is_over());
        let link = links.iter().find(|link| link.has_room() && is_fit(link))?;
        Some(Place::new(link, self, false))
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
    pub fn chose_http1(&self) {
        self.shelf.speaks.set(Some(Protocol::Http1));
    }

    /// No connection came about.
    pub fn failed(&self) {
        self.shelf.failures.set(self.shelf.failures.get() + 1);
    }

    /// Begins HTTP/2 on a fresh connection, and takes the first place on it.
    ///
    /// # Errors
    /// The origin doesn't speak it, or says nothing for `origin_connect_timeout`.
    pub async fn begin(self, stream: Stream, limits: &Limits) -> Result<Place, NoHttp2> {
        let begun = pin!(begin(stream, limits, self.shelf.clone()));
        let begun = within(limits.origin_connect_timeout, begun).await;
        let begun = begun.unwrap_or(Err(NoHttp2::Silent(limits.origin_connect_timeout)));
        let link = begun.inspect_err(|_| self.failed())?;
        self.shelf.speaks.set(Some(Protocol::Http2));
        let place = Place::new(&link, &self.shelf, true);
        self.shelf.links.borrow_mut().push(link);
        Ok(place)
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        if self.is_first {
            self.shelf.dialling.set(false);
        }
        self.shelf.changed.notify_waiters();
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
    #[error("it takes no requests: its SETTINGS_MAX_CONCURRENT_STREAMS is 0")]
    NoStreams,
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
    /// It takes no more requests.
    is_retired: Cell<bool>,
    vitals: Vitals,
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
    pub(super) sender: SendRequest<Chunk>,
    /// Whether the exchange came to its end on both sides.
    pub is_whole: bool,
    /// Whether the connection was made for it, and has served nobody before.
    pub is_fresh: bool,
}

impl Place {
    fn new(link: &Rc<Link>, shelf: &Rc<Shelf>, is_fresh: bool) -> Self {
        link.active.set(link.active.get() + 1);
        let (link, shelf) = (link.clone(), shelf.clone());
        Place { sender: link.sender.clone(), link, shelf, is_whole: false, is_fresh }
    }

    pub(super) fn vitals(&self) -> &Vitals {
        &self.link.vitals
    }

    /// Whether the peer has announced that it does (RFC 8441 section 3).
    pub fn takes_websocket(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
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
    let stream = Gathering::new(stream);
    let watched = Watched::new(stream.clone(), Vec::new(), 0, vitals.clone());
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
        Poll::Pending if sender.current_max_send_streams() == 0 => {
            Poll::Ready(Err(NoHttp2::NoStreams))
        }
        Poll::Pending => Poll::Ready(Ok(())),
    })
    .await?;
    let link = Rc::new(Link {
        sender,
        streams_max: (limits.h2.connection_window / limits.h2.stream_window).max(1),
        active: Cell::new(0),
        cancelled: Cell::new(0),
        is_retired: Cell::new(false),
        vitals: vitals.clone(),
        driver: RefCell::new(None),
    });
    let liveness = Liveness::new(h2.ping_pong(), vitals.clone(), limits.h2.clone());
    let idle_timeout = limits.origin_idle_timeout;
    let driver = Driver { h2, stream, vitals, liveness, idle_timeout, idle: Deadline::new() };
    spawn_local(driver.run(link.clone(), shelf));
    Ok(link)
}

/// Keeps one connection going until it is over, or nobody has needed it for a while.
struct Driver {
    h2: Connection<Watched<Gathering<Stream>>, Chunk>,
    /// What h2 reads from and writes to.
    stream: Gathering<Stream>,
    vitals: Vitals,
    liveness: Liveness,
    idle_timeout: std::time::Duration,
    idle: Deadline,
}

impl Driver {
    async fn run(mut self, link: Rc<Link>, shelf: Rc<Shelf>) {
        poll_fn(|cx| self.poll(cx, &link, &shelf.target)).await;
        link.is_retired.set(true);
        shelf.links.borrow_mut().retain(|other| !Rc::ptr_eq(other, &link));
        drop(link);
        // Nobody asks for streams any more: h2 says so to the peer, and ends.
        let _ = within(crate::net::stream::LINGER_MAX, pin!(&mut self.h2)).await;
        shelf.changed.notify_waiters();
    }

    /// Ready when the connection is over, is given up, or was idle for its time.
    fn poll(&mut self, cx: &mut Context<'_>, link: &Link, origin: &Target) -> Poll<()> {
        self.stream.begin_turn();
        let polled = Pin::new(&mut self.h2).poll(cx);
        // However h2 ends: it needn't have shut the stream down.
        let sent = self.stream.poll_end_turn(cx);
        match polled {
            Poll::Ready(Ok(())) => return Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                tracing::debug!("an HTTP/2 connection to {origin} ended: {error}");
                return Poll::Ready(());
            }
            Poll::Pending => {}
        }
        if let Poll::Ready(Err(error)) = sent {
            tracing::debug!("an HTTP/2 connection to {origin} ended: {error}");
            return Poll::Ready(());
        }
        if self.vitals.floods() {
            tracing::warn!(
                "{origin} sent more than `h2_max_idle_frames` HTTP/2 frames that carry nothing; \
                 its connection is ended"
            );
            return Poll::Ready(());
        }
        let is_active = link.active.get() > 0;
        if let Poll::Ready(dead) = self.liveness.poll(cx, is_active) {
            tracing::warn!("an HTTP/2 connection to {origin} is given up: {dead}");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Scheme, TargetTls};
    use crate::net::testing::run;

    fn origin() -> Origin {
        let target = Target { scheme: Scheme::H2c, host: "origin.test".into(), port: 80 };
        Origin::new(0, target, TargetTls::default())
    }

    async fn dialling(links: &Links, origin: &Origin) -> Dialling {
        match links.way(origin).await {
            Way::Dial(dialling) => dialling,
            Way::Place(_) => panic!("there is no connection"),
        }
    }

    /// Whether somebody who asks must wait.
    async fn waits(links: &Links, origin: &Origin) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        pin!(links.way(origin)).poll(&mut cx).is_pending()
    }

    #[test]
    fn who_waited_for_a_dial_that_failed_waits_for_no_other() {
        run(async {
            let (links, origin) = (Links::default(), origin());
            let first = dialling(&links, &origin).await;
            let waiting = [(); 3].map(|()| {
                let (links, origin) = (links.clone(), self::origin());
                spawn_local(async move { dialling(&links, &origin).await })
            });
            tokio::task::yield_now().await;
            first.failed();
            drop(first);
            for waiting in waiting {
                drop(waiting.await.unwrap());
            }
            assert!(!waits(&links, &origin).await);
        });
    }

    #[test]
    fn a_dial_that_was_given_up_is_made_by_one_of_those_who_waited() {
        run(async {
            let (links, origin) = (Links::default(), origin());
            let first = dialling(&links, &origin).await;
            assert!(waits(&links, &origin).await);
            drop(first);
            let _second = dialling(&links, &origin).await;
            assert!(waits(&links, &origin).await);
        });
    }
}
