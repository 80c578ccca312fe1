//! The HTTP/2 client: a connection with streams that a test can hold one by one.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::ask::Ask;
use super::h2_fields::{ending, from_map, to_map};
use super::h2_send::send_all;
use super::message::{Ending, Failure, Headers, Response};
use super::peer::{PATIENCE, Peer};
use super::tasks::{runtime, within};
use super::wait::wait_until;

pub struct H2Connection {
    send: SendRequest<Bytes>,
    scheme: &'static str,
    authority: String,
    /// How the connection ended, once it has.
    end: Arc<Mutex<Option<Ending>>>,
    driver: tokio::task::JoinHandle<()>,
}

impl H2Connection {
    pub(super) fn open(peer: &Peer) -> Result<Self, String> {
        // Streams are read one after the other here: those that wait must not starve the first.
        H2Options::windows(64 << 10, 1 << 28).open_or_say(peer)
    }

    fn open_with(peer: &Peer, builder: &Builder) -> Result<Self, String> {
        let mut builder = builder.clone();
        // A test's slow reader is no attacker: the peer under test judges, not this one.
        builder.enable_push(false).data_frame_budget(1 << 30);
        let opening = open(peer, &builder);
        within(PATIENCE, opening).unwrap_or_else(|| Err("no handshake in time".to_owned()))
    }

    /// Whether another request can go out on this connection.
    pub fn takes_streams(&self) -> bool {
        self.end.lock().unwrap().is_none()
    }

    /// How many streams the peer lets this client have open.
    pub fn max_streams(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Waits until the peer has said that it takes extended CONNECT (RFC 8441 section 3).
    #[track_caller]
    pub fn wait_takes_conversations(&self) {
        wait_until("extended CONNECT is announced", || self.takes_conversations());
    }

    pub fn takes_conversations(&self) -> bool {
        self.send.is_extended_connect_protocol_enabled()
    }

    /// Waits until the connection has ended, and tells how.
    #[track_caller]
    pub fn wait_end(&self) -> Ending {
        wait_until("the HTTP/2 connection has ended", || *self.end.lock().unwrap())
    }

    /// Sends head and body. The body goes on by itself while the answer is read.
    pub fn ask(&mut self, ask: &Ask) -> Result<H2Stream, Failure> {
        let (parts, trailers) = ask.parts();
        if parts.is_empty() && trailers.0.is_empty() {
            return self.start(ask, true);
        }
        let mut stream = self.start(ask, false)?;
        let mut body = stream.body.take().expect("a stream that was just begun");
        let trailers = (!trailers.0.is_empty()).then(|| to_map(&trailers));
        runtime().spawn(async move {
            // A reset while the body goes out shows in the answer.
            let _ = send_all(&mut body, parts, trailers).await;
        });
        Ok(stream)
    }

    /// Sends the head alone; the body follows by hand.
    #[track_caller]
    pub fn begin(&mut self, ask: &Ask) -> H2Stream {
        self.start(ask, false).unwrap_or_else(|failure| panic!("{ask:?}: {failure}"))
    }

    fn start(&mut self, ask: &Ask, ends: bool) -> Result<H2Stream, Failure> {
        let failed = |error: h2::Error| Failure {
            ending: ending(&error),
            malformed: Some(error.to_string()),
            bytes: Vec::new(),
        };
        let request = self.request(ask);
        let ready = within(PATIENCE, poll_fn(|cx| self.send.poll_ready(cx)));
        ready.unwrap_or(Ok(())).map_err(failed)?;
        let (answer, body) = {
            let _entered = runtime().enter();
            self.send.send_request(request, ends).map_err(failed)?
        };
        Ok(H2Stream { answer: Some(answer), body: Some(body), got: Got::default() })
    }

    fn request(&self, ask: &Ask) -> Request<()> {
        let authority = ask.authority.as_deref().unwrap_or(&self.authority);
        let uri = match ask.method.as_str() {
            "CONNECT" if ask.protocol.is_none() => Uri::builder().authority(authority).build(),
            _ => Uri::builder()
                .scheme(self.scheme)
                .authority(authority)
                .path_and_query(&*ask.target)
                .build(),
        };
        let mut request = Request::builder().method(&*ask.method).uri(uri.unwrap());
        *request.headers_mut().unwrap() = to_map(&ask.headers);
        if let Some(len) = ask.declared_len() {
            request = request.header("content-length", len);
        }
        if let Some(protocol) = &ask.protocol {
            request = request.extension(h2::ext::Protocol::from(&**protocol));
        }
        request.version(http::Version::HTTP_2).body(()).unwrap()
    }
}

impl Drop for H2Connection {
    fn drop(&mut self) {
        // Leaves at once, and doesn't wait for streams that nobody reads.
        self.driver.abort();
    }
}

/// A client with windows of its own sizes.
pub struct H2Options {
    builder: Builder,
}

impl H2Options {
    pub fn windows(stream: u32, connection: u32) -> Self {
        let mut builder = Builder::new();
        builder.initial_window_size(stream).initial_connection_window_size(connection);
        H2Options { builder }
    }

