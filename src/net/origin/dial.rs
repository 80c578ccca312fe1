//! Opens a connection to an origin: look up, connect, TLS where it is spoken, give up in time.
//!
//! A host's addresses are tried in the order the resolver gives them (RFC 6724), the next one
//! joining when the one before has failed or kept silent for a while; the first that connects
//! wins (RFC 8305, without its reordering by family).

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::error::{Attempt, DialError};
use super::names::Names;
use super::pool::Connection;
use super::{Origin, Speak};
use crate::config::{Sockets, Target};
use crate::net::deadline::Deadline;
use crate::net::stream::Stream;
use crate::net::throttle::Throttle;

/// RFC 8305 section 5: "Connection Attempt Delay", recommended value.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Opens connections for one runtime. Clones share their look-ups.
#[derive(Clone, Debug)]
pub struct Dialer {
    names: Names,
    options: Sockets,
    patience: Duration,
    log: Rc<RefCell<Throttle>>,
}

/// Handshakes that fail for one reason fail for every request.
const LOG_PERIOD: Duration = Duration::from_secs(1);

impl Dialer {
    /// `patience` bounds look-up, connecting and TLS together.
    pub fn new(options: Sockets, patience: Duration) -> Self {
        let log = Rc::new(RefCell::new(Throttle::new(LOG_PERIOD)));
        Dialer { names: Names::default(), options, patience, log }
    }

    /// Logs that a handshake with an origin failed, at a bounded rate.
    pub fn tell(&self, why: &str, hint: Option<&str>) {
        if let Some(unsaid) = self.log.borrow_mut().pass(Instant::now()) {
            tracing::warn!(unsaid, hint, "{why}");
        }
    }

    /// A new connection to `origin`, TCP options set before it connects, TLS's handshake done.
    ///
    /// Blocking: names are looked up by the system's resolver on the runtime's blocking threads.
    /// Cancel safety: attempts that are under way are closed. Must run in a `LocalRuntime` or
    /// `LocalSet`.
    pub async fn dial(&self, origin: &Origin, speak: Speak) -> Result<Connection, DialError> {
        // Boxed: dialling is rare, and its state should not count for every connection's size.
        match timeout(self.patience, Box::pin(self.look_up_and_connect(origin, speak))).await {
            Ok(connected) => connected,
            Err(_) => {
                let Target { host, port, .. } = origin.target.clone();
                Err(DialError::TimedOut { host, port, after: self.patience })
            }
        }
    }

    async fn look_up_and_connect(
        &self,
        origin: &Origin,
        speak: Speak,
    ) -> Result<Connection, DialError> {
        let Target { host, port, .. } = &origin.target;
        let addresses = self.names.look_up(host, *port).await?;
        let (host, port) = (|| host.to_owned(), *port);
        let mut stream: Stream = match connect_any(addresses, &self.options).await {
            Ok(tcp) => tcp.into(),
            Err(attempts) => return Err(DialError::Failed { host: host(), port, attempts }),
        };
        if let Some(tls) = origin.tls_for(speak) {
            tls.secure(&mut stream).await.map_err(|why| {
                let hint = tls.hint(&why);
                let error = DialError::Tls { host: host(), port, why, hint };
                self.tell(&error.to_string(), error.hint());
                error
            })?;
        }
        Ok(Connection::new(stream))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Scheme, TargetTls};
    use crate::net::origin::Why;
    use crate::net::testing::{LOOPBACK, run};
    use socket2::{Domain, SockRef, Socket, Type};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn dialer(patience: Duration) -> Dialer {
        Dialer::new(Sockets::default(), patience)
    }

