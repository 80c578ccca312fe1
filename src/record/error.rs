//! Why something can't be recorded.

use std::path::Path;

use crate::tape::lock::{ClaimError, SessionHeld};
use crate::tape::{DiskError, Loss};

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    SessionHeld(#[from] SessionHeld),
}

impl Error {
    pub(super) fn claim(error: ClaimError, folder: &Path) -> Self {
        match error {
            ClaimError::Held(held) => held.into(),
            ClaimError::Io(error) => {
                DiskError::new("claim a session in", folder, Loss::Nothing, error).into()
            }
        }
    }
}
