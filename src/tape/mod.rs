//! The tape: the append-only file that a recording run writes and that survives its death.
//!
//! `format` is the bytes, `writer` and `reader` the two ends of a file, `batch` what several exchanges
//! write together, `recover` what the frames
//! of a tape mean, `lock` which runs live, `names` what their files are called, and `disk` the seam
//! that tests break. Knows nothing of cassettes' contents: `seal` turns tapes into those.
//!
//! Invariants: a reader yields a prefix of what was written, whatever happened to the end of the
//! file; a flipped bit ends the tape there and never changes an exchange; the tape of a live run is
//! touched by nobody else.

pub mod assemble;
pub mod batch;
mod call;
pub(crate) mod codes;
mod conversation;
pub mod disk;
#[cfg(test)]
pub(crate) mod faulty;
pub mod format;
mod given;
mod index;
mod inflate;
pub mod lock;
pub mod names;
#[cfg(any(test, fuzzing))]
pub mod property;
pub mod reader;
pub mod recover;
pub(crate) mod wire;
pub mod writer;

#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskError, DiskFile, Loss, RealDisk};
pub use format::{Part, Side};
pub use names::RunId;
pub use reader::{KeepMessage, ReadError, TapeRun, Torn};
