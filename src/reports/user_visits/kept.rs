//! Members with their visits in a range, from the rollup: the members are found and sorted here; what the rollup does
//! not know is asked for those on the page alone.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    mem,
    ops::Bound,
};

use super::{UserVisitsParts, read_member};
use crate::reports::{
    Error, Session,
    codes::Codes,
    filter::{TimeBasis, UserVisitsFilter},
    ids::Tally,
    model::{UserVisits, UserVisitsPage, UserVisitsTotals},
    moment::{micros, time_of},
    page::{Key, Page, UserVisitsCursor, UserVisitsField, UserVisitsOrder},
    rollup::Wanted,
    roster::Entry,
};

/// A member and their door codes, in few bytes, because there may be a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// The time by which the list is sorted, in microseconds since 1970; `NEVER` where there is none.
    time: i64,
    pub(super) user_id: i32,
    pub(super) visits: u32,
    issued: u32,
    unused: u32,
}

/// No time: it is later than any.
const NEVER: i64 = i64::MAX;

impl Counted {
    pub(super) fn row(self) -> UserVisits {
        UserVisits {
            user_id: self.user_id,
            visits: self.visits.into(),
            tokens_issued: self.issued.into(),
            tokens_unused: self.unused.into(),
            ..UserVisits::default()
        }
    }
}

impl Session {
    /// The page; `None` when the rollup cannot answer.
    pub(super) async fn kept_user_visits(
        &self,
        filter: &UserVisitsFilter,
        order: UserVisitsOrder,
        page: &Page,
        parts: UserVisitsParts,
    ) -> Result<Option<UserVisitsPage>, Error> {
        let needs_details = parts.visit_times || parts.membership || parts.names;
        // Details are another statement, which has to read the same snapshot.
        if parts.names || (needs_details && !self.shares) {
            return Ok(None);
        }
        let is_of_all_time = filter.range.is_unbounded();
        let asks_for_more = filter.include_users_without_visits
            || filter.last_visit_before.is_some()
            || filter.last_visit_from.is_some()
            || order.field.is_nullable();
        let mut choosing = Choosing::of(order, page, parts);
        let take = |member: Counted| choosing.take(member);
        let is_read = if is_of_all_time {
            self.members_of_all_time(filter, order, take).await?
        } else {
            !asks_for_more && self.kept_members(filter, take).await?
        };
        if !is_read {
            return Ok(None);
        }
        let Chosen { mut rows, totals, ranks, has_previous, has_next } = choosing.finish();
        let mut has_details = !needs_details || rows.is_empty();
        if !has_details && is_of_all_time {
            has_details = self.add_details(filter, &mut rows).await?;
        }
        if !has_details {
            rows = self.detailed(filter, order, &rows, parts).await?;
        }
        if parts.rank {
            ranks.rank(&mut rows);
        }
        let totals = parts.totals.then_some(totals);
        Ok(Some(UserVisitsPage { rows, totals, has_previous, has_next }))
    }

    /// Passes the members that the filter matches, in no order. Returns false when the rollup cannot answer.
    pub(super) async fn kept_members(
        &self,
        filter: &UserVisitsFilter,
        mut take: impl FnMut(Counted) + Send,
    ) -> Result<bool, Error> {
        let tokens = filter.tokens();
        let wanted = Wanted { members: true, ..Wanted::all(&tokens) };
        let mut tallies: [Tally; 3] = Default::default();
        let is_by_issue = filter.basis == TimeBasis::IssuedAt;
        let count = |codes: &Codes| {
            let [used, unused, came] = &mut tallies;
            used.add(codes.used);
            unused.add(codes.unused);
            if !is_by_issue {
                came.add(codes.visitors);
            }
        };
        if !self.codes(&tokens, wanted, count).await? {
            return Ok(false);
        }
        Tally::each(&tallies, |user_id, [used, unused, came]| {
            let visits = if is_by_issue { used } else { came };
            let member = Counted { time: NEVER, user_id, visits, issued: used.saturating_add(unused), unused };
            if is_listed(filter, &member) {
                take(member);
            }
        });
        Ok(true)
    }

