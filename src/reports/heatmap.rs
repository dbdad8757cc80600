//! Visits by day of the week and hour of the day.

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate, Weekday};

use super::{
    Argument, Error, InvalidArgument, Session,
    calendar::{Calendar, Granularity, Week},
    codes::Codes,
    counts::{By, Counts, Measures, Place, WeekHour},
    filter::TokenFilter,
    made,
    model::ratio,
    rollup::Wanted,
};

/// The most calendar months that a heatmap tells apart.
pub const MAX_HEATMAP_MONTHS: usize = 240;

/// What to compute in addition to the visits. Parts that are not requested cost nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeatmapParts {
    /// Door codes issued, and how many of them were not used.
    pub issued: bool,
    /// How long it took to use the door codes issued.
    pub time_to_use: bool,
    /// The same for each calendar month.
    pub months: bool,
}

/// Visits by weekday and hour, over a range of local dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heatmap {
    /// The first local date: that of the range, or of the first visit.
    pub from: Option<NaiveDate>,
    /// The last local date: that of the range, or today, or that of the last visit if it is later.
    pub to: Option<NaiveDate>,
    /// The local date of the first door code ever. Averages leave out the days before it.
    pub recorded_from: Option<NaiveDate>,
    /// The number of visits.
    pub visits: i64,
    /// The 24 hours of each reported weekday, from Monday 0:00 on.
    pub cells: Vec<HeatmapCell>,
    /// The calendar months of the range; empty when they were not asked for, and in a month.
    pub months: Vec<Self>,
}

/// An hour of a day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeatmapCell {
    /// The local day of the week.
    pub weekday: Weekday,
    /// The hour of the local day, 0 to 23.
    pub hour: u8,
    /// Door codes used in it.
    pub visits: i64,
    /// Door codes issued in it; 0 when they were not asked for.
    pub tokens_issued: i64,
    /// Those of them not used so far; 0 when they were not asked for.
    pub tokens_unused: i64,
    /// Those of them used at their issue or later, and the sum of the whole seconds that this took; 0 when it was not
    /// asked for.
    timed: i64,
    waited: i64,
    /// How many such hours in the range are over and not before `recorded_from`.
    pub occurrences: i64,
    /// The visits in those hours.
    counted: i64,
}

/// A day of the week, or an hour of the day: some cells together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeatmapSum {
    /// The first of the cells.
    pub first: HeatmapCell,
    /// Door codes used in them.
    pub visits: i64,
    /// Door codes issued in them; 0 when they were not asked for.
    pub tokens_issued: i64,
    /// Those of them not used so far; 0 when they were not asked for.
    pub tokens_unused: i64,
    /// Seconds from the issue of a door code to its use, on average; `None` without door codes, or when not asked for.
    pub average_time_to_use: Option<f64>,
    /// The share of all visits; `None` when there are no visits.
    pub share: Option<f64>,
    /// The visits to expect on such a day, or in such an hour; `None` when one of the cells never occurred.
    pub average: Option<f64>,
}

impl HeatmapCell {
    /// Visits per such hour; `None` when `occurrences` is 0.
    #[must_use]
    pub fn average(&self) -> Option<f64> {
        ratio(self.counted, self.occurrences)
    }

    /// Seconds from the issue of a door code to its use, on average; `None` without door codes, or when not asked for.
    #[must_use]
    pub fn average_time_to_use(&self) -> Option<f64> {
        ratio(self.waited, self.timed)
    }
}

impl Heatmap {
    /// The share of this cell in all visits; `None` when there are no visits, and when the cell has neither visits nor
    /// occurrences.
    #[must_use]
    pub fn share(&self, cell: &HeatmapCell) -> Option<f64> {
        let never = cell.visits == 0 && cell.occurrences == 0;
        ratio(cell.visits, self.visits).filter(|_| !never)
    }

    /// The days of the week that the filter reports, from Monday on. The average is what to expect on a whole day.
    #[must_use]
    pub fn weekdays(&self) -> Vec<HeatmapSum> {
        self.cells.chunk_by(|one, other| one.weekday == other.weekday).filter_map(|day| self.sum(day, 1.0)).collect()
    }

    /// The hours of the day. The average is what to expect in such an hour of the days of the week that are reported.
    #[must_use]
    pub fn hours(&self) -> Vec<HeatmapSum> {
        let of = |hour| self.cells.iter().filter(move |cell| cell.hour == hour).copied().collect::<Vec<_>>();
        #[expect(clippy::cast_precision_loss, reason = "at most seven")]
        let hour = |cells: Vec<HeatmapCell>| self.sum(&cells, cells.len() as f64);
        (0..24).filter_map(|number| hour(of(number))).collect()
    }

