//! Reads the members from the database, row by row.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::QueryResult;
use tokio::sync::OwnedMutexGuard;

use super::{AllTime, Changes, Chunk, Entry, Matching, Roster, User, merge};
use crate::reports::{
    Error, Wait,
    ids::unpacked,
    rollup::{
        Members, Rollup,
        roster::{CHUNK_BITS, kind},
    },
};

/// The state between two rows.
pub(super) struct Reading<'a> {
    rollup: &'a Rollup,
    known: Option<Members>,
    /// What was read, once it is known that the rollup can be.
    pub(super) read: Option<Roster>,
    matching: Matching,
    open: Option<Chunk>,
    /// The turn to read all members, once it came.
    turn: Arc<Mutex<Option<OwnedMutexGuard<()>>>>,
    /// Whether another request read the same meanwhile.
    is_kept_by_others: bool,
    /// How many members were read, and how many are kept at most.
    size: usize,
    kept_max: usize,
    /// When there are too many to keep: how many of those that changed were passed.
    pub(super) passed: Option<usize>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(rollup: &'a Rollup, known: Option<Members>, matching: Matching, kept_max: usize) -> Self {
        let (turn, is_kept_by_others) = (Arc::default(), false);
        let (read, open, size, passed) = (None, None, 0, None);
        Self { rollup, known, read, matching, open, turn, is_kept_by_others, size, kept_max, passed }
    }

    pub(super) fn row(&mut self, row: &QueryResult, take: &mut impl FnMut(Entry)) -> Result<Option<Wait>, Error> {
        let bytes = |column| row.try_get_by_index::<Option<Vec<u8>>>(column).map(Option::unwrap_or_default);
        let number: i32 = row.try_get_by_index(0)?;
        if number == kind::STATE {
            let is_sent: bool = row.try_get_by_index(2)?;
            let (refresh_id, users_id) = (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
            let known = self.known.take().filter(|_| !is_sent);
            let chunks = known.map(|known| known.chunks).unwrap_or_default();
            self.read = Some(Roster { refresh_id, users_id, chunks, changes: Changes::default() });
            return Ok(is_sent.then(|| self.turn()));
        }
        // Without a state, there is nothing but empty lists.
        let Some(read) = &mut self.read else { return Ok(None) };
        match number {
            kind::STRETCH => read.changes.stretches.push((row.try_get_by_index(5)?, row.try_get_by_index(6)?)),
            kind::LIVE => {
                read.changes.stretches.sort_unstable();
                read.changes.live = counts(&bytes(7)?, &bytes(8)?);
            }
            kind::NAMED => self.matching.named = Some(unpacked(&bytes(7)?).collect()),
            _ => {
                let chunk: i32 = row.try_get_by_index(1)?;
                if self.open.as_ref().is_none_or(|open| open.number != chunk) {
                    self.close(take);
                    self.look_at_others();
                }
                if self.is_kept_by_others {
                    return Ok(None);
                }
                let open = self.open.get_or_insert_with(|| Chunk { number: chunk, ..Chunk::default() });
                if number == kind::KEPT {
                    open.counts = counts(&bytes(7)?, &bytes(8)?);
                } else {
                    open.users = users(&bytes(7)?, &bytes(8)?);
                }
            }
        }
        Ok(None)
    }

    /// Waits until nobody else reads all members.
    fn turn(&self) -> Wait {
        let (turn, of_this) = (self.rollup.turn_to_read_members(), Arc::clone(&self.turn));
        Box::pin(async move {
            let turn = turn.await;
            *of_this.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
            Ok(())
        })
    }

    /// Before the first chunk: whoever had the turn before may have read the same. Otherwise, what is kept makes room.
    fn look_at_others(&mut self) {
        let Some(read) = self.read.as_mut().filter(|_| self.size == 0 && !self.is_kept_by_others) else { return };
        let is_same = |members: &Members| {
            members.refresh_id == read.refresh_id && Some(&members.users_id) == read.users_id.as_ref()
        };
        match self.rollup.members().filter(is_same) {
            Some(members) => {
                read.chunks = members.chunks;
                self.is_kept_by_others = true;
            }
            None => self.rollup.keep_members(None),
        }
    }

    /// The chunk is complete.
    fn close(&mut self, take: &mut impl FnMut(Entry)) {
        let (Some(chunk), Some(read)) = (self.open.take(), &mut self.read) else { return };
        self.size += Ord::max(chunk.counts.len(), chunk.users.len());
        let until = (i64::from(chunk.number) + 1) << CHUNK_BITS;
        let chunks = Arc::get_mut(&mut read.chunks);
        let Some(chunks) = chunks else { return };
        chunks.push(chunk);
        if self.passed.is_some() || self.size > self.kept_max {
            let from = self.passed.unwrap_or_default();
            let to = read.changes.live.partition_point(|counts| i64::from(counts.id) < until);
            merge(chunks, &read.changes, &read.changes.live[from..to], |entry| self.matching.pass(entry, take));
            self.passed = Some(to);
            chunks.clear();
        }
    }

    /// All rows were read. Returns false when the rollup cannot be.
    pub(super) fn finish(&mut self, take: &mut impl FnMut(Entry)) -> bool {
        self.close(take);
        let Some(read) = &self.read else { return false };
        if let Some(from) = self.passed {
            merge(&[], &read.changes, &read.changes.live[from..], |entry| self.matching.pass(entry, take));
            self.read = None;
            return true;
        }
        read.each(|entry| self.matching.pass(entry, take));
        if let Some(users_id) = &read.users_id {
            let (refresh_id, users_id, chunks) = (read.refresh_id.clone(), users_id.clone(), Arc::clone(&read.chunks));
            self.rollup.keep_members(Some(Members { refresh_id, users_id, chunks }));
        }
        true
    }
}

/// Members' door codes as the database packed them: three numbers of four bytes, and three times of eight.
fn counts(numbers: &[u8], times: &[u8]) -> Vec<AllTime> {
    let numbers: Vec<i32> = unpacked(numbers).collect();
    let times: Vec<i64> = unpacked_times(times).collect();
    let mut counts: Vec<_> = numbers
        .as_chunks()
        .0
        .iter()
        .zip(times.as_chunks().0)
        .map(|([id, issued, used], [first_visit_at, last_visit_at, first_visit_issued_at])| AllTime {
            id: *id,
            issued: issued.cast_unsigned(),
            used: used.cast_unsigned(),
            first_visit_at: *first_visit_at,
            last_visit_at: *last_visit_at,
            first_visit_issued_at: *first_visit_issued_at,
        })
        .collect();
    counts.sort_unstable_by_key(|counts| counts.id);
    counts
}

/// What `users` says of members, packed in the same way: an id and a flag, and a time.
fn users(numbers: &[u8], times: &[u8]) -> Vec<User> {
    let numbers: Vec<i32> = unpacked(numbers).collect();
    let user = |([id, is_active], joined_at): (&[i32; 2], i64)| {
        let is_active = (*is_active < 2).then_some(*is_active == 1);
        User { id: *id, is_active, joined_at }
    };
    let mut users: Vec<_> = numbers.as_chunks().0.iter().zip(unpacked_times(times)).map(user).collect();
    users.sort_unstable_by_key(|user| user.id);
    users
}

fn unpacked_times(bytes: &[u8]) -> impl Iterator<Item = i64> {
    bytes.as_chunks().0.iter().copied().map(i64::from_be_bytes)
}
