//! What the tests' service does.
//!
//! | method | answer |
//! |---|---|
//! | `Say` | one message, `re: TEXT` with the number after, and the same payload |
//! | `Count` | as many messages as the number says |
//! | `Gather` | one message, after all: texts joined, numbers added |
//! | `Chat` | `re: TEXT` for each message as it comes; to `bye` the end. Its head comes after the first message, or at once where the metadata says `x-head: first` |
//!
//! A text that begins with `fail` ends the call with a status that has details and metadata, one
//! with `wait` waits to be released first. Metadata of the request that begins with `x-` comes
//! back in the head; `x-served` names the method in the trailers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{KeyAndValueRef, MetadataMap, MetadataValue};
use tonic::server::StreamingService;
use tonic::{Code, Request, Response, Status, Streaming};

use super::note::Note;
use super::origin::Shared;

type Answer = Result<Note, Status>;
type Sender = mpsc::Sender<Answer>;

pub struct Method {
    pub name: String,
    pub shared: Arc<Shared>,
}

impl StreamingService<Note> for Method {
    type Response = Note;
    type ResponseStream = ReceiverStream<Answer>;
    type Future =
        Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Note>>) -> Self::Future {
        Box::pin(serve(self.name.clone(), self.shared.clone(), request))
    }
}

async fn serve(
    name: String,
    shared: Arc<Shared>,
    request: Request<Streaming<Note>>,
) -> Result<Response<ReceiverStream<Answer>>, Status> {
    let metadata = echoed(request.metadata());
    shared.began(&name, request.metadata());
    let mut messages = Incoming { messages: request.into_inner(), shared: shared.clone() };
    let guard = Left(Some(shared.clone()));
    let head_first = metadata.get("x-head").is_some();
    // One message at most waits here: what the client has not read is not made.
    let (answers, outgoing) = mpsc::channel(1);
    match name.as_str() {
        "Say" => {
            let note = messages.some().await?;
            may_fail(&note)?;
            shared.may_wait(&note).await;
            let _ = answers.send(Ok(reply(note))).await;
            guard.served();
        }
        "Gather" => {
            let _ = answers.send(Ok(gather(&mut messages).await?)).await;
            guard.served();
        }
        "Count" => {
            let note = messages.some().await?;
            tokio::spawn(count(note, answers, guard));
        }
        "Chat" => {
            let first = if head_first { None } else { messages.next().await? };
            tokio::spawn(chat(first, messages, answers, guard));
        }
        _ => return Err(Status::unimplemented(format!("no method {name}"))),
    }
    let mut response = Response::new(ReceiverStream::new(outgoing));
    *response.metadata_mut() = metadata;
    Ok(response)
}

async fn gather(messages: &mut Incoming) -> Answer {
    let (mut texts, mut sum) = (Vec::new(), Note::default());
    while let Some(note) = messages.next().await? {
        may_fail(&note)?;
        sum.number += note.number;
        sum.payload.extend(note.payload);
        texts.push(note.text);
    }
    sum.text = texts.join(" ");
    Ok(sum)
}

async fn count(note: Note, answers: Sender, guard: Left) {
    for number in 1..=note.number {
        if number > 1 && !released(&note, &answers, guard.shared()).await {
            return;
        }
        let step = Note::new(&note.text).number(number).payload(note.payload.clone());
        if answers.send(Ok(step)).await.is_err() {
            return;
        }
    }
    if let Err(status) = may_fail(&note) {
        let _ = answers.send(Err(status)).await;
    }
    guard.served();
}

async fn chat(mut first: Option<Note>, mut messages: Incoming, answers: Sender, guard: Left) {
    loop {
        let next = match first.take() {
            Some(note) => Ok(Some(note)),
            None => tokio::select! {
                next = messages.next() => next,
                () = answers.closed() => return,
            },
        };
        let note = match next {
            Ok(Some(note)) => note,
            Ok(None) => return guard.served(),
            Err(_) => return,
        };
        if note.text == "bye" {
            return guard.served();
        }
        if let Err(status) = may_fail(&note) {
            let _ = answers.send(Err(status)).await;
            return guard.served();
        }
        if !released(&note, &answers, guard.shared()).await
            || answers.send(Ok(reply(note))).await.is_err()
        {
            return;
        }
    }
}

/// Waits where the message asks for it; false when the client went away meanwhile.
async fn released(note: &Note, answers: &Sender, shared: &Shared) -> bool {
    tokio::select! {
        () = shared.may_wait(note) => true,
        () = answers.closed() => false,
    }
}

fn reply(note: Note) -> Note {
    Note { text: format!("re: {}", note.text), number: note.number + 1, payload: note.payload }
}

fn may_fail(note: &Note) -> Result<(), Status> {
    if !note.text.starts_with("fail") {
        return Ok(());
    }
    let mut metadata = MetadataMap::new();
    metadata.append("x-reason", "because".parse().unwrap());
    metadata.append("x-reason", "and so on".parse().unwrap());
    metadata.append_bin("x-proof-bin", MetadataValue::from_bytes(&[0, 1, 254, 255]));
    let details = Bytes::from_static(b"\x08\x09\x12\x07details");
    let message = format!("not today: {} / 100% ünlikely", note.text);
    Err(Status::with_details_and_metadata(Code::FailedPrecondition, message, details, metadata))
}

fn echoed(asked: &MetadataMap) -> MetadataMap {
    let mut echoed = MetadataMap::new();
    for pair in asked.iter() {
        match pair {
            KeyAndValueRef::Ascii(key, value) if key.as_str().starts_with("x-") => {
                echoed.append(key.clone(), value.clone());
            }
            KeyAndValueRef::Binary(key, value) if key.as_str().starts_with("x-") => {
                echoed.append_bin(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    echoed
}

/// The client's messages, noted as they come.
struct Incoming {
    messages: Streaming<Note>,
    shared: Arc<Shared>,
}

impl Incoming {
    async fn next(&mut self) -> Result<Option<Note>, Status> {
        let next = self.messages.message().await?;
        if let Some(note) = &next {
            self.shared.came(&note.text);
        }
        Ok(next)
    }

    async fn some(&mut self) -> Answer {
        self.next().await?.ok_or_else(|| Status::invalid_argument("no message"))
    }
}

/// Counts a call as left if it ends before it was served.
struct Left(Option<Arc<Shared>>);

impl Left {
    fn shared(&self) -> &Shared {
        self.0.as_deref().expect("not served yet")
    }

    fn served(mut self) {
        self.0 = None;
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.was_left();
        }
    }
}
