//! Kept connections of one runtime, for the next request to the same origin.
//!
//! The one used last goes out first: it is the likeliest to be alive, and those that nobody needs
//! grow old together. A kept connection has no buffers. None is given out after its time, and
//! one that nobody asks for is closed soon after it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

use super::Origin;
use crate::net::stream::Stream;

/// How late an old connection may be closed, as a part of the idle timeout: the sweeper wakes
/// at most this often however many connections there are.
const SWEEPS_PER_TIMEOUT: u32 = 16;

/// Kept connections, all runtimes together, that stay though others must be dialled.
pub const SPARE_MAX: usize = 512;

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
    /// By the origin's number; each by age, the oldest at the front.
    by_origin: Vec<VecDeque<Kept>>,
    count: usize,
    count_max: usize,
    spare_max: usize,
    idle_timeout: Duration,
    sweeping: bool,
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    until: Instant,
}

impl Pool {
    /// Keeps at most `count_max` connections, all origins together, each for `idle_timeout`; of those
    /// over `spare_max` one is closed for each that is dialled.
    pub fn new(count_max: usize, spare_max: usize, idle_timeout: Duration) -> Self {
        Pool(Rc::new(RefCell::new(Shelves {
            by_origin: Vec::new(),
            count: 0,
            count_max,
            spare_max,
            idle_timeout,
            sweeping: false,
        })))
    }

    /// The living connection that was used last. Those found dead on the way are closed.
    pub fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut shelves = self.0.borrow_mut();
        let now = Instant::now();
        loop {
            let kept = shelves.by_origin.get_mut(origin.number())?.pop_back()?;
            shelves.count -= 1;
            let Kept { mut connection, until } = kept;
            if now < until && is_alive(&connection.stream) {
                connection.used += 1;
                return Some(connection);
            }
            connection.stream.close();
        }
    }

    /// Keeps a connection on which the last answer has ended; where there is no room, the one
    /// that lay longest is closed. Must run in a `LocalRuntime` or `LocalSet`.
    pub fn put(&self, origin: &Origin, connection: Connection) {
        let mut shelves = self.0.borrow_mut();
        if shelves.count_max == 0 {
            return connection.stream.close();
        }
        if shelves.count == shelves.count_max {
            shelves.close_oldest();
        }
        let until = Instant::now() + shelves.idle_timeout;
        let number = origin.number();
        if shelves.by_origin.len() <= number {
            shelves.by_origin.resize_with(number + 1, VecDeque::new);
        }
        shelves.by_origin[number].push_back(Kept { connection, until });
        shelves.count += 1;
        if !shelves.sweeping {
            shelves.sweeping = true;
            spawn_local(sweep(Rc::downgrade(&self.0)));
        }
    }

    /// To be called before a connection is dialled: none that is kept serves who needs that one, as
    /// those to another origin don't. Without it as many may be kept as are in use.
    pub fn make_room(&self) {
        let mut shelves = self.0.borrow_mut();
        if shelves.count > shelves.spare_max {
            shelves.close_oldest();
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
        shelves.by_origin.clear();
        shelves.count = 0;
    }
}

impl Shelves {
    fn oldest(&self) -> Option<(usize, Instant)> {
        let fronts = self.by_origin.iter().enumerate();
        let fronts = fronts.filter_map(|(number, shelf)| Some((number, shelf.front()?.until)));
        fronts.min_by_key(|(_, until)| *until)
    }

    fn close_oldest(&mut self) {
        let Some((number, _)) = self.oldest() else { return };
        if let Some(kept) = self.by_origin[number].pop_front() {
            self.count -= 1;
            kept.connection.stream.close();
        }
    }

    fn close_expired(&mut self, now: Instant) {
        for shelf in &mut self.by_origin {
            while let Some(kept) = shelf.pop_front_if(|kept| kept.until <= now) {
                self.count -= 1;
                kept.connection.stream.close();
            }
        }
    }
}

