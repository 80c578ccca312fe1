//! What the load talks to: an address, a version of HTTP, TLS or none; and a blocking or
//! non-blocking connection to it for HTTP/1.1.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ouli_bench::args::{Args, fail};
use ouli_bench::tls::{self, Sessions, Signature};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) version: Version,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Target {
    /// `--addr`; `--http 2` for HTTP/2 with prior knowledge; `--tls FILE` for TLS with the server
    /// whose certificate that is, `--resume yes` and `--signature unchecked` for its handshakes.
    pub(crate) fn new(args: &Args) -> Self {
        let (version, protocol) = match args.get::<u8>("http") {
            None | Some(1) => (Version::Http1, "http/1.1"),
            Some(2) => (Version::Http2, "h2"),
            Some(other) => fail(format!("--http: no version {other}")),
        };
        let sessions = match args.get::<String>("resume").as_deref() {
            Some("yes") => Sessions::Resumed,
            _ => Sessions::Forgotten,
        };
        let signature = match args.get::<String>("signature").as_deref() {
            Some("unchecked") => Signature::Unchecked,
            _ => Signature::Checked,
        };
        let certificate = args.get::<PathBuf>("tls");
        let tls = certificate.map(|file| tls::client(&file, protocol, sessions, signature));
        Self { addr: args.need("addr"), version, tls }
    }

    /// The begin of a connection on a socket, which may not be connected yet.
    pub(crate) fn wire<S: Read + Write>(&self, socket: S) -> Wire<S> {
        match &self.tls {
            None => Wire::Plain(socket),
            Some(config) => {
                let session = ClientConnection::new(config.clone(), tls::server_name());
                let session = session.unwrap_or_else(|e| fail(e));
                Wire::Tls(Box::new(StreamOwned::new(session, socket)))
            }
        }
    }
}

pub(crate) enum Wire<S: Read + Write> {
    Plain(S),
    Tls(Box<StreamOwned<ClientConnection, S>>),
}

impl<S: Read + Write> Wire<S> {
    pub(crate) fn socket(&mut self) -> &mut S {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &mut tls.sock,
        }
    }

    /// Waits until the handshake is over. Blocking sockets only.
    pub(crate) fn shake_hands(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.conn.complete_io(&mut tls.sock).map(drop),
        }
    }

    /// Sends a request that is small enough for an empty socket. Under a handshake that isn't over
    /// it is kept, and leaves with the handshake's last message during a `read`.
    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => send_whole(socket, request),
            Self::Tls(tls) => {
                tls.conn.writer().write_all(request)?;
                flush(tls)
            }
        }
    }

    /// Says goodbye, where the protocol has a word for it. The socket is the caller's to close.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => {
                tls.conn.send_close_notify();
                flush(tls)
            }
        }
    }

    pub(crate) fn is_resumed(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

fn send_whole(socket: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    if socket.write(bytes)? == bytes.len() {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::WriteZero, "a request didn't fit an empty socket"))
}

fn flush<S: Read + Write>(tls: &mut StreamOwned<ClientConnection, S>) -> io::Result<()> {
    while tls.conn.wants_write() {
        tls.conn.write_tls(&mut tls.sock)?;
    }
    Ok(())
}

impl<S: Read + Write> Read for Wire<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}
