//! The origin's answers in HTTP/2, calls among them.

use std::rc::Rc;

use anyhow::Result;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::{self, SendResponse};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::calls;
use super::chat;
use super::service::{Answer, Body, PAUSE, Service, events};
use crate::cli::demo::conversation::{Party, Role, Way};
use crate::cli::demo::http2;
use crate::exchange::Fields;
use crate::http2::heads;
use crate::net::stream::Stream;

pub(super) async fn serve(stream: Stream, service: Rc<Service>) -> Result<()> {
    let mut connection = server::Builder::new().enable_connect_protocol().handshake(stream).await?;
    let mut exchanges = JoinSet::new();
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        // One that fails resets its stream and nothing else.
        exchanges.spawn_local(exchange(request, respond, service.clone()));
        while exchanges.try_join_next().is_some() {}
    }
    Ok(())
}

async fn exchange(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    service: Rc<Service>,
) -> Result<()> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    if let Some(method) = target.strip_prefix(calls::SERVICE) {
        return calls::answer(method, body, respond, service.fields("application/grpc")).await;
    }
    // The one thing that asks so (RFC 8441 section 4).
    if parts.method == Method::CONNECT && target == chat::TARGET {
        return converse(&parts.headers, body, respond, &service).await;
    }
    let content = http2::content(body).await?;
    send(respond, service.answer(parts.method.as_str(), target, &content.body)?).await
}

async fn converse(
    asked: &HeaderMap,
    came: RecvStream,
    mut respond: SendResponse<Bytes>,
    service: &Service,
) -> Result<()> {
    let mut offered = Fields::new();
    heads::read_fields(asked, &mut offered);
    let (fields, terms) = chat::grant(&offered, service);
    let out = respond.send_response(head(200, &fields), false)?;
    let party = Party::new(Way::Stream { came, out }, Role::Server, terms);
    chat::converse(party, service).await
}

async fn send(mut respond: SendResponse<Bytes>, answer: Answer) -> Result<()> {
    let mut out = respond.send_response(head(answer.status, &answer.fields), false)?;
    match answer.body {
        Body::Whole(body) => out.send_data(body.into(), true)?,
        Body::Events => {
            for event in events() {
                sleep(PAUSE).await;
                out.send_data(event.into(), false)?;
            }
            out.send_data(Bytes::new(), true)?;
        }
    }
    Ok(())
}

pub(super) fn head(status: u16, fields: &Fields) -> http::Response<()> {
    let mut response = heads::response(status);
    fields.iter().for_each(|field| heads::append(response.headers_mut(), &field));
    response
}
