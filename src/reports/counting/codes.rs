//! The door codes of a filter in order of time, from the rollup: the days that it keeps, and single door codes where it is
//! out of date.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use entity::user;
use sea_orm::{DbErr, QueryResult, sea_query::Query};

use crate::reports::{
    Error, Session,
    dialect::from_users,
    filter::{TimeBasis, TokenFilter},
    ids::{Ids, OpenSets, unpacked},
    moment::{Clock, Moment},
    rollup::{self, Columns, Day, Numbers, SLOT_SECONDS, SLOTS, Slot, Wanted, kind, seconds_between},
    selection::user_condition,
};

/// Door codes at one time: those of a slot, or a single one. Lists are empty unless they are wanted.
#[derive(Debug, Clone, Copy)]
pub(in crate::reports) struct Codes<'a> {
    /// The local time.
    pub(in crate::reports) moment: Moment,
    /// How many were issued.
    pub(in crate::reports) issued: i64,
    /// How many of these were used.
    pub(in crate::reports) issued_and_used: i64,
    /// How many count as visits at this time.
    pub(in crate::reports) visits: i64,
    /// The members of the visits, one for each visit.
    pub(in crate::reports) visitors: &'a [i32],
    /// The members of those that were issued, and used.
    pub(in crate::reports) used: &'a [i32],
    /// How long that took: whole seconds, rounded down; `None` when it is not known.
    pub(in crate::reports) waits: &'a [Option<i64>],
    /// The members of those that were issued, and not used.
    pub(in crate::reports) unused: &'a [i32],
}

impl Session {
    /// Passes the door codes that match `filter` to `take`, in order of time. By time of use, door codes issued and door
    /// codes used come separately. Returns false when the rollup cannot answer.
    ///
    /// # Errors
    /// What the database says, once a door code was passed.
    pub(in crate::reports) async fn codes(
        &self,
        filter: &TokenFilter,
        wanted: Wanted,
        mut take: impl FnMut(&Codes) + Send,
    ) -> Result<bool, Error> {
        if !self.rollup.is_usable() {
            return Ok(false);
        }
        let bounds = filter.range.bounds(filter.zone);
        // Before this instant, local days do not consist of whole slots, so the door codes themselves are read.
        let since = filter.zone.quarters_since().filter(|since| bounds.from.is_none_or(|from| from < *since));
        let cuts_a_slot = |end: &NaiveDateTime| {
            end.and_utc().timestamp_millis().rem_euclid(1_000 * SLOT_SECONDS) != 0
                && since.is_none_or(|since| since < *end)
        };
        if bounds.from.as_ref().is_some_and(cuts_a_slot) || bounds.to.as_ref().is_some_and(cuts_a_slot) {
            return Ok(false);
        }
        let matching = filter.users.restricts_users().then(|| {
            let mut ids = Query::select();
            from_users(&mut ids, self.backend());
            let condition = user_condition(self.backend(), &filter.users, filter.zone, self.now().naive_utc());
            ids.column(user::Column::Id).cond_where(condition).take()
        });
        let known = matching.as_ref().and_then(|_| self.rollup.matching(filter));
        // Which door codes match is decided by their members.
        let columns = Wanted { members: wanted.members || !filter.users.is_everybody(), ..wanted };
        let users_id = known.as_ref().map(|(users_id, _)| users_id.as_str());
        let statement = rollup::codes(self.backend(), bounds, since, columns, matching, users_id);
        let seconds = |end: Option<NaiveDateTime>, open| end.map_or(open, |end| end.and_utc().timestamp());
        let mut reading = Reading {
            session: self,
            filter,
            wanted,
            columns: columns.columns(),
            bounds: (seconds(bounds.from, i64::MIN), seconds(bounds.to, i64::MAX)),
            clock: Clock::of(filter.zone),
            included: None,
            members: known.map(|(_, ids)| ids),
            stretches: Vec::new(),
            day: None,
            live: Vec::new(),
            buffer: Slot::default(),
            is_followed: false,
            is_begun: false,
        };
        let read = async {
            self.for_each(&statement, |row| reading.row(row, &mut take)).await?;
            reading.flush(&mut take)
        };
        match read.await {
            Ok(()) if !reading.is_followed => {
                self.ask_again();
                Ok(false)
            }
            // What was passed already would count twice.
            Err(Error::Database(error)) if self.outlives_failures() && !reading.is_begun => {
                self.distrust_rollup(&error);
                Ok(false)
            }
            read => read.map(|()| true),
        }
    }

