//! Just enough WebSocket (RFC 6455) for both ends of the bench: one fixed handshake, whole frames.

use std::ops::Range;

/// The handshake's key and its answer are those of RFC 6455 section 1.3, so that nobody here has to
/// hash: an origin that is given another key refuses it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;

/// Code 1000, an orderly end.
pub const NORMAL: [u8; 2] = 1000u16.to_be_bytes();

/// Larger than any head of these handshakes.
pub const HEAD_BYTES_MAX: usize = 4096;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// More fields than anybody here sends.
const FIELDS_MAX: usize = 64;

pub fn request(host: &str) -> Vec<u8> {
    format!(
        "GET /echo HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

pub fn response() -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
    .into_bytes()
}

/// Reads the head of a handshake's request, and says how long it is; `None` while it isn't whole.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn read_request(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => {
            expect(request.headers, "sec-websocket-key", KEY).map(|()| Some(len))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(format!("unreadable request: {error}")),
    }
}

/// As `read_request`, of its answer.
///
/// # Errors
/// As of `read_request`.
pub fn read_response(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if response.code == Some(101) => {
            expect(response.headers, "sec-websocket-accept", ACCEPT).map(|()| Some(len))
        }
        Ok(httparse::Status::Complete(_)) => {
            Err(format!("no conversation: {}", String::from_utf8_lossy(bytes)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(format!("unreadable answer: {error}")),
    }
}

fn expect(fields: &[httparse::Header<'_>], name: &str, value: &str) -> Result<(), String> {
    let mut found = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some(field), None) if field.value == value.as_bytes() => Ok(()),
        _ => Err(format!("not one {name} of {value}")),
    }
}

/// A whole frame that nothing was left out of.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    /// Where its payload is, masked as it came.
    pub payload: Range<usize>,
}

/// The frame that `bytes` begin with; `None` while it isn't whole.
///
/// # Errors
/// It is none that the bench sends: a fragment, one with RSV bits, one of 64 KiB or more.
pub fn read_frame(bytes: &[u8]) -> Result<Option<Frame>, String> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    // Its first half is FIN and the RSV bits.
    if first & 0xf0 != FIN {
        return Err(format!("a frame that begins with {first:#x}"));
    }
    let (len, length_bytes) = match (second & !MASKED, rest) {
        (127, _) => return Err("a frame of 64 KiB or more".into()),
        (126, &[high, low, ..]) => (usize::from(u16::from_be_bytes([high, low])), 2),
        (126, _) => return Ok(None),
        (len, _) => (usize::from(len), 0),
    };
    let key_at = 2 + length_bytes;
    let is_masked = second & MASKED != 0;
    let mask = is_masked.then(|| bytes.get(key_at..)?.first_chunk::<4>().copied());
    if mask == Some(None) {
        return Ok(None);
    }
    let start = key_at + if is_masked { 4 } else { 0 };
    let payload = start..start + len;
    let is_whole = payload.end <= bytes.len();
    Ok(is_whole.then(|| Frame { opcode: first & 0x0f, mask: mask.flatten(), payload }))
}

/// Appends a whole frame with less than 64 KiB of payload.
pub fn write_frame(out: &mut Vec<u8>, opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    out.push(FIN | opcode);
    match u8::try_from(payload.len()) {
        Ok(len @ 0..126) => out.push(masked | len),
        _ => {
            out.push(masked | 126);
            out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(mask.as_ref().map_or(&[], |mask| mask));
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = mask {
        apply(mask, &mut out[start..]);
    }
}

/// Puts a mask on a payload, or takes it off.
pub fn apply(mask: [u8; 4], payload: &mut [u8]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    rest.iter_mut().zip(wide.to_ne_bytes()).for_each(|(byte, key)| *byte ^= key);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_once_all_of_it_is_there() {
        for len in [0, 5, 125, 126, 256, 65_535] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
                let mut bytes = Vec::new();
                write_frame(&mut bytes, TEXT, mask, &payload);
                for cut in 0..bytes.len().min(300) {
                    assert_eq!(read_frame(&bytes[..cut]), Ok(None), "{cut} of {}", bytes.len());
                }
                let frame = read_frame(&bytes).unwrap().unwrap();
                assert_eq!((frame.opcode, frame.mask), (TEXT, mask));
                assert_eq!(frame.payload.end, bytes.len());
                let read = &mut bytes[frame.payload];
                mask.inspect(|mask| apply(*mask, read));
                assert_eq!(read, payload);
            }
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_written() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, TEXT, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello");
        let expected = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_the_bench_never_sends_is_told() {
        for bytes in [[0x01, 0], [0xc1, 0], [0x81, 127]] {
            assert!(read_frame(&bytes).is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn a_handshake_is_read_by_its_other_side() {
        assert_eq!(read_request(&request("h")), Ok(Some(request("h").len())));
        assert_eq!(read_response(&response()), Ok(Some(response().len())));
        assert_eq!(read_response(&response()[..20]), Ok(None));
        assert!(read_response(b"HTTP/1.1 404 Not Found\r\n\r\n").is_err());
    }
}
