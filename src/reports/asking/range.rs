//! Ranges of local dates, given by dates or relative to today, and the ranges before them.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc, Weekday};

use crate::reports::{
    Argument, InvalidArgument,
    time_zone::{UtcBounds, Zone},
};

/// Local calendar dates, both ends included, either of them open. The last day may be cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DateRange {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    /// The instant, in UTC, at which the range ends, if its last day is cut.
    end: Option<NaiveDateTime>,
    /// For a relative range: how far back the range before lies, and whether both are whole months.
    step: Option<(Step, Whole)>,
}

/// A distance on the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reports) enum Step {
    Days(u64),
    Months(u32),
}

impl Step {
    /// The date this far before another date; `None` when that month has no such day.
    pub(in crate::reports) fn back(self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Days(days) => date.checked_sub_days(Days::new(days)),
            Self::Months(months) => {
                date.checked_sub_months(Months::new(months)).filter(|other| other.day() == date.day())
            }
        }
    }

    /// The date this far after another date; the inverse of [`Self::back`].
    pub(in crate::reports) fn forth(self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Days(days) => date.checked_add_days(Days::new(days)),
            Self::Months(months) => {
                date.checked_add_months(Months::new(months)).filter(|other| other.day() == date.day())
            }
        }
    }
}

/// Whether a relative range always consists of whole months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    /// It may end on any day; when that is the last day of a month, it is a coincidence.
    No,
}

/// Ranges that move with today's date. "This" period ends today; the "last" period is a whole one; all has no ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all; the schema describes them one by one")]
pub enum RelativeRange {
    Today,
    Yesterday,
    Last7Days,
    Last30Days,
    Last90Days,
    Last365Days,
    ThisWeek,
    LastWeek,
    ThisMonth,
    LastMonth,
    ThisQuarter,
    LastQuarter,
    ThisYear,
    LastYear,
    All,
}

impl RelativeRange {
    /// Whether the range depends on the first day of the week.
    #[must_use]
    pub fn is_of_weeks(self) -> bool {
        matches!(self, Self::ThisWeek | Self::LastWeek)
    }
}

/// The range to compare with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Comparison {
    /// The period just before.
    #[default]
    PreviousPeriod,
    /// The same days of the week: as many whole weeks earlier as cover the period.
    PreviousWeeks,
    /// The same period a year earlier.
    PreviousYear,
}

