//! Multipart bodies without their boundary (RFC 2046 section 5.1), digested as they flow: clients
//! make a new boundary for every request.
//!
//! What stands between two delimiters is digested by itself, and then the digests, so that no
//! content can pass for a delimiter.

use memchr::memmem;
use sha2::{Digest as _, Sha256};

use crate::exchange::Digest;

/// RFC 2046 allows 70; some clients use more.
const BOUNDARY_BYTES_MAX: usize = 200;

/// The boundary that a content type names.
pub(super) fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let parameter = content_type.split(|byte| *byte == b';').skip(1).find_map(|parameter| {
        let equals = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = parameter.split_at(equals);
        name.trim_ascii().eq_ignore_ascii_case(b"boundary").then(|| value[1..].trim_ascii())
    })?;
    let quoted = parameter.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let boundary = quoted.unwrap_or(parameter);
    (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()).then_some(boundary)
}

/// The body with a plain word for its boundary, to be shown.
pub(super) fn without_boundary(body: &[u8], boundary: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut copied = 0;
    for at in memmem::find_iter(body, boundary) {
        out.extend_from_slice(&body[copied..at]);
        out.extend_from_slice(b"boundary");
        copied = at + boundary.len();
    }
    out.extend_from_slice(&body[copied..]);
    out
}

/// Digests one multipart body.
pub(super) struct Parts {
    /// Finds CR LF, two hyphens and the boundary.
    delimiter: memmem::Finder<'static>,
    /// The end of what came, which may be the start of a delimiter; shorter than one.
    held: Vec<u8>,
    part: Sha256,
    parts: Sha256,
    parts_count: usize,
}

impl Parts {
    pub(super) fn new(boundary: &[u8]) -> Parts {
        let delimiter = [b"\r\n--", boundary].concat();
        Parts {
            delimiter: memmem::Finder::new(&delimiter).into_owned(),
            // The first delimiter stands at the very start, without the end of a line before it.
            held: b"\r\n".to_vec(),
            part: Sha256::new(),
            parts: Sha256::new(),
            parts_count: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let delimiter_len = self.delimiter.needle().len();
        // Across the seam: what is held, with as much of the new as could end a delimiter.
        let reach = bytes.len().min(delimiter_len - 1);
        let held_len = self.held.len();
        self.held.extend_from_slice(&bytes[..reach]);
        let mut seam = std::mem::take(&mut self.held);
        let mut rest = bytes;
        match self.delimiter.find(&seam) {
            Some(at) => {
                self.part.update(&seam[..at]);
                self.end_part();
                rest = &bytes[at + delimiter_len - held_len..];
                seam.clear();
            }
            None if reach < bytes.len() => {
                self.part.update(&seam[..held_len]);
                seam.clear();
            }
            None => {
                let keep = seam.len().min(delimiter_len - 1);
                self.part.update(&seam[..seam.len() - keep]);
                seam.drain(..seam.len() - keep);
                rest = &[];
            }
        }
        self.held = seam;
        self.scan(rest);
    }

    /// Takes bytes while nothing is held before them.
    fn scan(&mut self, mut bytes: &[u8]) {
        while let Some(at) = self.delimiter.find(bytes) {
            self.part.update(&bytes[..at]);
            self.end_part();
            bytes = &bytes[at + self.delimiter.needle().len()..];
        }
        if !bytes.is_empty() {
            let keep = bytes.len().min(self.delimiter.needle().len() - 1);
            let (sure, unsure) = bytes.split_at(bytes.len() - keep);
            self.part.update(sure);
            self.held.extend_from_slice(unsure);
        }
    }

    fn end_part(&mut self) {
        self.parts.update(self.part.finalize_reset());
        self.parts_count += 1;
    }

    /// None when no delimiter came: such a body isn't multipart, whatever its type says.
    pub(super) fn finish(mut self) -> Option<Digest> {
        if self.parts_count == 0 {
            return None;
        }
        self.part.update(&self.held);
        self.end_part();
        Some(Digest(self.parts.finalize().into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest<'a>(boundary: &str, chunks: impl IntoIterator<Item = &'a [u8]>) -> Option<Digest> {
        let mut parts = Parts::new(boundary.as_bytes());
        chunks.into_iter().for_each(|chunk| parts.push(chunk));
        parts.finish()
    }

    fn body(boundary: &str, contents: &[&str]) -> String {
        let parts = contents.iter().map(|content| format!("--{boundary}\r\n\r\n{content}\r\n"));
        parts.collect::<String>() + &format!("--{boundary}--\r\n")
    }

    #[test]
    fn the_boundary_is_read_from_the_content_type() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("multipart/form-data;charset=x; Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
        ] {
            assert_eq!(boundary(content_type.as_bytes()), expected.map(str::as_bytes));
        }
    }

    #[test]
    fn the_boundary_does_not_count_and_the_parts_do() {
        let of = |boundary: &str, contents: &[&str]| {
            digest(boundary, [body(boundary, contents).as_bytes()])
        };
        assert!(of("x", &["a"]).is_some());
        assert_eq!(of("x", &["a", "b"]), of("another-one", &["a", "b"]));
        assert_ne!(of("x", &["a", "b"]), of("x", &["b", "a"]));
        assert_ne!(of("x", &["a", "b"]), of("x", &["ab"]));
        assert_ne!(of("x", &["a"]), of("x", &["a", ""]));
        assert_eq!(digest("x", [&b"no delimiter"[..]]), None);
        assert_eq!(digest("x", []), None);
    }

    proptest! {
        #[test]
        fn chunks_do_not_count(
            boundary in "[-x]{1,3}",
            text in "(\r\n|--|\r|\n|-|x|--x|\r\n--x|a){0,30}",
            cuts in prop::collection::vec(0..60usize, 0..8),
        ) {
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]);
            prop_assert_eq!(digest(&boundary, chunks), digest(&boundary, [text]));
        }
    }
}