    /// The different visitors at each place, in order of time. `place` maps a local date to its place; `finish` gets the
    /// visitors of a place once it is complete. Returns false when the rollup cannot answer.
    pub(in crate::reports) async fn visitors<P: Ord + Copy + Send>(
        &self,
        filter: &TokenFilter,
        place: impl Fn(NaiveDate) -> P + Send + Sync,
        mut finish: impl FnMut(P, &[i32]) + Send,
    ) -> Result<bool, Error> {
        let wanted = Wanted { members: true, ..Wanted::visits(filter) };
        let mut open = OpenSets::default();
        let is_read = self.codes(filter, wanted, |codes| {
            if codes.visits > 0 {
                open.add(place(codes.moment.date), codes.visitors, &mut finish);
            }
        });
        let is_read = is_read.await?;
        if is_read {
            open.finish(&mut finish);
        }
        Ok(is_read)
    }
}

/// The state between two rows.
struct Reading<'a> {
    session: &'a Session,
    filter: &'a TokenFilter,
    wanted: Wanted,
    columns: Columns,
    /// In seconds since 1970, as all times here.
    bounds: (i64, i64),
    clock: Clock,
    /// The last date, and whether the filter includes it.
    included: Option<(NaiveDate, bool)>,
    /// The members whose door codes count; `None` for everybody.
    members: Option<Arc<Ids>>,
    /// What is out of date.
    stretches: Vec<(i64, i64)>,
    /// The day that is read, and its row.
    day: Option<(NaiveDate, Option<Day>)>,
    /// Its door codes that are out of date.
    live: Vec<Live>,
    buffer: Slot,
    is_followed: bool,
    is_begun: bool,
}

/// A door code from the table itself, or those of a slot.
struct Live {
    at: i64,
    numbers: Numbers,
    slot: Slot,
}

