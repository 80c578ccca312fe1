//! What carries a conversation's bytes: a connection of HTTP/1.1, or a stream of HTTP/2; the
//! client's end of it, or the origin's.

use super::super::connection::Connection;
use super::super::h2_client::{H2Connection, H2Stream};
use super::super::h2_talk::H2Talk;
use super::super::message::Ending;
use super::super::talk::Talk;

pub trait Duct {
    /// False when the peer has gone.
    fn send(&mut self, bytes: &[u8]) -> bool;

    /// Waits for at least one byte; how it ended if none comes.
    fn receive(&mut self) -> Result<Vec<u8>, Ending>;

    /// Ends this direction in good order.
    fn finish(&mut self);

    /// Ends both with a reset, at the latest when the duct is dropped.
    fn reset(&mut self);
}

impl<D: Duct + ?Sized> Duct for &mut D {
    fn send(&mut self, bytes: &[u8]) -> bool {
        (**self).send(bytes)
    }

    fn receive(&mut self) -> Result<Vec<u8>, Ending> {
        (**self).receive()
    }

    fn finish(&mut self) {
        (**self).finish();
    }

    fn reset(&mut self) {
        (**self).reset();
    }
}

impl Duct for Connection {
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.try_send(bytes)
    }

    fn receive(&mut self) -> Result<Vec<u8>, Ending> {
        self.read_some()
    }

    fn finish(&mut self) {
        self.finish_sending();
    }

    fn reset(&mut self) {
        self.reset_when_dropped();
    }
}

/// A client's stream, alone on its connection.
pub struct LoneStream {
    pub stream: H2Stream,
    pub _connection: H2Connection,
}

impl Duct for H2Stream {
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.try_send(bytes)
    }

    fn receive(&mut self) -> Result<Vec<u8>, Ending> {
        self.next()?.ok_or(Ending::Cut)
    }

    fn finish(&mut self) {
        self.try_finish();
    }

    fn reset(&mut self) {
        H2Stream::reset(self, 8);
    }
}

impl Duct for LoneStream {
    fn send(&mut self, bytes: &[u8]) -> bool {
        Duct::send(&mut self.stream, bytes)
    }

    fn receive(&mut self) -> Result<Vec<u8>, Ending> {
        Duct::receive(&mut self.stream)
    }

    fn finish(&mut self) {
        Duct::finish(&mut self.stream);
    }

    fn reset(&mut self) {
        Duct::reset(&mut self.stream);
    }
}

impl Duct for Talk<'_> {
    fn send(&mut self, bytes: &[u8]) -> bool {
        Talk::send(self, bytes)
    }

    fn receive(&mut self) -> Result<Vec<u8>, Ending> {
        self.read_some()
    }

    fn finish(&mut self) {
        self.finish_sending();
    }

    fn reset(&mut self) {
        Talk::reset(self);
    }
}

impl Duct for H2Talk {
    fn send(&mut self, bytes: &[u8]) -> bool {
        H2Talk::send(self, bytes)
    }

    fn receive(&mut self) -> Result<Vec<u8>, Ending> {
        self.read_raw()
    }

    fn finish(&mut self) {
        H2Talk::finish(self);
    }

    fn reset(&mut self) {
        H2Talk::reset(self, 8);
    }
}
