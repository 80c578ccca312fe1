//! A scripted HTTP/1.1 origin on std threads. It records what it received byte for byte, and
//! counts connections. A request that RFC 9112 forbids to send fails the test when it is dropped.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::message::{Headers, Request};
use super::reply::Reply;
use super::talk::{After, Talk};
use super::tools::raise_descriptor_limit;
use super::wait::wait_until;
use super::wire::{Framing, Stop, Wire, declared_framing, parse_head};

type Handler = Arc<dyn Fn(&mut Talk<'_>) + Send + Sync>;

pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
pub struct Shared {
    routes: Mutex<Vec<Arc<Route>>>,
    pub(super) requests: Mutex<Vec<Request>>,
    faults: Mutex<Vec<String>>,
    /// Every connection that is open, to be shut when the origin stops.
    open: Mutex<HashMap<usize, TcpStream>>,
    accepted: AtomicUsize,
    stopped: AtomicBool,
}

struct Route {
    /// A path without query; `*` at its end stands for any rest.
    path: String,
    hits: AtomicUsize,
    handler: Handler,
}

impl Shared {
    pub(super) fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }
}

impl Origin {
    /// An origin on a port of its own, serving at once. Paths without a route get 404.
    pub fn http1() -> Self {
        raise_descriptor_limit();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        // More waiting connections than the 128 of std, for tests that open thousands.
        rustix::net::listen(&listener, 4096).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        thread::spawn(move || accept(&listener, &accepting));
        Origin { address, shared }
    }

    /// Answers this path; the closure gets 1 for the first request, 2 for the second …
    pub fn route<R: Into<Reply>>(
        self,
        path: &str,
        answer: impl Fn(usize) -> R + Send + Sync + 'static,
    ) -> Self {
        self.script(path, move |talk| {
            read_politely(talk);
            talk.reply(answer(talk.nth()));
        })
    }

    /// Answers this path after the whole request, which the closure sees.
    pub fn on<R: Into<Reply>>(
        self,
        path: &str,
        answer: impl Fn(&Request) -> R + Send + Sync + 'static,
    ) -> Self {
        self.script(path, move |talk| {
            read_politely(talk);
            talk.reply(answer(talk.request()));
        })
    }

    /// Answers this path with exactly these bytes, after the whole request.
    pub fn raw(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.script(path, move |talk| {
            read_politely(talk);
            talk.send(&bytes);
        })
    }

    /// Like `raw`, and then closes the connection.
    pub fn raw_then_close(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.script(path, move |talk| {
            read_politely(talk);
            talk.send(&bytes);
            talk.close();
        })
    }

    /// Runs once the head of a request has come; reads and sends what it likes.
    pub fn script(self, path: &str, run: impl Fn(&mut Talk<'_>) + Send + Sync + 'static) -> Self {
        let (path, hits, handler) =
            (path.to_owned(), AtomicUsize::new(0), Arc::new(run) as Handler);
        self.shared.routes.lock().unwrap().push(Arc::new(Route { path, hits, handler }));
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request whose head has come, in that order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
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
            assert!(faults.is_empty(), "the origin saw:\n{}", faults.join("\n"));
        }
    }
}

/// Reads the body the way a good origin does: asks for it where the client waits to be asked.
fn read_politely(talk: &mut Talk<'_>) {
    if talk.request().headers.lists("expect", "100-continue") {
        talk.send("HTTP/1.1 100 Continue\r\n\r\n");
    }
    talk.read_body();
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        let shared = shared.clone();
        // Thousands of connections at once: small stacks.
        let serve = thread::Builder::new().stack_size(256 << 10);
        serve.spawn(move || serve_connection(stream, number, &shared)).unwrap();
    }
}

/// Takes a connection off the list of open ones, also when its script panics.
struct Listed<'a>(&'a Shared, usize);

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.open.lock().unwrap().remove(&self.1);
        if thread::panicking() {
            self.0.fault("a script panicked; its message stands above".to_owned());
        }
    }
}

fn serve_connection(stream: TcpStream, number: usize, shared: &Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    shared.open.lock().unwrap().insert(number, stream.try_clone().unwrap());
    let listed = Listed(shared, number);
    let mut wire = Wire::new(stream);
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
            let socket = socket2::SockRef::from(&wire.stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        _ => drop(wire.stream.shutdown(Shutdown::Both)),
    }
}

/// Serves one request; `None` when no more come.
fn serve_request(wire: &mut Wire, shared: &Arc<Shared>) -> Option<After> {
    let head = match wire.head() {
        Ok(head) => head,
        Err(_) => {
            if !wire.waiting().is_empty() && !shared.stopped.load(Ordering::SeqCst) {
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
    let index = {
        let mut requests = shared.requests.lock().unwrap();
        requests.push(request.clone());
        requests.len() - 1
    };
    let nth = route.as_ref().map_or(0, |route| route.hits.fetch_add(1, Ordering::SeqCst) + 1);
    let mut talk = Talk { wire, shared, index, request, framing, nth, after: After::KeepAlive };
    match route {
        Some(route) => (route.handler)(&mut talk),
        None => {
            read_politely(&mut talk);
            talk.reply(Reply::new(404).body(format!("no route for {path}")));
        }
    }
    match talk.after {
        After::KeepAlive if !talk.request.whole => Some(After::Close),
        after => Some(after),
    }
}

fn find_route(shared: &Shared, path: &str) -> Option<Arc<Route>> {
    let routes = shared.routes.lock().unwrap();
    let fits = |route: &&Arc<Route>| match route.path.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => route.path == path,
    };
    routes.iter().find(fits).cloned()
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
    let raw_head = head.to_vec();
    let (body, trailers) = (Vec::new(), Headers::default());
    let request = Request { method, target, version, headers, body, trailers, raw_head, whole };
    Ok((request, framing))
}
