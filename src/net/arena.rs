//! The RFC's arenas: the buffers that a connection has only while bytes are in flight.
//!
//! One pool per runtime. A connection leases an arena when its first bytes are there and gives it
//! back, by the lease's drop, when none are in flight: an idle connection holds none. An arena is
//! made only when no idle one is left, so there are never more than were once in use together.
//! What comes back is cleared, buffers that grew past their cap are let go, and arenas that
//! nobody needed for a while are freed by `Pool::tend`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::exchange::{Fields, RequestHead, ResponseHead};

/// Spare room of `Arena::read` when it is leased: a request head with cookies fits, and most
/// bodies of JSON APIs. It grows for those that don't.
pub const READ_BYTES: usize = 16 << 10;

/// A buffer that grew beyond this is let go when the arena comes back: the default read-ahead,
/// `limits.buffer_size`, and what the tape has around that, so ordinary traffic never makes one
/// again.
const KEPT_BYTES_MAX: usize = 72 << 10;

/// As `KEPT_BYTES_MAX`, for one list of fields.
const KEPT_FIELDS_BYTES_MAX: usize = 16 << 10;

/// What a burst left is half gone after each of these.
const TRIM_PERIOD: Duration = Duration::from_secs(1);

/// Everything that serving one request needs room for. Any buffer may be taken out
/// (`mem::take`) and need not come back.
#[derive(Debug, Default)]
pub struct Arena {
    /// Bytes from the client that no codec has consumed yet. Has room when it is leased.
    pub read: Vec<u8>,
    /// Bytes on their way to the client.
    pub write: Vec<u8>,
    /// Bytes read from the origin.
    pub origin_read: Vec<u8>,
    /// Bytes on their way to the origin.
    pub origin_write: Vec<u8>,
    /// The match key.
    pub key: Vec<u8>,
    /// Frames for the tape.
    pub tape: Vec<u8>,
    pub head: RequestHead,
    /// The head that the origin is sent.
    pub sent: RequestHead,
    pub response: ResponseHead,
}

impl Arena {
    fn reset(&mut self) {
        let buffers = [
            &mut self.read,
            &mut self.write,
            &mut self.origin_read,
            &mut self.origin_write,
            &mut self.key,
            &mut self.tape,
            &mut self.response.reason,
        ];
        buffers.into_iter().for_each(reset_bytes);
        for head in [&mut self.head, &mut self.sent] {
            reset_text(&mut head.method);
            reset_text(&mut head.target);
            reset_fields(&mut head.fields);
        }
        reset_fields(&mut self.response.fields);
    }
}

fn reset_bytes(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEPT_BYTES_MAX {
        *buffer = Vec::new();
    }
}

fn reset_text(text: &mut String) {
    text.clear();
    if text.capacity() > KEPT_FIELDS_BYTES_MAX {
        *text = String::new();
    }
}

fn reset_fields(fields: &mut Fields) {
    fields.clear();
    if fields.capacity_bytes() > KEPT_FIELDS_BYTES_MAX {
        *fields = Fields::new();
    }
}

/// A runtime's arenas. Clones are the same pool.
#[derive(Clone)]
pub struct Pool(Rc<Shared>);

struct Shared {
    #[expect(clippy::vec_box, reason = "a lease is one pointer in its task, however big an arena")]
    idle: RefCell<Vec<Box<Arena>>>,
    /// More idle ones than this are freed at once.
    idle_max: usize,
    /// The fewest that lay idle since the last `trim`: so many nobody needed.
    idle_low: Cell<usize>,
    counts: Cell<Counts>,
}

/// What became of a pool's arenas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Allocated since the start.
    pub made: usize,
    /// Freed since the start.
    pub freed: usize,
    pub in_use: usize,
    pub in_use_max: usize,
    pub idle: usize,
    /// Leases since the start.
    pub leased: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { made, freed, in_use, in_use_max, idle, leased } = self;
        write!(
            f,
            "{leased} leases of {made} arenas, {in_use_max} at most at once; \
             now {in_use} in use, {idle} idle, {freed} freed"
        )
    }
}

impl Pool {
    pub fn new(idle_max: usize) -> Self {
        Pool(Rc::new(Shared {
            idle: RefCell::new(Vec::new()),
            idle_max,
            idle_low: Cell::new(0),
            counts: Cell::new(Counts::default()),
        }))
    }

    /// The arena that came back last, its caches warm, or a new one.
    pub fn lease(&self) -> Lease {
        let mut lease = self.lease_unread();
        lease.read.reserve(READ_BYTES);
        lease
    }

    /// As `lease`, without room in `read`: for requests that somebody else has read.
    pub fn lease_unread(&self) -> Lease {
        let (idle, left) = {
            let mut idle = self.0.idle.borrow_mut();
            (idle.pop(), idle.len())
        };
        self.0.idle_low.set(self.0.idle_low.get().min(left));
        let mut counts = self.0.counts.get();
        counts.made += usize::from(idle.is_none());
        counts.in_use += 1;
        counts.in_use_max = counts.in_use_max.max(counts.in_use);
        counts.leased += 1;
        self.0.counts.set(counts);
        let arena = idle.unwrap_or_default();
        Lease { arena: Some(arena), pool: self.clone() }
    }

