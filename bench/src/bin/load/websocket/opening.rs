//! The begin and the end of a conversation, on a socket that blocks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use ouli_bench::args::fail;
use ouli_bench::websocket::{self, CLOSE, HEAD_BYTES_MAX, NORMAL};

use super::SILENCE_MAX;

/// Opens one; the socket blocks, but not for ever.
pub(crate) fn open(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap_or_else(|e| fail(e));
    stream.set_nodelay(true).unwrap_or_else(|e| fail(e));
    stream.set_read_timeout(Some(SILENCE_MAX)).unwrap_or_else(|e| fail(e));
    let request = websocket::request(&addr.to_string());
    stream.write_all(&request).unwrap_or_else(|e| fail(format!("handshake: {e}")));
    let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
    loop {
        read_more(&mut stream, &mut head);
        match websocket::read_response(&head).unwrap_or_else(|e| fail(e)) {
            Some(len) if len == head.len() => return stream,
            Some(_) => fail("bytes behind the handshake"),
            None => {}
        }
    }
}

/// Closes one that has nothing under way, and waits for the other side's close.
pub(crate) fn close(stream: &mut TcpStream) {
    let mut frame = Vec::new();
    websocket::write_frame(&mut frame, CLOSE, Some([1, 2, 3, 4]), &NORMAL);
    stream.write_all(&frame).unwrap_or_else(|e| fail(format!("closing: {e}")));
    let mut bytes = Vec::with_capacity(HEAD_BYTES_MAX);
    loop {
        read_more(stream, &mut bytes);
        match websocket::read_frame(&bytes).unwrap_or_else(|e| fail(e)) {
            Some(frame) if frame.opcode == CLOSE && bytes[frame.payload.clone()] == NORMAL => {
                return;
            }
            Some(frame) => fail(format!("no close of 1000 but {frame:?}")),
            None => {}
        }
    }
}

/// Reads once; an end ends the program.
pub(crate) fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) {
    let mut piece = [0; HEAD_BYTES_MAX];
    match stream.read(&mut piece) {
        Ok(0) => fail("a conversation's connection was closed"),
        Ok(len) => bytes.extend_from_slice(&piece[..len]),
        Err(error) => fail(format!("receiving: {error}")),
    }
}
