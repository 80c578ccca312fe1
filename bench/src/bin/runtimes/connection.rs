//! One connection's loop, the same on every runtime: requests without a body, answers with a length.

use std::io;
use std::net::SocketAddr;

use ouli_bench::answer::{BodyLength, read_head};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::shared::Shared;

/// A connection's buffers begin at this size; the cases fit.
const BUFFER_BYTES: usize = 4096;

const FIELDS_MAX: usize = 64;

pub(crate) enum Road {
    /// The whole answer, head and body.
    Fixed(Vec<u8>),
    Forward {
        origin: SocketAddr,
    },
}

impl Road {
    pub(crate) fn fixed(body: &[u8]) -> Self {
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nServer: runtimes\r\nDate: Sat, 21 Nov 2026 00:00:00 GMT\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(body);
        Self::Fixed(answer)
    }
}

/// Serves until the client leaves; a fault closes the connection, which the load notices.
pub(crate) async fn serve<S: Shared>(mut client: TcpStream, shared: S, road: &'static Road) {
    let mut buffers = Buffers::default();
    while let Ok(Some(head_len)) = read_request(&mut client, &mut buffers).await {
        let served = match road {
            Road::Fixed(answer) => client.write_all(answer).await,
            Road::Forward { origin } => forward(&mut client, &shared, *origin, &mut buffers).await,
        };
        if served.is_err() {
            return;
        }
        buffers.request.drain(..head_len);
    }
}

struct Buffers {
    request: Vec<u8>,
    /// The request as it goes to the origin.
    onward: Vec<u8>,
    answer: Vec<u8>,
    /// The answer as it goes to the client.
    back: Vec<u8>,
    tape: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Self {
        let buffer = || Vec::with_capacity(BUFFER_BYTES);
        Self {
            request: buffer(),
            onward: buffer(),
            answer: buffer(),
            back: buffer(),
            tape: buffer(),
        }
    }
}

/// Reads until a request's head is whole and copies it, rewritten, to `onward`.
async fn read_request(client: &mut TcpStream, buffers: &mut Buffers) -> io::Result<Option<usize>> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        let parsed = request.parse(&buffers.request).map_err(io::Error::other)?;
        if let httparse::Status::Complete(len) = parsed {
            rewrite_request(&request, &mut buffers.onward);
            return Ok(Some(len));
        }
        if client.read_buf(&mut buffers.request).await? == 0 {
            return Ok(None);
        }
    }
}

fn rewrite_request(request: &httparse::Request<'_, '_>, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(request.method.unwrap_or("GET").as_bytes());
    out.push(b' ');
    out.extend_from_slice(request.path.unwrap_or("/").as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nhost: origin\r\n");
    copy_fields(request.headers, out);
    out.extend_from_slice(b"\r\n");
}

/// All fields but those that end at a proxy or are set anew.
fn copy_fields(fields: &[httparse::Header<'_>], out: &mut Vec<u8>) {
    for field in fields {
        if ["host", "connection", "keep-alive"].iter().any(|n| field.name.eq_ignore_ascii_case(n)) {
            continue;
        }
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
}

async fn forward<S: Shared>(
    client: &mut TcpStream,
    shared: &S,
    addr: SocketAddr,
    buffers: &mut Buffers,
) -> io::Result<()> {
    let mut origin = match shared.take_origin() {
        Some(origin) => origin,
        None => dial(addr).await?,
    };
    origin.write_all(&buffers.onward).await?;
    read_answer(&mut origin, &mut buffers.answer).await?;
    shared.put_origin(origin);
    rewrite_answer(&buffers.answer, &mut buffers.back)?;
    buffers.tape.clear();
    buffers.tape.extend_from_slice(&buffers.onward);
    buffers.tape.extend_from_slice(&buffers.back);
    // Tape before wire.
    shared.keep(&buffers.tape)?;
    client.write_all(&buffers.back).await
}

async fn dial(addr: SocketAddr) -> io::Result<TcpStream> {
    let origin = TcpStream::connect(addr).await?;
    origin.set_nodelay(true)?;
    Ok(origin)
}

async fn read_answer(origin: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<()> {
    answer.clear();
    loop {
        if origin.read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = read_head(answer).map_err(io::Error::other)? else { continue };
        let BodyLength::Exactly(len) = head.body else {
            return Err(io::Error::other("an answer in chunks"));
        };
        if answer.len() as u64 >= head.len as u64 + len {
            return Ok(());
        }
    }
}

fn rewrite_answer(answer: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(len) = response.parse(answer).map_err(io::Error::other)? else {
        return Err(io::Error::other("the head was whole a moment ago"));
    };
    out.clear();
    out.extend_from_slice(b"HTTP/1.1 ");
    let status = response.code.unwrap_or(502);
    out.extend_from_slice(status.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(response.reason.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    copy_fields(response.headers, out);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(answer.get(len..).unwrap_or_default());
    Ok(())
}
