//! An accepted connection: its stream, its permit and its drain guard in one object.
//!
//! Whoever holds the connection holds both, so an upgraded one keeps them and nothing can give
//! them back too early or never. It has no buffers of its own: those come from the arenas.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use super::arena::{Lease, Pool};
use super::deadline::Deadline;
use super::drain;
use super::permits::Permit;
use super::stream::Stream;

#[derive(Debug)]
pub struct Conn {
    pub stream: Stream,
    pub guard: drain::Guard,
    peer: SocketAddr,
    permit: Permit,
}

/// What ended an idle connection's wait.
#[derive(Debug)]
pub enum Woken {
    /// Bytes came; they are in `read` of this arena.
    Bytes(Lease),
    /// The peer closed, properly or by a reset.
    Closed(io::Result<()>),
    /// The deadline passed without a byte.
    Expired,
    /// The program drains, and nothing had come.
    Draining,
}

impl Conn {
    pub fn new(stream: Stream, peer: SocketAddr, permit: Permit, guard: drain::Guard) -> Self {
        Conn { stream, guard, peer, permit }
    }

    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Waits, without a buffer, for the next request's first bytes, for the deadline, or for the
    /// drain. Bytes that are there win over both.
    ///
    /// Cancel safety: no byte is lost before it completes.
    pub async fn idle(&mut self, arenas: &Pool, deadline: &mut Deadline) -> Woken {
        poll_fn(|cx| self.poll_idle(cx, arenas, deadline)).await
    }

    pub fn poll_idle(
        &mut self,
        cx: &mut Context<'_>,
        arenas: &Pool,
        deadline: &mut Deadline,
    ) -> Poll<Woken> {
        if let Poll::Ready(woken) = self.poll_first_bytes(cx, arenas) {
            return Poll::Ready(woken);
        }
        if self.guard.poll_started(cx).is_ready() {
            return Poll::Ready(Woken::Draining);
        }
        deadline.poll_expired(cx).map(|()| Woken::Expired)
    }

    fn poll_first_bytes(&mut self, cx: &mut Context<'_>, arenas: &Pool) -> Poll<Woken> {
        match self.stream.poll_readable(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Woken::Closed(Err(error))),
            Poll::Ready(Ok(())) => {}
        }
        // Readiness can be a false alarm; then the lease goes back before the wait goes on.
        let mut lease = arenas.lease();
        self.stream.poll_read(cx, &mut lease.read).map(|read| match read {
            Ok(0) => Woken::Closed(Ok(())),
            Ok(_) => Woken::Bytes(lease),
            Err(error) => Woken::Closed(Err(error)),
        })
    }

    /// As `Stream::close_lingering`; permit and guard are held until it is done.
    pub async fn close_lingering(self, bytes_max: usize, time_max: Duration) {
        let Conn { stream, guard, permit, .. } = self;
        stream.close_lingering(bytes_max, time_max).await;
        drop((permit, guard));
    }
}
