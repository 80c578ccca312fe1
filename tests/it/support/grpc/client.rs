//! The gRPC client.

use std::time::Duration;

use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataKey, BinaryMetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::call::{Call, Outcome};
use super::note::Note;
use crate::support::certificates::authority;
use crate::support::ouli::Ouli;
use crate::support::protocol::Protocol;
use crate::support::tasks::runtime;

#[derive(Clone)]
pub struct GrpcClient {
    pub(super) channel: Channel,
    pub(super) metadata: MetadataMap,
    pub(super) compression: Option<CompressionEncoding>,
}

impl GrpcClient {
    /// Calls this address without TLS.
    #[track_caller]
    pub fn to(address: std::net::SocketAddr) -> Self {
        Self::connect(Endpoint::from_shared(format!("http://{address}")).unwrap())
    }

    /// Calls Ouli, over TLS or not.
    #[track_caller]
    pub fn through(ouli: &Ouli, protocol: Protocol) -> Self {
        let address = ouli.address_for(protocol.scheme());
        if !protocol.is_tls() {
            return Self::to(address);
        }
        let roots = [authority().pem().to_owned(), ouli.authority()];
        let tls = ClientTlsConfig::new().ca_certificates(roots.map(Certificate::from_pem));
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        Self::connect(endpoint.tls_config(tls).unwrap())
    }

    fn connect(endpoint: Endpoint) -> Self {
        let _entered = runtime().enter();
        let channel = endpoint.tcp_nodelay(true).connect_lazy();
        GrpcClient { channel, metadata: MetadataMap::new(), compression: None }
    }

    pub fn metadata(mut self, name: &str, value: &str) -> Self {
        let name: AsciiMetadataKey = name.parse().unwrap();
        self.metadata.append(name, value.parse().unwrap());
        self
    }

    pub fn binary(mut self, name: &str, value: &[u8]) -> Self {
        let name: BinaryMetadataKey = name.parse().unwrap();
        self.metadata.append_bin(name, MetadataValue::from_bytes(value));
        self
    }

    pub fn session(self, name: &str) -> Self {
        self.metadata("ouli-session", name)
    }

    /// Says `grpc-timeout`, and gives up itself when it is over.
    pub fn deadline(self, timeout: Duration) -> Self {
        self.metadata("grpc-timeout", &format!("{}m", timeout.as_millis()))
    }

    /// Compresses messages, and takes compressed ones.
    pub fn gzip(mut self) -> Self {
        self.compression = Some(CompressionEncoding::Gzip);
        self
    }

    /// Sends all of these, then reads all that comes.
    #[track_caller]
    pub fn call(&self, method: &str, notes: &[Note]) -> Outcome {
        let mut call = self.open(method);
        for note in notes {
            call.send(note.clone());
        }
        call.finish();
        call.outcome()
    }

    /// Begins a call; messages go one by one.
    pub fn open(&self, method: &str) -> Call {
        Call::begin(self, method)
    }
}
