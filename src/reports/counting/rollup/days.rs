//! How the door codes of a UTC day are kept: in 96 quarters of an hour, as bytes. Lists of members are sorted, and each
//! is kept as the differences between its members, in as many bytes as they need.
//!
//! The numbers of a list are kept as in [Stream VByte](https://arxiv.org/abs/1709.08990): first the lengths, two bits
//! for each number, then the numbers. So they are read without a branch that depends on them, at a nanosecond or two.

use chrono::NaiveDateTime;

use crate::reports::ids::Ids;

/// Quarters of an hour in a day.
pub(in crate::reports) const SLOTS: usize = 96;
/// The length of a slot.
pub(in crate::reports) const SLOT_SECONDS: i64 = 900;

/// The door codes of a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::reports) struct Slot {
    /// The members of those issued in it and used at some time.
    pub(in crate::reports) used: Vec<i32>,
    /// For each of these, the whole seconds from issue to use, rounded down; `None` when it was used at no time that can
    /// be read.
    pub(in crate::reports) waits: Vec<Option<i64>>,
    /// The members of those issued in it and not used.
    pub(in crate::reports) unused: Vec<i32>,
    /// The members of those used in it, one for each use.
    pub(in crate::reports) came: Vec<i32>,
}

/// The slots of a day.
pub(in crate::reports) type Slots = Box<[Slot; SLOTS]>;

/// A day without door codes.
pub(in crate::reports) fn no_slots() -> Slots {
    Box::new(std::array::from_fn(|_| Slot::default()))
}

impl Slot {
    /// Puts the lists in order.
    pub(in crate::reports) fn sort(&mut self) {
        let mut used: Vec<_> = self.used.drain(..).zip(self.waits.drain(..)).collect();
        used.sort_unstable();
        (self.used, self.waits) = used.into_iter().unzip();
        self.unused.sort_unstable();
        self.came.sort_unstable();
    }

    /// How long the lists are.
    pub(in crate::reports) fn numbers(&self) -> Numbers {
        Numbers { used: self.used.len(), unused: self.unused.len(), came: self.came.len() }
    }

    /// Leaves out the door codes of other members.
    pub(in crate::reports) fn keep(&mut self, members: &Ids) {
        keep(members, &mut self.used, &mut self.waits);
        for list in [&mut self.unused, &mut self.came] {
            keep(members, list, &mut Vec::new());
        }
    }

    fn clear(&mut self) {
        self.used.clear();
        self.waits.clear();
        self.unused.clear();
        self.came.clear();
    }
}

/// Leaves out other members, and their waits where these are read. Who matches is hard to foresee for a processor, so each
/// is copied, and overwritten by the next unless it stays.
fn keep(members: &Ids, list: &mut Vec<i32>, waits: &mut Vec<Option<i64>>) {
    let has_waits = !waits.is_empty();
    let mut kept = 0;
    for place in 0..list.len() {
        let member = list[place];
        list[kept] = member;
        if has_waits {
            waits[kept] = waits[place];
        }
        kept += usize::from(members.contains(member));
    }
    list.truncate(kept);
    waits.truncate(kept);
}

/// How long the lists of a slot are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::reports) struct Numbers {
    pub(in crate::reports) used: usize,
    pub(in crate::reports) unused: usize,
    pub(in crate::reports) came: usize,
}

/// Whole seconds, rounded down.
pub(in crate::reports) fn seconds_between(earlier: NaiveDateTime, later: NaiveDateTime) -> i64 {
    let between = later - earlier;
    between.num_seconds() - i64::from(between.subsec_nanos() < 0)
}

/// The columns of a day. All but `counts` may be left out by a reader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::reports) struct Row {
    /// The numbers of each slot.
    pub(in crate::reports) counts: Vec<u8>,
    /// [`Slot::used`] of all slots, one after the other; and so on.
    pub(in crate::reports) used: Vec<u8>,
    pub(in crate::reports) waits: Vec<u8>,
    pub(in crate::reports) unused: Vec<u8>,
    pub(in crate::reports) came: Vec<u8>,
}

