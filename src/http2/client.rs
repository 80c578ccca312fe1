//! One exchange on a stream to an origin.
//!
//! `Sending` gives the request, `Answering` takes the answer, both at once from one task. Dropping
//! both resets a stream that isn't over, which cancels the origin's work.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};

use super::Chunk;
use super::halves::{Next, next, poll_room};
use super::heads;
use super::links::Place;
use super::tunnel::Tunnel;
use super::watched::Vitals;
use crate::exchange::{Fields, ResponseHead};
use crate::http1::framing::{self, Framing};
use crate::http1::receiver::Step;

/// Why an origin's answer can't be read on, or a request not be sent.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// RFC 9113 sections 6.8 and 8.7: the request can go out again.
    #[error("the origin took no notice of the request: {0}")]
    Unseen(h2::Error),
    #[error("the origin reset the stream: {0}")]
    Reset(Reason),
    #[error("the HTTP/2 connection to the origin failed: {0}")]
    Failed(h2::Error),
}

impl Broken {
    fn of(error: h2::Error) -> Self {
        let reason = error.reason();
        match reason {
            Some(Reason::REFUSED_STREAM) if error.is_reset() && error.is_remote() => {
                Broken::Unseen(error)
            }
            // h2 says so only to streams beyond the last that the origin will take.
            _ if error.is_go_away() && error.is_remote() => Broken::Unseen(error),
            Some(reason) if error.is_reset() && error.is_remote() => Broken::Reset(reason),
            _ => Broken::Failed(error),
        }
    }
}

/// Sends a request's head. `is_end`: it has no body.
///
/// # Errors
/// `Unseen`: the connection takes no more requests.
pub fn send(
    place: &mut Place,
    request: Request<()>,
    is_end: bool,
) -> Result<(Sending, Answering), Broken> {
    let (response, body) = place.sender.send_request(request, is_end).map_err(Broken::Unseen)?;
    let vitals = place.vitals().clone();
    let answering = Answering::new(response, vitals.clone());
    Ok((Sending { body, is_ended: is_end, vitals }, answering))
}

/// The request's direction.
pub struct Sending {
    body: SendStream<Chunk>,
    is_ended: bool,
    vitals: Vitals,
}

impl Sending {
    /// Sends bytes of the body, as the origin's window lets them go.
    pub async fn data(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut bytes = Bytes::copy_from_slice(bytes);
        while !bytes.is_empty() {
            let room = self.room(bytes.len()).await?;
            let part = bytes.split_to(room.min(bytes.len()));
            self.body.send_data(Chunk::uncounted(part), false).map_err(Broken::of)?;
            // gRPC's servers ping for what they get.
            self.vitals.worked(1);
        }
        Ok(())
    }

    /// What is left of both directions once the answer has granted another protocol.
    /// None where the answer ended with its head.
    pub fn into_tunnel(self, answering: Answering) -> Option<Tunnel> {
        let Answering { body, current, .. } = answering;
        Some(Tunnel::new(self.body, body?, current, self.vitals))
    }

    /// Sends the end of the request.
    pub fn finish(&mut self, trailers: &Fields) -> Result<(), Broken> {
        if std::mem::replace(&mut self.is_ended, true) {
            return Ok(());
        }
        if trailers.is_empty() {
            self.body.send_data(Chunk::uncounted(Bytes::new()), true).map_err(Broken::of)
        } else {
            self.body.send_trailers(heads::trailers(trailers)).map_err(Broken::of)
        }
    }

    async fn room(&mut self, wanted: usize) -> Result<usize, Broken> {
        match poll_fn(|cx| poll_room(&mut self.body, wanted, cx)).await {
            Some(room) => room.map_err(Broken::of),
            None => Err(Broken::Reset(Reason::CANCEL)),
        }
    }
}

/// The answer's direction.
pub struct Answering {
    response: ResponseFuture,
    body: Option<RecvStream>,
    /// What came last and has not been released.
    current: Bytes,
    /// Whether `current` has been handed out.
    is_handed: bool,
    is_ended: bool,
    trailers: Fields,
    vitals: Vitals,
}

impl Answering {
    fn new(response: ResponseFuture, vitals: Vitals) -> Self {
        Answering {
            response,
            body: None,
            current: Bytes::new(),
            is_handed: false,
            is_ended: false,
            trailers: Fields::new(),
            vitals,
        }
    }

    /// Takes the next head, interim or final, into `out`.
    ///
    /// Cancel safety: nothing is lost.
    pub async fn head(&mut self, out: &mut ResponseHead) -> Result<(), Broken> {
        let response = &mut self.response;
        let came = poll_fn(|cx| {
            if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
                return Poll::Ready(interim.map(|interim| (interim, None)));
            }
            Pin::new(&mut *response).poll(cx).map(|answer| {
                let (parts, body) = answer?.into_parts();
                Ok((Response::from_parts(parts, ()), Some(body)))
            })
        });
        let (head, body) = came.await.map_err(Broken::of)?;
        heads::read_response(head.status(), head.headers(), out);
        if body.is_some() {
            self.body = body;
            // A ping for the request, and a reset where the origin needs no more of it (RFC 9113
            // section 8.1).
            self.vitals.worked(2);
        }
        Ok(())
    }

    /// How the body is delimited, from the final head.
    pub fn begin_body(&mut self, head: &ResponseHead, method: &str) -> Framing {
        let is_ended = self.body.as_ref().is_none_or(RecvStream::is_end_stream);
        match method == "HEAD" || framing::has_no_content(head.status) {
            true => Framing::None,
            false => heads::framing_of(&head.fields, is_ended),
        }
    }

    pub fn step(&mut self) -> Step {
        if !self.current.is_empty() && !self.is_handed {
            self.is_handed = true;
            return Step::Data(0..self.current.len());
        }
        self.release();
        // Known before it is waited for, so that an answer's last frame says that it is the last.
        self.is_ended |= self.is_complete();
        if self.is_ended { Step::End } else { Step::NeedMore }
    }

    pub fn data(&self, range: Range<usize>) -> &[u8] {
        &self.current[range]
    }

    /// Waits for more of the body, or its end.
    ///
    /// Cancel safety: nothing is lost.
    pub async fn more(&mut self) -> Result<(), Broken> {
        let Some(body) = &mut self.body else {
            self.is_ended = true;
            return Ok(());
        };
        match next(body).await.map_err(Broken::of)? {
            Next::Data(bytes) => {
                self.current = bytes;
                self.is_handed = false;
            }
            Next::End(trailers) => {
                if let Some(trailers) = trailers {
                    heads::read_fields(&trailers, &mut self.trailers);
                }
                self.is_ended = true;
            }
        }
        Ok(())
    }

    /// Whether the last byte has been handed out, and no trailers follow.
    pub fn is_complete(&self) -> bool {
        self.is_ended || self.body.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    pub fn trailers(&self) -> &Fields {
        &self.trailers
    }

    /// Makes room in the origin's window for what has been passed on.
    fn release(&mut self) {
        let len = std::mem::take(&mut self.current).len();
        self.is_handed = false;
        if let Some(body) = &mut self.body
            && len > 0
        {
            // Fails where the stream is over, and then nobody needs the room.
            let _ = body.flow_control().release_capacity(len);
        }
    }
}
