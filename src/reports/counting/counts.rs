//! Counts of door codes by a place on the local calendar, which several reports share.

use std::{cmp::Ordering, collections::BTreeMap, sync::PoisonError};

use chrono::{Datelike as _, NaiveDate, NaiveDateTime};
use entity::token;
use sea_orm::{
    DbBackend, QueryResult,
    sea_query::{CaseStatement, Expr, ExprTrait, Func, Query, SelectStatement, UnionType},
};

use crate::reports::{
    Error, Session,
    calendar::{Bucket, Calendar, Granularity},
    codes::Codes,
    dialect::{Local, readable, seconds_between},
    filter::{TimeBasis, TokenFilter},
    ids::{MemberSet, OpenSets},
    model::Figures,
    moment::Moment,
    rollup::Wanted,
    selection::tokens,
};

/// What to compute. What is not requested costs nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of measures, each asked for or not")]
pub struct Measures {
    /// Door codes used.
    pub visits: bool,
    /// Door codes issued.
    pub tokens_issued: bool,
    /// Door codes issued and not used so far.
    pub tokens_unused: bool,
    /// Number of different members among the visits.
    pub unique_visitors: bool,
    /// How many of these never came before.
    pub new_visitors: bool,
    /// How long it took to use the door codes issued.
    pub time_to_use: bool,
}

impl Measures {
    /// All measures of [`Figures`].
    pub const ALL: Self = Self {
        visits: true,
        tokens_issued: true,
        tokens_unused: true,
        unique_visitors: true,
        new_visitors: true,
        time_to_use: false,
    };

    /// Without the measures that count members.
    pub(in crate::reports) fn without_members(self) -> Self {
        Self { unique_visitors: false, new_visitors: false, ..self }
    }

    /// The measures of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            visits: self.visits || other.visits,
            tokens_issued: self.tokens_issued || other.tokens_issued,
            tokens_unused: self.tokens_unused || other.tokens_unused,
            unique_visitors: self.unique_visitors || other.unique_visitors,
            new_visitors: self.new_visitors || other.new_visitors,
            time_to_use: self.time_to_use || other.time_to_use,
        }
    }
}

/// What door codes are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reports) enum By {
    /// By nothing. There is a row even when no door code counts.
    All,
    /// Buckets of the calendar.
    Bucket(Calendar),
    /// Days of the week and hours of the day. With a date, also whether they are before it (0), on it (1) or after it
    /// (2). With a calendar, also its buckets, which are days or longer.
    WeekdayAndHour { with_today: Option<NaiveDate>, within: Option<Calendar> },
}

/// Counts of door codes; 0 for a measure that was not requested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::reports) struct Counts {
    pub(in crate::reports) visits: i64,
    pub(in crate::reports) tokens_issued: i64,
    pub(in crate::reports) unique_visitors: i64,
    pub(in crate::reports) new_visitors: i64,
    pub(in crate::reports) issued_and_used: i64,
    /// Door codes issued, and used at their issue or later.
    pub(in crate::reports) timed: i64,
    /// The sum of the whole seconds that this took.
    pub(in crate::reports) waited: i64,
}

impl Counts {
    pub(in crate::reports) fn add(&mut self, other: Self) {
        self.visits += other.visits;
        self.tokens_issued += other.tokens_issued;
        self.unique_visitors += other.unique_visitors;
        self.new_visitors += other.new_visitors;
        self.issued_and_used += other.issued_and_used;
        self.timed += other.timed;
        self.waited += other.waited;
    }

    /// The counts of these door codes, without those of members.
    pub(in crate::reports) fn of(codes: &Codes) -> Self {
        let waits = || codes.waits.iter().flatten().filter(|wait| **wait >= 0);
        Self {
            visits: codes.visits,
            tokens_issued: codes.issued,
            issued_and_used: codes.issued_and_used,
            timed: i64::try_from(waits().count()).unwrap_or(i64::MAX),
            waited: waits().sum(),
            ..Self::default()
        }
    }

