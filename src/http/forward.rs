//! To the origin and back, keeping every byte on the way.
//!
//! Two halves run at once in the request's own task: `upload` (client to origin, then a watch for
//! the client's leaving) and `download` (origin to tape to client). The tape has the bytes of a
//! piece, and the end of an answer, before the client gets them. A slow reader slows its writer:
//! each half reads again only when its last bytes are taken.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read, Seek, Write};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::WriteHalf;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::answer::{self, Asked};
use super::fault::{Fault, Problem};
use super::hop;
use super::road::{Outcome, Request, Stop, wall_clock_ms};
use super::serve::CONTINUE;
use crate::exchange::{End, Field, Fields, RequestHead, ResponseHead, Version};
use crate::http1::client::{Answering, Broken};
use crate::http1::framing::{self, Framing};
use crate::http1::halves::{Rx, Tx};
use crate::http1::head::HeadLimits;
use crate::http1::receiver::Step;
use crate::http1::writer;
use crate::net::arena::Arena;
use crate::net::deadline::Deadline;
use crate::net::origin::{Connection, DialError};
use crate::net::stream::Stream;
use crate::record::Recording;
use crate::session;
use crate::telemetry::Source;

/// After this long without the origin's 100 the client is told to go on all the same: RFC 9110
/// section 10.1.1 lets an origin stay silent.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// Interim answers before a final one; an origin that sends more sends nothing else.
const INTERIM_MAX: usize = 64;

/// Where the request body comes from.
pub enum Upload {
    /// From the client, as it sends.
    Flowing,
    /// It has been read whole, to look for a recording.
    Spooled(Spool),
}

/// A request body set aside: in memory while small, else in a file without a name.
#[derive(Default)]
pub struct Spool {
    memory: Vec<u8>,
    file: Option<std::fs::File>,
    len: u64,
}

/// A spooled body over this size goes to a file.
const SPOOL_MEMORY: usize = 64 << 10;

impl Spool {
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len() as u64;
        if self.file.is_none() && self.memory.len() + bytes.len() <= SPOOL_MEMORY {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        if self.file.is_none() {
            let mut file = tempfile::tempfile()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        }
    }

    /// The next bytes after `offset`, at most `buffer.len()` of them.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => {
                file.seek(io::SeekFrom::Start(offset))?;
                file.read(buffer)
            }
            None => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.memory.len());
                (&self.memory[start..]).read(buffer)
            }
        }
    }
}

/// Forwards the request and keeps the exchange.
pub async fn forward(
    request: &Request<'_>,
    path: &str,
    arena: &mut Arena,
    rx: &mut Rx<'_>,
    tx: &mut Tx<'_>,
    deadline: &mut Deadline,
    mut upload: Upload,
) -> Result<Outcome, Stop> {
    let here = request.here;
    let worker = &here.worker;
    let recorder = worker.recorder.as_ref().ok_or_else(|| tape_gone("nothing records"))?;
    if let Some(error) = here.shared().disk_fault() {
        return Err(tape_gone(error).into());
    }
    recorder.claim(request.session).map_err(tape_gone)?;
    let seq = recorder.run().next_seq();
    let body_framing = match &upload {
        Upload::Flowing => request.framing,
        Upload::Spooled(_) if request.framing == Framing::None => Framing::None,
        Upload::Spooled(spool) => Framing::Length(spool.len),
    };
    outgoing_head(&mut arena.sent, request, path, body_framing, matches!(upload, Upload::Flowing));
    let recording = recorder.begin(
        seq,
        request.session,
        &here.endpoint.name,
        wall_clock_ms(),
        here.redactor.request_head(&arena.sent, &mut worker.scratch.borrow_mut()),
        std::mem::take(&mut arena.tape),
    );
    let expects = framing::expects_continue(&arena.sent) && !rx.has_input();
    let flow = Flow {
        request,
        method: &request.head.method,
        body_framing,
        recording: RefCell::new(recording),
        body_begun: Cell::new(false),
        request_done: Cell::new(false),
        origin_due: Cell::new(None),
        gate: Gate { open: Cell::new(!expects), opened: Notify::new() },
        answered: Cell::new(false),
    };
    let mut buffers = Buffers {
        read: std::mem::take(&mut arena.origin_read),
        write: std::mem::take(&mut arena.origin_write),
        response: std::mem::take(&mut arena.response),
    };
    let ended = flow.run(&arena.sent, &mut buffers, rx, tx, deadline, &mut upload).await;
    deadline.clear();
    arena.origin_read = buffers.read;
    arena.origin_write = buffers.write;
    arena.response = buffers.response;
    arena.tape = flow.close(&ended);
    ended
}

