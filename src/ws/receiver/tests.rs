use proptest::prelude::*;

use super::*;
use crate::ws::deflate::Deflater;
use crate::ws::frame;
use crate::ws::property::{self, Heard, hear};

const LIMITS: Limits = Limits { message_bytes_max: 1000, fragments_max: 4, idle_frames_max: 3 };

const MASK: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

/// The frames of a client, one after the other.
#[derive(Clone, Default)]
struct Client(Vec<u8>);

impl Client {
    fn frame(mut self, opcode: Opcode, fin: bool, rsv: u8, payload: &[u8]) -> Client {
        let header = Header { fin, rsv, mask: MASK, ..Header::new(opcode, 0) };
        frame::write(&mut self.0, &header, payload);
        self
    }

    fn whole(self, opcode: Opcode, payload: impl AsRef<[u8]>) -> Client {
        self.frame(opcode, true, 0, payload.as_ref())
    }

    fn begins(self, opcode: Opcode, payload: impl AsRef<[u8]>) -> Client {
        self.frame(opcode, false, 0, payload.as_ref())
    }

    fn compressed(self, opcode: Opcode, payload: &[u8]) -> Client {
        self.frame(opcode, true, RSV1, payload)
    }

    fn bytes(mut self, bytes: &[u8]) -> Client {
        self.0.extend_from_slice(bytes);
        self
    }

    /// What is heard of it, under every cut.
    fn heard_within(&self, limits: Limits, terms: Option<Terms>) -> Vec<Heard> {
        let whole = hear(Receiver::new(limits, terms), &self.0, 0);
        for len in 1..20 {
            assert_eq!(whole, hear(Receiver::new(limits, terms), &self.0, len), "{len}");
        }
        whole
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard_within(LIMITS, None)
    }

    /// What ends it.
    fn violates(&self) -> Option<Violation> {
        violation(self.heard())
    }

    fn violates_compressed(&self) -> Option<Violation> {
        violation(self.heard_within(LIMITS, Some(Terms::default())))
    }
}

fn violation(heard: Vec<Heard>) -> Option<Violation> {
    match heard.last() {
        Some(Heard::Violated(violation)) => Some(*violation),
        _ => None,
    }
}

fn client() -> Client {
    Client::default()
}

fn message(kind: Kind, is_compressed: bool, bytes: &[u8]) -> Vec<Heard> {
    vec![Heard::Began(kind, is_compressed), Heard::Data(bytes.to_vec()), Heard::Ended]
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::new(15).unwrap().message(plain, &mut out);
    out
}

#[test]
fn messages_are_heard_with_what_comes_between_their_frames() {
    let heard = client()
        .whole(Opcode::Text, "h\u{e9}llo")
        .begins(Opcode::Binary, [1, 2])
        .whole(Opcode::Ping, "there?")
        .begins(Opcode::Continuation, [])
        .whole(Opcode::Pong, "late")
        .whole(Opcode::Continuation, [3])
        .whole(Opcode::Text, "")
        .whole(Opcode::Close, [0x03, 0xe8, b'o', b'k'])
        .bytes(b"whatever comes then")
        .heard();
    let expected = [
        message(Kind::Text, false, "h\u{e9}llo".as_bytes()),
        vec![
            Heard::Began(Kind::Binary, false),
            Heard::Data(vec![1, 2]),
            Heard::Ping(b"there?".to_vec()),
            Heard::Pong,
            Heard::Data(vec![3]),
            Heard::Ended,
            Heard::Began(Kind::Text, false),
            Heard::Ended,
            Heard::Closed(Said { code: Some(1000), reason: "ok".into() }),
        ],
    ];
    assert_eq!(heard, expected.concat());
    assert_eq!(client().whole(Opcode::Close, "").heard(), [Heard::Closed(Said::default())]);
}

