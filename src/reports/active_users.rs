//! Members who visited on a day, and in the 7 and the 30 days that end with it; exact for every day.

use chrono::{DateTime, Days, NaiveDate, Utc};
use entity::token;
use sea_orm::sea_query::{CaseStatement, Cond, Expr, ExprTrait as _, Query, SelectStatement};

use super::{
    Argument, Error, InvalidArgument, Session, dialect::days_between, filter::TokenFilter, ids::ById, made,
    model::ratio, range::DateRange, selection::tokens, time_zone::Zone,
};

/// The most days in one report: three years.
pub const MAX_ACTIVE_DAYS: i64 = 1_100;
/// Days in the longest window.
const MONTH: usize = 30;
const WEEK: usize = 7;

/// Numbers of different members with a visit, up to and including a local day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveUsers {
    zone: Zone,
    /// The local date.
    pub date: NaiveDate,
    /// Members with a visit on the day.
    pub daily: i64,
    /// Members with a visit in the 7 days that end with it.
    pub weekly: i64,
    /// Members with a visit in the 30 days that end with it.
    pub monthly: i64,
    /// Whether the day was not over when the report was made.
    pub is_partial: bool,
}

impl ActiveUsers {
    /// The first instant of the day.
    #[must_use]
    pub fn starts_at(&self) -> DateTime<Utc> {
        self.zone.start_of_day(self.date)
    }

    /// `daily / monthly`; `None` when `monthly` is 0.
    #[must_use]
    pub fn stickiness(&self) -> Option<f64> {
        ratio(self.daily, self.monthly)
    }
}

impl Session {
    /// One row for each day that the filter reports. Visits before the range count in the windows that reach back to
    /// them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there would be more than [`MAX_ACTIVE_DAYS`] days; otherwise what the database
    /// says.
    pub async fn active_users(&self, filter: &TokenFilter) -> Result<Vec<ActiveUsers>, Error> {
        made("active_users", async {
            let (Some(from), Some(to)) = self.reported_dates(filter).await? else { return Ok(Vec::new()) };
            let days = (to - from).num_days() + 1;
            if days > MAX_ACTIVE_DAYS {
                let problem =
                    format!("is {days} days before the end of the range; at most {MAX_ACTIVE_DAYS} are allowed");
                return Err(InvalidArgument::new(Argument::FROM, problem).into());
            }
            let begin = from.checked_sub_days(Days::new(MONTH as u64 - 1)).unwrap_or(NaiveDate::MIN);
            let wider = TokenFilter { range: DateRange::between(begin, to), ..filter.clone() };
            let days = usize::try_from((to - begin).num_days() + 1).unwrap_or(0);
            // For each day and window: members who enter the window, minus members who leave it.
            let mut changes = vec![[0_i64; 3]; days + 1];
            let count = |date: NaiveDate, stay: u64, members: i64| {
                let day = usize::try_from((date - begin).num_days()).unwrap_or(usize::MAX);
                let stay = usize::try_from(stay).unwrap_or(MONTH);
                for (window, length) in [1, WEEK, MONTH].into_iter().enumerate().filter(|_| day < days) {
                    changes[day][window] += members;
                    changes[(day + Ord::min(stay, length)).min(days)][window] -= members;
                }
            };
            self.each_stay(&wider, MONTH as u64, count).await?;
            let mut active = [0; 3];
            let mut rows = Vec::new();
            for (date, change) in begin.iter_days().zip(changes).take(days) {
                for (active, change) in active.iter_mut().zip(change) {
                    *active += change;
                }
                if date >= from && filter.reports(date) {
                    let [daily, weekly, monthly] = active;
                    let is_partial = filter.zone.end_of_day(date) > self.now();
                    rows.push(ActiveUsers { zone: filter.zone, date, daily, weekly, monthly, is_partial });
                }
            }
            Ok(rows)
        })
        .await
    }

    /// Passes, for each day in any order, numbers of members who visited, with the number of days until their next visit:
    /// at most `longest`, also where there is none.
    pub(super) async fn each_stay(
        &self,
        filter: &TokenFilter,
        longest: u64,
        mut count: impl FnMut(NaiveDate, u64, i64) + Send,
    ) -> Result<(), Error> {
        let mut stays = Stays::new(longest);
        if self.visitors(filter, |date| date, |date, members| stays.add(date, members, &mut count)).await? {
            stays.end(None, &mut count);
            return Ok(());
        }
        for row in self.query_all(&self.stays(filter, longest)).await? {
            let stay = row.try_get::<i64>("", "stay")?.unsigned_abs();
            count(row.try_get("", "day")?, stay, row.try_get("", "members")?);
        }
        Ok(())
    }