fn tape_gone(error: impl std::fmt::Display) -> Problem {
    Problem::new(Fault::TapeUnavailable, error.to_string())
}

/// What the arena lends for the origin's side.
struct Buffers {
    read: Vec<u8>,
    write: Vec<u8>,
    response: ResponseHead,
}

/// What both halves of one forwarded exchange share.
struct Flow<'a> {
    request: &'a Request<'a>,
    method: &'a str,
    body_framing: Framing,
    recording: RefCell<Recording>,
    /// Whether a byte of the request body has been taken from where it came: it can't be had
    /// again.
    body_begun: Cell<bool>,
    request_done: Cell<bool>,
    /// When the origin must have answered, while it owes a head.
    origin_due: Cell<Option<Instant>>,
    gate: Gate,
    /// Whether the final head has come.
    answered: Cell<bool>,
}

/// Holds an upload back until the client was told to go on.
struct Gate {
    open: Cell<bool>,
    opened: Notify,
}

impl Gate {
    fn open(&self) {
        self.open.set(true);
        self.opened.notify_one();
    }

    async fn passed(&self) {
        while !self.open.get() {
            self.opened.notified().await;
        }
    }
}

/// How one try at one origin connection ended.
enum Tried {
    Answered {
        status: u16,
        reusable: bool,
    },
    /// A kept connection turned out dead, and nothing of the answer came.
    Dead(Broken),
}

