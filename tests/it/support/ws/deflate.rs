//! permessage-deflate (RFC 7692), as a peer that was granted it.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// What every compressed message ends with, and none carries (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// One direction of it.
#[derive(Clone, Copy)]
struct Terms {
    takeover: bool,
    window_bits: u8,
}

impl Terms {
    /// Of the side that is named by `client` or `server` in an extension's parameters.
    fn of(side: &str, granted: &str) -> Self {
        let parameters: Vec<_> = granted.split(';').map(str::trim).collect();
        let bits = format!("{side}_max_window_bits=");
        let bits = parameters.iter().find_map(|parameter| parameter.strip_prefix(&bits));
        Terms {
            takeover: !parameters.contains(&&*format!("{side}_no_context_takeover")),
            window_bits: bits.map_or(15, |bits| bits.trim_matches('"').parse().unwrap()),
        }
    }
}

pub struct Deflate {
    out: (Terms, Compress),
    into: (Terms, Decompress),
}

fn compress(terms: Terms) -> Compress {
    Compress::new_with_window_bits(Compression::default(), false, terms.window_bits)
}

fn decompress(terms: Terms) -> Decompress {
    Decompress::new_with_window_bits(false, terms.window_bits)
}

impl Deflate {
    /// For the side `own`, of these two, by what `sec-websocket-extensions` grants.
    pub fn granted(extensions: &str, own: &str, other: &str) -> Option<Self> {
        extensions.trim().starts_with("permessage-deflate").then(|| {
            let (out, into) = (Terms::of(own, extensions), Terms::of(other, extensions));
            Deflate { out: (out, compress(out)), into: (into, decompress(into)) }
        })
    }

    pub fn message(&mut self, plain: &[u8]) -> Vec<u8> {
        if plain.is_empty() {
            return vec![0]; // RFC 7692 section 7.2.3.6
        }
        let (terms, compress) = &mut self.out;
        let begun = compress.total_in();
        let mut out = Vec::with_capacity(plain.len() / 2 + 64);
        loop {
            let rest = &plain[(compress.total_in() - begun) as usize..];
            compress.compress_vec(rest, &mut out, FlushCompress::Sync).unwrap();
            if out.len() < out.capacity() {
                break;
            }
            out.reserve(out.capacity());
        }
        if !terms.takeover {
            compress.reset();
        }
        let len = out.strip_suffix(&TAIL).expect("a sync flush ends with it").len();
        out.truncate(len);
        out
    }

    #[track_caller]
    pub fn inflate(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        let (terms, decompress) = &mut self.into;
        message.extend(TAIL);
        let begun = decompress.total_in();
        let mut out = Vec::with_capacity(message.len() * 4);
        loop {
            let taken = (decompress.total_in() - begun) as usize;
            decompress.decompress_vec(&message[taken..], &mut out, FlushDecompress::Sync).unwrap();
            let taken = (decompress.total_in() - begun) as usize;
            if taken == message.len() && out.len() < out.capacity() {
                break;
            }
            out.reserve(out.capacity().max(64));
        }
        if !terms.takeover {
            decompress.reset(false);
        }
        out
    }
}
