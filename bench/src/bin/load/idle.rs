//! `load idle`: connections that each made one request and now do nothing.
//!
//! They ask one by one. At each line on stdin all ask again, together, so the server has seen its full
//! concurrency before the next silence. When stdin closes each connection must answer once more: that
//! they were held open is a claim to be proved.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use ouli_bench::answer::{BodyLength, read_head};
use ouli_bench::args::{Args, fail};

use crate::target::{Target, Wire};

/// A server that is silent for longer has lost the request.
const SILENCE_MAX: Duration = Duration::from_secs(20);

pub(crate) fn main(args: &Args, target: &Target) {
    let count: usize = args.need("connections");
    let body = args.need_file("body");
    let path: String = args.get("path").unwrap_or_else(|| "/".into());
    let request = crate::request::get(&path, &target.addr.to_string());

    let mut streams: Vec<Wire<TcpStream>> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = connect(target);
        ask(&mut stream, &request);
        check(&mut stream, &body);
        streams.push(stream);
    }
    hold(count, || ask_all(&mut streams, &request, &body));
    println!("{{\"connections\":{count}}}");
}

/// Says that so many are held; has them ask at each line on stdin and when it closes.
pub(crate) fn hold(count: usize, mut ask_all: impl FnMut()) {
    println!("holding {count}");
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).unwrap_or_else(|e| fail(e)) > 0 {
        ask_all();
        println!("asked {count}");
    }
    ask_all();
}

fn connect(target: &Target) -> Wire<TcpStream> {
    let socket = TcpStream::connect(target.addr).unwrap_or_else(|e| fail(e));
    socket.set_nodelay(true).unwrap_or_else(|e| fail(e));
    socket.set_read_timeout(Some(SILENCE_MAX)).unwrap_or_else(|e| fail(e));
    let mut stream = target.wire(socket);
    stream.shake_hands().unwrap_or_else(|e| fail(format!("handshake: {e}")));
    stream
}

fn ask_all(streams: &mut [Wire<TcpStream>], request: &[u8], body: &[u8]) {
    streams.iter_mut().for_each(|stream| ask(stream, request));
    streams.iter_mut().for_each(|stream| check(stream, body));
}

fn ask(stream: &mut Wire<TcpStream>, request: &[u8]) {
    stream.send(request).unwrap_or_else(|e| fail(format!("sending: {e}")));
}

fn check(stream: &mut Wire<TcpStream>, expected: &[u8]) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => fail("a connection was closed"),
            Ok(len) => bytes.extend_from_slice(&piece[..len]),
            Err(error) => fail(format!("receiving: {error}")),
        }
        let Some(head) = read_head(&bytes).unwrap_or_else(|e| fail(e)) else { continue };
        if head.body != BodyLength::Exactly(expected.len() as u64) || head.status != 200 {
            fail(format!("unexpected answer: {head:?}"));
        }
        if bytes.len() < head.len + expected.len() {
            continue;
        }
        if &bytes[head.len..] != expected {
            fail("wrong body");
        }
        return;
    }
}
