//! Every byte of a conversation as one of its sides sent and received it, after the handshake.

use std::sync::{Arc, Mutex};

use super::super::message::{Ending, Printable};
use super::super::wait::wait_until;
use super::frame::Frame;

/// Cheap to clone; all clones see the same.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    sent: Vec<u8>,
    received: Vec<u8>,
    ended: Option<Ending>,
}

impl Log {
    pub(super) fn note_sent(&self, bytes: &[u8]) {
        self.0.lock().unwrap().sent.extend(bytes);
    }

    pub(super) fn note_received(&self, bytes: &[u8]) {
        self.0.lock().unwrap().received.extend(bytes);
    }

    pub(super) fn note_end(&self, ending: Ending) {
        self.0.lock().unwrap().ended.get_or_insert(ending);
    }

    pub fn sent(&self) -> Vec<u8> {
        self.0.lock().unwrap().sent.clone()
    }

    pub fn sent_len(&self) -> usize {
        self.0.lock().unwrap().sent.len()
    }

    pub fn received(&self) -> Vec<u8> {
        self.0.lock().unwrap().received.clone()
    }

    pub fn frames_received(&self) -> Vec<Frame> {
        Frame::parse_all(&self.received()).0
    }

    /// Waits until these bytes, and no others, have come.
    #[track_caller]
    pub fn wait_received(&self, expected: &[u8]) {
        wait_until("the bytes have come", || {
            let kept = self.0.lock().unwrap();
            match kept.received == expected {
                true => Ok(()),
                false => Err(format!(
                    "{:?} came of {:?}",
                    Printable(&kept.received).to_string(),
                    Printable(expected).to_string()
                )),
            }
        });
    }

    /// Waits until a frame with this payload has come.
    #[track_caller]
    pub fn wait_frame(&self, payload: &[u8]) {
        wait_until("the frame has come", || {
            let frames = self.frames_received();
            let came = frames.iter().any(|frame| frame.payload == payload);
            came.then_some(()).ok_or(format!("{frames:?}"))
        });
    }

    /// Waits until this side has seen the other's end, and tells how.
    #[track_caller]
    pub fn wait_end(&self) -> Ending {
        wait_until("the conversation's end is seen", || self.0.lock().unwrap().ended)
    }
}