    /// The requested measures.
    pub(in crate::reports) fn figures(self, measures: Measures) -> Figures {
        let measure = |asked: bool, value: i64| asked.then_some(value);
        Figures {
            visits: measure(measures.visits, self.visits),
            tokens_issued: measure(measures.tokens_issued, self.tokens_issued),
            tokens_unused: measure(measures.tokens_unused, self.tokens_issued - self.issued_and_used),
            unique_visitors: measure(measures.unique_visitors, self.unique_visitors),
            new_visitors: measure(measures.new_visitors, self.new_visitors),
        }
    }

    fn read(row: &QueryResult, measures: Measures) -> Result<Self, Error> {
        let count = |asked: bool, column: &str| if asked { row.try_get::<i64>("", column) } else { Ok(0) };
        Ok(Self {
            tokens_issued: count(measures.tokens_issued || measures.tokens_unused, "issued")?,
            issued_and_used: count(measures.tokens_unused, "issued_and_used")?,
            visits: count(measures.visits, "visits")?,
            unique_visitors: count(measures.unique_visitors, "unique_visitors")?,
            new_visitors: 0,
            timed: count(measures.time_to_use, "timed")?,
            waited: count(measures.time_to_use, "waited")?,
        })
    }
}

/// A place that door codes are counted at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::reports) enum Place {
    All,
    Bucket(Bucket),
    WeekdayAndHour(WeekHour),
}

/// An hour of a day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::reports) struct WeekHour {
    /// The bucket that it is in, where buckets are told apart.
    pub(in crate::reports) within: Option<Bucket>,
    /// From Monday (0) on.
    pub(in crate::reports) weekday: usize,
    pub(in crate::reports) hour: usize,
    /// Whether it is before today (0), today (1) or later (2).
    pub(in crate::reports) day: usize,
}

/// Of how many series a session notes the totals.
const NOTED_MAX: usize = 16;

impl Session {
    /// Counts of the door codes that match `filter`, by place.
    pub(in crate::reports) async fn counts(
        &self,
        filter: &TokenFilter,
        by: By,
        measures: Measures,
    ) -> Result<BTreeMap<Place, Counts>, Error> {
        let mut counted = match Box::pin(self.kept_counts(filter, by, measures)).await? {
            Some(counted) => counted,
            None => Box::pin(self.counts_from_tokens(filter, by, measures)).await?,
        };
        if measures.new_visitors {
            for (place, members) in Box::pin(self.newcomers(filter, by)).await? {
                counted.entry(place).or_default().new_visitors = members;
            }
        }
        Ok(counted)
    }

    async fn counts_from_tokens(
        &self,
        filter: &TokenFilter,
        by: By,
        measures: Measures,
    ) -> Result<BTreeMap<Place, Counts>, Error> {
        let mut counted = BTreeMap::<Place, Counts>::new();
        let mut measures = measures;
        if by == By::All && measures.unique_visitors {
            measures = measures.without_members();
            counted.entry(Place::All).or_default().unique_visitors = self.distinct_visitors(filter).await?;
        }
        let statement = statement(self.backend(), self.now().naive_utc(), filter, by, measures);
        for row in self.query_all(&statement).await? {
            // By time of use, the visits and the issued door codes of a place come as two rows.
            counted.entry(by.read(&row)?).or_default().add(Counts::read(&row, measures)?);
        }
        Ok(counted)
    }

