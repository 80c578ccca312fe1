//! What the bench's programs share: their arguments, a latency histogram, a body that proves itself,
//! TLS with one known certificate, WebSocket's frames.

pub mod answer;
pub mod args;
pub mod histogram;
pub mod pattern;
pub mod tls;
pub mod websocket;
