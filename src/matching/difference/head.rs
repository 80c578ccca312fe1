//! Differences in endpoint, method, path, query and handshake.

use super::{Differences, Place};
use crate::matching::BodyPrint;
use crate::matching::key::Parts;
use crate::ws::handshake;

/// Values of one repeated name; what they make is cut short later.
const VALUES_SHOWN_MAX: usize = 16;

impl Differences {
    pub(super) fn compare_heads(&mut self, asked: &Parts<'_>, recorded: &Parts<'_>) {
        self.compare_texts(Place::Endpoint, asked.endpoint, recorded.endpoint);
        self.compare_texts(Place::Method, asked.method, recorded.method);
        self.compare_paths(asked.path, recorded.path);
        self.compare_queries(asked, recorded);
        self.compare_handshakes(asked.body, recorded.body);
    }

    /// Whether each asks for a conversation, and in which subprotocols.
    fn compare_handshakes(&mut self, asked: BodyPrint<'_>, recorded: BodyPrint<'_>) {
        let (place, asked, recorded) = match (offered(asked), offered(recorded)) {
            (Some(asked), Some(recorded)) => {
                let named = |offered: &&[u8]| !offered.is_empty();
                (Place::Subprotocol, Some(asked).filter(named), Some(recorded).filter(named))
            }
            (asked, recorded) => {
                let upgrade = |_| handshake::PROTOCOL.as_bytes();
                (Place::Upgrade, asked.map(upgrade), recorded.map(upgrade))
            }
        };
        if asked != recorded {
            let shown = |side| move || text(side);
            self.note(|| place, asked.map(shown), recorded.map(shown));
        }
    }

    fn compare_texts(&mut self, place: Place, asked: &[u8], recorded: &[u8]) {
        if asked != recorded {
            self.note(|| place, Some(|| text(asked)), Some(|| text(recorded)));
        }
    }

    fn compare_paths(&mut self, asked: &[u8], recorded: &[u8]) {
        if segments(asked).count() != segments(recorded).count() {
            return self.compare_texts(Place::Path, asked, recorded);
        }
        for (n, (asked, recorded)) in segments(asked).zip(segments(recorded)).enumerate() {
            self.compare_texts(Place::Segment(n + 1), asked, recorded);
        }
    }

    /// By name; the values of a name are compared together, because which of them belongs to which
    /// can't be known.
    fn compare_queries(&mut self, asked: &Parts<'_>, recorded: &Parts<'_>) {
        let (mut asked, mut recorded) = (named(asked), named(recorded));
        asked.sort();
        recorded.sort();
        let (mut asked, mut recorded) = (&asked[..], &recorded[..]);
        while let Some(name) = first_name(asked, recorded) {
            let (asked_values, asked_rest) = values(asked, name);
            let (recorded_values, recorded_rest) = values(recorded, name);
            if asked_values != recorded_values {
                self.note(
                    || Place::Query(text(name)),
                    shown(asked_values, recorded_values),
                    shown(recorded_values, asked_values),
                );
            }
            (asked, recorded) = (asked_rest, recorded_rest);
        }
    }
}

/// The subprotocols of a handshake; none where it isn't one.
fn offered(body: BodyPrint<'_>) -> Option<&[u8]> {
    match body {
        BodyPrint::Conversation(offered) => Some(offered),
        _ => None,
    }
}

/// A parameter's name and, where it has an equals sign, its value.
type Named<'a> = (&'a [u8], Option<&'a [u8]>);

fn named<'a>(parts: &Parts<'a>) -> Vec<Named<'a>> {
    let split = |parameter: &'a [u8]| match parameter.iter().position(|byte| *byte == b'=') {
        Some(equals) => (&parameter[..equals], Some(&parameter[equals + 1..])),
        None => (parameter, None),
    };
    parts.parameters().map(split).collect()
}

fn first_name<'a>(asked: &[Named<'a>], recorded: &[Named<'a>]) -> Option<&'a [u8]> {
    let first = |side: &[Named<'a>]| side.first().map(|(name, _)| *name);
    match (first(asked), first(recorded)) {
        (Some(asked), Some(recorded)) => Some(asked.min(recorded)),
        (asked, recorded) => asked.or(recorded),
    }
}

/// The parameters of that name, which stand in front, and the rest.
fn values<'s, 'a>(side: &'s [Named<'a>], name: &[u8]) -> (&'s [Named<'a>], &'s [Named<'a>]) {
    side.split_at(side.iter().take_while(|(other, _)| *other == name).count())
}

/// The values that only this side has.
fn shown<'a>(
    side: &'a [Named<'a>],
    other: &'a [Named<'a>],
) -> Option<impl FnOnce() -> String + use<'a>> {
    let mut other = other.iter().peekable();
    let mut own = side.iter().filter(move |value| {
        while other.next_if(|other| other < value).is_some() {}
        other.next_if_eq(value).is_none()
    });
    let first = own.next()?;
    Some(move || {
        let value = |(_, value): &Named<'a>| value.map_or("(no value)".to_owned(), text);
        let values: Vec<String> =
            std::iter::once(first).chain(own).take(VALUES_SHOWN_MAX).map(value).collect();
        values.join(", ")
    })
}

pub(in crate::matching) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/')
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
