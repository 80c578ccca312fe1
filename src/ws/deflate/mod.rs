//! permessage-deflate (RFC 7692): what is agreed on, and messages compressed and inflated by it.
//!
//! Pure. `Terms` reads and answers the handshake. An `Inflater` follows one side of a conversation
//! message by message, because with context takeover none can be read without those before it. A
//! `Deflater` needs none of that: it refers back to no earlier message, which every receiver can
//! read whatever was agreed on, and gives the same bytes for the same message wherever it stands.
//!
//! Both hold memory only while it serves: an inflater between messages what the sender may refer
//! back to, and no more.

mod deflater;
mod inflater;
mod terms;
#[cfg(test)]
mod tests;

pub use deflater::Deflater;
pub use inflater::{Fault, Inflater};
pub use terms::{Agreement, Granted, Terms};
