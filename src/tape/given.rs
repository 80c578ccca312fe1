//! What a body is had from that isn't whole on the tape: its own file, or, of a gRPC call, the
//! messages in either.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::assemble::{Assembly, Given, Place};
use super::call::{self, Ends};
use super::format::Side;
use super::reader::{BodyFile, KeepMessage, ReadError, Tape, TapeRun, place_of};
use crate::exchange::{After, Seq};
use crate::grpc::encoding;

/// A streamed answer up to this size is given in its pieces even when its bytes are in a file;
/// pieces are held in memory, and beyond this it is a file rather than a conversation.
const STREAM_BYTES_MAX: u64 = 16 << 20;

impl TapeRun {
    /// The body, unless its bytes on the tape are all of it, and where the messages in it end.
    pub(super) fn given(
        &self,
        body: &Wanted<'_>,
        side: Side,
        of_request: Option<&Ends>,
    ) -> Result<(Option<Given>, Ends), ReadError> {
        let place = body.assembly.place(side);
        match body.assembly.call(side) {
            Some(fields) if matches!(place, Place::Tape | Place::File) => {
                let mut path = body.tape.path.clone();
                let mut source: Box<dyn io::Read> = Box::new(body.assembly.bytes(side));
                if place == Place::File {
                    path = self.body_file(body.tape, body.seq, side)?.1;
                    let file = File::open(&path).map_err(|error| ReadError::io(&path, error))?;
                    source = Box::new(file);
                }
                let coding = encoding::of(fields);
                let keep = |message| (body.keep)(coding, message).map_err(SplitError::Keep);
                let split = call::split(
                    body.assembly.reads(side),
                    &mut *source,
                    &|mark| of_request.map_or(After::End, |ends| ends.after(mark)),
                    &keep,
                );
                let (messages, ends) = split.map_err(|error| error.at(&path))?;
                Ok((Some(Given::Messages(messages)), ends))
            }
            _ if place == Place::File => {
                let given = self.file_body(body.tape, body.seq, side, body.assembly)?;
                Ok((Some(given), Ends::default()))
            }
            _ => Ok((None, Ends::default())),
        }
    }

    fn file_body(
        &self,
        tape: &Tape,
        seq: Seq,
        side: Side,
        assembly: &Assembly,
    ) -> Result<Given, ReadError> {
        let (file, path) = self.body_file(tape, seq, side)?;
        let in_pieces = side == Side::Response && assembly.is_in_pieces();
        if in_pieces && file.len <= STREAM_BYTES_MAX {
            let bytes = fs::read(&path).map_err(|error| ReadError::io(&path, error))?;
            return Ok(Given::Read(Bytes::from(bytes)));
        }
        Ok(Given::Named { digest: file.digest, len: file.len })
    }

    /// A body's file, and where it is now.
    fn body_file(
        &self,
        tape: &Tape,
        seq: Seq,
        side: Side,
    ) -> Result<(&BodyFile, PathBuf), ReadError> {
        let Some(file) = self.files.get(&(seq, side)) else {
            return Err(ReadError::BodyLost { path: tape.body_path(seq, side) });
        };
        let path = place_of(file);
        let on_disk = fs::metadata(&path).map(|metadata| metadata.len());
        if !on_disk.is_ok_and(|len| len == file.len) {
            return Err(ReadError::BodyLost { path });
        }
        Ok((file, path))
    }
}

/// An exchange whose bodies are wanted.
pub(super) struct Wanted<'a> {
    pub(super) tape: &'a Tape,
    pub(super) seq: Seq,
    pub(super) assembly: &'a Assembly,
    pub(super) keep: KeepMessage<'a>,
}

/// Why a body couldn't be made messages.
enum SplitError {
    Read(io::Error),
    Keep(ReadError),
}

impl From<io::Error> for SplitError {
    fn from(error: io::Error) -> Self {
        SplitError::Read(error)
    }
}

impl SplitError {
    fn at(self, path: &Path) -> ReadError {
        match self {
            SplitError::Read(error) => ReadError::io(path, error),
            SplitError::Keep(error) => error,
        }
    }
}
