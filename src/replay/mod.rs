//! Which recording answers a request, and when.
//!
//! `library` holds a recording folder's sessions and loads each at first use, `source` says where
//! they are read from, `session` answers for one of them, `shelf` is the file that a large one's
//! recordings stand in, `index` finds a key's occurrences, `choose` gives out each occurrence once,
//! `call` follows a gRPC call or a WebSocket conversation message by message, `near` finds what a
//! missed request may have meant, and `pace` says how long to wait between the pieces of an answer.
//! Sends nothing and makes no answers: `answer` holds them once the road has made them.

pub mod answer;
mod bodies;
pub mod call;
pub mod choose;
#[cfg(test)]
pub(crate) mod fixture;
mod index;
pub mod library;
pub mod near;
pub mod pace;
pub mod session;
pub mod shelf;
pub mod source;

pub use bodies::BodyPath;
pub use library::Library;
pub use near::Near;
pub use session::{Choice, Hit, Recorded, Session, Settings};
