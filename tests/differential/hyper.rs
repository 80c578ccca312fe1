//! hyper as the other reader, over a pipe in memory.

use std::cell::RefCell;
use std::rc::Rc;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use ouli::http1::Refusal;
use ouli::http1::head::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::cases::Case;
use crate::reading::{Message, Peer, Reading, Stop, grouped, latin1};

pub(crate) const PEER: Peer = Peer { name: "hyper", alike, ouli_is_stricter, peer_is_stricter };

/// hyper keeps no reason that has bytes over 7F in it.
fn alike(our: &Message, their: &Message) -> bool {
    let is_kept = our.start.is_ascii();
    our == their || !is_kept && *their == Message { start: their.start.clone(), ..our.clone() }
}

fn ouli_is_stricter(_: &Case, refusal: &Refusal) -> Option<&'static str> {
    use Refusal::*;
    Some(match refusal {
        BareLineFeed { .. } => "hyper takes LF alone as a line end, which others take for data",
        EmptyLines { .. } => "hyper skips any number of empty lines",
        BadStatusLine => "hyper skips empty lines before an answer",
        MissingHost | SecondHost | BadHost => "hyper leaves Host to its service",
        BadTargetByte { .. } => "hyper cuts a fragment off, and takes bytes over 7F",
        BadTargetForm => "hyper leaves it to its service which form fits the method",
        LengthWithTransferEncoding => "hyper drops the length and reads on",
        TwoLengths => "hyper takes repeated lengths that are equal",
        TwoTransferEncodings | UnknownTransferCoding => {
            "hyper looks only at the last coding, and reads an answer without chunked to the close"
        }
        ChunkTooLarge => "hyper takes any number of zeros before a size",
        BadChunkLineEnd => "hyper takes white space between a size and its line end",
        BadChunkExtension => "hyper doesn't look at extensions, except for LF",
        ForbiddenTrailer => "hyper hands out any trailer",
        _ => return None,
    })
}

fn peer_is_stricter(case: &Case, messages: &[Message]) -> Option<&'static str> {
    let (_, target) = messages.last()?.start.split_once(' ')?;
    if case.role == Role::Server && target.parse::<Uri>().is_err() {
        return Some("hyper's URI takes fewer characters; ouli leaves that to the origin");
    }
    None
}

pub(crate) fn read_all(cases: &[Case]) -> Vec<Reading> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    cases
        .iter()
        .map(|case| {
            runtime.block_on(async {
                match case.role {
                    Role::Server => read_requests(case).await,
                    Role::Client => read_response(case).await,
                }
            })
        })
        .collect()
}

/// A pipe that holds all input, and its writing end, so that nothing blocks.
async fn pipe(input: &[u8]) -> (DuplexStream, DuplexStream) {
    let (mut near, far) = tokio::io::duplex(input.len() + (1 << 20));
    near.write_all(input).await.unwrap();
    (near, far)
}

async fn read_requests(case: &Case) -> Reading {
    let (mut near, far) = pipe(&case.input).await;
    near.shutdown().await.unwrap();
    let messages = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let messages = messages.clone();
        async move {
            let (head, body) = request.into_parts();
            let start = format!("{} {}", head.method, as_sent(&head.uri, case));
            if let Some(message) = whole(start, &head.headers, body).await {
                messages.borrow_mut().push(message);
            }
            // An answer that doesn't agree to CONNECT, so that hyper reads on.
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let result = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(far), service)
        .await;
    let stop = match result {
        Ok(()) => Stop::EndOfInput,
        Err(error) => Stop::Rejected(format!("{error:?}")),
    };
    Reading { messages: messages.take(), stop }
}

async fn read_response(case: &Case) -> Reading {
    let (mut near, far) = tokio::io::duplex(case.input.len() + (1 << 20));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(far)).await.unwrap();
    let mut message = None;
    let exchange = async {
        let request = Request::builder()
            .method(case.method)
            .uri("/")
            .header("host", "a")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let (head, body) = sender.send_request(request).await?.into_parts();
        let reason = match head.extensions.get::<ReasonPhrase>() {
            Some(reason) => latin1(reason.as_bytes()),
            None => head.status.canonical_reason().unwrap_or_default().to_owned(),
        };
        let start = format!("{} {reason}", head.status.as_u16());
        message = whole(start, &head.headers, body).await;
        Ok::<(), hyper::Error>(())
    };
    // An answer that comes before its request is an error of its own to hyper.
    let origin = async {
        let mut request = [0; 1024];
        assert!(near.read(&mut request).await.unwrap() > 0);
        near.write_all(&case.input).await.unwrap();
        near.shutdown().await.unwrap();
    };
    let (result, (), _) = tokio::join!(exchange, origin, connection);
    let stop = match result {
        Ok(()) => Stop::EndOfInput,
        Err(error) => Stop::Rejected(format!("{error:?}")),
    };
    Reading { messages: message.into_iter().collect(), stop }
}

/// `None` where the body broke off.
async fn whole(start: String, headers: &HeaderMap, body: Incoming) -> Option<Message> {
    let body = body.collect().await.ok()?;
    let trailers = body.trailers().map(grouped_map).unwrap_or_default();
    let body = latin1(&body.to_bytes());
    Some(Message { start, fields: grouped_map(headers), body, trailers })
}

fn grouped_map(map: &HeaderMap) -> std::collections::BTreeMap<String, Vec<String>> {
    grouped(map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())))
}

/// The target as it was sent, where hyper's URI differs from it only in spelling: it writes the
/// scheme in lower case and an empty path as `/`.
fn as_sent(uri: &Uri, case: &Case) -> String {
    let shown = uri.to_string();
    let input = latin1(&case.input);
    let sent = input.split(' ').find(|word| {
        word.contains("://") && word.parse::<Uri>().is_ok_and(|parsed| parsed == *uri)
    });
    sent.map_or(shown, str::to_owned)
}
