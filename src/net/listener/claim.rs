//! Claims a port, one listening socket per worker.
//!
//! On Linux the workers' sockets share the port by SO_REUSEPORT, which would let any second
//! program of the same user share it in silence too. So the first socket binds and listens
//! without that option, which fails if anybody has the port; only then is the option set, on the
//! socket that already listens, and the others join it. At no moment is the port free, and a
//! claim that starts like this one fails at every moment. Elsewhere the workers share one socket.
//!
//! Options are set on the listening socket, before it listens, and accepted sockets inherit them
//! without a system call. For the buffer sizes the kernel doubles what it is given (its own
//! bookkeeping lives there too), caps it at `net.core.rmem_max` and `wmem_max`, and stops tuning
//! that buffer itself; set before the handshake, the size also decides the window scale.

use std::io;
use std::net::{self, SocketAddr};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config::Sockets;
use crate::net::NetworkError;

/// A port that is ours: the sockets already listen, so clients queue until somebody accepts.
#[derive(Debug)]
pub struct Claimed {
    address: SocketAddr,
    sockets: Vec<net::TcpListener>,
}

impl Claimed {
    /// With the real port, where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// One for each worker.
    pub fn into_sockets(self) -> Vec<net::TcpListener> {
        self.sockets
    }
}

/// Binds and listens with one socket for each of `workers`.
///
/// Errors: `Bind`, naming endpoint and address.
pub fn claim(
    endpoint: &str,
    address: SocketAddr,
    workers: usize,
    options: &Sockets,
) -> Result<Claimed, NetworkError> {
    claim_sockets(address, workers.max(1), options).map_err(|error| NetworkError::Bind {
        endpoint: endpoint.to_owned(),
        address,
        cause: error.into(),
    })
}

fn claim_sockets(address: SocketAddr, workers: usize, options: &Sockets) -> io::Result<Claimed> {
    let first = open(address, options, Port::Alone)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    join(&mut sockets, address, workers, options)?;
    Ok(Claimed { address, sockets })
}

#[cfg(target_os = "linux")]
fn join(
    sockets: &mut Vec<net::TcpListener>,
    address: SocketAddr,
    workers: usize,
    options: &Sockets,
) -> io::Result<()> {
    if workers > 1 {
        for first in sockets.iter() {
            SockRef::from(first).set_reuse_port(true)?;
        }
    }
    while sockets.len() < workers {
        sockets.push(open(address, options, Port::Shared)?);
    }
    Ok(())
}

/// Elsewhere SO_REUSEPORT doesn't spread connections: every worker accepts from one queue.
#[cfg(not(target_os = "linux"))]
fn join(
    sockets: &mut Vec<net::TcpListener>,
    _address: SocketAddr,
    workers: usize,
    _options: &Sockets,
) -> io::Result<()> {
    let more: io::Result<Vec<_>> = sockets
        .iter()
        .flat_map(|first| std::iter::repeat_with(|| first.try_clone()).take(workers - 1))
        .collect();
    sockets.extend(more?);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    Alone,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "see `join`"))]
    Shared,
}

fn open(address: SocketAddr, options: &Sockets, port: Port) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A port whose last connections are in TIME_WAIT can be claimed again at once.
    socket.set_reuse_address(true)?;
    if port == Port::Shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    if let Some(bytes) = options.recv_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    // The kernel caps it at net.core.somaxconn.
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}
