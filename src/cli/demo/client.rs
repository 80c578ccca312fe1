//! The demo's program: asks what the script says, over connections of every kind.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::{Answer, Played};
use super::conversation::{Heard, Party, Role, Way};
use super::http1::{Content, Wire};
use super::http2;
use super::messages::{Messages, framed};
use super::script::{Call, Conversation, Line, Over, Request, Row, Talk};
use crate::config::{Scheme, Target, TargetTls};
use crate::exchange::{Fields, Kind, RequestHead, ResponseHead, Version};
use crate::http1::writer;
use crate::http2::heads;
use crate::net::stream::Stream;
use crate::net::tls::{Connector, Protocol};
use crate::ws::deflate::{Granted, Terms};
use crate::ws::handshake;

/// For one answer: enough for a debug build on a loaded machine. Only a failing demo takes it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a pong must repeat (RFC 6455 section 5.5.3).
const PING: &[u8] = b"there?";

/// Whom the program calls.
pub(super) struct Server {
    pub(super) plain: SocketAddr,
    /// With TLS.
    pub(super) secure: SocketAddr,
    /// Who must have issued its certificate.
    pub(super) root: CertificateDer<'static>,
}

/// Asks everything of `server`, one after the other, as one program.
pub(super) async fn play(server: &Server, rows: &[Row]) -> Result<Vec<Played>> {
    let mut plain = connect(server.plain).await?;
    let mut secure = connect_secure(server, &[Protocol::Http1]).await?;
    let http2 = connect_secure(server, &[Protocol::Http2]).await?;
    let mut program = Program {
        server,
        http1: Http1::new(&mut plain, server.plain),
        http1_tls: Http1::new(&mut secure, server.secure),
        http2_tls: Http2::start(http2, server.secure).await?,
    };
    let mut played = Vec::with_capacity(rows.len());
    for row in rows {
        let one = match timeout(PATIENCE, program.play(&row.talk)).await {
            Ok(one) => one,
            Err(_) => bail!("`{}` had no whole answer after {PATIENCE:?}", row.talk.title()),
        };
        played.push(one.with_context(|| format!("`{}` had no answer", row.talk.title()))?);
    }
    program.http2_tls.close().await;
    Ok(played)
}

async fn connect(address: SocketAddr) -> Result<Stream> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.with_context(|| format!("could not connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream.into())
}

async fn connect_secure(server: &Server, protocols: &'static [Protocol]) -> Result<Stream> {
    let address = server.secure;
    let (host, port) = (address.ip().to_string(), address.port());
    let target = Target { scheme: Scheme::Https, host, port };
    let roots = Some(Arc::from([server.root.clone()]));
    let connector = Connector::new(&target, TargetTls { roots, ..TargetTls::default() });
    let mut stream = connect(address).await?;
    let secured = timeout(PATIENCE, connector.offering(protocols).secure(&mut stream)).await;
    let secured = secured.with_context(|| format!("no TLS with {address} after {PATIENCE:?}"))?;
    secured.with_context(|| format!("no TLS with {address}"))?;
    // The handshake's last word would wait for the first request, and the server for that word.
    stream.flush().await?;
    let agreed = stream.protocol();
    ensure!(agreed == protocols.first().copied(), "{address} chose {agreed:?} of {protocols:?}");
    Ok(stream)
}

struct Program<'c> {
    server: &'c Server,
    http1: Http1<'c>,
    http1_tls: Http1<'c>,
    http2_tls: Http2,
}

impl Program<'_> {
    async fn play(&mut self, talk: &Talk) -> Result<Played> {
        let begun = Instant::now();
        let (head, content) = match talk {
            Talk::Request(Over::Http1, request) => self.http1.ask(request).await?,
            Talk::Request(Over::Http1Tls, request) => self.http1_tls.ask(request).await?,
            Talk::Request(Over::Http2Tls, request) => self.http2_tls.ask(request).await?,
            Talk::Call(call) => {
                let answer = self.http2_tls.call(call).await?;
                return Ok(Played { answer, took: begun.elapsed() });
            }
            Talk::Conversation(over, conversation) => {
                let answer = self.converse(*over, conversation).await?;
                return Ok(Played { answer, took: begun.elapsed() });
            }
        };
        let took = begun.elapsed();
        Ok(Played { answer: Answer::of_request(&head, content)?, took })
    }

    async fn converse(&mut self, over: Over, conversation: &Conversation) -> Result<Answer> {
        let (mut stream, address) = match over {
            Over::Http1 => (connect(self.server.plain).await?, self.server.plain),
            Over::Http1Tls => {
                (connect_secure(self.server, &[Protocol::Http1]).await?, self.server.secure)
            }
            Over::Http2Tls => return self.http2_tls.converse(conversation).await,
        };
        Http1::new(&mut stream, address).converse(conversation).await
    }
}

/// A connection on which HTTP/1.1 is spoken.
struct Http1<'c> {
    wire: Wire<'c>,
    host: String,
}

impl<'c> Http1<'c> {
    fn new(stream: &'c mut Stream, address: SocketAddr) -> Self {
        Http1 { wire: Wire::new(stream), host: address.to_string() }
    }

