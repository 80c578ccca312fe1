//! The client as the road meets it, whatever version of HTTP it speaks.
//!
//! One `match` per step and nothing else: what a step means is decided by `http1::halves` and
//! `http2::halves`.

use std::fs::File;

use bytes::Bytes;

use super::answer::{self, Asked};
use super::context::Here;
use crate::config::Endpoint;
use crate::exchange::{Fields, RequestHead, ResponseHead, Version};
use crate::grpc;
use crate::http1::framing::{self, Framing};
use crate::http1::halves::{Unread, Unsent};
use crate::http1::writer;
use crate::net::deadline::Deadline;
use crate::{http1, http2};

/// A client while a request of it is on the road.
pub struct Client<'a, 'c> {
    pub rx: Rx<'a, 'c>,
    pub tx: Tx<'a, 'c>,
    pub deadline: &'a mut Deadline,
}

impl Client<'_, '_> {
    /// Whether the client holds its body back until it gets 100 (RFC 9110 section 10.1.1).
    pub fn waits_for_continue(&mut self, head: &RequestHead) -> bool {
        !self.rx.is_ended() && framing::expects_continue(head) && !self.rx.has_input()
    }

    /// Tells a client that waits for 100 to go on.
    pub async fn invite(&mut self, head: &RequestHead) -> Result<(), Unsent> {
        if self.waits_for_continue(head) {
            self.tx.invite().await?;
        }
        Ok(())
    }
}

/// How a request with this head is asked, as long as its client wants its connection kept.
pub fn asked_of<'a>(here: &'a Here, head: &'a RequestHead) -> Asked<'a> {
    let host = head.fields.get("host").and_then(|host| std::str::from_utf8(host).ok());
    Asked {
        version: head.version,
        is_head: head.method == "HEAD",
        is_grpc: grpc::is_call(&head.fields),
        keep_alive: true,
        host: host.filter(|host| !host.is_empty()).unwrap_or(&here.authority),
    }
}

/// How a request was asked whose head is of no more use.
pub fn asked_by_nobody(version: Version, is_head: bool, is_grpc: bool) -> Asked<'static> {
    Asked { version, is_head, is_grpc, keep_alive: false, host: "" }
}

/// The receiving direction.
pub enum Rx<'a, 'c> {
    H1(&'a mut http1::halves::Rx<'c>),
    H2(&'a mut http2::halves::Rx<'c>),
}

impl Rx<'_, '_> {
    /// Whether the whole request has been taken.
    pub fn is_ended(&self) -> bool {
        match self {
            Rx::H1(rx) => rx.is_ended(),
            Rx::H2(rx) => rx.is_ended(),
        }
    }

    /// Whether bytes of the body have come already.
    pub fn has_input(&mut self) -> bool {
        match self {
            Rx::H1(rx) => rx.has_input(),
            Rx::H2(rx) => rx.has_input(),
        }
    }

    pub fn trailers(&self) -> &Fields {
        match self {
            Rx::H1(rx) => rx.trailers(),
            Rx::H2(rx) => rx.trailers(),
        }
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn body(&mut self) -> Result<Option<&[u8]>, Unread> {
        match self {
            Rx::H1(rx) => rx.body().await,
            Rx::H2(rx) => rx.body().await,
        }
    }

    /// As `body`, to be kept.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn shared(&mut self) -> Result<Option<Bytes>, Unread> {
        match self {
            Rx::H1(rx) => Ok(rx.body().await?.map(Bytes::copy_from_slice)),
            Rx::H2(rx) => rx.shared().await,
        }
    }

    /// Waits for the client to leave; never ends while it stays.
    pub async fn left(&mut self) {
        match self {
            Rx::H1(rx) => rx.left().await,
            Rx::H2(rx) => rx.left().await,
        }
    }
}

/// The sending direction. A body must be given as much as its framing says.
pub enum Tx<'a, 'c> {
    H1(&'a mut http1::halves::Tx<'c>),
    H2(&'a mut http2::halves::Tx<'c>),
}

impl Tx<'_, '_> {
    /// Whether a byte of the final answer may have left: from here on a fault can only cut.
    pub fn is_committed(&self) -> bool {
        match self {
            Tx::H1(tx) => tx.is_committed(),
            Tx::H2(tx) => tx.is_committed(),
        }
    }

    /// Bytes that the client was sent for this answer.
    pub fn sent(&self) -> u64 {
        match self {
            Tx::H1(tx) => tx.sent,
            Tx::H2(tx) => tx.sent,
        }
    }