impl DateRange {
    /// The dates `from` to `to`.
    ///
    /// # Errors
    /// When `from` is after `to`; the error names `argument`, the argument that gave `from`.
    pub fn new(argument: Argument, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<Self, InvalidArgument> {
        match (from, to) {
            (Some(first), Some(last)) if first > last => {
                Err(InvalidArgument::new(argument, format!("is {first}, which is after the end of its range, {last}")))
            }
            _ => Ok(Self { from, to, ..Self::default() }),
        }
    }

    /// The dates that `range` stands for when today is `today`.
    #[must_use]
    pub fn relative(range: RelativeRange, today: NaiveDate, week_start: Weekday) -> Self {
        use RelativeRange as R;
        let days =
            |first: u64, last: u64| (back(today, first), back(today, last), (Step::Days(first - last + 1), Whole::No));
        let this = |first: NaiveDate, step| (first, today, (step, Whole::No));
        let week = first_of_week(today, week_start);
        let month = first_of_months(today, 1);
        let quarter = first_of_months(today, 3);
        let year = first_of_months(today, 12);
        let last = |first: NaiveDate, months: u32| {
            (back_months(first, months), back(first, 1), (Step::Months(months), Whole::Yes))
        };
        let (from, to, step) = match range {
            R::Today => days(0, 0),
            R::Yesterday => days(1, 1),
            R::Last7Days => days(6, 0),
            R::Last30Days => days(29, 0),
            R::Last90Days => days(89, 0),
            R::Last365Days => days(364, 0),
            R::ThisWeek => this(week, Step::Days(7)),
            R::LastWeek => (back(week, 7), back(week, 1), (Step::Days(7), Whole::No)),
            R::ThisMonth => this(month, Step::Months(1)),
            R::LastMonth => last(month, 1),
            R::ThisQuarter => this(quarter, Step::Months(3)),
            R::LastQuarter => last(quarter, 3),
            R::ThisYear => this(year, Step::Months(12)),
            R::LastYear => last(year, 12),
            R::All => return Self::default(),
        };
        Self { from: Some(from), to: Some(to), step: Some(step), end: None }
    }

    /// The dates `from` to `to`, which must be in order.
    pub(in crate::reports) fn between(from: NaiveDate, to: NaiveDate) -> Self {
        Self { from: Some(from), to: Some(to), ..Self::default() }
    }

    /// The same range, cut at `end`.
    pub(in crate::reports) fn before_instant(self, end: Option<DateTime<Utc>>) -> Self {
        Self { end: end.map(|end| end.naive_utc()), ..self }
    }

    /// The earlier range to compare this one with, and how far back it lies; `None` when an end is open. When the
    /// report is `in_weeks`, a year before is 52 weeks before. When the distance is in months, a day that the earlier
    /// month does not have becomes its last day, and a range of whole months is compared with whole months. A relative
    /// range that only happens to end on the last day of a month is not a range of whole months.
    pub(in crate::reports) fn before(self, comparison: Comparison, in_weeks: bool) -> Option<(Self, Step)> {
        let (from, to) = (self.from?, self.to?);
        let meant = self.step.is_none_or(|(_, whole)| whole == Whole::Yes);
        let whole = meant && from.day() == 1 && is_last_of_month(to);
        let step = match comparison {
            Comparison::PreviousYear if in_weeks => Step::Days(364),
            Comparison::PreviousYear => Step::Months(12),
            Comparison::PreviousWeeks => {
                let days = match self.step {
                    Some((Step::Months(months), _)) => from.checked_add_months(Months::new(months))? - from,
                    Some((Step::Days(days), _)) => from.checked_add_days(Days::new(days))? - from,
                    None => to - from + TimeDelta::days(1),
                };
                Step::Days(days.num_days().unsigned_abs().div_ceil(7) * 7)
            }
            Comparison::PreviousPeriod => self.step.map_or_else(
                || {
                    let months =
                        (to.year() - from.year()) * 12 + to.month().cast_signed() - from.month().cast_signed() + 1;
                    let days = (to - from).num_days().unsigned_abs() + 1;
                    if whole { Step::Months(months.unsigned_abs()) } else { Step::Days(days) }
                },
                |(step, _)| step,
            ),
        };
        let (from, to) = match step {
            Step::Days(days) => (from.checked_sub_days(Days::new(days))?, to.checked_sub_days(Days::new(days))?),
            Step::Months(months) => {
                let months = Months::new(months);
                let end = to.checked_sub_months(months)?;
                (from.checked_sub_months(months)?, if whole { last_of_month(end) } else { end })
            }
        };
        Some((Self::between(from, to), step))
    }

    /// The first date, if the range has a beginning.
    #[must_use]
    pub fn from(self) -> Option<NaiveDate> {
        self.from
    }

    /// The last date, if the range has an end.
    #[must_use]
    pub fn to(self) -> Option<NaiveDate> {
        self.to
    }

    /// The first date, the last date, and the first instant after the range, which must have both ends.
    #[must_use]
    pub fn dates_and_end(self, zone: Zone) -> (NaiveDate, NaiveDate, DateTime<Utc>) {
        let (from, to) = (self.from.unwrap_or_default(), self.to.unwrap_or_default());
        (from, to, self.end.map_or_else(|| zone.end_of_day(to), |end| end.and_utc()))
    }

    /// The instant, in UTC, at which the range ends, if its last day is cut.
    pub(in crate::reports) fn end(self) -> Option<NaiveDateTime> {
        self.end
    }

    /// The dates `from` to `to`; an empty range when they are not in order.
    pub(in crate::reports) fn unordered(from: Option<NaiveDate>, to: Option<NaiveDate>) -> Self {
        Self { from, to, ..Self::default() }
    }

    /// The same range; an open end becomes `to`, or the first date if that is later.
    pub(in crate::reports) fn until(self, to: NaiveDate) -> Self {
        let to = self.to.unwrap_or_else(|| self.from.map_or(to, |from| from.max(to)));
        Self { to: Some(to), ..self }
    }

    /// Whether both ends are open.
    #[must_use]
    pub fn is_unbounded(self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// The part of the range up to a date.
    pub(in crate::reports) fn up_to(self, date: NaiveDate) -> Self {
        Self { to: Some(self.to.map_or(date, |to| Ord::min(to, date))), ..self }
    }

    /// The part of the range from a date on.
    pub(in crate::reports) fn since(self, date: NaiveDate) -> Self {
        Self { from: Some(self.from.map_or(date, |from| Ord::max(from, date))), ..self }
    }

    pub(in crate::reports) fn contains(self, date: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date <= to)
    }

    /// The bounds in UTC. An open end is bounded by the years 1 to 9999, both in the zone and in UTC.
    pub(in crate::reports) fn bounds(self, zone: Zone) -> UtcBounds {
        let start = |year| NaiveDate::from_ymd_opt(year, 1, 1).map(|date| date.and_time(NaiveTime::MIN));
        let (first, last) = (NaiveDate::from_ymd_opt(1, 1, 1), NaiveDate::from_ymd_opt(9999, 12, 31));
        let bounds = zone.bounds(self.from.or(first), self.to.or(last));
        let to = bounds.to.min(start(10_000));
        UtcBounds { from: bounds.from.max(start(1)), to: self.end.map_or(to, |end| to.min(Some(end))), ..bounds }
    }
}

/// The first day of the week of `date`.
pub(in crate::reports) fn first_of_week(date: NaiveDate, week_start: Weekday) -> NaiveDate {
    back(date, date.weekday().days_since(week_start).into())
}

/// The first day of the month, quarter (3) or year (12) of `date`.
pub(in crate::reports) fn first_of_months(date: NaiveDate, months: u32) -> NaiveDate {
    date.with_day(1).and_then(|first| first.with_month(date.month0() / months * months + 1)).unwrap_or(date)
}

fn last_of_month(date: NaiveDate) -> NaiveDate {
    date.with_day(date.num_days_in_month().into()).unwrap_or(date)
}

fn is_last_of_month(date: NaiveDate) -> bool {
    date == last_of_month(date)
}

fn back(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN)
}