impl Flow<'_> {
    async fn run(
        &self,
        head: &RequestHead,
        buffers: &mut Buffers,
        rx: &mut Rx<'_>,
        tx: &mut Tx<'_>,
        deadline: &mut Deadline,
        upload: &mut Upload,
    ) -> Result<Outcome, Stop> {
        let here = self.request.here;
        let origins = &here.worker.origins;
        let target = &here.endpoint.target;
        let mut kept = origins.take(target);
        loop {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.dial(rx).await?,
            };
            let tried = self
                .exchange(&mut connection.stream, head, buffers, rx, tx, deadline, upload)
                .await?;
            match tried {
                Tried::Answered { status, reusable } => {
                    if reusable {
                        origins.put(target, connection);
                    }
                    return Ok(Outcome { source: Source::Recorded, status, reusable: true });
                }
                // Once: the second try is on a fresh connection.
                Tried::Dead(_) if !connection.is_fresh() && self.may_go_again() => {
                    here.worker.counters.retries.add(1);
                }
                Tried::Dead(broken) => {
                    return Err(self.broke_off(&broken));
                }
            }
        }
    }

    /// RFC 9110 section 9.2.2: an idempotent request may be sent again; one whose body has begun
    /// may not, since the body can't be had a second time.
    fn may_go_again(&self) -> bool {
        let idempotent =
            matches!(self.method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE");
        idempotent && !self.body_begun.get()
    }

    async fn dial(&self, rx: &mut Rx<'_>) -> Result<Connection, Stop> {
        let here = self.request.here;
        let target = &here.endpoint.target;
        let dialling = here.worker.dialer.dial(&target.host, target.port);
        tokio::select! {
            biased;
            dialled = dialling => dialled.map_err(|error| {
                let fault = match error {
                    DialError::TimedOut { .. } => Fault::OriginTimeout,
                    _ => Fault::OriginUnreachable,
                };
                Problem::new(fault, error.to_string()).into()
            }),
            () = rx.left() => Err(Stop::Left),
        }
    }

    fn broke_off(&self, broken: &Broken) -> Stop {
        let target = &self.request.here.endpoint.target;
        Problem::new(Fault::OriginBrokeOff, format!("{target}: {broken}")).into()
    }

    #[allow(clippy::too_many_arguments)] // one exchange, all of whose parts are borrowed apart
    async fn exchange(
        &self,
        stream: &mut Stream,
        head: &RequestHead,
        buffers: &mut Buffers,
        rx: &mut Rx<'_>,
        tx: &mut Tx<'_>,
        deadline: &mut Deadline,
        upload: &mut Upload,
    ) -> Result<Tried, Stop> {
        let limits = self.request.here.limits();
        let (reader, mut writer) = stream.split();
        let mut answering = Answering::new(
            reader,
            std::mem::take(&mut buffers.read),
            limits.buffer_size,
            HeadLimits::from(limits),
        );
        self.origin_due.set(Some(Instant::now() + limits.origin_header_timeout));
        buffers.write.clear();
        writer::request_head(&mut buffers.write, &head.method, &head.target, &head.fields);
        let ended = {
            let up = self.upload(&mut writer, &mut buffers.write, rx, upload);
            let down = self.download(&mut answering, &mut buffers.response, tx);
            tokio::pin!(up, down);
            tokio::select! {
                biased;
                // Polled first, so that the request is on its way before its answer is waited for.
                stop = &mut up => Err(stop),
                done = &mut down => done,
                () = self.origin_overdue(deadline) => Err(self.overdue()),
            }
        };
        let clean = answering.is_clean();
        buffers.read = answering.into_buffer();
        match ended? {
            Tried::Answered { status, reusable } => {
                let reusable = reusable && clean && self.request_done.get();
                Ok(Tried::Answered { status, reusable })
            }
            dead => Ok(dead),
        }
    }

    async fn origin_overdue(&self, deadline: &mut Deadline) {
        std::future::poll_fn(|cx| match self.origin_due.get() {
            None => std::task::Poll::Pending,
            Some(due) => {
                deadline.set(due);
                deadline.poll_expired(cx)
            }
        })
        .await;
    }

    fn overdue(&self) -> Stop {
        let limit = self.request.here.limits().origin_header_timeout;
        Problem::new(
            Fault::OriginTimeout,
            format!("{} sent no answer within {limit:?}", self.request.here.endpoint.target),
        )
        .into()
    }

    /// Sends the request, then watches for the client's leaving. Ends only when the client fails.
    async fn upload(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        rx: &mut Rx<'_>,
        upload: &mut Upload,
    ) -> Stop {
        let sent = match upload {
            Upload::Flowing => self.upload_flowing(writer, out, rx).await,
            Upload::Spooled(spool) => self.upload_spooled(writer, out, rx, spool).await,
        };
        match sent {
            // An origin that takes no more may have answered already: its answer decides.
            Ok(()) | Err(UploadEnd::OriginGone) => {
                rx.left().await;
                Stop::Left
            }
            Err(UploadEnd::Client(stop)) => stop,
        }
    }

    async fn upload_flowing(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        rx: &mut Rx<'_>,
    ) -> Result<(), UploadEnd> {
        if !self.gate.open.get() {
            self.send(writer, out, &[]).await?;
            self.gate.passed().await;
        } else if self.body_framing != Framing::None && !rx.has_input() {
            self.send(writer, out, &[]).await?;
        }
        while let Some(bytes) =
            rx.body().await.map_err(|unread| UploadEnd::Client(unread.into()))?
        {
            self.send_body(writer, out, bytes).await?;
        }
        self.end_request(writer, out, rx.trailers()).await
    }

    async fn upload_spooled(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        rx: &mut Rx<'_>,
        spool: &mut Spool,
    ) -> Result<(), UploadEnd> {
        let mut offset = 0;
        let mut buffer = vec![0; SPOOL_MEMORY.min(spool.len as usize)];
        while offset < spool.len {
            let count = spool
                .read_at(offset, &mut buffer)
                .map_err(|error| UploadEnd::Client(tape_gone(error).into()))?;
            if count == 0 {
                break;
            }
            self.send_body(writer, out, &buffer[..count]).await?;
            offset += count as u64;
        }
        self.end_request(writer, out, rx.trailers()).await
    }

    async fn send_body(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        bytes: &[u8],
    ) -> Result<(), UploadEnd> {
        self.body_begun.set(true);
        let kept = self.recording.borrow_mut().request_data(bytes);
        kept.map_err(|error| UploadEnd::Client(self.disk_failed(error)))?;
        if self.body_framing == Framing::Chunked {
            writer::chunk_head(out, bytes.len());
            self.send(writer, out, bytes).await?;
            writer::chunk_end(out);
        } else {
            self.send(writer, out, bytes).await?;
        }
        let limit = self.request.here.limits().origin_header_timeout;
        if !self.answered.get() {
            self.origin_due.set(Some(Instant::now() + limit));
        }
        Ok(())
    }

    async fn end_request(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        trailers: &Fields,
    ) -> Result<(), UploadEnd> {
        if !self.request_done.get() {
            let mut scratch = self.request.here.worker.scratch.borrow_mut();
            let kept = self.request.here.redactor.trailers(trailers, &mut scratch);
            let kept = self.recording.borrow_mut().request_end(kept);
            kept.map_err(|error| UploadEnd::Client(self.disk_failed(error)))?;
        }
        if self.body_framing == Framing::Chunked {
            writer::last_chunk(out, &hop::passing(trailers));
        }
        self.send(writer, out, &[]).await?;
        self.request_done.set(true);
        Ok(())
    }

    /// Writes `out` and `bytes` to the origin, and empties `out`.
    async fn send(
        &self,
        writer: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        bytes: &[u8],
    ) -> Result<(), UploadEnd> {
        let written = write_both(writer, out, bytes).await;
        out.clear();
        written.map_err(|_| UploadEnd::OriginGone)
    }

    /// Receives the answer, keeps it, and passes it on.
    async fn download(
        &self,
        answering: &mut Answering<'_>,
        head: &mut ResponseHead,
        tx: &mut Tx<'_>,
    ) -> Result<Tried, Stop> {
        match self.final_head(answering, head, tx).await? {
            Ok(()) => {}
            Err(broken @ Broken::BeforeAnswer) => return Ok(Tried::Dead(broken)),
            Err(broken) => return Err(self.broke_off(&broken)),
        }
        self.answered.set(true);
        self.origin_due.set(None);
        let request = self.request;
        let framing =
            answering.begin_body(head, self.method).map_err(|broken| self.broke_off(&broken))?;
        let length = match framing {
            Framing::Length(length) => Some(length),
            Framing::None => Some(0),
            Framing::Chunked | Framing::Close => None,
        };
        let asked = request.asked();
        let framing_out = answer::framing(&asked, head.status, length);
        let asked =
            Asked { keep_alive: asked.keep_alive && framing_out != Framing::Close, ..asked };
        let here = request.here;
        {
            let mut recording = self.recording.borrow_mut();
            if let Framing::Length(length) = framing {
                recording.expect_response_bytes(length);
            }
            let mut scratch = here.worker.scratch.borrow_mut();
            let kept = here.redactor.response_head(head, &mut scratch);
            recording.response_head(request.elapsed(), kept);
        }
        answer::warn_of_lost_cookies(head, &here.endpoint, &here.warned_of_cookies);
        answer::write_head(&mut tx.out, head, &here.endpoint, &asked, framing_out);
        tx.begin(framing_out);
        self.body(answering, tx).await?;
        if framing_out == Framing::Close {
            return Err(Stop::Cut);
        }
        let reusable = framing != Framing::Close && framing::response_keeps_alive(head);
        Ok(Tried::Answered { status: head.status, reusable })
    }

    /// Reads heads until the final one; interim ones pass to the client (RFC 9110 section 15.2).
    async fn final_head(
        &self,
        answering: &mut Answering<'_>,
        head: &mut ResponseHead,
        tx: &mut Tx<'_>,
    ) -> Result<Result<(), Broken>, Stop> {
        let mut interim_count = 0;
        loop {
            let received = if self.gate.open.get() {
                answering.head(head).await
            } else {
                tokio::select! {
                    biased;
                    received = answering.head(head) => received,
                    () = tokio::time::sleep(CONTINUE_WAIT) => {
                        self.invite(tx).await?;
                        continue;
                    }
                }
            };
            match received {
                Err(broken) => return Ok(Err(broken)),
                Ok(()) if head.status >= 200 => return Ok(Ok(())),
                // Nobody asked for another protocol: the fields that would were not passed on.
                Ok(()) if head.status == 101 => return Ok(Err(Broken::Unasked)),
                Ok(()) if interim_count == INTERIM_MAX => return Ok(Err(Broken::Endless)),
                Ok(()) if head.status == 100 => self.invite(tx).await?,
                Ok(()) => self.pass_interim(head, tx).await?,
            }
            interim_count += 1;
        }
    }

    /// Tells the client to send its body, if it still waits for that.
    async fn invite(&self, tx: &mut Tx<'_>) -> Result<(), Stop> {
        if self.gate.open.get() {
            return Ok(());
        }
        self.gate.open();
        tx.out.extend_from_slice(CONTINUE);
        Ok(tx.flush().await?)
    }

    async fn pass_interim(&self, head: &ResponseHead, tx: &mut Tx<'_>) -> Result<(), Stop> {
        let here = self.request.here;
        {
            let mut scratch = here.worker.scratch.borrow_mut();
            let kept = here.redactor.response_head(head, &mut scratch);
            self.recording.borrow_mut().interim(self.request.elapsed(), kept);
        }
        self.flush_tape()?;
        if self.request.head.version != Version::Http10 {
            write_interim(&mut tx.out, head);
            tx.flush().await?;
        }
        Ok(())
    }

    async fn body(&self, answering: &mut Answering<'_>, tx: &mut Tx<'_>) -> Result<(), Stop> {
        let mut ended = false;
        loop {
            let step = match answering.step() {
                Ok(step) => step,
                Err(broken) => return self.cut(&broken, tx).await,
            };
            match step {
                Step::Data(range) => {
                    let complete = answering.is_complete();
                    let bytes = answering.data(range);
                    self.keep(bytes)?;
                    if complete && !ended {
                        // The last bytes of a known length end the answer for the client.
                        self.keep_end(End::Whole, &Fields::new())?;
                        ended = true;
                    }
                    if !tx.stage(bytes) {
                        self.flush_tape()?;
                        tx.data(bytes).await?;
                    }
                }
                Step::End => {
                    if !ended {
                        self.keep_end(End::Whole, answering.trailers())?;
                    }
                    self.flush_tape()?;
                    tx.end(&hop::passing(answering.trailers()));
                    return Ok(tx.flush().await?);
                }
                Step::NeedMore => {
                    self.flush_tape()?;
                    tx.flush().await?;
                    if let Err(broken) = answering.more().await {
                        return self.cut(&broken, tx).await;
                    }
                }
            }
        }
    }

    /// The origin broke off: the client gets what came, then the same end.
    async fn cut(&self, broken: &Broken, tx: &mut Tx<'_>) -> Result<(), Stop> {
        let here = self.request.here;
        self.keep_end(End::CutByOrigin, &Fields::new())?;
        self.flush_tape()?;
        tx.flush().await?;
        here.shared().faults.count(Fault::OriginBrokeOff);
        tracing::warn!(
            "{} {}: {broken}; the answer is cut there, and kept as cut",
            self.method,
            here.redactor.target(&self.request.head.target)
        );
        Err(Stop::Cut)
    }

    fn keep(&self, bytes: &[u8]) -> Result<(), Stop> {
        let at = self.request.elapsed();
        let kept = self.recording.borrow_mut().response_data(at, bytes);
        kept.map_err(|error| self.disk_failed(error))
    }

    fn keep_end(&self, end: End, trailers: &Fields) -> Result<(), Stop> {
        let mut scratch = self.request.here.worker.scratch.borrow_mut();
        let trailers = self.request.here.redactor.trailers(trailers, &mut scratch);
        let kept = self.recording.borrow_mut().end(end, trailers);
        kept.map_err(|error| self.disk_failed(error))
    }

    fn flush_tape(&self) -> Result<(), Stop> {
        let kept = self.recording.borrow_mut().flush();
        kept.map_err(|error| self.disk_failed(error))
    }

    /// From here on nothing can be kept, so nothing may pass whole: the program drains.
    fn disk_failed(&self, error: crate::record::Error) -> Stop {
        // The run has noted the fault, and the drain has begun.
        tape_gone(error).into()
    }

    /// Says on the tape how an exchange ended that had no proper end; gives the buffer back.
    fn close(self, ended: &Result<Outcome, Stop>) -> Vec<u8> {
        let answered = self.answered.get();
        let here = self.request.here;
        let mut recording = self.recording.into_inner();
        for omitted in recording.omitted() {
            here.shared().note_omitted(self.request.session, &omitted);
        }
        match ended {
            Err(Stop::Left | Stop::Fault(_)) if !answered => recording.abandon(),
            Err(Stop::Left | Stop::Cut) if answered => {
                // Already ended where the origin cut, or where the connection's close is the end.
                if !recording.is_ended() {
                    // A disk that fails here is noted by the run; nobody waits for the answer.
                    let _ = recording
                        .end(End::LeftByClient, &Fields::new())
                        .and_then(|()| recording.flush());
                }
                recording.into_buffer()
            }
            _ => recording.into_buffer(),
        }
    }
}

