//! Laws, over exchanges of every shape.

use super::*;

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9-]{0,12}"
}

fn field_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~]{0,40}".prop_map(String::into_bytes),
        "[^\r\n\0]{0,10}".prop_map(String::into_bytes),
        prop::collection::vec(prop_oneof![Just(9u8), 32u8..=255], 0..12),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    prop::collection::vec((token(), field_value()), 0..6)
        .prop_map(|pairs| pairs.into_iter().collect())
}

fn content() -> impl Strategy<Value = Bytes> {
    let json = any::<Vec<(String, i32, Option<bool>)>>()
        .prop_map(|rows| serde_json::json!({"rows": rows, "deep": [{}, [], {"a": [null]}]}));
    prop_oneof![
        Just(Bytes::new()),
        any::<String>().prop_map(Bytes::from),
        prop::collection::vec("[a-zé\t]{0,30}\r?\n?", 0..8).prop_map(|l| l.concat().into()),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from),
        json.clone().prop_map(|json| json.to_string().into()),
        (json, 0u8..4).prop_map(|(json, how)| match how {
            0 => serde_json::to_string_pretty(&json).unwrap().into(),
            1 => format!("{}\n", serde_json::to_string_pretty(&json).unwrap()).into(),
            2 => json.to_string().replace(':', ": ").into(),
            _ => json.to_string().replace('/', "\\/").into(),
        }),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let pieces = prop::collection::vec((0u64..100_000, content()), 0..5).prop_map(|pieces| {
        let piece = |(at, bytes)| Piece { at: Duration::from_millis(at), bytes };
        Body::Pieces(pieces.into_iter().map(piece).collect())
    });
    prop_oneof![
        1 => Just(Body::Absent),
        4 => content().prop_map(Body::Whole),
        2 => pieces,
        1 => (any::<[u8; 32]>(), any::<u64>())
            .prop_map(|(digest, len)| Body::Omitted { digest: Digest(digest), len }),
        1 => (any::<[u8; 32]>(), any::<u64>())
            .prop_map(|(digest, len)| Body::File { digest: Digest(digest), len }),
    ]
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::Http10), Just(Version::Http11), Just(Version::Http2)]
}

fn response_head(status: std::ops::RangeInclusive<u16>) -> impl Strategy<Value = ResponseHead> {
    (status, field_value(), version(), fields()).prop_map(|(status, reason, version, fields)| {
        ResponseHead { version, status, reason, fields }
    })
}

prop_compose! {
    fn request()(
        method in token(),
        target in "/[!-~]{0,30}",
        version in version(),
        fields in fields(),
        body in body(),
        trailers in fields(),
    ) -> Request {
        let head = RequestHead { method, target, version, fields };
        Request { head, body, coding: None, trailers, is_whole: true }
    }
}

prop_compose! {
    fn response()(
        at in 0u64..1_000_000,
        interim in prop::collection::vec(response_head(102..=199), 0..2),
        head in response_head(200..=999),
        body in body(),
        trailers in fields(),
        end in 0usize..5,
        code in 0u32..20,
    ) -> Response {
        let reset = End::ResetByOrigin(ResetCode(code));
        let ends =
            [End::Whole, End::CutByOrigin, End::LeftByClient, End::RecorderKilled, reset];
        let at = Duration::from_millis(at);
        Response {
            at,
            after: After::End,
            interim,
            head,
            body,
            coding: None,
            trailers,
            end: ends[end],
            end_after: After::End,
            close: None,
        }
    }
}

prop_compose! {
    pub(crate) fn any_exchange()(
        recorded_at_ms in 0u64..4_000_000_000_000,
        request in request(),
        response in response(),
    ) -> Exchange {
        Exchange { endpoint: "openai".to_owned(), recorded_at_ms, request, response }
    }
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..60).prop_map(|b| Payload::Bytes(b.into())),
        1 => (any::<[u8; 32]>(), 0..=u64::from(u32::MAX))
            .prop_map(|(digest, len)| Payload::File { digest: Digest(digest), len }),
    ]
}

fn messages(after: u32) -> impl Strategy<Value = Vec<Message>> {
    let after = prop_oneof![Just(After::End), (0..=after).prop_map(After::Messages)];
    let compression =
        prop_oneof![Just(Compression::None), Just(Compression::Off), Just(Compression::On),];
    let one = (0u64..10_000, after, compression, payload());
    let rest = prop::option::of(prop::collection::vec(any::<u8>(), 0..9));
    (prop::collection::vec(one, 0..5), rest).prop_map(|(all, rest)| {
        let message = |(at, after, compression, payload)| {
            let at = Duration::from_millis(at);
            Message { at, after, kind: Kind::Binary, compression, payload }
        };
        let rest = rest.map(|rest| (0, After::End, Compression::None, Payload::Rest(rest.into())));
        all.into_iter().chain(rest).map(message).collect()
    })
}

