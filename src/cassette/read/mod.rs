//! Reading a cassette: the file, and the outermost level of the document in it.
//!
//! A file is never trusted: a person may have edited it, or anyone may have sent it. Whatever is
//! wrong is noted with its place and reading goes on, so that one run finds all of it; only where
//! the text stops being JSON must it stop. Exchanges are taken one by one, so that no tree of the
//! whole file is ever in memory.

mod body;
mod call;
mod conversation;
mod exchange;
pub(crate) mod keys;
mod notes;
mod stream;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::bodies::{Bodies, BodyError};
use super::fault::{Finding, Place, ReadError};
use super::json::{Node, Parser, SyntaxError};
use super::{Cassette, EndpointNote, FORMAT, migrations};
use crate::grpc::{Catalog, Descriptors};
use exchange::NamedSet;
use notes::{Notes, Step};
pub use stream::{Exchanges, One, Unfit};

/// Bytes of a file in which its endpoints are looked for first.
const HEAD_BYTES: usize = 16 << 10;

/// The cassette at `path`, whole. Of body files only the descriptor sets that it names are looked
/// at; `Bodies::open` does the others on use. What `descriptors` says of an endpoint goes before
/// what the cassette names.
///
/// # Errors
/// `ReadError::Faulty` with the first of the faults that `check` would list.
///
/// # Blocking
/// Reads the file, and descriptor sets.
pub fn read(path: &Path, bodies: &Bodies, descriptors: &Catalog) -> Result<Cassette, ReadError> {
    let bytes = read_file(path).map_err(|source| unreadable(path, source))?;
    let around = Around { bodies: Some(bodies), descriptors };
    read_with(&bytes, around).map_err(|findings| faulty(path, findings))
}

/// As `read`, from memory and without `bodies/`, with all findings and at least one.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_bytes(bytes: &[u8]) -> Result<Cassette, Vec<Finding>> {
    read_with(bytes, Around { bodies: None, descriptors: &Catalog::new() })
}

/// As `read`, of a cassette whose text is at hand.
///
/// # Errors
/// Everything that is wrong with it.
///
/// # Blocking
/// Reads descriptor sets.
pub fn read_text(
    text: &str,
    bodies: &Bodies,
    descriptors: &Catalog,
) -> Result<Cassette, Vec<Finding>> {
    read_with(text.as_bytes(), Around { bodies: Some(bodies), descriptors })
}

/// What a reader has besides the text.
#[derive(Clone, Copy)]
struct Around<'a> {
    /// Where descriptor sets are that the text names.
    bodies: Option<&'a Bodies>,
    /// Those that go before.
    descriptors: &'a Catalog,
}

fn read_with(bytes: &[u8], around: Around<'_>) -> Result<Cassette, Vec<Finding>> {
    let document = Document::read(bytes, Extent::Whole, around);
    match document.notes.is_empty() {
        true => Ok(document.cassette),
        false => Err(document.notes.into_findings(bytes)),
    }
}

/// The endpoints of the cassette at `path`. Reads no more of the file than it must, which is its
/// beginning unless keys were moved; what is wrong further on goes unseen.
///
/// # Errors
/// As `read`.
///
/// # Blocking
/// Reads the file.
pub fn read_endpoints(path: &Path) -> Result<Vec<EndpointNote>, ReadError> {
    let head = read_head(path, HEAD_BYTES as u64).map_err(|source| unreadable(path, source))?;
    // A text cut off between two characters is as good as one cut off a little earlier.
    let valid = head.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
    let around = Around { bodies: None, descriptors: &Catalog::new() };
    let head = head.get(..valid).unwrap_or_default();
    let document = Document::read(head, Extent::Endpoints, around);
    if document.endpoints_read && document.notes.is_empty() {
        return Ok(document.cassette.endpoints);
    }
    let bytes = read_file(path).map_err(|source| unreadable(path, source))?;
    let document = Document::read(&bytes, Extent::Endpoints, around);
    match document.notes.is_empty() {
        true => Ok(document.cassette.endpoints),
        false => Err(faulty(path, document.notes.into_findings(&bytes))),
    }
}

/// Everything that is wrong with the cassette at `path`, in the order of the file: its own text,
/// and the body files it names under `recording_dir`, which are read through. Empty if all is well.
///
/// # Blocking
/// Reads the file and all body files it names.
pub fn check(path: &Path, recording_dir: &Path) -> Vec<Finding> {
    let bytes = match read_file(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("could not read `{}`: {error}", path.display());
            return vec![Finding { place: None, path: String::new(), message }];
        }
    };
    let bodies = Bodies::new(recording_dir);
    let around = Around { bodies: Some(&bodies), descriptors: &Catalog::new() };
    let mut document = Document::read(&bytes, Extent::Whole, around);
    document.notes.check_files(&bodies);
    document.notes.into_findings(&bytes)
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Not a pipe or a device, which may never end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    fs::read(path)
}