/// Alive as far as anybody can know: neither ended nor saying something unasked. Free of system
/// calls unless the runtime has seen something happen on the socket.
fn is_alive(stream: &Stream) -> bool {
    // Asked before each request, so nothing is allocated for it where that can be.
    let read = match stream.protocol() {
        None => stream.tcp().try_read(&mut [0]),
        Some(_) => stream.try_read(&mut Vec::with_capacity(1)),
    };
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Scheme, Target, TargetTls};
    use crate::net::testing::{pair, run, until};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const LONG: Duration = Duration::from_secs(60);

    /// Each letter is an origin.
    fn named(letter: &str) -> Origin {
        let target = Target { scheme: Scheme::Http, host: letter.into(), port: 80 };
        Origin::new(usize::from(letter.as_bytes()[0] - b'a'), target, TargetTls::default())
    }

    async fn connection() -> (Connection, TcpStream) {
        let (stream, origin) = pair().await;
        (Connection::new(stream), origin)
    }

    fn port(connection: &Connection) -> u16 {
        connection.stream.tcp().local_addr().unwrap().port()
    }

    #[test]
    fn the_connection_used_last_goes_out_first_and_knows_that_it_was_used() {
        run(async {
            let pool = Pool::new(8, 8, LONG);
            let ((first, _origin), (second, _other)) = (connection().await, connection().await);
            pool.put(&named("a"), first);
            let second_port = second.stream.tcp().peer_addr().unwrap();
            pool.put(&named("a"), second);
            let taken = pool.take(&named("a")).unwrap();
            assert_eq!(taken.stream.tcp().peer_addr().unwrap(), second_port);
            assert!(!taken.is_fresh());
            assert_eq!(pool.len(), 1);
        });
    }

    #[test]
    fn origins_are_told_apart() {
        run(async {
            let pool = Pool::new(8, 8, LONG);
            let (kept, _origin) = connection().await;
            pool.put(&named("a"), kept);
            assert!(pool.take(&named("b")).is_none());
            assert!(pool.take(&named("a")).is_some());
            assert!(pool.take(&named("a")).is_none());
        });
    }

    #[test]
    fn a_connection_that_its_origin_closed_is_not_given_out() {
        run(async {
            let pool = Pool::new(8, 8, LONG);
            let ((alive, _origin), (dead, dying)) = (connection().await, connection().await);
            let alive_port = port(&alive);
            pool.put(&named("a"), alive);
            drop(dying);
            until("its end is seen", || !is_alive(&dead.stream)).await;
            pool.put(&named("a"), dead);
            assert_eq!(port(&pool.take(&named("a")).unwrap()), alive_port);
            assert!(pool.is_empty());
        });
    }

    #[test]
    fn a_connection_on_which_the_origin_spoke_unasked_is_not_given_out() {
        run(async {
            let pool = Pool::new(8, 8, LONG);
            let (kept, mut origin) = connection().await;
            origin.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
            kept.stream.tcp().readable().await.unwrap();
            pool.put(&named("a"), kept);
            assert!(pool.take(&named("a")).is_none());
        });
    }

    #[test]
    fn an_idle_connection_is_closed_after_its_time_without_any_traffic() {
        run(async {
            let timeout = Duration::from_millis(40);
            let pool = Pool::new(8, 8, timeout);
            let (kept, mut origin) = connection().await;
            let start = Instant::now();
            pool.put(&named("a"), kept);
            assert_eq!(origin.read(&mut [0; 1]).await.unwrap(), 0);
            assert!(start.elapsed() >= timeout);
            assert!(pool.is_empty());
            assert!(!pool.0.borrow().sweeping, "the sweeper must end when nothing is left");
            // And it starts again.
            let (kept, mut origin) = connection().await;
            pool.put(&named("a"), kept);
            assert_eq!(origin.read(&mut [0; 1]).await.unwrap(), 0);
        });
    }

    #[test]
    fn a_connection_past_its_time_is_not_given_out_even_before_the_sweep() {
        run(async {
            let pool = Pool::new(8, 8, Duration::ZERO);
            let (kept, _origin) = connection().await;
            pool.put(&named("a"), kept);
            assert!(pool.take(&named("a")).is_none());
        });
    }

    #[test]
    fn a_full_pool_closes_the_one_that_lay_longest_whatever_its_origin() {
        run(async {
            let pool = Pool::new(2, 2, LONG);
            let ((first, mut oldest), (second, _two), (third, _three)) =
                (connection().await, connection().await, connection().await);
            pool.put(&named("a"), first);
            pool.put(&named("b"), second);
            pool.put(&named("c"), third);
            assert_eq!(oldest.read(&mut [0; 1]).await.unwrap(), 0);
            assert_eq!(pool.len(), 2);
            assert!(pool.take(&named("a")).is_none());
            assert!(pool.take(&named("b")).is_some() && pool.take(&named("c")).is_some());
        });
    }

    #[test]
    fn of_more_than_may_be_spare_the_oldest_makes_room_for_one_that_is_dialled() {
        run(async {
            let pool = Pool::new(8, 2, LONG);
            let mut origins = Vec::new();
            for _ in 0..4 {
                let (kept, origin) = connection().await;
                pool.put(&named("a"), kept);
                origins.push(origin);
            }
            for (closed, left) in [3, 2, 2].into_iter().enumerate() {
                pool.make_room();
                assert_eq!(pool.len(), left, "after {closed} were closed");
            }
            for oldest in &mut origins[..2] {
                assert_eq!(oldest.read(&mut [0; 1]).await.unwrap(), 0);
            }
        });
    }

    #[test]
    fn a_pool_without_room_keeps_nothing() {
        run(async {
            let pool = Pool::new(0, 0, LONG);
            let (kept, mut origin) = connection().await;
            pool.put(&named("a"), kept);
            assert_eq!(origin.read(&mut [0; 1]).await.unwrap(), 0);
            assert!(pool.is_empty());
        });
    }
}
