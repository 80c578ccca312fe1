//! Kept connections of one runtime, for the next request to the same origin.
//!
//! The one used last goes out first: it is the likeliest to be alive, and those that nobody needs
//! grow old together. A kept connection has no buffers. None is given out after its time, and
//! one that nobody asks for is closed soon after it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

use crate::config::Target;
use crate::net::stream::Stream;

/// How late an old connection may be closed, as a part of the idle timeout: the sweeper wakes
/// at most this often however many connections there are.
const SWEEPS_PER_TIMEOUT: u32 = 16;

/// A connection to an origin.
#[derive(Debug)]
pub struct Connection {
    pub stream: Stream,
    /// Requests that were sent on it before this one. 0: it was dialled for this one.
    pub used: u64,
}

impl Connection {
    pub fn new(stream: Stream) -> Self {
        Connection { stream, used: 0 }
    }

    pub fn is_fresh(&self) -> bool {
        self.used == 0
    }
}

/// Clones are the same pool.
#[derive(Clone, Debug)]
pub struct Pool(Rc<RefCell<Shelves>>);

#[derive(Debug)]
struct Shelves {
    /// By age: the oldest at the front.
    by_target: HashMap<Target, VecDeque<Kept>>,
    count: usize,
    count_max: usize,
    idle_timeout: Duration,
    sweeping: bool,
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    until: Instant,
}

impl Pool {
    /// Keeps at most `count_max` connections, all origins together, each for `idle_timeout`.
    pub fn new(count_max: usize, idle_timeout: Duration) -> Self {
        Pool(Rc::new(RefCell::new(Shelves {
            by_target: HashMap::new(),
            count: 0,
            count_max,
            idle_timeout,
            sweeping: false,
        })))
    }

    /// The living connection that was used last. Those found dead on the way are closed.
    pub fn take(&self, target: &Target) -> Option<Connection> {
        let mut shelves = self.0.borrow_mut();
        let now = Instant::now();
        loop {
            let kept = shelves.by_target.get_mut(target)?.pop_back()?;
            shelves.count -= 1;
            let Kept { mut connection, until } = kept;
            if now < until && is_alive(&connection.stream) {
                connection.used += 1;
                return Some(connection);
            }
        }
    }

    /// Keeps a connection on which the last answer has ended; where there is no room, the one
    /// that lay longest is closed. Must run in a `LocalRuntime` or `LocalSet`.
    pub fn put(&self, target: &Target, connection: Connection) {
        let mut shelves = self.0.borrow_mut();
        if shelves.count_max == 0 {
            return;
        }
        if shelves.count == shelves.count_max {
            shelves.close_oldest();
        }
        let until = Instant::now() + shelves.idle_timeout;
        let kept = Kept { connection, until };
        // Looked up by reference first: an owned key is made once per origin.
        match shelves.by_target.get_mut(target) {
            Some(shelf) => shelf.push_back(kept),
            None => {
                shelves.by_target.insert(target.clone(), VecDeque::from([kept]));
            }
        }
        shelves.count += 1;
        if !shelves.sweeping {
            shelves.sweeping = true;
            spawn_local(sweep(Rc::downgrade(&self.0)));
        }
    }

    pub fn len(&self) -> usize {
        self.0.borrow().count
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes all that are kept.
    pub fn clear(&self) {
        let mut shelves = self.0.borrow_mut();
        shelves.by_target.clear();
        shelves.count = 0;
    }
}

impl Shelves {
    fn oldest(&self) -> Option<(&Target, Instant)> {
        let fronts = self.by_target.iter();
        let fronts = fronts.filter_map(|(target, shelf)| Some((target, shelf.front()?.until)));
        fronts.min_by_key(|(_, until)| *until)
    }

    fn close_oldest(&mut self) {
        let Some(target) = self.oldest().map(|(target, _)| target.clone()) else { return };
        if let Some(shelf) = self.by_target.get_mut(&target) {
            self.count -= usize::from(shelf.pop_front().is_some());
        }
    }

    fn close_expired(&mut self, now: Instant) {
        for shelf in self.by_target.values_mut() {
            while shelf.front().is_some_and(|kept| kept.until <= now) {
                shelf.pop_front();
                self.count -= 1;
            }
        }
    }
}

/// Alive as far as anybody can know: neither ended nor saying something unasked. Free of system
/// calls unless the runtime has seen something happen on the socket.
fn is_alive(stream: &Stream) -> bool {
    let mut byte = Vec::with_capacity(1);
    matches!(stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Closes connections as they get too old; ends when none is left.
async fn sweep(pool: Weak<RefCell<Shelves>>) {
    loop {
        let Some(next) = pool.upgrade().and_then(|shelves| next_sweep(&mut shelves.borrow_mut()))
        else {
            return;
        };
        sleep_until(next).await;
    }
}

fn next_sweep(shelves: &mut Shelves) -> Option<Instant> {
    let now = Instant::now();
    shelves.close_expired(now);
    let next = shelves.oldest().map(|(_, until)| until);
    shelves.sweeping = next.is_some();
    next.map(|until| until.max(now + shelves.idle_timeout / SWEEPS_PER_TIMEOUT))
}
