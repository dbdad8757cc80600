//! Compares a series with an earlier period. By default, only time that both periods have is compared.

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};

use crate::reports::{
    Argument, Error, InvalidArgument, Session,
    calendar::{Bucket, Calendar, Granularity},
    counts::Measures,
    filter::{GapFill, TokenFilter},
    made,
    model::Figures,
    range::{Comparison, DateRange, Step, first_of_months},
    series::{SeriesRow, UsageQuestion},
    time_zone::Zone,
};

/// The most stretches of days without a counterpart that a comparison leaves out.
const MAX_LEFT_OUT: usize = 300;

/// How much of a range is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// The time that has elapsed, up to the last full quarter of an hour. The last day is cut at the same local time in
    /// both periods.
    #[default]
    Elapsed,
    /// The days that are over.
    CompleteDays,
    /// All dates of the range, over or not, with a counterpart or not.
    Whole,
}

/// A comparison of a report with an earlier range.
#[derive(Debug, Clone)]
pub struct Before {
    /// The question about the part of the range that is compared.
    now: UsageQuestion,
    /// The question about the earlier range that it is compared with.
    then: UsageQuestion,
    /// Whether a part of the range is not compared.
    is_part: bool,
    /// The first date of the report's range, and the dates of the earlier range before days are left out.
    from: NaiveDate,
    range: DateRange,
    step: Step,
}

/// The door codes on both sides of a comparison; the rest as in [`Before`].
#[derive(Debug, Clone)]
pub(in crate::reports) struct Sides {
    pub(in crate::reports) now: TokenFilter,
    pub(in crate::reports) then: TokenFilter,
    is_part: bool,
    from: NaiveDate,
    range: DateRange,
    step: Step,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Side {
    range: DateRange,
    left_out: Vec<DateRange>,
}

/// The compared part of a bucket, and its counterpart.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The measures of the part.
    pub now: Figures,
    /// The counterpart, if there is one.
    pub before: Option<SeriesRow>,
}

impl Session {
    /// The comparison of `question` with an earlier range.
    ///
    /// # Errors
    /// When the range has no beginning, or is so long that too many days have no counterpart.
    pub fn usage_before(
        &self,
        question: &UsageQuestion,
        comparison: Comparison,
        extent: Extent,
    ) -> Result<Before, InvalidArgument> {
        let in_weeks = question.calendar.granularity == Granularity::Week;
        let Sides { now, then, is_part, from, range, step } =
            self.sides(&question.filter, comparison, in_weeks, extent)?;
        let about = |filter| UsageQuestion { filter, gaps: GapFill::Omit, ..question.clone() };
        Ok(Before { now: about(now), then: about(then), is_part, from, range, step })
    }

    /// The two sides of the comparison of a filter's range with an earlier one. `in_weeks`, a year is 52 weeks.
    ///
    /// # Errors
    /// When the range has no beginning, or is so long that too many days have no counterpart.
    pub(in crate::reports) fn sides(
        &self,
        filter: &TokenFilter,
        comparison: Comparison,
        in_weeks: bool,
        extent: Extent,
    ) -> Result<Sides, InvalidArgument> {
        let zone = filter.zone;
        let range = filter.range.until(zone.date_at(self.now()));
        let (Some(from), Some((before, step))) = (range.from(), range.before(comparison, in_weeks)) else {
            return Err(InvalidArgument::new(Argument::COMPARE_TO, "needs a range with a beginning: give ")
                .and(Argument::FROM, " or ")
                .and(Argument::RANGE, ""));
        };
        let whole = |range| Side { range, left_out: Vec::new() };
        let sides = match extent {
            Extent::Whole => (whole(range), whole(before)),
            Extent::Elapsed | Extent::CompleteDays => fair(range, before, step, zone, extent, self.now())?,
        };
        let Side { range: part, left_out } = &sides.0;
        // An open end is compared up to today only, but the report also counts door codes of later days.
        let all = filter.range;
        let is_part = !left_out.is_empty() || (part.from(), part.to(), part.end()) != (all.from(), all.to(), None);
        let about = |side: Side| TokenFilter { range: side.range, left_out: side.left_out, ..filter.clone() };
        Ok(Sides { now: about(sides.0), then: about(sides.1), is_part, from, range: before, step })
    }

