//! How the door codes of a UTC day are kept: in 96 quarters of an hour, as bytes. A door code takes about two bytes for
//! its member, and two for the time until it was used.

/// Quarters of an hour in a day.
pub(in crate::reports) const SLOTS: usize = 96;
/// The length of a slot.
pub(in crate::reports) const SLOT_SECONDS: i64 = 900;

/// A door code that was issued. In the order of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::reports) struct Issue {
    /// The member's id.
    pub(in crate::reports) member: i32,
    /// Whether the door code was used.
    pub(in crate::reports) is_used: bool,
    /// Whole seconds from issue to use, rounded down; `None` when it was not used, or at no time that can be read.
    pub(in crate::reports) wait: Option<i64>,
}

/// The door codes of a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::reports) struct Slot {
    /// The ones issued in it.
    pub(in crate::reports) issues: Vec<Issue>,
    /// The members of those used in it, one for each use.
    pub(in crate::reports) uses: Vec<i32>,
}

/// The columns of a day. All but `counts` may be left out by a reader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::reports) struct Row {
    /// For each slot: door codes issued, how many of these were used, and door codes used.
    pub(in crate::reports) counts: Vec<u8>,
    /// For each slot, the members of `issues` and whether each door code was used.
    pub(in crate::reports) issues: Vec<u8>,
    /// For each used one of `issues`, the time that it took.
    pub(in crate::reports) waits: Vec<u8>,
    /// For each slot, the members of `uses`.
    pub(in crate::reports) uses: Vec<u8>,
}

/// The numbers of a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::reports) struct Numbers {
    pub(in crate::reports) issued: usize,
    pub(in crate::reports) issued_and_used: usize,
    pub(in crate::reports) used: usize,
}

/// Which parts of a day are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reports) struct Parts {
    /// Members of the door codes issued.
    pub(in crate::reports) issues: bool,
    /// The times from issue to use; only with `issues`.
    pub(in crate::reports) waits: bool,
    /// Members of the door codes used.
    pub(in crate::reports) uses: bool,
}

impl Row {
    /// The bytes of a day; `None` when it has no door code.
    pub(in crate::reports) fn of(slots: &mut [Slot; SLOTS]) -> Option<Self> {
        let mut row = Self::default();
        for slot in &mut *slots {
            slot.issues.sort_unstable();
            slot.uses.sort_unstable();
        }
        let first_issue = slots.iter().filter_map(|slot| slot.issues.first()).map(|issue| issue.member).min();
        let first_use = slots.iter().filter_map(|slot| slot.uses.first()).copied().min();
        if first_issue.is_none() && first_use.is_none() {
            return None;
        }
        for (first, bytes) in [(first_issue, &mut row.issues), (first_use, &mut row.uses)] {
            if let Some(first) = first {
                write(bytes, zigzag(first.into()));
            }
        }
        for slot in slots {
            let used = slot.issues.iter().filter(|issue| issue.is_used).count();
            for count in [slot.issues.len(), used, slot.uses.len()] {
                write(&mut row.counts, count as u64);
            }
            let mut last = first_issue.unwrap_or_default();
            for issue in &slot.issues {
                write(&mut row.issues, u64::from(issue.member.abs_diff(last)) << 1 | u64::from(issue.is_used));
                last = issue.member;
                if issue.is_used {
                    write(&mut row.waits, issue.wait.map_or(0, |wait| zigzag(wait) + 1));
                }
            }
            let mut last = first_use.unwrap_or_default();
            for member in &slot.uses {
                write(&mut row.uses, member.abs_diff(last).into());
                last = *member;
            }
        }
        Some(row)
    }

    /// All slots; `None` when the bytes are damaged.
    pub(in crate::reports) fn slots(&self) -> Option<[Slot; SLOTS]> {
        let mut reader = self.read(Parts { issues: true, waits: true, uses: true })?;
        let mut slots = [const { Slot { issues: Vec::new(), uses: Vec::new() } }; SLOTS];
        for slot in &mut slots {
            reader.next(true, slot)?;
        }
        reader.is_at_the_end().then_some(slots)
    }

    /// Reads the slots one after the other; `None` when the bytes are damaged.
    pub(in crate::reports) fn read(&self, parts: Parts) -> Option<Reader<'_>> {
        let begin = |asked: bool, bytes| -> Option<(Bytes<'_>, i32)> {
            let mut bytes = Bytes(if asked { bytes } else { &[] });
            let first = if bytes.0.is_empty() { 0 } else { i32::try_from(unzigzag(bytes.next()?)).ok()? };
            Some((bytes, first))
        };
        let (issues, first_issue) = begin(parts.issues, &self.issues)?;
        let (uses, first_use) = begin(parts.uses, &self.uses)?;
        let waits = Bytes(if parts.waits { &self.waits } else { &[] });
        Some(Reader { parts, counts: Bytes(&self.counts), issues, first_issue, waits, uses, first_use })
    }
}

/// Reads a day's slots in order of time.
pub(in crate::reports) struct Reader<'a> {
    parts: Parts,
    counts: Bytes<'a>,
    issues: Bytes<'a>,
    first_issue: i32,
    waits: Bytes<'a>,
    uses: Bytes<'a>,
    first_use: i32,
}

