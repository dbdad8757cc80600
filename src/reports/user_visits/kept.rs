//! Members with their visits in a range, from the rollup: the members are found and sorted here; what the rollup does
//! not know is asked for those on the page alone.

use std::{cmp::Ordering, collections::HashMap};

use super::{UserVisitsParts, read_member};
use crate::reports::{
    Error, Session,
    codes::Codes,
    filter::{TimeBasis, UserVisitsFilter},
    ids::ById,
    model::{UserVisits, UserVisitsPage, UserVisitsTotals},
    page::{Key, Page, UserVisitsCursor, UserVisitsField, UserVisitsOrder},
    rollup::Wanted,
    roster::{Entry, micros, time_of},
};

/// A member and their door codes, in few bytes, because there may be a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// The time by which the list is sorted, in microseconds since 1970; `NEVER` where there is none.
    time: i64,
    pub(super) user_id: i32,
    visits: u32,
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

/// Door codes of a member.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    used: u32,
    unused: u32,
    visits: u32,
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
        let members = if is_of_all_time {
            self.members_of_all_time(filter, order).await?
        } else if asks_for_more {
            None
        } else {
            self.kept_members(filter).await?
        };
        let Some(members) = members else { return Ok(None) };
        let totals = parts.totals.then(|| totals(&members));
        let Chosen { mut rows, has_previous, has_next } = choose(&members, order, page, parts.behind);
        if needs_details && !rows.is_empty() {
            if !is_of_all_time || !self.add_details(filter, &mut rows).await? {
                rows = self.detailed(filter, order, &rows, parts).await?;
            }
        }
        if parts.rank {
            rank(&mut rows, &members);
        }
        Ok(Some(UserVisitsPage { rows, totals, has_previous, has_next }))
    }

    /// The members that the filter matches, in no order.
    pub(super) async fn kept_members(&self, filter: &UserVisitsFilter) -> Result<Option<Vec<Counted>>, Error> {
        let tokens = filter.tokens();
        let wanted = Wanted { members: true, ..Wanted::all(&tokens) };
        let mut sums = ById::<Sums>::default();
        let count = |codes: &Codes| {
            codes.used.iter().for_each(|member| sums.get_mut(*member).used += 1);
            codes.unused.iter().for_each(|member| sums.get_mut(*member).unused += 1);
            codes.visitors.iter().for_each(|member| sums.get_mut(*member).visits += 1);
        };
        if !self.codes(&tokens, wanted, count).await? {
            return Ok(None);
        }
        let member = |(user_id, Sums { used, unused, visits }): (i32, Sums)| {
            let issued = used.saturating_add(unused);
            Counted { time: NEVER, user_id, visits, issued, unused }
        };
        let listed = sums.into_values().filter(|(_, sums)| sums.used + sums.unused + sums.visits > 0).map(member);
        Ok(Some(listed.filter(|row| is_listed(filter, row)).collect()))
    }

    /// The same for all time.
    async fn members_of_all_time(
        &self,
        filter: &UserVisitsFilter,
        order: UserVisitsOrder,
    ) -> Result<Option<Vec<Counted>>, Error> {
        let start = |date| micros(filter.zone.start_of_day(date).naive_utc());
        let (before, from) = (filter.last_visit_before.map(start), filter.last_visit_from.map(start));
        let mut members = Vec::new();
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
                members.push(row);
            }
        };
        Ok(self.each_member(&filter.users, filter.zone, list).await?.then_some(members))
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

/// Sets the ranks of `rows` among all members.
pub(super) fn rank(rows: &mut [UserVisits], members: &[Counted]) {
    let mut visits: Vec<u32> = members.iter().map(|member| member.visits).collect();
    visits.sort_unstable();
    for row in rows {
        let more = visits.len() - visits.partition_point(|visits| i64::from(*visits) <= row.visits);
        row.rank = i64::try_from(more + 1).unwrap_or(i64::MAX);
    }
}

fn is_listed(filter: &UserVisitsFilter, member: &Counted) -> bool {
    let visits = i64::from(member.visits);
    filter.visits.min().is_none_or(|least| visits >= least.into())
        && filter.visits.max().is_none_or(|most| visits <= most.into())
}

fn totals(members: &[Counted]) -> UserVisitsTotals {
    let sum = |count: fn(&Counted) -> u32| members.iter().map(|member| i64::from(count(member))).sum();
    UserVisitsTotals {
        users: i64::try_from(members.len()).unwrap_or(i64::MAX),
        visits: sum(|member| member.visits),
        tokens_issued: sum(|member| member.issued),
        tokens_unused: sum(|member| member.unused),
    }
}

/// The rows of a page, in the list's order, and whether there are more on its sides, where that is asked.
struct Chosen {
    rows: Vec<UserVisits>,
    has_previous: bool,
    has_next: bool,
}

fn choose(members: &[Counted], order: UserVisitsOrder, page: &Page, asks_behind: bool) -> Chosen {
    let key = |member: &Counted| match order.field {
        UserVisitsField::Visits => member.visits.into(),
        UserVisitsField::TokensIssued => member.issued.into(),
        UserVisitsField::UserId => member.user_id.into(),
        UserVisitsField::JoinedAt | UserVisitsField::FirstVisitAt | UserVisitsField::LastVisitAt => member.time,
    };
    let compare = |left: (i64, i32), right: (i64, i32)| {
        // In the order of ids, the key is the id. Members without a time are last in any order.
        let by_key = match (left.0, right.0) {
            (NEVER, _) | (_, NEVER) => left.0.cmp(&right.0),
            (left, right) if order.is_ascending() => left.cmp(&right),
            (left, right) => right.cmp(&left),
        };
        by_key.then(left.1.cmp(&right.1))
    };
    let place = |member: &Counted| (key(member), member.user_id);
    let place_of = |cursor: &UserVisitsCursor| match cursor.key {
        Some(Key::Number(number)) => (number, cursor.user_id),
        Some(Key::Time(time)) => (micros(time), cursor.user_id),
        None => (NEVER, cursor.user_id),
    };
    let is_beyond = |member: &Counted, cursor: &UserVisitsCursor, forward: bool| {
        let expected = if forward { Ordering::Greater } else { Ordering::Less };
        compare(place(member), place_of(cursor)) == expected
    };
    let mut rows: Vec<_> = members
        .iter()
        .filter(|member| page.after().is_none_or(|cursor| is_beyond(member, cursor, true)))
        .filter(|member| page.before().is_none_or(|cursor| is_beyond(member, cursor, false)))
        .collect();
    let in_order = |left: &&Counted, right: &&Counted| {
        let order = compare(place(left), place(right));
        if page.is_backward() { order.reverse() } else { order }
    };
    let size = page.size().unwrap_or(usize::MAX);
    let ahead = rows.len() > size;
    if ahead {
        rows.select_nth_unstable_by(size, in_order);
        rows.truncate(size);
    }
    rows.sort_unstable_by(in_order);
    if page.is_backward() {
        rows.reverse();
    }
    let behind = asks_behind
        && page
            .behind()
            .is_some_and(|(cursor, forward)| members.iter().any(|member| !is_beyond(member, cursor, forward)));
    let (has_previous, has_next) = if page.is_backward() { (ahead, behind) } else { (behind, ahead) };
    Chosen { rows: rows.into_iter().map(|member| member.row()).collect(), has_previous, has_next }
}