#[test]
fn compressed_messages_are_heard_inflated() {
    let hello = deflated(b"Hello");
    let heard = client()
        .compressed(Opcode::Text, &hello)
        .compressed(Opcode::Binary, &[0xf2, 0x00, 0x11, 0x00, 0x00])
        .whole(Opcode::Text, "plain")
        .frame(Opcode::Text, false, RSV1, &hello[..3])
        .whole(Opcode::Ping, "")
        .whole(Opcode::Continuation, &hello[3..])
        .compressed(Opcode::Text, &[0])
        .compressed(Opcode::Text, &deflated(&[b'x'; 1000]))
        .heard_within(LIMITS, Some(Terms::default()));
    let expected = [
        message(Kind::Text, true, b"Hello"),
        message(Kind::Binary, true, b"Hello"),
        message(Kind::Text, false, b"plain"),
        vec![
            Heard::Began(Kind::Text, true),
            Heard::Data(b"He".to_vec()),
            Heard::Ping(vec![]),
            Heard::Data(b"llo".to_vec()),
            Heard::Ended,
            Heard::Began(Kind::Text, true),
            Heard::Ended,
        ],
        message(Kind::Text, true, &[b'x'; 1000]),
    ];
    assert_eq!(heard, expected.concat());
}

#[test]
fn large_messages_are_handed_out_in_pieces() {
    let limits = Limits { message_bytes_max: 1 << 20, ..LIMITS };
    let plain = vec![b'a'; 1 << 20];
    let heard = client()
        .compressed(Opcode::Text, &deflated(&plain))
        .whole(Opcode::Binary, &plain)
        .heard_within(limits, Some(Terms::default()));
    let expected =
        [message(Kind::Text, true, &plain), message(Kind::Binary, false, &plain)].concat();
    assert!(heard == expected);
}

