//! Differences between a client's message and the one recorded in its place: by value where that
//! is known, else where the text or the bytes part.

use std::borrow::Cow;

use super::{Difference, Differences, Place};
use crate::matching::{MessageKey, MessagePrint};
use crate::redact::Redactor;

/// Bytes shown before and from the place where two messages part.
const CONTEXT_BYTES: usize = 8;

impl Differences {
    /// Between the `number`th message that came and the recorded one in its place, each with its
    /// content where that is at hand. `key` says how they are compared.
    pub fn between_messages(
        number: u32,
        key: &MessageKey<'_>,
        asked: (MessagePrint, Option<&[u8]>),
        recorded: (MessagePrint, Option<&[u8]>),
        redactor: &Redactor,
    ) -> Differences {
        let mut differences = Differences::default();
        if asked.0 == recorded.0 {
            return differences;
        }
        let are_text = (key.is_text(asked.0), key.is_text(recorded.0));
        match (are_text, asked.1, recorded.1) {
            ((true, true), Some(asked), Some(recorded)) => {
                differences.compare_texts_of_messages(asked, recorded, redactor);
            }
            ((false, false), Some(asked), Some(recorded)) => {
                let json = |content| key.json(content).or_else(|| looks_like_json(content));
                if let (Some(asked), Some(recorded)) = (json(asked), json(recorded)) {
                    differences.compare_json(&asked, &recorded, redactor);
                }
                if differences.count() == 0 {
                    differences.compare_messages(asked, recorded);
                }
            }
            ((false, true), ..) => differences.note(|| Place::Body, kind("binary"), kind("text")),
            ((true, false), ..) => differences.note(|| Place::Body, kind("text"), kind("binary")),
            _ => {}
        }
        if differences.count() == 0 {
            let shown = |print: MessagePrint| move || print.to_string();
            differences.note(|| Place::Body, Some(shown(asked.0)), Some(shown(recorded.0)));
        }
        let inside = |one: Difference| {
            let place = Place::Message(number, Box::new(one.place));
            Difference { place, ..one }
        };
        differences.listed = differences.listed.into_iter().map(inside).collect();
        differences
    }

    fn compare_texts_of_messages(&mut self, asked: &[u8], recorded: &[u8], redactor: &Redactor) {
        self.compare_json(asked, recorded, redactor);
        if self.count() == 0 {
            self.compare_bytes(asked, recorded);
        }
    }

    fn compare_messages(&mut self, asked: &[u8], recorded: &[u8]) {
        let same = asked.iter().zip(recorded).take_while(|(a, r)| a == r).count();
        if same == asked.len().max(recorded.len()) {
            return;
        }
        let shown = |side| move || around(side, same);
        self.note(|| Place::Byte(same), Some(shown(asked)), Some(shown(recorded)));
    }
}

fn kind(word: &'static str) -> Option<impl FnOnce() -> String> {
    Some(|| word.to_owned())
}

/// What nobody has said to be JSON may be it all the same.
fn looks_like_json(content: &[u8]) -> Option<Cow<'_, [u8]>> {
    matches!(content.first(), Some(b'{' | b'[')).then_some(content.into())
}

/// `…0a 03 [66] 6f 6f of 5 bytes`: the byte at that place in brackets.
fn around(message: &[u8], place: usize) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x} ")).collect::<String>();
    let (before, rest) = message.split_at_checked(place).unwrap_or((message, &[]));
    let start = before.len().saturating_sub(CONTEXT_BYTES);
    let cut = if start > 0 { "…" } else { "" };
    let before = hex(before.get(start..).unwrap_or_default());
    let Some((here, behind)) = rest.split_first() else {
        return format!("{cut}{before}[end] of {} bytes", message.len());
    };
    let shown = behind.get(..CONTEXT_BYTES).unwrap_or(behind);
    let more = if shown.len() < behind.len() { "… " } else { "" };
    format!("{cut}{before}[{here:02x}] {}{more}of {} bytes", hex(shown), message.len())
}
