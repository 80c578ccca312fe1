//! One exchange on its way to the tape.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::body::{BodyFile, Kept, Store};
use super::{Error, Handover, Omitted, Recorder};
use crate::exchange::{Digest, End, Fields, RequestHead, ResponseHead, Seq};
use crate::grpc;
use crate::tape::Side;
use crate::tape::batch::Ticket;
use crate::tape::format::{Frame, Split, encode, encode_masked, split};
use crate::tape::writer::Extent;
use crate::ws::frame::Mask;

/// Bytes of frames that may wait while nobody flushes, as during a long upload: they are flushed
/// then, so that the buffer stays bounded however small the pieces are.
const WAITING_BYTES_MAX: usize = 128 << 10;

/// Bytes of a body for which the buffer gets as much room as they take, and no more.
const LARGE_BYTES_MIN: usize = 16 << 10;

/// The frame around them and the one behind the last have about 50 bytes, and trailers if there are
/// any.
const SMALL_FRAMES_BYTES: usize = 256;

/// One exchange being recorded. Its methods add frames to the lent buffer; bytes of a large body
/// go to a file of their own at once. What is dropped without `end` is on the tape as far as it
/// was flushed, and is read as an exchange whose recorder was killed.
pub struct Recording {
    recorder: Recorder,
    seq: Seq,
    /// Frames that wait for `flush` or `hand_over`.
    pub(super) waiting: Vec<u8>,
    /// For what was handed over last, while it isn't known to be on the tape.
    ticket: Option<Ticket>,
    /// Where this exchange is on the tape; only while a body may still have to be read back.
    flushed: Vec<Extent>,
    is_on_tape: bool,
    /// A gRPC call, by its request's head.
    is_call: bool,
    request: Kept,
    response: Kept,
    ended: bool,
    /// Something of it was lost, so nothing may follow that on the tape.
    broken: Option<Box<Error>>,
}

impl Recording {
    pub(super) fn begin(
        recorder: Recorder,
        seq: Seq,
        session: &str,
        endpoint: &str,
        recorded_at_ms: u64,
        head: &RequestHead,
        mut buffer: Vec<u8>,
    ) -> Recording {
        buffer.clear();
        let mut request = Kept::new();
        let is_call = grpc::is_call(&head.fields);
        if is_call {
            request.expect_messages();
        }
        let head = Cow::Borrowed(head);
        encode(&mut buffer, seq, &Frame::Opened { session, endpoint, recorded_at_ms, head });
        Recording {
            recorder,
            seq,
            waiting: buffer,
            ticket: None,
            flushed: Vec::new(),
            is_on_tape: false,
            is_call,
            request,
            response: Kept::new(),
            ended: false,
            broken: None,
        }
    }

    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Whether `end` has been called.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The request body will have this many bytes, so that a large one needn't start on the tape.
    pub fn expect_request_bytes(&mut self, len: u64) {
        self.request.expected = len;
    }

    /// The answer's body will have this many bytes. Not for answers without a body, as to HEAD.
    pub fn expect_response_bytes(&mut self, len: u64) {
        self.response.expected = len;
    }

    /// What one read from the client gave of the request's body; also after `end`, where the origin
    /// answered before it had all of it. `at` counts from the request head's arrival, here and
    /// below.
    pub fn request_data(&mut self, at: Duration, bytes: &[u8]) -> Result<(), Error> {
        self.data(Side::Request, at, bytes)
    }

    /// The request is complete; also after `end`.
    pub fn request_end(&mut self, trailers: &Fields) -> Result<(), Error> {
        self.finish(Side::Request);
        self.push(&Frame::RequestEnded { trailers: Cow::Borrowed(trailers) });
        self.bound_waiting()
    }

    /// The request's end won't come: it is kept as far as it came, and as unfinished. Does nothing
    /// where its end has come. A recording that is dropped instead keeps it as well, unless it had
    /// passed `max_kept_body`.
    pub fn request_cut(&mut self) -> Result<(), Error> {
        self.finish(Side::Request);
        self.bound_waiting()
    }

