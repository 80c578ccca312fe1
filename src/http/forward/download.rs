//! The half of a forwarded exchange from the origin to the client, through the tape.

use std::time::Duration;

use super::flow::{Answered, Came, Flow};
use super::origin::{Answering, Broken};
use crate::exchange::{End, Fields, ResetCode, ResponseHead, Version};
use crate::http::answer;
use crate::http::client::Tx;
use crate::http::fault::Fault;
use crate::http::hop;
use crate::http::line::Source;
use crate::http::road::{Outcome, Stop, Then};
use crate::http1;
use crate::http1::framing::{self, Framing};
use crate::http1::receiver::Step;
use crate::ws::deflate::Terms;
use crate::ws::handshake;

/// After this long without the origin's 100 the client is told to go on all the same: RFC 9110
/// section 10.1.1 lets an origin stay silent.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// Interim answers before a final one; an origin that sends more sends nothing else.
const INTERIM_MAX: usize = 64;

/// How an answer's body ended.
enum Ended {
    Whole,
    /// The origin broke off; with what an HTTP/2 client's stream is reset.
    Cut(ResetCode),
}

impl Flow<'_> {
    /// Receives the answer, keeps it, and passes it on.
    pub(super) async fn download(
        &self,
        answering: &mut Answering<'_>,
        head: &mut ResponseHead,
        tx: &mut Tx<'_, '_>,
    ) -> Result<Came, Stop> {
        match self.final_head(answering, head, tx).await? {
            Ok(()) => {}
            Err(broken) if broken.is_before_answer() => return Ok(Came::Nothing(broken)),
            Err(broken) => return Err(self.broke_off(&broken)),
        }
        let request = self.request;
        if request.is_handshake() && self.grants(answering, head) {
            return self.grant(head, tx).await;
        }
        request.check_refusal(head.status, Fault::OriginBrokeOff)?;
        let framing =
            answering.begin_body(head, self.method()).map_err(|broken| self.broke_off(&broken))?;
        self.answered.set(true);
        self.origin_due.set(None);
        let length = match framing {
            Framing::Length(length) => Some(length),
            Framing::None => Some(0),
            Framing::Chunked | Framing::Close => None,
        };
        let asked = request.asked().kept_if(self.request_done.get());
        let framing_out = answer::framing(&asked, head.status, length);
        let asked = asked.kept_if(framing_out != Framing::Close);
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
        tx.begin(head, &here.endpoint, &asked, framing_out);
        let then = match self.body(answering, tx).await? {
            Ended::Whole => Then::after(&asked),
            Ended::Cut(code) => Then::Cut(code),
        };
        let reusable = framing != Framing::Close && framing::response_keeps_alive(head);
        let outcome = Outcome::new(Source::Recorded, head.status, then);
        Ok(Came::Answer(Answered { outcome, reusable }))
    }

    /// Reads heads until the final one; interim ones pass to the client (RFC 9110 section 15.2).
    async fn final_head(
        &self,
        answering: &mut Answering<'_>,
        head: &mut ResponseHead,
        tx: &mut Tx<'_, '_>,
    ) -> Result<Result<(), Broken>, Stop> {
        let mut interim_count = 0;
        loop {
            let received = if self.gate.is_open() {
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
                Ok(()) if framing::switches_protocols(head) => return Ok(self.switched(head)),
                Ok(()) if !framing::is_interim(head) => return Ok(Ok(())),
                Ok(()) if interim_count == INTERIM_MAX => {
                    return Ok(Err(http1::client::Broken::Endless.into()));
                }
                Ok(()) if head.status == 100 => self.invite(tx).await?,
                Ok(()) => self.pass_interim(head, tx).await?,
            }
            interim_count += 1;
        }
    }

    /// An answer that switches protocols. Where nobody asked for another, the fields that would were
    /// not passed on.
    fn switched(&self, head: &ResponseHead) -> Result<(), Broken> {
        let key = self.head.upgrade.map(|upgrade| upgrade.key.as_str());
        match key {
            Some(_) if !handshake::is_granted_by(head) => Err(http1::client::Broken::Unasked),
            Some(key) if self.asks_with_own_key() && !handshake::is_accepted(head, key) => {
                Err(http1::client::Broken::KeyUnanswered)
            }
            Some(_) => Ok(()),
            None => Err(http1::client::Broken::Unasked),
        }
        .map_err(Broken::from)
    }

    /// Whether Ouli made the key: its client is one of HTTP/2.
    fn asks_with_own_key(&self) -> bool {
        self.request.head.version == Version::Http2
    }

    /// Whether the answer grants a conversation; in HTTP/1.1's terms from here on.
    fn grants(&self, answering: &Answering<'_>, head: &mut ResponseHead) -> bool {
        if matches!(answering, Answering::H2(_)) && (200..300).contains(&head.status) {
            head.status = 101;
            head.fields.push("upgrade", handshake::PROTOCOL);
            head.fields.push("connection", "Upgrade");
        }
        head.status == 101
    }

    /// Passes the answer on that grants a conversation, once the tape has it.
    async fn grant(&self, head: &ResponseHead, tx: &mut Tx<'_, '_>) -> Result<Came, Stop> {
        let request = self.request;
        let here = request.here;
        self.answered.set(true);
        self.origin_due.set(None);
        {
            let mut scratch = here.worker.scratch.borrow_mut();
            let kept = here.redactor.response_head(head, &mut scratch);
            let mut recording = self.recording.borrow_mut();
            recording.response_head(request.elapsed(), kept);
            recording.converse();
        }
        self.flush_tape().await?;
        // An origin of HTTP/2 was given no key (RFC 8441 section 5), whatever it says.
        let accept = match head.version {
            Version::Http2 => request.head.fields.get(handshake::KEY).map(handshake::accept),
            Version::Http10 | Version::Http11 => None,
        };
        answer::warn_of_lost_cookies(head, &here.endpoint, &here.warned_of_cookies);
        tx.switch(head, &here.endpoint, &request.asked(), accept.as_deref()).await?;
        Ok(Came::Grant(Terms::granted(&head.fields).into()))
    }

    /// Tells the client to send its body, if it still waits for that.
    async fn invite(&self, tx: &mut Tx<'_, '_>) -> Result<(), Stop> {
        if self.gate.is_open() {
            return Ok(());
        }
        self.gate.open();
        Ok(tx.invite().await?)
    }

    async fn pass_interim(&self, head: &ResponseHead, tx: &mut Tx<'_, '_>) -> Result<(), Stop> {
        let here = self.request.here;
        {
            let mut scratch = here.worker.scratch.borrow_mut();
            let kept = here.redactor.response_head(head, &mut scratch);
            self.recording.borrow_mut().interim(self.request.elapsed(), kept);
        }
        self.flush_tape().await?;
        tx.interim(head, &here.endpoint, &self.request.asked())?;
        Ok(tx.flush().await?)
    }

    /// Passes the body on, and says whether it came whole or was cut by the origin.
    async fn body(
        &self,
        answering: &mut Answering<'_>,
        tx: &mut Tx<'_, '_>,
    ) -> Result<Ended, Stop> {
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
                        self.flush_tape().await?;
                        tx.data(bytes).await?;
                    }
                }
                Step::End => {
                    if !ended {
                        self.keep_end(End::Whole, answering.trailers())?;
                    }
                    self.flush_tape().await?;
                    tx.finish(&hop::passing(answering.trailers())).await?;
                    return Ok(Ended::Whole);
                }
                Step::NeedMore => {
                    self.flush_tape().await?;
                    tx.flush().await?;
                    if let Err(broken) = answering.more().await {
                        return self.cut(&broken, tx).await;
                    }
                }
            }
        }
    }

    /// The origin broke off: the client gets what came, then the same end.
    async fn cut(&self, broken: &Broken, tx: &mut Tx<'_, '_>) -> Result<Ended, Stop> {
        let here = self.request.here;
        let end = match broken.reset_code() {
            Some(code) => End::ResetByOrigin(code),
            None => End::CutByOrigin,
        };
        self.keep_end(end, &Fields::new())?;
        self.flush_tape().await?;
        tx.flush().await?;
        here.notes().faults.count(Fault::OriginBrokeOff);
        tracing::warn!(
            "{} {}: {broken}; the answer is cut there, and kept as cut",
            self.method(),
            here.redactor.target(&self.request.head.target)
        );
        Ok(Ended::Cut(broken.reset_code().unwrap_or(ResetCode::INTERNAL_ERROR)))
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

    /// Returns when the tape has all that was kept.
    async fn flush_tape(&self) -> Result<(), Stop> {
        let handed = self.recording.borrow_mut().hand_over();
        let kept = match handed {
            Ok(Some(handover)) => handover.await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        kept.map_err(|error| self.disk_failed(error))
    }
}