    /// For each of `rows`, its compared part and its counterpart in the earlier range.
    ///
    /// # Errors
    /// What the database says.
    pub async fn counterparts(
        &self,
        before: &Before,
        rows: &[SeriesRow],
        measures: Measures,
    ) -> Result<Vec<Pair>, Error> {
        made("usage_before", async {
            let part = if before.is_part { Some(self.by_bucket(&before.now, measures).await?) } else { None };
            let counted = self.by_bucket(&before.then, measures).await?;
            let now = |row: &SeriesRow| match &part {
                // A row without measures has nothing to compare.
                Some(part) if row.figures != Figures::default() => {
                    part.get(&row.bucket).copied().unwrap_or_default().figures(measures)
                }
                _ => row.figures,
            };
            let counterpart = |bucket: Bucket| {
                let counts = counted.get(&bucket).copied().unwrap_or_default();
                self.row(&before.then, bucket, counts.figures(measures))
            };
            let places = before.places(rows).into_iter();
            Ok(rows
                .iter()
                .zip(places)
                .map(|(row, place)| Pair { now: now(row), before: place.map(counterpart) })
                .collect())
        })
        .await
    }
}

/// The elapsed days that have a counterpart in the other range, for both ranges.
fn fair(
    range: DateRange,
    before: DateRange,
    step: Step,
    zone: Zone,
    extent: Extent,
    now: DateTime<Utc>,
) -> Result<(Side, Side), InvalidArgument> {
    // Quarters of an hour: cached answers are kept for one, and the rollup counts by them.
    let moment = now - TimeDelta::nanoseconds(now.timestamp_nanos_opt().map_or(0, |nanos| nanos.rem_euclid(QUARTER)));
    let today = zone.date_at(moment);
    let last = if extent == Extent::CompleteDays { today.pred_opt() } else { Some(today) };
    let earlier = |date: NaiveDate| step.back(date).filter(|other| zone.has_day(*other) && zone.has_day(date));
    let later = |date: NaiveDate| step.forth(date).filter(|other| zone.has_day(*other) && zone.has_day(date));
    let (first, end) = (range.from().unwrap_or_default(), range.to().min(last).unwrap_or_default());
    // Only the last days of a month and a day that the zone skipped have no counterpart: never many in a row.
    let from = first.iter_days().take(7).find(|date| earlier(*date).is_some());
    let to =
        (0..7).filter_map(|days| end.checked_sub_days(chrono::Days::new(days))).find(|date| earlier(*date).is_some());
    let (Some(from), Some(to)) = (from, to.filter(|to| from <= Some(*to))) else {
        let nothing = |date: Option<NaiveDate>| {
            let date = date.unwrap_or_default();
            let range = DateRange::between(date, date).before_instant(Some(zone.start_of_day(date)));
            Side { range, left_out: Vec::new() }
        };
        return Ok((nothing(range.from()), nothing(before.from())));
    };
    let cut = (to == today && extent == Extent::Elapsed).then_some(moment);
    let (earlier_from, earlier_to) = (earlier(from).unwrap_or(from), earlier(to).unwrap_or(to));
    let now = DateRange::between(from, to).before_instant(cut);
    let before = DateRange::between(earlier_from, earlier_to)
        .before_instant(cut.map(|moment| zone.same_time(moment, earlier_to)));
    let now = Side { range: now, left_out: left_out(from, to, step, zone, earlier, |date| step.forth(date))? };
    let before = Side {
        range: before,
        left_out: left_out(earlier_from, earlier_to, step, zone, later, |date| step.back(date))?,
    };
    Ok((now, before))
}

const QUARTER: i64 = 15 * 60 * 1_000_000_000;

