//! What a series is compared with: the same question about a period before.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputType as _, Lookahead, SimpleObject, Value};

use super::{
    super::{
        limits,
        rows::{Row, Rows},
        scalar::{Date, DateTime, EpochMillis},
        series::asked,
    },
    AVERAGE, USUAL_BUCKETS, Usage, UsageTotals,
};
use crate::reports::{
    self, Before, InvalidArgument, Measures, SeriesRow, Session,
    comparison::{self, Pair},
    filter::TokenFilter,
    model::{Figures, change, change_ratio, rate_change, rate_change_ratio},
    range,
};

/// What a range is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "range::Comparison")]
#[expect(clippy::enum_variant_names, reason = "the schema's names")]
pub(super) enum Comparison {
    /// The period just before: as many days; of a week, month, quarter or year, or of whole months, the one
    /// before. Days of months stand beside the days of the same number.
    #[default]
    PreviousPeriod,
    /// The same days of the week, Mondays beside Mondays: as many whole weeks before as cover the period, so 7 days for a
    /// day or a week, 28 or 35 for a month.
    PreviousWeeks,
    /// The same dates a year before; by weeks, 52 weeks before.
    PreviousYear,
}

/// How much of a range is compared with what came before. What is left out of one side is left out of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "comparison::Extent", name = "ComparedExtent")]
pub(super) enum Extent {
    /// What has elapsed, up to the last quarter of an hour: today until 18:45 beside yesterday until 18:45. Days
    /// without a counterpart, as March 31st beside February, count on neither side.
    #[default]
    Elapsed,
    /// The days that are over, and have a counterpart.
    CompleteDays,
    /// All dates of both periods: also those that are not over, and those without a counterpart.
    Whole,
}

/// One side of a comparison.
#[derive(Debug, SimpleObject)]
struct ComparedPart {
    /// The first local date that is compared.
    from: Date,
    /// The last local date that is compared.
    to: Date,
    /// The instant up to which is compared.
    up_to: DateTime,
    /// The measures over what is compared.
    totals: UsageTotals,
}

/// What a series is compared with: the same question about a period before.
#[derive(Debug, SimpleObject)]
pub(super) struct UsageComparison {
    /// What of the series' own range is compared: its side of `change`. Only what has elapsed, unless `extent` says
    /// otherwise.
    current: ComparedPart,
    /// The first local date of the period before.
    from: Date,
    /// The last local date of the period before, as far as it is compared.
    to: Date,
    /// The instant up to which the period before is compared: where `to` is today's counterpart, the same time of that day.
    up_to: DateTime,
    /// For each of the series' `buckets`, in the same order, its counterpart in the period before: the day
    /// with the same number, the same hour of it, the week, month, quarter or year with the same number. `bucketLabel`
    /// says beside which one it stands.
    #[graphql(complexity = "limits::cost(USUAL_BUCKETS, child_complexity)")]
    buckets: Rows<PreviousBucket>,
    /// The measures over the period before, from `from` up to `upTo`.
    totals: UsageTotals,
    /// `current.totals` less `totals`.
    change: UsageChange,
    /// `change` divided by `totals`; null where those are 0.
    change_ratio: UsageChangeRatio,
}

impl UsageComparison {
    pub(super) async fn of(
        ctx: &Context<'_>,
        usage: &Usage,
        comparison: Comparison,
        extent: Extent,
    ) -> Result<Self, reports::Error> {
        let session = ctx.data_unchecked::<Arc<Session>>();
        let before: Before = session.usage_before(&usage.question, comparison.into(), extent.into())?;
        let selection = ctx.look_ahead();
        let buckets = selection.field("buckets");
        let counterparts = if buckets.exists() {
            session.counterparts(&before, &usage.series.rows, compared(&buckets)).await?
        } else {
            Vec::new()
        };
        let totals = async |filter: &TokenFilter, measures: Measures| {
            let nothing = measures == Measures::default();
            if nothing { Ok(Figures::default()) } else { session.usage_totals(filter, measures).await }
        };
        let changes = compared(&selection);
        let now = if before.is_part() {
            totals(before.now(), changes.and(own_totals(&selection)?)).await?
        } else {
            usage.totals
        };
        let then = totals(before.then(), changes.and(asked(&selection.field("totals"), AVERAGE)?.0)).await?;
        let rows = usage.series.rows.iter().zip(&counterparts);
        let part = |filter: &TokenFilter| filter.range.dates_and_end(filter.zone);
        let (from, to, up_to) = part(before.then());
        let current = {
            let (from, to, up_to) = part(before.now());
            ComparedPart { from: from.into(), to: to.into(), up_to: DateTime(up_to), totals: now.into() }
        };
        Ok(Self {
            current,
            from: from.into(),
            to: to.into(),
            up_to: DateTime(up_to),
            buckets: Rows(rows.map(|(row, pair)| PreviousBucket::of(row, pair)).collect()),
            totals: then.into(),
            change: UsageChange::between(&now, &then),
            change_ratio: UsageChangeRatio::between(&now, &then),
        })
    }
}

/// The measures of the part that is compared, where a comparison selects them.
pub(super) fn own_totals(comparison: &Lookahead<'_>) -> Result<Measures, InvalidArgument> {
    Ok(asked(&comparison.field("current").field("totals"), AVERAGE)?.0)
}

