//! Sets of members, and values by member. Ids are small numbers in most databases, so they are places in a list; ids
//! beyond are looked up.

use std::collections::{HashMap, HashSet};

/// Ids from 0 up to this one are places in a list: a set of them takes at most a mebibyte.
const LISTED: usize = 1 << 23;

fn place(id: i32) -> Option<usize> {
    usize::try_from(id).ok().filter(|place| *place < LISTED)
}

/// The highest place of these ids; `None` when one of them has none.
fn highest_place(ids: &[i32]) -> Option<usize> {
    ids.iter().min().and_then(|id| place(*id))?;
    ids.iter().max().and_then(|id| place(*id))
}

/// A value for each member; the default one for members who have none.
#[derive(Debug, Clone, Default)]
pub(in crate::reports) struct ById<T> {
    listed: Vec<T>,
    others: HashMap<i32, T>,
}

impl<T: Clone + Default> ById<T> {
    pub(in crate::reports) fn get_mut(&mut self, id: i32) -> &mut T {
        let Some(place) = place(id) else { return self.others.entry(id).or_default() };
        if place >= self.listed.len() {
            self.listed.resize(place + 1, T::default());
        }
        &mut self.listed[place]
    }

    /// The values so far, some of them default ones, in no order.
    pub(in crate::reports) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.listed.iter_mut().chain(self.others.values_mut())
    }
}

/// How often each member occurs. Most occur a few times: with a byte for each, a million of them fit into a processor's cache.
#[derive(Debug, Clone, Default)]
pub(in crate::reports) struct Tally {
    /// The numbers without their multiples of 256.
    listed: Vec<u8>,
    /// The multiples of 256, and the numbers of ids beyond the list.
    others: HashMap<i32, u32>,
}

impl Tally {
    pub(in crate::reports) fn add(&mut self, ids: &[i32]) {
        let last = ids.iter().filter_map(|id| place(*id)).max();
        if let Some(last) = last.filter(|last| *last >= self.listed.len()) {
            self.listed.resize(last + 1, 0);
        }
        for id in ids {
            let Some(place) = place(*id) else {
                *self.others.entry(*id).or_default() += 1;
                continue;
            };
            let count = &mut self.listed[place];
            *count = count.wrapping_add(1);
            if *count == 0 {
                *self.others.entry(*id).or_default() += 256;
            }
        }
    }

    /// Passes the members who occur in any of the tallies, with their numbers in each, in no order.
    pub(in crate::reports) fn each<const N: usize>(tallies: &[Self; N], mut take: impl FnMut(i32, [u32; N])) {
        let others: HashSet<i32> = tallies.iter().flat_map(|tally| tally.others.keys()).copied().collect();
        let length = tallies.iter().map(|tally| tally.listed.len()).max().unwrap_or(0);
        for place in 0..length {
            let numbers = tallies.each_ref().map(|tally| tally.listed.get(place).map_or(0, |count| u32::from(*count)));
            let id = i32::try_from(place).unwrap_or(i32::MAX);
            if numbers != [0; N] && (others.is_empty() || !others.contains(&id)) {
                take(id, numbers);
            }
        }
        for id in others {
            let listed =
                |tally: &Self| place(id).and_then(|place| tally.listed.get(place)).map_or(0, |count| u32::from(*count));
            let number = |tally: &Self| listed(tally) + tally.others.get(&id).copied().unwrap_or_default();
            take(id, tallies.each_ref().map(number));
        }
    }
}

/// A set of ids.
#[derive(Debug, Clone, Default)]
pub(in crate::reports) struct Ids {
    listed: Vec<u64>,
    others: HashSet<i32>,
}

impl Ids {
    /// Whether the id was not in the set before.
    pub(in crate::reports) fn insert(&mut self, id: i32) -> bool {
        let Some(place) = place(id) else { return self.others.insert(id) };
        let (word, bit) = (place / 64, 1 << (place % 64));
        if word >= self.listed.len() {
            self.listed.resize(word + 1, 0);
        }
        let is_new = self.listed[word] & bit == 0;
        self.listed[word] |= bit;
        is_new
    }

    pub(in crate::reports) fn contains(&self, id: i32) -> bool {
        match place(id) {
            Some(place) => self.listed.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0),
            None => self.others.contains(&id),
        }
    }

    fn remove(&mut self, id: i32) {
        match place(id) {
            Some(place) => self.listed[place / 64] &= !(1 << (place % 64)),
            None => {
                self.others.remove(&id);
            }
        }
    }
}

impl FromIterator<i32> for Ids {
    fn from_iter<I: IntoIterator<Item = i32>>(ids: I) -> Self {
        let mut set = Self::default();
        for id in ids {
            set.insert(id);
        }
        set
    }
}

/// A set of members that can be listed, and emptied in the time that its members take.
#[derive(Debug, Clone, Default)]
pub(in crate::reports) struct MemberSet {
    ids: Vec<i32>,
    known: Ids,
}

