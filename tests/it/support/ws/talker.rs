//! One side of a conversation, once the handshake is done.

use super::super::message::{Ending, Headers};
use super::deflate::Deflate;
use super::duct::Duct;
use super::frame::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, RSV1, TEXT};
use super::log::Log;
use super::said::{Said, text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Origin,
}

pub struct Talker<'a> {
    duct: Box<dyn Duct + Send + 'a>,
    role: Role,
    /// Of the answer that granted the conversation.
    granted: Headers,
    deflate: Option<Deflate>,
    /// Bytes that came and are no whole frame yet.
    waiting: Vec<u8>,
    /// A message whose fragments come: its opcode, whether it is compressed, its payload so far.
    coming: Option<(u8, bool, Vec<u8>)>,
    log: Log,
    masks: u32,
}

impl<'a> Talker<'a> {
    pub(super) fn new(
        duct: impl Duct + Send + 'a,
        role: Role,
        granted: Headers,
        log: Log,
    ) -> Talker<'a> {
        let (own, other) = match role {
            Role::Client => ("client", "server"),
            Role::Origin => ("server", "client"),
        };
        let extensions = granted.get("sec-websocket-extensions").unwrap_or_default();
        let deflate = Deflate::granted(extensions, own, other);
        let (duct, waiting, coming) = (Box::new(duct), Vec::new(), None);
        Talker { duct, role, granted, deflate, waiting, coming, log, masks: 0x1357_9bdf }
    }

    /// The fields of the answer that granted this.
    pub fn granted(&self) -> &Headers {
        &self.granted
    }

    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Sends bytes as they are; false when the peer has gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.log.note_sent(bytes.as_ref());
        self.duct.send(bytes.as_ref())
    }

    /// Sends a frame, a client's with a mask of its own if it has none.
    pub fn frame(&mut self, frame: Frame) -> bool {
        let frame = match (self.role, frame.mask) {
            (Role::Client, None) => frame.masked(self.next_mask()),
            _ => frame,
        };
        self.send(frame.to_bytes())
    }

    pub fn frames(&mut self, frames: impl IntoIterator<Item = Frame>) {
        for frame in frames {
            self.frame(frame);
        }
    }

    fn next_mask(&mut self) -> [u8; 4] {
        self.masks = self.masks.wrapping_mul(0x9e37_79b1).wrapping_add(1);
        self.masks.to_be_bytes()
    }

    pub fn say(&mut self, text: &str) -> bool {
        self.frame(Frame::text(text))
    }

    pub fn say_bytes(&mut self, bytes: impl Into<Vec<u8>>) -> bool {
        self.frame(Frame::binary(bytes))
    }

    /// Compressed, as was agreed on.
    #[track_caller]
    pub fn say_compressed(&mut self, text: &str) -> bool {
        let compressed = self.compressed(text.as_bytes());
        self.frame(Frame::new(TEXT, compressed).rsv(RSV1))
    }

    /// Compressed, in fragments of this many bytes.
    #[track_caller]
    pub fn say_compressed_in_fragments(&mut self, text: &str, len: usize) {
        let compressed = self.compressed(text.as_bytes());
        let count = compressed.chunks(len).count();
        for (n, part) in compressed.chunks(len).enumerate() {
            let frame = match n {
                0 => Frame::new(TEXT, part).rsv(RSV1),
                _ => Frame::continuation(part),
            };
            self.frame(if n + 1 == count { frame } else { frame.unfinished() });
        }
    }

    #[track_caller]
    fn compressed(&mut self, plain: &[u8]) -> Vec<u8> {
        self.deflate.as_mut().expect("permessage-deflate was granted").message(plain)
    }

    pub fn is_compressing(&self) -> bool {
        self.deflate.is_some()
    }

    pub fn close(&mut self, code: u16, reason: &str) -> bool {
        self.frame(Frame::close(code, reason))
    }

    /// Leaves in good order below WebSocket, without a close frame.
    pub fn finish(&mut self) {
        self.duct.finish();
    }

    /// Leaves with a reset.
    pub fn reset(&mut self) {
        self.duct.reset();
    }

    /// The next frame as it came.
    pub fn next_frame(&mut self) -> Result<Frame, Ending> {
        loop {
            if let Some((frame, len)) = Frame::parse(&self.waiting) {
                self.waiting.drain(..len);
                return Ok(frame);
            }
            self.receive()?;
        }
    }

    /// Waits for more bytes, whether they are a whole frame or not, and leaves them to be read.
    pub fn peek(&mut self) -> Result<(), Ending> {
        self.receive()
    }

    fn receive(&mut self) -> Result<(), Ending> {
        match self.duct.receive() {
            Ok(bytes) => {
                self.log.note_received(&bytes);
                self.waiting.extend(bytes);
                Ok(())
            }
            Err(ending) => {
                self.log.note_end(ending);
                Err(ending)
            }
        }
    }

    /// What the other side says next, put together and inflated. A frame that RFC 6455 forbids
    /// fails the test.
    #[track_caller]
    pub fn next(&mut self) -> Result<Said, Ending> {
        loop {
            let frame = self.next_frame()?;
            let is_masked = frame.mask.is_some();
            assert_eq!(is_masked, self.role == Role::Origin, "only clients mask: {frame:?}");
            if let Some(said) = self.take(frame) {
                return Ok(said);
            }
        }
    }

    #[track_caller]
    fn take(&mut self, frame: Frame) -> Option<Said> {
        let rsv = frame.rsv;
        let may_compress = self.deflate.is_some() && matches!(frame.opcode, TEXT | BINARY);
        assert!(rsv == 0 || rsv == RSV1 && may_compress, "nobody agreed on {frame:?}");
        if frame.is_control() {
            assert!(frame.fin && frame.payload.len() < 126, "a control frame {frame:?}");
        }
        match (frame.opcode, &mut self.coming) {
            (PING, _) => return Some(Said::Ping(frame.payload)),
            (PONG, _) => return Some(Said::Pong(frame.payload)),
            (CLOSE, _) => return Some(Said::closing(&frame.payload)),
            (CONTINUATION, Some((_, _, payload))) => payload.extend(frame.payload),
            (TEXT | BINARY, coming @ None) => {
                *coming = Some((frame.opcode, rsv == RSV1, frame.payload));
            }
            _ => panic!("out of place: {frame:?}"),
        }
        frame.fin.then(|| self.put_together())
    }

    #[track_caller]
    fn put_together(&mut self) -> Said {
        let (opcode, is_compressed, payload) = self.coming.take().expect("a message has come");
        let payload = match (is_compressed, &mut self.deflate) {
            (true, Some(deflate)) => deflate.inflate(payload),
            _ => payload,
        };
        match opcode {
            TEXT => Said::Text(String::from_utf8(payload).expect("a text in UTF-8")),
            _ => Said::Binary(payload),
        }
    }

    #[track_caller]
    pub fn expect(&mut self, said: Said) {
        let next = self.next();
        if next.as_ref() != Ok(&said) {
            panic!("expected {said:?}, saw {next:?}");
        }
    }

    #[track_caller]
    pub fn expect_text(&mut self, expected: &str) {
        self.expect(text(expected));
    }

    #[track_caller]
    pub fn expect_frame(&mut self, expected: &Frame) {
        assert_eq!(self.next_frame().as_ref(), Ok(expected));
    }

    /// The next frame is a close with this code; returns its reason.
    #[track_caller]
    pub fn expect_close(&mut self, code: u16) -> String {
        match self.next() {
            Ok(Said::Close(Some(seen), reason)) if seen == code => reason,
            other => panic!("expected to be closed with {code}, saw {other:?}"),
        }
    }

    /// Nothing more comes, and how that ends.
    #[track_caller]
    pub fn expect_end(&mut self) -> Ending {
        match self.next_frame() {
            Ok(frame) => panic!("expected the end, saw {frame:?}"),
            Err(ending) => {
                assert_ne!(ending, Ending::Silence, "expected the end");
                ending
            }
        }
    }

    /// The peer has sent nothing that isn't read yet: the answer to a ping is the next to come.
    #[track_caller]
    pub fn expect_nothing_waiting(&mut self) {
        self.frame(Frame::ping("anything?"));
        self.expect(Said::Pong(b"anything?".to_vec()));
    }

    /// Says this text, and must hear that one.
    #[track_caller]
    pub fn ask(&mut self, say: &str, hear: &str) {
        self.say(say);
        self.expect_text(hear);
    }

    /// Closes, hears the same close and the end, and leaves.
    #[track_caller]
    pub fn part(&mut self, code: u16, reason: &str) {
        self.close(code, reason);
        self.expect(Said::close(code, reason));
        self.expect_end();
        self.finish();
    }
}