    pub fn counts(&self) -> Counts {
        Counts { idle: self.0.idle.borrow().len(), ..self.0.counts.get() }
    }

    /// Frees half of the arenas that lay idle ever since the last call: a burst's arenas are gone
    /// soon after it, steady traffic keeps its own.
    pub fn trim(&self) {
        let mut idle = self.0.idle.borrow_mut();
        let unneeded = self.0.idle_low.get().min(idle.len());
        // Rounded up, so that the last one goes too.
        let freed = unneeded.div_ceil(2);
        // The oldest lie at the front.
        drop(idle.drain(..freed));
        self.0.idle_low.set(idle.len());
        let mut counts = self.0.counts.get();
        counts.freed += freed;
        self.0.counts.set(counts);
    }

    /// Trims now and then, for as long as the runtime lives: spawn it once per worker.
    ///
    /// Its timer has a second use. A timer set to fire sooner than all others makes the runtime
    /// wake itself with a write to its eventfd; with this one always near, no connection's does.
    pub async fn tend(self) {
        loop {
            sleep(TRIM_PERIOD).await;
            self.trim();
        }
    }

    fn give_back(&self, mut arena: Box<Arena>) {
        arena.reset();
        let mut counts = self.0.counts.get();
        counts.in_use -= 1;
        let mut idle = self.0.idle.borrow_mut();
        if idle.len() < self.0.idle_max {
            idle.push(arena);
        } else {
            counts.freed += 1;
        }
        self.0.counts.set(counts);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.counts()).finish()
    }
}

/// An arena in use; its drop gives it back.
pub struct Lease {
    arena: Option<Box<Arena>>,
    pool: Pool,
}

const HELD: &str = "a lease holds its arena until it is dropped";

impl Deref for Lease {
    type Target = Arena;

    fn deref(&self) -> &Arena {
        self.arena.as_deref().expect(HELD)
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Arena {
        self.arena.as_deref_mut().expect(HELD)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(arena) = self.arena.take() {
            self.pool.give_back(arena);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.arena).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_comes_back_cleared_and_is_leased_again() {
        let pool = Pool::new(8);
        let mut lease = pool.lease();
        assert!(lease.read.capacity() >= READ_BYTES);
        lease.read.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
        lease.head.method.push_str("GET");
        lease.head.fields.push("host", "secret");
        lease.response.reason.extend_from_slice(b"OK");
        lease.sent.fields.push("a", "b");
        drop(lease);
        let lease = pool.lease();
        assert!(lease.read.is_empty() && lease.read.capacity() >= READ_BYTES);
        assert!(lease.head.method.is_empty() && lease.head.fields.is_empty());
        assert!(lease.response.reason.is_empty() && lease.sent.fields.is_empty());
        let expected = Counts { made: 1, freed: 0, in_use: 1, in_use_max: 1, idle: 0, leased: 2 };
        assert_eq!(pool.counts(), expected);
    }

    #[test]
    fn no_more_are_made_than_were_in_use_together() {
        let pool = Pool::new(64);
        for together in [1, 7, 3, 7, 2] {
            for _ in 0..50 {
                let leases: Vec<_> = (0..together).map(|_| pool.lease()).collect();
                drop(leases);
            }
        }
        let counts = pool.counts();
        assert_eq!((counts.made, counts.in_use_max, counts.in_use, counts.idle), (7, 7, 0, 7));
    }

    #[test]
    fn buffers_that_grew_past_their_cap_are_let_go() {
        let pool = Pool::new(8);
        let mut lease = pool.lease();
        lease.write.reserve(1 << 20);
        lease.tape.reserve(KEPT_BYTES_MAX / 2);
        lease.sent.fields.push("long", vec![b'x'; 1 << 20]);
        drop(lease);
        let lease = pool.lease();
        assert_eq!(lease.write.capacity(), 0);
        assert_eq!(lease.sent.fields.capacity_bytes(), 0);
        assert!(lease.tape.capacity() >= KEPT_BYTES_MAX / 2);
    }

    #[test]
    fn the_pool_keeps_no_more_idle_ones_than_it_may() {
        let pool = Pool::new(2);
        drop([pool.lease(), pool.lease(), pool.lease()]);
        assert_eq!((pool.counts().idle, pool.counts().freed), (2, 1));
    }

    #[test]
    fn trimming_frees_what_a_burst_left_and_keeps_what_is_used() {
        let pool = Pool::new(1000);
        drop((0..1000).map(|_| pool.lease()).collect::<Vec<_>>());
        pool.trim();
        assert_eq!(pool.counts().idle, 1000, "all were needed since the start");
        for _ in 0..20 {
            drop([pool.lease(), pool.lease()]);
            pool.trim();
        }
        assert_eq!(pool.counts().idle, 2);
        pool.trim();
        pool.trim();
        assert_eq!(pool.counts().idle, 0);
        assert_eq!(pool.counts().made, pool.counts().freed);
    }

    #[test]
    fn a_lease_dropped_by_a_panic_gives_its_arena_back() {
        let pool = Pool::new(8);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _lease = pool.lease();
            panic!("of a driver");
        }));
        assert!(caught.is_err());
        assert_eq!((pool.counts().in_use, pool.counts().idle), (0, 1));
    }
}