/// The measures that a comparison selects: its own and those of its changes.
pub(super) fn compared(selection: &Lookahead<'_>) -> Measures {
    let of = |fields: &Lookahead<'_>| asked(fields, AVERAGE).map(|(measures, _)| measures).unwrap_or_default();
    of(selection).and(of(&selection.field("change"))).and(of(&selection.field("changeRatio")))
}

/// The counterpart of a bucket. All of its own is null where the period before has none, as February 29th in most years,
/// and where nothing of the bucket has elapsed.
#[derive(Debug, SimpleObject)]
struct PreviousBucket {
    /// The instant at which the bucket starts whose counterpart this is.
    bucket_start: DateTime,
    /// What that bucket is called.
    bucket_label: String,
    /// The instant at which it starts.
    start: Option<DateTime>,
    /// `start` as milliseconds since 1970.
    start_millis: Option<EpochMillis>,
    /// The instant at which it is over.
    end: Option<DateTime>,
    /// What to call it.
    label: Option<String>,
    /// Tokens used.
    visits: Option<i64>,
    /// Tokens issued.
    tokens_issued: Option<i64>,
    /// Tokens issued and never used so far.
    tokens_unused: Option<i64>,
    /// `visits` divided by `tokensIssued`; null when none was issued.
    conversion_rate: Option<f64>,
    /// Different members among the visits.
    unique_visitors: Option<i64>,
    /// True where only some of it is compared: today's counterpart, up to the same time of the day.
    is_partial: Option<bool>,
    /// The bucket's measures, as far as it is compared, less those of this counterpart.
    change: UsageChange,
    /// `change` divided by this counterpart's measures; null where those are 0.
    change_ratio: UsageChangeRatio,
}

impl Row for PreviousBucket {
    fn value(&self, field: &str) -> Option<Value> {
        Some(match field {
            "bucketStart" => self.bucket_start.to_value(),
            "bucketLabel" => self.bucket_label.to_value(),
            "isPartial" => self.is_partial.to_value(),
            "start" => self.start.to_value(),
            "startMillis" => self.start_millis.to_value(),
            "end" => self.end.to_value(),
            "label" => self.label.to_value(),
            "visits" => self.visits.to_value(),
            "tokensIssued" => self.tokens_issued.to_value(),
            "tokensUnused" => self.tokens_unused.to_value(),
            "conversionRate" => self.conversion_rate.to_value(),
            "uniqueVisitors" => self.unique_visitors.to_value(),
            _ => return None,
        })
    }
}

impl PreviousBucket {
    fn of(bucket: &SeriesRow, pair: &Pair) -> Self {
        let before = pair.before.as_ref();
        let figures = before.map(|row| row.figures).unwrap_or_default();
        Self {
            bucket_start: DateTime(bucket.start()),
            bucket_label: bucket.label(),
            is_partial: before.map(|row| row.is_partial),
            start: before.map(|row| DateTime(row.start())),
            start_millis: before.map(|row| EpochMillis(row.start().timestamp_millis())),
            end: before.map(|row| DateTime(row.end())),
            label: before.map(SeriesRow::label),
            visits: figures.visits,
            tokens_issued: figures.tokens_issued,
            tokens_unused: figures.tokens_unused,
            conversion_rate: figures.conversion_rate(),
            unique_visitors: figures.unique_visitors,
            change: UsageChange::between(&pair.now, &figures),
            change_ratio: UsageChangeRatio::between(&pair.now, &figures),
        }
    }
}

/// Differences from a period before; null where either side is.
#[derive(Debug, SimpleObject)]
struct UsageChange {
    /// Tokens used.
    visits: Option<i64>,
    /// Tokens issued.
    tokens_issued: Option<i64>,
    /// Tokens issued and never used so far.
    tokens_unused: Option<i64>,
    /// Visits per issued token.
    conversion_rate: Option<f64>,
    /// Different members among the visits.
    unique_visitors: Option<i64>,
}

impl UsageChange {
    fn between(now: &Figures, before: &Figures) -> Self {
        Self {
            visits: change(now.visits, before.visits),
            tokens_issued: change(now.tokens_issued, before.tokens_issued),
            tokens_unused: change(now.tokens_unused, before.tokens_unused),
            conversion_rate: rate_change(now, before),
            unique_visitors: change(now.unique_visitors, before.unique_visitors),
        }
    }
}

/// Differences from a period before, divided by what they differ from: 0.25 is a quarter more. Null where either
/// side is, and where there was nothing before.
#[derive(Debug, SimpleObject)]
struct UsageChangeRatio {
    /// Tokens used.
    visits: Option<f64>,
    /// Tokens issued.
    tokens_issued: Option<f64>,
    /// Tokens issued and never used so far.
    tokens_unused: Option<f64>,
    /// Visits per issued token.
    conversion_rate: Option<f64>,
    /// Different members among the visits.
    unique_visitors: Option<f64>,
}

impl UsageChangeRatio {
    fn between(now: &Figures, before: &Figures) -> Self {
        Self {
            visits: change_ratio(now.visits, before.visits),
            tokens_issued: change_ratio(now.tokens_issued, before.tokens_issued),
            tokens_unused: change_ratio(now.tokens_unused, before.tokens_unused),
            conversion_rate: rate_change_ratio(now, before),
            unique_visitors: change_ratio(now.unique_visitors, before.unique_visitors),
        }
    }
}
