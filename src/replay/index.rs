//! From a match key to its occurrences, in memory that a million exchanges may take.
//!
//! All keys lie in one buffer, each once, and all occurrences in one list; a table of 32-bit
//! numbers with open addressing leads to them. A hash only says where to look: the key is compared
//! whole. What isn't given out yet can be written to a file and read from it again.

use std::io::{self, Read, Write};

use xxhash_rust::xxh3::xxh3_64;

use super::choose::Cursor;
use super::near::LOOKED_AT_MAX;
use super::shelf::table::{Sizes, TableReader, TableWriter};
use crate::matching::key::Parts;

/// An empty place of the table.
const EMPTY: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Index {
    keys: Vec<u8>,
    groups: Vec<Group>,
    /// Recordings of groups that have several, by group, within a group in their order.
    occurrences: Vec<u32>,
    /// A power of two, at least a quarter of it empty.
    table: Box<[u32]>,
    /// All groups of requests; those near each other side by side where there are too many to look
    /// at.
    by_place: Vec<u32>,
}

/// The occurrences of one key.
#[derive(Debug)]
struct Group {
    hash: u64,
    key_start: usize,
    key_len: u32,
    /// The recording where there is one, so that most look-ups end here; else where they begin in
    /// `occurrences`.
    first: u32,
    count: u32,
    cursor: Cursor,
}

/// An index while keys are put into it.
pub(super) struct Builder {
    index: Index,
    /// Groups and their recordings, in the order in which they were put in.
    put: Vec<(u32, u32)>,
}

impl Builder {
    /// With room for so many keys; more make it grow.
    pub(super) fn new(key_count: usize) -> Builder {
        let table = table_for(key_count);
        let (keys, groups, occurrences) = (Vec::new(), Vec::new(), Vec::new());
        let index = Index { keys, groups, occurrences, table, by_place: Vec::new() };
        Builder { index, put: Vec::with_capacity(key_count) }
    }

    /// Puts a recording under a key, and says which group that is: those of new keys are counted
    /// up from 0. A recording may stand under several keys; under each, those before it must have
    /// been put in before.
    pub(super) fn put(&mut self, key: &[u8], recording: u32) -> u32 {
        self.index.make_room();
        let group = self.index.find_or_insert(key);
        self.index.groups[group as usize].count += 1;
        self.put.push((group, recording));
        group
    }

    pub(super) fn finish(self) -> Index {
        let mut index = self.index;
        index.sort(&self.put);
        index.keys.shrink_to_fit();
        index.groups.shrink_to_fit();
        index.lay_out();
        index
    }
}

impl Index {
    /// Lays the recordings out by group.
    fn sort(&mut self, put: &[(u32, u32)]) {
        let mut first = 0;
        for group in self.groups.iter_mut().filter(|group| group.count > 1) {
            group.first = first;
            first += group.count;
        }
        self.occurrences = vec![0; first as usize];
        let mut filled = vec![0u32; self.groups.len()];
        for (number, recording) in put {
            let group = &mut self.groups[*number as usize];
            let filled = &mut filled[*number as usize];
            match group.count {
                1 => group.first = *recording,
                _ => self.occurrences[(group.first + *filled) as usize] = *recording,
            }
            *filled += 1;
        }
    }

    fn occurrences<'i>(&'i self, group: &'i Group) -> &'i [u32] {
        let first = group.first as usize;
        match group.count {
            1 => std::slice::from_ref(&group.first),
            count => &self.occurrences[first..first + count as usize],
        }
    }

    /// The key's occurrences in order, and how far they have been given out.
    pub(super) fn find(&self, key: &[u8]) -> Option<(&[u32], &Cursor)> {
        Some(self.group(self.find_group(key)?))
    }

    /// The key's group.
    pub(super) fn find_group(&self, key: &[u8]) -> Option<u32> {
        self.probe(xxh3_64(key), key).1
    }

