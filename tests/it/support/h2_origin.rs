//! The HTTP/2 side of an origin: a task for each connection, a thread for each stream.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::h2_fields::from_map;
use super::h2_talk::H2Talk;
use super::message::{Headers, Request};
use super::origin::{Handler, Shared, Tls, find_route, no_route};
use super::tasks::runtime;
use super::ws;

/// What a test sets and reads of an origin's HTTP/2 connections.
#[derive(Default)]
pub struct H2Controls {
    /// Zero sets no limit.
    max_streams: AtomicU32,
    /// Whether it announces that it takes extended CONNECT.
    takes_conversations: AtomicBool,
    open: AtomicUsize,
    most: AtomicUsize,
}

impl H2Controls {
    pub fn set_max_streams(&self, count: u32) {
        self.max_streams.store(count, Ordering::SeqCst);
    }

    pub fn set_takes_conversations(&self, takes: bool) {
        self.takes_conversations.store(takes, Ordering::SeqCst);
    }

    pub fn open_streams(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub fn most_streams(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Bytes of an answer that wait for the client's window, per stream.
pub const SEND_BUFFER: usize = 16 << 10;

/// What a script may ask of its connection.
pub enum Order {
    /// A GOAWAY that lets open streams finish.
    GoAway,
    /// A GOAWAY with this code, and the end.
    Abort(u32),
}

/// Serves one connection to its end. Blocks.
pub fn serve(stream: TcpStream, tls: Tls, shared: &Arc<Shared>) {
    stream.set_nonblocking(true).unwrap();
    let shared = shared.clone();
    let served = runtime().spawn(async move {
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let Some(config) = tls else { return serve_io(stream, shared).await };
        match tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
            Ok(stream) => serve_io(stream, shared).await,
            Err(error) => shared.failed_handshakes.lock().unwrap().push(error.to_string()),
        }
    });
    let _ = runtime().block_on(served);
}

async fn serve_io<T: AsyncRead + AsyncWrite + Unpin>(io: T, shared: Arc<Shared>) {
    let mut builder = Builder::new();
    // Scripts may leave bodies unread for long, and clients may leave: no attack, here.
    builder.data_frame_budget(1 << 30).initial_connection_window_size(1 << 28);
    builder.max_send_buffer_size(SEND_BUFFER).max_pending_accept_reset_streams(1 << 20);
    if shared.h2.takes_conversations.load(Ordering::SeqCst) {
        builder.enable_connect_protocol();
    }
    match shared.h2.max_streams.load(Ordering::SeqCst) {
        0 => {}
        count => drop(builder.max_concurrent_streams(count)),
    }
    match builder.handshake(io).await {
        Ok(connection) => serve_streams(connection, &shared).await,
        Err(error) => note_end(&error, &shared),
    }
}

async fn serve_streams<T>(mut connection: Connection<T, Bytes>, shared: &Arc<Shared>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let open_here = Arc::new(AtomicUsize::new(0));
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let counted = Counted::new(shared, &open_here);
                    start_stream(request, respond, counted, orders.clone());
                }
                Some(Err(error)) => note_end(&error, shared),
                None => return,
            },
            Some(order) = ordered.recv() => match order {
                Order::GoAway => connection.graceful_shutdown(),
                Order::Abort(code) => connection.abrupt_shutdown(Reason::from(code)),
            },
        }
    }
}

/// What this side found wrong is the client's fault, and fails the test.
fn note_end(error: &h2::Error, shared: &Shared) {
    if error.is_library() {
        shared.fault(format!("a client broke HTTP/2: {error}"));
    }
}

/// Counts a stream for as long as its script runs.
struct Counted {
    shared: Arc<Shared>,
    here: Arc<AtomicUsize>,
}

impl Counted {
    fn new(shared: &Arc<Shared>, here: &Arc<AtomicUsize>) -> Self {
        shared.h2.open.fetch_add(1, Ordering::SeqCst);
        let open = here.fetch_add(1, Ordering::SeqCst) + 1;
        shared.h2.most.fetch_max(open, Ordering::SeqCst);
        Counted { shared: shared.clone(), here: here.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.here.fetch_sub(1, Ordering::SeqCst);
        self.shared.h2.open.fetch_sub(1, Ordering::SeqCst);
        if thread::panicking() {
            self.shared.fault("a script panicked; its message stands above".to_owned());
        }
    }
}

fn start_stream(
    head: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    counted: Counted,
    orders: mpsc::UnboundedSender<Order>,
) {
    let (parts, body) = head.into_parts();
    let request = request(&parts, body.is_end_stream());
    // Streams are entered in the order in which they came, not in that of their threads.
    let index = counted.shared.enter(&request);
    let route = find_route(&counted.shared, request.path());
    let nth = route.as_ref().map_or(0, |route| route.count());
    let serve = thread::Builder::new().stack_size(512 << 10);
    let serve = serve.spawn(move || {
        // Last to go, so that whoever waits for the count sees all that the script did.
        let counted = counted;
        let mut talk =
            H2Talk::new(request, body, respond, counted.shared.clone(), index, nth, orders);
        match route.as_ref().map(|route| &route.handler) {
            Some(Handler::H2(run)) => run(&mut talk),
            Some(Handler::Reply(answer)) => {
                read_politely(&mut talk);
                let reply = answer(talk.request(), nth);
                talk.reply(reply);
            }
            Some(Handler::Ws(script)) => {
                let shared = counted.shared.clone();
                ws::run(&mut talk, &shared, nth, script);
            }
            Some(Handler::Http1(_)) => {
                panic!("{} has a script for HTTP/1.1", talk.request().path())
            }
            None => {
                read_politely(&mut talk);
                let reply = no_route(talk.request().path());
                talk.reply(reply);
            }
        }
    });
    serve.unwrap();
}

/// Reads the body, and asks for it where the client waits to be asked.
fn read_politely(talk: &mut H2Talk) {
    if talk.request().headers.lists("expect", "100-continue") {
        talk.interim(100, &[]);
    }
    talk.read_body();
}

fn request(parts: &http::request::Parts, whole: bool) -> Request {
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str()).to_owned();
    let authority = parts.uri.authority().map_or("", |authority| authority.as_str()).to_owned();
    Request {
        method: parts.method.to_string(),
        target,
        version: "HTTP/2".to_owned(),
        authority,
        protocol: parts.extensions.get::<Protocol>().map(|name| name.as_str().to_owned()),
        headers: from_map(&parts.headers),
        body: Vec::new(),
        trailers: Headers::default(),
        raw_head: Vec::new(),
        whole,
    }
}