    /// For each day, the number of members who visited, by the number of days until their next visit, at most
    /// `longest`.
    fn stays(&self, filter: &TokenFilter, longest: u64) -> SelectStatement {
        let backend = self.backend();
        let local = self.local(filter);
        let mut days = tokens(&local, filter);
        days.column(token::Column::UserId)
            .expr_as(local.date(), "day")
            .and_where(Expr::col(token::Column::UsedAt).is_not_null())
            .group_by_col(token::Column::UserId)
            .group_by_col("day");
        let next = Query::select()
            .column("day")
            .expr_as(Expr::cust("lead(day) OVER (PARTITION BY user_id ORDER BY day)"), "next_day")
            .from_subquery(days, "days")
            .take();
        let longest = i64::try_from(longest).unwrap_or(i64::MAX);
        let until_next = days_between(backend, Expr::col("day"), Expr::col("next_day"));
        let is_within = Cond::all().add(Expr::col("next_day").is_not_null()).add(until_next.clone().lt(longest));
        let stay =
            CaseStatement::new().case(is_within, until_next).finally(Expr::cust(format!("CAST({longest} AS BIGINT)")));
        Query::select()
            .column("day")
            .expr_as(stay, "stay")
            .expr_as(Expr::cust("count(*)"), "members")
            .from_subquery(next, "visits")
            .group_by_col("day")
            .group_by_col("stay")
            .take()
    }
}

/// How long each member stays away, from the members of each day, in order of time.
pub(super) struct Stays {
    longest: u64,
    /// The last day of each member, as the number of days after `begin`; 0 when there is none yet. Two bytes for each keep
    /// many members in a processor's cache.
    last_days: ById<u16>,
    begin: Option<NaiveDate>,
    /// Of the members who came on each of these days, how many did not come within the longest time.
    stayed_away: Vec<i64>,
    /// How many members came again after this many days.
    again: Vec<i64>,
}

impl Stays {
    /// Stays of at most `longest` days.
    pub(super) fn new(longest: u64) -> Self {
        let again = vec![0; usize::try_from(longest).unwrap_or(0)];
        Self { longest, last_days: ById::default(), begin: None, stayed_away: Vec::new(), again }
    }

    /// The members of the next day.
    pub(super) fn add(&mut self, date: NaiveDate, members: &[i32], mut count: impl FnMut(NaiveDate, u64, i64)) {
        let day_of = |begin: NaiveDate| u16::try_from((date - begin).num_days()).ok();
        let Some(day) = self.begin.and_then(day_of) else {
            self.end(Some(date), &mut count);
            return self.add(date, members, count);
        };
        // Days are passed in order, so nobody's last day is later.
        if self.stayed_away.len() <= usize::from(day) {
            self.stayed_away.resize(usize::from(day) + 1, 0);
        }
        for member in members {
            let last = std::mem::replace(self.last_days.get_mut(*member), day);
            match self.again.get_mut(usize::from(day.saturating_sub(last))) {
                _ if last == 0 => {}
                Some(members) => *members += 1,
                None => self.stayed_away[usize::from(last)] += 1,
            }
        }
        for (stay, members) in (0..).zip(&mut self.again).filter(|(_, members)| **members > 0) {
            count(date - Days::new(stay), stay, std::mem::take(members));
        }
    }

    /// Passes the members who did not come again. With the next day, those who may still come in time remain.
    pub(super) fn end(&mut self, next: Option<NaiveDate>, mut count: impl FnMut(NaiveDate, u64, i64)) {
        let (longest, stayed_away) = (self.longest, &mut self.stayed_away);
        // So that no member's day is 0.
        let begin = next.map(|next| next - Days::new(longest) - Days::new(1));
        let moved = self.begin.zip(begin).map(|(old, new)| (new - old).num_days());
        for last in self.last_days.values_mut().filter(|last| **last > 0) {
            let remains = moved.and_then(|moved| u16::try_from(i64::from(*last) - moved).ok()).filter(|last| *last > 0);
            if remains.is_none() {
                stayed_away[usize::from(*last)] += 1;
            }
            *last = remains.unwrap_or(0);
        }
        for (day, members) in (0..).zip(stayed_away.drain(..)).filter(|(_, members)| *members > 0) {
            count(self.begin.unwrap_or_default() + Days::new(day), longest, members);
        }
        self.begin = begin;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn each_stay_is_counted_once(
            longest in 1..40_u64,
            days in proptest::collection::vec((prop_oneof![1..6_u64, 30..45_u64, 65_000..66_000_u64], proptest::collection::btree_set(0..6_i32, 0..6)), 0..30),
        ) {
            let mut date = NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
            let mut visits = BTreeMap::<i32, Vec<NaiveDate>>::new();
            let (mut counted, mut stays) = (BTreeMap::<(NaiveDate, u64), i64>::new(), Stays::new(longest));
            let mut count = |date, stay, members| *counted.entry((date, stay)).or_default() += members;
            for (later, members) in days {
                date = date + Days::new(later);
                stays.add(date, &members.iter().copied().collect::<Vec<_>>(), &mut count);
                for member in members {
                    visits.entry(member).or_default().push(date);
                }
            }
            stays.end(None, &mut count);
            let mut expected = BTreeMap::<(NaiveDate, u64), i64>::new();
            for dates in visits.values() {
                for (place, date) in dates.iter().enumerate() {
                    let stay = dates.get(place + 1).map_or(longest, |next| (*next - *date).num_days().unsigned_abs().clamp(0, longest));
                    *expected.entry((*date, stay)).or_default() += 1;
                }
            }
            prop_assert_eq!(counted, expected);
        }
    }
}
