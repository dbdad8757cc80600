//! `heatmap`: visits by day of the week and hour of the day.

use std::sync::Arc;

use async_graphql::{Context, InputType as _, Object, Result, SimpleObject, Value};

use super::{
    error::client_error,
    guard,
    input::{self, TimeBasis, TokenFilterInput, Weekday},
    limits,
    rows::{Row, Rows},
    scalar::{Date, TimeZone},
};
use crate::reports::{self, Session, checked_size};

/// Hours in a week.
const CELLS: usize = 168;

/// The root of `heatmap`.
#[derive(Debug, Default)]
pub(super) struct HeatmapQuery;

#[Object]
impl HeatmapQuery {
    /// When the space is busy: visits by day of the week and hour of the local day.
    #[graphql(complexity = "limits::cost(1, child_complexity)")]
    async fn heatmap(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tokens count; everything when left out.")] filter: Option<TokenFilterInput>,
        #[graphql(desc = "The zone of the days and hours, and of the dates in `filter`.", default)] time_zone: TimeZone,
        #[graphql(desc = "Which moment counts: that of the token's issue, or that of its use.", default)]
        basis: TimeBasis,
    ) -> Option<Result<Heatmap>> {
        let heatmap = async {
            guard::aggregate(ctx)?;
            let here = input::here(ctx, "timeZone", &time_zone, None)?;
            let filter = filter.unwrap_or_default().into_filter(here, basis)?;
            ctx.data_unchecked::<Arc<Session>>().heatmap(&filter).await
        };
        Some(heatmap.await.map(Heatmap).map_err(client_error))
    }
}

/// Visits by weekday and hour.
struct Heatmap(reports::Heatmap);

impl Heatmap {
    fn cell(&self, cell: &reports::HeatmapCell) -> HeatmapCell {
        HeatmapCell {
            weekday: cell.weekday.into(),
            hour: cell.hour,
            visits: cell.visits,
            share: self.0.share(cell),
            occurrences: cell.occurrences,
            average: cell.average(),
        }
    }
}

/// Visits by day of the week and hour of the local day, over a range of dates.
#[Object]
impl Heatmap {
    /// The first local date: that of the filter, or of the first visit; null without any.
    async fn from(&self) -> Option<Date> {
        self.0.from.map(Into::into)
    }

    /// The last local date: that of the filter, or today.
    async fn to(&self) -> Option<Date> {
        self.0.to.map(Into::into)
    }

    /// The local date of the first door code ever, of whatever member: days before it count in no average. Null without any.
    async fn recorded_from(&self) -> Option<Date> {
        self.0.recorded_from.map(Into::into)
    }

    /// All visits in the range.
    async fn visits(&self) -> i64 {
        self.0.visits
    }

    /// The 24 hours of each day of the week, from Monday's first to Sunday's last, also those without visits;
    /// of the days that `filter.weekdays` names.
    #[graphql(complexity = "limits::cost(CELLS, child_complexity)")]
    async fn cells(&self) -> Rows<HeatmapCell> {
        Rows(self.0.cells.iter().map(|cell| self.cell(cell)).collect())
    }

    /// The busiest cells: most visits first, and no cell without any.
    #[graphql(complexity = "limits::cost(CELLS, child_complexity)")]
    #[expect(clippy::unused_async, reason = "resolvers are")]
    async fn peak_hours(
        &self,
        #[graphql(desc = "At most so many: 1 to 168.", default = 5)] first: i32,
    ) -> Result<Rows<HeatmapCell>> {
        let first = checked_size("first", first, CELLS).map_err(|error| client_error(error.into()))?;
        Ok(Rows(self.0.peaks(first).iter().map(|cell| self.cell(cell)).collect()))
    }
}

/// An hour of a day of the week.
#[derive(Debug, SimpleObject)]
struct HeatmapCell {
    /// The local day of the week.
    weekday: Weekday,
    /// The hour of the local day: 0 to 23.
    hour: u8,
    /// Tokens used in this hour, on all such days of the range together.
    visits: i64,
    /// This cell's part of all visits; null when there are none, and where no such hour is in the range.
    share: Option<f64>,
    /// How often there was such an hour: on days of the range, from the first door code ever up to now. Today's counts once
    /// it is over.
    occurrences: i64,
    /// The visits in those hours, divided by `occurrences`: what to expect on such a day. Null when there was none yet.
    average: Option<f64>,
}

impl Row for HeatmapCell {
    fn value(&self, field: &str) -> Option<Value> {
        Some(match field {
            "weekday" => self.weekday.to_value(),
            "hour" => self.hour.to_value(),
            "visits" => self.visits.to_value(),
            "share" => self.share.to_value(),
            "occurrences" => self.occurrences.to_value(),
            "average" => self.average.to_value(),
            _ => return None,
        })
    }
}
