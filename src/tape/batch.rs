//! Frames of several exchanges on their way to one tape.
//!
//! What is added waits in memory, and is handed to the kernel together: a write costs much more
//! than its bytes. Each who adds something holds a `Ticket` for it, and may let nothing pass
//! that it stands for before that was redeemed.
//!
//! Owns the end of the tape. Invariants: frames are on the tape in the order in which they were
//! added; where a write falls short, the parts that it has whole stay and all behind them are cut
//! back; what waits is bounded.

use std::cell::OnceCell;
use std::rc::Rc;

use super::disk::DiskError;
use super::writer::{Extent, Writer};

/// Bytes that wait; with more it is written whoever else is to come.
const WAITING_BYTES_MAX: usize = 64 << 10;

/// A part over this size is written at once, and not copied: its write costs little beside its
/// bytes, and those who wait shouldn't wait for them.
const PART_BYTES_MAX: usize = 16 << 10;

pub struct Batch {
    tape: Writer,
    waiting: Vec<u8>,
    /// Where each part of `waiting` ends.
    ends: Vec<usize>,
    /// Of the parts in `waiting`.
    fate: Rc<OnceCell<Fate>>,
    /// Why the last batch that fell short did, until somebody asks.
    fault: Option<DiskError>,
}

/// What became of a batch.
struct Fate {
    /// Its bytes that are on the tape, whole parts all of them.
    len: usize,
    /// Why the others aren't.
    error: Option<DiskError>,
}

/// Stands for one part.
#[derive(Clone)]
pub struct Ticket {
    fate: Rc<OnceCell<Fate>>,
    /// Where the part ends in its batch.
    end: usize,
}

impl Ticket {
    /// Whether the part is on the tape; none while it waits.
    pub fn fate(&self) -> Option<Result<(), DiskError>> {
        self.fate.get().map(|fate| match &fate.error {
            Some(error) if self.end > fate.len => Err(error.clone()),
            _ => Ok(()),
        })
    }
}

impl Batch {
    pub fn new(tape: Writer) -> Self {
        Batch { tape, waiting: Vec::new(), ends: Vec::new(), fate: Rc::default(), fault: None }
    }

    /// Adds whole frames of one exchange. Says where on the tape they will be, if they come there;
    /// without a ticket they are there. `behind` stands for what the same exchange added before.
    ///
    /// Errors: nothing of `frames` is on the tape, nor will be.
    pub fn add(
        &mut self,
        frames: &[u8],
        behind: Option<&Ticket>,
    ) -> Result<(Extent, Option<Ticket>), DiskError> {
        if frames.len() > PART_BYTES_MAX {
            return Ok((self.append(frames, behind)?, None));
        }
        let offset = self.tape.len() + self.waiting.len() as u64;
        self.waiting.extend_from_slice(frames);
        self.ends.push(self.waiting.len());
        let ticket = Ticket { fate: self.fate.clone(), end: self.waiting.len() };
        if self.waiting.len() > WAITING_BYTES_MAX {
            self.write();
        }
        Ok((Extent { offset, len: frames.len() as u64 }, Some(ticket)))
    }

    /// Hands whole frames to the kernel at once, behind those that wait. `behind` as of `add`: where
    /// that doesn't come to the tape, nothing may that follows it.
    ///
    /// Errors: nothing of `frames` is on the tape.
    pub fn append(&mut self, frames: &[u8], behind: Option<&Ticket>) -> Result<Extent, DiskError> {
        self.write();
        behind.map_or(Ok(()), |ticket| self.redeem(ticket))?;
        self.tape.append(frames)
    }

    /// Hands what waits to the kernel, if the part is among it.
    ///
    /// Errors: nothing of the part is on the tape.
    pub fn redeem(&mut self, ticket: &Ticket) -> Result<(), DiskError> {
        if let Some(fate) = ticket.fate() {
            return fate;
        }
        self.write();
        ticket.fate().unwrap_or(Ok(()))
    }

    /// In one write, unless that falls short.
    fn write(&mut self) {
        if self.ends.is_empty() {
            return;
        }
        let fate = match self.tape.append_parts(&self.waiting, &self.ends) {
            Ok(()) => Fate { len: self.waiting.len(), error: None },
            Err((len, error)) => {
                self.fault = Some(error.clone());
                Fate { len, error: Some(error) }
            }
        };
        self.waiting.clear();
        self.ends.clear();
        let _ = std::mem::take(&mut self.fate).set(fate);
    }

    /// Why a batch fell short since this was last asked: those who added something may be gone.
    pub fn take_fault(&mut self) -> Option<DiskError> {
        self.fault.take()
    }

    /// As `Writer::read_back`, of what was written.
    pub fn read_back(&self, extents: &[Extent], out: &mut Vec<u8>) -> Result<(), DiskError> {
        self.tape.read_back(extents, out)
    }
}

/// What waits is written: all who would have had it written may be gone.
impl Drop for Batch {
    fn drop(&mut self) {
        self.write();
    }
}