    #[track_caller]
    pub fn open(&self, peer: &Peer) -> H2Connection {
        self.open_or_say(peer).unwrap()
    }

    fn open_or_say(&self, peer: &Peer) -> Result<H2Connection, String> {
        H2Connection::open_with(peer, &self.builder)
    }
}

async fn open(peer: &Peer, builder: &Builder) -> Result<H2Connection, String> {
    let said = |e: io::Error| e.to_string();
    let tcp = TcpStream::connect(peer.address).await.map_err(said)?;
    tcp.set_nodelay(true).map_err(said)?;
    if !peer.protocol.is_tls() {
        return shake_hands(peer, builder, tcp).await;
    }
    let name = peer.host().try_into().map_err(|e| format!("{e}"))?;
    let connector = tokio_rustls::TlsConnector::from(peer.tls());
    let tls = connector.connect(name, tcp).await.map_err(said)?;
    if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(format!("agreed on {:?} by ALPN", tls.get_ref().1.alpn_protocol()));
    }
    shake_hands(peer, builder, tls).await
}

async fn shake_hands<T>(peer: &Peer, builder: &Builder, io: T) -> Result<H2Connection, String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = builder.handshake(io).await.map_err(|e| e.to_string())?;
    let end = Arc::new(Mutex::new(None));
    let noted = end.clone();
    let driver = runtime().spawn(async move {
        let ended = match connection.await {
            Ok(()) => Ending::Cut,
            Err(error) => ending(&error),
        };
        *noted.lock().unwrap() = Some(ended);
    });
    let (scheme, authority) = (peer.protocol.scheme(), peer.authority());
    Ok(H2Connection { send, scheme, authority, end, driver })
}

/// One request and its answer, read step by step.
pub struct H2Stream {
    answer: Option<ResponseFuture>,
    /// Of the request, until it is sent or somebody else sends it.
    body: Option<SendStream<Bytes>>,
    got: Got,
}

#[derive(Default)]
struct Got {
    interim: Vec<(u16, Headers)>,
    head: Option<(u16, Headers)>,
    body: Option<RecvStream>,
}

impl H2Stream {
    /// Sends a part of the request's body, and leaves it open.
    #[track_caller]
    pub fn send(&mut self, part: impl Into<Vec<u8>>) {
        let body = self.body.as_mut().expect("a request that `begin` began");
        let sending = super::h2_send::send_part(body, part.into().into(), false);
        within(PATIENCE, sending).expect("the peer takes no more").unwrap();
    }

    /// The same; false when the peer has gone, or takes no more.
    pub fn try_send(&mut self, part: &[u8]) -> bool {
        let Some(body) = self.body.as_mut() else { return false };
        let sending = super::h2_send::send_part(body, part.to_vec().into(), false);
        matches!(within(PATIENCE, sending), Some(Ok(())))
    }

    /// Ends the request, if that is still to be done.
    pub fn try_finish(&mut self) {
        if let Some(mut body) = self.body.take() {
            let _ = body.send_data(Bytes::new(), true);
        }
    }

    #[track_caller]
    pub fn finish(&mut self) {
        let mut body = self.body.take().expect("a request that `begin` began");
        body.send_data(Bytes::new(), true).unwrap();
    }

