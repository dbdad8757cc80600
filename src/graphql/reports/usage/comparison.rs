//! `usage { previous }`: the same series for an earlier period, and the differences.

use std::sync::Arc;

use async_graphql::{Context, Enum, Lookahead, SimpleObject};

use crate::{
    graphql::{
        cost,
        reports::{
            series::asked,
            usage::{AVERAGE, USUAL_BUCKETS, Usage, UsageTotals},
        },
        types::{
            rows::{Rows, row},
            scalars::{Date, DateTime, EpochMillis},
        },
    },
    reports::{
        self, Before, Measures, SeriesRow, Session,
        comparison::{self, Pair},
        filter::TokenFilter,
        model::{Figures, change, change_ratio, rate_change, rate_change_ratio},
        range,
    },
};

/// The period that a range is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "range::Comparison")]
#[expect(clippy::enum_variant_names, reason = "the schema's names")]
pub(in crate::graphql) enum Comparison {
    /// The period just before, with as many days. A week, a month, a quarter, a year, or a range of whole months is
    /// compared with the one before it. Days of months are compared with the days of the same number.
    #[default]
    PreviousPeriod,
    /// The same days of the week in earlier weeks, so that Mondays are compared with Mondays. The distance is the
    /// number of whole weeks that covers the period: 7 days for a day or a week, 28 or 35 days for a month.
    PreviousWeeks,
    /// The same dates one year before. With the granularity `WEEK`, the distance is 52 weeks.
    PreviousYear,
}

/// The part of a range that is compared with the period before. What is left out of one side is left out of both
/// sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "comparison::Extent", name = "ComparedExtent")]
pub(in crate::graphql) enum Extent {
    /// The part that has elapsed, up to the last full quarter of an hour: today until 18:45 is compared with
    /// yesterday until 18:45. Days without a counterpart, such as March 31st beside February, count on neither side.
    #[default]
    Elapsed,
    /// The days that are over and have a counterpart.
    CompleteDays,
    /// All dates of both periods, including dates that are not over and dates without a counterpart.
    Whole,
}

/// One side of a comparison.
#[derive(Debug, SimpleObject)]
struct ComparedPart {
    /// The first local date of the part that is compared.
    from: Date,
    /// The last local date of the part that is compared.
    to: Date,
    /// The instant, in UTC, at which the part that is compared ends.
    up_to: DateTime,
    /// The measures over the part that is compared.
    totals: UsageTotals,
}

/// A series compared with the same series of an earlier period.
#[derive(Debug, SimpleObject)]
pub(in crate::graphql) struct UsageComparison {
    /// The part of the series' own range that is compared, from which `change` is computed. The part covers only what
    /// has elapsed, unless `extent` says otherwise.
    current: ComparedPart,
    /// The first local date of the period before.
    from: Date,
    /// The last local date of the period before that is compared.
    to: Date,
    /// The instant, in UTC, at which the compared part of the period before ends. Where `to` is the counterpart of
    /// today, the instant is the same time of day on that date as `current.upTo` is today.
    up_to: DateTime,
    /// The counterpart in the period before of each of the series' `buckets`, in the same order. The counterpart is
    /// the day with the same number, the same hour of that day, or the week, month, quarter or year with the same
    /// number. `bucketLabel` names the bucket that a counterpart belongs to.
    #[graphql(complexity = "cost::of(USUAL_BUCKETS, child_complexity)")]
    buckets: Rows<PreviousBucket>,
    /// The measures over the period before, from `from` up to `upTo`.
    totals: UsageTotals,
    /// The differences between the two sides: `current.totals` minus `totals`.
    change: UsageChange,
    /// The differences between the two sides, divided by the period before: `change` divided by `totals`. A ratio is
    /// null where its total is 0 or null.
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
        let own = changes.and(asked(&selection.field("current").field("totals"), AVERAGE)?.0);
        // Reuse the series' totals when the whole range is compared and they have all measures that are needed here.
        let are_known = !before.is_part() && usage.in_totals.and(own) == usage.in_totals;
        let now = if are_known { usage.totals } else { totals(before.now(), own).await? };
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

/// The measures that a comparison selects: its own and those of its changes.
pub(in crate::graphql) fn compared(selection: &Lookahead<'_>) -> Measures {
    let of = |fields: &Lookahead<'_>| asked(fields, AVERAGE).map(|(measures, _)| measures).unwrap_or_default();
    of(selection).and(of(&selection.field("change"))).and(of(&selection.field("changeRatio")))
}

/// The counterpart of a bucket. All fields about the counterpart are null where the period before has none, as for
/// February 29th in most years, and where nothing of the bucket has elapsed.
#[derive(Debug, SimpleObject)]
struct PreviousBucket {
    /// The instant, in UTC, at which the series' own bucket starts.
    bucket_start: DateTime,
    /// The label of the series' own bucket.
    bucket_label: String,
    /// The instant, in UTC, at which the counterpart starts; null without a counterpart.
    start: Option<DateTime>,
    /// `start` as milliseconds since 1970-01-01T00:00:00Z; null without a counterpart.
    start_millis: Option<EpochMillis>,
    /// The instant, in UTC, at which the counterpart ends; null without a counterpart.
    end: Option<DateTime>,
    /// The label of the counterpart; null without a counterpart.
    label: Option<String>,
    /// Visits in the counterpart: door codes that were used. Null without a counterpart.
    visits: Option<i64>,
    /// Door codes issued in the counterpart; null without a counterpart.
    tokens_issued: Option<i64>,
    /// Door codes issued in the counterpart and not used so far; null without a counterpart.
    tokens_unused: Option<i64>,
    /// `visits` divided by `tokensIssued`; null when no door code was issued, and without a counterpart.
    conversion_rate: Option<f64>,
    /// The number of different members among the visits of the counterpart; null without a counterpart.
    unique_visitors: Option<i64>,
    /// The members among these who came for the first time ever; null without a counterpart.
    new_visitors: Option<i64>,
    /// The members among these who had come before; null without a counterpart.
    returning_visitors: Option<i64>,
    /// `visits` divided by `uniqueVisitors`; null when nobody came, and without a counterpart.
    visits_per_visitor: Option<f64>,
    /// True where only a part of the counterpart is compared, as for today's counterpart, which is compared up to the
    /// same time of day. Null without a counterpart.
    is_partial: Option<bool>,
    /// The measures of the series' own bucket, as far as it is compared, minus the measures of this counterpart.
    change: UsageChange,
    /// `change` divided by the measures of this counterpart. A ratio is null where the measure of the counterpart is
    /// 0.
    change_ratio: UsageChangeRatio,
}

row!(PreviousBucket: bucket_start, bucket_label, start, start_millis, end, label, visits, tokens_issued, tokens_unused, conversion_rate, unique_visitors, new_visitors, returning_visitors, visits_per_visitor, is_partial; resolved: change, change_ratio);

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
            new_visitors: figures.new_visitors,
            returning_visitors: figures.returning_visitors(),
            visits_per_visitor: figures.visits_per_visitor(),
            change: UsageChange::between(&pair.now, &figures),
            change_ratio: UsageChangeRatio::between(&pair.now, &figures),
        }
    }
}

