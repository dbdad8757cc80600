//! Tokens issued and used per local calendar day.

use std::{cmp::Ordering, collections::BTreeMap};

use chrono::{DateTime, NaiveDate, Utc};
use entity::token;
use sea_orm::{
    DbBackend, QueryResult,
    sea_query::{CaseStatement, Cond, Expr, ExprTrait, Query, SelectStatement, UnionType},
};

use super::{
    Error, InvalidArgument, Session, dialect,
    filter::{DailyUsageFilter, Direction, GapFill, TimeBasis},
    made,
    model::DailyUsage,
    rollup,
    user_visits::users_matching,
};

/// The most days that one report fills or GraphQL lists: a little over ten years.
pub const MAX_DAYS: usize = 3_700;

/// What to compute for each day. What is not asked for costs nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of measures, each asked for or not")]
pub struct DailyUsageMeasures {
    /// Tokens used.
    pub visits: bool,
    /// Tokens issued.
    pub tokens_issued: bool,
    /// Tokens issued and not used so far.
    pub tokens_unused: bool,
    /// Different members among the visits.
    pub unique_visitors: bool,
}

/// The measures of one day as the statement answers them.
#[derive(Debug, Clone, Copy, Default)]
struct DailyUsageRow {
    visits: i64,
    tokens_issued: i64,
    unique_visitors: i64,
    issued_and_used: i64,
}

impl Session {
    /// One row per local day, ascending. A day has a row when a token was issued on it, or, by the
    /// time of use, used on it; days without are treated as `filter.gaps` says.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when filling would take more than [`MAX_DAYS`] days; otherwise
    /// what the database says.
    pub async fn daily_usage(
        &self,
        filter: &DailyUsageFilter,
        measures: DailyUsageMeasures,
    ) -> Result<Vec<DailyUsage>, Error> {
        if let (Some(from), Some(to), true) = (filter.range.from(), filter.range.to(), filter.gaps != GapFill::Omit) {
            check_days(from, to)?;
        }
        made("daily_usage", async {
            let mut days = BTreeMap::<NaiveDate, DailyUsageRow>::new();
            let now = self.now().naive_utc();
            let rolled = || rollup::daily_usage(now, filter, measures);
            let direct = || statement(self.backend(), self.now(), filter, measures);
            for row in self.query_rollup_or(rolled, direct).await? {
                let date = row.try_get("", "local_date")?;
                if filter.contains(date) {
                    days.entry(date).or_default().add(&row, measures)?;
                }
            }
            self.fill(filter, measures, &days)
        })
        .await
    }

    fn fill(
        &self,
        filter: &DailyUsageFilter,
        measures: DailyUsageMeasures,
        days: &BTreeMap<NaiveDate, DailyUsageRow>,
    ) -> Result<Vec<DailyUsage>, Error> {
        let today = filter.zone.date_at(self.now());
        // Of the days before yesterday, no clock has to be asked.
        let is_partial = |date| today.pred_opt() <= Some(date) && filter.zone.end_of_day(date) > self.now();
        let day = |date, row: Option<DailyUsageRow>| {
            let measure = |asked: bool, value: fn(DailyUsageRow) -> i64| row.filter(|_| asked).map(value);
            DailyUsage {
                date,
                starts_at: filter.zone.start_of_day(date),
                is_partial: is_partial(date),
                visits: measure(measures.visits, |row| row.visits),
                tokens_issued: measure(measures.tokens_issued, |row| row.tokens_issued),
                tokens_unused: measure(measures.tokens_unused, |row| row.tokens_issued - row.issued_and_used),
                unique_visitors: measure(measures.unique_visitors, |row| row.unique_visitors),
            }
        };
        let gap = match filter.gaps {
            GapFill::Omit => return Ok(days.iter().map(|(date, row)| day(*date, Some(*row))).collect()),
            GapFill::Zero => Some(DailyUsageRow::default()),
            GapFill::Null => None,
        };
        // An open beginning is the first day with a row; an open end is today, or a later day with one.
        let first = filter.range.from().or_else(|| days.keys().next().copied());
        let last = filter.range.to().or_else(|| Ord::max(days.keys().next_back().copied(), Some(today)));
        let (Some(first), Some(last)) = (first, last) else { return Ok(Vec::new()) };
        check_days(first, last)?;
        Ok(filter.dates(first, last).map(|date| day(date, days.get(&date).copied().or(gap))).collect())
    }
}