    /// The same for all time.
    async fn members_of_all_time(
        &self,
        filter: &UserVisitsFilter,
        order: UserVisitsOrder,
        mut take: impl FnMut(Counted) + Send,
    ) -> Result<bool, Error> {
        let start = |date| micros(filter.zone.start_of_day(date).naive_utc());
        let (before, from) = (filter.last_visit_before.map(start), filter.last_visit_from.map(start));
        let list = |member: Entry| {
            let last = member.last_visit();
            if (member.counts.is_none() && !filter.include_users_without_visits)
                || before.is_some_and(|before| last.is_none_or(|last| last >= before))
                || from.is_some_and(|from| last.is_none_or(|last| last < from))
            {
                return;
            }
            let time = match order.field {
                UserVisitsField::JoinedAt => member.joined(),
                UserVisitsField::FirstVisitAt => member.first_visit(TimeBasis::UsedAt),
                UserVisitsField::LastVisitAt => last,
                _ => None,
            };
            let (issued, visits) = member.counts.map_or((0, 0), |counts| (counts.issued, counts.used));
            let unused = issued.saturating_sub(visits);
            let row = Counted { time: time.unwrap_or(NEVER), user_id: member.id, visits, issued, unused };
            if is_listed(filter, &row) {
                take(row);
            }
        };
        self.each_member(&filter.users, filter.zone, list).await
    }

    /// Adds to rows of all time what else is known of the members. Returns false when the rollup cannot answer any more.
    async fn add_details(&self, filter: &UserVisitsFilter, rows: &mut [UserVisits]) -> Result<bool, Error> {
        let places: HashMap<_, _> = rows.iter().enumerate().map(|(place, row)| (row.user_id, place)).collect();
        let these = filter.users.clone().with_ids(places.keys().copied().collect());
        let add = |member: Entry| {
            let Some(row) = places.get(&member.id).and_then(|place| rows.get_mut(*place)) else { return };
            row.first_visit_at = member.first_visit(TimeBasis::UsedAt).and_then(time_of);
            row.last_visit_at = member.last_visit().and_then(time_of);
            row.joined_at = member.joined().and_then(time_of);
            row.is_active = member.user.and_then(|user| user.is_active);
        };
        self.each_member(&these, filter.zone, add).await
    }

    /// The same rows with everything, from the tables.
    async fn detailed(
        &self,
        filter: &UserVisitsFilter,
        order: UserVisitsOrder,
        rows: &[UserVisits],
        parts: UserVisitsParts,
    ) -> Result<Vec<UserVisits>, Error> {
        let ids = rows.iter().map(|row| row.user_id).collect();
        let these = UserVisitsFilter { users: filter.users.clone().with_ids(ids), ..filter.clone() };
        let parts = UserVisitsParts { totals: false, rank: false, behind: false, ..parts };
        let statement = self.user_visits_statement(&these, order, &Page::all(), parts, false);
        self.query_all(&statement).await?.iter().map(|row| read_member(row, parts)).collect()
    }
}

/// How many members have how many visits.
#[derive(Debug, Default)]
pub(super) struct Ranks(BTreeMap<u32, i64>);

impl Ranks {
    pub(super) fn add(&mut self, visits: u32) {
        *self.0.entry(visits).or_default() += 1;
    }

    /// Sets the ranks of `rows` among all members.
    pub(super) fn rank(&self, rows: &mut [UserVisits]) {
        for row in rows {
            let visits = u32::try_from(row.visits).unwrap_or(u32::MAX);
            row.rank =
                1 + self.0.range((Bound::Excluded(visits), Bound::Unbounded)).map(|(_, members)| members).sum::<i64>();
        }
    }
}

fn is_listed(filter: &UserVisitsFilter, member: &Counted) -> bool {
    let visits = i64::from(member.visits);
    filter.visits.min().is_none_or(|least| visits >= least.into())
        && filter.visits.max().is_none_or(|most| visits <= most.into())
}

/// The place of a member in the list: by a key, then by id.
type Place = (i64, i32);

/// Chooses the rows of a page from members that come in no order, with memory for few more than these.
struct Choosing<'a> {
    order: UserVisitsOrder,
    page: &'a Page,
    parts: UserVisitsParts,
    after: Option<Place>,
    before: Option<Place>,
    /// The cursor from which the page starts, and whether the page lies after it.
    behind: Option<(Place, bool)>,
    rows: Vec<Counted>,
    /// The last place that may be on the page, or right behind it.
    last: Option<Place>,
    totals: UserVisitsTotals,
    ranks: Ranks,
    is_behind: bool,
}

/// What was chosen: the rows of the page, in the list's order, and whether there are more on its sides.
struct Chosen {
    rows: Vec<UserVisits>,
    totals: UserVisitsTotals,
    ranks: Ranks,
    has_previous: bool,
    has_next: bool,
}

