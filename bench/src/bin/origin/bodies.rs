//! `origin serve`: bodies of any size, `GET /bytes/N` with a length, `GET /chunked/N` without.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use ouli_bench::pattern;

/// Bytes written at once.
const PIECE: usize = 64 * 1024;

pub(crate) fn main(listener: &TcpListener) {
    for client in listener.incoming().flatten() {
        // A client that leaves in the middle is the bench's to notice, not the origin's.
        std::thread::spawn(move || drop(serve(client)));
    }
}

fn serve(client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client.try_clone()?);
    let mut writer = client;
    while let Some(target) = read_request(&mut reader)? {
        let mut parts = target.trim_start_matches('/').split('/');
        let kind = parts.next().unwrap_or_default().to_owned();
        let Some(len) = parts.next().and_then(|n| n.parse::<u64>().ok()) else {
            return writer.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        };
        write!(writer, "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n")?;
        match kind.as_str() {
            "chunked" => {
                writer.write_all(b"transfer-encoding: chunked\r\n\r\n")?;
                write_body(&mut writer, len, true)?;
                writer.write_all(b"0\r\n\r\n")?;
            }
            _ => {
                write!(writer, "content-length: {len}\r\n\r\n")?;
                write_body(&mut writer, len, false)?;
            }
        }
    }
    Ok(())
}

/// The target of the next request, whose head is read whole; requests here carry no body.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or("/").to_owned();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            return Ok(Some(target));
        }
    }
}

fn write_body(writer: &mut impl Write, len: u64, chunked: bool) -> io::Result<()> {
    let mut piece = Vec::with_capacity(PIECE + 16);
    let mut offset = 0;
    while offset < len {
        let size = (len - offset).min(PIECE as u64) as usize;
        piece.clear();
        if chunked {
            write!(piece, "{size:x}\r\n")?;
        }
        let start = piece.len();
        piece.resize(start + size, 0);
        pattern::fill(offset, &mut piece[start..]);
        if chunked {
            piece.extend_from_slice(b"\r\n");
        }
        writer.write_all(&piece)?;
        offset += size as u64;
    }
    Ok(())
}
