//! `dailyUsage`: the series per local calendar day.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, InputObject, Object, Result, SimpleObject};

use crate::{
    graphql::{
        cost,
        error::client_error,
        guard,
        reports::series::{AdditiveMeasure, Along, asked},
        types::{
            inputs::{self, GapFill, OrderDirection, TimeBasis, TokenFilterInput},
            rows::{Rows, row},
            scalars::{Date, DateTime, EpochMillis, TimeZone},
        },
    },
    reports::{
        self, Argument, DailyUsageOrder, Granularity, MAX_BUCKETS, Running, SeriesRow, Session, UsageQuestion,
        checked_size, model::Figures,
    },
};

/// The number of rows that the cost assumes when `first` is not given.
const USUAL_DAYS: usize = 366;

/// The root of `dailyUsage`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct DailyUsageQuery;

#[Object]
impl DailyUsageQuery {
    /// Visits and door codes per local calendar day: one row per day, ordered by date unless `orderBy` says
    /// otherwise. Without arguments, the field gives the numbers of the legacy report, in UTC. A day has a row when a
    /// door code was issued on it; with the basis `USED_AT`, a day also has a row when a door code was used on it.
    /// Other days are left out unless `gaps` asks for them.
    #[graphql(complexity = "cost(first, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn daily_usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The door codes that count. All door codes count when the filter is left out.")]
        filter: Option<TokenFilterInput>,
        #[graphql(
            desc = "The time zone whose midnight separates the days. The dates in `filter` are dates of this time \
                    zone. It is the default zone when it is left out: UTC unless configured otherwise."
        )]
        time_zone: Option<TimeZone>,
        #[graphql(
            desc = "The time that assigns a visit to a day: the time at which its door code was issued, or the time \
                    at which it was used. It is the default basis when it is left out: `ISSUED_AT` unless \
                    configured otherwise."
        )]
        basis: Option<TimeBasis>,
        #[graphql(
            desc = "The rows for days without door codes, from `filter.from` to `filter.to`. An open beginning is \
                    the first day with a row; an open end is today.",
            default
        )]
        gaps: GapFill,
        #[graphql(desc = "The order of the rows. Rows are ordered by date, ascending, when it is left out.")]
        order_by: Option<
            DailyUsageOrderInput,
        >,
        #[graphql(desc = "The greatest number of rows to list, from the top of the order: 1 to 8800. All rows are \
                          listed when it is left out; more than 8800 are then an error.")]
        first: Option<i32>,
    ) -> Option<Result<Rows<DailyUsage>>> {
        let order = order_by.map_or_else(DailyUsageOrder::default, Into::into);
        let days = async {
            guard::reports(ctx)?;
            let (measures, look_back) = asked(&ctx.look_ahead(), (Argument::DAYS, "rollingAverage"))?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), None)?;
            let filter = filter.unwrap_or_default().into_filter(ctx, here, basis)?;
            let question = UsageQuestion::new(filter, Granularity::Day, None, None, gaps.into())?;
            let first = first.map(|first| checked_size(Argument::FIRST, first, MAX_BUCKETS)).transpose()?;
            let session = ctx.data_unchecked::<Arc<Session>>();
            let days = session.daily_usage(&question, measures.and(order.measures()), look_back).await?;
            let running = days.running.map(Arc::new);
            let rows = order.take(days.rows, first)?.into_iter().map(|row| DailyUsage::of(row, running.as_ref()));
            Ok::<_, reports::Error>(Rows(rows.collect()))
        };
        Some(days.await.map_err(client_error))
    }
}

