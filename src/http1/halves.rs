//! The two directions of a client's connection while one exchange is on it.
//!
//! `Rx` takes the request body off its framing, `Tx` puts the answer into its own. Both may be
//! used at the same time from one task: an origin may answer while the client still sends.

use std::fs::File;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::Refusal;
use super::framing::Framing;
use super::input::{Input, Room};
use super::receiver::{Receiver, Step};
use super::writer;
use crate::exchange::Fields;
use crate::net::deadline::within;
use crate::net::stream::{Farewell, ReadHalf, WriteHalf};

/// Why no more of a request comes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    #[error("the client went away")]
    Left,
    #[error("the client stopped sending for {0:?}")]
    Stalled(Duration),
    #[error(transparent)]
    Malformed(#[from] Refusal),
}

/// The receiving direction.
pub struct Rx<'c> {
    pub(super) receiver: Receiver<'c>,
    stall_timeout: Duration,
}

impl<'c> Rx<'c> {
    /// Begins with what `input` holds already; reads ahead at most `limit` bytes.
    pub fn new(reader: ReadHalf<'c>, input: Input, limit: usize, stall_timeout: Duration) -> Self {
        Rx { receiver: Receiver::new(reader, input, Room::ahead(limit)), stall_timeout }
    }

    /// Gives back the buffer that the input was made of.
    pub fn into_buffer(self) -> Vec<u8> {
        self.receiver.input.into_buffer()
    }

    /// Whether the whole request has been taken.
    pub fn is_ended(&self) -> bool {
        self.receiver.is_ended()
    }

    /// Whether bytes of the body have come already; a client that waits for 100 sent none.
    pub fn has_input(&self) -> bool {
        !self.receiver.input.is_empty()
    }

