//! A blocking socket, with TLS on it or not.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection, StreamOwned,
};

pub enum Socket {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Socket {
    /// Shakes hands at once, so that what is wrong shows here.
    pub fn client(stream: TcpStream, config: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(connection, stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(Socket::Client(Box::new(tls)))
    }

    pub fn server(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(connection, stream);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        Ok(Socket::Server(Box::new(tls)))
    }

    pub fn tcp(&self) -> &TcpStream {
        match self {
            Socket::Plain(stream) => stream,
            Socket::Client(tls) => &tls.sock,
            Socket::Server(tls) => &tls.sock,
        }
    }

    /// Whether the handshake took up an earlier session.
    pub fn was_resumed(&self) -> bool {
        let kind = match self {
            Socket::Plain(_) => None,
            Socket::Client(tls) => tls.conn.handshake_kind(),
            Socket::Server(tls) => tls.conn.handshake_kind(),
        };
        kind == Some(HandshakeKind::Resumed)
    }

    /// The end of what this side sends, in good order: over TLS with a close_notify before it.
    pub fn finish(&mut self, how: Shutdown) {
        match self {
            Socket::Plain(_) => {}
            Socket::Client(tls) => tls.conn.send_close_notify(),
            Socket::Server(tls) => tls.conn.send_close_notify(),
        }
        let _ = self.flush();
        let _ = self.tcp().shutdown(how);
    }

    pub fn set_read_timeout(&self, patience: Option<Duration>) {
        self.tcp().set_read_timeout(patience).unwrap();
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Socket::Plain(stream)
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(stream) => stream.read(into),
            Socket::Client(tls) => tls.read(into),
            Socket::Server(tls) => tls.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(stream) => stream.write(bytes),
            Socket::Client(tls) => tls.write(bytes),
            Socket::Server(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Plain(stream) => stream.flush(),
            Socket::Client(tls) => tls.flush(),
            Socket::Server(tls) => tls.flush(),
        }
    }
}