prop_compose! {
    fn any_call()(exchange in any_exchange(), sent in messages(0))(
        exchange in Just(exchange),
        answered in messages(sent.len().saturating_sub(1) as u32),
        sent in Just(sent),
        is_whole in any::<bool>(),
        after in prop_oneof![Just(After::End), Just(After::Messages(0))],
    ) -> Exchange {
        let mut exchange = exchange;
        let Exchange { request, response, .. } = &mut exchange;
        for fields in [&mut request.head.fields, &mut response.head.fields] {
            // Messages marked as decompressed need a coding, and no message decodes by chance.
            *fields = Fields::from_iter([
                ("content-type", "application/grpc"),
                ("grpc-encoding", "zstd"),
            ]);
        }
        let of_request = |message| Message { after: After::End, ..message };
        request.body = Body::Messages(sent.into_iter().map(of_request).collect());
        request.is_whole = is_whole;
        response.body = Body::Messages(answered);
        (response.after, response.end_after) = (after, after);
        exchange
    }
}

fn said() -> impl Strategy<Value = (u64, Kind, Compression, Payload)> {
    let kind = prop_oneof![Just(Kind::Text), Just(Kind::Binary)];
    let compression = prop_oneof![2 => Just(Compression::None), 2 => Just(Compression::Off), 1 => Just(Compression::On)];
    let stored = || (any::<[u8; 32]>().prop_map(Digest), any::<u64>());
    let payload = prop_oneof![
        6 => content().prop_map(Payload::Bytes),
        1 => stored().prop_map(|(digest, len)| Payload::File { digest, len }),
        1 => stored().prop_map(|(digest, len)| Payload::Omitted { digest, len }),
    ];
    (0u64..100_000, kind, compression, payload).prop_map(|(at, kind, compression, payload)| {
        let payload = match (compression, payload) {
            // More would go to a file.
            (Compression::On, Payload::Bytes(bytes)) => {
                Payload::Bytes(bytes.slice(..bytes.len().min(4 << 10)))
            }
            (_, payload) => payload,
        };
        (at, kind, compression, payload)
    })
}

fn party() -> impl Strategy<Value = Party> {
    prop_oneof![Just(Party::Client), Just(Party::Origin), Just(Party::Ouli)]
}

prop_compose! {
    /// Its lines in the order in which they came, and where among them who closed.
    fn any_conversation()(
        exchange in any_exchange(),
        lines in prop::collection::vec((any::<bool>(), said()), 0..8),
        closed in prop::option::of((any::<prop::sample::Index>(), party())),
        (at, code, reason) in (0u64..100_000, prop::option::of(any::<u16>()), "\\PC{0,40}"),
    ) -> Exchange {
        let granted = conversation::handshake("permessage-deflate; server_no_context_takeover");
        let mut one = Exchange { request: granted.request, response: granted.response, ..exchange };
        let closed = closed.map(|(place, by)| (place.index(lines.len() + 1), by));
        let (mut client, mut origin) = (Vec::new(), Vec::new());
        let mut so_far = After::Messages(0);
        for (place, (by_client, said)) in lines.into_iter().enumerate() {
            let behind = closed.filter(|(closed, _)| *closed <= place).map(|(_, by)| by);
            let speaker = if by_client { Party::Client } else { Party::Origin };
            if behind == Some(speaker) {
                continue;
            }
            if behind == Some(Party::Client) {
                so_far = After::End;
            }
            let (at, kind, compression, payload) = said;
            let at = Duration::from_millis(at);
            let after = if by_client { After::End } else { so_far };
            let message = Message { at, after, kind, compression, payload };
            if by_client {
                client.push(message);
                so_far = After::Messages(client.len() as u32);
            } else {
                origin.push(message);
            }
            if behind.is_none() {
                one.response.end_after = so_far;
            }
        }
        one.response.close = closed.map(|(_, by)| {
            let reason = code.map(|_| reason.chars().take(30).collect()).unwrap_or_default();
            Close { at: Duration::from_millis(at), by, code, reason }
        });
        if closed.is_some_and(|(_, by)| by == Party::Client) {
            one.request.is_whole = true;
            one.response.end_after = After::End;
        }
        one.request.body = conversation::body(client);
        one.response.body = conversation::body(origin);
        one
    }
}

proptest! {
    #[test]
    fn a_conversation_that_is_written_is_read_again(given in any_conversation()) {
        let folder = Folder::new();
        prop_assert_eq!(folder.keep(&given), given);
    }

    #[test]
    fn a_call_that_is_written_is_read_again(given in any_call()) {
        let folder = Folder::new();
        prop_assert_eq!(folder.keep(&given), given);
    }

    #[test]
    fn what_is_written_is_read_again(given in any_exchange()) {
        let folder = Folder::new();
        prop_assert_eq!(folder.keep(&given), given);
    }

    #[test]
    fn a_coded_body_comes_back_decoded_and_coded_again_alike(
        plain in content(),
        which in 0usize..4,
    ) {
        let coding = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd][which];
        let coded = coding::encode(coding, &plain).unwrap();
        let folder = Folder::new();
        let kept = folder.keep(&answer(whole(coded.clone()), &[("content-encoding", coding.name())]));
        prop_assert_eq!(kept.response.coding, Some(coding));
        let again = coding::recode(&kept.response.body, kept.response.coding, coding::Extent::Whole).unwrap();
        prop_assert_eq!(&kept.response.body, &Body::Whole(plain));
        prop_assert_eq!(again, whole(coded));
    }

    #[test]
    fn any_bytes_stand_in_the_cassette_as_themselves(bytes in content()) {
        let given = answer(Body::Whole(bytes), &[]);
        prop_assert_eq!(Folder::new().keep(&given), given);
    }
}
