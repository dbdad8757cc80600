//! Visits by day of the week and hour of the day: when a space is busy.

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, Weekday};
use entity::token;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};

use super::{
    Error, Session,
    counts::{By, Measures, tokens},
    filter::TokenFilter,
    made,
    model::ratio,
};

/// Visits by weekday and hour, over a range of local dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heatmap {
    /// The first local date: the range's, or that of the first visit.
    pub from: Option<NaiveDate>,
    /// The last local date: the range's, or today, or that of the last visit.
    pub to: Option<NaiveDate>,
    /// All visits.
    pub visits: i64,
    /// The 24 hours of each weekday that is reported, from Monday's first on.
    pub cells: Vec<HeatmapCell>,
}

/// An hour of a day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeatmapCell {
    /// The local day of the week.
    pub weekday: Weekday,
    /// The hour of the local day, 0 to 23.
    pub hour: u8,
    /// Tokens used in it.
    pub visits: i64,
    /// How many such days of the week there are in the range.
    pub occurrences: i64,
}

impl HeatmapCell {
    /// Visits per such day of the week; `None` where there is none in the range.
    #[must_use]
    pub fn average(&self) -> Option<f64> {
        ratio(self.visits, self.occurrences)
    }
}

impl Heatmap {
    /// A cell's part of all visits; `None` where there are none.
    #[must_use]
    pub fn share(&self, cell: &HeatmapCell) -> Option<f64> {
        ratio(cell.visits, self.visits)
    }

    /// The busiest cells, of those with any visit: ties in order of the week.
    #[must_use]
    pub fn peaks(&self, first: usize) -> Vec<HeatmapCell> {
        let mut cells: Vec<_> = self.cells.iter().filter(|cell| cell.visits > 0).copied().collect();
        cells.sort_by_key(|cell| std::cmp::Reverse(cell.visits));
        cells.truncate(first);
        cells
    }
}

impl Session {
    /// Visits by local weekday and hour of the time that the filter's basis says.
    ///
    /// # Errors
    /// What the database says.
    pub async fn heatmap(&self, filter: &TokenFilter) -> Result<Heatmap, Error> {
        made("heatmap", async {
            let (from, to) = self.reported_dates(filter).await?;
            let mut counted = [[0; 24]; 7];
            let measures = Measures { visits: true, ..Measures::default() };
            for (row, counts) in self.counts(filter, By::WeekdayAndHour, measures).await? {
                let place = |column| row.try_get::<i64>("", column).map(|place| usize::try_from(place).unwrap_or(0));
                counted[place("weekday")? % 7][place("hour")? % 24] += counts.visits;
            }
            let weekdays = (0..7).filter_map(|day| Weekday::try_from(day).ok());
            let cells = weekdays.filter(|weekday| filter.weekdays.contains(*weekday)).flat_map(|weekday| {
                let occurrences = from.zip(to).map_or(0, |(from, to)| occurrences(filter, weekday, from, to));
                let visits = counted[weekday.num_days_from_monday() as usize];
                (0..24).zip(visits).map(move |(hour, visits)| HeatmapCell { weekday, hour, visits, occurrences })
            });
            Ok(Heatmap { from, to, visits: counted.iter().flatten().sum(), cells: cells.collect() })
        })
        .await
    }

    /// The dates that a report is about: an open beginning is the first visit's, an open end is today, or the last
    /// visit's where that is later.
    pub(super) async fn reported_dates(
        &self,
        filter: &TokenFilter,
    ) -> Result<(Option<NaiveDate>, Option<NaiveDate>), Error> {
        if let (Some(from), Some(to)) = (filter.range.from(), filter.range.to()) {
            return Ok((Some(from), Some(to)));
        }
        let local = self.local(filter);
        let mut ends = tokens(&local, filter);
        ends.and_where(Expr::col(token::Column::UsedAt).is_not_null())
            .expr_as(Func::min(local.column()), "first")
            .expr_as(Func::max(local.column()), "last");
        let rows = self.query_all(&ends).await?;
        let date = |column| -> Result<Option<NaiveDate>, Error> {
            let instant: Option<NaiveDateTime> = rows.first().map_or(Ok(None), |row| row.try_get("", column))?;
            Ok(instant.map(|instant| filter.zone.date_at(instant.and_utc())))
        };
        let today = filter.zone.date_at(self.now());
        let to = filter.range.to().or(Ord::max(date("last")?, Some(today)));
        Ok((filter.range.from().or(date("first")?), to))
    }
}

/// How many days from one date to another are that day of the week, and exist in the zone.
fn occurrences(filter: &TokenFilter, weekday: Weekday, from: NaiveDate, to: NaiveDate) -> i64 {
    let days = (to - from).num_days() + 1;
    let before_first = i64::from(weekday.days_since(from.weekday()));
    let all = Ord::max((days - before_first + 6).div_euclid(7), 0);
    let skipped = filter.zone.skipped_days().into_iter();
    let skipped = skipped.filter(|date| from <= *date && *date <= to && date.weekday() == weekday).count();
    all - i64::try_from(skipped).unwrap_or(0)
}