impl DailyUsageRow {
    /// By the time of use, a day's visits and its issued tokens come as two rows.
    fn add(&mut self, row: &QueryResult, measures: DailyUsageMeasures) -> Result<(), Error> {
        let count = |asked: bool, column: &str| if asked { row.try_get::<i64>("", column) } else { Ok(0) };
        self.tokens_issued += count(measures.tokens_issued || measures.tokens_unused, "issued")?;
        self.issued_and_used += count(measures.tokens_unused, "issued_and_used")?;
        self.visits += count(measures.visits, "visits")?;
        self.unique_visitors += count(measures.unique_visitors, "unique_visitors")?;
        Ok(())
    }
}

fn statement(
    backend: DbBackend,
    now: DateTime<Utc>,
    filter: &DailyUsageFilter,
    measures: DailyUsageMeasures,
) -> SelectStatement {
    let used = Expr::col(token::Column::UsedAt);
    let if_asked = |asked: bool, measure: Expr| if asked { measure } else { Expr::val(0_i64) };
    let rows = || Expr::col(token::Column::Id).count();
    let mut issued = per_day(backend, now, filter, token::Column::CreatedAt);
    issued.expr_as(if_asked(measures.tokens_issued || measures.tokens_unused, rows()), "issued");
    match filter.basis {
        TimeBasis::IssuedAt => {
            let visits = if_asked(measures.visits || measures.tokens_unused, used.clone().count());
            let visitor = CaseStatement::new().case(used.is_not_null(), Expr::col(token::Column::UserId));
            issued
                .expr_as(visits.clone(), "issued_and_used")
                .expr_as(visits, "visits")
                .expr_as(if_asked(measures.unique_visitors, count_distinct(visitor)), "unique_visitors");
            issued
        }
        TimeBasis::UsedAt => {
            issued
                .expr_as(if_asked(measures.tokens_unused, used.count()), "issued_and_used")
                .expr_as(Expr::val(0_i64), "visits")
                .expr_as(Expr::val(0_i64), "unique_visitors");
            let mut visits = per_day(backend, now, filter, token::Column::UsedAt);
            let visitor = Expr::col(token::Column::UserId);
            visits
                .expr_as(Expr::val(0_i64), "issued")
                .expr_as(Expr::val(0_i64), "issued_and_used")
                .expr_as(if_asked(measures.visits, rows()), "visits")
                .expr_as(if_asked(measures.unique_visitors, count_distinct(visitor)), "unique_visitors");
            issued.union(UnionType::All, visits);
            issued
        }
    }
}

/// Tokens grouped by the local date of `column`; rows without a time are no part of it.
fn per_day(
    backend: DbBackend,
    now: DateTime<Utc>,
    filter: &DailyUsageFilter,
    column: token::Column,
) -> SelectStatement {
    let now = now.naive_utc();
    let column = Expr::col(column);
    let date = dialect::local_date(backend, &column, filter.range, filter.zone, now);
    // Days outside the range that the bounds let through are dropped when the rows are read.
    let bounds = filter.range.bounds(filter.zone);
    Query::select()
        .expr_as(date, "local_date")
        .from(token::Entity)
        .cond_where(
            Cond::all()
                .add(column.clone().is_not_null())
                .add_option(bounds.from.map(|from| column.clone().gte(from)))
                .add_option(bounds.to.map(|to| column.clone().lt(to)))
                .add_option(filter.users.ids().map(|ids| Expr::col(token::Column::UserId).is_in(ids.iter().copied())))
                .add_option(users_matching(
                    backend,
                    filter.users.restricts_users().then_some((&filter.users, filter.zone)),
                    now,
                )),
        )
        .group_by_col("local_date")
        .take()
}

fn count_distinct(value: impl Into<Expr>) -> Expr {
    value.into().count_distinct()
}

fn check_days(first: NaiveDate, last: NaiveDate) -> Result<(), InvalidArgument> {
    let days = (last - first).num_days() + 1;
    if days > i64::try_from(MAX_DAYS).unwrap_or(i64::MAX) {
        return Err(InvalidArgument::new(
            "gaps",
            format!("asks for {days} days to be filled; at most {MAX_DAYS} are: narrow `filter.from` and `filter.to`"),
        ));
    }
    Ok(())
}

/// What days are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DailyUsageField {
    /// The local date.
    #[default]
    Date,
    /// Tokens used.
    Visits,
    /// Tokens issued.
    TokensIssued,
    /// Tokens issued and not used so far.
    TokensUnused,
    /// Visits per issued token.
    ConversionRate,
    /// Different members among the visits.
    UniqueVisitors,
}