impl Reading<'_> {
    fn row(&mut self, row: &QueryResult, take: &mut impl FnMut(&Codes)) -> Result<(), Error> {
        let number: i32 = row.try_get_by_index(0)?;
        let at: Option<NaiveDateTime> = row.try_get_by_index(1)?;
        let until = || -> Result<Option<NaiveDateTime>, Error> { Ok(row.try_get_by_index(2)?) };
        let seconds = |at: NaiveDateTime| at.and_utc().timestamp();
        match number {
            kind::STATE => {
                self.is_followed = row.try_get_by_index(9)?;
                if let Some(bytes) = row.try_get_by_index::<Option<Vec<u8>>>(11)? {
                    let ids = Arc::new(unpacked(&bytes).collect::<Ids>());
                    if let Some(users_id) = row.try_get_by_index(10)? {
                        self.session.rollup.remember(self.filter, users_id, ids.clone());
                    }
                    self.members = Some(ids);
                }
                if let Some(ids) = self.filter.users.ids() {
                    let matching = self.members.take();
                    let ids = ids.iter().copied().filter(|id| matching.as_ref().is_none_or(|ids| ids.contains(*id)));
                    self.members = Some(Arc::new(ids.collect()));
                }
            }
            kind::STRETCH => {
                self.stretches.push((at.map_or(i64::MIN, seconds), until()?.map_or(i64::MAX, seconds)));
            }
            kind::DAY => {
                let bytes = |column| row.try_get_by_index::<Option<Vec<u8>>>(column).map(Option::unwrap_or_default);
                let [counts, used, waits, unused, came] = [bytes(3)?, bytes(4)?, bytes(5)?, bytes(6)?, bytes(7)?];
                let day = Day { counts, used, waits, unused, came };
                self.flush(take)?;
                self.day = at.map(|at| (at.date(), Some(day)));
            }
            _ => {
                let at = at.unwrap_or_default();
                if self.day.as_ref().is_none_or(|(date, _)| *date != at.date()) {
                    self.flush(take)?;
                    self.day = Some((at.date(), None));
                }
                let (numbers, slot) = match row.try_get_by_index::<Option<i32>>(8)? {
                    None => Slot::packed(number, row)?,
                    Some(member) => {
                        let mut slot = Slot::default();
                        if number == kind::USE {
                            slot.came.push(member);
                        } else if row.try_get_by_index(9)? {
                            slot.used.push(member);
                            slot.waits.push(until()?.map(|used_at| seconds_between(at, used_at)));
                        } else {
                            slot.unused.push(member);
                        }
                        (slot.numbers(), slot)
                    }
                };
                self.live.push(Live { at: seconds(at), numbers, slot });
            }
        }
        Ok(())
    }

    /// Passes the door codes of the day.
    fn flush(&mut self, take: &mut impl FnMut(&Codes)) -> Result<(), Error> {
        let Some((date, row)) = self.day.take() else { return Ok(()) };
        let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
        let mut live = std::mem::take(&mut self.live).into_iter().peekable();
        if let Some(row) = row {
            let mut reader = row.read(self.columns).ok_or_else(|| damaged(date))?;
            let mut stretch = self.stretches.partition_point(|(_, end)| *end <= midnight);
            let mut slot = std::mem::take(&mut self.buffer);
            for number in 0..SLOTS {
                let at = midnight + i64::try_from(number).unwrap_or(0) * SLOT_SECONDS;
                while let Some(code) = live.next_if(|code| code.at < at) {
                    self.live_code(code, take);
                }
                while self.stretches.get(stretch).is_some_and(|(_, end)| *end <= at) {
                    stretch += 1;
                }
                let is_logged = self.stretches.get(stretch).is_some_and(|(begin, _)| *begin <= at);
                let is_inside = self.bounds.0 <= at && at < self.bounds.1;
                let moment = self.clock.at(at);
                let is_wanted = !is_logged && is_inside && self.includes(moment.date);
                let numbers = reader.next(is_wanted, &mut slot).ok_or_else(|| damaged(date))?;
                if is_wanted {
                    self.slot(moment, numbers, &mut slot, take);
                }
            }
            self.buffer = slot;
        }
        for code in live {
            self.live_code(code, take);
        }
        Ok(())
    }

    fn includes(&mut self, date: NaiveDate) -> bool {
        match self.included {
            Some((last, is_included)) if last == date => is_included,
            _ => {
                let is_included = self.filter.contains(date);
                self.included = Some((date, is_included));
                is_included
            }
        }
    }

    fn slot(&mut self, moment: Moment, numbers: Numbers, slot: &mut Slot, take: &mut impl FnMut(&Codes)) {
        let Numbers { mut used, mut unused, mut came } = numbers;
        if let Some(members) = &self.members {
            let is_member = |member: &&i32| members.contains(**member);
            if self.wanted.members || self.wanted.waits {
                slot.keep(members);
                (used, unused, came) = (slot.used.len(), slot.unused.len(), slot.came.len());
            } else {
                let count = |list: &[i32]| list.iter().filter(is_member).count();
                (used, unused, came) = (count(&slot.used), count(&slot.unused), count(&slot.came));
            }
        }
        let (used, unused) = (if self.wanted.used { used } else { 0 }, if self.wanted.unused { unused } else { 0 });
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let nobody: &[i32] = &[];
        let nothing = Codes {
            moment,
            issued: 0,
            issued_and_used: 0,
            visits: 0,
            visitors: nobody,
            used: nobody,
            waits: &[],
            unused: nobody,
        };
        if used + unused > 0 {
            self.is_begun = true;
            let is_visit = self.filter.basis == TimeBasis::IssuedAt;
            take(&Codes {
                issued: count(used + unused),
                issued_and_used: count(used),
                visits: if is_visit { count(used) } else { 0 },
                visitors: if is_visit { &slot.used } else { nobody },
                used: &slot.used,
                waits: &slot.waits,
                unused: &slot.unused,
                ..nothing
            });
        }
        if self.wanted.came && came > 0 {
            self.is_begun = true;
            take(&Codes { visits: count(came), visitors: &slot.came, ..nothing });
        }
    }

    /// Passes door codes of the table.
    fn live_code(&mut self, Live { at, numbers, mut slot }: Live, take: &mut impl FnMut(&Codes)) {
        let moment = self.clock.at(at);
        if self.includes(moment.date) {
            self.slot(moment, numbers, &mut slot, take);
        }
    }
}

fn damaged(date: NaiveDate) -> Error {
    Error::Database(DbErr::Custom(format!(
        "{date} in rollup_days is damaged: run `coworking-analytics rollup rebuild`"
    )))
}