    async fn ask(&mut self, request: &Request) -> Result<(ResponseHead, Content)> {
        let mut out = Vec::new();
        let fields = request.fields(&self.host);
        writer::request_head(&mut out, request.method, request.target, &fields);
        out.extend_from_slice(request.body.as_bytes());
        self.wire.send(&out).await?;
        self.wire.response(request.method).await
    }

    async fn converse(&mut self, conversation: &Conversation) -> Result<Answer> {
        let mut out = Vec::new();
        let fields = conversation.fields(&self.host);
        writer::request_head(&mut out, "GET", conversation.target, &fields);
        self.wire.send(&out).await?;
        let (head, content) = self.wire.response("GET").await?;
        if !handshake::is_granted_by(&head) {
            return Answer::of_request(&head, content);
        }
        let key = fields.get(handshake::KEY).unwrap_or_default();
        let accept = handshake::accept(key);
        ensure!(
            head.fields.get(handshake::ACCEPT) == Some(accept.as_bytes()),
            "the answer is to another key"
        );
        converse(conversation, &head, Way::Switched(&mut self.wire)).await
    }
}

/// A connection on which HTTP/2 is spoken.
struct Http2 {
    sender: SendRequest<Bytes>,
    /// What moves the connection; ends with this.
    driver: JoinSet<Result<(), h2::Error>>,
    host: String,
}

impl Http2 {
    async fn start(stream: Stream, address: SocketAddr) -> Result<Self> {
        let (sender, connection) = client::handshake(stream).await?;
        let mut driver = JoinSet::new();
        driver.spawn_local(connection);
        Ok(Http2 { sender, driver, host: address.to_string() })
    }

    /// Takes an orderly leave.
    async fn close(self) {
        let Http2 { sender, mut driver, .. } = self;
        // Without requests to come, h2 says goodbye by itself.
        drop(sender);
        // Nothing is owed any more by a peer that has broken off, or doesn't listen.
        let _ = timeout(PATIENCE, driver.join_next()).await;
    }

    async fn ask(&mut self, request: &Request) -> Result<(ResponseHead, Content)> {
        let is_end = request.body.is_empty();
        let fields = request.fields(&self.host);
        let (response, mut out) = self.send(request.method, request.target, fields, is_end).await?;
        if !is_end {
            out.send_data(Bytes::from_static(request.body.as_bytes()), true)?;
        }
        let (head, body) = answered(response).await?;
        Ok((head, http2::content(body).await?))
    }

    async fn call(&mut self, call: &Call) -> Result<Answer> {
        let fields = Call::fields(&self.host);
        let (response, mut out) = self.send("POST", call.path, fields, false).await?;
        let mut others = call.others.iter();
        out.send_data(framed(call.first)?, others.len() == 0)?;
        let (head, body) = answered(response).await?;
        let (mut answers, mut got) = (Messages::new(body), Vec::new());
        while let Some(message) = answers.next().await? {
            got.push(message);
            if let Some(line) = others.next() {
                out.send_data(framed(line)?, others.len() == 0)?;
            }
        }
        Ok(Answer::of_call(&head, got, answers.trailers().await?))
    }

    async fn converse(&mut self, conversation: &Conversation) -> Result<Answer> {
        let fields = conversation.fields(&self.host);
        let (response, out) = self.send("GET", conversation.target, fields, false).await?;
        let (head, came) = answered(response).await?;
        if head.status != 200 {
            return Answer::of_request(&head, http2::content(came).await?);
        }
        converse(conversation, &head, Way::Stream { came, out }).await
    }

    async fn send(
        &mut self,
        method: &str,
        target: &str,
        fields: Fields,
        is_end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>)> {
        let (method, target) = (method.to_owned(), target.to_owned());
        let head = RequestHead { method, target, version: Version::Http2, fields };
        let request = heads::request(&head, "https")?;
        poll_fn(|cx| self.sender.poll_ready(cx)).await?;
        Ok(self.sender.send_request(request, is_end)?)
    }
}

async fn answered(response: ResponseFuture) -> Result<(ResponseHead, RecvStream)> {
    let (parts, body) = response.await?.into_parts();
    let mut head = ResponseHead::default();
    heads::read_response(parts.status, &parts.headers, &mut head);
    Ok((head, body))
}

/// Says the lines of a conversation that `head` has granted, each when the one before was answered.
async fn converse(
    conversation: &Conversation,
    head: &ResponseHead,
    way: Way<'_, '_>,
) -> Result<Answer> {
    let terms = match Terms::granted(&head.fields) {
        Granted::Deflate(terms) => Some(terms),
        Granted::None => None,
        Granted::Unknown => bail!("an extension was granted that nobody asked for"),
    };
    let mut party = Party::new(way, Role::Client, terms);
    let (mut lines, mut got) = (conversation.lines.iter(), Vec::new());
    loop {
        match party.hear().await? {
            Heard::Message(message) => got.push(message),
            Heard::Pong(payload) => ensure!(payload == PING, "a ping was answered with another's"),
            Heard::Closed(said) => {
                party.close(said.code, "").await?;
                party.end().await?;
                return Ok(Answer::of_conversation(head, got, said));
            }
        }
        match lines.next() {
            Some(Line::Text(text)) => party.say(Kind::Text, text.as_bytes()).await?,
            Some(Line::Binary(bytes)) => party.say(Kind::Binary, bytes).await?,
            Some(Line::Ping) => party.ping(PING).await?,
            None => {}
        }
    }
}
