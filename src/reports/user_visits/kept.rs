//! Members with their visits in a range, from the rollup: the members are found and sorted here; what the rollup does
//! not know is asked for those on the page alone.

use std::cmp::Ordering;

use super::{UserVisitsParts, read_member};
use crate::reports::{
    Error, Session,
    codes::Codes,
    filter::{TimeBasis, TokenFilter, UserVisitsFilter},
    ids::ById,
    model::{UserVisits, UserVisitsPage, UserVisitsTotals},
    page::{Key, Page, UserVisitsCursor, UserVisitsField, UserVisitsOrder},
    rollup::Wanted,
};

/// Door codes of a member.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    issued: u32,
    issued_and_used: u32,
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
        let asks_for_more = filter.include_users_without_visits
            || filter.last_visit_before.is_some()
            || filter.last_visit_from.is_some()
            || order.field.is_nullable();
        // Counts of all time are kept by member. Details are another statement, which has to read the same snapshot.
        if filter.range.is_unbounded() || asks_for_more || (needs_details && !self.shares) {
            return Ok(None);
        }
        let Some(members) = self.kept_members(filter).await? else { return Ok(None) };
        let totals = parts.totals.then(|| totals(&members));
        let Chosen { mut rows, has_previous, has_next } = choose(&members, order, page, parts.behind);
        if needs_details && !rows.is_empty() {
            rows = self.detailed(filter, order, &rows, parts).await?;
        }
        if parts.rank {
            let mut visits: Vec<i64> = members.iter().map(|member| member.visits).collect();
            visits.sort_unstable();
            for row in &mut rows {
                let more = visits.len() - visits.partition_point(|visits| *visits <= row.visits);
                row.rank = i64::try_from(more + 1).unwrap_or(i64::MAX);
            }
        }
        Ok(Some(UserVisitsPage { rows, totals, has_previous, has_next }))
    }

    /// The members that the filter matches, in no order.
    async fn kept_members(&self, filter: &UserVisitsFilter) -> Result<Option<Vec<UserVisits>>, Error> {
        let tokens = TokenFilter {
            range: filter.range,
            users: filter.users.clone(),
            zone: filter.zone,
            basis: filter.basis,
            ..TokenFilter::default()
        };
        let is_by_issue = filter.basis == TimeBasis::IssuedAt;
        let wanted = Wanted { issues: true, uses: !is_by_issue, members: true, waits: false };
        let mut sums = ById::<Sums>::default();
        let count = |codes: &Codes| {
            for code in codes.issues() {
                let sums = sums.get_mut(code.member);
                sums.issued += 1;
                sums.issued_and_used += u32::from(code.is_used);
            }
            codes.visitors().for_each(|member| sums.get_mut(member).visits += 1);
        };
        if !self.codes(&tokens, wanted, count).await? {
            return Ok(None);
        }
        let member = |(user_id, sums): (i32, Sums)| UserVisits {
            user_id,
            visits: sums.visits.into(),
            tokens_issued: sums.issued.into(),
            tokens_unused: i64::from(sums.issued) - i64::from(sums.issued_and_used),
            ..UserVisits::default()
        };
        let (least, most) = (filter.visits.min().map(i64::from), filter.visits.max().map(i64::from));
        let listed =
            sums.into_values().filter(|(_, sums)| sums.issued > 0 || sums.visits > 0).map(member).filter(|row| {
                least.is_none_or(|least| row.visits >= least) && most.is_none_or(|most| row.visits <= most)
            });
        Ok(Some(listed.collect()))
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

fn totals(members: &[UserVisits]) -> UserVisitsTotals {
    let sum = |count: fn(&UserVisits) -> i64| members.iter().map(count).sum();
    UserVisitsTotals {
        users: i64::try_from(members.len()).unwrap_or(i64::MAX),
        visits: sum(|member| member.visits),
        tokens_issued: sum(|member| member.tokens_issued),
        tokens_unused: sum(|member| member.tokens_unused),
    }
}

/// The rows of a page, in the list's order, and whether there are more on its sides, where that is asked.
struct Chosen {
    rows: Vec<UserVisits>,
    has_previous: bool,
    has_next: bool,
}

fn choose(members: &[UserVisits], order: UserVisitsOrder, page: &Page, asks_behind: bool) -> Chosen {
    let key = |member: &UserVisits| match order.field {
        UserVisitsField::Visits => member.visits,
        UserVisitsField::TokensIssued => member.tokens_issued,
        _ => member.user_id.into(),
    };
    let compare = |left: (i64, i32), right: (i64, i32)| {
        let by_key = if order.is_ascending() { left.0.cmp(&right.0) } else { right.0.cmp(&left.0) };
        // In the order of ids, the key is the id.
        by_key.then(left.1.cmp(&right.1))
    };
    let place = |member: &UserVisits| (key(member), member.user_id);
    let place_of = |cursor: &UserVisitsCursor| match cursor.key {
        Some(Key::Number(number)) => (number, cursor.user_id),
        _ => (cursor.user_id.into(), cursor.user_id),
    };
    let is_beyond = |member: &UserVisits, cursor: &UserVisitsCursor, forward: bool| {
        let expected = if forward { Ordering::Greater } else { Ordering::Less };
        compare(place(member), place_of(cursor)) == expected
    };
    let mut rows: Vec<_> = members
        .iter()
        .filter(|member| page.after().is_none_or(|cursor| is_beyond(member, cursor, true)))
        .filter(|member| page.before().is_none_or(|cursor| is_beyond(member, cursor, false)))
        .collect();
    let in_order = |left: &&UserVisits, right: &&UserVisits| {
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
    Chosen { rows: rows.into_iter().cloned().collect(), has_previous, has_next }
}
