//! `dailyUsage`: the series per local calendar day.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, InputType as _, Lookahead, Object, Result, SimpleObject, Value};

use super::{
    error::client_error,
    input::{self, GapFill, OrderDirection, TimeBasis, Weekday},
    limits,
    rows::{Row, Rows},
    scalar::{Date, DateTime, EpochMillis, TimeZone},
};
use crate::reports::{
    self, DailyUsageMeasures, DailyUsageOrder, InvalidArgument, MAX_DAYS, Session, filter, page::checked_size,
};

/// What a list is taken to hold when `first` does not say.
const USUAL_DAYS: usize = 366;

/// The root of `dailyUsage`.
#[derive(Debug, Default)]
pub(super) struct DailyUsageQuery;

#[Object]
impl DailyUsageQuery {
    /// Visits and tokens per calendar day: one row a day, in order of the date unless `orderBy` says
    /// otherwise. Without arguments it gives the numbers of the legacy report, in UTC. A day has a row
    /// when a token was issued on it (with `USED_AT` also when one was used on it); the days without
    /// are left out unless `gaps` asks for them.
    #[graphql(complexity = "cost(first, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn daily_usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tokens count; everything when left out.")] filter: Option<DailyUsageFilterInput>,
        #[graphql(desc = "The zone whose midnight cuts the days, and that the dates in `filter` are of.", default)]
        time_zone: TimeZone,
        #[graphql(desc = "What puts a visit on a day: the token's issue, or its use.", default)] basis: TimeBasis,
        #[graphql(
            desc = "What stands for days without tokens, from `filter.from` to `filter.to`. An open beginning is the \
                    first day with a row, an open end is today.",
            default
        )]
        gaps: GapFill,
        #[graphql(desc = "The order of the rows: by date, ascending, when left out.")] order_by: Option<
            DailyUsageOrderInput,
        >,
        #[graphql(desc = "At most so many rows, from the top of the order: 1 to 3700. All of them when left out.")]
        first: Option<i32>,
    ) -> Option<Result<Rows<DailyUsage>>> {
        let order = order_by.map_or_else(DailyUsageOrder::default, Into::into);
        let measures = measures(&ctx.look_ahead(), order);
        let days = async {
            let filter = filter.unwrap_or_default().into_filter(&time_zone, basis, gaps)?;
            let first = first.map(|first| checked_size("first", first, MAX_DAYS)).transpose()?;
            let days = ctx.data_unchecked::<Arc<Session>>().daily_usage(&filter, measures).await?;
            Ok::<_, reports::Error>(order.take(days, first)?)
        };
        Some(days.await.map(|days| Rows(days.into_iter().map(DailyUsage::from).collect())).map_err(client_error))
    }
}

/// One calendar day. A measure is null in a row that `gaps: NULL` filled in.
#[derive(Debug, SimpleObject)]
struct DailyUsage {
    /// The local date.
    date: Date,
    /// The instant at which the day starts: local midnight, or the first moment after it where the
    /// clocks skip midnight.
    starts_at: DateTime,
    /// `startsAt` as milliseconds since 1970, for the axis of a chart.
    starts_at_millis: EpochMillis,
    /// Tokens used: visits, on the day that `basis` says.
    visits: Option<i64>,
    /// Tokens issued on this day, whatever the `basis`.
    tokens_issued: Option<i64>,
    /// Tokens issued on this day that were never used so far.
    tokens_unused: Option<i64>,
    /// `visits` divided by `tokensIssued`; null when none was issued. With `USED_AT` it can exceed 1,
    /// since tokens are also used on a later day than their own.
    conversion_rate: Option<f64>,
    /// Different members among the visits. Do not add it up over days: a member who comes on two days
    /// counts on both.
    unique_visitors: Option<i64>,
    /// True while the day is not over (and on days to come): its numbers still grow, so a dip at the
    /// end of a chart is none.
    is_partial: bool,
}

impl Row for DailyUsage {
    fn value(&self, field: &str) -> Option<Value> {
        Some(match field {
            "date" => self.date.to_value(),
            "startsAt" => self.starts_at.to_value(),
            "startsAtMillis" => self.starts_at_millis.to_value(),
            "visits" => self.visits.to_value(),
            "tokensIssued" => self.tokens_issued.to_value(),
            "tokensUnused" => self.tokens_unused.to_value(),
            "conversionRate" => self.conversion_rate.to_value(),
            "uniqueVisitors" => self.unique_visitors.to_value(),
            "isPartial" => self.is_partial.to_value(),
            _ => return None,
        })
    }
}

