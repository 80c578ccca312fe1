//! What the connections of one runtime share: idle origin connections and the tape.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use ouli_bench::args::fail;
use tokio::net::TcpStream;

pub(crate) trait Shared {
    fn open(tape: Option<&str>) -> Self;
    fn take_origin(&self) -> Option<TcpStream>;
    fn put_origin(&self, stream: TcpStream);
    /// Appends one exchange to the tape, if there is one.
    fn keep(&self, exchange: &[u8]) -> io::Result<()>;
}

/// For one thread: no locks.
pub(crate) struct Local {
    origins: RefCell<Vec<TcpStream>>,
    tape: Option<File>,
}

/// For all threads.
pub(crate) struct Stealable {
    origins: Mutex<Vec<TcpStream>>,
    tape: Option<Mutex<File>>,
}

fn open_tape(path: Option<&str>) -> Option<File> {
    let path = path?;
    let opened = OpenOptions::new().create(true).append(true).open(path);
    Some(opened.unwrap_or_else(|e| fail(format!("{path}: {e}"))))
}

impl Shared for Local {
    fn open(tape: Option<&str>) -> Self {
        Self { origins: RefCell::default(), tape: open_tape(tape) }
    }

    fn take_origin(&self) -> Option<TcpStream> {
        self.origins.borrow_mut().pop()
    }

    fn put_origin(&self, stream: TcpStream) {
        self.origins.borrow_mut().push(stream);
    }

    fn keep(&self, exchange: &[u8]) -> io::Result<()> {
        self.tape.as_ref().map_or(Ok(()), |mut tape| tape.write_all(exchange))
    }
}

impl Shared for Stealable {
    fn open(tape: Option<&str>) -> Self {
        Self { origins: Mutex::default(), tape: open_tape(tape).map(Mutex::new) }
    }

    fn take_origin(&self) -> Option<TcpStream> {
        self.origins.lock().ok()?.pop()
    }

    fn put_origin(&self, stream: TcpStream) {
        if let Ok(mut origins) = self.origins.lock() {
            origins.push(stream);
        }
    }

    fn keep(&self, exchange: &[u8]) -> io::Result<()> {
        let Some(tape) = &self.tape else { return Ok(()) };
        tape.lock().map_err(|_| io::Error::other("a writer panicked"))?.write_all(exchange)
    }
}

impl<S: Shared> Shared for Rc<S> {
    fn open(tape: Option<&str>) -> Self {
        Rc::new(S::open(tape))
    }

    fn take_origin(&self) -> Option<TcpStream> {
        S::take_origin(self)
    }

    fn put_origin(&self, stream: TcpStream) {
        S::put_origin(self, stream);
    }

    fn keep(&self, exchange: &[u8]) -> io::Result<()> {
        S::keep(self, exchange)
    }
}

impl<S: Shared> Shared for Arc<S> {
    fn open(tape: Option<&str>) -> Self {
        Arc::new(S::open(tape))
    }

    fn take_origin(&self) -> Option<TcpStream> {
        S::take_origin(self)
    }

    fn put_origin(&self, stream: TcpStream) {
        S::put_origin(self, stream);
    }

    fn keep(&self, exchange: &[u8]) -> io::Result<()> {
        S::keep(self, exchange)
    }
}