impl<'a> Choosing<'a> {
    fn of(order: UserVisitsOrder, page: &'a Page, parts: UserVisitsParts) -> Self {
        let place = |cursor: &UserVisitsCursor| match cursor.key {
            Some(Key::Number(number)) => (number, cursor.user_id),
            Some(Key::Time(time)) => (micros(time), cursor.user_id),
            None => (NEVER, cursor.user_id),
        };
        Self {
            order,
            page,
            parts,
            after: page.after().map(place),
            before: page.before().map(place),
            behind: page.behind().filter(|_| parts.behind).map(|(cursor, forward)| (place(cursor), forward)),
            rows: Vec::new(),
            last: None,
            totals: UserVisitsTotals::default(),
            ranks: Ranks::default(),
            is_behind: false,
        }
    }

    fn place(&self, member: &Counted) -> Place {
        let key = match self.order.field {
            UserVisitsField::Visits => member.visits.into(),
            UserVisitsField::TokensIssued => member.issued.into(),
            UserVisitsField::UserId => member.user_id.into(),
            UserVisitsField::JoinedAt | UserVisitsField::FirstVisitAt | UserVisitsField::LastVisitAt => member.time,
        };
        (key, member.user_id)
    }

    /// The order of the list.
    fn compare(&self, left: Place, right: Place) -> Ordering {
        // In the order of ids, the key is the id. Members without a time are last in any order.
        let by_key = match (left.0, right.0) {
            (NEVER, _) | (_, NEVER) => left.0.cmp(&right.0),
            (left, right) if self.order.is_ascending() => left.cmp(&right),
            (left, right) => right.cmp(&left),
        };
        by_key.then(left.1.cmp(&right.1))
    }

    /// The order in which rows are chosen: from the end, for a page that goes backward.
    fn compare_to_choose(&self, left: Place, right: Place) -> Ordering {
        let order = self.compare(left, right);
        if self.page.is_backward() { order.reverse() } else { order }
    }

    fn take(&mut self, member: Counted) {
        if self.parts.totals {
            self.totals.users += 1;
            self.totals.visits += i64::from(member.visits);
            self.totals.tokens_issued += i64::from(member.issued);
            self.totals.tokens_unused += i64::from(member.unused);
        }
        if self.parts.rank {
            self.ranks.add(member.visits);
        }
        let place = self.place(&member);
        let is_beyond = |cursor: Place, forward: bool| {
            self.compare(place, cursor) == if forward { Ordering::Greater } else { Ordering::Less }
        };
        let is_behind = self.behind.is_some_and(|(cursor, forward)| !is_beyond(cursor, forward));
        let is_outside = self.after.is_some_and(|cursor| !is_beyond(cursor, true))
            || self.before.is_some_and(|cursor| !is_beyond(cursor, false))
            || self.last.is_some_and(|last| self.compare_to_choose(place, last) == Ordering::Greater);
        self.is_behind |= is_behind;
        if is_outside {
            return;
        }
        self.rows.push(member);
        if self.page.size().is_some_and(|size| self.rows.len() > 2 * size + 1_000) {
            self.leave_out();
        }
    }

    /// Leaves out what is neither on the page nor the row behind it.
    fn leave_out(&mut self) {
        let Some(size) = self.page.size().filter(|size| self.rows.len() > *size) else { return };
        let mut rows = mem::take(&mut self.rows);
        let in_order = |left: &Counted, right: &Counted| self.compare_to_choose(self.place(left), self.place(right));
        let (_, last, _) = rows.select_nth_unstable_by(size, in_order);
        self.last = Some(self.place(last));
        rows.truncate(size + 1);
        self.rows = rows;
    }

    fn finish(mut self) -> Chosen {
        self.leave_out();
        let size = self.page.size().unwrap_or(usize::MAX);
        let ahead = self.rows.len() > size;
        let mut rows = mem::take(&mut self.rows);
        rows.sort_unstable_by(|left, right| self.compare_to_choose(self.place(left), self.place(right)));
        rows.truncate(size);
        if self.page.is_backward() {
            rows.reverse();
        }
        let behind = self.is_behind;
        let (has_previous, has_next) = if self.page.is_backward() { (ahead, behind) } else { (behind, ahead) };
        let rows = rows.into_iter().map(Counted::row).collect();
        Chosen { rows, totals: self.totals, ranks: self.ranks, has_previous, has_next }
    }
}
