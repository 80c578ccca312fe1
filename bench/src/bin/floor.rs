//! The least that answering takes: one thread, one epoll instance, one read and one write for each request, and the same
//! bytes for all of them. It looks at nothing but where requests end, so no server can cost less.

use std::io::{self, ErrorKind, Read, Write};

use memchr::memmem;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use ouli_bench::args::{Args, fail};

const LISTENER: Token = Token(usize::MAX);

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

struct Connection {
    stream: TcpStream,
    /// What has come of a request that isn't whole.
    begun: Vec<u8>,
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    /// By their tokens.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    answer: Vec<u8>,
    input: Vec<u8>,
}

fn main() {
    let args = Args::from_env();
    if args.command != "serve" {
        fail(format!("unknown command {}", args.command));
    }
    serve(&args).unwrap_or_else(|error| fail(error));
}

fn serve(args: &Args) -> io::Result<()> {
    let mut listener = TcpListener::bind(args.need("listen"))?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening http://{}", listener.local_addr()?);
    println!("ready");
    Server {
        poll,
        listener,
        connections: Vec::new(),
        free: Vec::new(),
        answer: answer(&args.need_file("body")),
        input: vec![0; 16 << 10],
    }
    .run()
}

/// With the fields that the peers send.
fn answer(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nserver: floor\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

impl Server {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(index) => self.serve(index),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The client has left already.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or(self.connections.len());
            self.poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            if index == self.connections.len() {
                self.connections.push(None);
            }
            self.connections[index] = Some(Connection { stream, begun: Vec::new() });
        }
    }

    /// A connection ends with whatever goes wrong on it.
    fn serve(&mut self, index: usize) {
        let Some(Some(connection)) = self.connections.get_mut(index) else { return };
        if connection.serve(&mut self.input, &self.answer).is_err() {
            self.connections[index] = None;
            self.free.push(index);
        }
    }
}

impl Connection {
    fn serve(&mut self, input: &mut [u8], answer: &[u8]) -> io::Result<()> {
        loop {
            let count = match self.stream.read(input) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.answer(&input[..count], answer)?;
            // A read that isn't full has taken all there was: the next event tells of more.
            if count < input.len() {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, came: &[u8], answer: &[u8]) -> io::Result<()> {
        if self.begun.is_empty() && came.ends_with(END_OF_HEAD) {
            return self.send(memmem::find_iter(came, END_OF_HEAD).count(), answer);
        }
        self.begun.extend_from_slice(came);
        while let Some(at) = memmem::find(&self.begun, END_OF_HEAD) {
            self.begun.drain(..at + END_OF_HEAD.len());
            self.send(1, answer)?;
        }
        Ok(())
    }

    fn send(&mut self, count: usize, answer: &[u8]) -> io::Result<()> {
        (0..count).try_for_each(|_| self.stream.write_all(answer))
    }
}
