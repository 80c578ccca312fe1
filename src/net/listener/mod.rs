//! Listening sockets: claiming a port, and the accept loop of each worker.

mod accept;
mod claim;
#[cfg(debug_assertions)]
mod sabotage;
#[cfg(test)]
mod tests;
mod trouble;

pub use accept::{Acceptor, Counts, REFUSED_LINGERING_MAX, Terms};
pub use claim::{Claimed, claim};
