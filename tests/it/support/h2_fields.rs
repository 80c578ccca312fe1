//! Heads between these tests and the `h2` crate, and what its errors mean.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::message::{Ending, Headers};

/// Names come in the order of their first line; repeats stand together.
pub fn from_map(map: &HeaderMap) -> Headers {
    let latin1 = |value: &HeaderValue| value.as_bytes().iter().map(|&b| char::from(b)).collect();
    Headers(map.iter().map(|(name, value)| (name.to_string(), latin1(value))).collect())
}

pub fn to_map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in &headers.0 {
        let value = HeaderValue::from_bytes(&super::wire::to_latin1(value)).unwrap();
        map.append(HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap(), value);
    }
    map
}

/// How a stream ended that met this error.
pub fn ending(error: &h2::Error) -> Ending {
    match error.reason().map(u32::from) {
        Some(code) if error.is_reset() => Ending::StreamReset(code),
        Some(code) => Ending::GoneAway(code),
        None => Ending::Reset,
    }
}
