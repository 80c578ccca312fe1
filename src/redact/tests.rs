use proptest::prelude::*;

use super::*;

fn field(name: &str, value: &str) -> String {
    let redacted = Redactor::default().value(name.as_bytes(), value.as_bytes()).into_owned();
    String::from_utf8(redacted).unwrap()
}

#[test]
fn the_scheme_of_credentials_stays() {
    for (value, redacted) in [
        ("Bearer abc.def", "Bearer REDACTED"),
        ("basic dXNlcjpwYXNz", "basic REDACTED"),
        ("AWS4-HMAC-SHA256 Credential=a, Signature=b", "AWS4-HMAC-SHA256 REDACTED"),
        ("Negotiate ", "Negotiate"),
        ("Negotiate", "Negotiate"),
    ] {
        assert_eq!(field("Authorization", value), redacted);
        assert_eq!(field("proxy-authorization", value), redacted);
    }
}

#[test]
fn credentials_without_a_known_scheme_go_whole() {
    assert_eq!(field("authorization", "sk-123"), "REDACTED");
    assert_eq!(field("authorization", "sk-123 and more"), "REDACTED");
}

#[test]
fn cookies_keep_their_names() {
    assert_eq!(field("cookie", "sid=a1; theme=dark"), "sid=REDACTED; theme=REDACTED");
    assert_eq!(field("Cookie", "bare; a=b=c;d="), "REDACTED; a=REDACTED;d=");
}

#[test]
fn a_set_cookie_keeps_its_name_and_attributes() {
    for (value, redacted) in [
        ("sid=a1; Path=/; HttpOnly", "sid=REDACTED; Path=/; HttpOnly"),
        (
            "a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT; SameSite=Lax",
            "a=REDACTED; Expires=Wed, 09 Jun 2027 10:18:14 GMT; SameSite=Lax",
        ),
        ("sid=; Max-Age=0", "sid=; Max-Age=0"),
    ] {
        assert_eq!(field("set-cookie", value), redacted);
    }
}

#[test]
fn a_second_cookie_joined_by_a_comma_does_not_slip_through() {
    assert_eq!(field("set-cookie", "a=1; Path=/, b=2"), "a=REDACTED; Path=REDACTED");
    assert_eq!(field("set-cookie", "a=1; Secure, b=2"), "a=REDACTED; Secure, b=REDACTED");
    assert_eq!(field("set-cookie", "a=\"x; y\""), "a=REDACTED; REDACTED");
}

#[test]
fn secrets_among_subprotocols_are_replaced_and_the_others_stay() {
    for (value, redacted) in [
        ("chat, superchat", "chat, superchat"),
        ("token, sk-1", "token, REDACTED"),
        ("chat,Bearer,sk-1, other", "chat,Bearer,REDACTED, other"),
        (
            "realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1",
            "realtime, openai-insecure-api-key.REDACTED, openai-beta.realtime-v1",
        ),
        (
            "base64url.bearer.authorization.k8s.io.c2VjcmV0",
            "base64url.bearer.authorization.k8s.io.REDACTED",
        ),
        ("token", "token"),
    ] {
        assert_eq!(field("sec-websocket-protocol", value), redacted);
    }
}

#[test]
fn secret_query_values_are_replaced_where_they_stand() {
    let redactor = Redactor::default();
    for (target, redacted) in [
        ("/a?key=1&b=2", "/a?key=REDACTED&b=2"),
        ("/a?b=2&API_KEY=1", "/a?b=2&API_KEY=REDACTED"),
        ("/a?%6Bey=1", "/a?%6Bey=REDACTED"),
        ("/a?token=1&token=2", "/a?token=REDACTED&token=REDACTED"),
        ("/a?b=1;sig=2", "/a?b=1;sig=REDACTED"),
        ("/a?to=http://x/?token=1", "/a?to=http://x/?token=REDACTED"),
        ("http://me:pw@h/a?X-Amz-Signature=f", "http://REDACTED@h/a?X-Amz-Signature=REDACTED"),
        ("/a?signature=a;b?c", "/a?signature=REDACTED"),
    ] {
        assert_eq!(redactor.target(target), redacted);
    }
}

