//! The gRPC server, on a runtime of its own, so that all of it can go at once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::Service;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic_prost::ProstCodec;

use super::note::Note;
use super::service::Method;
use crate::support::certificates::{Flaw, Identity};
use crate::support::protocol::Protocol;

pub struct GrpcOrigin {
    address: SocketAddr,
    protocol: Protocol,
    shared: Arc<Shared>,
    runtime: Mutex<Option<Runtime>>,
}

pub struct Shared {
    /// Texts of messages, in the order in which they came.
    came: Mutex<Vec<String>>,
    calls: Mutex<Vec<(String, MetadataMap)>>,
    left: AtomicUsize,
    releases: Semaphore,
}

impl Shared {
    pub(super) fn began(&self, method: &str, metadata: &MetadataMap) {
        self.calls.lock().unwrap().push((method.to_owned(), metadata.clone()));
    }

    pub(super) fn came(&self, text: &str) {
        self.came.lock().unwrap().push(text.to_owned());
    }

    pub(super) fn was_left(&self) {
        self.left.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) async fn may_wait(&self, note: &Note) {
        if note.text.starts_with("wait") {
            self.releases.acquire().await.expect("never closed").forget();
        }
    }
}

impl GrpcOrigin {
    pub fn h2c() -> Self {
        Self::of(Protocol::H2c)
    }

    pub fn of(protocol: Protocol) -> Self {
        let shared = Arc::new(Shared {
            came: Mutex::default(),
            calls: Mutex::default(),
            left: AtomicUsize::new(0),
            releases: Semaphore::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let mut server = Server::builder();
        if protocol.is_tls() {
            let Identity { cert_pem, key_pem } = Identity::with(Flaw::None);
            let identity = tonic::transport::Identity::from_pem(cert_pem, key_pem);
            server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
        }
        let router = server.add_service(Notes { shared: shared.clone() });
        let incoming = runtime.block_on(async {
            TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
                .unwrap()
                .with_nodelay(Some(true))
        });
        let address = incoming.local_addr().unwrap();
        runtime.spawn(router.serve_with_incoming(incoming));
        GrpcOrigin { address, protocol, shared, runtime: Mutex::new(Some(runtime)) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Texts of the messages that came, all calls together.
    pub fn came(&self) -> Vec<String> {
        self.shared.came.lock().unwrap().clone()
    }

    /// The methods that were called, and with what metadata.
    pub fn calls(&self) -> Vec<(String, MetadataMap)> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// How many calls their clients left before the end.
    pub fn left(&self) -> usize {
        self.shared.left.load(Ordering::SeqCst)
    }

    /// Lets one that waits go on.
    pub fn release(&self) {
        self.shared.releases.add_permits(1);
    }

    /// The port and every connection are gone.
    pub fn stop(&self) {
        if let Some(runtime) = self.runtime.lock().unwrap().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for GrpcOrigin {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Clone)]
struct Notes {
    shared: Arc<Shared>,
}

impl NamedService for Notes {
    const NAME: &'static str = "ouli.test.Notes";
}

impl Service<http::Request<Body>> for Notes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let method = Method { name: name.clone(), shared: self.shared.clone() };
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Note, Note>::default())
                .accept_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(usize::MAX);
            let response = grpc.streaming(method, request).await;
            Ok(response.map(|body| with_trailer(body, name)))
        })
    }
}

/// Trailing metadata beside the status, which tonic has no way to ask for.
fn with_trailer(body: Body, name: String) -> Body {
    Body::new(body.map_frame(move |mut frame| {
        if let Some(trailers) = frame.trailers_mut() {
            trailers.append("x-served", name.parse().unwrap());
        }
        frame
    }))
}
