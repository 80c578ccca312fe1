//! What a missed call says.

use super::script::{PATH, key, print, replay, session};
use crate::exchange::{Body, Payload};
use crate::matching::Canonical;
use crate::replay::Session;
use crate::replay::call::{Awaited, Call, Next, Why};
use crate::replay::choose::AfterLast;
use crate::replay::fixture::{no_bodies, settings};

/// A call that has said all this.
fn after<'s>(session: &'s Session, said: &[&str]) -> Call<'s> {
    let mut call = session.call(&key(PATH));
    for message in said {
        while let Next::Send(_) = call.proceed() {}
        call.message_received(print(session, message));
    }
    call
}

/// Why it misses, and the nearest.
fn missed(session: &Session, said: &[&str]) -> String {
    let mut call = after(session, said);
    let Next::Miss(miss) = call.proceed() else { panic!("no miss") };
    let content = said.last().map(|last| last.as_bytes());
    let nearest = session.nearest_call(&miss, content);
    format!("{miss}\n{}", nearest.map(|near| near.to_string()).unwrap_or_default())
}

#[test]
fn a_method_that_was_never_called_is_a_miss_at_once() {
    let session = session(&[">a >| <* <."]);
    let Next::Miss(miss) = session.call(&key("/p.S/Other")).proceed() else { panic!("no miss") };
    assert_eq!((miss.why, miss.was_begun), (Why::Head, false));
    assert!(session.nearest_call(&miss, None).is_none());
    assert_eq!(session.misses(), 1);
}

#[test]
fn a_message_that_differs_is_named_with_the_nearest_in_its_place() {
    let session = session(&[">same >hello >| <* <.", ">same >help >| <* <.", ">other >| <* <."]);
    assert_eq!(missed(&session, &["same", "held"]), {
        "no recorded call agrees with message 2 of the request\n\
         nearest recorded: number 2\n\
         message 2, byte 3: asked 68 65 6c [64] of 4 bytes, recorded 68 65 6c [70] of 4 bytes"
    });
}

#[test]
fn a_message_too_many_and_one_too_few_are_told_as_such() {
    let session = session(&[">a >b >| <* <.", ">x >| <* <."]);
    assert_eq!(missed(&session, &["a", "b", "c"]), {
        "message 3 of the request came, the recorded call has 2 messages\nnearest recorded: number 1"
    });
    let mut call = after(&session, &["a"]);
    assert!(!call.request_ended());
    let Next::Miss(miss) = call.proceed() else { panic!("no miss") };
    assert_eq!(miss.why, Why::TooFew { came: 1, recorded: 2 });
    assert_eq!(miss.to_string(), {
        "the request ended after 1 message, the recorded call has 2 messages"
    });
    assert_eq!(session.nearest_call(&miss, None).unwrap().nth, 1);
    assert_eq!(session.misses(), 2);
}

#[test]
fn once_an_answer_has_begun_a_miss_says_as_much() {
    // Only one of them can be meant from its first message on: nothing competes.
    let session = session(&[">aa <* <1 >bb <2 >c >| <.", ">x <* <1 >y >| <."]);
    assert_eq!(missed(&session, &["aa", "bd"]), {
        "no recorded call agrees with message 2 of the request\n\
         nearest recorded: number 1\n\
         message 2, byte 1: asked 62 [64] of 2 bytes, recorded 62 [62] of 2 bytes"
    });
    assert_eq!(missed(&session, &["x", "y", "z"]), {
        "message 3 of the request came, the recorded call has 2 messages\nnearest recorded: number 2"
    });
    let mut call = after(&session, &["aa", "bb"]);
    assert!(!call.request_ended());
    let Next::Miss(miss) = call.proceed() else { panic!("no miss") };
    assert_eq!(miss.why, Why::TooFew { came: 2, recorded: 3 });
    assert_eq!(session.nearest_call(&miss, None).unwrap().nth, 1);
}

#[test]
fn where_messages_are_too_few_the_nearest_has_the_fewest_more() {
    let session = session(&[">a >b >c >d >| <* <.", ">a >b >| <* <."]);
    let mut call = after(&session, &["a"]);
    assert!(!call.request_ended());
    let Next::Miss(miss) = call.proceed() else { panic!("no miss") };
    assert_eq!(miss.why, Why::TooFew { came: 1, recorded: 2 });
    assert_eq!(session.nearest_call(&miss, None).unwrap().nth, 2);
}

#[test]
fn a_miss_says_whether_anything_was_sent() {
    let session = session(&["<* >a >| <."]);
    let Next::Miss(miss) = after(&session, &["b"]).proceed() else { panic!("no miss") };
    assert!(miss.was_begun);
    assert_eq!((session.hits(), session.misses()), (0, 1));
}

#[test]
fn what_does_not_come_in_time_is_named() {
    let session = session(&["<* >a >| <."]);
    let mut call = after(&session, &[]);
    while let Next::Send(_) = call.proceed() {}
    let Next::Await(awaited) = call.proceed() else { panic!("nothing is awaited") };
    assert_eq!(awaited, Awaited::Message(1));
    assert_eq!(call.overdue(awaited).to_string(), {
        "the recorded answer waits for message 1 of the request, which didn't come in time"
    });
    assert!(matches!(call.proceed(), Next::Miss(_)));
}

/// Messages of any method are JSON behind a byte.
#[derive(Debug)]
struct Known;

impl Canonical for Known {
    fn request_json(&self, endpoint: &str, path: &str, message: &[u8]) -> Option<String> {
        assert_eq!((endpoint, path), ("api", PATH));
        String::from_utf8(message.strip_prefix(b"#")?.to_vec()).ok()
    }
}

#[test]
fn messages_of_a_known_method_agree_by_value_and_differ_by_pointer() {
    let settings = settings(AfterLast::Repeat);
    let mut call = super::recorded(">a >| <* <1 <.");
    let Body::Messages(messages) = &mut call.request.body else { panic!("no messages") };
    messages[0].payload = Payload::Bytes(br#"#{"n":1,"token":"s1","of":{"a":1}}"#[..].into());
    let known: std::sync::Arc<dyn Canonical> = std::sync::Arc::new(Known);
    let session = Session::build("t", vec![call], &settings, no_bodies(), Some(known)).unwrap();
    let equal = r##"#{"of":{"a":1},"token":"s1","n":1}"##;
    assert_eq!(replay(&session, &format!(">{equal} >|")), {
        format!("go (1) >{equal} (|) >| <* <1 <. over")
    });
    assert_eq!(missed(&session, &[r##"#{"of":{"a":2},"token":"s2","n":1}"##]), {
        "no recorded call agrees with message 1 of the request\n\
         nearest recorded: number 1\n\
         message 1 at /of/a: asked 2, recorded 1\n\
         message 1 at /token: asked REDACTED, recorded REDACTED"
    });
}