/// One local calendar day. The measures are null in a row that `gaps: NULL` filled in.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
struct DailyUsage {
    /// The local date.
    date: Date,
    /// The instant, in UTC, at which the day starts: local midnight, or the first moment after it where the clocks
    /// skip midnight.
    starts_at: DateTime,
    /// `startsAt` as milliseconds since 1970-01-01T00:00:00Z, for the axis of a chart.
    starts_at_millis: EpochMillis,
    /// Visits: door codes that were used, counted on the day that `basis` selects. Null in a row that `gaps: NULL`
    /// filled in.
    visits: Option<i64>,
    /// Door codes issued on this day, whatever the `basis`. Null in a row that `gaps: NULL` filled in.
    tokens_issued: Option<i64>,
    /// Door codes issued on this day and not used so far. Null in a row that `gaps: NULL` filled in.
    tokens_unused: Option<i64>,
    /// `visits` divided by `tokensIssued`; null when no door code was issued. With the basis `USED_AT` the rate can
    /// exceed 1, because a door code can be used on a later day than that of its issue.
    conversion_rate: Option<f64>,
    /// The number of different members among the visits. Sums over days count a member once for each day; `usage`
    /// with a longer granularity counts such a member once. Null in a row that `gaps: NULL` filled in.
    unique_visitors: Option<i64>,
    /// True while the day is not over, and on days to come. The numbers of a partial day still grow, so a dip at the
    /// end of a chart may not be a real one.
    is_partial: bool,
    #[graphql(skip)]
    along: Along,
}

#[ComplexObject]
impl DailyUsage {
    /// The average of a measure over the `days` days that end with this one, whichever rows are listed. Days before
    /// `filter.from` count, days without door codes count as 0, and days that `filter.weekdays` leaves out do not
    /// count. Null for a day that has not begun.
    async fn rolling_average(
        &self,
        #[graphql(desc = "The number of days in the average: 1 to 366.", default = 7)] days: i32,
        #[graphql(desc = "The measure to average.", default)] measure: AdditiveMeasure,
    ) -> Option<f64> {
        self.along.average(days, measure)
    }

    /// The sum of a measure over the days from the beginning of the range up to and including this one, whichever
    /// rows are listed.
    async fn cumulative(
        &self,
        #[graphql(desc = "The measure to add up.", default)] measure: AdditiveMeasure,
    ) -> Option<i64> {
        self.along.cumulative(measure)
    }
}

row!(DailyUsage: date, starts_at, starts_at_millis, visits, tokens_issued, tokens_unused, conversion_rate, unique_visitors, is_partial; resolved: along);

impl DailyUsage {
    fn of(day: SeriesRow, running: Option<&Arc<Running>>) -> Self {
        let Figures { visits, tokens_issued, tokens_unused, unique_visitors, .. } = day.figures;
        let starts_at = day.start();
        Self {
            date: day.date().into(),
            starts_at: DateTime(starts_at),
            starts_at_millis: EpochMillis(starts_at.timestamp_millis()),
            visits,
            tokens_issued,
            tokens_unused,
            conversion_rate: day.figures.conversion_rate(),
            unique_visitors,
            is_partial: day.is_partial,
            along: Along::of(day, running),
        }
    }
}

/// The order of the rows of `dailyUsage`. Ties are ordered by date; rows without the measure come last.
#[derive(Debug, Clone, Copy, InputObject)]
struct DailyUsageOrderInput {
    /// The value to sort by.
    #[graphql(default)]
    field: DailyUsageOrderField,
    /// Sort direction.
    #[graphql(default)]
    direction: OrderDirection,
}

impl From<DailyUsageOrderInput> for DailyUsageOrder {
    fn from(input: DailyUsageOrderInput) -> Self {
        Self { field: input.field.into(), direction: input.direction.into() }
    }
}

/// The values that the rows of `dailyUsage` can be sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::DailyUsageField")]
enum DailyUsageOrderField {
    /// The local date.
    #[default]
    Date,
    /// Visits: door codes that were used.
    Visits,
    /// Door codes issued.
    TokensIssued,
    /// Door codes issued and not used so far.
    TokensUnused,
    /// Visits divided by door codes issued.
    ConversionRate,
    /// The number of different members among the visits.
    UniqueVisitors,
}

fn cost(first: Option<i32>, child_complexity: usize) -> usize {
    let rows = first.and_then(|first| usize::try_from(first).ok()).unwrap_or(USUAL_DAYS);
    cost::of(rows, child_complexity)
}
