//! Connections to origins: dialling them and keeping them for the next request.
//!
//! One resolver and one pool per runtime, so that a connection never changes its thread. Which
//! request may go out on a kept connection, and which may go out twice, is decided elsewhere.

mod dial;
mod error;
mod identity;
mod names;
mod pool;

pub use dial::Dialer;
pub use error::{Attempt, DialError, Why};
pub use identity::{Origin, Origins, Speak};
pub use pool::{Connection, Pool, SPARE_MAX};
