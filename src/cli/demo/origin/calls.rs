//! The origin's gRPC service.
//!
//! ```proto
//! package demo;
//! service Chat {
//!   rpc Ask(StringValue) returns (StringValue);
//!   rpc Tell(StringValue) returns (stream StringValue);
//!   rpc Talk(stream StringValue) returns (stream StringValue);
//! }
//! ```

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use tokio::time::sleep;

use super::http2;
use super::service::{PAUSE, WORDS};
use crate::cli::demo::messages::{Messages, framed, line};
use crate::exchange::Fields;
use crate::http2::heads;

/// What the paths of its methods begin with.
pub(super) const SERVICE: &str = "/demo.Chat/";

/// gRPC's status codes, as they stand in trailers.
const OK: &str = "0";
const UNIMPLEMENTED: &str = "12";

pub(super) async fn answer(
    method: &str,
    body: RecvStream,
    mut respond: SendResponse<Bytes>,
    fields: Fields,
) -> Result<()> {
    let mut asked = Messages::new(body);
    let mut out = respond.send_response(http2::head(200, &fields), false)?;
    let status = match method {
        "Ask" => ask(&mut asked, &mut out).await.map(|()| OK),
        "Tell" => tell(&mut asked, &mut out).await.map(|()| OK),
        "Talk" => talk(&mut asked, &mut out).await.map(|()| OK),
        _ => Ok(UNIMPLEMENTED),
    }?;
    let trailers = [("grpc-status", status)].into_iter().collect();
    Ok(out.send_trailers(heads::trailers(&trailers))?)
}

async fn ask(asked: &mut Messages, out: &mut SendStream<Bytes>) -> Result<()> {
    let name = only(asked).await?;
    Ok(out.send_data(framed(&format!("Hello, {name}!"))?, false)?)
}

/// A message after each pause.
async fn tell(asked: &mut Messages, out: &mut SendStream<Bytes>) -> Result<()> {
    only(asked).await?;
    for word in WORDS {
        sleep(PAUSE).await;
        out.send_data(framed(word)?, false)?;
    }
    Ok(())
}

/// An answer to each message, as soon as it comes.
async fn talk(asked: &mut Messages, out: &mut SendStream<Bytes>) -> Result<()> {
    while let Some(message) = asked.next().await? {
        let answer = line(&message)?.replace("ping", "pong");
        out.send_data(framed(&answer)?, false)?;
    }
    Ok(())
}

/// What a call says that has one message.
async fn only(asked: &mut Messages) -> Result<String> {
    let message = asked.next().await?.context("the call has no message")?;
    while asked.next().await?.is_some() {}
    line(&message)
}