    /// Forgets what was begun of an answer and has not left.
    pub fn discard(&mut self) {
        match self {
            Tx::H1(tx) => tx.out.clear(),
            Tx::H2(tx) => tx.discard(),
        }
    }

    /// Sends 100: the client may send its body.
    pub async fn invite(&mut self) -> Result<(), Unsent> {
        match self {
            Tx::H1(tx) => {
                tx.out.extend_from_slice(writer::CONTINUE);
                tx.flush().await
            }
            Tx::H2(tx) => tx.interim(http2::heads::response(100)),
        }
    }

    /// An interim answer, which leaves with the next flush. Old clients know none.
    pub fn interim(
        &mut self,
        head: &ResponseHead,
        endpoint: &Endpoint,
        asked: &Asked<'_>,
    ) -> Result<(), Unsent> {
        match self {
            Tx::H1(_) if asked.version == Version::Http10 => Ok(()),
            Tx::H1(tx) => {
                answer::write_interim(&mut tx.out, head, endpoint, asked);
                Ok(())
            }
            Tx::H2(tx) => tx.interim(answer::h2_interim(head, endpoint, asked)),
        }
    }

    /// Grants a WebSocket conversation: the last that this half sends. `accept` is the answer to
    /// the client's key where the origin's is none.
    pub async fn switch(
        &mut self,
        head: &ResponseHead,
        endpoint: &Endpoint,
        asked: &Asked<'_>,
        accept: Option<&str>,
    ) -> Result<(), Unsent> {
        match self {
            Tx::H1(tx) => {
                answer::write_switch(&mut tx.out, head, endpoint, asked, accept);
                tx.begin(Framing::None);
                tx.flush().await
            }
            Tx::H2(tx) => {
                tx.begin(answer::h2_switch(head, endpoint, asked), true);
                tx.flush().await
            }
        }
    }

    /// The final answer's head, which leaves with what is sent next. `framing` comes from
    /// `answer::framing`.
    pub fn begin(
        &mut self,
        head: &ResponseHead,
        endpoint: &Endpoint,
        asked: &Asked<'_>,
        framing: Framing,
    ) {
        match self {
            Tx::H1(tx) => {
                answer::write_head(&mut tx.out, head, endpoint, asked, framing);
                tx.begin(framing);
            }
            Tx::H2(tx) => {
                let head = answer::h2_head(head, endpoint, asked, framing);
                tx.begin(head, framing != Framing::None);
            }
        }
    }

    /// Appends bytes of the body to what leaves next if they are few; false where they are not.
    pub fn stage(&mut self, bytes: &[u8]) -> bool {
        match self {
            Tx::H1(tx) => tx.stage(bytes),
            Tx::H2(tx) => tx.stage(bytes),
        }
    }

    /// Sends bytes of the body, behind what waits.
    pub async fn data(&mut self, bytes: &[u8]) -> Result<(), Unsent> {
        match self {
            Tx::H1(tx) => tx.data(bytes).await,
            Tx::H2(tx) => tx.data(bytes).await,
        }
    }

    /// As `data`, for bytes that are shared anyway.
    pub async fn shared(&mut self, bytes: &Bytes) -> Result<(), Unsent> {
        match self {
            Tx::H1(tx) => tx.data(bytes).await,
            Tx::H2(tx) => tx.shared(bytes).await,
        }
    }

    /// Whether `file` can be tried.
    pub fn takes_files(&self) -> bool {
        match self {
            Tx::H1(tx) => tx.takes_files(),
            // Its bytes go into frames, and those through h2.
            Tx::H2(_) => false,
        }
    }

    /// As `data`, for at most `most` bytes right from where the file stands. 0 where there are none
    /// or it can't be done.
    pub async fn file(&mut self, file: &File, most: u64) -> Result<u64, Unsent> {
        match self {
            Tx::H1(tx) => tx.file(file, most).await,
            Tx::H2(_) => Ok(0),
        }
    }

    /// Sends what waits, if anything.
    pub async fn flush(&mut self) -> Result<(), Unsent> {
        match self {
            Tx::H1(tx) => tx.flush().await,
            Tx::H2(tx) => tx.flush().await,
        }
    }

    /// Sends the end of the answer, with whatever waits before it: it is whole.
    pub async fn finish(&mut self, trailers: &Fields) -> Result<(), Unsent> {
        match self {
            Tx::H1(tx) => tx.finish(trailers).await,
            Tx::H2(tx) => tx.finish(trailers).await,
        }
    }
}