    pub fn trailers(&self) -> &Fields {
        self.receiver.trailers()
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// Cancel safety: no byte is lost.
    pub async fn body(&mut self) -> Result<Option<&[u8]>, Unread> {
        let range = loop {
            match self.receiver.step()? {
                Step::Data(range) => break range,
                Step::End => return Ok(None),
                Step::NeedMore => self.fill().await?,
            }
        };
        Ok(Some(self.receiver.data(range)))
    }

    async fn fill(&mut self) -> Result<(), Unread> {
        match within(self.stall_timeout, pin!(self.receiver.fill())).await {
            Err(_) => Err(Unread::Stalled(self.stall_timeout)),
            Ok(Err(_) | Ok(0)) => Err(Unread::Left),
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// Waits for the client to leave, reading ahead what it pipelines; never ends while it stays.
    pub async fn left(&mut self) {
        self.receiver.release();
        while !self.receiver.is_full() {
            match self.receiver.fill().await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        // Its next requests wait in full: nothing more can be read to see it leave.
        std::future::pending().await
    }
}

/// Why an answer can't be sent on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    #[error("the client went away")]
    Left,
    #[error("the client took nothing for {0:?}")]
    Stalled(Duration),
}

/// The sending direction. A body must be given as much as its framing says.
pub struct Tx<'c> {
    pub(super) writer: WriteHalf<'c>,
    /// Bytes of the head, and of a small body with it, that leave with the next write.
    pub out: Vec<u8>,
    framing: Framing,
    /// Whether `out` holds, or held, the final answer.
    begun: bool,
    /// Whether a byte of the final answer may have left: from here on a fault can only cut.
    committed: bool,
    stall_timeout: Duration,
    /// Bytes that the client was sent for this answer.
    pub sent: u64,
}

/// Below this a body's bytes are copied behind the head: one buffer leaves in one write.
const COPY_MAX: usize = 8 << 10;

/// What the kernel is asked to take of a file at a time: what a cold disk gives in a moment, since
/// other connections wait meanwhile.
const FILE_BYTES: usize = 256 << 10;

impl<'c> Tx<'c> {
    pub fn new(writer: WriteHalf<'c>, out: Vec<u8>, stall_timeout: Duration) -> Self {
        Tx {
            writer,
            out,
            framing: Framing::None,
            begun: false,
            committed: false,
            stall_timeout,
            sent: 0,
        }
    }

    /// Ready for the next answer.
    pub(super) fn reset(&mut self) {
        self.out.clear();
        self.framing = Framing::None;
        self.begun = false;
        self.committed = false;
        self.sent = 0;
    }

    pub fn is_committed(&self) -> bool {
        self.committed
    }

    /// From here on `out` holds the final answer's head, and bodies are framed like this. Only
    /// `finish` makes the answer whole: where the connection's end is the body's, it is a reset
    /// until then, so that an answer that is cut for whatever reason doesn't look whole.
    pub fn begin(&mut self, framing: Framing) {
        self.framing = framing;
        self.begun = true;
        if framing == Framing::Close {
            Farewell::Reset.set_on(self.writer.as_ref());
        }
    }

    /// Whether an answer was begun whose end would look like its connection's end.
    pub fn must_reset(&self) -> bool {
        self.begun && self.framing == Framing::Close
    }

    /// Sends a whole answer that was framed ahead.
    pub async fn wire(&mut self, answer: &[u8]) -> Result<(), Unsent> {
        self.begun = true;
        self.write([answer, &[]]).await
    }

    /// Sends what `out` holds, if anything.
    pub async fn flush(&mut self) -> Result<(), Unsent> {
        self.data(&[]).await
    }

    /// Sends bytes of the body, with whatever waits in `out` before them. Returns when the kernel
    /// has taken all of it.
    pub async fn data(&mut self, bytes: &[u8]) -> Result<(), Unsent> {
        let chunked = self.framing == Framing::Chunked && !bytes.is_empty();
        if chunked {
            writer::chunk_head(&mut self.out, bytes.len());
        }
        let tail: &[u8] = if chunked { b"\r\n" } else { b"" };
        let bytes = if self.framing == Framing::None { &[] } else { bytes };
        if bytes.len() <= COPY_MAX {
            self.out.extend_from_slice(bytes);
            self.out.extend_from_slice(tail);
            self.write([&[], &[]]).await
        } else {
            self.write([bytes, tail]).await
        }
    }

    /// Whether `file` can be tried.
    pub fn takes_files(&self) -> bool {
        matches!(self.framing, Framing::Length(_) | Framing::Close) && self.writer.takes_files()
    }

    /// Sends bytes of the body, at most `most`, from where the file stands, which then stands behind
    /// them; whatever waits in `out` goes before them. The kernel takes them right from its page
    /// cache. 0 where there are none, or it can't: what is the matter shows to whom reads and sends.
    pub async fn file(&mut self, file: &File, most: u64) -> Result<u64, Unsent> {
        self.flush().await?;
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(FILE_BYTES);
        let sent = {
            let send = pin!(self.writer.send_file(file, most));
            within(self.stall_timeout, send).await
        };
        let sent = sent.map_err(|_| Unsent::Stalled(self.stall_timeout))?;
        let sent = sent.unwrap_or(0) as u64;
        self.sent += sent;
        Ok(sent)
    }

    /// Sends the end of the body, with whatever waits in `out` before it: the answer is whole.
    pub async fn finish(&mut self, trailers: &Fields) -> Result<(), Unsent> {
        if self.framing == Framing::Chunked {
            writer::last_chunk(&mut self.out, trailers);
        }
        self.flush().await?;
        if self.framing == Framing::Close {
            Farewell::End.set_on(self.writer.as_ref());
            self.framing = Framing::None;
        }
        Ok(())
    }

    /// Appends bytes of the body to `out` if they are few; the next `flush` sends them.
    pub fn stage(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > COPY_MAX || self.out.len() > 2 * COPY_MAX {
            return false;
        }
        match self.framing {
            Framing::None => {}
            Framing::Chunked if !bytes.is_empty() => {
                writer::chunk_head(&mut self.out, bytes.len());
                self.out.extend_from_slice(bytes);
                writer::chunk_end(&mut self.out);
            }
            _ => self.out.extend_from_slice(bytes),
        }
        true
    }

    async fn write(&mut self, behind: [&[u8]; 2]) -> Result<(), Unsent> {
        // Also for as long as only some of it, if an interim answer, may be out: nothing else can
        // follow that.
        self.committed = true;
        let total = self.out.len() + behind[0].len() + behind[1].len();
        let mut slices = [&self.out[..], behind[0], behind[1]].map(IoSlice::new);
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0); // drops empty slices from the front
        let mut written = 0;
        while written < total {
            let written_now = {
                let write = pin!(write_some(&mut self.writer, rest));
                within(self.stall_timeout, write).await
            };
            match written_now {
                Err(_) => return Err(Unsent::Stalled(self.stall_timeout)),
                Ok(Err(_) | Ok(0)) => return Err(Unsent::Left),
                Ok(Ok(count)) => {
                    written += count;
                    IoSlice::advance_slices(&mut rest, count);
                }
            }
        }
        self.push_unsent().await?;
        self.committed = self.begun;
        self.sent += total as u64;
        self.out.clear();
        Ok(())
    }

    /// Waits until the kernel has taken what TLS made of the written bytes.
    async fn push_unsent(&mut self) -> Result<(), Unsent> {
        while self.writer.has_unsent() {
            match within(self.stall_timeout, pin!(self.writer.push())).await {
                Err(_) => return Err(Unsent::Stalled(self.stall_timeout)),
                Ok(Err(_)) => return Err(Unsent::Left),
                Ok(Ok(_)) => {}
            }
        }
        Ok(())
    }
}

async fn write_some(
    writer: &mut (impl AsyncWrite + Unpin),
    slices: &[IoSlice<'_>],
) -> io::Result<usize> {
    match slices {
        [first, rest @ ..] if rest.iter().all(|slice| slice.is_empty()) => {
            writer.write(first).await
        }
        _ => writer.write_vectored(slices).await,
    }
}
