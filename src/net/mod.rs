//! Sockets, and nothing about HTTP: bytes come in and go out, what they mean is decided elsewhere.
//!
//! One runtime per worker thread. What lives in a runtime is `Rc` and cells (arenas, kept origin
//! connections); what all runtimes share is small and atomic (permits, the drain signal, slots).
//!
//! - `listener` claims a port, accepts, refuses at the connection limit
//! - `conn` an accepted connection: stream, permit and drain guard in one object
//! - `stream` the byte stream under it, and under connections to origins; `tls` what secures it
//! - `arena` the buffers a connection has only while bytes are in flight
//! - `permits`, `inflight` the two bounds: connections open, requests served
//! - `drain` the orderly end; `deadline` a timer that is cheap to move
//! - `origin` dialling and keeping connections to origins
//! - `rlimit` room for descriptors

pub mod arena;
pub mod conn;
pub mod deadline;
pub mod drain;
pub mod error;
pub mod inflight;
pub mod listener;
pub mod origin;
pub mod permits;
pub mod rlimit;
pub mod stream;
#[cfg(test)]
pub(crate) mod testing;
mod throttle;
pub mod tls;

pub use error::NetworkError;