impl Reader<'_> {
    /// The numbers of the next slot. With `wanted`, also fills `slot` with the parts that are read. `None` when the
    /// bytes are damaged.
    pub(in crate::reports) fn next(&mut self, wanted: bool, slot: &mut Slot) -> Option<Numbers> {
        let mut count = || usize::try_from(self.counts.next()?).ok();
        let numbers = Numbers { issued: count()?, issued_and_used: count()?, used: count()? };
        slot.issues.clear();
        slot.uses.clear();
        if self.parts.issues && wanted {
            let mut last = self.first_issue;
            let mut used = 0;
            for _ in 0..numbers.issued {
                let value = self.issues.next()?;
                last = last.checked_add_unsigned(u32::try_from(value >> 1).ok()?)?;
                let is_used = value & 1 == 1;
                let wait = if is_used && self.parts.waits { self.waits.next()? } else { 0 };
                let wait = wait.checked_sub(1).map(unzigzag);
                used += usize::from(is_used);
                slot.issues.push(Issue { member: last, is_used, wait });
            }
            if used != numbers.issued_and_used {
                return None;
            }
        } else if self.parts.issues {
            self.issues.skip(numbers.issued)?;
            if self.parts.waits {
                self.waits.skip(numbers.issued_and_used)?;
            }
        }
        if self.parts.uses && wanted {
            let mut last = self.first_use;
            for _ in 0..numbers.used {
                last = last.checked_add_unsigned(u32::try_from(self.uses.next()?).ok()?)?;
                slot.uses.push(last);
            }
        } else if self.parts.uses {
            self.uses.skip(numbers.used)?;
        }
        Some(numbers)
    }

    fn is_at_the_end(&self) -> bool {
        [&self.counts, &self.issues, &self.waits, &self.uses].iter().all(|bytes| bytes.0.is_empty())
    }
}

/// Numbers of variable length, seven bits in each byte (LEB128).
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> Option<u64> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        if first < 0x80 {
            return Some(first.into());
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, numbers: usize) -> Option<()> {
        let mut left = numbers;
        let mut at = 0;
        while left > 0 {
            left -= usize::from(*self.0.get(at)? < 0x80);
            at += 1;
        }
        self.0 = &self.0[at..];
        Some(())
    }
}

fn write(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Small numbers of both signs as small numbers without.
fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn a_day() -> impl Strategy<Value = Vec<(usize, Slot)>> {
        let member = prop_oneof![any::<i32>(), 0..300_i32];
        let wait = prop_oneof![
            Just(None),
            (-4..200_000_i64).prop_map(Some),
            (-400_000_000_000..400_000_000_000_i64).prop_map(Some)
        ];
        let issue = (member.clone(), any::<bool>(), wait).prop_map(|(member, is_used, wait)| Issue {
            member,
            is_used,
            wait: wait.filter(|_| is_used),
        });
        let slot = (proptest::collection::vec(issue, 0..9), proptest::collection::vec(member, 0..9))
            .prop_map(|(issues, uses)| Slot { issues, uses });
        proptest::collection::vec((0..SLOTS, slot), 0..9)
    }

    fn slots(day: Vec<(usize, Slot)>) -> [Slot; SLOTS] {
        let mut slots = [const { Slot { issues: Vec::new(), uses: Vec::new() } }; SLOTS];
        for (at, slot) in day {
            slots[at] = slot;
        }
        slots
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_day_is_read_as_it_was_kept(day in a_day(), unwanted in 0..SLOTS) {
            let mut slots = slots(day);
            let Some(row) = Row::of(&mut slots) else {
                prop_assert!(slots.iter().all(|slot| *slot == Slot::default()));
                return Ok(());
            };
            let read = row.slots();
            prop_assert_eq!(read.as_ref(), Some(&slots));
            for parts in [(false, false, false), (true, false, false), (true, true, false), (false, false, true)] {
                let parts = Parts { issues: parts.0, waits: parts.1, uses: parts.2 };
                let mut reader = row.read(parts).unwrap();
                let mut slot = Slot::default();
                for (at, kept) in slots.iter().enumerate() {
                    let numbers = reader.next(at != unwanted, &mut slot).unwrap();
                    let issued_and_used = kept.issues.iter().filter(|issue| issue.is_used).count();
                    prop_assert_eq!(numbers, Numbers { issued: kept.issues.len(), issued_and_used, used: kept.uses.len() });
                    let wait = |issue: &Issue| Issue { wait: issue.wait.filter(|_| parts.waits), ..*issue };
                    let issues: Vec<_> = kept.issues.iter().map(wait).filter(|_| parts.issues && at != unwanted).collect();
                    let uses: Vec<_> = kept.uses.iter().copied().filter(|_| parts.uses && at != unwanted).collect();
                    prop_assert_eq!(&slot, &Slot { issues, uses });
                }
            }
        }

        #[test]
        fn damaged_bytes_are_refused(
            day in a_day(), column in 0..4_usize, at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let mut slots = slots(day);
            let Some(mut row) = Row::of(&mut slots) else { return Ok(()) };
            let bytes = [&mut row.counts, &mut row.issues, &mut row.waits, &mut row.uses].into_iter().nth(column).unwrap();
            if bytes.is_empty() {
                return Ok(());
            }
            let at = at.index(bytes.len());
            let before = bytes[at];
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            // Another day, or none; never a panic, and never the same day.
            if cut || byte != before {
                prop_assert_ne!(row.slots(), Some(slots));
            }
        }
    }
}
