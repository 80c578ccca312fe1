//! Asks a peer that has streams open and keeps silent whether it lives.

use std::task::{Context, Poll};

use h2::{Ping, PingPong};

use super::watched::Vitals;
use crate::config::limits::H2Limits;
use crate::net::deadline::Deadline;

#[derive(Debug)]
pub(super) struct Liveness {
    pings: Option<PingPong>,
    vitals: Vitals,
    limits: H2Limits,
    due: Deadline,
    /// Reads that had come when the deadline was set.
    reads: u64,
    is_asked: bool,
}

impl std::fmt::Display for Dead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the peer answered no ping for {:?}", self.0)
    }
}

/// The peer answered nothing for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dead(std::time::Duration);

impl Liveness {
    pub(super) fn new(pings: Option<PingPong>, vitals: Vitals, limits: H2Limits) -> Self {
        Liveness { pings, vitals, limits, due: Deadline::new(), reads: 0, is_asked: false }
    }

    /// Ready when the peer is dead. A peer without streams is left in peace: it may be idle.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, has_streams: bool) -> Poll<Dead> {
        if !has_streams {
            self.due.clear();
            self.is_asked = false;
            return Poll::Pending;
        }
        if self.due.at().is_none() {
            self.rest();
        }
        loop {
            self.take_pong(cx);
            if self.due.poll_expired(cx).is_pending() {
                return Poll::Pending;
            }
            // Ordinary clients ping too, now and then: only many at once are a flood.
            self.vitals.worked(usize::MAX);
            if self.vitals.reads() != self.reads {
                self.rest();
            } else if self.is_asked {
                return Poll::Ready(Dead(self.limits.ping_timeout));
            } else {
                self.ask();
            }
        }
    }

    fn rest(&mut self) {
        self.is_asked = false;
        self.reads = self.vitals.reads();
        self.due.set_after(self.limits.ping_interval);
    }

    fn ask(&mut self) {
        self.is_asked = true;
        self.due.set_after(self.limits.ping_timeout);
        if let Some(pings) = &mut self.pings {
            // One that is still under way, or a connection that ends: the deadline judges both.
            let _ = pings.send_ping(Ping::opaque());
        }
    }

    /// A pong is a read like any other; it must be taken before another ping can be sent.
    fn take_pong(&mut self, cx: &mut Context<'_>) {
        if let Some(pings) = &mut self.pings
            && self.is_asked
        {
            let _ = pings.poll_pong(cx);
        }
    }
}