    /// The same, from the rollup; `None` when it cannot answer. The sums over all buckets are noted for
    /// [`Self::noted_totals`].
    async fn kept_counts(
        &self,
        filter: &TokenFilter,
        by: By,
        measures: Measures,
    ) -> Result<Option<BTreeMap<Place, Counts>>, Error> {
        // A member who comes in several weeks or months counts once. Over days, that takes as long as to read again.
        let notes_members = matches!(by, By::Bucket(calendar) if calendar.granularity > Granularity::Day);
        let mut everybody = MemberSet::default();
        let wanted = Wanted { members: measures.unique_visitors, waits: measures.time_to_use, ..Wanted::all(filter) };
        let mut counted = BTreeMap::<Place, Counts>::new();
        let mut visitors = OpenSets::default();
        let mut unique = BTreeMap::<Place, i64>::new();
        let mut finish = |place, ids: &[i32]| {
            *unique.entry(place).or_default() += i64::try_from(ids.len()).unwrap_or(i64::MAX);
            if notes_members {
                everybody.add(ids);
            }
        };
        // Most door codes are at the place of the ones before.
        let mut last: Option<(Moment, Place, Counts)> = None;
        let is_read = self.codes(filter, wanted, |codes| {
            let place = match last {
                Some((moment, place, _)) if moment == codes.moment => place,
                _ => by.at(codes.moment),
            };
            let counts = Counts::of(codes);
            match &mut last {
                Some((moment, there, sum)) if *there == place => {
                    *moment = codes.moment;
                    sum.add(counts);
                }
                _ => {
                    if let Some((_, place, sum)) = last.replace((codes.moment, place, counts)) {
                        counted.entry(place).or_default().add(sum);
                    }
                }
            }
            if measures.unique_visitors && codes.visits > 0 {
                visitors.add(place, codes.visitors, &mut finish);
            }
        });
        if !is_read.await? {
            return Ok(None);
        }
        if let Some((_, place, sum)) = last {
            counted.entry(place).or_default().add(sum);
        }
        visitors.finish(&mut finish);
        for (place, visitors) in unique {
            counted.entry(place).or_default().unique_visitors = visitors;
        }
        if matches!(by, By::Bucket(_)) && (notes_members || !measures.unique_visitors) {
            let mut totals = Counts::default();
            for counts in counted.values() {
                totals.add(*counts);
            }
            totals.unique_visitors = i64::try_from(everybody.ids().len()).unwrap_or(i64::MAX);
            // Those who came first are counted by another statement.
            self.note_totals(filter, Measures { new_visitors: false, ..measures }, totals);
        }
        Ok(Some(counted))
    }

    fn note_totals(&self, filter: &TokenFilter, measures: Measures, totals: Counts) {
        let mut noted = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shares && noted.len() < NOTED_MAX {
            noted.push((filter.clone(), measures, totals));
        }
    }

    /// The counts over the whole range, if this session counted its buckets before.
    pub(in crate::reports) fn noted_totals(&self, filter: &TokenFilter, measures: Measures) -> Option<Counts> {
        let noted = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |known: Measures| known.and(measures) == known;
        noted.iter().find(|(known, counted, _)| has(*counted) && known == filter).map(|(_, _, totals)| *totals)
    }

    /// The number of different members among the visits, counted by the database. Grouping by member and counting the
    /// groups is several times as fast as `COUNT(DISTINCT)`, which sorts every visit.
    async fn distinct_visitors(&self, filter: &TokenFilter) -> Result<i64, Error> {
        let mut members = tokens(&self.local(filter), filter);
        members
            .column(token::Column::UserId)
            .and_where(Expr::col(token::Column::UsedAt).is_not_null())
            .group_by_col(token::Column::UserId);
        let statement = Query::select()
            .expr_as(Expr::col(token::Column::UserId).count(), "visitors")
            .from_subquery(members, "members")
            .take();
        let rows = self.query_all(&statement).await?;
        rows.first().map_or(Ok(0), |row| Ok(row.try_get("", "visitors")?))
    }

    /// The local calendar of the time that the filter's basis selects.
    pub(in crate::reports) fn local(&self, filter: &TokenFilter) -> Local {
        let column = match filter.basis {
            TimeBasis::IssuedAt => token::Column::CreatedAt,
            TimeBasis::UsedAt => token::Column::UsedAt,
        };
        Local::of(self.backend(), Expr::col(column), filter.range, filter.zone, self.now().naive_utc())
    }
}