    /// The occurrences of a group's key in order, and how far they have been given out.
    pub(super) fn group(&self, group: u32) -> (&[u32], &Cursor) {
        let group = &self.groups[group as usize];
        (self.occurrences(group), &group.cursor)
    }

    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Keys that may be near one that isn't here, each with the first of its recordings; no more
    /// than `LOOKED_AT_MAX`.
    pub(super) fn around(&self, asked: &Parts<'_>) -> impl Iterator<Item = (&[u8], u32)> {
        let before = |group: &u32| self.place(*group) < Some(asked.place());
        let here = self.by_place.partition_point(before);
        let start =
            (here + LOOKED_AT_MAX / 2).min(self.by_place.len()).saturating_sub(LOOKED_AT_MAX);
        self.by_place.iter().skip(start).take(LOOKED_AT_MAX).filter_map(|group| {
            let group = self.groups.get(*group as usize)?;
            let first = self.occurrences(group).first()?;
            Some((self.key(group), *first))
        })
    }

    /// Keys of another form, which are no requests, are left out.
    fn lay_out(&mut self) {
        let is_request = |group: &u32| self.place(*group).is_some();
        let mut by_place: Vec<u32> = (0..self.groups.len() as u32).filter(is_request).collect();
        if by_place.len() > LOOKED_AT_MAX {
            by_place.sort_by_key(|group| self.place(*group));
        }
        by_place.shrink_to_fit();
        self.by_place = by_place;
    }

    fn place(&self, group: u32) -> Option<(&[u8], &[u8], &[u8])> {
        Some(Parts::of(self.key(&self.groups[group as usize]))?.place())
    }

    fn key(&self, group: &Group) -> &[u8] {
        &self.keys[group.key_start..group.key_start + group.key_len as usize]
    }

    /// For one more key.
    fn make_room(&mut self) {
        if (self.groups.len() + 1) * 4 <= self.table.len() * 3 {
            return;
        }
        self.fill_table(self.groups.len() * 2 + 1);
    }

    /// Makes the table anew, with room for so many keys.
    fn fill_table(&mut self, key_count: usize) {
        self.table = table_for(key_count);
        let mask = self.table.len() - 1;
        for (number, group) in (0..).zip(&self.groups) {
            let mut place = group.hash as usize & mask;
            while self.table[place] != EMPTY {
                place = (place + 1) & mask;
            }
            self.table[place] = number;
        }
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

/// An empty one, of which so many keys leave a quarter empty.
fn table_for(key_count: usize) -> Box<[u32]> {
    vec![EMPTY; (key_count * 4 / 3 + 1).next_power_of_two()].into_boxed_slice()
}

/// A group in a file: hash, length of its key, first and count of its occurrences.
const GROUP_BYTES: usize = 8 + 4 + 4 + 4;

impl Index {
    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            keys_bytes: self.keys.len() as u64,
            groups: self.groups.len() as u32,
            occurrences: self.occurrences.len() as u32,
            by_place: self.by_place.len() as u32,
        }
    }

    /// Writes what `load` makes it from. Keys lie in the order of their groups.
    pub(super) fn save(&self, out: &mut TableWriter<impl Write>) -> io::Result<()> {
        for group in &self.groups {
            out.put(&group.hash.to_le_bytes())?;
            for number in [group.key_len, group.first, group.count] {
                out.put_u32(number)?;
            }
        }
        out.put(&self.keys)?;
        let numbers = self.occurrences.iter().chain(&self.by_place);
        numbers.copied().try_for_each(|number| out.put_u32(number))
    }

