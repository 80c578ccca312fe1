//! Descriptor sets that an endpoint names.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::config::read::{At, Reading};
use crate::grpc::Descriptors;

/// All of Google's public APIs together are a third of this.
const BYTES_MAX: u64 = 64 << 20;

/// The set in the file that the key names, a path relative to the configuration file.
///
/// Blocking: reads the file.
pub(super) fn load(reading: &mut Reading, at: &At<'_>) -> Option<Descriptors> {
    let text = reading.text(at)?.to_owned();
    let path = match reading.path.parent() {
        Some(folder) => folder.join(&text),
        None => text.into(),
    };
    let bytes = match read_file(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let reason = format!("`{}` can't be read: {error}", path.display());
            reading.refuse(at, reason, "a path here is relative to the configuration file");
            return None;
        }
    };
    Descriptors::parse(bytes.into())
        .map_err(|error| {
            let reason = format!("`{}` can't be used: {error}", path.display());
            reading.refuse(at, reason, error.hint());
        })
        .ok()
}

/// Errors: also what is no plain file, since it may never end, and what is too large.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "over 64 MiB")),
        false => Ok(bytes),
    }
}