fn statement(
    backend: DbBackend,
    now: NaiveDateTime,
    filter: &TokenFilter,
    by: By,
    measures: Measures,
) -> SelectStatement {
    let used = Expr::col(token::Column::UsedAt);
    let if_asked = |asked: bool, measure: Expr| if asked { measure } else { Expr::val(0_i64) };
    let rows = || Expr::col(token::Column::Id).count();
    let placed = |column| {
        let local = Local::of(backend, Expr::col(column), filter.range, filter.zone, now);
        let mut select = tokens(&local, filter);
        by.place(&mut select, &local);
        select
    };
    let mut issued = placed(token::Column::CreatedAt);
    issued.expr_as(if_asked(measures.tokens_issued || measures.tokens_unused, rows()), "issued");
    if measures.time_to_use {
        let waited = seconds_between(backend, Expr::col(token::Column::CreatedAt), readable(backend, &used));
        let timed: Expr = CaseStatement::new().case(waited.clone().gte(0), waited).into();
        let sum = Func::coalesce([timed.clone().sum().cast_as("bigint"), Expr::val(0_i64)]);
        issued.expr_as(timed.count(), "timed").expr_as(sum, "waited");
    }
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
            let mut visits = placed(token::Column::UsedAt);
            let visitor = Expr::col(token::Column::UserId);
            visits.expr_as(Expr::val(0_i64), "issued");
            if measures.time_to_use {
                visits.expr_as(Expr::val(0_i64), "timed").expr_as(Expr::val(0_i64), "waited");
            }
            visits
                .expr_as(Expr::val(0_i64), "issued_and_used")
                .expr_as(if_asked(measures.visits, rows()), "visits")
                .expr_as(if_asked(measures.unique_visitors, count_distinct(visitor)), "unique_visitors");
            issued.union(UnionType::All, visits);
            issued
        }
    }
}

impl By {
    /// Selects the place, and groups by it.
    pub(in crate::reports) fn place(self, select: &mut SelectStatement, local: &Local) {
        match self {
            // Without an aggregate, and with no measure requested, there would be a row for each door code.
            Self::All => {
                select.expr_as(Expr::cust("count(*)"), "tokens");
            }
            Self::Bucket(calendar) if calendar.granularity == Granularity::Hour => {
                select.expr_as(local.hour_start(), "bucket").expr_as(local.offset(), "utc_offset");
                select.group_by_columns(["bucket", "utc_offset"]);
            }
            Self::Bucket(calendar) => {
                select.expr_as(local.bucket(calendar), "bucket").group_by_col("bucket");
            }
            Self::WeekdayAndHour { with_today, within } => {
                select.expr_as(local.weekday(), "weekday").expr_as(local.hour(), "hour");
                select.group_by_columns(["weekday", "hour"]);
                if let Some(calendar) = within {
                    select.expr_as(local.bucket(calendar), "bucket").group_by_col("bucket");
                }
                if let Some(today) = with_today {
                    select.expr_as(local.beside(today), "day").group_by_col("day");
                }
            }
        }
    }

    /// The place of a row.
    fn read(self, row: &QueryResult) -> Result<Place, Error> {
        Ok(match self {
            Self::All => Place::All,
            Self::Bucket(calendar) if calendar.granularity == Granularity::Hour => {
                Place::Bucket(calendar.hour(row.try_get("", "bucket")?, row.try_get("", "utc_offset")?))
            }
            Self::Bucket(_) => Place::Bucket(Bucket::of_date(row.try_get("", "bucket")?)),
            Self::WeekdayAndHour { with_today, within } => {
                let place = |column| row.try_get::<i64>("", column).map(|place| usize::try_from(place).unwrap_or(0));
                let bucket = |_| row.try_get("", "bucket").map(Bucket::of_date);
                Place::WeekdayAndHour(WeekHour {
                    within: within.map(bucket).transpose()?,
                    weekday: place("weekday")? % 7,
                    hour: place("hour")? % 24,
                    day: if with_today.is_some() { place("day")? } else { 0 },
                })
            }
        })
    }

