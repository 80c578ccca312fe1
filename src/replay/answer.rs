//! An answer made ready to be sent.

/// A recorded answer in the form it goes over the wire.
#[derive(Debug, Default)]
pub struct Answer {}
