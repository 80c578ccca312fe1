//! `origin serve`: bodies of any size, and streams.
//!
//! - `GET /bytes/N` with a length, `GET /chunked/N` without
//! - `GET /trickle/N/MICROS`: N bytes, each a piece of its own, so many microseconds apart
//! - `GET /events/N/MICROS`: N server-sent events, each a chunk and a write of its own, so far apart
//! - `POST /upload`: checks what comes, and answers with how much it was

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use ouli_bench::pattern::{self, Checker};

/// Bytes of a request's body taken at once.
const PIECE: u64 = 64 * 1024;

pub(crate) fn main(listener: &TcpListener) {
    for client in listener.incoming().flatten() {
        // A client that leaves in the middle is the bench's to notice, not the origin's.
        std::thread::spawn(move || drop(serve(client)));
    }
}

fn serve(client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(PIECE as usize, client.try_clone()?);
    let mut writer = client;
    while let Some(request) = read_request(&mut reader)? {
        let mut parts = request.target.trim_start_matches('/').split('/');
        let kind = parts.next().unwrap_or_default();
        let numbers: Vec<u64> = parts.filter_map(|number| number.parse().ok()).collect();
        match (kind, &numbers[..]) {
            ("upload", []) => {
                let len = check(&mut reader, request.length)?.to_string();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
                write!(writer, "{head}content-length: {}\r\n\r\n{len}", len.len())?;
            }
            ("bytes", &[len]) => {
                write!(writer, "{BINARY}content-length: {len}\r\n\r\n")?;
                pattern::write(&mut writer, len, false)?;
            }
            ("chunked", &[len]) => {
                write!(writer, "{BINARY}transfer-encoding: chunked\r\n\r\n")?;
                pattern::write(&mut writer, len, true)?;
            }
            ("events", &[count, micros]) => {
                events(&mut writer, count, Duration::from_micros(micros))?;
            }
            ("trickle", &[count, micros]) => {
                trickle(&mut writer, count, Duration::from_micros(micros))?;
            }
            _ => return writer.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        }
    }
    Ok(())
}

const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const BINARY: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n";

struct Request {
    target: String,
    /// None for a body in chunks.
    length: Option<u64>,
}

/// The next request, whose head is read whole.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut request = Request { target, length: Some(0) };
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            return Ok(Some(request));
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => request.length = value.trim().parse().ok(),
            "transfer-encoding" => request.length = None,
            _ => {}
        }
    }
}

/// Reads a body and returns its length.
///
/// Errors: also where a byte isn't what it should be.
fn check(reader: &mut impl BufRead, length: Option<u64>) -> io::Result<u64> {
    let mut checker = Checker::default();
    if let Some(length) = length {
        check_part(reader, length, &mut checker)?;
        return Ok(checker.checked());
    }
    let mut line = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        check_part(reader, size, &mut checker)?;
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(checker.checked());
        }
    }
}

fn check_part(reader: &mut impl BufRead, len: u64, checker: &mut Checker) -> io::Result<()> {
    let mut left = len;
    let mut piece = vec![0; PIECE.min(len) as usize];
    while left > 0 {
        let part = &mut piece[..PIECE.min(left) as usize];
        reader.read_exact(part)?;
        checker.push(part).map_err(|at| io::Error::other(format!("wrong bytes behind {at}")))?;
        left -= part.len() as u64;
    }
    Ok(())
}

/// What each holds follows from its number, so `bench/run` knows it too.
fn events(writer: &mut impl Write, count: u64, gap: Duration) -> io::Result<()> {
    in_pieces(writer, count, gap, |number| {
        format!("data: {{\"index\":{number:04},\"delta\":\"lorem ipsum\"}}\n\n").into_bytes()
    })
}

fn trickle(writer: &mut impl Write, count: u64, gap: Duration) -> io::Result<()> {
    in_pieces(writer, count, gap, |offset| {
        let mut byte = [0];
        pattern::fill(offset, &mut byte);
        byte.to_vec()
    })
}

/// Sends so many pieces, each a chunk and a write of its own, that begin so far apart.
fn in_pieces(
    writer: &mut impl Write,
    count: u64,
    gap: Duration,
    piece: impl Fn(u64) -> Vec<u8>,
) -> io::Result<()> {
    writer.write_all(STREAM)?;
    let mut due = Instant::now();
    for number in 0..count {
        let piece = piece(number);
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(&piece);
        chunk.extend_from_slice(b"\r\n");
        writer.write_all(&chunk)?;
        due += gap;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    writer.write_all(b"0\r\n\r\n")
}
