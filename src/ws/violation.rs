//! Why a conversation is failed: one variant per rule, each saying it to people.

use thiserror::Error;

use super::close;

/// A rule that a client broke.
///
/// `Display` is the reason in the close frame, so it is no longer than a reason may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Violation {
    // Headers.
    #[error("a reserved bit is set that no extension gives a meaning (RFC 6455 section 5.2)")]
    ReservedBits,
    #[error("a frame has a reserved opcode (RFC 6455 section 5.2)")]
    ReservedOpcode,
    #[error("a frame's length isn't written in as few bytes as it takes (RFC 6455 section 5.2)")]
    BadLength,
    #[error("a client's frame isn't masked (RFC 6455 section 5.1)")]
    Unmasked,
    #[error("a control frame is fragmented (RFC 6455 section 5.5)")]
    FragmentedControl,
    #[error("a control frame has more than 125 bytes (RFC 6455 section 5.5)")]
    LongControl,
    #[error("a continuation has nothing to continue (RFC 6455 section 5.4)")]
    NothingToContinue,
    #[error("a message begins inside another one (RFC 6455 section 5.4)")]
    MessageInside,

    // Contents.
    #[error("a text isn't UTF-8 (RFC 6455 section 8.1)")]
    BadText,
    #[error("a compressed message can't be inflated (RFC 7692 section 7.2.2)")]
    BadCompression,
    #[error("a close frame has half a code (RFC 6455 section 5.5.1)")]
    HalfCode,
    #[error("a close frame has a code that none may have (RFC 6455 section 7.4)")]
    BadCode,
    #[error("the reason of a close frame isn't UTF-8 (RFC 6455 section 5.5.1)")]
    BadReason,

    // Bounds.
    #[error("a message has more than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    #[error("a message has more than {fragments_max} frames")]
    TooManyFragments { fragments_max: u32 },
    #[error("more than {idle_frames_max} frames in a row carry nothing")]
    TooManyIdleFrames { idle_frames_max: u32 },
}

impl Violation {
    /// The code in the close frame (RFC 6455 section 7.4.1).
    pub fn code(&self) -> u16 {
        match self {
            Violation::ReservedBits
            | Violation::ReservedOpcode
            | Violation::BadLength
            | Violation::Unmasked
            | Violation::FragmentedControl
            | Violation::LongControl
            | Violation::NothingToContinue
            | Violation::MessageInside
            | Violation::HalfCode
            | Violation::BadCode => close::PROTOCOL_ERROR,
            Violation::BadText | Violation::BadCompression | Violation::BadReason => {
                close::INVALID_DATA
            }
            Violation::TooLarge { .. } => close::TOO_BIG,
            Violation::TooManyFragments { .. } | Violation::TooManyIdleFrames { .. } => {
                close::POLICY_VIOLATION
            }
        }
    }
}
