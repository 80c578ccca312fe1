//! The HTTP/1.1 side of an origin: a thread for each connection.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::message::{Headers, Request};
use super::origin::{Handler, Listed, Shared, Tls, find_route, no_route};
use super::socket::Socket;
use super::talk::{After, Talk};
use super::wire::{Framing, Stop, Wire, declared_framing, parse_head};
use super::ws;

/// Serves one connection to its end.
pub fn serve(stream: TcpStream, tls: Tls, listed: Listed<'_>) {
    let shared = listed.0;
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let socket = match tls {
        None => Socket::Plain(stream),
        Some(config) => match Socket::server(stream, config) {
            Ok(socket) => {
                if !socket.was_resumed() {
                    shared.full_handshakes.fetch_add(1, Ordering::SeqCst);
                }
                socket
            }
            Err(error) => {
                return shared.failed_handshakes.lock().unwrap().push(error.to_string());
            }
        },
    };
    let mut wire = Wire::new(socket);
    let last = loop {
        match serve_request(&mut wire, shared) {
            Some(After::KeepAlive) => {}
            Some(last) => break last,
            None => break After::Close,
        }
    };
    drop(listed);
    match last {
        After::Reset => {
            let socket = socket2::SockRef::from(wire.stream.tcp());
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        After::Truncate => drop(wire.stream.tcp().shutdown(Shutdown::Both)),
        _ => wire.stream.finish(Shutdown::Both),
    }
}

/// Serves one request; `None` when no more come.
fn serve_request(wire: &mut Wire, shared: &Arc<Shared>) -> Option<After> {
    let head = match wire.head() {
        Ok(head) => head,
        Err(_) => {
            if !wire.waiting().is_empty() && !shared.has_stopped() {
                let part = wire.waiting().escape_ascii().to_string();
                shared.fault(format!("half a request head: {part}"));
            }
            return None;
        }
    };
    let (request, framing) = match parse_request(&head) {
        Ok(parsed) => parsed,
        Err(stop) => {
            shared.fault(format!("{stop:?} in {}", head.escape_ascii()));
            return None;
        }
    };
    let path = request.path().to_owned();
    let route = find_route(shared, &path);
    let index = shared.enter(&request);
    let nth = route.as_ref().map_or(0, |route| route.count());
    let mut talk = Talk { wire, shared, index, request, framing, nth, after: After::KeepAlive };
    match route.as_ref().map(|route| &route.handler) {
        Some(Handler::Http1(run)) => run(&mut talk),
        Some(Handler::Reply(answer)) => {
            read_politely(&mut talk);
            talk.reply(answer(talk.request(), nth));
        }
        Some(Handler::Ws(script)) => ws::run(&mut talk, shared, nth, script),
        Some(Handler::H2(_)) => panic!("{path} has a script for HTTP/2"),
        None => {
            read_politely(&mut talk);
            talk.reply(no_route(&path));
        }
    }
    match talk.after {
        After::KeepAlive if !talk.request.whole => Some(After::Close),
        after => Some(after),
    }
}

/// Reads the body the way a good origin does: asks for it where the client waits to be asked.
pub fn read_politely(talk: &mut Talk<'_>) {
    if talk.request().headers.lists("expect", "100-continue") {
        talk.send("HTTP/1.1 100 Continue\r\n\r\n");
    }
    talk.read_body();
}

fn parse_request(head: &[u8]) -> Result<(Request, Framing), Stop> {
    let (start, headers) = parse_head(head)?;
    let parts: Vec<&str> = start.split(' ').collect();
    let [method, target, version] = parts[..] else {
        return Err(Stop::Malformed(format!("a request line `{start}`")));
    };
    if headers.all("host").len() != 1 {
        return Err(Stop::Malformed("not exactly one Host".to_owned()));
    }
    let framing = declared_framing(&headers, Framing::None)?;
    let whole = matches!(framing, Framing::None | Framing::Length(0));
    let [method, target, version] = [method, target, version].map(str::to_owned);
    let authority = headers.all("host")[0].to_owned();
    let request = Request {
        method,
        target,
        version,
        authority,
        protocol: None,
        headers,
        body: Vec::new(),
        trailers: Headers::default(),
        raw_head: head.to_vec(),
        whole,
    };
    Ok((request, framing))
}