    /// The place of a local time.
    pub(in crate::reports) fn at(self, Moment { date, hour, offset }: Moment) -> Place {
        match self {
            Self::All => Place::All,
            Self::Bucket(calendar) if calendar.granularity == Granularity::Hour => {
                Place::Bucket(calendar.hour(date.and_hms_opt(hour, 0, 0).unwrap_or_default(), offset))
            }
            Self::Bucket(calendar) => Place::Bucket(calendar.bucket_of(date)),
            Self::WeekdayAndHour { with_today, within } => Place::WeekdayAndHour(WeekHour {
                within: within.map(|calendar| calendar.bucket_of(date)),
                weekday: date.weekday().num_days_from_monday() as usize,
                hour: hour as usize,
                day: with_today.map_or(0, |today| match date.cmp(&today) {
                    Ordering::Less => 0,
                    Ordering::Equal => 1,
                    Ordering::Greater => 2,
                }),
            }),
        }
    }
}

fn count_distinct(value: impl Into<Expr>) -> Expr {
    value.into().count_distinct()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::Argument;
    use crate::reports::{range::DateRange, time_zone::Zone};

    fn sql(backend: DbBackend, filter: &TokenFilter, measures: Measures) -> String {
        let now = "2024-04-14T12:00:00".parse().unwrap();
        backend.build(&statement(backend, now, filter, By::Bucket(Calendar::default()), measures)).to_string()
    }

    #[test]
    fn what_was_not_asked_for_is_not_computed() {
        let visits = Measures { visits: true, ..Measures::default() };
        for backend in [DbBackend::Sqlite, DbBackend::Postgres] {
            for basis in [TimeBasis::IssuedAt, TimeBasis::UsedAt] {
                let filter = TokenFilter { basis, ..TokenFilter::default() };
                let only_visits = sql(backend, &filter, visits);
                assert!(!only_visits.contains("DISTINCT"), "{only_visits}");
                assert_eq!(only_visits.matches("COUNT(").count(), if basis == TimeBasis::IssuedAt { 2 } else { 1 });
                let visitors = sql(backend, &filter, Measures { unique_visitors: true, ..visits });
                assert!(visitors.contains("COUNT(DISTINCT"), "{visitors}");
                assert!(!sql(backend, &filter, Measures::default()).contains("COUNT("));
            }
        }
    }

    #[test]
    fn altogether_is_one_row_whatever_is_asked() {
        let now = "2024-04-14T12:00:00".parse().unwrap();
        for basis in [TimeBasis::IssuedAt, TimeBasis::UsedAt] {
            let filter = TokenFilter { basis, ..TokenFilter::default() };
            for measures in [Measures::default(), Measures { visits: true, ..Measures::default() }] {
                let statement = statement(DbBackend::Postgres, now, &filter, By::All, measures);
                let sql = DbBackend::Postgres.build(&statement).to_string();
                assert!(sql.split("UNION ALL").all(|part| part.contains("count(*)")), "{sql}");
            }
        }
    }

    #[test]
    fn ranges_are_bounds_on_the_raw_column() {
        let day = |text| Some(crate::reports::time_zone::parse_date(Argument::FROM, text).unwrap());
        let range = DateRange::new(Argument::FROM, day("2024-03-31"), day("2024-03-31")).unwrap();
        let zone = Zone::parse(Argument::TIME_ZONE, "Europe/Berlin").unwrap();
        let filter = TokenFilter { range, zone, ..TokenFilter::default() };
        let sql = sql(DbBackend::Postgres, &filter, Measures::default());
        let bounds = r#""created_at" >= '2024-03-30 23:00:00.000000' AND "created_at" < '2024-03-31 22:00:00.000000'"#;
        assert!(sql.contains(bounds), "{sql}");
    }
}