    /// Of so many recordings. Nothing of it has been given out.
    ///
    /// Errors: it isn't there, or leads outside of itself.
    pub(super) fn load(
        table: &mut TableReader<impl Read>,
        sizes: Sizes,
        recording_count: u32,
    ) -> io::Result<Index> {
        let mut key_start = 0usize;
        let mut groups = table.take(sizes.groups.into(), |bytes: [u8; GROUP_BYTES]| {
            let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
            Group {
                hash: u64::from_le_bytes(std::array::from_fn(|n| bytes[n])),
                key_start: 0,
                key_len: number(8),
                first: number(12),
                count: number(16),
                cursor: Cursor::default(),
            }
        })?;
        let mut is_sound = true;
        for group in &mut groups {
            group.key_start = key_start;
            key_start += group.key_len as usize;
            is_sound &= match group.count {
                0 => false,
                1 => group.first < recording_count,
                count => group.first.checked_add(count).is_some_and(|end| end <= sizes.occurrences),
            };
        }
        let keys = table.take_bytes(sizes.keys_bytes)?;
        let occurrences = table.take_u32s(sizes.occurrences.into())?;
        let by_place = table.take_u32s(sizes.by_place.into())?;
        is_sound &= key_start == keys.len();
        is_sound &= occurrences.iter().all(|recording| *recording < recording_count);
        is_sound &= by_place.iter().all(|group| *group < sizes.groups);
        if !is_sound {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut index = Index { keys, groups, occurrences, table: Box::default(), by_place };
        index.fill_table(index.groups.len());
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn index(keys: &[Vec<u8>]) -> Index {
        with_room_for(keys.len(), keys)
    }

    fn with_room_for(key_count: usize, keys: &[Vec<u8>]) -> Index {
        let mut builder = Builder::new(key_count);
        for (recording, key) in keys.iter().enumerate() {
            builder.put(key, recording as u32);
        }
        builder.finish()
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        assert!(index(&[]).find(b"").is_none());
    }

    /// Written, and read again.
    fn reloaded(index: &Index) -> io::Result<Index> {
        let mut bytes = Vec::new();
        let mut table = TableWriter::new(&mut bytes);
        index.save(&mut table)?;
        let (len, _) = table.finish();
        let mut table = TableReader::new(&bytes[..], len);
        let recording_count = index.groups.iter().map(|group| group.count).sum();
        Index::load(&mut table, index.sizes(), recording_count)
    }

    #[test]
    fn an_index_that_leads_outside_of_itself_is_none() {
        let edits: [fn(&mut Index); 8] = [
            |index| index.groups[0].first = 1,
            |index| index.groups[0].first = u32::MAX,
            |index| index.groups[0].count = 3,
            |index| index.groups[1].first = 4,
            |index| index.groups[1].count = 0,
            |index| index.groups[1].key_len += 1,
            |index| index.occurrences[1] = 4,
            |index| index.by_place.push(3),
        ];
        for (n, edit) in edits.into_iter().enumerate() {
            let mut index = index(&[b"a", b"b", b"c", b"a"].map(|key| key.to_vec()));
            assert!(reloaded(&index).is_ok());
            let mut bytes = Vec::new();
            edit(&mut index);
            index.save(&mut TableWriter::new(&mut bytes)).unwrap();
            let mut table = TableReader::new(&bytes[..], bytes.len() as u64);
            assert!(Index::load(&mut table, index.sizes(), 4).is_err(), "edit {n}");
        }
    }

    proptest! {
        #[test]
        fn finds_every_occurrence_in_order_and_nothing_else(
            keys in prop::collection::vec(prop::collection::vec(0..3u8, 0..4), 0..200),
            other in prop::collection::vec(0..4u8, 0..5),
        ) {
            let mut expected: HashMap<&[u8], Vec<u32>> = HashMap::new();
            for (n, key) in keys.iter().enumerate() {
                expected.entry(key).or_default().push(n as u32);
            }
            let roomy = with_room_for(keys.len(), &keys);
            let again = reloaded(&roomy).unwrap();
            for index in [roomy, with_room_for(0, &keys), again] {
                for (key, occurrences) in &expected {
                    let found = index.find(key).map(|(found, _)| found);
                    prop_assert_eq!(found, Some(&occurrences[..]));
                }
                let found = index.find(&other).map(|(found, _)| found.to_vec());
                prop_assert_eq!(found, expected.get(&other[..]).cloned());
            }
        }
    }
}