/// Which columns of a day are read, beside `counts`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of columns, each read or not")]
pub(in crate::reports) struct Columns {
    pub(in crate::reports) used: bool,
    pub(in crate::reports) waits: bool,
    pub(in crate::reports) unused: bool,
    pub(in crate::reports) came: bool,
}

impl Row {
    /// The bytes of a day whose slots are in order; `None` when it has no door code.
    pub(in crate::reports) fn of(slots: &[Slot; SLOTS]) -> Option<Self> {
        if slots.iter().all(|slot| slot.numbers() == Numbers::default()) {
            return None;
        }
        let mut counts = Vec::new();
        let mut waits = Writer::default();
        for slot in slots {
            let Numbers { used, unused, came } = slot.numbers();
            for count in [used, unused, came] {
                write(&mut counts, count as u64);
            }
            for wait in &slot.waits {
                match wait.map(|wait| (wait, u32::try_from(wait))) {
                    None => waits.add(0),
                    Some((_, Ok(wait))) if wait < u32::MAX - 1 => waits.add(wait + 1),
                    Some((wait, _)) => {
                        waits.add(u32::MAX);
                        for half in halves(wait) {
                            waits.add(half);
                        }
                    }
                }
            }
        }
        let list = |list: fn(&Slot) -> &Vec<i32>| members(slots.iter().map(|slot| list(slot).as_slice()));
        Some(Self {
            counts,
            used: list(|slot| &slot.used),
            waits: waits.bytes(),
            unused: list(|slot| &slot.unused),
            came: list(|slot| &slot.came),
        })
    }

    /// All slots; `None` when the bytes are damaged.
    pub(in crate::reports) fn slots(&self) -> Option<Slots> {
        let mut reader = self.read(Columns { used: true, waits: true, unused: true, came: true })?;
        let mut slots = no_slots();
        for slot in slots.iter_mut() {
            reader.next(true, slot)?;
        }
        reader.is_at_the_end().then_some(slots)
    }

    /// Reads the slots one after the other; `None` when the bytes are damaged.
    pub(in crate::reports) fn read(&self, columns: Columns) -> Option<Reader<'_>> {
        let members = |asked: bool, bytes| if asked { Members::of(bytes).map(Some) } else { Some(None) };
        Some(Reader {
            counts: &self.counts,
            used: members(columns.used, &self.used)?,
            waits: if columns.waits { Some(Numerals::of(&self.waits)?) } else { None },
            unused: members(columns.unused, &self.unused)?,
            came: members(columns.came, &self.came)?,
        })
    }
}

/// The low and the high half of a number.
#[expect(clippy::cast_possible_truncation, reason = "each takes its half")]
fn halves(number: i64) -> [u32; 2] {
    let number = number.cast_unsigned();
    [number as u32, (number >> 32) as u32]
}

/// Reads a day's slots in order of time.
pub(in crate::reports) struct Reader<'a> {
    counts: &'a [u8],
    used: Option<Members<'a>>,
    waits: Option<Numerals<'a>>,
    unused: Option<Members<'a>>,
    came: Option<Members<'a>>,
}

