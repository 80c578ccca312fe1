//! One request at the origin, and full control over what it gets back.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::message::{Ending, Request};
use super::origin::Shared;
use super::reply::Reply;
use super::wire::{BodySoFar, Framing, Stop, Wire};

pub enum After {
    KeepAlive,
    Close,
    /// Closes in good order below TLS, and says nothing on it.
    Truncate,
    Reset,
}

/// What an origin's script holds: the request's head has come, all else is up to the script.
pub struct Talk<'a> {
    pub(super) wire: &'a mut Wire,
    pub(super) shared: &'a Shared,
    /// Where the request stands in the origin's list.
    pub(super) index: usize,
    pub(super) request: Request,
    pub(super) framing: Framing,
    /// How many requests this route has had, this one included.
    pub(super) nth: usize,
    pub(super) after: After,
}

impl Talk<'_> {
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// 1 for the first request of this route.
    pub fn nth(&self) -> usize {
        self.nth
    }

    /// Reads the rest of the request's body, which then is whole in `Origin::requests`.
    pub fn read_body(&mut self) -> Vec<u8> {
        if !self.request.whole {
            let mut body = BodySoFar::default();
            let read = self.wire.body(&self.framing, &mut body);
            self.request.body.extend(&body.bytes);
            self.request.trailers = body.trailers;
            self.request.whole = read.is_ok();
            if let Err(Stop::Malformed(what)) = read {
                self.shared.fault(format!("{} in {:?}", what, self.request));
            }
            self.note();
        }
        self.request.body.clone()
    }

    /// Reads this many bytes of a body with Content-Length, and leaves the rest.
    pub fn read_part(&mut self, len: usize) -> Vec<u8> {
        let Ok(part) = self.wire.exactly(len) else { return Vec::new() };
        match &mut self.framing {
            Framing::Length(left) => *left -= len as u64,
            _ => panic!("only a body with Content-Length can be read in part"),
        }
        self.request.body.extend(&part);
        self.note();
        part
    }

    fn note(&self) {
        self.shared.note(self.index, &self.request);
    }

    /// Sends bytes as they are; false when the client has gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.stream.write_all(bytes.as_ref()).is_ok()
    }

    pub fn reply(&mut self, reply: impl Into<Reply>) {
        let reply = reply.into();
        if reply.ends_with_connection() {
            self.close();
        }
        let bytes = reply.to_bytes(&self.request.method);
        self.send(bytes);
    }

    /// Whatever comes next, whatever the framing of the request says.
    pub fn read_some(&mut self) -> Result<Vec<u8>, Ending> {
        self.wire.some().map_err(|stop| match stop {
            Stop::Ended(ending) => ending,
            Stop::Malformed(what) => unreachable!("raw bytes are never malformed: {what}"),
        })
    }

    /// Ends what this side sends, in good order.
    pub fn finish_sending(&mut self) {
        self.wire.stream.finish(Shutdown::Write);
    }

    /// Waits until the client closes; false if it still hasn't after `patience`.
    pub fn client_leaves_within(&mut self, patience: Duration) -> bool {
        let begun = Instant::now();
        self.wire.stream.set_read_timeout(Some(patience));
        let gone = loop {
            match self.wire.some() {
                Ok(_) if begun.elapsed() < patience => {}
                Ok(_) | Err(Stop::Ended(Ending::Silence)) => break false,
                Err(_) => break true,
            }
        };
        self.wire.stream.set_read_timeout(None);
        gone
    }

    /// Closes in an orderly way once the script has ended.
    pub fn close(&mut self) {
        self.after = After::Close;
    }

    /// Ends the connection without TLS's own goodbye once the script has ended.
    pub fn truncate(&mut self) {
        self.after = After::Truncate;
    }

    /// Resets the connection once the script has ended.
    pub fn reset(&mut self) {
        self.after = After::Reset;
    }
}