#[test]
fn a_target_without_secrets_is_not_copied() {
    let redactor = Redactor::default();
    for target in ["/", "*", "/a?b=1&monkey=2", "//a@b/c", "/a?key", "/a?key=", "/a?key=REDACTED"] {
        assert!(matches!(redactor.target(target), Cow::Borrowed(_)), "{target}");
    }
}

#[test]
fn urls_in_fields_lose_the_same_secrets() {
    assert_eq!(field("Location", "/b?token=1#x"), "/b?token=REDACTED#x");
    assert_eq!(field("Location", "https://h/cb#access_token=1&a=2"), {
        "https://h/cb#access_token=REDACTED&a=2"
    });
    assert_eq!(field("Referer", "//me@h/?sig=2"), "//REDACTED@h/?sig=REDACTED");
    assert_eq!(
        field("Link", "<https://h/?key=1&p=2>; rel=\"next\", </x?key=2>; rel=\"prev\""),
        "<https://h/?key=REDACTED&p=2>; rel=\"next\", </x?key=REDACTED>; rel=\"prev\""
    );
    assert_eq!(field("refresh", "0;url=http://u:p@h/"), "0;url=http://REDACTED@h/");
    assert_eq!(field("Location", "/plain?a=1"), "/plain?a=1");
}

#[test]
fn a_quote_or_a_space_does_not_end_a_secret_in_a_url() {
    for (value, redacted) in [
        ("http://h/?token=a'b&p=1", "http://h/?token=REDACTED&p=1"),
        ("http://h/?token=a\"b&p=1", "http://h/?token=REDACTED&p=1"),
        ("http://h/?token=a b&p=1", "http://h/?token=REDACTED&p=1"),
        ("http://h/?token=a<b>c", "http://h/?token=REDACTED"),
        ("http://u:a'b@h/", "http://REDACTED@h/"),
    ] {
        for name in ["location", "content-location", "referer", "refresh"] {
            assert_eq!(field(name, value), redacted, "{name}");
        }
        assert_eq!(field("refresh", &format!("0; URL = '{value}'")), {
            format!("0; URL = '{redacted}'")
        });
    }
    assert_eq!(
        field("link", "<//h/?sig=a'b c\"d>; rel=next; anchor=\"//u:p'w@h/\", <//u:a'b@h/>"),
        "<//h/?sig=REDACTED>; rel=next; anchor=\"//REDACTED@h/\", <//REDACTED@h/>"
    );
}

#[test]
fn fields_that_the_configuration_names_go_whole() {
    let redactor = Redactor::new(["X-Team-Token", "location"]);
    assert_eq!(&*redactor.value(b"x-team-token", b"abc"), b"REDACTED");
    assert_eq!(&*redactor.value(b"Location", b"/a"), b"REDACTED");
    assert_eq!(&*redactor.value(b"accept", b"*/*"), b"*/*");
}

#[test]
fn a_head_without_secrets_is_passed_on_itself() {
    let head = RequestHead {
        method: "GET".into(),
        target: "/a?b=1".into(),
        fields: Fields::from_iter([("Host", "h"), ("Accept", "*/*")]),
        ..RequestHead::default()
    };
    let mut scratch = Scratch::default();
    let redacted = Redactor::default().request_head(&head, &mut scratch);
    assert!(std::ptr::eq(redacted, &head));
}

