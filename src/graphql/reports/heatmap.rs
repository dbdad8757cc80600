//! `heatmap`: visits by day of the week and hour of the day.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};

use crate::{
    graphql::{
        cost,
        error::client_error,
        guard,
        types::{
            inputs::{self, TimeBasis, TokenFilterInput, Weekday},
            rows::{Rows, row},
            scalars::{Date, TimeZone},
        },
    },
    reports::{self, Argument, HeatmapParts, Session, checked_size, model::ratio},
};

/// Hours in a week.
const CELLS: usize = 168;
/// The number of months that the cost assumes.
const USUAL_MONTHS: usize = 12;

/// The root of `heatmap`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct HeatmapQuery;

#[Object]
impl HeatmapQuery {
    /// The hours at which the space is busy: visits by local day of the week and hour of the day.
    #[graphql(complexity = "cost::of(1, child_complexity)")]
    async fn heatmap(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The door codes that count. All door codes count when the filter is left out.")]
        filter: Option<TokenFilterInput>,
        #[graphql(desc = "The time zone of the days and hours, and of the dates in `filter`. It is the default zone \
                                  when it is left out: UTC unless configured otherwise.")]
        time_zone: Option<TimeZone>,
        #[graphql(
            desc = "The time that assigns a visit to a day and an hour: the time at which its door code was issued, \
                    or the time at which it was used. It is the default basis when it is left out: `ISSUED_AT` \
                    unless configured otherwise."
        )]
        basis: Option<TimeBasis>,
    ) -> Option<Result<Heatmap>> {
        let heatmap = async {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), None)?;
            let filter = filter.unwrap_or_default().into_filter(ctx, here, basis)?;
            let selection = ctx.look_ahead();
            let months = selection.field("months");
            let asks = |fields: &[&str]| {
                let lists = ["cells", "peakHours", "weekdays", "hours"];
                let mut rows = lists.iter().flat_map(|list| [selection.field(list), months.field(list)]);
                rows.any(|row| fields.iter().any(|field| row.field(field).exists()))
            };
            let parts = HeatmapParts {
                issued: asks(&["tokensIssued", "tokensUnused", "conversionRate"]),
                time_to_use: asks(&["averageTimeToUse"]),
                months: months.exists(),
            };
            ctx.data_unchecked::<Arc<Session>>().heatmap(&filter, parts).await
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
            tokens_issued: cell.tokens_issued,
            tokens_unused: cell.tokens_unused,
            conversion_rate: ratio(cell.visits, cell.tokens_issued),
            average_time_to_use: cell.average_time_to_use(),
        }
    }

    fn peaks(&self, first: i32) -> Result<Rows<HeatmapCell>> {
        let first = checked_size(Argument::FIRST, first, CELLS).map_err(|error| client_error(error.into()))?;
        Ok(Rows(self.0.peaks(first).iter().map(|cell| self.cell(cell)).collect()))
    }
}

/// Visits by local day of the week and hour of the day, over a range of dates.
#[Object]
impl Heatmap {
    /// The first local date of the range: that of the filter, or that of the first visit that counts. Null when the
    /// filter has no beginning and no visit counts.
    async fn from(&self) -> Option<Date> {
        self.0.from.map(Into::into)
    }

    /// The last local date of the range: that of the filter; otherwise today, or the date of the last visit that
    /// counts where that date is later.
    async fn to(&self) -> Option<Date> {
        self.0.to.map(Into::into)
    }

    /// The local date of the first door code that any member ever got. Averages do not include the days before this
    /// date. Null when no door code was ever issued.
    async fn recorded_from(&self) -> Option<Date> {
        self.0.recorded_from.map(Into::into)
    }

    /// The number of visits in the range: door codes that were used.
    async fn visits(&self) -> i64 {
        self.0.visits
    }

    /// The 24 hours of each day of the week, from Monday's first hour to Sunday's last, including hours without
    /// visits. Only the days of the week in `filter.weekdays` are listed.
    #[graphql(complexity = "cost::of(CELLS, child_complexity)")]
    async fn cells(&self) -> Rows<HeatmapCell> {
        Rows(self.0.cells.iter().map(|cell| self.cell(cell)).collect())
    }

