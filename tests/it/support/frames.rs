//! HTTP/2 by the frame (RFC 9113 section 4), for peers that no library would be.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::message::Ending;
use super::peer::{PATIENCE, Peer};
use super::wire::{Stop, Wire};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Frame { kind, flags, stream, payload: payload.into() }
    }

    /// A request's whole head.
    pub fn request(stream: u32, flags: u8, method: &str, path: &str) -> Self {
        let block = request_block(method, path, &[]);
        Frame::new(HEADERS, flags | END_HEADERS, stream, block)
    }

    /// A whole head of an answer.
    pub fn answer(stream: u32, flags: u8, status: u16) -> Self {
        let block = fields(&[(":status", &status.to_string())]);
        Frame::new(HEADERS, flags | END_HEADERS, stream, block)
    }

    pub fn reset(stream: u32, code: u32) -> Self {
        Frame::new(RST_STREAM, 0, stream, code.to_be_bytes())
    }

    pub fn go_away(last_stream: u32, code: u32) -> Self {
        let payload = [last_stream.to_be_bytes(), code.to_be_bytes()].concat();
        Frame::new(GOAWAY, 0, 0, payload)
    }

    pub fn window_update(stream: u32, by: u32) -> Self {
        Frame::new(WINDOW_UPDATE, 0, stream, by.to_be_bytes())
    }

    pub fn settings(pairs: &[(u16, u32)]) -> Self {
        let bytes =
            |&(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        Frame::new(SETTINGS, 0, 0, pairs.iter().flat_map(bytes).collect::<Vec<u8>>())
    }

    /// The code of a RST_STREAM or a GOAWAY.
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        let bytes = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = (self.payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

pub fn request_block(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", "127.0.0.1"),
        (":path", path),
    ];
    all.extend(more);
    fields(&all)
}

/// A field block (RFC 7541 section 6.2.2): literals without indexing, not Huffman-coded.
pub fn fields(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in pairs {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(text.bytes());
        }
    }
    block
}

/// RFC 7541 section 5.1, with a prefix of seven bits.
fn integer(out: &mut Vec<u8>, value: usize) {
    if value < 127 {
        return out.push(value as u8);
    }
    out.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
}

/// A connection on which frames go as a test writes them. Settings and pings of the peer are
/// acknowledged while it is read.
pub struct Frames {
    wire: Wire,
    pongs: bool,
}