/// A total order of days: by a field, then by ascending date. Days without the measure come last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DailyUsageOrder {
    /// What to sort by.
    pub field: DailyUsageField,
    /// Which way.
    pub direction: Direction,
}

impl DailyUsageOrder {
    /// The measures that sorting needs.
    #[must_use]
    pub fn measures(self) -> DailyUsageMeasures {
        use DailyUsageField as Field;
        DailyUsageMeasures {
            visits: matches!(self.field, Field::Visits | Field::ConversionRate),
            tokens_issued: matches!(self.field, Field::TokensIssued | Field::ConversionRate),
            tokens_unused: self.field == Field::TokensUnused,
            unique_visitors: self.field == Field::UniqueVisitors,
        }
    }

    /// The `first` days in this order, or all of them.
    ///
    /// # Errors
    /// When `first` is `None` and there are more days than [`MAX_DAYS`].
    pub fn take(self, mut days: Vec<DailyUsage>, limit: Option<usize>) -> Result<Vec<DailyUsage>, InvalidArgument> {
        if limit.is_none() && days.len() > MAX_DAYS {
            let problem = format!("was not given, and there are {} days; at most {MAX_DAYS} are listed", days.len());
            return Err(InvalidArgument::new("first", problem));
        }
        // Stable sorts: the days arrive in order of their dates.
        match self.field {
            DailyUsageField::Date if self.direction == Direction::Descending => days.reverse(),
            DailyUsageField::Date => {}
            DailyUsageField::Visits => self.sort(&mut days, |day| day.visits),
            DailyUsageField::TokensIssued => self.sort(&mut days, |day| day.tokens_issued),
            DailyUsageField::TokensUnused => self.sort(&mut days, |day| day.tokens_unused),
            DailyUsageField::UniqueVisitors => self.sort(&mut days, |day| day.unique_visitors),
            DailyUsageField::ConversionRate => self.sort(&mut days, DailyUsage::conversion_rate),
        }
        days.truncate(limit.unwrap_or(MAX_DAYS));
        Ok(days)
    }

    fn sort<K: PartialOrd>(self, days: &mut [DailyUsage], key: impl Fn(&DailyUsage) -> Option<K>) {
        days.sort_by(|left, right| match (key(left), key(right)) {
            (Some(left), Some(right)) => {
                let ascending = left.partial_cmp(&right).unwrap_or(Ordering::Equal);
                if self.direction == Direction::Ascending { ascending } else { ascending.reverse() }
            }
            (left, right) => left.is_none().cmp(&right.is_none()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::{filter::DateRange, time_zone::Zone};

    fn sql(backend: DbBackend, filter: &DailyUsageFilter, measures: DailyUsageMeasures) -> String {
        let now = "2024-04-14T12:00:00Z".parse().unwrap();
        backend.build(&statement(backend, now, filter, measures)).to_string()
    }

    #[test]
    fn what_was_not_asked_for_is_not_computed() {
        let visits = DailyUsageMeasures { visits: true, ..DailyUsageMeasures::default() };
        for backend in [DbBackend::Sqlite, DbBackend::Postgres] {
            for basis in [TimeBasis::IssuedAt, TimeBasis::UsedAt] {
                let filter = DailyUsageFilter { basis, ..DailyUsageFilter::default() };
                let only_visits = sql(backend, &filter, visits);
                assert!(!only_visits.contains("DISTINCT"), "{only_visits}");
                assert_eq!(only_visits.matches("COUNT(").count(), if basis == TimeBasis::IssuedAt { 2 } else { 1 });
                let visitors = sql(backend, &filter, DailyUsageMeasures { unique_visitors: true, ..visits });
                assert!(visitors.contains("COUNT(DISTINCT"), "{visitors}");
                assert!(!sql(backend, &filter, DailyUsageMeasures::default()).contains("COUNT("));
            }
        }
    }

    #[test]
    fn ranges_are_bounds_on_the_raw_column() {
        let day = |text| Some(crate::reports::time_zone::parse_date("date", text).unwrap());
        let range = DateRange::new("from", day("2024-03-31"), day("2024-03-31")).unwrap();
        let zone = Zone::parse("zone", "Europe/Berlin").unwrap();
        let sql = sql(
            DbBackend::Postgres,
            &DailyUsageFilter { range, zone, ..DailyUsageFilter::default() },
            DailyUsageMeasures::default(),
        );
        let bounds = r#""created_at" >= '2024-03-30 23:00:00.000000' AND "created_at" < '2024-03-31 22:00:00.000000'"#;
        assert!(sql.contains(bounds), "{sql}");
    }
}