impl MemberSet {
    pub(in crate::reports) fn add(&mut self, ids: &[i32]) {
        let Self { ids: list, known } = self;
        let Some(highest) = highest_place(ids) else {
            list.extend(ids.iter().copied().filter(|id| known.insert(*id)));
            return;
        };
        if known.listed.len() <= highest / 64 {
            known.listed.resize(highest / 64 + 1, 0);
        }
        // Who is new is hard to foresee for a processor, so each is listed, and overwritten by the next unless new.
        let mut length = list.len();
        list.resize(length + ids.len(), 0);
        for id in ids {
            let place = place(*id).unwrap_or_default();
            let (word, bit) = (&mut known.listed[place / 64], 1 << (place % 64));
            list[length] = *id;
            length += usize::from(*word & bit == 0);
            *word |= bit;
        }
        list.truncate(length);
    }

    /// The ids, each once, in no order.
    pub(in crate::reports) fn ids(&self) -> &[i32] {
        &self.ids
    }

    pub(in crate::reports) fn clear(&mut self) {
        // A word holds 64 members: where there are many, it is quicker to empty all words.
        if self.ids.len() > self.known.listed.len() / 4 {
            self.known.listed.fill(0);
            self.known.others.clear();
            self.ids.clear();
        }
        for id in self.ids.drain(..) {
            self.known.remove(id);
        }
    }
}

/// The different visitors at places that are not complete yet.
#[derive(Debug)]
pub(in crate::reports) struct OpenSets<P> {
    /// When clocks are set back across midnight, two places alternate.
    sets: Vec<(P, MemberSet)>,
    empty: Vec<MemberSet>,
}

impl<P> Default for OpenSets<P> {
    fn default() -> Self {
        Self { sets: Vec::new(), empty: Vec::new() }
    }
}

impl<P: Ord + Copy> OpenSets<P> {
    pub(in crate::reports) fn add(&mut self, place: P, visitors: &[i32], mut finish: impl FnMut(P, &[i32])) {
        if let Some((_, set)) = self.sets.iter_mut().find(|(open, _)| *open == place) {
            return set.add(visitors);
        }
        if self.sets.len() > 1 {
            self.finish_first(&mut finish);
        }
        let mut set = self.empty.pop().unwrap_or_default();
        set.add(visitors);
        self.sets.push((place, set));
    }

    pub(in crate::reports) fn finish(mut self, mut finish: impl FnMut(P, &[i32])) {
        while !self.sets.is_empty() {
            self.finish_first(&mut finish);
        }
    }

    fn finish_first(&mut self, finish: &mut impl FnMut(P, &[i32])) {
        let first = self.sets.iter().enumerate().min_by_key(|(_, (place, _))| *place).map_or(0, |(at, _)| at);
        let (place, mut set) = self.sets.swap_remove(first);
        finish(place, set.ids());
        set.clear();
        self.empty.push(set);
    }
}

/// Ids that the database packed, four bytes each.
pub(in crate::reports) fn unpacked(bytes: &[u8]) -> impl Iterator<Item = i32> {
    bytes.chunks_exact(4).filter_map(|id| id.try_into().ok()).map(i32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn an_id() -> impl Strategy<Value = i32> {
        let end = i32::try_from(LISTED).unwrap();
        prop_oneof![-5..200_i32, end - 3..end + 3, any::<i32>()]
    }

    /// Tallies are read from the beginning of their lists to the end.
    fn an_id_in_a_short_list() -> impl Strategy<Value = i32> {
        an_id().prop_filter("a long list", |id| place(*id).is_none_or(|place| place < 1_000))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn members_count_once(rounds in proptest::collection::vec(proptest::collection::vec(an_id(), 0..40), 0..4)) {
            let mut set = MemberSet::default();
            for ids in rounds {
                set.add(&ids);
                set.add(&ids);
                let known: BTreeSet<_> = ids.iter().copied().collect();
                let mut listed = set.ids().to_vec();
                listed.sort_unstable();
                prop_assert_eq!(listed, known.iter().copied().collect::<Vec<_>>());
                prop_assert!((-6..201).all(|id| set.known.contains(id) == known.contains(&id)));
                set.clear();
                prop_assert!(ids.iter().all(|id| !set.known.contains(*id)));
            }
        }

        #[test]
        fn members_are_tallied(
            first in proptest::collection::vec((an_id_in_a_short_list(), 1..600_usize), 0..20),
            second in proptest::collection::vec(an_id_in_a_short_list(), 0..20),
        ) {
            let mut tallies = [Tally::default(), Tally::default()];
            let mut expected = BTreeMap::<i32, [u32; 2]>::new();
            for (id, times) in first {
                tallies[0].add(&vec![id; times]);
                expected.entry(id).or_default()[0] += u32::try_from(times).unwrap();
            }
            for id in second {
                tallies[1].add(&[id]);
                expected.entry(id).or_default()[1] += 1;
            }
            let mut counted = BTreeMap::new();
            Tally::each(&tallies, |id, numbers| assert!(counted.insert(id, numbers).is_none()));
            prop_assert_eq!(counted, expected);
        }

        #[test]
        fn each_member_has_a_value(ids in proptest::collection::vec(an_id(), 0..40)) {
            let (mut values, mut expected) = (ById::<u32>::default(), BTreeMap::new());
            for id in ids {
                *values.get_mut(id) += 1;
                *expected.entry(id).or_insert(0) += 1;
            }
            prop_assert_eq!(values.values_mut().map(|count| *count).sum::<u32>(), expected.values().sum::<u32>());
            for (id, count) in expected {
                prop_assert_eq!(*values.get_mut(id), count);
            }
        }
    }
}
