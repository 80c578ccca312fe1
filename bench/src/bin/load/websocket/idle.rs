//! `load websocket-idle`: conversations that said one message each and are silent now.
//!
//! What lines on stdin do, and the proof at the end, are as of `load idle`.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use ouli_bench::args::{Args, fail};

use super::message::Messages;
use super::opening;

pub(crate) fn main(args: &Args, addr: SocketAddr) {
    let count: usize = args.need("connections");
    let mut held = Vec::with_capacity(count);
    for speaker in 0..count {
        let mut one =
            Conversation { stream: opening::open(addr), messages: Messages::new(speaker) };
        one.say();
        one.hear();
        held.push(one);
    }
    crate::idle::hold(count, || say_all(&mut held));
    held.iter_mut().for_each(|one| opening::close(&mut one.stream));
    println!("{{\"connections\":{count}}}");
}

fn say_all(held: &mut [Conversation]) {
    held.iter_mut().for_each(Conversation::say);
    held.iter_mut().for_each(Conversation::hear);
}

struct Conversation {
    stream: TcpStream,
    messages: Messages,
}

impl Conversation {
    fn say(&mut self) {
        let sent = self.stream.write_all(self.messages.next());
        sent.unwrap_or_else(|e| fail(format!("sending: {e}")));
    }

    fn hear(&mut self) {
        let mut bytes = Vec::new();
        while !self.messages.is_echo(&bytes) {
            opening::read_more(&mut self.stream, &mut bytes);
        }
    }
}
