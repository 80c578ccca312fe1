//! Close codes and reasons (RFC 6455 section 7.4).

/// What a close frame says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// None where the frame is empty.
    pub code: Option<u16>,
    pub reason: String,
}

pub const NORMAL: u16 = 1000;
pub const GOING_AWAY: u16 = 1001;
pub const PROTOCOL_ERROR: u16 = 1002;
pub const INVALID_DATA: u16 = 1007;
pub const POLICY_VIOLATION: u16 = 1008;
pub const TOO_BIG: u16 = 1009;
pub const INTERNAL_ERROR: u16 = 1011;

/// The reason that goes with `GOING_AWAY` when Ouli is stopped.
pub const STOPPED: &str = "Ouli was stopped";

/// Bytes of a reason at most: a control frame's less those of the code.
pub const REASON_BYTES_MAX: usize = super::frame::CONTROL_BYTES_MAX - 2;

/// Reads the payload of a close frame, as far as it can be read: a reason that isn't UTF-8 with
/// replacement characters. Judges nothing; see `is_sound`.
pub fn read(payload: &[u8]) -> Said {
    match payload.split_first_chunk::<2>() {
        None => Said::default(),
        Some((code, reason)) => Said {
            code: Some(u16::from_be_bytes(*code)),
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
    }
}

/// The payload of a close frame. A reason without a code is left out, one that is too long cut
/// between two characters.
pub fn payload(code: Option<u16>, reason: &str) -> Vec<u8> {
    let Some(code) = code else { return Vec::new() };
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// Whether an endpoint may send this code (RFC 6455 sections 7.4.1 and 7.4.2, and the registry that
/// it opens).
pub fn is_code_sound(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let said = |code, reason: &str| Said { code, reason: reason.to_owned() };
        assert_eq!(read(&payload(Some(1000), "bye")), said(Some(1000), "bye"));
        assert_eq!(read(&payload(None, "lost")), said(None, ""));
        assert_eq!(read(b"\x03"), said(None, ""));
        let long = "\u{e4}".repeat(100);
        let payload = payload(Some(1008), &long);
        assert_eq!(payload.len(), 124, "a character isn't split");
        assert!(long.starts_with(&read(&payload).reason));
    }

    #[test]
    fn codes_that_never_stand_in_a_frame_are_told() {
        for code in [1000, 1003, 1007, 1011, 1014, 3000, 4999] {
            assert!(is_code_sound(code), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            assert!(!is_code_sound(code), "{code}");
        }
    }
}
