//! The way to the origin for one try of an exchange: a connection of its own, or a stream's place
//! on a shared one.

use crate::config::{Scheme, Target};
use crate::exchange::Version;
use crate::http::client::Rx;
use crate::http::fault::{Fault, Problem};
use crate::http::road::{Request, Stop};
use crate::http2::links::{Dialling, NoHttp2, Place, Way};
use crate::net::origin::{Connection, DialError, Speak};
use crate::net::tls::{OriginFailure, Protocol};

pub(super) enum Lane {
    H1(Connection),
    H2(Place),
}

/// Whether a connection that was used before will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    WillDo,
    WontDo,
}

impl Lane {
    /// The version of HTTP that the origin speaks on it.
    pub(super) fn version(&self) -> Version {
        match self {
            Lane::H1(_) => Version::Http11,
            Lane::H2(_) => Version::Http2,
        }
    }

    pub(super) fn is_fresh(&self) -> bool {
        match self {
            Lane::H1(connection) => connection.is_fresh(),
            Lane::H2(place) => place.is_fresh,
        }
    }

    /// Finds or makes one, while the client waits.
    pub(super) async fn open(
        request: &Request<'_>,
        rx: &mut Rx<'_, '_>,
        kept: Kept,
    ) -> Result<Lane, Stop> {
        let here = request.here;
        if request.is_handshake()
            && let Some(place) = here.worker.links.extended(&here.origin)
        {
            return Ok(Lane::H2(place));
        }
        if kept == Kept::WillDo
            && let Some(connection) = here.worker.origins.take(&here.origin)
        {
            return Ok(Lane::H1(connection));
        }
        here.worker.origins.make_room();
        // Boxed: rare beside what goes out on kept connections.
        let opening = Box::pin(open(request));
        tokio::select! {
            biased;
            opened = opening => Ok(opened?),
            () = rx.left() => Err(Stop::Left),
        }
    }
}

async fn open(request: &Request<'_>) -> Result<Lane, Problem> {
    let here = request.here;
    let target = &here.endpoint.target;
    match (target.scheme, request.is_handshake()) {
        (Scheme::Http, _) => return Ok(Lane::H1(dial(request, Speak::Http1).await?)),
        // Whether an origin takes WebSocket over HTTP/2 isn't known before it is asked something
        // else, so it is asked over HTTP/1.1, unless it speaks HTTP/2 alone.
        (Scheme::Https, true) => match here.worker.dialer.dial(&here.origin, Speak::Http1).await {
            Ok(connection) => return Ok(Lane::H1(connection)),
            Err(DialError::Tls { why: OriginFailure::NoProtocol, .. }) => {}
            Err(error) => return Err(undialled(&error)),
        },
        (Scheme::Https | Scheme::H2c, _) => {}
    }
    let lane = match here.worker.links.way(&here.origin).await {
        Way::Place(place) => Lane::H2(place),
        Way::Dial(dialling) => {
            let dialled = dial(request, Speak::Any).await;
            let connection = dialled.inspect_err(|_| dialling.failed())?;
            by_protocol(request, connection, dialling).await?
        }
    };
    match &lane {
        Lane::H2(place) if request.is_handshake() && !place.takes_websocket() => {
            Err(no_websocket(target))
        }
        _ => Ok(lane),
    }
}

/// An origin that speaks HTTP/2 alone, without RFC 8441.
fn no_websocket(target: &Target) -> Problem {
    let detail = format!("{target} announces no WebSocket over HTTP/2 (RFC 8441 section 3)");
    Problem::new(Fault::OriginUnreachable, detail)
        .hint("an origin that takes WebSocket over HTTP/1.1 needs `http://`")
}

async fn by_protocol(
    request: &Request<'_>,
    connection: Connection,
    dialling: Dialling,
) -> Result<Lane, Problem> {
    let here = request.here;
    let target = &here.endpoint.target;
    if target.scheme != Scheme::H2c && connection.stream.protocol() != Some(Protocol::Http2) {
        dialling.chose_http1();
        return Ok(Lane::H1(connection));
    }
    let begun = dialling.begin(connection.stream, here.limits()).await;
    begun.map(Lane::H2).map_err(|error| {
        let detail = format!("{target}: {error}");
        match &error {
            NoHttp2::Refused(why) => refused(request, detail, why),
            NoHttp2::NoStreams => Problem::new(Fault::OriginUnreachable, detail),
            _ => Problem::new(Fault::OriginUnreachable, detail).hint(
                "an origin that speaks HTTP/1.1 needs `http://`, one that speaks TLS `https://`",
            ),
        }
    })
}

async fn dial(request: &Request<'_>, speak: Speak) -> Result<Connection, Problem> {
    let here = request.here;
    here.worker.dialer.dial(&here.origin, speak).await.map_err(|error| undialled(&error))
}

fn undialled(error: &DialError) -> Problem {
    let fault = match error {
        DialError::TimedOut { .. } => Fault::OriginTimeout,
        _ => Fault::OriginUnreachable,
    };
    Problem::new(fault, error.to_string()).hint_if(error.hint())
}

/// TLS has told that the origin wants nothing of Ouli.
pub(super) fn refused(request: &Request<'_>, detail: String, why: &OriginFailure) -> Problem {
    let here = request.here;
    let hint = here.origin.tls.as_ref().and_then(|tls| tls.hint(why));
    here.worker.dialer.tell(&detail, hint.as_deref());
    Problem::new(Fault::OriginUnreachable, detail).hint_if(hint.as_deref())
}
