//! A series of calendar buckets: the question, the rows, and their limits.

use chrono::{DateTime, NaiveDate, Utc};

use crate::reports::{
    Argument, InvalidArgument,
    calendar::{Bucket, Calendar, Granularity, Week},
    filter::{GapFill, TokenFilter},
    model::Figures,
    range::{DateRange, RelativeRange},
};

/// The most buckets that one report fills or lists: a year of hours, or 24 years of days.
pub const MAX_BUCKETS: usize = 8_800;

/// The question that `usage` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageQuestion {
    /// The door codes that count.
    pub filter: TokenFilter,
    /// The buckets, in the filter's zone.
    pub calendar: Calendar,
    /// How buckets without door codes are shown.
    pub gaps: GapFill,
}

/// One bucket of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRow {
    pub(in crate::reports) calendar: Calendar,
    pub(in crate::reports) bucket: Bucket,
    /// Whether the bucket was not over when the report was made, or the filter leaves out a part of its dates.
    pub is_partial: bool,
    /// The measures.
    pub figures: Figures,
}

impl SeriesRow {
    /// The first local date.
    #[must_use]
    pub fn date(&self) -> NaiveDate {
        self.bucket.date()
    }

    /// The first instant.
    #[must_use]
    pub fn start(&self) -> DateTime<Utc> {
        self.calendar.instants(self.bucket).0
    }

    /// The first instant after the bucket.
    #[must_use]
    pub fn end(&self) -> DateTime<Utc> {
        self.calendar.instants(self.bucket).1
    }

    /// The label, for the axis of a chart.
    #[must_use]
    pub fn label(&self) -> String {
        self.calendar.label(self.bucket)
    }
}

impl UsageQuestion {
    /// The question about `filter`, in buckets of `granularity`.
    ///
    /// # Errors
    /// When `week_start` is given, but neither `granularity` nor `range` has weeks.
    pub fn new(
        filter: TokenFilter,
        granularity: Granularity,
        week_start: Option<Week>,
        range: Option<RelativeRange>,
        gaps: GapFill,
    ) -> Result<Self, InvalidArgument> {
        check_week_start(week_start, granularity == Granularity::Week, range)?;
        let calendar = Calendar::new(filter.zone, granularity, week_start.unwrap_or_default());
        Ok(Self { filter, calendar, gaps })
    }
}

/// Fails when `week_start` is given and nothing in the question has weeks.
pub(in crate::reports) fn check_week_start(
    week_start: Option<Week>,
    has_weeks: bool,
    range: Option<RelativeRange>,
) -> Result<(), InvalidArgument> {
    if week_start.is_some() && !has_weeks && !range.is_some_and(RelativeRange::is_of_weeks) {
        return Err(InvalidArgument::new(
            Argument::WEEK_START,
            "is only allowed where the answer has weeks: leave it out",
        ));
    }
    Ok(())
}

impl UsageQuestion {
    /// Fails when there are too many buckets between two dates to fill.
    pub(in crate::reports) fn check_filled(&self, first: NaiveDate, last: NaiveDate) -> Result<(), InvalidArgument> {
        let days = (last - first).num_days() + 1;
        let each = match self.calendar.granularity {
            Granularity::Hour => days * 24,
            Granularity::Day => days,
            Granularity::Week => days / 7,
            Granularity::Month => days / 31,
            Granularity::Quarter => days / 92,
            Granularity::Year => days / 366,
        };
        if each > i64::try_from(MAX_BUCKETS).unwrap_or(i64::MAX) {
            let unit = self.calendar.granularity.unit();
            let problem = format!("would fill {each} {unit}; at most {MAX_BUCKETS} are allowed: narrow ");
            return Err(InvalidArgument::new(Argument::GAPS, problem)
                .and(Argument::FROM, " and ")
                .and(Argument::TO, ", or ask for longer buckets"));
        }
        Ok(())
    }

    /// The same question about the days after the range that belong to its last bucket, so that averages are over whole
    /// buckets.
    pub(in crate::reports) fn later(&self) -> Option<Self> {
        let end = self.filter.range.to()?;
        let last = self.calendar.dates(self.calendar.bucket_of(end)).1;
        let range = DateRange::between(end.succ_opt().filter(|first| *first <= last)?, last);
        Some(Self { filter: TokenFilter { range, ..self.filter.clone() }, ..self.clone() })
    }

    /// The same question about the days before the range that averages in it need; whole buckets.
    pub(in crate::reports) fn earlier(&self, look_back: u32) -> Option<Self> {
        let calendar = self.calendar;
        let begin = self.filter.range.from()?;
        let from = calendar.back(calendar.bucket_of(begin), look_back.saturating_sub(1)).date();
        let range = DateRange::between(from, begin.pred_opt().filter(|last| from <= *last)?);
        Some(Self { filter: TokenFilter { range, ..self.filter.clone() }, ..self.clone() })
    }
}

/// Fails when there are too many buckets to list.
pub(in crate::reports) fn check_listed(argument: Argument, buckets: usize) -> Result<(), InvalidArgument> {
    if buckets > MAX_BUCKETS {
        let problem =
            format!("gives {buckets} buckets; at most {MAX_BUCKETS} are allowed: ask for longer buckets, or narrow ");
        return Err(InvalidArgument::new(argument, problem).and(Argument::FROM, " and ").and(Argument::TO, ""));
    }
    Ok(())
}
