//! Opens a connection to an origin: look up, connect, give up in time.
//!
//! A host's addresses are tried in the order the resolver gives them (RFC 6724), the next one
//! joining when the one before has failed or kept silent for a while; the first that connects
//! wins (RFC 8305, without its reordering by family).

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::{Attempt, DialError};
use crate::config::Sockets;
use crate::net::deadline::Deadline;
use crate::net::stream::Stream;

/// RFC 8305 section 5: "Connection Attempt Delay", recommended value.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A new connection to `host` (a name, or an address without brackets) and `port`, TCP options
/// set before it connects, all within `patience`.
///
/// Blocking: names are looked up by the system's resolver on the runtime's blocking threads.
/// Cancel safety: attempts that are under way are closed.
pub async fn dial(
    host: &str,
    port: u16,
    options: &Sockets,
    patience: Duration,
) -> Result<Stream, DialError> {
    // Boxed: dialling is rare, and its state should not count for every connection's size.
    let connecting = Box::pin(async {
        let addresses = look_up(host, port).await?;
        connect_any(addresses, options)
            .await
            .map(Stream::from)
            .map_err(|attempts| DialError::Failed { host: host.to_owned(), port, attempts })
    });
    match timeout(patience, connecting).await {
        Ok(result) => result,
        Err(_) => Err(DialError::TimedOut { host: host.to_owned(), port, after: patience }),
    }
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match lookup_host((host, port)).await {
        Ok(found) => {
            let addresses: Vec<_> = found.collect();
            match addresses.is_empty() {
                false => Ok(addresses),
                true => Err(DialError::NoSuchHost { host: host.to_owned() }),
            }
        }
        Err(error) => Err(lookup_error(host, error)),
    }
}

/// std gives getaddrinfo(3)'s verdict as text only.
fn lookup_error(host: &str, error: io::Error) -> DialError {
    const NO_SUCH_HOST: [&str; 3] =
        ["Name or service not known", "nodename nor servname", "No address associated"];
    let text = error.to_string();
    match NO_SUCH_HOST.iter().any(|verdict| text.contains(verdict)) {
        true => DialError::NoSuchHost { host: host.to_owned() },
        false => DialError::LookupFailed { host: host.to_owned(), cause: error.into() },
    }
}

type Connecting<'a> = Pin<Box<dyn Future<Output = (SocketAddr, io::Result<TcpStream>)> + 'a>>;

/// The attempts at one host's addresses, side by side.
struct Race<'a> {
    waiting: std::vec::IntoIter<SocketAddr>,
    running: Vec<Connecting<'a>>,
    failed: Vec<Attempt>,
    /// When the next address joins.
    next: Deadline,
    options: &'a Sockets,
}

async fn connect_any(
    addresses: Vec<SocketAddr>,
    options: &Sockets,
) -> Result<TcpStream, Vec<Attempt>> {
    let mut race = Race {
        waiting: addresses.into_iter(),
        running: Vec::new(),
        failed: Vec::new(),
        next: Deadline::new(),
        options,
    };
    poll_fn(|cx| race.poll(cx)).await
}

impl Race<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<TcpStream, Vec<Attempt>>> {
        loop {
            if let Poll::Ready(stream) = self.poll_running(cx) {
                return Poll::Ready(Ok(stream));
            }
            let may_join = self.running.is_empty() || self.next.poll_expired(cx).is_ready();
            if may_join && self.join() {
                continue;
            }
            return match self.running.is_empty() {
                true => Poll::Ready(Err(std::mem::take(&mut self.failed))),
                false => Poll::Pending,
            };
        }
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<TcpStream> {
        let mut index = 0;
        while let Some(connecting) = self.running.get_mut(index) {
            match connecting.as_mut().poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready((_, Ok(stream))) => return Poll::Ready(stream),
                Poll::Ready((address, Err(error))) => {
                    drop(self.running.remove(index));
                    self.failed.push(Attempt { address, why: error.into() });
                    // A failure makes room for the next address at once.
                    self.join();
                }
            }
        }
        Poll::Pending
    }

    /// Starts with the next address; false when all are under way or done.
    fn join(&mut self) -> bool {
        let Some(address) = self.waiting.next() else {
            self.next.clear();
            return false;
        };
        let options = self.options;
        self.running.push(Box::pin(async move { (address, connect(address, options).await) }));
        self.next.set_after(ATTEMPT_DELAY);
        true
    }
}

async fn connect(address: SocketAddr, options: &Sockets) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Lets a listener claim the port that the system picks for this end.
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    if let Some(bytes) = options.recv_buffer {
        socket.set_recv_buffer_size(u32::try_from(bytes).unwrap_or(u32::MAX))?;
    }
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(u32::try_from(bytes).unwrap_or(u32::MAX))?;
    }
    socket.connect(address).await
}