impl Reader<'_> {
    /// The numbers of the next slot. With `wanted`, also fills the lists of `slot` that are read. `None` when the bytes
    /// are damaged.
    pub(in crate::reports) fn next(&mut self, wanted: bool, slot: &mut Slot) -> Option<Numbers> {
        let mut count = || usize::try_from(take(&mut self.counts)?).ok();
        let numbers = Numbers { used: count()?, unused: count()?, came: count()? };
        slot.clear();
        for (members, count, list) in [
            (&mut self.used, numbers.used, &mut slot.used),
            (&mut self.unused, numbers.unused, &mut slot.unused),
            (&mut self.came, numbers.came, &mut slot.came),
        ] {
            if let Some(members) = members {
                members.next(count, wanted.then_some(list))?;
            }
        }
        if let Some(waits) = &mut self.waits {
            for _ in 0..numbers.used {
                let wait = match waits.next()? {
                    0 => None,
                    u32::MAX => {
                        let (low, high) = (waits.next()?, waits.next()?);
                        Some((u64::from(high) << 32 | u64::from(low)).cast_signed())
                    }
                    wait => Some(i64::from(wait - 1)),
                };
                if wanted {
                    slot.waits.push(wait);
                }
            }
        }
        Some(numbers)
    }

    fn is_at_the_end(&self) -> bool {
        let members = [&self.used, &self.unused, &self.came];
        let numerals = members.into_iter().flatten().map(|members| &members.differences).chain(&self.waits);
        self.counts.is_empty() && numerals.into_iter().all(Numerals::is_at_the_end)
    }
}

/// The members of sorted lists: the smallest of all, then the differences in each list, the first one from the smallest.
fn members<'a>(lists: impl Iterator<Item = &'a [i32]> + Clone) -> Vec<u8> {
    let Some(smallest) = lists.clone().filter_map(|list| list.first()).min() else { return Vec::new() };
    let mut writer = Writer::default();
    for list in lists {
        let mut last = *smallest;
        for member in list {
            writer.add(member.abs_diff(last));
            last = *member;
        }
    }
    let mut bytes = smallest.to_le_bytes().to_vec();
    bytes.extend(writer.bytes());
    bytes
}

/// Reads what [`members`] wrote.
struct Members<'a> {
    smallest: i32,
    differences: Numerals<'a>,
}

impl<'a> Members<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let Some((smallest, bytes)) = bytes.split_first_chunk() else {
            return bytes.is_empty().then_some(Self { smallest: 0, differences: Numerals::default() });
        };
        Some(Self { smallest: i32::from_le_bytes(*smallest), differences: Numerals::of(bytes)? })
    }

    /// Reads the next list, which has `count` members.
    fn next(&mut self, count: usize, list: Option<&mut Vec<i32>>) -> Option<()> {
        let Some(list) = list else { return (0..count).try_for_each(|_| self.differences.next().map(drop)) };
        list.reserve(count.min(self.differences.left()));
        let mut member = self.smallest;
        for _ in 0..count {
            member = member.wrapping_add_unsigned(self.differences.next()?);
            list.push(member);
        }
        Some(())
    }
}

/// Writes numbers.
#[derive(Default)]
struct Writer {
    count: usize,
    lengths: Vec<u8>,
    numbers: Vec<u8>,
}

impl Writer {
    fn add(&mut self, number: u32) {
        let length = (4 - number.leading_zeros() / 8).max(1);
        if self.count.is_multiple_of(4) {
            self.lengths.push(0);
        }
        if let Some(lengths) = self.lengths.last_mut() {
            *lengths |= (length - 1).to_le_bytes()[0] << (self.count % 4 * 2);
        }
        self.numbers.extend(&number.to_le_bytes()[..length as usize]);
        self.count += 1;
    }

    /// Their number, their lengths, the numbers, and three bytes so that four can be read from each.
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.lengths.len() + self.numbers.len() + 8);
        if self.count > 0 {
            write(&mut bytes, self.count as u64);
            bytes.extend(self.lengths);
            bytes.extend(self.numbers);
            bytes.extend([0; 3]);
        }
        bytes
    }
}

/// Reads what [`Writer`] wrote.
#[derive(Default)]
struct Numerals<'a> {
    count: usize,
    lengths: &'a [u8],
    numbers: &'a [u8],
    /// How many were read, and up to which byte.
    read: usize,
    at: usize,
}

impl<'a> Numerals<'a> {
    fn of(mut bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let count = usize::try_from(take(&mut bytes)?).ok()?;
        let (lengths, numbers) = bytes.split_at_checked(count.div_ceil(4))?;
        Some(Self { count, lengths, numbers, read: 0, at: 0 })
    }

