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
    self, Before, Measures, SeriesRow, Session,
    model::{Figures, change, change_ratio, rate_change, rate_change_ratio},
    range,
};

/// What a range is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "range::Comparison")]
pub(super) enum Comparison {
    /// The period just before: as many days; of a week, month, quarter or year, or of whole months, the one
    /// before, up to the same day.
    #[default]
    PreviousPeriod,
    /// The same dates a year before; by weeks, 52 weeks before.
    PreviousYear,
}

/// What a series is compared with: the same question about a period before.
#[derive(Debug, SimpleObject)]
pub(super) struct UsageComparison {
    /// The first local date of the period before.
    from: Date,
    /// The last local date of the period before.
    to: Date,
    /// For each of the series' `buckets`, in the same order, its counterpart in the period before: the day
    /// with the same number, the same hour of it, the week, month, quarter or year with the same number.
    #[graphql(complexity = "limits::cost(USUAL_BUCKETS, child_complexity)")]
    buckets: Rows<PreviousBucket>,
    /// The measures over the whole period before.
    totals: UsageTotals,
    /// The series' totals less those of the period before.
    change: UsageChange,
    /// `change` divided by the totals of the period before; null where those are 0.
    change_ratio: UsageChangeRatio,
}

impl UsageComparison {
    pub(super) async fn of(ctx: &Context<'_>, usage: &Usage, comparison: Comparison) -> Result<Self, reports::Error> {
        let session = ctx.data_unchecked::<Arc<Session>>();
        let before: Before = session.usage_before(&usage.question, comparison.into())?;
        let selection = ctx.look_ahead();
        let buckets = selection.field("buckets");
        let counterparts = if buckets.exists() {
            session.counterparts(&before, &usage.series.rows, compared(&buckets)).await?
        } else {
            Vec::new()
        };
        let measures = asked(&selection.field("totals"), AVERAGE)?.0.and(compared(&selection));
        let totals = if measures == Measures::default() {
            Figures::default()
        } else {
            session.usage_totals(before.filter(), measures).await?
        };
        let rows = usage.series.rows.iter().zip(counterparts);
        let range = before.filter().range;
        Ok(Self {
            from: range.from().unwrap_or_default().into(),
            to: range.to().unwrap_or_default().into(),
            buckets: Rows(rows.map(|(row, before)| PreviousBucket::of(row, before.as_ref())).collect()),
            totals: totals.into(),
            change: UsageChange::between(&usage.totals, &totals),
            change_ratio: UsageChangeRatio::between(&usage.totals, &totals),
        })
    }
}

/// The measures that a comparison selects: its own and those of its changes.
pub(super) fn compared(selection: &Lookahead<'_>) -> Measures {
    let of = |fields: &Lookahead<'_>| asked(fields, AVERAGE).map(|(measures, _)| measures).unwrap_or_default();
    of(selection).and(of(&selection.field("change"))).and(of(&selection.field("changeRatio")))
}

/// The counterpart of a bucket. All is null where the period before has none, as February 29th in most years.
#[derive(Debug, SimpleObject)]
struct PreviousBucket {
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
    /// The bucket's measures less those of this counterpart.
    change: UsageChange,
    /// `change` divided by this counterpart's measures; null where those are 0.
    change_ratio: UsageChangeRatio,
}

impl Row for PreviousBucket {
    fn value(&self, field: &str) -> Option<Value> {
        Some(match field {
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
    fn of(now: &SeriesRow, before: Option<&SeriesRow>) -> Self {
        let figures = before.map(|row| row.figures).unwrap_or_default();
        Self {
            start: before.map(|row| DateTime(row.start())),
            start_millis: before.map(|row| EpochMillis(row.start().timestamp_millis())),
            end: before.map(|row| DateTime(row.end())),
            label: before.map(SeriesRow::label),
            visits: figures.visits,
            tokens_issued: figures.tokens_issued,
            tokens_unused: figures.tokens_unused,
            conversion_rate: figures.conversion_rate(),
            unique_visitors: figures.unique_visitors,
            change: UsageChange::between(&now.figures, &figures),
            change_ratio: UsageChangeRatio::between(&now.figures, &figures),
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