    /// Each day of the week, with all of its hours together, from Monday on. Only the days of the week in
    /// `filter.weekdays` are listed.
    #[graphql(complexity = "cost::of(7, child_complexity)")]
    async fn weekdays(&self) -> Rows<HeatmapWeekday> {
        Rows(self.0.weekdays().iter().map(HeatmapWeekday::from).collect())
    }

    /// Each hour of the day, on all days of the week together.
    #[graphql(complexity = "cost::of(24, child_complexity)")]
    async fn hours(&self) -> Rows<HeatmapHour> {
        Rows(self.0.hours().iter().map(HeatmapHour::from).collect())
    }

    /// The busiest cells, those with the most visits first. Cells without visits are not listed.
    #[graphql(complexity = "cost::of(CELLS, child_complexity)")]
    #[expect(clippy::unused_async, reason = "resolvers are")]
    async fn peak_hours(
        &self,
        #[graphql(desc = "The greatest number of cells to list: 1 to 168.", default = 5)] first: i32,
    ) -> Result<Rows<HeatmapCell>> {
        self.peaks(first)
    }

    /// The same for each calendar month of the range, in order, for example the busiest hour of each month. There are
    /// at most 240 months. The first and the last month contain only the days of the range.
    #[graphql(complexity = "cost::of(USUAL_MONTHS, child_complexity)")]
    async fn months(&self) -> Vec<HeatmapMonth> {
        self.0.months.iter().cloned().map(Heatmap).map(HeatmapMonth).collect()
    }
}

/// The visits of a calendar month by local day of the week and hour of the day.
struct HeatmapMonth(Heatmap);

/// A calendar month, as far as it is in the range: its visits by local day of the week and hour of the day.
#[Object]
impl HeatmapMonth {
    /// The month, as in `usage`: for example `2026-10`.
    async fn label(&self) -> String {
        self.0.0.from.map(|from| from.format("%Y-%m").to_string()).unwrap_or_default()
    }

    /// The first local date of the month that is in the range.
    async fn from(&self) -> Option<Date> {
        self.0.0.from.map(Into::into)
    }

    /// The last local date of the month that is in the range.
    async fn to(&self) -> Option<Date> {
        self.0.0.to.map(Into::into)
    }

    /// The number of visits in the month: door codes that were used.
    async fn visits(&self) -> i64 {
        self.0.0.visits
    }

    /// The 24 hours of each day of the week, from Monday's first hour to Sunday's last, including hours without
    /// visits. Only the days of the week in `filter.weekdays` are listed.
    #[graphql(complexity = "cost::of(CELLS, child_complexity)")]
    async fn cells(&self) -> Rows<HeatmapCell> {
        Rows(self.0.0.cells.iter().map(|cell| self.0.cell(cell)).collect())
    }

    /// Each day of the week, with all of its hours together, from Monday on. Only the days of the week in
    /// `filter.weekdays` are listed.
    #[graphql(complexity = "cost::of(7, child_complexity)")]
    async fn weekdays(&self) -> Rows<HeatmapWeekday> {
        Rows(self.0.0.weekdays().iter().map(HeatmapWeekday::from).collect())
    }

    /// Each hour of the day, on all days of the week together.
    #[graphql(complexity = "cost::of(24, child_complexity)")]
    async fn hours(&self) -> Rows<HeatmapHour> {
        Rows(self.0.0.hours().iter().map(HeatmapHour::from).collect())
    }

    /// The busiest cells of the month, those with the most visits first. Cells without visits are not listed.
    #[graphql(complexity = "cost::of(CELLS, child_complexity)")]
    #[expect(clippy::unused_async, reason = "resolvers are")]
    async fn peak_hours(
        &self,
        #[graphql(desc = "The greatest number of cells to list: 1 to 168.", default = 5)] first: i32,
    ) -> Result<Rows<HeatmapCell>> {
        self.0.peaks(first)
    }
}

