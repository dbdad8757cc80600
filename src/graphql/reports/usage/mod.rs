//! `usage`: the series by hour, day, week, month, quarter or year, its totals, and its comparisons with earlier
//! periods.

pub(in crate::graphql) mod comparison;

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, Object, Result, SimpleObject};
use chrono::NaiveDate;

use crate::{
    graphql::{
        cost,
        error::client_error,
        guard,
        names::give_names,
        reports::{
            series::{AdditiveMeasure, Along, asked},
            usage::comparison::{Comparison, Extent, UsageComparison, compared},
        },
        types::{
            inputs::{self, GapFill, TimeBasis, TokenFilterInput, Weekday, week},
            rows::{Rows, row},
            scalars::{Date, DateTime, EpochMillis, TimeZone},
        },
    },
    reports::{self, Argument, Measures, Running, Series, SeriesRow, Session, UsageQuestion, model::Figures},
};

/// The number of buckets that the cost assumes.
const USUAL_BUCKETS: usize = 366;
/// The field of averages, and its argument: the number of buckets.
const AVERAGE: (Argument, &str) = (Argument::BUCKETS, "rollingAverage");

/// The root of `usage`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct UsageQuery;

#[Object]
impl UsageQuery {
    /// Visits and door codes by hour, day, week, month, quarter or year of the local calendar, with totals, and
    /// compared with the period before, the same days of the week, or the same period a year before.
    #[graphql(complexity = "cost::of(1, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The length of a bucket.", default)] granularity: Granularity,
        #[graphql(desc = "The door codes that count. All door codes count when the filter is left out.")]
        filter: Option<TokenFilterInput>,
        #[graphql(desc = "The time zone of the calendar, and of the dates in `filter`. It is the default zone when \
                                  it is left out: UTC unless configured otherwise.")]
        time_zone: Option<TimeZone>,
        #[graphql(
            desc = "The time that assigns a visit to a bucket: the time at which its door code was issued, or the \
                    time at which it was used. It is the default basis when it is left out: `ISSUED_AT` unless \
                    configured otherwise."
        )]
        basis: Option<TimeBasis>,
        #[graphql(
            desc = "The rows for buckets without door codes, from the beginning to the end of the range. An open \
                    beginning is the first bucket with a row; an open end is today.",
            default
        )]
        gaps: GapFill,
        #[graphql(desc = "The day on which weeks start. Weeks start on Monday when it is left out. It is only \
                          allowed with the granularity `WEEK`, or with the ranges `THIS_WEEK` and `LAST_WEEK`.")]
        week_start: Option<Weekday>,
    ) -> Option<Result<Usage>> {
        let usage = async {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), week_start)?;
            let filter = filter.unwrap_or_default();
            let relative = filter.range.map(Into::into);
            let filter = filter.into_filter(ctx, here, basis)?;
            let question = UsageQuestion::new(filter, granularity.into(), week(week_start), relative, gaps.into())?;
            Usage::of(ctx, question).await
        };
        Some(usage.await.map_err(client_error))
    }
}

/// The length of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::Granularity")]
pub(in crate::graphql) enum Granularity {
    /// An hour of the local clock. The hour that daylight saving time repeats is two buckets; the hour that it skips
    /// is no bucket.
    Hour,
    /// A local calendar day.
    #[default]
    Day,
    /// Seven local days, starting on the day `weekStart`.
    Week,
    /// A month of the local calendar.
    Month,
    /// Three months of the local calendar, starting in January, April, July or October.
    Quarter,
    /// A year of the local calendar.
    Year,
}

give_names!(reports::Granularity as Granularity);

/// A series, its totals, and what it is compared with.
struct Usage {
    question: UsageQuestion,
    series: Series,
    /// The measures that are selected in `totals`.
    in_totals: Measures,
    totals: Figures,
    /// The first and the last date of the range, if they are selected.
    dates: (Option<NaiveDate>, Option<NaiveDate>),
}

