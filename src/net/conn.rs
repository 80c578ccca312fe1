//! An accepted connection: its stream, its permit and its drain guard in one object.
//!
//! Whoever holds the connection holds both, so an upgraded one keeps them and nothing can give
//! them back too early or never. It has no buffers of its own: those come from the arenas.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use super::arena::{Lease, Pool};
use super::deadline::Deadline;
use super::drain;
use super::permits::Permit;
use super::stream::Stream;

/// A reset throws away what the peer hasn't acknowledged: a round trip over most links.
const RESET_DELAY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Conn {
    pub stream: Stream,
    pub guard: drain::Guard,
    permit: Permit,
}

/// The permit and the drain guard of a connection whose stream somebody else owns.
#[derive(Debug)]
pub struct Held {
    pub guard: drain::Guard,
    #[expect(dead_code, reason = "held for its drop")]
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
    pub fn new(stream: Stream, permit: Permit, guard: drain::Guard) -> Self {
        Conn { stream, guard, permit }
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

    /// The stream, and what must be held for as long as it is open.
    pub fn into_parts(self) -> (Stream, Held) {
        let Conn { stream, guard, permit } = self;
        (stream, Held { guard, permit })
    }

    /// Reads more behind what is in `buffer`; false where nothing comes before the deadline.
    pub async fn more(&mut self, buffer: &mut Vec<u8>, deadline: &mut Deadline) -> bool {
        poll_fn(|cx| match self.stream.poll_read(cx, buffer) {
            Poll::Ready(read) => Poll::Ready(read.is_ok_and(|count| count > 0)),
            Poll::Pending => deadline.poll_expired(cx).map(|()| false),
        })
        .await
    }

    /// As `Stream::close`, for one that is idle.
    pub fn close(self) {
        let Conn { stream, guard, permit } = self;
        stream.close();
        drop((permit, guard));
    }

    /// Closes with the reset that its socket was set to, once the peer has had time to take what
    /// was sent before.
    pub async fn close_reset(self) {
        tokio::time::sleep(RESET_DELAY).await;
    }

    /// As `Stream::close_lingering`; permit and guard are held until it is done.
    pub async fn close_lingering(self, bytes_max: usize, time_max: Duration) {
        let Conn { stream, guard, permit, .. } = self;
        stream.close_lingering(bytes_max, time_max).await;
        drop((permit, guard));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::arena;
    use crate::net::drain::Drain;
    use crate::net::permits::Permits;
    use crate::net::testing::{pair, run};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::{spawn_local, yield_now};
    use tokio::time::Instant;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    async fn conn(drain: &Drain) -> (Conn, TcpStream) {
        let (stream, client) = pair().await;
        let permit = Permits::new(1).try_acquire().unwrap();
        (Conn::new(stream, permit, drain.watch().guard()), client)
    }

    fn after(duration: Duration) -> Deadline {
        let mut deadline = Deadline::new();
        deadline.set_after(duration);
        deadline
    }

    #[test]
    fn an_idle_connection_wakes_with_its_bytes_in_an_arena() {
        run(async {
            let (drain, arenas) = (Drain::new(), arena::Pool::new(1));
            let (mut conn, mut client) = conn(&drain).await;
            client.write_all(b"GET /").await.unwrap();
            match conn.idle(&arenas, &mut after(LONG)).await {
                Woken::Bytes(lease) => assert_eq!(lease.read, b"GET /"),
                other => panic!("{other:?}"),
            }
            assert_eq!(arenas.counts().in_use, 0);
        });
    }

    #[test]
    fn an_idle_connection_expires_without_having_held_an_arena() {
        run(async {
            let (drain, arenas) = (Drain::new(), arena::Pool::new(1));
            let (mut conn, _client) = conn(&drain).await;
            assert!(matches!(conn.idle(&arenas, &mut after(SHORT)).await, Woken::Expired));
            assert_eq!(arenas.counts().in_use, 0);
        });
    }

    #[test]
    fn an_idle_connection_sees_its_peer_close() {
        run(async {
            let (drain, arenas) = (Drain::new(), arena::Pool::new(1));
            let (mut conn, client) = conn(&drain).await;
            drop(client);
            let woken = conn.idle(&arenas, &mut after(LONG)).await;
            assert!(matches!(woken, Woken::Closed(Ok(()))), "{woken:?}");
        });
    }

    #[test]
    fn a_drain_wakes_an_idle_connection() {
        run(async {
            let (drain, arenas) = (Drain::new(), arena::Pool::new(1));
            let (mut conn, _client) = conn(&drain).await;
            let waiting = spawn_local(async move {
                matches!(conn.idle(&arenas, &mut after(LONG)).await, Woken::Draining)
            });
            yield_now().await;
            drain.start(Instant::now() + LONG);
            assert!(waiting.await.unwrap());
        });
    }

    #[test]
    fn bytes_that_came_before_the_drain_are_served() {
        run(async {
            let (drain, arenas) = (Drain::new(), arena::Pool::new(1));
            let (mut conn, mut client) = conn(&drain).await;
            client.write_all(b"GET /").await.unwrap();
            drain.start(Instant::now() + LONG);
            let woken = conn.idle(&arenas, &mut after(LONG)).await;
            assert!(matches!(woken, Woken::Bytes(_)), "{woken:?}");
            let woken = conn.idle(&arenas, &mut after(LONG)).await;
            assert!(matches!(woken, Woken::Draining), "{woken:?}");
        });
    }

    #[test]
    fn permit_and_guard_end_with_the_connection() {
        run(async {
            let (drain, permits) = (Drain::new(), Permits::new(1));
            let (stream, client) = pair().await;
            let (permit, guard) = (permits.try_acquire().unwrap(), drain.watch().guard());
            let conn = Conn::new(stream, permit, guard);
            assert_eq!((permits.in_use(), drain.guards()), (1, 1));
            let closing = spawn_local(conn.close_lingering(1 << 20, LONG));
            yield_now().await;
            assert_eq!((permits.in_use(), drain.guards()), (1, 1), "still lingering");
            drop(client);
            closing.await.unwrap();
            assert_eq!((permits.in_use(), drain.guards()), (0, 0));
        });
    }

    #[test]
    fn unread_input_does_not_cost_the_peer_its_answer() {
        run(async {
            let drain = Drain::new();
            let (mut conn, mut client) = conn(&drain).await;
            let reading = spawn_local(async move {
                let sent = client.write_all(&[b'x'; 3 << 20]).await;
                let mut answer = Vec::new();
                let read = client.read_to_end(&mut answer).await;
                (sent.is_ok(), read.is_ok(), answer)
            });
            conn.stream.split().1.write_all(b"413 too large").await.unwrap();
            conn.close_lingering(8 << 20, LONG).await;
            assert_eq!(reading.await.unwrap(), (true, true, b"413 too large".to_vec()));
        });
    }

    #[test]
    fn a_lingering_close_has_an_end_in_time_and_in_bytes() {
        run(async {
            let drain = Drain::new();
            let (silent, _client) = conn(&drain).await;
            silent.close_lingering(usize::MAX, SHORT).await;

            let (endless, mut client) = conn(&drain).await;
            let sending =
                spawn_local(
                    async move { while client.write_all(&[b'x'; 64 << 10]).await.is_ok() {} },
                );
            endless.close_lingering(1 << 20, LONG).await;
            sending.await.unwrap();
        });
    }

    #[test]
    fn an_idle_connection_is_small() {
        // Its task's future holds this, and the runtime some 256 bytes per socket.
        assert!(size_of::<Conn>() <= 160, "{}", size_of::<Conn>());
        assert!(size_of::<Deadline>() <= 32, "{}", size_of::<Deadline>());
    }
}
