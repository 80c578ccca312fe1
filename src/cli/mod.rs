//! The command line: one file per command, and the arguments they take.

pub mod args;
pub mod ca;
pub mod check;
pub mod demo;
mod invocation;
mod origin;
pub mod serve;

pub use args::{Cassettes, Check, Command, Stop, parse};

pub use crate::config::{Mode, Pace};
pub use crate::server::Invocation;
use crate::telemetry;
pub use crate::telemetry::{Level, Log, LogFormat};

/// Prints why a command failed, for a person: the chain of causes once, then what to do.
fn report(error: anyhow::Error, hint: Option<&str>) {
    telemetry::tell(format_args!("error: {error}"));
    let mut told = error.to_string();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if !told.contains(&text) {
            telemetry::tell(format_args!("  caused by: {text}"));
        }
        told = text;
    }
    if let Some(hint) = hint {
        telemetry::tell(format_args!("hint: {hint}"));
    }
}

#[cfg(test)]
mod tests;
