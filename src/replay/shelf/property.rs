//! Laws of what is read from an index that must hold for any bytes: for fuzzing, and for tests.

use bytes::Bytes;

use super::record::{self, StoredAnswer};
use super::table::{Sizes, TableReader};
use crate::exchange::Response;
use crate::matching::key::Parts;
use crate::replay::answer::Wire;
use crate::replay::index::Index;

/// Reading a record doesn't panic. What is read is what was written: a request to the byte, an answer
/// in what is known of it.
///
/// # Panics
/// When that doesn't hold.
pub fn reading(bytes: &[u8]) {
    let mut part = crc32c::crc32c(bytes).to_le_bytes().to_vec();
    part.extend_from_slice(bytes);
    let part = Bytes::from(part);
    let mut again = Vec::new();
    if let Some((stored, response)) = answer(part.clone()) {
        let wire = stored
            .wire()
            .map(|(status, bytes)| Wire { status, bytes: Bytes::copy_from_slice(bytes) });
        let put =
            record::put_part(&mut again, |out| record::put_answer(out, &response, wire.as_ref()));
        put.expect("an ordinary answer");
        let (stored_again, response_again) = answer(again.into()).expect("what was put");
        assert_eq!((stored_again.wire(), response_again), (stored.wire(), response));
    }
    let mut again = Vec::new();
    if let Ok(request) = record::request(&part) {
        let put = record::put_part(&mut again, |out| record::put_request(out, &request));
        put.expect("an ordinary request");
        assert_eq!(again, part);
    }
}

fn answer(part: Bytes) -> Option<(StoredAnswer, Response)> {
    let stored = StoredAnswer::of(part).ok()?;
    let response = stored.response().ok()?;
    Some((stored, response))
}

/// Reading the tables of a few keys doesn't panic, and neither does looking anything up in them.
///
/// # Panics
/// When that doesn't hold.
pub fn looking_up(bytes: &[u8]) {
    let Some((sizes, tables)) = bytes.split_first_chunk::<5>() else { return };
    let [keys, groups, occurrences, by_place, count] = *sizes;
    let sizes = Sizes {
        keys_bytes: keys.into(),
        groups: groups.into(),
        occurrences: occurrences.into(),
        by_place: by_place.into(),
    };
    let mut reader = TableReader::new(tables, tables.len() as u64);
    let Ok(index) = Index::load(&mut reader, sizes, count.into()) else { return };
    for key in tables.chunks(7).chain([tables]) {
        if let Some((recordings, _)) = index.find(key) {
            assert!(recordings.iter().all(|recording| *recording < u32::from(count)));
        }
        if let Some(parts) = Parts::of(key) {
            assert!(index.around(&parts).all(|(_, recording)| recording < u32::from(count)));
        }
    }
}