    pub fn reset(&mut self, code: u32) {
        match self.body.as_mut() {
            Some(body) => body.send_reset(Reason::from(code)),
            None => panic!("the request's body is somebody else's"),
        }
    }

    /// Waits for the next interim answer.
    #[track_caller]
    pub fn interim(&mut self) -> (u16, Headers) {
        let answer = self.answer.as_mut().expect("a head that hasn't come");
        let interim = within(PATIENCE, poll_fn(|cx| answer.poll_informational(cx)));
        let interim = interim.expect("silence").expect("the final answer came").unwrap();
        (interim.status().as_u16(), from_map(interim.headers()))
    }

    /// Waits for the head of the answer.
    pub fn head(&mut self) -> Result<(u16, Headers), Ending> {
        if let Some(head) = &self.got.head {
            return Ok(head.clone());
        }
        let answer = self.answer.as_mut().expect("an answer that is still to come");
        let interim = &mut self.got.interim;
        let response = within(PATIENCE, async {
            while let Some(next) = poll_fn(|cx| answer.poll_informational(cx)).await {
                let next = next?;
                interim.push((next.status().as_u16(), from_map(next.headers())));
            }
            answer.await
        });
        let response = response.ok_or(Ending::Silence)?.map_err(|e| ending(&e))?;
        let (parts, body) = response.into_parts();
        let head = (parts.status.as_u16(), from_map(&parts.headers));
        self.got.head = Some(head.clone());
        self.got.body = Some(body);
        self.answer = None;
        Ok(head)
    }

    /// The next bytes of the answer, `None` at its end. Gives the window back.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Ending> {
        self.next_within(PATIENCE)
    }

    pub fn next_within(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, Ending> {
        self.head()?;
        let body = self.got.body.as_mut().expect("a head brings a body");
        match within(patience, body.data()).ok_or(Ending::Silence)? {
            None => Ok(None),
            Some(Err(error)) => Err(ending(&error)),
            Some(Ok(bytes)) => {
                let _ = body.flow_control().release_capacity(bytes.len());
                Ok(Some(bytes.to_vec()))
            }
        }
    }

    /// Reads until the answer's body has grown to these bytes.
    #[track_caller]
    pub fn expect_bytes(&mut self, expected: impl AsRef<[u8]>) {
        let mut seen = Vec::new();
        while seen.len() < expected.as_ref().len() {
            match self.next() {
                Ok(Some(bytes)) => seen.extend(bytes),
                other => panic!("{other:?} after {}", seen.escape_ascii()),
            }
        }
        assert_eq!(
            seen.escape_ascii().to_string(),
            expected.as_ref().escape_ascii().to_string(),
            "bytes of the stream"
        );
    }

    fn trailers(&mut self) -> Result<Headers, Ending> {
        let body = self.got.body.as_mut().expect("a head brings a body");
        match within(PATIENCE, body.trailers()).ok_or(Ending::Silence)? {
            Ok(trailers) => Ok(trailers.as_ref().map(from_map).unwrap_or_default()),
            Err(error) => Err(ending(&error)),
        }
    }

    /// Reads all of the answer, or what there is of it.
    pub fn receive(&mut self) -> Result<Response, Failure> {
        let begun = Instant::now();
        let failed = |ending| Failure { ending, malformed: None, bytes: Vec::new() };
        let (status, headers) = self.head().map_err(failed)?;
        let mut response = Response {
            version: "HTTP/2".to_owned(),
            status,
            reason: String::new(),
            headers,
            body: Vec::new(),
            trailers: Headers::default(),
            interim: std::mem::take(&mut self.got.interim),
            ending: Ending::Whole,
            chunks: Vec::new(),
        };
        loop {
            match self.next() {
                Ok(Some(bytes)) => {
                    response.body.extend(&bytes);
                    response.chunks.push((begun.elapsed(), bytes));
                }
                Ok(None) => break,
                Err(ending) => {
                    response.ending = ending;
                    return Ok(response);
                }
            }
        }
        match self.trailers() {
            Ok(trailers) => response.trailers = trailers,
            Err(ending) => response.ending = ending,
        }
        Ok(response)
    }
}