    /// An interim answer (1xx).
    pub fn interim(&mut self, at: Duration, head: &ResponseHead) {
        self.push(&Frame::Interim { at, head: Cow::Borrowed(head) });
    }

    /// The answer's head, redacted.
    pub fn response_head(&mut self, at: Duration, head: &ResponseHead) {
        if self.is_call && grpc::is_call(&head.fields) {
            self.response.expect_messages();
        }
        self.push(&Frame::Answered { at, head: Cow::Borrowed(head) });
    }

    /// What one read from the origin gave of the answer's body.
    pub fn response_data(&mut self, at: Duration, bytes: &[u8]) -> Result<(), Error> {
        self.data(Side::Response, at, bytes)
    }

    /// The answer is over. The request may go on: see `request_data`, `request_end` and
    /// `request_cut`.
    pub fn end(&mut self, end: End, trailers: &Fields) -> Result<(), Error> {
        self.finish(Side::Response);
        self.note_passed(Side::Request, self.request.len);
        self.push(&Frame::Ended { end, trailers: Cow::Borrowed(trailers) });
        self.ended = true;
        self.bound_waiting()
    }

    /// Hands every waiting frame to the kernel now, in one write. Only after that may the bytes that
    /// they hold go to the client.
    ///
    /// Errors: nothing of what waited is on the tape, and nothing more of this exchange comes there.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.check_unbroken()?;
        let behind = self.ticket.take();
        if !self.waiting.is_empty() {
            let written = self.recorder.append(&self.waiting, behind.as_ref());
            let extent = self.unless_broken(written)?;
            self.handed_over(extent);
        } else if let Some(ticket) = behind {
            let written = self.recorder.redeem(&ticket);
            self.unless_broken(written)?;
        }
        Ok(())
    }

    /// As `flush`, together with what other exchanges hand over in this turn of the event loop. What
    /// is given must be awaited before anything may go to the client; without it there is nothing
    /// to wait for.
    ///
    /// Errors: as of `flush`.
    pub fn hand_over(&mut self) -> Result<Option<Handover>, Error> {
        self.check_unbroken()?;
        if !self.waiting.is_empty() {
            let added = self.recorder.add(&self.waiting, self.ticket.as_ref());
            let (extent, ticket) = self.unless_broken(added)?;
            self.ticket = ticket;
            self.handed_over(extent);
        }
        let ticket = self.ticket.clone();
        Ok(ticket.map(|ticket| Handover::new(self.recorder.clone(), ticket)))
    }

    fn handed_over(&mut self, extent: Extent) {
        self.is_on_tape = true;
        self.waiting.clear();
        if self.request.is_on_tape() || self.response.is_on_tape() {
            Extent::append(&mut self.flushed, extent);
        } else {
            self.flushed = Vec::new();
        }
    }

    /// Bodies that were passed on and not kept, as far as they are over.
    pub fn omitted(&self) -> impl Iterator<Item = Omitted> + use<> {
        [self.request.omitted(), self.response.omitted()].into_iter().flatten()
    }

    /// The exchange came to nothing: nothing of it will be kept. Gives the lent buffer back.
    pub fn abandon(&mut self) -> Vec<u8> {
        self.waiting.clear();
        let mut is_told = true;
        if self.is_on_tape {
            self.push(&Frame::Abandoned);
            // A failure is noted on the run. Without the frame a reader drops the exchange as well,
            // unless its answer had begun; then its files must stay.
            is_told = self.flush().is_ok();
        }
        for side in [Side::Request, Side::Response] {
            if is_told {
                self.remove_file(side);
            }
        }
        self.take_buffer()
    }

    /// Gives the lent buffer back, empty: nothing more is recorded. Frames that wait are lost.
    pub fn take_buffer(&mut self) -> Vec<u8> {
        self.waiting.clear();
        std::mem::take(&mut self.waiting)
    }

    fn push(&mut self, frame: &Frame<'_>) {
        encode(&mut self.waiting, self.seq, frame);
    }

    /// Adds a frame that nothing may follow which was lost. A mask is that of its bytes.
    pub(super) fn push_unbroken(
        &mut self,
        frame: &Frame<'_>,
        mask: Option<Mask>,
    ) -> Result<(), Error> {
        self.check_unbroken()?;
        match mask {
            Some(mask) => encode_masked(&mut self.waiting, self.seq, frame, mask),
            None => self.push(frame),
        }
        let bounded = self.bound_waiting();
        self.unless_broken(bounded)
    }

    /// Nothing more of a body comes, so nothing on the tape has to be found again.
    pub(super) fn finish_bodies(&mut self) {
        for side in [Side::Request, Side::Response] {
            self.finish(side);
            self.kept(side).close();
        }
        self.flushed = Vec::new();
    }

    fn kept(&mut self, side: Side) -> &mut Kept {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    fn data(&mut self, side: Side, at: Duration, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.check_unbroken()?;
        let kept = self.keep(side, at, bytes);
        self.unless_broken(kept)
    }

    fn check_unbroken(&mut self) -> Result<(), Error> {
        // What has failed since it was handed over: nothing may stand behind it.
        match self.ticket.as_ref().and_then(Ticket::fate) {
            Some(Ok(())) => self.ticket = None,
            Some(Err(error)) => {
                self.ticket = None;
                self.broken = Some(Box::new(error.into()));
            }
            None => {}
        }
        match &self.broken {
            Some(error) => Err((**error).clone()),
            None => Ok(()),
        }
    }

    /// After an error nothing more of this exchange comes to the tape.
    fn unless_broken<T>(&mut self, kept: Result<T, Error>) -> Result<T, Error> {
        kept.inspect_err(|error| self.broken = Some(Box::new(error.clone())))
    }

    fn keep(&mut self, side: Side, at: Duration, bytes: &[u8]) -> Result<(), Error> {
        self.settle(side, bytes)?;
        match &mut self.kept(side).store {
            Store::Tape => {
                if bytes.len() > LARGE_BYTES_MIN {
                    // Not twice what there is, now or for the frames behind.
                    self.waiting.reserve_exact(bytes.len() + SMALL_FRAMES_BYTES);
                }
                match side {
                    Side::Request => self.push(&Frame::RequestData { at, bytes }),
                    Side::Response => self.push(&Frame::Data { at, bytes }),
                }
            }
            Store::File(file) => {
                file.write(bytes).map_err(|error| self.recorder.note(error))?;
                self.push_span(side, at, bytes.len());
            }
            Store::Passing(hasher) => {
                hasher.update(bytes);
                self.push_span(side, at, bytes.len());
            }
            Store::Done(_) => debug_assert!(false, "no body bytes come after a body's end"),
        }
        self.bound_waiting()
    }

    fn push_span(&mut self, side: Side, at: Duration, len: usize) {
        let len = len as u64;
        match side {
            Side::Request => self.push(&Frame::RequestSpan { at, len }),
            Side::Response => self.push(&Frame::Span { at, len }),
        }
    }

    fn bound_waiting(&mut self) -> Result<(), Error> {
        if self.waiting.len() > WAITING_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Moves the body to where it belongs now that `bytes` have come as well.
    fn settle(&mut self, side: Side, bytes: &[u8]) -> Result<(), Error> {
        let keep = self.recorder.keep();
        let kept = self.kept(side);
        let earlier = kept.len;
        let size = kept.grow(bytes);
        match kept.store {
            Store::Tape | Store::File(_) if size.largest > keep.max_kept_body => {
                self.overflow(side, earlier)
            }
            Store::Tape if size.body > keep.file_threshold => self.move_to_file(side, earlier),
            _ => Ok(()),
        }
    }

    fn move_to_file(&mut self, side: Side, earlier: u64) -> Result<(), Error> {
        let prefix = self.read_back(side, earlier)?;
        let run = self.recorder.run();
        let path = run.folder().join(run.id().body(self.seq, side));
        let file = BodyFile::create(&**run.disk(), path).and_then(|mut file| {
            file.write(&prefix)?;
            Ok(file)
        });
        let file = file.map_err(|error| self.recorder.note(error))?;
        self.kept(side).store = Store::File(Box::new(file));
        self.push(&Frame::BodyFile(side));
        Ok(())
    }

    /// From here on only length and digest are kept. `earlier` bytes came before.
    fn overflow(&mut self, side: Side, earlier: u64) -> Result<(), Error> {
        let (hasher, file) = match std::mem::replace(&mut self.kept(side).store, Store::Tape) {
            Store::File(file) => {
                let (hasher, path) = file.into_parts();
                (hasher, Some(path))
            }
            _ => (Sha256::new_with_prefix(self.read_back(side, earlier)?), None),
        };
        self.kept(side).store = Store::Passing(Box::new(hasher));
        self.push(&Frame::Overflowed(side));
        if self.ended {
            self.note_passed(side, earlier);
        }
        if let Some(path) = file {
            // The tape must say so before the bytes that it points to are gone.
            self.flush()?;
            self.remove(&path);
        }
        Ok(())
    }

    /// Says what an overflowed body has come to so far: its client has seen the answer whole, so the
    /// exchange is kept even if nothing more comes.
    fn note_passed(&mut self, side: Side, len: u64) {
        if let Store::Passing(hasher) = &self.kept(side).store {
            let digest = Digest(hasher.clone().finalize().into());
            self.push(&Frame::Omitted { side, len, digest });
        }
    }

    /// The body before what is being taken now: all of it is on the tape, or waits to be.
    fn read_back(&mut self, side: Side, earlier: u64) -> Result<Vec<u8>, Error> {
        if earlier == 0 {
            return Ok(Vec::new());
        }
        self.flush()?;
        let mut frames = Vec::new();
        self.recorder.read_back(&self.flushed, &mut frames)?;
        Ok(body_of(side, &frames))
    }

    /// Ends one side's body.
    fn finish(&mut self, side: Side) {
        let kept = self.kept(side);
        let len = kept.len;
        let (note, omitted) = match std::mem::replace(&mut kept.store, Store::Done(None)) {
            Store::Tape => return,
            Store::File(file) => {
                let digest = Digest(file.into_parts().0.finalize().into());
                (Frame::BodyDigest { side, len, digest }, None)
            }
            Store::Passing(hasher) => {
                let digest = Digest(hasher.finalize().into());
                (Frame::Omitted { side, len, digest }, Some(Omitted { side, len, digest }))
            }
            Store::Done(omitted) => {
                kept.store = Store::Done(omitted);
                return;
            }
        };
        kept.store = Store::Done(omitted);
        self.push(&note);
    }

    fn remove_file(&mut self, side: Side) {
        let store = std::mem::replace(&mut self.kept(side).store, Store::Done(None));
        if let Store::File(file) = store {
            self.remove(file.path());
        }
    }

    fn remove(&self, path: &Path) {
        // A file that stays is a leftover, which the seal removes.
        let _ = self.recorder.run().disk().remove(path);
    }
}

/// What the data frames among `frames` hold of one side's body.
fn body_of(side: Side, mut frames: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Split::Frame { raw, size } = split(frames) {
        match (raw.decode(), side) {
            (Ok(Frame::RequestData { bytes, .. }), Side::Request)
            | (Ok(Frame::Data { bytes, .. }), Side::Response) => body.extend_from_slice(bytes),
            _ => {}
        }
        frames = frames.get(size..).unwrap_or_default();
    }
    body
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("seq", &self.seq).field("ended", &self.ended).finish()
    }
}
