//! Messages compressed, each for itself.

use flate2::{Compress, Compression, FlushCompress};

/// What is cut off each message: an empty stored block behind its header (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// zlib's own default, which is what most senders use.
const LEVEL: u32 = 6;

/// Room for a call into the library: always the same, because a flush that meets the end of it may
/// come out otherwise.
const STEP_BYTES: usize = 4 << 10;

/// Compresses one message after the other. None refers back to another.
///
/// Has about 256 KiB, so it is for who has something to send, not for who might.
#[derive(Debug)]
pub struct Deflater(Compress);

impl Deflater {
    /// Refers back no further than two to the power of `bits`, in bytes. None for 8, or what is no
    /// window: the library can't, and messages must go as they are then, which is always allowed.
    pub fn new(bits: u8) -> Option<Deflater> {
        let level = Compression::new(LEVEL);
        let is_possible = (9..=15).contains(&bits);
        is_possible.then(|| Deflater(Compress::new_with_window_bits(level, false, bits)))
    }

    /// Appends a whole message.
    pub fn message(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.push(plain, out);
        self.finish(out);
    }

    /// Takes the next piece of a message. What is appended may lag behind.
    pub fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.run(plain, out, FlushCompress::None);
    }

    /// Appends the rest of the message, without its tail, and is ready for the next one.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.run(&[], out, FlushCompress::Sync);
        debug_assert!(out.ends_with(&TAIL), "a flush ends with an empty block");
        out.truncate(out.len().saturating_sub(TAIL.len()));
        self.0.reset();
    }

    /// Runs until all input is in and, for a flush, all output out.
    fn run(&mut self, mut plain: &[u8], out: &mut Vec<u8>, flush: FlushCompress) {
        let mut room = [0; STEP_BYTES];
        loop {
            let (taken, made) = (self.0.total_in(), self.0.total_out());
            let status = self.0.compress(plain, &mut room, flush);
            status.expect("a stream that isn't finished takes input");
            plain = plain.get((self.0.total_in() - taken) as usize..).unwrap_or_default();
            let made = (self.0.total_out() - made) as usize;
            out.extend_from_slice(room.get(..made).unwrap_or_default());
            // Room that wasn't filled has taken all there was: zlib's rule for a flush.
            if plain.is_empty() && made < room.len() {
                return;
            }
        }
    }
}