impl Usage {
    /// Computes what is selected, here or in `previous`.
    async fn of(ctx: &Context<'_>, question: UsageQuestion) -> Result<Self, reports::Error> {
        let session = ctx.data_unchecked::<Arc<Session>>();
        let selection = ctx.look_ahead();
        let before = selection.field("previous");
        let (buckets, totals) = (selection.field("buckets"), selection.field("totals"));
        let busiest = selection.field("busiest");
        let (measures, look_back) = asked(&buckets, AVERAGE)?;
        let (of_busiest, back_from_busiest) = asked(&busiest, AVERAGE)?;
        let look_back = look_back.max(back_from_busiest);
        let mut series = Series::default();
        if buckets.exists() || busiest.exists() || before.field("buckets").exists() {
            let by_visits = Measures { visits: busiest.exists(), ..of_busiest };
            let measures = measures.and(by_visits).and(compared(&before.field("buckets")));
            series = session.usage(&question, measures, look_back).await?;
        }
        let in_totals = asked(&totals, AVERAGE)?.0;
        let totals = if in_totals == Measures::default() {
            Figures::default()
        } else {
            session.usage_totals(&question.filter, in_totals).await?
        };
        let dates = if ["from", "to"].into_iter().any(|field| selection.field(field).exists()) {
            session.usage_dates(&question.filter).await?
        } else {
            Default::default()
        };
        Ok(Self { question, series, in_totals, totals, dates })
    }
}

/// A series of calendar buckets, its totals, and comparisons with earlier periods.
#[Object]
impl Usage {
    /// The first local date of the range: that of the filter, or that of the first door code that counts. Null when
    /// the filter has no beginning and no door code counts.
    async fn from(&self) -> Option<Date> {
        self.dates.0.map(Into::into)
    }

    /// The last local date of the range: that of the filter; otherwise today, or the date of the last door code that
    /// counts where that date is later.
    async fn to(&self) -> Option<Date> {
        self.dates.1.map(Into::into)
    }

    /// The buckets, ordered by time: at most 8,800.
    #[graphql(complexity = "cost::of(USUAL_BUCKETS, child_complexity)")]
    async fn buckets(&self) -> Rows<UsageBucket> {
        let running = self.series.running.clone().map(Arc::new);
        Rows(self.series.rows.iter().map(|row| UsageBucket::of(row.clone(), running.as_ref())).collect())
    }

    /// The bucket with the most visits, and of several the first one; null when nobody came. With the granularity `HOUR`, it
    /// is the busiest hour of the range.
    #[graphql(complexity = "cost::of(1, child_complexity)")]
    async fn busiest(&self) -> Option<UsageBucket> {
        let row = self.series.busiest()?;
        Some(UsageBucket::of(row.clone(), self.series.running.clone().map(Arc::new).as_ref()))
    }

    /// The measures over the whole range. A member who came in several buckets is counted once in `uniqueVisitors`.
    #[graphql(complexity = "cost::of(1, child_complexity)")]
    async fn totals(&self) -> UsageTotals {
        self.totals.into()
    }

    /// The same series for the period before, for the same days of the week, or for the same period a year before.
    /// Only what has elapsed is compared, on both sides, unless `extent` says otherwise. The filter must have a
    /// beginning: `from`, or `range`. Several comparisons need aliases: `lastYear: previous(compareTo:
    /// PREVIOUS_YEAR)`.
    #[graphql(complexity = "cost::of(1, child_complexity)")]
    async fn previous(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The earlier period to compare with.", default)] compare_to: Comparison,
        #[graphql(desc = "The part of the range that is compared.", default)] extent: Extent,
    ) -> Result<UsageComparison> {
        UsageComparison::of(ctx, self, compare_to, extent).await.map_err(client_error)
    }
}

/// One bucket of the series. The measures are null in a row that `gaps: NULL` filled in.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
struct UsageBucket {
    /// The instant, in UTC, at which the bucket starts.
    start: DateTime,
    /// `start` as milliseconds since 1970-01-01T00:00:00Z, for the axis of a chart.
    start_millis: EpochMillis,
    /// The instant, in UTC, at which the bucket ends and the next bucket starts.
    end: DateTime,
    /// The name of the bucket in local time: `2026-10-25 02:00 +02:00` (an hour), `2026-10-25` (a day), `2026-W43` (a
    /// week by ISO 8601; a week that does not start on Monday is named by its first date), `2026-10` (a month),
    /// `2026-Q4` (a quarter) or `2026` (a year).
    label: String,
    /// Visits: door codes that were used, counted in the bucket that `basis` selects. Null in a row that `gaps: NULL`
    /// filled in.
    visits: Option<i64>,
    /// Door codes issued in this bucket, whatever the `basis`. Null in a row that `gaps: NULL` filled in.
    tokens_issued: Option<i64>,
    /// Door codes issued in this bucket and not used so far. Null in a row that `gaps: NULL` filled in.
    tokens_unused: Option<i64>,
    /// `visits` divided by `tokensIssued`; null when no door code was issued.
    conversion_rate: Option<f64>,
    /// The number of different members among the visits. Sums over buckets count members repeatedly; `totals` counts
    /// each member once. Null in a row that `gaps: NULL` filled in.
    unique_visitors: Option<i64>,
    /// The members among `uniqueVisitors` whose first visit ever, by the same `basis`, is in this bucket. Sums over
    /// buckets are exact. Null in a row that `gaps: NULL` filled in.
    new_visitors: Option<i64>,
    /// The members among `uniqueVisitors` who had come before this bucket: `uniqueVisitors` minus `newVisitors`. Null in
    /// a row that `gaps: NULL` filled in.
    returning_visitors: Option<i64>,
    /// `visits` divided by `uniqueVisitors`; null when nobody came.
    visits_per_visitor: Option<f64>,
    /// True while the bucket is not over, and where the range contains only some of its days. The measures of a
    /// partial bucket are not comparable with those of its neighbours.
    is_partial: bool,
    #[graphql(skip)]
    along: Along,
}