/// Why an upload goes no further.
enum UploadEnd {
    OriginGone,
    Client(Stop),
}

async fn write_both(
    writer: &mut (impl AsyncWrite + Unpin),
    first: &[u8],
    second: &[u8],
) -> io::Result<()> {
    let mut slices = [IoSlice::new(first), IoSlice::new(second)];
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let count = match rest {
            [only] => writer.write(only).await?,
            _ => writer.write_vectored(rest).await?,
        };
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut rest, count);
    }
    Ok(())
}

/// The head that the origin gets: hop-by-hop fields and the session's gone, `Host` the origin's,
/// framing rebuilt where it stood.
fn outgoing_head(
    out: &mut RequestHead,
    request: &Request<'_>,
    path: &str,
    framing: Framing,
    expect: bool,
) {
    let head = request.head;
    let authority = &request.here.authority_of_origin;
    out.method.clear();
    out.method.push_str(&head.method);
    out.target.clear();
    out.target.push_str(path);
    out.version = Version::Http11;
    out.fields.clear();
    if !head.fields.contains("host") {
        out.fields.push("host", authority);
    }
    let named = hop::Named::by(&head.fields);
    for field in head.fields.iter() {
        if field.is("host") {
            out.fields.push(field.name, authority);
        } else if field.is("content-length") {
            if let Framing::Length(length) = framing {
                out.fields.push(field.name, itoa::Buffer::new().format(length));
            }
        } else if field.is("transfer-encoding") {
            match framing {
                Framing::Chunked => out.fields.push(field.name, "chunked"),
                Framing::Length(length) => {
                    out.fields.push("content-length", itoa::Buffer::new().format(length));
                }
                Framing::None | Framing::Close => {}
            }
        } else if !is_dropped(&field, expect) && !hop::stops(&field, &named) {
            out.fields.push(field.name, field.value);
        }
    }
    if hop::takes_trailers(&head.fields) {
        // TE is good for one hop, so it is named as such (RFC 9110 section 10.1.4).
        out.fields.push("te", "trailers");
        out.fields.push("connection", "te");
    }
}

/// Fields that aren't for the origin: those that pick the session, and `Expect` where the body is
/// at hand.
fn is_dropped(field: &Field<'_>, expect: bool) -> bool {
    session::is_session_field(field.name) || (field.is("expect") && !expect)
}

/// Appends an interim answer.
pub fn write_interim(out: &mut Vec<u8>, head: &ResponseHead) {
    writer::status_line(out, Version::Http11, head.status, &head.reason);
    let named = hop::Named::by(&head.fields);
    for field in head.fields.iter() {
        if !hop::stops(&field, &named) && !field.is("content-length") {
            writer::field(out, field.name, field.value);
        }
    }
    writer::end_of_head(out);
}
