//! From a match key to its occurrences, in memory that a million exchanges may take.
//!
//! All keys lie in one buffer, each once, and all occurrences in one list; a table of 32-bit
//! numbers with open addressing leads to them. A hash only says where to look: the key is compared
//! whole.

use xxhash_rust::xxh3::xxh3_64;

use super::choose::Cursor;
use super::near::LOOKED_AT_MAX;
use crate::matching::key::Parts;

/// An empty place of the table.
const EMPTY: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Index {
    keys: Vec<u8>,
    groups: Vec<Group>,
    /// Recordings by group, within a group in their order.
    occurrences: Vec<u32>,
    /// A power of two, at least a quarter of it empty.
    table: Box<[u32]>,
    /// All groups, those near each other side by side; only where there are too many to look at.
    by_place: Vec<u32>,
}

/// The occurrences of one key.
#[derive(Debug)]
struct Group {
    hash: u64,
    key_start: usize,
    key_len: u32,
    first: u32,
    count: u32,
    cursor: Cursor,
}

impl Index {
    /// Takes the keys of all recordings, in order: `write(n, out)` replaces `out` with the nth.
    ///
    /// Errors: the first that `write` gives.
    pub(super) fn build<E>(
        count: u32,
        mut write: impl FnMut(u32, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Index, E> {
        let places = (count as usize * 4 / 3 + 1).next_power_of_two();
        let table = vec![EMPTY; places].into_boxed_slice();
        let (keys, groups, occurrences) = (Vec::new(), Vec::new(), Vec::new());
        let mut index = Index { keys, groups, occurrences, table, by_place: Vec::new() };
        let mut group_of = Vec::with_capacity(count as usize);
        let mut key = Vec::new();
        for recording in 0..count {
            write(recording, &mut key)?;
            let group = index.find_or_insert(&key);
            index.groups[group as usize].count += 1;
            group_of.push(group);
        }
        index.sort(&group_of);
        index.keys.shrink_to_fit();
        index.groups.shrink_to_fit();
        index.lay_out();
        Ok(index)
    }

    /// Lays the recordings out by group; `group_of` says each one's.
    fn sort(&mut self, group_of: &[u32]) {
        let mut first = 0;
        for group in &mut self.groups {
            group.first = first;
            first += std::mem::take(&mut group.count);
        }
        self.occurrences = vec![0; group_of.len()];
        for (recording, group) in group_of.iter().enumerate() {
            let group = &mut self.groups[*group as usize];
            self.occurrences[(group.first + group.count) as usize] = recording as u32;
            group.count += 1;
        }
    }

    /// The key's occurrences in order, and how far they have been given out.
    pub(super) fn find(&self, key: &[u8]) -> Option<(&[u32], &Cursor)> {
        let (_, found) = self.probe(xxh3_64(key), key);
        let group = &self.groups[found? as usize];
        let first = group.first as usize;
        Some((&self.occurrences[first..first + group.count as usize], &group.cursor))
    }

    /// Keys that may be near one that isn't here, each with the first of its recordings; no more
    /// than `LOOKED_AT_MAX`.
    pub(super) fn around(&self, asked: &Parts<'_>) -> impl Iterator<Item = (&[u8], u32)> {
        let before = |group: &u32| self.place(*group) < Some(asked.place());
        let here = self.by_place.partition_point(before);
        let end =
            (here + LOOKED_AT_MAX / 2).clamp(LOOKED_AT_MAX, self.groups.len().max(LOOKED_AT_MAX));
        (end - LOOKED_AT_MAX..end).filter_map(|n| {
            let group = self.by_place.get(n).map_or(n, |group| *group as usize);
            let group = self.groups.get(group)?;
            let first = self.occurrences.get(group.first as usize)?;
            Some((self.key(group), *first))
        })
    }

    fn lay_out(&mut self) {
        if self.groups.len() > LOOKED_AT_MAX {
            let mut by_place: Vec<u32> = (0..self.groups.len() as u32).collect();
            by_place.sort_by_key(|group| self.place(*group));
            self.by_place = by_place;
        }
    }

    fn place(&self, group: u32) -> Option<(&[u8], &[u8], &[u8])> {
        Some(Parts::of(self.key(&self.groups[group as usize]))?.place())
    }

    fn key(&self, group: &Group) -> &[u8] {
        &self.keys[group.key_start..group.key_start + group.key_len as usize]
    }

    fn find_or_insert(&mut self, key: &[u8]) -> u32 {
        let hash = xxh3_64(key);
        let (place, found) = self.probe(hash, key);
        found.unwrap_or_else(|| {
            let group = self.groups.len() as u32;
            self.table[place] = group;
            self.groups.push(Group {
                hash,
                key_start: self.keys.len(),
                key_len: key.len() as u32,
                first: 0,
                count: 0,
                cursor: Cursor::default(),
            });
            self.keys.extend_from_slice(key);
            group
        })
    }

    /// The place in the table where the key stands or would stand, and its group if it does. Ends,
    /// because the table is never full.
    fn probe(&self, hash: u64, key: &[u8]) -> (usize, Option<u32>) {
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let number = self.table[place];
            if number == EMPTY {
                return (place, None);
            }
            let group = &self.groups[number as usize];
            if group.hash == hash && self.key(group) == key {
                return (place, Some(number));
            }
            place = (place + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn index(keys: &[Vec<u8>]) -> Index {
        let built = Index::build(keys.len() as u32, |n, out| {
            out.clone_from(&keys[n as usize]);
            Ok::<(), Infallible>(())
        });
        built.unwrap_or_else(|never| match never {})
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        assert!(index(&[]).find(b"").is_none());
    }

    #[test]
    fn a_key_that_cannot_be_made_stops_the_building() {
        assert_eq!(Index::build(3, |n, _| if n < 2 { Ok(()) } else { Err(n) }).err(), Some(2));
    }

    proptest! {
        #[test]
        fn finds_every_occurrence_in_order_and_nothing_else(
            keys in prop::collection::vec(prop::collection::vec(0..3u8, 0..4), 0..200),
            other in prop::collection::vec(0..4u8, 0..5),
        ) {
            let index = index(&keys);
            let mut expected: HashMap<&[u8], Vec<u32>> = HashMap::new();
            for (n, key) in keys.iter().enumerate() {
                expected.entry(key).or_default().push(n as u32);
            }
            for (key, occurrences) in &expected {
                prop_assert_eq!(index.find(key).map(|(found, _)| found), Some(&occurrences[..]));
            }
            let found = index.find(&other).map(|(found, _)| found.to_vec());
            prop_assert_eq!(found, expected.get(&other[..]).cloned());
        }
    }
}