    /// The cells together; `None` without cells. The average is the sum of theirs, divided.
    fn sum(&self, cells: &[HeatmapCell], divisor: f64) -> Option<HeatmapSum> {
        let sum = |of: fn(&HeatmapCell) -> i64| cells.iter().map(of).sum();
        let visits = sum(|cell| cell.visits);
        let average = cells.iter().map(HeatmapCell::average).sum::<Option<f64>>();
        Some(HeatmapSum {
            first: *cells.first()?,
            visits,
            tokens_issued: sum(|cell| cell.tokens_issued),
            tokens_unused: sum(|cell| cell.tokens_unused),
            average_time_to_use: ratio(sum(|cell| cell.waited), sum(|cell| cell.timed)),
            share: ratio(visits, self.visits),
            average: average.map(|sum| sum / divisor),
        })
    }

    /// The cells with the most visits, without cells that have none. Ties are in order of the week.
    #[must_use]
    pub fn peaks(&self, first: usize) -> Vec<HeatmapCell> {
        let mut cells: Vec<_> = self.cells.iter().filter(|cell| cell.visits > 0).copied().collect();
        cells.sort_by_key(|cell| std::cmp::Reverse(cell.visits));
        cells.truncate(first);
        cells
    }
}

impl Session {
    /// Visits by local weekday and hour, at the time that the filter's basis selects.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there are more than [`MAX_HEATMAP_MONTHS`] months to tell apart; otherwise what the
    /// database says.
    pub async fn heatmap(&self, filter: &TokenFilter, parts: HeatmapParts) -> Result<Heatmap, Error> {
        made("heatmap", async {
            let calendar = Calendar::new(filter.zone, Granularity::Month, Week::default());
            let today = filter.zone.date_at(self.now());
            if let Some(from) = filter.range.from().filter(|_| parts.months) {
                check_months(calendar, from, filter.range.to().unwrap_or(today))?;
            }
            let recorded_from = self.recorded_from(filter.zone).await?;
            let within = parts.months.then_some(calendar);
            let Visits { places, from, to } = match self.kept_visits(filter, today, parts, within).await? {
                Some(visits) => visits,
                None => self.counted_visits(filter, today, parts, within).await?,
            };
            let now = Now { filter, today, over: self.hours_over(filter, today), recorded_from };
            let mut heatmap = now.heatmap(from, to, &places);
            if let (Some(from), Some(to)) = (from, to)
                && parts.months
            {
                check_months(calendar, from, to)?;
                for month in calendar.between(from, to) {
                    let begin = places.partition_point(|(place, _)| place.within < Some(month));
                    let end = places.partition_point(|(place, _)| place.within <= Some(month));
                    let (first, last) = calendar.dates(month);
                    heatmap.months.push(now.heatmap(Some(first.max(from)), Some(last.min(to)), &places[begin..end]));
                }
            }
            Ok(heatmap)
        })
        .await
    }

    /// From the rollup, in one pass; `None` when it cannot answer.
    async fn kept_visits(
        &self,
        filter: &TokenFilter,
        today: NaiveDate,
        parts: HeatmapParts,
        within: Option<Calendar>,
    ) -> Result<Option<Visits>, Error> {
        let by = By::WeekdayAndHour { with_today: Some(today), within };
        let mut places = BTreeMap::<_, Counts>::new();
        let mut dates: Option<(NaiveDate, NaiveDate)> = None;
        let count = |codes: &Codes| {
            let date = codes.moment.date;
            // When clocks are set back across midnight, dates alternate.
            if codes.visits > 0 {
                dates = Some(dates.map_or((date, date), |(first, last)| (Ord::min(first, date), Ord::max(last, date))));
            }
            if let Place::WeekdayAndHour(place) = by.at(codes.moment) {
                places.entry(place).or_default().add(Counts::of(codes));
            }
        };
        let all = Wanted { waits: parts.time_to_use, ..Wanted::all(filter) };
        let wanted = if parts.issued || parts.time_to_use { all } else { Wanted::visits(filter) };
        if !self.codes(filter, wanted, count).await? {
            return Ok(None);
        }
        let (from, to) = self.closed(filter, dates.unzip());
        Ok(Some(Visits { places: places.into_iter().collect(), from, to }))
    }

    async fn counted_visits(
        &self,
        filter: &TokenFilter,
        today: NaiveDate,
        parts: HeatmapParts,
        within: Option<Calendar>,
    ) -> Result<Visits, Error> {
        let (from, to) = self.reported_dates(filter).await?;
        let with_today = to.is_some_and(|to| today <= to).then_some(today);
        let HeatmapParts { issued, time_to_use, .. } = parts;
        let measures =
            Measures { visits: true, tokens_issued: issued, tokens_unused: issued, time_to_use, ..Measures::default() };
        let counted = self.counts(filter, By::WeekdayAndHour { with_today, within }, measures).await?;
        let place = |(place, counts): (Place, Counts)| match place {
            Place::WeekdayAndHour(place) => Some((place, counts)),
            _ => None,
        };
        Ok(Visits { places: counted.into_iter().filter_map(place).collect(), from, to })
    }