impl From<reports::model::DailyUsage> for DailyUsage {
    fn from(day: reports::model::DailyUsage) -> Self {
        Self {
            date: day.date.into(),
            starts_at: DateTime(day.starts_at),
            starts_at_millis: EpochMillis(day.starts_at.timestamp_millis()),
            visits: day.visits,
            tokens_issued: day.tokens_issued,
            tokens_unused: day.tokens_unused,
            conversion_rate: day.conversion_rate(),
            unique_visitors: day.unique_visitors,
            is_partial: day.is_partial,
        }
    }
}

/// Which tokens `dailyUsage` counts. Conditions are combined with "and".
#[derive(Debug, Default, InputObject)]
struct DailyUsageFilterInput {
    /// First local date, included.
    from: Option<Date>,
    /// Last local date, included.
    to: Option<Date>,
    /// Only tokens of these members: at most 1,000 ids. An empty list matches nobody.
    user_ids: Option<Vec<i32>>,
    /// Only tokens of members who joined on this local date or later.
    joined_from: Option<Date>,
    /// Only tokens of members who joined on this local date or earlier.
    joined_to: Option<Date>,
    /// Only tokens of members whose membership is active now (true), or is not (false).
    is_active: Option<bool>,
    /// Only these days of the week; every day when left out.
    weekdays: Option<Vec<Weekday>>,
}

impl DailyUsageFilterInput {
    fn into_filter(
        self,
        time_zone: &TimeZone,
        basis: TimeBasis,
        gaps: GapFill,
    ) -> Result<filter::DailyUsageFilter, InvalidArgument> {
        Ok(filter::DailyUsageFilter {
            range: input::range(("filter.from", self.from.as_ref()), ("filter.to", self.to.as_ref()))?,
            users: input::users(self.user_ids, self.joined_from.as_ref(), self.joined_to.as_ref(), self.is_active)?,
            weekdays: self.weekdays.map(|days| days.into_iter().map(Into::into).collect()).unwrap_or_default(),
            zone: input::zone("timeZone", time_zone)?,
            basis: basis.into(),
            gaps: gaps.into(),
        })
    }
}

/// The order of the rows of `dailyUsage`. Ties are in order of the date; rows without the measure come last.
#[derive(Debug, Clone, Copy, InputObject)]
struct DailyUsageOrderInput {
    /// What to sort by.
    #[graphql(default)]
    field: DailyUsageOrderField,
    /// Which way.
    #[graphql(default)]
    direction: OrderDirection,
}

impl From<DailyUsageOrderInput> for DailyUsageOrder {
    fn from(input: DailyUsageOrderInput) -> Self {
        Self { field: input.field.into(), direction: input.direction.into() }
    }
}

/// What the rows of `dailyUsage` can be sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::DailyUsageField")]
enum DailyUsageOrderField {
    /// The date.
    #[default]
    Date,
    /// Tokens used.
    Visits,
    /// Tokens issued.
    TokensIssued,
    /// Tokens issued and never used so far.
    TokensUnused,
    /// Visits divided by issued tokens.
    ConversionRate,
    /// Different members among the visits.
    UniqueVisitors,
}

/// The measures that the client selected, and those that its order needs.
fn measures(selection: &Lookahead<'_>, order: DailyUsageOrder) -> DailyUsageMeasures {
    let selected = |field| selection.field(field).exists();
    let sorting = order.measures();
    let rate = selected("conversionRate");
    DailyUsageMeasures {
        visits: sorting.visits || rate || selected("visits"),
        tokens_issued: sorting.tokens_issued || rate || selected("tokensIssued"),
        tokens_unused: sorting.tokens_unused || selected("tokensUnused"),
        unique_visitors: sorting.unique_visitors || selected("uniqueVisitors"),
    }
}

fn cost(first: Option<i32>, child_complexity: usize) -> usize {
    let rows = first.and_then(|first| usize::try_from(first).ok()).unwrap_or(USUAL_DAYS);
    limits::cost(rows, child_complexity)
}
