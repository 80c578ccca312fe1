//! `load upload`: one long request, by length or in chunks, each byte following from its offset. The
//! origin checks them and answers with how many came.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ouli_bench::answer::{BodyLength, read_head};
use ouli_bench::args::{Args, fail};
use ouli_bench::pattern;

/// A replay answers once it has the whole; hashing it goes on while it comes.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(crate) fn main(args: &Args) {
    let addr: SocketAddr = args.need("addr");
    let bytes: u64 = args.need("bytes");
    let is_chunked = args.get("chunked").unwrap_or(false);
    let started = Instant::now();
    let mut stream = TcpStream::connect(addr).unwrap_or_else(|e| fail(e));
    stream.set_read_timeout(Some(SILENCE_MAX)).unwrap_or_else(|e| fail(e));
    let framing = match is_chunked {
        true => "transfer-encoding: chunked".to_owned(),
        false => format!("content-length: {bytes}"),
    };
    let head = format!("POST /upload HTTP/1.1\r\nhost: {addr}\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap_or_else(|e| fail(e));
    pattern::write(&mut stream, bytes, is_chunked).unwrap_or_else(|e| fail(e));
    let answer = read_answer(&mut stream);
    if answer != bytes.to_string() {
        fail(format!("the origin says {answer:?} to {bytes} bytes"));
    }
    println!("{{\"bytes\":{bytes},\"seconds\":{:.3}}}", started.elapsed().as_secs_f64());
}

/// The body of a short answer with a length.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut buffer = Vec::new();
    loop {
        let mut piece = [0; 1024];
        match stream.read(&mut piece) {
            Ok(0) => fail("the answer was cut"),
            Ok(len) => buffer.extend_from_slice(&piece[..len]),
            Err(error) => fail(format!("receiving: {error}")),
        }
        let Some(head) = read_head(&buffer).unwrap_or_else(|e| fail(e)) else { continue };
        if head.status == 200 && head.body == BodyLength::Exactly((buffer.len() - head.len) as u64)
        {
            return String::from_utf8_lossy(&buffer[head.len..]).into_owned();
        }
        if head.status != 200 {
            fail(format!("status {}: {}", head.status, String::from_utf8_lossy(&buffer)));
        }
    }
}