#[test]
fn a_redacted_head_keeps_order_case_and_repetition() {
    let head = RequestHead {
        method: "GET".into(),
        target: "/a?key=1".into(),
        fields: Fields::from_iter([
            ("Host", "h"),
            ("X-API-Key", "s1"),
            ("b", "1"),
            ("x-api-key", "s2"),
            ("B", "2"),
        ]),
        ..RequestHead::default()
    };
    let mut scratch = Scratch::default();
    let redacted = Redactor::default().request_head(&head, &mut scratch);
    assert_eq!(redacted.target, "/a?key=REDACTED");
    assert_eq!(
        redacted.fields,
        Fields::from_iter([
            ("Host", "h"),
            ("X-API-Key", "REDACTED"),
            ("b", "1"),
            ("x-api-key", "REDACTED"),
            ("B", "2"),
        ])
    );
}

#[test]
fn a_scratch_used_again_holds_nothing_of_the_head_before() {
    let redactor = Redactor::default();
    let mut scratch = Scratch::default();
    let first = RequestHead {
        target: "/?key=1".into(),
        fields: Fields::from_iter([("cookie", "a=b"), ("x", "y")]),
        ..RequestHead::default()
    };
    redactor.request_head(&first, &mut scratch);
    let second = RequestHead {
        target: "/?key=2".into(),
        fields: Fields::from_iter([("accept", "*/*")]),
        ..RequestHead::default()
    };
    let redacted = redactor.request_head(&second, &mut scratch);
    assert_eq!(redacted.target, "/?key=REDACTED");
    assert_eq!(redacted.fields, second.fields);
}

fn any_field() -> impl Strategy<Value = (&'static str, String)> {
    let name = prop::sample::select(vec![
        "authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "location",
        "link",
        "refresh",
        "sec-websocket-protocol",
        "referer",
        "accept",
    ]);
    (name, "[a-cA-C =;,?&#<>/:@\"%-]{0,40}|(key|token|url|Bearer|Path|[ =;,?&#<>/:@\"]){0,20}")
}

proptest! {
    #[test]
    fn redacting_twice_is_redacting_once((name, value) in any_field()) {
        let once = field(name, &value);
        prop_assert_eq!(field(name, &once), once);
    }

    #[test]
    fn redacting_a_target_twice_is_redacting_once(
        target in "(/|h://)(key|token|sig|é|a|%6b|[=;?&#/@:]){0,20}",
    ) {
        let redactor = Redactor::default();
        let once = redactor.target(&target).into_owned();
        prop_assert_eq!(redactor.target(&once), once.as_str());
    }

    #[test]
    fn a_secret_is_nowhere_in_the_output(
        secret in "[A-Za-z0-9;?,. ]{0,6}S3CR3T[A-Za-z0-9?,.]{0,6}",
        before in "[a-z]{0,4}",
    ) {
        let cookie_secret = secret.replace(';', "");
        for (name, value) in [
            ("authorization", format!("Bearer {secret}")),
            ("authorization", secret.clone()),
            ("cookie", format!("{before}=1; sid={secret}; b=2")),
            ("set-cookie", format!("sid={secret}; Path=/")),
            ("set-cookie", format!("a=1; Path=/, {before}={cookie_secret}")),
            ("x-api-key", secret.clone()),
        ] {
            prop_assert!(!field(name, &value).contains("S3CR3T"), "{}: {}", name, value);
        }
        let url_secret = secret.replace(' ', "'");
        let target = format!("/p?{before}=1&Token={url_secret}&z=1");
        prop_assert!(!Redactor::default().target(&target).contains("S3CR3T"));
        for (name, value) in [
            ("location", format!("https://h/p?{before}=1&access_token={url_secret}#f")),
            ("location", format!("https://{before}:{}@h/", url_secret.replace('?', ""))),
            ("link", format!("</p?sig={url_secret}>; rel=next")),
            ("refresh", format!("3; url=/p?key={url_secret}")),
            ("sec-websocket-protocol", format!("chat, token, {}", secret.replace(',', "-"))),
        ] {
            prop_assert!(!field(name, &value).contains("S3CR3T"), "{}: {}", name, value);
        }
    }
}
