//! What two sides agree on about permessage-deflate (RFC 7692 section 7.1).

use std::fmt::Write as _;

use crate::exchange::Fields;
use crate::ws::extensions::{self, Extension, Parameter};

const NAME: &str = "permessage-deflate";
const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// Where nothing is said (RFC 7692 section 7.1.2).
const BITS_MAX: u8 = 15;

/// What holds for the messages of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// The server's messages may refer back to its earlier ones.
    pub server_takeover: bool,
    pub client_takeover: bool,
    /// The server refers back no further than two to this power, in bytes. 8 to 15.
    pub server_bits: u8,
    pub client_bits: u8,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            server_takeover: true,
            client_takeover: true,
            server_bits: BITS_MAX,
            client_bits: BITS_MAX,
        }
    }
}

/// What an answer grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Granted {
    /// No extension.
    None,
    Deflate(Terms),
    /// Something else, or more, or what can't be read: nobody knows what reserved bits mean here.
    Unknown,
}

/// What is to be answered to an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    pub terms: Terms,
    /// The value of `Sec-WebSocket-Extensions`.
    pub value: String,
}

impl Terms {
    /// What the answer with these fields grants.
    pub fn granted(fields: &Fields) -> Granted {
        match extensions::listed(fields).as_deref() {
            Some([]) => Granted::None,
            Some([extension]) => match Said::in_answer(extension) {
                Some(said) => Granted::Deflate(said.terms()),
                None => Granted::Unknown,
            },
            Some(_) | None => Granted::Unknown,
        }
    }

    /// What to answer to a client whose request has these fields, where the terms were these before:
    /// the same if one of its offers allows them, else as near to them as its first offer allows.
    /// None where it offers nothing that can be granted.
    pub fn offered_by(&self, fields: &Fields) -> Option<Agreement> {
        let listed = extensions::listed(fields).unwrap_or_default();
        let offers: Vec<Said> = listed.iter().filter_map(Said::in_offer).collect();
        let same = offers.iter().find(|offer| offer.adjust(*self) == *self);
        let offer = same.or(offers.first())?;
        let terms = offer.adjust(*self);
        Some(Agreement { terms, value: terms.header_value(offer) })
    }

    fn header_value(&self, offer: &Said) -> String {
        let mut value = NAME.to_owned();
        let mut say = |name: &str, bits: Option<u8>| {
            // Writing to a String can't fail.
            let _ = match bits {
                Some(bits) => write!(value, "; {name}={bits}"),
                None => write!(value, "; {name}"),
            };
        };
        if !self.server_takeover {
            say(SERVER_NO_TAKEOVER, None);
        }
        if !self.client_takeover {
            say(CLIENT_NO_TAKEOVER, None);
        }
        // An offer that limits the server is accepted by saying so (RFC 7692 section 7.1.2.1).
        if self.server_bits < BITS_MAX || offer.server_bits.is_some() {
            say(SERVER_BITS, Some(self.server_bits));
        }
        if self.client_bits < BITS_MAX {
            say(CLIENT_BITS, Some(self.client_bits));
        }
        value
    }
}

/// The parameters of one offer or answer, as they were said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) server_no_takeover: bool,
    pub(super) client_no_takeover: bool,
    pub(super) server_bits: Option<u8>,
    pub(super) client_bits: ClientBits,
}

/// An offer may have this parameter without a value (RFC 7692 section 7.1.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ClientBits {
    #[default]
    Unsaid,
    /// The client does as it is told.
    Any,
    Most(u8),
}

impl Said {
    /// None where it isn't permessage-deflate or breaks a rule: it must be declined (RFC 7692
    /// section 7.1).
    pub(super) fn in_offer(extension: &Extension<'_>) -> Option<Said> {
        let mut said = Said::default();
        if !extension.name.eq_ignore_ascii_case(NAME.as_bytes()) {
            return None;
        }
        extension.parameters.iter().try_for_each(|parameter| said.take(parameter))?;
        Some(said)
    }

    /// None where a client must fail the connection.
    pub(super) fn in_answer(extension: &Extension<'_>) -> Option<Said> {
        Said::in_offer(extension).filter(|said| said.client_bits != ClientBits::Any)
    }

    /// None for an unknown parameter, a value out of place, and what was said before.
    fn take(&mut self, parameter: &Parameter<'_>) -> Option<()> {
        let is = |name: &str| parameter.name.eq_ignore_ascii_case(name.as_bytes());
        let value = parameter.value.as_deref();
        if is(SERVER_NO_TAKEOVER) {
            take_flag(&mut self.server_no_takeover, value)
        } else if is(CLIENT_NO_TAKEOVER) {
            take_flag(&mut self.client_no_takeover, value)
        } else if is(SERVER_BITS) {
            let bits = bits(value?)?;
            self.server_bits.replace(bits).is_none().then_some(())
        } else if is(CLIENT_BITS) {
            let bits = match value {
                Some(value) => ClientBits::Most(bits(value)?),
                None => ClientBits::Any,
            };
            (std::mem::replace(&mut self.client_bits, bits) == ClientBits::Unsaid).then_some(())
        } else {
            None
        }
    }

    fn terms(&self) -> Terms {
        let client_bits = match self.client_bits {
            ClientBits::Most(bits) => bits,
            ClientBits::Unsaid | ClientBits::Any => BITS_MAX,
        };
        Terms {
            server_takeover: !self.server_no_takeover,
            client_takeover: !self.client_no_takeover,
            server_bits: self.server_bits.unwrap_or(BITS_MAX),
            client_bits,
        }
    }

    /// What this offer allows that is nearest to `terms`.
    fn adjust(&self, terms: Terms) -> Terms {
        let client_bits = match self.client_bits {
            // Nobody may tell it (RFC 7692 section 7.1.2.2).
            ClientBits::Unsaid => BITS_MAX,
            // Where nothing is said, its own limit is a hint, and holds by itself.
            ClientBits::Most(most) if terms.client_bits < BITS_MAX => terms.client_bits.min(most),
            ClientBits::Most(_) | ClientBits::Any => terms.client_bits,
        };
        Terms {
            // Must be accepted as offered (RFC 7692 section 7.1.1.1).
            server_takeover: terms.server_takeover && !self.server_no_takeover,
            // May be said to any client, and is a hint where it offers it (section 7.1.1.2).
            client_takeover: terms.client_takeover,
            server_bits: terms.server_bits.min(self.server_bits.unwrap_or(BITS_MAX)),
            client_bits,
        }
    }
}

fn take_flag(flag: &mut bool, value: Option<&[u8]>) -> Option<()> {
    (value.is_none() && !std::mem::replace(flag, true)).then_some(())
}

/// 8 to 15, without leading zeros (RFC 7692 section 7.1.2).
fn bits(value: &[u8]) -> Option<u8> {
    match value {
        [b'8'] => Some(8),
        [b'9'] => Some(9),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}
