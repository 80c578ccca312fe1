//! The primitives of a frame's payload: little-endian integers, lengths before bytes.
//!
//! Pure. Taking never panics and never allocates more than the input holds.

use std::time::Duration;

use crate::exchange::{Fields, RequestHead, ResponseHead, STATUSES, Version};

/// The payload isn't what its kind promises: a defect of the writer, or another format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tape frame's payload doesn't have the shape of its kind")]
pub struct Malformed;

/// The lengths of a field's name and value, a u32 each.
const LENS_BYTES: usize = 8;

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Lengths are u32: heads and frames are bounded by configuration far below 4 GiB, and `Fields`
/// counts in u32 itself.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&(len as u32).to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Nanoseconds in a u64 reach 584 years.
pub(crate) fn put_duration(out: &mut Vec<u8>, at: Duration) {
    put_u64(out, u64::try_from(at.as_nanos()).unwrap_or(u64::MAX));
}

/// The lengths of all fields first, then all text.
pub(crate) fn put_fields(out: &mut Vec<u8>, fields: &Fields) {
    let lens_at = out.len() + 4;
    out.reserve(4 + fields.len() * LENS_BYTES + fields.text_bytes());
    put_len(out, fields.len());
    out.resize(lens_at + fields.len() * LENS_BYTES, 0);
    let (lens, _) = out[lens_at..].as_chunks_mut::<LENS_BYTES>();
    for (lens, field) in lens.iter_mut().zip(fields.iter()) {
        let both = field.name.len() as u64 | (field.value.len() as u64) << 32;
        *lens = both.to_le_bytes();
    }
    out.extend_from_slice(fields.text());
}

pub(crate) fn put_request_head(out: &mut Vec<u8>, head: &RequestHead) {
    out.push(version_code(head.version));
    put_bytes(out, head.method.as_bytes());
    put_bytes(out, head.target.as_bytes());
    put_fields(out, &head.fields);
}

pub(crate) fn put_response_head(out: &mut Vec<u8>, head: &ResponseHead) {
    out.push(version_code(head.version));
    out.extend_from_slice(&head.status.to_le_bytes());
    put_bytes(out, &head.reason);
    put_fields(out, &head.fields);
}

fn version_code(version: Version) -> u8 {
    match version {
        Version::Http10 => 10,
        Version::Http11 => 11,
        Version::Http2 => 20,
    }
}

/// What is left of a payload.
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn raw(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn len(&mut self) -> Result<usize, Malformed> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn duration(&mut self) -> Result<Duration, Malformed> {
        self.u64().map(Duration::from_nanos)
    }

    pub(crate) fn digest(&mut self) -> Result<[u8; 32], Malformed> {
        self.array()
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.len()?;
        self.raw(len)
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(crate) fn fields(&mut self) -> Result<Fields, Malformed> {
        let count = self.len()?;
        let (lens, _) =
            self.raw(count.checked_mul(LENS_BYTES).ok_or(Malformed)?)?.as_chunks::<LENS_BYTES>();
        let lens = lens.iter().map(|lens| {
            let both = u64::from_le_bytes(*lens);
            (both as u32 as usize, (both >> 32) as usize)
        });
        let text_bytes = lens.clone().map(|(name, value)| name + value).sum::<usize>();
        let mut fields = Fields::with_capacity(count, text_bytes.min(self.0.len()));
        for (name_len, value_len) in lens {
            let name = self.raw(name_len)?;
            let value = self.raw(value_len)?;
            fields.push(name, value);
        }
        Ok(fields)
    }

    fn version(&mut self) -> Result<Version, Malformed> {
        match self.u8()? {
            10 => Ok(Version::Http10),
            11 => Ok(Version::Http11),
            20 => Ok(Version::Http2),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn request_head(&mut self) -> Result<RequestHead, Malformed> {
        Ok(RequestHead {
            version: self.version()?,
            method: self.str()?.to_owned(),
            target: self.str()?.to_owned(),
            fields: self.fields()?,
        })
    }

    pub(crate) fn response_head(&mut self) -> Result<ResponseHead, Malformed> {
        Ok(ResponseHead {
            version: self.version()?,
            status: self.u16().and_then(|status| match status {
                status if STATUSES.contains(&status) => Ok(status),
                _ => Err(Malformed),
            })?,
            reason: self.bytes()?.to_vec(),
            fields: self.fields()?,
        })
    }

    /// Every byte of a payload has a meaning.
    pub(crate) fn nothing_more(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