/// Differences between a period and the period before. A difference is null where the measure is null on either side.
#[derive(Debug, SimpleObject)]
struct UsageChange {
    /// The difference in visits. Null where the visits are null on either side.
    visits: Option<i64>,
    /// The difference in door codes issued. Null where the door codes issued are null on either side.
    tokens_issued: Option<i64>,
    /// The difference in door codes issued and not used so far. Null where the number is null on either side.
    tokens_unused: Option<i64>,
    /// The difference in conversion rates, where 0.1 is ten percentage points. Null where the rate is null on either
    /// side.
    conversion_rate: Option<f64>,
    /// The difference in the numbers of different members among the visits. Null where the number is null on either
    /// side.
    unique_visitors: Option<i64>,
    /// The difference in the numbers of members who came for the first time ever. Null where the number is null on
    /// either side.
    new_visitors: Option<i64>,
    /// The difference in the numbers of members who had come before. Null where the number is null on either side.
    returning_visitors: Option<i64>,
    /// The difference in visits per member who came. Null where nobody came on either side.
    visits_per_visitor: Option<f64>,
}

impl UsageChange {
    fn between(now: &Figures, before: &Figures) -> Self {
        Self {
            visits: change(now.visits, before.visits),
            tokens_issued: change(now.tokens_issued, before.tokens_issued),
            tokens_unused: change(now.tokens_unused, before.tokens_unused),
            conversion_rate: rate_change(now.conversion_rate(), before.conversion_rate()),
            unique_visitors: change(now.unique_visitors, before.unique_visitors),
            new_visitors: change(now.new_visitors, before.new_visitors),
            returning_visitors: change(now.returning_visitors(), before.returning_visitors()),
            visits_per_visitor: rate_change(now.visits_per_visitor(), before.visits_per_visitor()),
        }
    }
}

/// Differences between a period and the period before, divided by the measures of the period before: 0.25 is a
/// quarter more. A ratio is null where the measure is null on either side, and where it was 0 in the period before.
#[derive(Debug, SimpleObject)]
struct UsageChangeRatio {
    /// The difference in visits, divided by the visits before. Null where the visits are null on either side, and
    /// where there were none before.
    visits: Option<f64>,
    /// The difference in door codes issued, divided by the door codes issued before. Null where the number is null on
    /// either side, and where it was 0 before.
    tokens_issued: Option<f64>,
    /// The difference in door codes issued and not used so far, divided by their number before. Null where the number
    /// is null on either side, and where it was 0 before.
    tokens_unused: Option<f64>,
    /// The difference in conversion rates, divided by the conversion rate before. Null where the rate is null on
    /// either side, and where it was 0 before.
    conversion_rate: Option<f64>,
    /// The difference in the numbers of different members among the visits, divided by the number before. Null where
    /// the number is null on either side, and where it was 0 before.
    unique_visitors: Option<f64>,
    /// The difference in the numbers of members who came for the first time ever, divided by the number before. Null
    /// where the number is null on either side, and where it was 0 before.
    new_visitors: Option<f64>,
    /// The difference in the numbers of members who had come before, divided by the number before. Null where the
    /// number is null on either side, and where it was 0 before.
    returning_visitors: Option<f64>,
    /// The difference in visits per member who came, divided by the value before. Null where nobody came on either
    /// side.
    visits_per_visitor: Option<f64>,
}

impl UsageChangeRatio {
    fn between(now: &Figures, before: &Figures) -> Self {
        Self {
            visits: change_ratio(now.visits, before.visits),
            tokens_issued: change_ratio(now.tokens_issued, before.tokens_issued),
            tokens_unused: change_ratio(now.tokens_unused, before.tokens_unused),
            conversion_rate: rate_change_ratio(now.conversion_rate(), before.conversion_rate()),
            unique_visitors: change_ratio(now.unique_visitors, before.unique_visitors),
            new_visitors: change_ratio(now.new_visitors, before.new_visitors),
            returning_visitors: change_ratio(now.returning_visitors(), before.returning_visitors()),
            visits_per_visitor: rate_change_ratio(now.visits_per_visitor(), before.visits_per_visitor()),
        }
    }
}