fn read_head(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let mut head = Vec::new();
    File::open(path)?.take(bytes_max).read_to_end(&mut head)?;
    Ok(head)
}

fn unreadable(path: &Path, source: io::Error) -> ReadError {
    ReadError::Unreadable { path: path.to_owned(), source }
}

fn faulty(path: &Path, findings: Vec<Finding>) -> ReadError {
    let more = findings.len().saturating_sub(1);
    let unknown = || Finding { place: None, path: String::new(), message: "faulty".to_owned() };
    let first = findings.into_iter().next().unwrap_or_else(unknown);
    ReadError::Faulty { path: path.to_owned(), first, more }
}

/// Findings that are told; more of them help nobody, and a hostile file could have millions.
const FINDINGS_MAX: usize = 1000;

/// How much of a document is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    /// Up to and including the endpoints.
    Endpoints,
}

/// A document as far as it has been read.
struct Document<'r> {
    around: Around<'r>,
    cassette: Cassette,
    notes: Notes,
    format: Option<u64>,
    format_read: bool,
    endpoints_read: bool,
    /// All of them are known by name.
    endpoints_sound: bool,
    /// Where each exchange says its endpoint; checked at the end, when all endpoints are known.
    endpoints_named: Vec<(usize, usize, String)>,
}

impl<'r> Document<'r> {
    fn read(bytes: &[u8], extent: Extent, around: Around<'r>) -> Document<'r> {
        let mut document = Document {
            around,
            cassette: Cassette::default(),
            notes: Notes::default(),
            format: None,
            format_read: false,
            endpoints_read: false,
            endpoints_sound: false,
            endpoints_named: Vec::new(),
        };
        // A byte order mark may be ignored (RFC 8259 section 8.1); editors leave it.
        let bom = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let chunk = bytes.get(bom..).unwrap_or_default().utf8_chunks().next();
        let text = chunk.as_ref().map_or("", |chunk| chunk.valid());
        document.notes.set_base(bom);
        if let Some(&byte) = chunk.as_ref().and_then(|chunk| chunk.invalid().first()) {
            let message = format!("expected UTF-8 text, found the byte 0x{byte:02x}");
            document.notes.note(text.len(), message);
            return document;
        }
        if let Err(error) = document.walk(text, extent) {
            document.notes.note(error.at, error.message);
        }
        document
    }

    fn walk(&mut self, text: &str, extent: Extent) -> Result<(), SyntaxError> {
        let mut parser = Parser::new(text);
        let (at, byte) = parser.peek();
        if byte != Some(b'{') {
            let node = parser.value()?;
            self.notes.expected(&node, "a cassette, which is an object");
            return Ok(());
        }
        parser.open()?;
        let mut seen: Vec<String> = Vec::new();
        while let Some((key_at, key)) = parser.next_key(seen.is_empty())? {
            let again = seen.iter().any(|earlier| *earlier == key);
            if again {
                self.notes.repeated(key_at, &key);
            }
            seen.push(key.to_string());
            match &*key {
                _ if again => drop(parser.value()?),
                "format" if self.format_read => drop(parser.value()?),
                "format" => self.read_format(&parser.value()?),
                "endpoints" if self.endpoints_read => drop(parser.value()?),
                "endpoints" => self.read_endpoints(&parser.value()?),
                "exchanges" => {
                    // Where keys were moved: an exchange means nothing without its format.
                    if !self.format_read
                        && let Some(node) = find(text, "format")?
                    {
                        self.read_format(&node);
                    }
                    // And a message may mean nothing without its endpoint's descriptors.
                    if !self.endpoints_read
                        && let Some(node) = find(text, "endpoints")?
                    {
                        self.read_endpoints(&node);
                    }
                    self.read_exchanges(&mut parser)?;
                }
                _ => {
                    self.notes.unknown_key(key_at, &key, &keys::CASSETTE);
                    parser.value()?;
                }
            }
            self.notes.repeated_keys(&mut parser);
            if self.is_newer() || (extent == Extent::Endpoints && self.endpoints_read) {
                return Ok(());
            }
        }
        parser.end()?;
        self.require_keys(at, &seen);
        if self.endpoints_sound {
            self.check_endpoint_names();
        }
        Ok(())
    }

    /// What a newer Ouli wrote is not for this one to judge.
    fn is_newer(&self) -> bool {
        self.format.is_some_and(|format| format > FORMAT)
    }

    fn read_format(&mut self, node: &Node<'_>) {
        self.format_read = true;
        self.format = self.notes.within(Step::Key("format"), |notes| {
            let format = notes::whole_number(node).filter(|format| *format > 0);
            match format {
                Some(format) if format > FORMAT => notes.expected(
                    node,
                    &format!("a format up to {FORMAT} (a newer Ouli wrote this cassette)"),
                ),
                Some(_) => {}
                None => notes.expected(node, "the number of a format"),
            }
            format
        });
    }

    fn read_endpoints(&mut self, node: &Node<'_>) {
        self.endpoints_read = true;
        let mut sets = Vec::new();
        let endpoints = self
            .notes
            .within(Step::Key("endpoints"), |notes| exchange::endpoints(notes, node, &mut sets));
        self.endpoints_sound = endpoints.is_some();
        self.cassette.endpoints = endpoints.unwrap_or_default();
        self.read_descriptors(&sets);
    }

    fn read_descriptors(&mut self, sets: &[NamedSet]) {
        for note in &self.cassette.endpoints {
            if let Some(set) = self.around.descriptors.get(&note.name) {
                self.cassette.descriptors.insert(note.name.clone(), Arc::clone(set));
            }
        }
        let Some(bodies) = self.around.bodies else { return };
        for named in sets {
            if self.cassette.descriptors.contains_key(&named.endpoint) {
                continue;
            }
            let path = [Step::Key("endpoints"), Step::Index(named.index)];
            match open_descriptors(bodies, named) {
                Ok(set) => {
                    self.cassette.descriptors.insert(named.endpoint.clone(), Arc::new(set));
                }
                Err(message) => self.notes.within(path[0], |notes| {
                    notes.within(path[1], |notes| {
                        notes.within(Step::Key("grpc_descriptors"), |notes| {
                            notes.note(named.at, message);
                        });
                    });
                }),
            }
        }
    }

    fn read_exchanges(&mut self, parser: &mut Parser<'_>) -> Result<(), SyntaxError> {
        if parser.peek().1 != Some(b'[') {
            let node = parser.value()?;
            self.notes.within(Step::Key("exchanges"), |notes| {
                notes.expected(&node, "an array of exchanges");
            });
            return Ok(());
        }
        parser.open()?;
        let mut index = 0;
        while !self.is_newer() && parser.next_element(index == 0)? {
            let node = parser.value()?;
            self.notes.within(Step::Key("exchanges"), |notes| {
                notes.within(Step::Index(index), |notes| notes.repeated_keys(parser));
            });
            let node = migrations::upgrade(self.format.unwrap_or(FORMAT), node);
            self.read_exchange(index, &node);
            index += 1;
        }
        Ok(())
    }

    fn read_exchange(&mut self, index: usize, node: &Node<'_>) {
        let read = self.notes.within(Step::Key("exchanges"), |notes| {
            notes.within(Step::Index(index), |notes| {
                exchange::exchange(notes, node, &self.cassette.descriptors)
            })
        });
        if let Some((exchange, endpoint_at)) = read {
            self.endpoints_named.push((index, endpoint_at, exchange.endpoint.clone()));
            self.cassette.exchanges.push(exchange);
        }
    }

    fn require_keys(&mut self, at: usize, seen: &[String]) {
        for key in keys::CASSETTE.keys {
            if !seen.iter().any(|there| there == key) {
                self.notes.missing(at, key);
            }
        }
    }

    fn check_endpoint_names(&mut self) {
        let names: Vec<&str> = self.cassette.endpoints.iter().map(|note| &*note.name).collect();
        for (index, at, name) in &self.endpoints_named {
            if !names.contains(&&**name) {
                self.notes.unknown_endpoint(*index, *at, name, &names);
            }
        }
    }
}

/// The value under a key of the outermost object, wherever it stands.
fn find<'a>(text: &'a str, wanted: &str) -> Result<Option<Node<'a>>, SyntaxError> {
    let mut parser = Parser::new(text);
    parser.peek();
    parser.open()?;
    let mut first = true;
    while let Some((_, key)) = parser.next_key(first)? {
        let node = parser.value()?;
        if key == wanted {
            return Ok(Some(node));
        }
        first = false;
    }
    Ok(None)
}

fn open_descriptors(bodies: &Bodies, named: &NamedSet) -> Result<Descriptors, String> {
    let bytes = bodies.read(named.digest, named.len).map_err(|error| error.to_string())?;
    let path = bodies.path_of(named.digest);
    let set = Descriptors::parse(bytes.into())
        .map_err(|error| format!("the descriptor set `{}`: {error}", path.display()))?;
    if set.digest() != named.digest {
        let found = set.digest();
        return Err(BodyError::WrongDigest { path, found }.to_string());
    }
    Ok(set)
}

impl Notes {
    /// As people are told them, in the order of the file.
    fn into_findings(self, bytes: &[u8]) -> Vec<Finding> {
        let count = self.count();
        let finding = |fault: notes::Fault| Finding {
            place: Some(Place::of(bytes, fault.at)),
            path: fault.path,
            message: fault.message,
        };
        let mut findings: Vec<Finding> = self.into_faults().into_iter().map(finding).collect();
        if let more @ 1.. = count - findings.len() {
            let message = format!("and {more} more");
            findings.push(Finding { place: None, path: String::new(), message });
        }
        findings
    }
}
