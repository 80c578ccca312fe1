//! gRPC by tonic, on both sides: `GrpcOrigin` serves one service whose behaviour the messages
//! themselves ask for, and `GrpcClient` makes calls that a test can hold message by message.

mod call;
mod client;
mod note;
mod origin;
mod service;

pub use call::{Call, Outcome};
pub use client::GrpcClient;
pub use note::{Note, prefixed};
pub use origin::GrpcOrigin;
