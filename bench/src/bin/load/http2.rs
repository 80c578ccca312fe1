//! `load run` and `load idle` over HTTP/2, by the h2 crate on one thread: the same checks and the same
//! report. Where h2load drives the measured rounds, this proves before and after that the answers are
//! right.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, StatusCode};
use ouli_bench::args::{Args, fail};
use ouli_bench::histogram::Histogram;
use ouli_bench::tls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::expected::{Asked, ExpectedBody, Paths};
use crate::target::Target;

/// A server that is silent for longer has lost the request.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Bytes that a server may send ahead on a stream, and on a connection: more than the bench's answers
/// have together, so that no window slows them.
const WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

pub(crate) fn run(args: &Args, target: &Target) {
    if args.get::<f64>("rate").is_some() || args.get::<String>("new-connections").is_some() {
        fail("HTTP/2 is driven in a closed loop over kept connections only");
    }
    if args.get::<u64>("sessions").is_some() {
        fail("over HTTP/2 there are no sessions");
    }
    block_on(async {
        let connections = open(target, args.need("connections")).await;
        let seconds: Option<f64> = args.get("seconds");
        let started = Instant::now();
        let run = Arc::new(Run {
            form: Form::new(args, target.addr),
            body: ExpectedBody::new(args.need_file("body")),
            stop_at: seconds.map(|s| started + Duration::from_secs_f64(s)),
            requests_max: args.get("requests").unwrap_or(u64::MAX),
            progress: Mutex::new(Progress::new(args, started)),
        });
        let streams: usize = args.get("streams").unwrap_or(1);
        let loops: Vec<JoinHandle<()>> = connections
            .iter()
            .flat_map(|connection| std::iter::repeat_n(connection, streams))
            .map(|connection| tokio::spawn(run.clone().ask_on(connection.clone())))
            .collect();
        join(loops).await;
        let progress = run.progress();
        let seconds = progress.last_answer.duration_since(started).as_secs_f64();
        crate::report(progress.answered, seconds, &progress.latency, 0, 0);
    });
}

pub(crate) fn idle(args: &Args, target: &Target) {
    let count: usize = args.need("connections");
    let path: String = args.get("path").unwrap_or_else(|| "/".into());
    let request = Form { addr: target.addr, body: None }.request(&path);
    let body: Arc<[u8]> = args.need_file("body").into();
    block_on(async {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            let connection = connect(target).await;
            check(connection.clone(), request.clone(), &body).await;
            connections.push(connection);
        }
        println!("holding {count}");
        // Until stdin closes, as `idle::hold`; its lines come on a thread of their own, since the
        // connections answer pings meanwhile.
        loop {
            let line =
                tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
            let came = line.await.unwrap_or_else(|e| fail(e)).unwrap_or_else(|e| fail(e));
            check_all(&connections, &request, &body).await;
            if came == 0 {
                break;
            }
            println!("asked {count}");
        }
        println!("{{\"connections\":{count}}}");
    });
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap_or_else(|e| fail(e)).block_on(future);
}

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.unwrap_or_else(|e| fail(e));
    }
}

struct Run {
    form: Form,
    body: ExpectedBody,
    stop_at: Option<Instant>,
    requests_max: u64,
    progress: Mutex<Progress>,
}

struct Progress {
    paths: Paths,
    asked: u64,
    answered: u64,
    last_answer: Instant,
    latency: Histogram,
}

impl Progress {
    fn new(args: &Args, started: Instant) -> Self {
        Self {
            paths: Paths::new(args),
            asked: 0,
            answered: 0,
            last_answer: started,
            latency: Histogram::default(),
        }
    }
}

impl Run {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of a connection's streams after the other, until time or requests are used up.
    async fn ask_on(self: Arc<Self>, mut connection: SendRequest<Bytes>) {
        let mut asked = Asked::default();
        let mut template = None;
        while let Some(since) = self.begin(&mut asked, &mut template) {
            let Some(request) = &template else { fail("no request to send") };
            let body;
            (connection, body) = ask(connection, request.clone()).await;
            if !self.body.matches(&body, &asked.path) {
                let body = String::from_utf8_lossy(&body);
                fail(format!("wrong body for {}: {body}", asked.path));
            }
            let now = Instant::now();
            let mut progress = self.progress();
            progress.latency.record(now.saturating_duration_since(since));
            progress.last_answer = now;
            progress.answered += 1;
        }
    }