    /// Which hours of today are over. A repeated hour is over when both are; a skipped hour when the one before is.
    fn hours_over(&self, filter: &TokenFilter, today: NaiveDate) -> [bool; 24] {
        let calendar = Calendar::new(filter.zone, Granularity::Hour, Week::default());
        let hours: Vec<_> = calendar.between(today, today).collect();
        let mut over = [true; 24];
        for hour in 0..24 {
            let mut ends = hours.iter().filter(|bucket| bucket.hour() as usize == hour).peekable();
            let is_skipped = ends.peek().is_none();
            over[hour] = if is_skipped {
                hour == 0 || over[hour - 1]
            } else {
                ends.all(|bucket| calendar.instants(*bucket).1 <= self.now())
            };
        }
        over
    }
}

/// Counts by weekday and hour, in order; and the dates of the report.
struct Visits {
    places: Vec<(WeekHour, Counts)>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
}

/// What a heatmap depends on, besides the counts.
struct Now<'a> {
    filter: &'a TokenFilter,
    today: NaiveDate,
    /// Which hours of today are over.
    over: [bool; 24],
    recorded_from: Option<NaiveDate>,
}

impl Now<'_> {
    /// The heatmap of the dates `from` to `to`, from the counts on these dates.
    fn heatmap(&self, from: Option<NaiveDate>, to: Option<NaiveDate>, places: &[(WeekHour, Counts)]) -> Heatmap {
        let Self { filter, today, over, recorded_from } = *self;
        let (mut all, mut counted) = ([[Counts::default(); 24]; 7], [[0; 24]; 7]);
        for (WeekHour { weekday, hour, day, .. }, counts) in places {
            all[*weekday][*hour].add(*counts);
            if *day == 0 || (*day == 1 && over[*hour]) {
                counted[*weekday][*hour] += counts.visits;
            }
        }
        let first = from.zip(recorded_from).map(|(from, recorded)| from.max(recorded));
        let past = first.zip(to.min(today.pred_opt()));
        let has_today = first.is_some_and(|first| first <= today) && to.is_some_and(|to| today <= to);
        let weekdays = (0..7).filter_map(|day| Weekday::try_from(day).ok());
        let cells = weekdays.filter(|weekday| filter.weekdays.contains(*weekday)).flat_map(|weekday| {
            let past = past.map_or(0, |(from, to)| occurrences(filter, weekday, from, to));
            let is_today = has_today && today.weekday() == weekday;
            let day = weekday.num_days_from_monday() as usize;
            let (all, counted) = (all[day], counted[day]);
            (0..24_u8).map(move |hour| {
                let at = usize::from(hour);
                let Counts { visits, tokens_issued, issued_and_used, timed, waited, .. } = all[at];
                HeatmapCell {
                    weekday,
                    hour,
                    visits,
                    tokens_issued,
                    tokens_unused: tokens_issued - issued_and_used,
                    timed,
                    waited,
                    occurrences: past + i64::from(is_today && over[at]),
                    counted: counted[at],
                }
            })
        });
        let visits = all.iter().flatten().map(|counts| counts.visits).sum();
        Heatmap { from, to, recorded_from, visits, cells: cells.collect(), months: Vec::new() }
    }
}

fn check_months(calendar: Calendar, from: NaiveDate, to: NaiveDate) -> Result<(), InvalidArgument> {
    if calendar.between(from, to).nth(MAX_HEATMAP_MONTHS).is_none() {
        return Ok(());
    }
    let problem = format!(
        "is more than {MAX_HEATMAP_MONTHS} months before the end of the range: shorten it, or leave out months"
    );
    Err(InvalidArgument::new(Argument::FROM, problem))
}

/// How many days between two dates are this day of the week and exist in the zone.
fn occurrences(filter: &TokenFilter, weekday: Weekday, from: NaiveDate, to: NaiveDate) -> i64 {
    let days = (to - from).num_days() + 1;
    let before_first = i64::from(weekday.days_since(from.weekday()));
    let all = Ord::max((days - before_first + 6).div_euclid(7), 0);
    let skipped = filter.zone.skipped_days().into_iter();
    let skipped = skipped.filter(|date| from <= *date && *date <= to && date.weekday() == weekday).count();
    all - i64::try_from(skipped).unwrap_or(0)
}
