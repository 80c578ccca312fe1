//! Bodies that lie in a file of their own, read as they are sent.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::coding::Encoder;
use crate::exchange::Coding;
use crate::http::fault::{Fault, Problem};
use crate::http::road::Stop;
use crate::http1::halves::Tx;

/// Sends the body of `len` bytes that lies in the file, with its coding on again.
///
/// Blocking: reads the file, from the page cache as a rule, on the runtime's thread.
pub(super) async fn send(
    path: &Path,
    len: u64,
    coding: Option<Coding>,
    tx: &mut Tx<'_>,
) -> Result<(), Stop> {
    let sent = match open_body(path, len) {
        Ok(file) => send_file(file, coding, tx).await,
        Err(error) => Err(broken_body(&error).into()),
    };
    if let Err(Stop::Fault(problem)) = &sent {
        tracing::error!("{}: {}", path.display(), problem.detail);
    }
    sent
}

fn broken_body(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Fault::BadCassette, format!("a body can't be read: {error}"))
}

fn open_body(path: &Path, len: u64) -> std::io::Result<File> {
    let file = File::open(path)?;
    let found = file.metadata()?.len();
    if found != len {
        return Err(std::io::Error::other(format!("expected {len} bytes, found {found}")));
    }
    Ok(file)
}

/// Reads this much of a stored body at a time.
const FILE_READ: usize = 64 << 10;

async fn send_file(mut file: File, coding: Option<Coding>, tx: &mut Tx<'_>) -> Result<(), Stop> {
    let mut encoder = coding.map(Encoder::new).transpose().map_err(|error| broken_body(&error))?;
    let mut buffer = vec![0; FILE_READ];
    let mut coded = Vec::new();
    loop {
        let count = file.read(&mut buffer).map_err(|error| broken_body(&error))?;
        if count == 0 {
            break;
        }
        match &mut encoder {
            None => tx.data(&buffer[..count]).await?,
            Some(encoder) => {
                coded.clear();
                encoder.push(&buffer[..count], &mut coded).map_err(|error| broken_body(&error))?;
                tx.data(&coded).await?;
            }
        }
    }
    if let Some(encoder) = encoder {
        coded.clear();
        encoder.finish(&mut coded).map_err(|error| broken_body(&error))?;
        tx.data(&coded).await?;
    }
    Ok(())
}