    /// Takes the next request, unless there is none; returns when it began.
    fn begin(&self, asked: &mut Asked, template: &mut Option<Request<Bytes>>) -> Option<Instant> {
        let now = Instant::now();
        let mut progress = self.progress();
        if progress.asked >= self.requests_max || self.stop_at.is_some_and(|at| now >= at) {
            return None;
        }
        progress.asked += 1;
        if progress.paths.next_into(asked) || template.is_none() {
            *template = Some(self.form.request(&asked.path));
        }
        Some(now)
    }
}

async fn open(target: &Target, count: usize) -> Vec<SendRequest<Bytes>> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(connect(target).await);
    }
    connections
}

async fn connect(target: &Target) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(target.addr).await.unwrap_or_else(|e| fail(e));
    socket.set_nodelay(true).unwrap_or_else(|e| fail(e));
    let Some(config) = &target.tls else { return begin(socket).await };
    let connector = TlsConnector::from(config.clone());
    let handshake = connector.connect(tls::server_name(), socket).await;
    let stream = handshake.unwrap_or_else(|e| fail(format!("handshake: {e}")));
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        fail("the server didn't agree to HTTP/2");
    }
    begin(stream).await
}

async fn begin<S>(stream: S) -> SendRequest<Bytes>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    let begun = builder.handshake(stream).await;
    let (sender, connection) = begun.unwrap_or_else(|e| fail(format!("HTTP/2: {e}")));
    tokio::spawn(async move {
        // Its senders live until the program ends, so no end is a good one.
        match connection.await {
            Ok(()) => fail("closed by the server"),
            Err(error) => fail(format!("HTTP/2: {error}")),
        }
    });
    sender
}

/// How requests are made: GETs, or POSTs of JSON, as over HTTP/1.1.
struct Form {
    addr: SocketAddr,
    body: Option<Bytes>,
}

impl Form {
    fn new(args: &Args, addr: SocketAddr) -> Self {
        let body = args.get::<String>("send").map(|_| args.need_file("send").into());
        Self { addr, body }
    }

    fn request(&self, path: &str) -> Request<Bytes> {
        let uri = format!("http://{}{path}", self.addr);
        let request = match &self.body {
            None => Request::get(uri).body(Bytes::new()),
            Some(body) => Request::post(uri)
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_LENGTH, body.len())
                .body(body.clone()),
        };
        request.unwrap_or_else(|e| fail(e))
    }
}

async fn check_all(
    connections: &[SendRequest<Bytes>],
    request: &Request<Bytes>,
    expected: &Arc<[u8]>,
) {
    let ask = |connection: &SendRequest<Bytes>| {
        let (connection, request) = (connection.clone(), request.clone());
        let expected = expected.clone();
        tokio::spawn(async move { check(connection, request, &expected).await })
    };
    join(connections.iter().map(ask).collect()).await;
}

async fn check(connection: SendRequest<Bytes>, request: Request<Bytes>, expected: &[u8]) {
    let (_, body) = ask(connection, request).await;
    if body != expected {
        fail("wrong body");
    }
}

/// Sends a request and returns its answer's body; another status than 200 ends the program.
async fn ask(
    connection: SendRequest<Bytes>,
    request: Request<Bytes>,
) -> (SendRequest<Bytes>, Vec<u8>) {
    let exchange = pin!(exchange(connection, request));
    match tokio::time::timeout(SILENCE_MAX, exchange).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => fail(format!("a stream: {error}")),
        Err(_) => fail(format!("no answer for {SILENCE_MAX:?}")),
    }
}

async fn exchange(
    connection: SendRequest<Bytes>,
    request: Request<Bytes>,
) -> Result<(SendRequest<Bytes>, Vec<u8>), h2::Error> {
    let mut connection = connection.ready().await?;
    let (head, sent) = request.into_parts();
    let has_body = !sent.is_empty();
    let (response, mut stream) =
        connection.send_request(Request::from_parts(head, ()), !has_body)?;
    if has_body {
        stream.send_data(sent, true)?;
    }
    let (head, mut stream) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    if head.status != StatusCode::OK {
        fail(format!("status {}: {}", head.status, String::from_utf8_lossy(&body)));
    }
    Ok((connection, body))
}
