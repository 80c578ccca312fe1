//! The origin's answers in HTTP/1.1.

use anyhow::Result;
use tokio::time::sleep;

use super::chat;
use super::service::{Answer, Body, PAUSE, Service, events};
use crate::cli::demo::conversation::{Party, Role, Way};
use crate::cli::demo::http1::Wire;
use crate::exchange::{Fields, RequestHead, Version};
use crate::http1::writer;
use crate::net::stream::Stream;
use crate::ws::handshake;

pub(super) async fn serve(mut stream: Stream, service: &Service) -> Result<()> {
    let mut wire = Wire::new(&mut stream);
    while let Some((head, content)) = wire.request().await? {
        if head.target == chat::TARGET && handshake::is_asked_by(&head) {
            return converse(&mut wire, &head, service).await;
        }
        let answer = service.answer(&head.method, &head.target, &content.body)?;
        send(&mut wire, &answer).await?;
    }
    Ok(())
}

async fn converse(wire: &mut Wire<'_>, asked: &RequestHead, service: &Service) -> Result<()> {
    let (fields, terms) = chat::grant(&asked.fields, service);
    let mut out = Vec::new();
    writer::status_line(&mut out, Version::Http11, 101, b"Switching Protocols");
    for field in fields.iter() {
        writer::field(&mut out, field.name, field.value);
    }
    writer::end_of_head(&mut out);
    wire.send(&out).await?;
    let party = Party::new(Way::Switched(wire), Role::Server, terms);
    chat::converse(party, service).await
}

async fn send(wire: &mut Wire<'_>, answer: &Answer) -> Result<()> {
    let mut out = Vec::new();
    let reason: &[u8] = if answer.status == 200 { b"OK" } else { b"Not Found" };
    writer::status_line(&mut out, Version::Http11, answer.status, reason);
    for field in answer.fields.iter() {
        writer::field(&mut out, field.name, field.value);
    }
    match &answer.body {
        Body::Whole(body) => {
            writer::field_number(&mut out, b"Content-Length", body.len() as u64);
            writer::end_of_head(&mut out);
            out.extend_from_slice(body);
            Ok(wire.send(&out).await?)
        }
        Body::Events => {
            writer::field(&mut out, b"Transfer-Encoding", b"chunked");
            writer::end_of_head(&mut out);
            wire.send(&out).await?;
            send_events(wire).await
        }
    }
}

async fn send_events(wire: &mut Wire<'_>) -> Result<()> {
    let mut out = Vec::new();
    for event in events() {
        sleep(PAUSE).await;
        out.clear();
        writer::chunk(&mut out, event.as_bytes());
        wire.send(&out).await?;
    }
    out.clear();
    writer::last_chunk(&mut out, &Fields::new());
    Ok(wire.send(&out).await?)
}
