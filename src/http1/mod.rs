//! HTTP/1.1: a codec without I/O for the server and the client role, and what drives it.
//!
//! Owns heads (`head`: finding their end, parsing them), what a head says about its body and its
//! connection (`framing`), taking bodies apart (`body`) and writing all of it (`writer`): pure, they
//! know no socket, clock or runtime. `server` drives a client's connection, `client` an exchange
//! with an origin; `receiver`, `input` and `halves` are what both are made of.
//!
//! Invariants:
//! - The events don't depend on how the input was cut into reads, and no byte is searched twice.
//! - What is accepted has one reading: where RFC 9110 and 9112 let a recipient be lenient in a way
//!   that another recipient may read differently, the message is refused, with its reason.
//! - What is accepted is kept as it stood: order, case and repetition of fields.
//! - No input makes it panic or keep more than the limits it was given.

pub mod body;
mod chunk;
pub mod client;
mod diagnose;
pub mod framing;
pub mod grammar;
pub mod halves;
pub mod head;
pub mod input;
mod lines;
#[cfg(any(test, fuzzing))]
pub mod property;
pub mod receiver;
mod refusal;
mod scan;
pub mod server;
mod target;
#[cfg(test)]
mod tests;
pub mod writer;

pub use refusal::Refusal;