fn back_months(date: NaiveDate, months: u32) -> NaiveDate {
    date.checked_sub_months(Months::new(months)).unwrap_or(NaiveDate::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn ends(range: DateRange) -> String {
        format!("{} {}", range.from.unwrap(), range.to.unwrap())
    }

    #[test]
    fn relative_ranges_and_the_ones_before() {
        use RelativeRange as R;
        // A Sunday, the 91st day of a leap year.
        let today = day("2024-03-31");
        for (range, dates, before, year_before) in [
            (R::Today, "2024-03-31 2024-03-31", "2024-03-30 2024-03-30", "2023-03-31 2023-03-31"),
            (R::Last7Days, "2024-03-25 2024-03-31", "2024-03-18 2024-03-24", "2023-03-25 2023-03-31"),
            (R::ThisWeek, "2024-03-25 2024-03-31", "2024-03-18 2024-03-24", "2023-03-25 2023-03-31"),
            (R::LastWeek, "2024-03-18 2024-03-24", "2024-03-11 2024-03-17", "2023-03-18 2023-03-24"),
            (R::ThisMonth, "2024-03-01 2024-03-31", "2024-02-01 2024-02-29", "2023-03-01 2023-03-31"),
            (R::LastMonth, "2024-02-01 2024-02-29", "2024-01-01 2024-01-31", "2023-02-01 2023-02-28"),
            (R::LastQuarter, "2023-10-01 2023-12-31", "2023-07-01 2023-09-30", "2022-10-01 2022-12-31"),
            (R::ThisYear, "2024-01-01 2024-03-31", "2023-01-01 2023-03-31", "2023-01-01 2023-03-31"),
            (R::LastYear, "2023-01-01 2023-12-31", "2022-01-01 2022-12-31", "2022-01-01 2022-12-31"),
        ] {
            let range = DateRange::relative(range, today, Weekday::Mon);
            assert_eq!(ends(range), dates);
            assert_eq!(ends(range.before(Comparison::PreviousPeriod, false).unwrap().0), before, "{dates}");
            assert_eq!(ends(range.before(Comparison::PreviousYear, false).unwrap().0), year_before, "{dates}");
        }
        let weeks = DateRange::relative(R::ThisWeek, today, Weekday::Sun);
        assert_eq!(ends(weeks), "2024-03-31 2024-03-31");
        assert_eq!(ends(weeks.before(Comparison::PreviousYear, true).unwrap().0), "2023-04-02 2023-04-02");
    }

    #[test]
    fn what_is_written_is_compared_by_days_unless_it_is_whole_months() {
        for (from, to, before) in [
            ("2024-02-10", "2024-03-09", "2024-01-12 2024-02-09"),
            ("2024-02-01", "2024-03-31", "2023-12-01 2024-01-31"),
            ("2024-03-01", "2024-03-30", "2024-01-31 2024-02-29"),
        ] {
            let range = DateRange::new(Argument::FROM, Some(day(from)), Some(day(to))).unwrap();
            assert_eq!(ends(range.before(Comparison::PreviousPeriod, false).unwrap().0), before);
        }
    }

    /// "This" period is compared up to the same day, also when today is the last day of a month.
    #[test]
    fn this_period_is_compared_up_to_the_same_day() {
        use RelativeRange as R;
        let mut today = day("2019-01-01");
        while today < day("2029-01-01") {
            for (range, months) in [(R::ThisMonth, 1), (R::ThisQuarter, 3), (R::ThisYear, 12)] {
                let this = DateRange::relative(range, today, Weekday::Mon);
                let (before, _) = this.before(Comparison::PreviousPeriod, false).unwrap();
                // The same day, or the last day of a shorter month.
                let (year, month) = (today.year(), today.month().cast_signed() - 1 - months);
                let (year, month) = (year + month.div_euclid(12), month.rem_euclid(12).unsigned_abs() + 1);
                let end = (1..=today.day()).rev().find_map(|day| NaiveDate::from_ymd_opt(year, month, day));
                assert_eq!(before.to, end, "{range:?} on {today}");
            }
            today = today.succ_opt().unwrap();
        }
    }
}
