//! A scripted origin that speaks any of the four protocols. It records what it received, over
//! HTTP/1.1 byte for byte, and counts connections. What RFC 9112 or 9113 forbids to send fails the
//! test when the origin is dropped. Scripts run on threads of their own and may block.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::certificates::{Authority, Flaw, Identity};
use super::h1_origin;
use super::h2_origin::{self, H2Controls};
use super::h2_talk::H2Talk;
use super::message::Request;
use super::protocol::Protocol;
use super::reply::Reply;
use super::talk::Talk;
use super::tools::raise_descriptor_limit;
use super::wait::wait_until;
use super::ws::{self, Log, WsTalk};

/// From a request, and which one of its route it is.
type Answer = Box<dyn Fn(&Request, usize) -> Reply + Send + Sync>;

pub(super) enum Handler {
    /// An answer to the whole request, whatever it came over.
    Reply(Answer),
    Http1(Box<dyn Fn(&mut Talk<'_>) + Send + Sync>),
    H2(Box<dyn Fn(&mut H2Talk) + Send + Sync>),
    /// A conversation, whatever it came over.
    Ws(Box<dyn Fn(&mut WsTalk<'_>) + Send + Sync>),
}

pub struct Origin {
    address: SocketAddr,
    protocol: Protocol,
    shared: Arc<Shared>,
}

/// How an origin speaks TLS, where it does.
pub type Tls = Option<Arc<rustls::ServerConfig>>;

#[derive(Default)]
pub struct Shared {
    pub(super) h2: H2Controls,
    routes: Mutex<Vec<Arc<Route>>>,
    pub(super) requests: Mutex<Vec<Request>>,
    conversations: Mutex<Vec<Log>>,
    faults: Mutex<Vec<String>>,
    pub(super) full_handshakes: AtomicUsize,
    pub(super) failed_handshakes: Mutex<Vec<String>>,
    /// Every connection that is open, to be shut when the origin stops.
    open: Mutex<HashMap<usize, TcpStream>>,
    accepted: AtomicUsize,
    stopped: AtomicBool,
    forgives: AtomicBool,
}

pub(super) struct Route {
    /// A path without query; `*` at its end stands for any rest.
    path: String,
    hits: AtomicUsize,
    pub(super) handler: Handler,
}

impl Route {
    /// 1 for its first request.
    pub(super) fn count(&self) -> usize {
        self.hits.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl Shared {
    pub(super) fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Enters a request into the list; returns where it stands.
    pub(super) fn enter(&self, request: &Request) -> usize {
        let mut requests = self.requests.lock().unwrap();
        requests.push(request.clone());
        requests.len() - 1
    }

    /// Enters a conversation into the list, for its script to fill.
    pub(super) fn begin_conversation(&self) -> Log {
        let log = Log::default();
        self.conversations.lock().unwrap().push(log.clone());
        log
    }

    pub(super) fn note(&self, index: usize, request: &Request) {
        self.requests.lock().unwrap()[index] = request.clone();
    }
}

impl Origin {
    /// An origin on a port of its own, serving at once. Paths without a route get 404.
    pub fn http1() -> Self {
        Self::of(Protocol::Http1)
    }

    pub fn h2c() -> Self {
        Self::of(Protocol::H2c)
    }

    /// Over TLS, with a certificate that the tests' authority has signed.
    pub fn of(protocol: Protocol) -> Self {
        let certificate = protocol.is_tls().then(|| Identity::with(Flaw::None));
        let tls = certificate.map(|identity| identity.server_config(protocol, None));
        Self::start(protocol, tls)
    }

    /// Over TLS, with this certificate.
    pub fn with_certificate(protocol: Protocol, identity: &Identity) -> Self {
        assert!(protocol.is_tls());
        Self::start(protocol, Some(identity.server_config(protocol, None)))
    }

    /// Over TLS, and only for clients with a certificate that this authority signed.
    pub fn for_clients_of(protocol: Protocol, clients: &Authority) -> Self {
        let tls = Identity::with(Flaw::None).server_config(protocol, Some(clients));
        Self::start(protocol, Some(tls))
    }

    fn start(protocol: Protocol, tls: Tls) -> Self {
        raise_descriptor_limit();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        // More waiting connections than the 128 of std, for tests that open thousands.
        rustix::net::listen(&listener, 4096).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        thread::spawn(move || accept(&listener, protocol, &tls, &accepting));
        Origin { address, protocol, shared }
    }

    /// Lets a client have this many streams open, from the next connection on.
    pub fn max_streams(self, count: u32) -> Self {
        self.shared.h2.set_max_streams(count);
        self
    }

    /// Answers this path; the closure gets 1 for the first request, 2 for the second …
    pub fn route<R: Into<Reply>>(
        self,
        path: &str,
        answer: impl Fn(usize) -> R + Send + Sync + 'static,
    ) -> Self {
        self.handle(path, Handler::Reply(Box::new(move |_, nth| answer(nth).into())))
    }

    /// Answers this path after the whole request, which the closure sees.
    pub fn on<R: Into<Reply>>(
        self,
        path: &str,
        answer: impl Fn(&Request) -> R + Send + Sync + 'static,
    ) -> Self {
        self.handle(path, Handler::Reply(Box::new(move |request, _| answer(request).into())))
    }

    /// Answers this path with exactly these bytes, after the whole request.
    pub fn raw(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.script(path, move |talk| {
            h1_origin::read_politely(talk);
            talk.send(&bytes);
        })
    }

    /// Like `raw`, and then closes the connection.
    pub fn raw_then_close(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.script(path, move |talk| {
            h1_origin::read_politely(talk);
            talk.send(&bytes);
            talk.close();
        })
    }

    /// Runs once the head of a request has come; reads and sends what it likes. HTTP/1.1 only.
    pub fn script(self, path: &str, run: impl Fn(&mut Talk<'_>) + Send + Sync + 'static) -> Self {
        self.handle(path, Handler::Http1(Box::new(run)))
    }

    /// The same over HTTP/2, a thread for each stream.
    pub fn h2_script(self, path: &str, run: impl Fn(&mut H2Talk) + Send + Sync + 'static) -> Self {
        self.handle(path, Handler::H2(Box::new(run)))
    }

    /// Runs for each WebSocket handshake; over HTTP/2 the origin then announces that it takes them.
    pub fn ws(self, path: &str, run: impl Fn(&mut WsTalk<'_>) + Send + Sync + 'static) -> Self {
        self.shared.h2.set_takes_conversations(true);
        self.handle(path, Handler::Ws(Box::new(run)))
    }

    /// Grants every handshake, and gives every frame back as it came.
    pub fn ws_echo(self, path: &str) -> Self {
        self.ws(path, |talk| ws::echo(&mut talk.accept()))
    }

    /// Doesn't announce over HTTP/2 that it takes WebSocket handshakes, although it has a path for
    /// them.
    pub fn without_extended_connect(self) -> Self {
        self.shared.h2.set_takes_conversations(false);
        self
    }

    fn handle(self, path: &str, handler: Handler) -> Self {
        let (path, hits) = (path.to_owned(), AtomicUsize::new(0));
        self.shared.routes.lock().unwrap().push(Arc::new(Route { path, hits, handler }));
        self
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, or `h2c://`, or `https://`, as it stands on a command line.
    pub fn url(&self) -> String {
        format!("{}://{}", self.protocol.target_type(), self.address)
    }

    /// HTTP/2 streams that are open, and the most that ever were at the same time on one
    /// connection.
    pub fn open_streams(&self) -> usize {
        self.shared.h2.open_streams()
    }

    pub fn most_streams(&self) -> usize {
        self.shared.h2.most_streams()
    }

    /// Handshakes of HTTP/1.1 over TLS that took up no earlier session.
    pub fn full_handshakes(&self) -> usize {
        self.shared.full_handshakes.load(Ordering::SeqCst)
    }

    /// Handshakes that failed, and why.
    pub fn failed_handshakes(&self) -> Vec<String> {
        self.shared.failed_handshakes.lock().unwrap().clone()
    }

    /// Every request whose head has come, in that order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many handshakes have come, those that were refused included.
    pub fn conversations(&self) -> usize {
        self.shared.conversations.lock().unwrap().len()
    }

    /// What passed in a conversation, counted from 0 in the order of their handshakes.
    #[track_caller]
    pub fn conversation(&self, index: usize) -> Log {
        wait_until("the origin has the conversation", || {
            self.shared.conversations.lock().unwrap().get(index).cloned()
        })
    }

    /// Waits for the only request to this path, body included.
    #[track_caller]
    pub fn request(&self, path: &str) -> Request {
        wait_until(&format!("the origin has a whole request to {path}"), || {
            let mut named: Vec<_> = self.requests();
            named.retain(|request| request.path() == path && request.whole);
            match named.len() {
                1 => Ok(named.remove(0)),
                _ => Err(format!("{:?}", self.requests())),
            }
        })
    }

    /// Its clients are meant to break its protocol, which fails a test otherwise.
    pub fn forgiving(self) -> Self {
        self.shared.forgives.store(true, Ordering::SeqCst);
        self
    }

    /// How many connections it has accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    pub fn open_connections(&self) -> usize {
        self.shared.open.lock().unwrap().len()
    }

    /// Closes the port and every connection.
    pub fn stop(&self) {
        if !self.shared.stopped.swap(true, Ordering::SeqCst) {
            let _ = TcpStream::connect(self.address); // wakes the accepting thread
            wait_until("the origin's port is closed", || TcpStream::connect(self.address).is_err());
            let open = self.shared.open.lock().unwrap();
            open.values().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
        let faults = self.shared.faults.lock().unwrap();
        if thread::panicking() {
            faults.iter().for_each(|fault| eprintln!("the origin saw: {fault}"));
        } else {
            let forgives = self.shared.forgives.load(Ordering::SeqCst);
            assert!(forgives || faults.is_empty(), "the origin saw:\n{}", faults.join("\n"));
        }
    }
}

fn accept(listener: &TcpListener, protocol: Protocol, tls: &Tls, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        let (shared, tls) = (shared.clone(), tls.clone());
        // Thousands of connections at once: small stacks, with room for a handshake.
        let serve = thread::Builder::new().stack_size(512 << 10);
        let serve = serve.spawn(move || {
            stream.set_nodelay(true).unwrap();
            let listed = Listed::new(&shared, number, &stream);
            match protocol.is_h2() {
                true => h2_origin::serve(stream, tls, &shared),
                false => h1_origin::serve(stream, tls, listed),
            }
        });
        serve.unwrap();
    }
}

/// Takes a connection off the list of open ones, also when its script panics.
pub(super) struct Listed<'a>(pub(super) &'a Arc<Shared>, usize);

impl<'a> Listed<'a> {
    fn new(shared: &'a Arc<Shared>, number: usize, stream: &TcpStream) -> Self {
        shared.open.lock().unwrap().insert(number, stream.try_clone().unwrap());
        Listed(shared, number)
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.open.lock().unwrap().remove(&self.1);
        if thread::panicking() {
            self.0.fault("a script panicked; its message stands above".to_owned());
        }
    }
}

pub(super) fn no_route(path: &str) -> Reply {
    Reply::new(404).body(format!("no route for {path}"))
}

pub(super) fn find_route(shared: &Shared, path: &str) -> Option<Arc<Route>> {
    let routes = shared.routes.lock().unwrap();
    let fits = |route: &&Arc<Route>| match route.path.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => route.path == path,
    };
    routes.iter().find(fits).cloned()
}