    /// An origin without TLS.
    fn origin(host: &str, port: u16) -> Origin {
        let target = Target { scheme: Scheme::Http, host: host.into(), port };
        Origin::new(0, target, TargetTls::default())
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address on which nobody listens, and nobody will while the socket lives.
    fn deaf() -> (Socket, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&LOOPBACK.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    /// An address that neither accepts nor refuses: its queue is full, so the kernel drops what
    /// comes.
    async fn silent() -> (Vec<TcpStream>, Socket, SocketAddr) {
        let (socket, address) = deaf();
        socket.listen(0).unwrap();
        let mut queued = Vec::new();
        let short = Duration::from_millis(50);
        while let Ok(Ok(stream)) = timeout(short, TcpStream::connect(address)).await {
            queued.push(stream);
        }
        (queued, socket, address)
    }

    #[test]
    fn options_are_set_on_the_socket_that_connects() {
        run(async {
            let (_listener, address) = listener().await;
            let options =
                Sockets { recv_buffer: Some(96 << 10), send_buffer: Some(80 << 10), backlog: 1 };
            let dialer = Dialer::new(options, PATIENCE);
            let connection =
                dialer.dial(&origin("127.0.0.1", address.port()), Speak::Any).await.unwrap();
            assert!(connection.is_fresh());
            let socket = SockRef::from(connection.stream.tcp());
            let factor = if cfg!(target_os = "linux") { 2 } else { 1 };
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.reuse_address().unwrap());
            assert_eq!(socket.recv_buffer_size().unwrap(), factor * (96 << 10));
            assert_eq!(socket.send_buffer_size().unwrap(), factor * (80 << 10));
        });
    }

    #[test]
    fn a_name_is_looked_up() {
        run(async {
            let (_listener, address) = listener().await;
            dialer(PATIENCE).dial(&origin("localhost", address.port()), Speak::Any).await.unwrap();
        });
    }

    #[test]
    fn an_origin_that_refuses_is_named() {
        run(async {
            let (_socket, address) = deaf();
            let error = dialer(PATIENCE)
                .dial(&origin("127.0.0.1", address.port()), Speak::Any)
                .await
                .unwrap_err();
            let attempts = vec![Attempt { address, why: Why::Refused }];
            let port = address.port();
            assert_eq!(error, DialError::Failed { host: "127.0.0.1".into(), port, attempts });
            assert_eq!(
                error.to_string(),
                format!("could not connect to {address}: {address} refused the connection")
            );
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_origin_that_keeps_silent_is_given_up() {
        run(async {
            let (_queued, _socket, address) = silent().await;
            let patience = Duration::from_millis(100);
            let error = dialer(patience)
                .dial(&origin("127.0.0.1", address.port()), Speak::Any)
                .await
                .unwrap_err();
            let (host, port) = ("127.0.0.1".into(), address.port());
            assert_eq!(error, DialError::TimedOut { host, port, after: patience });
        });
    }

    #[test]
    fn all_addresses_are_tried_until_one_connects() {
        run(async {
            let ((_first, refused), (_second, refused_too)) = (deaf(), deaf());
            let (_listener, good) = listener().await;
            let addresses = vec![refused, refused_too, good];
            let start = Instant::now();
            let stream = connect_any(addresses, &Sockets::default()).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            assert!(start.elapsed() < ATTEMPT_DELAY, "a refusal must not be waited out");
        });
    }

    #[test]
    fn when_no_address_connects_all_are_reported() {
        run(async {
            let ((_first, refused), (_second, refused_too)) = (deaf(), deaf());
            let addresses = vec![refused, refused_too];
            let attempts = connect_any(addresses, &Sockets::default()).await.unwrap_err();
            let mut failed: Vec<_> = attempts.iter().map(|attempt| attempt.address).collect();
            failed.sort();
            let mut expected = vec![refused, refused_too];
            expected.sort();
            assert_eq!(failed, expected);
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_silent_address_is_joined_by_the_next_after_a_while() {
        run(async {
            let (_queued, _socket, silent) = silent().await;
            let (_listener, good) = listener().await;
            let start = Instant::now();
            let stream = connect_any(vec![silent, good], &Sockets::default()).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            assert!(start.elapsed() >= ATTEMPT_DELAY);
        });
    }
}