/// An hour of a day of the week.
#[derive(Debug, SimpleObject)]
struct HeatmapCell {
    /// The local day of the week.
    weekday: Weekday,
    /// The hour of the local day: 0 to 23.
    hour: u8,
    /// Visits in this hour, summed over all such days of the range.
    visits: i64,
    /// The share of all visits that falls into this cell, from 0 to 1. Null when there are no visits at all, and where
    /// the cell has no visits and `occurrences` is 0.
    share: Option<f64>,
    /// The number of times that this hour of this day of the week occurred, on days of the range, from the first door
    /// code ever up to now. Today's hour counts once it is over.
    occurrences: i64,
    /// The visits in the hours counted by `occurrences`, divided by `occurrences`: the visits to expect in this hour
    /// on such a day. Null when `occurrences` is 0.
    average: Option<f64>,
    /// Door codes issued in this hour, whatever the `basis`, summed over all such days of the range.
    tokens_issued: i64,
    /// Door codes issued in this hour and not used so far.
    tokens_unused: i64,
    /// `visits` divided by `tokensIssued`; null when no door code was issued.
    conversion_rate: Option<f64>,
    /// The mean time from the issue of these door codes to their use, in seconds: over those that were used, and not
    /// before their issue. Null when there are none.
    average_time_to_use: Option<f64>,
}

row!(HeatmapCell: weekday, hour, visits, share, occurrences, average, tokens_issued, tokens_unused, conversion_rate, average_time_to_use);

/// A day of the week.
#[derive(Debug, SimpleObject)]
struct HeatmapWeekday {
    /// The local day of the week.
    weekday: Weekday,
    /// Visits on such days of the range.
    visits: i64,
    /// The share of all visits, from 0 to 1. Null when there are no visits at all.
    share: Option<f64>,
    /// The visits to expect on such a day: the sum of the averages of its hours. Null when one of them never occurred.
    average: Option<f64>,
    /// Door codes issued on such days, whatever the `basis`.
    tokens_issued: i64,
    /// Door codes issued on such days and not used so far.
    tokens_unused: i64,
    /// `visits` divided by `tokensIssued`; null when no door code was issued.
    conversion_rate: Option<f64>,
    /// The mean time from the issue of these door codes to their use, in seconds: over those that were used, and not
    /// before their issue. Null when there are none.
    average_time_to_use: Option<f64>,
}

row!(HeatmapWeekday: weekday, visits, share, average, tokens_issued, tokens_unused, conversion_rate, average_time_to_use);

impl From<&reports::HeatmapSum> for HeatmapWeekday {
    fn from(day: &reports::HeatmapSum) -> Self {
        Self {
            weekday: day.first.weekday.into(),
            visits: day.visits,
            share: day.share,
            average: day.average,
            tokens_issued: day.tokens_issued,
            tokens_unused: day.tokens_unused,
            conversion_rate: ratio(day.visits, day.tokens_issued),
            average_time_to_use: day.average_time_to_use,
        }
    }
}

/// An hour of the day.
#[derive(Debug, SimpleObject)]
struct HeatmapHour {
    /// The hour of the local day: 0 to 23.
    hour: u8,
    /// Visits in this hour, on all days of the range.
    visits: i64,
    /// The share of all visits, from 0 to 1. Null when there are no visits at all.
    share: Option<f64>,
    /// The visits to expect in this hour of a day: the mean over the days of the week. Null when this hour never occurred
    /// on one of them.
    average: Option<f64>,
    /// Door codes issued in this hour, whatever the `basis`.
    tokens_issued: i64,
    /// Door codes issued in this hour and not used so far.
    tokens_unused: i64,
    /// `visits` divided by `tokensIssued`; null when no door code was issued.
    conversion_rate: Option<f64>,
    /// The mean time from the issue of these door codes to their use, in seconds: over those that were used, and not
    /// before their issue. Null when there are none.
    average_time_to_use: Option<f64>,
}

row!(HeatmapHour: hour, visits, share, average, tokens_issued, tokens_unused, conversion_rate, average_time_to_use);

impl From<&reports::HeatmapSum> for HeatmapHour {
    fn from(hour: &reports::HeatmapSum) -> Self {
        Self {
            hour: hour.first.hour,
            visits: hour.visits,
            share: hour.share,
            average: hour.average,
            tokens_issued: hour.tokens_issued,
            tokens_unused: hour.tokens_unused,
            conversion_rate: ratio(hour.visits, hour.tokens_issued),
            average_time_to_use: hour.average_time_to_use,
        }
    }
}