/// The dates from `from` to `to` without a counterpart. `across` finds the counterpart of a date; `back` maps a date of
/// the other range to this one.
fn left_out(
    from: NaiveDate,
    to: NaiveDate,
    step: Step,
    zone: Zone,
    across: impl Fn(NaiveDate) -> Option<NaiveDate>,
    back: impl Fn(NaiveDate) -> Option<NaiveDate>,
) -> Result<Vec<DateRange>, InvalidArgument> {
    let months = matches!(step, Step::Months(_)).then(|| {
        let firsts = std::iter::successors(Some(first_of_months(from, 1)), |first| {
            first.checked_add_months(chrono::Months::new(1))
        });
        firsts.take_while(|first| *first <= to).flat_map(|first| (29..=31).filter_map(move |day| first.with_day(day)))
    });
    let skipped = zone.skipped_days().into_iter().flat_map(|date| [Some(date), back(date)]).flatten();
    let candidates = months.into_iter().flatten().chain(skipped);
    let mut dates: Vec<_> = candidates
        .filter(|date| from <= *date && *date <= to && across(*date).is_none())
        .take(4 * MAX_LEFT_OUT)
        .collect();
    dates.sort_unstable();
    dates.dedup();
    let mut stretches: Vec<DateRange> = Vec::new();
    for date in dates {
        match stretches.last_mut() {
            Some(last) if last.to().and_then(|to| to.succ_opt()) == Some(date) => {
                *last = DateRange::unordered(last.from(), Some(date));
            }
            _ => stretches.push(DateRange::between(date, date)),
        }
    }
    if stretches.len() > MAX_LEFT_OUT {
        let problem =
            format!("leaves out more than {MAX_LEFT_OUT} days that have no counterpart: shorten the range, or set ");
        return Err(InvalidArgument::new(Argument::COMPARE_TO, problem).and(Argument::EXTENT, " to WHOLE"));
    }
    Ok(stretches)
}

impl Before {
    /// The compared part of the report's range.
    #[must_use]
    pub fn now(&self) -> &TokenFilter {
        &self.now.filter
    }

    /// The earlier range that it is compared with.
    #[must_use]
    pub fn then(&self) -> &TokenFilter {
        &self.then.filter
    }

    /// Whether a part of the report's range is not compared.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.is_part
    }

    /// The counterpart of each bucket. A day's counterpart is as far back as the earlier range is; in steps of months,
    /// it is the same day of the month. An hour's counterpart is the same hour of that day. Longer buckets are paired
    /// by their position in the range. `None` when there is no such day, the filter leaves it out, or it begins after
    /// the end of the earlier range.
    fn places(&self, rows: &[SeriesRow]) -> Vec<Option<Bucket>> {
        let calendar = self.then.calendar;
        let (Some(from), Some(to)) = (self.range.from(), self.range.to()) else { return vec![None; rows.len()] };
        let date = |bucket: Bucket| {
            let date = self.step.back(bucket.date())?;
            (from <= date && date <= to && calendar.zone.has_day(date)).then_some(date)
        };
        let places: Vec<Option<Bucket>> = match calendar.granularity {
            Granularity::Day => rows.iter().map(|row| date(row.bucket).map(Bucket::of_date)).collect(),
            Granularity::Hour => rows.iter().map(|row| same_hour(calendar, row.bucket, date(row.bucket)?)).collect(),
            _ => {
                let mut pairs = calendar
                    .from(calendar.bucket_of(self.from))
                    .zip(calendar.between(from, to).map(Some).chain(std::iter::repeat(None)));
                rows.iter().map(|row| pairs.find(|(bucket, _)| *bucket == row.bucket)?.1).collect()
            }
        };
        let filter = &self.then.filter;
        // An hour that has not begun in this range has no counterpart in the earlier one.
        let has_begun = |bucket| filter.range.end().is_none_or(|end| calendar.instants(bucket).0.naive_utc() < end);
        let is_compared = |bucket: &Bucket| filter.reports_any(calendar, *bucket) && has_begun(*bucket);
        places.into_iter().map(|place| place.filter(is_compared)).collect()
    }
}

/// The same hour of another date. For a repeated hour, the first or the second as in `bucket`.
fn same_hour(calendar: Calendar, bucket: Bucket, date: NaiveDate) -> Option<Bucket> {
    let of = |date| calendar.between(date, date).filter(|other| other.hour() == bucket.hour());
    let occurrence = of(bucket.date()).position(|other| other == bucket)?;
    of(date).nth(occurrence)
}