    #[inline]
    fn next(&mut self) -> Option<u32> {
        const BITS: [u32; 4] = [0xff, 0xffff, 0x00ff_ffff, 0xffff_ffff];
        let length = usize::from(self.lengths.get(self.read / 4)? >> (self.read % 4 * 2) & 3);
        let bytes: [u8; 4] = self.numbers.get(self.at..self.at + 4)?.try_into().ok()?;
        self.read += 1;
        self.at += length + 1;
        Some(u32::from_le_bytes(bytes) & BITS[length])
    }

    fn left(&self) -> usize {
        self.count.saturating_sub(self.read)
    }

    fn is_at_the_end(&self) -> bool {
        self.read == self.count && self.at + if self.count > 0 { 3 } else { 0 } == self.numbers.len()
    }
}

/// Takes a number of variable length, seven bits in each byte (LEB128), from the beginning.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Writes a number for [`take`].
fn write(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn a_day() -> impl Strategy<Value = Slots> {
        let member = prop_oneof![any::<i32>(), 0..300_i32];
        let wait = prop_oneof![
            Just(None),
            (-4..200_000_i64).prop_map(Some),
            (-3..3_i64).prop_map(|far| Some(i64::from(u32::MAX) + far)),
            (-400_000_000_000..400_000_000_000_i64).prop_map(Some),
        ];
        let members = proptest::collection::vec(member.clone(), 0..9);
        let used = proptest::collection::vec((member, wait), 0..9);
        let slot = (used, members.clone(), members).prop_map(|(used, unused, came)| {
            let (used, waits) = used.into_iter().unzip();
            Slot { used, waits, unused, came }
        });
        proptest::collection::vec((0..SLOTS, slot), 0..9).prop_map(|day| {
            let mut slots = no_slots();
            for (at, slot) in day {
                slots[at] = slot;
                slots[at].sort();
            }
            slots
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_day_is_read_as_it_was_kept(slots in a_day(), unwanted in 0..SLOTS) {
            let Some(row) = Row::of(&slots) else {
                prop_assert_eq!(slots, no_slots());
                return Ok(());
            };
            prop_assert_eq!(row.slots(), Some(slots.clone()));
            for columns in 0..16 {
                let column = |number: u8| columns >> number & 1 == 1;
                let (used, waits, unused, came) = (column(0), column(1), column(2), column(3));
                let mut reader = row.read(Columns { used, waits, unused, came }).unwrap();
                let mut slot = Slot::default();
                for (at, kept) in slots.iter().enumerate() {
                    let wanted = at != unwanted;
                    prop_assert_eq!(reader.next(wanted, &mut slot), Some(kept.numbers()));
                    let list = |asked: bool, list: &Vec<i32>| if asked && wanted { list.clone() } else { Vec::new() };
                    prop_assert_eq!(&slot, &Slot {
                        used: list(used, &kept.used),
                        waits: if waits && wanted { kept.waits.clone() } else { Vec::new() },
                        unused: list(unused, &kept.unused),
                        came: list(came, &kept.came),
                    });
                }
            }
        }

        #[test]
        fn damaged_bytes_are_no_panic_and_another_day(
            slots in a_day(), column in 0..5_usize, at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let Some(mut row) = Row::of(&slots) else { return Ok(()) };
            let columns = [&mut row.counts, &mut row.used, &mut row.waits, &mut row.unused, &mut row.came];
            let bytes = columns.into_iter().nth(column).unwrap();
            if bytes.is_empty() {
                return Ok(());
            }
            let at = at.index(bytes.len());
            let before = bytes[at];
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            // The last three bytes, and the lengths of no number, mean nothing.
            if row.slots().as_ref() == Some(&slots) {
                prop_assert!(!cut && (column > 0 || byte == before));
            }
        }
    }
}