#[ComplexObject]
impl UsageBucket {
    /// The average of a measure over the `buckets` buckets that end with this one. The average takes whole buckets,
    /// including the parts of them that lie before or after the range. Buckets without door codes count as 0; buckets
    /// of which `filter.weekdays` leaves out every day do not count. Null for a bucket that has not begun.
    async fn rolling_average(
        &self,
        #[graphql(desc = "The number of buckets in the average: 1 to 366.", default = 7)] buckets: i32,
        #[graphql(desc = "The measure to average.", default)] measure: AdditiveMeasure,
    ) -> Option<f64> {
        self.along.average(buckets, measure)
    }

    /// The sum of a measure over the buckets from the beginning of the range up to and including this one.
    async fn cumulative(
        &self,
        #[graphql(desc = "The measure to add up.", default)] measure: AdditiveMeasure,
    ) -> Option<i64> {
        self.along.cumulative(measure)
    }
}

row!(UsageBucket: start, start_millis, end, label, visits, tokens_issued, tokens_unused, conversion_rate, unique_visitors, new_visitors, returning_visitors, visits_per_visitor, is_partial; resolved: along);

impl UsageBucket {
    fn of(row: SeriesRow, running: Option<&Arc<Running>>) -> Self {
        let Figures { visits, tokens_issued, tokens_unused, unique_visitors, new_visitors } = row.figures;
        let start = row.start();
        Self {
            start: DateTime(start),
            start_millis: EpochMillis(start.timestamp_millis()),
            end: DateTime(row.end()),
            label: row.label(),
            visits,
            tokens_issued,
            tokens_unused,
            conversion_rate: row.figures.conversion_rate(),
            unique_visitors,
            new_visitors,
            returning_visitors: row.figures.returning_visitors(),
            visits_per_visitor: row.figures.visits_per_visitor(),
            is_partial: row.is_partial,
            along: Along::of(row, running),
        }
    }
}

/// The measures over a whole range.
#[derive(Debug, SimpleObject)]
struct UsageTotals {
    /// Visits: door codes that were used.
    visits: i64,
    /// Door codes issued.
    tokens_issued: i64,
    /// Door codes issued and not used so far.
    tokens_unused: i64,
    /// `visits` divided by `tokensIssued`; null when no door code was issued.
    conversion_rate: Option<f64>,
    /// The number of different members among the visits; each member is counted once.
    unique_visitors: i64,
    /// The members among `uniqueVisitors` whose first visit ever, by the same `basis`, is in the range.
    new_visitors: i64,
    /// The members among `uniqueVisitors` who had come before the range: `uniqueVisitors` minus `newVisitors`.
    returning_visitors: i64,
    /// `visits` divided by `uniqueVisitors`; null when nobody came.
    visits_per_visitor: Option<f64>,
}

impl From<Figures> for UsageTotals {
    fn from(figures: Figures) -> Self {
        Self {
            visits: figures.visits.unwrap_or_default(),
            tokens_issued: figures.tokens_issued.unwrap_or_default(),
            tokens_unused: figures.tokens_unused.unwrap_or_default(),
            conversion_rate: figures.conversion_rate(),
            unique_visitors: figures.unique_visitors.unwrap_or_default(),
            new_visitors: figures.new_visitors.unwrap_or_default(),
            returning_visitors: figures.returning_visitors().unwrap_or_default(),
            visits_per_visitor: figures.visits_per_visitor(),
        }
    }
}
