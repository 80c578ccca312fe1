//! The command line: one file per command, and the arguments they take.

pub mod args;
pub mod invocation;
mod origin;

pub use args::{Check, Command, Stop, parse};
pub use invocation::{Invocation, Level, Log, LogFormat};

pub use crate::config::{Mode, Pace};

#[cfg(test)]
mod tests;
