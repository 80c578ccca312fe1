//! One call, held message by message.

use std::future::pending;

use tokio::sync::{mpsc, oneshot};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::client::GrpcClient;
use super::note::Note;
use crate::support::peer::PATIENCE;
use crate::support::tasks::{runtime, within};

/// All that a client can see of a call. Binary metadata stands in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub metadata: Vec<(String, String)>,
    pub messages: Vec<Note>,
    pub code: i32,
    pub message: String,
    pub details: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Outcome {
    pub fn texts(&self) -> Vec<&str> {
        self.messages.iter().map(|note| note.text.as_str()).collect()
    }

    /// Values of initial metadata under this name.
    pub fn metadata_of(&self, name: &str) -> Vec<&str> {
        values(&self.metadata, name)
    }

    pub fn trailers_of(&self, name: &str) -> Vec<&str> {
        values(&self.trailers, name)
    }

    fn set_status(&mut self, status: &Status) {
        self.code = status.code() as i32;
        status.message().clone_into(&mut self.message);
        self.details = status.details().to_vec();
        self.trailers = pairs(status.metadata());
    }
}

fn values<'a>(pairs: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
}

fn pairs(metadata: &MetadataMap) -> Vec<(String, String)> {
    let headers = metadata.clone().into_headers();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// What the call's own task tells: the head, each message, and the end.
enum Event {
    Head(MetadataMap),
    Message(Note),
    End(Result<Option<MetadataMap>, Status>),
}

/// Dropping it cancels the call. The origin may see the request's end before the reset: it knows
/// that it was left only if it was still at work.
pub struct Call {
    requests: Option<mpsc::Sender<Note>>,
    events: mpsc::Receiver<Event>,
    outcome: Outcome,
    ended: bool,
    /// Ends the task, and with it the stream.
    _cancel: oneshot::Sender<()>,
}

impl Call {
    pub(super) fn begin(client: &GrpcClient, method: &str) -> Self {
        let (requests, outgoing) = mpsc::channel(1);
        let (told, events) = mpsc::channel(1);
        let (cancel, cancelled) = oneshot::channel::<()>();
        let path = format!("/ouli.test.Notes/{method}").parse().unwrap();
        let client = client.clone();
        runtime().spawn(async move {
            tokio::select! {
                () = run(client, path, outgoing, told) => {}
                _ = cancelled => {}
            }
        });
        let outcome = Outcome::default();
        Call { requests: Some(requests), events, outcome, ended: false, _cancel: cancel }
    }

    /// Sends one message. An end of the call that came first shows in `next`.
    pub fn send(&mut self, note: Note) {
        let requests = self.requests.as_ref().expect("a request that isn't finished");
        let sent = within(PATIENCE, requests.send(note));
        assert!(sent.is_some(), "the peer takes no message");
    }

    pub fn say(&mut self, text: &str) {
        self.send(Note::new(text));
    }

    /// No more messages come from this side.
    pub fn finish(&mut self) {
        self.requests = None;
    }

    /// Waits for the head of the answer.
    #[track_caller]
    pub fn head(&mut self) -> Vec<(String, String)> {
        match self.event() {
            Event::Head(metadata) => {
                self.outcome.metadata = pairs(&metadata);
                self.outcome.metadata.clone()
            }
            other => panic!("no head: {other:?}"),
        }
    }

    /// The next message; `None` at the end, whose status `outcome` tells.
    #[track_caller]
    pub fn next(&mut self) -> Option<Note> {
        while !self.ended {
            match self.event() {
                Event::Head(metadata) => self.outcome.metadata = pairs(&metadata),
                Event::Message(note) => {
                    self.outcome.messages.push(note.clone());
                    return Some(note);
                }
                Event::End(end) => self.end(end),
            }
        }
        None
    }

    /// The next message must have this text.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let next = self.next();
        let seen = next.as_ref().map(|note| note.text.as_str());
        assert_eq!(seen, Some(text), "the next message; {:?}", self.outcome);
    }

    /// Reads to the end.
    #[track_caller]
    pub fn outcome(mut self) -> Outcome {
        self.finish();
        while self.next().is_some() {}
        std::mem::take(&mut self.outcome)
    }

    fn end(&mut self, end: Result<Option<MetadataMap>, Status>) {
        self.ended = true;
        match end {
            Ok(trailers) => {
                self.outcome.trailers = trailers.as_ref().map(pairs).unwrap_or_default()
            }
            Err(status) => self.outcome.set_status(&status),
        }
    }

    #[track_caller]
    fn event(&mut self) -> Event {
        let event = within(PATIENCE, self.events.recv());
        let event = event.unwrap_or_else(|| panic!("silence after {:?}", self.outcome));
        event.expect("the task tells the end before it ends")
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Event::Head(metadata) => write!(f, "head {metadata:?}"),
            Event::Message(note) => write!(f, "message {note:?}"),
            Event::End(end) => write!(f, "end {end:?}"),
        }
    }
}

async fn run(
    client: GrpcClient,
    path: PathAndQuery,
    outgoing: mpsc::Receiver<Note>,
    told: mpsc::Sender<Event>,
) {
    let end = match start(client, path, outgoing).await {
        Err(status) => Err(status),
        Ok((head, mut messages)) => {
            let _ = told.send(Event::Head(head)).await;
            read(&mut messages, &told).await
        }
    };
    let _ = told.send(Event::End(end)).await;
    // The test holds the call until it drops it.
    pending().await
}

async fn read(
    messages: &mut Streaming<Note>,
    told: &mpsc::Sender<Event>,
) -> Result<Option<MetadataMap>, Status> {
    while let Some(note) = messages.message().await? {
        let _ = told.send(Event::Message(note)).await;
    }
    messages.trailers().await
}

async fn start(
    client: GrpcClient,
    path: PathAndQuery,
    outgoing: mpsc::Receiver<Note>,
) -> Result<(MetadataMap, Streaming<Note>), Status> {
    let mut grpc = tonic::client::Grpc::new(client.channel).max_decoding_message_size(usize::MAX);
    if let Some(coding) = client.compression {
        grpc = grpc.send_compressed(coding).accept_compressed(coding);
    }
    grpc.ready().await.map_err(|e| Status::unavailable(format!("{e:?}")))?;
    let mut request = Request::new(ReceiverStream::new(outgoing));
    *request.metadata_mut() = client.metadata;
    let response = grpc.streaming(request, path, ProstCodec::<Note, Note>::default()).await?;
    let (metadata, messages, _) = response.into_parts();
    Ok((metadata, messages))
}