#[test]
fn headers_that_break_a_rule_end_it() {
    use Opcode::*;
    for (expected, client) in [
        (Violation::ReservedBits, client().frame(Text, true, 0b100, b"a")),
        (Violation::ReservedBits, client().frame(Ping, true, 0b010, b"a")),
        (Violation::ReservedOpcode, client().whole(Reserved(3), "a")),
        (Violation::ReservedOpcode, client().whole(Reserved(15), "a")),
        (Violation::BadLength, client().bytes(&[0x82, 0xfe, 0, 125, 0, 0, 0, 0])),
        (
            Violation::BadLength,
            client().bytes(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
        ),
        (Violation::Unmasked, client().bytes(&[0x81, 0x01, b'a'])),
        (Violation::FragmentedControl, client().begins(Ping, "a")),
        (Violation::FragmentedControl, client().begins(Close, "")),
        (Violation::LongControl, client().whole(Ping, [0; 126])),
        (Violation::NothingToContinue, client().whole(Continuation, "a")),
        (Violation::NothingToContinue, client().whole(Text, "a").begins(Continuation, "a")),
        (Violation::MessageInside, client().begins(Text, "a").whole(Binary, "a")),
    ] {
        let client = client.whole(Text, "not heard any more");
        assert_eq!(client.violates(), Some(expected));
        assert_eq!(expected.code(), close::PROTOCOL_ERROR);
    }
    assert_eq!(client().whole(Ping, [0; 125]).violates(), None);
}

#[test]
fn only_the_first_frame_of_a_message_may_say_that_it_is_compressed() {
    use Opcode::*;
    let bits = Some(Violation::ReservedBits);
    assert_eq!(client().frame(Ping, true, RSV1, b"").violates_compressed(), bits);
    assert_eq!(client().frame(Text, true, 0b010, b"").violates_compressed(), bits);
    assert_eq!(client().frame(Text, true, 0b101, b"").violates_compressed(), bits);
    let begun = client().frame(Text, false, RSV1, &[0xf2]);
    assert_eq!(begun.frame(Continuation, true, RSV1, &[0]).violates_compressed(), bits);
}

#[test]
fn a_text_ends_it_at_the_byte_that_makes_it_none() {
    let text = |text: &[u8]| client().whole(Opcode::Text, text).violates();
    assert_eq!(text(b"a\xff"), Some(Violation::BadText));
    assert_eq!(text(b"a\xe2\x82"), Some(Violation::BadText), "its end is missing");
    let binary = client().whole(Opcode::Binary, b"\xff\xff");
    assert_eq!(binary.violates(), None);
    let split = client().begins(Opcode::Text, [0xe2]).begins(Opcode::Continuation, []);
    assert_eq!(split.clone().whole(Opcode::Continuation, [0x82, 0xac]).violates(), None);
    assert_eq!(split.begins(Opcode::Continuation, "a").violates(), Some(Violation::BadText));
    // Not one byte of the frame that follows is needed, nor the rest of this one.
    let header = [0x01, 0xfe, 0x02, 0, 0, 0, 0, 0];
    let begun = client().bytes(&header).bytes(b"a\xf4\x90");
    assert_eq!(begun.violates(), Some(Violation::BadText));
    let inflated = client().compressed(Opcode::Text, &deflated(b"a\xff"));
    assert_eq!(inflated.violates_compressed(), Some(Violation::BadText));
    assert_eq!(Violation::BadText.code(), close::INVALID_DATA);
}

#[test]
fn closes_that_break_a_rule_are_told() {
    let close = |payload: &[u8]| client().whole(Opcode::Close, payload).violates();
    assert_eq!(close(&[3]), Some(Violation::HalfCode));
    assert_eq!(close(&[0x03, 0xed]), Some(Violation::BadCode), "1005");
    assert_eq!(close(&[0x03, 0xe8, 0xff]), Some(Violation::BadReason));
    assert_eq!(Violation::HalfCode.code(), close::PROTOCOL_ERROR);
    assert_eq!(Violation::BadCode.code(), close::PROTOCOL_ERROR);
    assert_eq!(Violation::BadReason.code(), close::INVALID_DATA);
}

#[test]
fn a_message_may_have_as_many_bytes_and_frames_as_the_limits_say() {
    use Opcode::*;
    let large = Violation::TooLarge { bytes_max: 1000 };
    assert_eq!(client().whole(Binary, [0; 1000]).violates(), None);
    let header = [0x82, 0xfe, 0x03, 0xe9, 0, 0, 0, 0];
    assert_eq!(client().bytes(&header).violates(), Some(large), "before a byte of it came");
    let split = client().begins(Binary, [0; 999]).begins(Continuation, [0]);
    assert_eq!(split.violates(), None);
    assert_eq!(split.whole(Continuation, [0]).violates(), Some(large));
    let bomb = client().compressed(Binary, &deflated(&[0; 1001]));
    assert_eq!(bomb.violates_compressed(), Some(large));
    assert_eq!(large.code(), close::TOO_BIG);

    let many = Violation::TooManyFragments { fragments_max: 4 };
    let three = (0..2).fold(client().begins(Text, "a"), |all, _| all.begins(Continuation, "a"));
    assert_eq!(three.clone().whole(Continuation, "a").whole(Text, "a").violates(), None);
    let five = three.begins(Continuation, "a").whole(Continuation, "a");
    assert_eq!(five.violates(), Some(many));
    assert_eq!(many.code(), close::POLICY_VIOLATION);
}

#[test]
fn frames_that_carry_nothing_are_counted_from_one_message_to_the_next() {
    use Opcode::*;
    let idle = Violation::TooManyIdleFrames { idle_frames_max: 3 };
    let three = client().whole(Ping, "a").whole(Pong, "b").begins(Text, "");
    assert_eq!(three.clone().begins(Continuation, "").violates(), Some(idle));
    assert_eq!(three.clone().whole(Ping, "").violates(), Some(idle));
    let ended = three.clone().whole(Continuation, "").whole(Ping, "").whole(Ping, "");
    assert_eq!(ended.violates(), None);
    assert_eq!(idle.code(), close::POLICY_VIOLATION);

    let mut receiver = Receiver::new(LIMITS, None);
    let mut input = three.0;
    let mut at = 0;
    while receiver.next(&mut input, &mut at).is_some() {}
    receiver.rested();
    assert!(!receiver.is_between());
    let rest = client().whole(Continuation, "x").whole(Close, "");
    assert_eq!(hear(receiver, &rest.0, 1).last(), Some(&Heard::Closed(Said::default())));
}

#[test]
fn what_does_not_inflate_ends_it() {
    let bad = Some(Violation::BadCompression);
    assert_eq!(client().compressed(Opcode::Text, b"\xff\xff").violates_compressed(), bad);
    let half = &deflated(b"some text, some more text")[..9];
    assert_eq!(client().compressed(Opcode::Text, half).violates_compressed(), bad);
    assert_eq!(Violation::BadCompression.code(), close::INVALID_DATA);
}

#[test]
fn every_reason_fits_into_a_close_frame() {
    for violation in [
        Violation::ReservedBits,
        Violation::BadLength,
        Violation::BadCode,
        Violation::BadCompression,
        Violation::TooLarge { bytes_max: u64::MAX },
        Violation::TooManyFragments { fragments_max: u32::MAX },
        Violation::TooManyIdleFrames { idle_frames_max: u32::MAX },
    ] {
        let reason = violation.to_string();
        assert!(reason.len() <= close::REASON_BYTES_MAX, "{reason}");
    }
}

#[test]
fn a_receiver_at_rest_is_small() {
    assert!(size_of::<Receiver>() <= 256, "{}", size_of::<Receiver>());
}

/// Frames that mostly keep the rules.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        4 => Just(Opcode::Text), 4 => Just(Opcode::Binary), 6 => Just(Opcode::Continuation),
        2 => Just(Opcode::Ping), 1 => Just(Opcode::Pong), 1 => Just(Opcode::Close),
    ];
    let payload = prop_oneof![
        "[a\u{e9}\u{20ac}]{0,60}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
        (0usize..6000).prop_map(|len| vec![b'z'; len]),
    ];
    let one = (opcode, any::<bool>(), any::<bool>(), payload, any::<prop::sample::Index>());
    prop::collection::vec(one, 0..12).prop_map(|frames| {
        let mut all = client();
        for (opcode, fin, compressed, payload, cut) in frames {
            let rsv = if compressed && !opcode.is_control() { RSV1 } else { 0 };
            let payload = if compressed { deflated(&payload) } else { payload };
            match (opcode, fin) {
                (Opcode::Text | Opcode::Binary, false) => {
                    let (one, other) = payload.split_at(cut.index(payload.len() + 1));
                    all = all.frame(opcode, false, rsv, one).whole(Opcode::Ping, "p");
                    all = all.whole(Opcode::Continuation, other);
                }
                (Opcode::Continuation, _) => all = all.frame(opcode, fin, 0, &payload),
                _ => all = all.frame(opcode, true, rsv, &payload),
            }
        }
        all.0
    })
}

proptest! {
    #[test]
    fn a_clients_bytes_mean_the_same_under_every_cut(
        head in any::<[u8; 2]>(),
        frames in frames(),
    ) {
        property::receiving(&[&head[..], &frames].concat());
    }

    #[test]
    fn what_is_almost_a_clients_means_the_same_under_every_cut(
        head in any::<[u8; 2]>(),
        mut frames in frames(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let place = at.index(frames.len().max(1));
        frames.get_mut(place).into_iter().for_each(|place| *place = byte);
        property::receiving(&[&head[..], &frames].concat());
    }

    #[test]
    fn garbage_means_the_same_under_every_cut(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
        property::receiving(&bytes);
    }
}