impl Frames {
    /// As a client: preface and settings are sent.
    #[track_caller]
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let socket = Peer::new(address).dial().unwrap();
        let mut frames = Frames { wire: Wire::new(socket), pongs: true };
        frames.write(PREFACE);
        frames.send(&Frame::settings(settings));
        frames
    }

    /// Sends a frame; false when the peer has gone, or takes nothing any more.
    pub fn send(&mut self, frame: &Frame) -> bool {
        self.write(&frame.to_bytes())
    }

    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.wire.stream.write_all(bytes).is_ok()
    }

    /// Waits until the peer has read all that was sent.
    #[track_caller]
    pub fn ping(&mut self) {
        self.send(&Frame::new(PING, 0, 0, [7; 8]));
        while self.until(PING).flags & ACK == 0 {}
    }

    /// Ends what this side sends, in good order.
    pub fn finish_sending(&mut self) {
        self.wire.stream.finish(Shutdown::Write);
    }

    /// Leaves with a reset instead of an orderly close.
    pub fn reset_when_dropped(&self) {
        let socket = socket2::SockRef::from(self.wire.stream.tcp());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// From here on pings are read like any other frame.
    pub fn ignore_pings(&mut self) {
        self.pongs = false;
    }

    pub fn set_patience(&mut self, patience: Duration) {
        self.wire.stream.set_read_timeout(Some(patience));
        self.wire.stream.tcp().set_write_timeout(Some(patience)).unwrap();
    }

    /// The next frame, whatever it is.
    pub fn next(&mut self) -> Result<Frame, Ending> {
        let read = |wire: &mut Wire, len| match wire.exactly(len) {
            Ok(bytes) => Ok(bytes),
            Err(Stop::Ended(ending)) => Err(ending),
            Err(Stop::Malformed(what)) => unreachable!("raw bytes are never malformed: {what}"),
        };
        let head = read(&mut self.wire, 9)?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        let payload = read(&mut self.wire, len)?;
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            self.send(&Frame::new(SETTINGS, ACK, 0, []));
        }
        if self.pongs && frame.kind == PING && frame.flags & ACK == 0 {
            self.send(&Frame::new(PING, ACK, 0, frame.payload.clone()));
        }
        Ok(frame)
    }

    /// Reads on to the first frame of this kind.
    #[track_caller]
    pub fn until(&mut self, kind: u8) -> Frame {
        loop {
            match self.next() {
                Ok(frame) if frame.kind == kind => return frame,
                Ok(_) => {}
                Err(ending) => panic!("{ending:?} before a frame of kind {kind}"),
            }
        }
    }

    /// Reads to the connection's end; tells the codes of the GOAWAYs, and how it ended.
    pub fn read_to_end(&mut self) -> (Vec<u32>, Ending) {
        let mut codes = Vec::new();
        loop {
            match self.next() {
                Ok(frame) if frame.kind == GOAWAY => codes.extend(frame.code()),
                Ok(_) => {}
                Err(ending) => return (codes, ending),
            }
        }
    }
}

/// An h2c origin whose every connection is served by a script, frame by frame.
pub struct FrameOrigin {
    address: SocketAddr,
    /// Streams whose HEADERS came, by connection.
    seen: Arc<Mutex<Vec<Vec<u32>>>>,
}

/// A connection at a `FrameOrigin`; the preface and the settings are exchanged.
pub struct FrameTalk {
    pub frames: Frames,
    /// 0 for the first connection.
    pub connection: usize,
    seen: Arc<Mutex<Vec<Vec<u32>>>>,
}

impl FrameOrigin {
    pub fn new(
        settings: &[(u16, u32)],
        script: impl Fn(&mut FrameTalk) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Vec<u32>>>> = Arc::default();
        let (script, noted, settings) = (Arc::new(script), seen.clone(), settings.to_vec());
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { continue };
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_nodelay(true).unwrap();
                noted.lock().unwrap().push(Vec::new());
                let (script, seen, settings) = (script.clone(), noted.clone(), settings.clone());
                thread::spawn(move || {
                    let mut frames = Frames { wire: Wire::new(stream), pongs: true };
                    if frames.wire.exactly(PREFACE.len()).is_err() {
                        return; // somebody looked whether the port is open
                    }
                    frames.send(&Frame::settings(&settings));
                    script(&mut FrameTalk { frames, connection, seen });
                });
            }
        });
        FrameOrigin { address, seen }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `h2c://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("h2c://{}", self.address)
    }

    /// The requests that came, by connection.
    pub fn seen(&self) -> Vec<Vec<u32>> {
        self.seen.lock().unwrap().clone()
    }
}

impl FrameTalk {
    /// Waits for the next request's head; `None` when the client has gone.
    pub fn request(&mut self) -> Option<u32> {
        loop {
            let frame = self.frames.next().ok()?;
            if frame.kind == HEADERS {
                self.seen.lock().unwrap()[self.connection].push(frame.stream);
                return Some(frame.stream);
            }
        }
    }

    /// Answers 200 with this body.
    pub fn answer(&mut self, stream: u32, body: &str) {
        self.frames.send(&Frame::answer(stream, 0, 200));
        self.frames.send(&Frame::new(DATA, END_STREAM, stream, body));
    }

    /// Reads until the client closes.
    pub fn wait_close(&mut self) {
        self.frames.read_to_end();
    }
}
