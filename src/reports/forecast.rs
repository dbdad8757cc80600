//! What to expect: the visits of the days to come, by day of the week and trend.
//!
//! The total of a week follows a damped trend
//! (<https://otexts.com/fpp3/holt.html#damped-trend-methods>), and is divided among the days of the week as in the last weeks.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};

use super::{
    Argument, Error, Measures, Session,
    argument::checked_size,
    calendar::{Bucket, Calendar, Granularity, Week},
    counts::{By, Place},
    filter::TokenFilter,
    made,
    range::DateRange,
    time_zone::Zone,
};

/// The most days of a forecast.
pub const MAX_FORECAST_DAYS: usize = 92;
/// The most weeks that a forecast learns from, and the fewest.
const WEEKS: [usize; 2] = [52, 2];
/// The last weeks that say how a week's visits are divided among its days.
const SHARE_WEEKS: usize = 8;
/// The last weeks that are forecast from the weeks before them, to know the error.
const BACKTEST_WEEKS: usize = 8;
/// How much the last week counts for the level of a week's total.
const LEVEL: f64 = 0.5;
/// How much the last change of the level counts for the trend.
const TREND: f64 = 0.2;
/// How much of the trend is left a week later.
const DAMPING: f64 = 0.9;

/// The visits to expect.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The first and the last local date of the whole weeks that the forecast learned from; `None` when there are less than
    /// two, and then there is no forecast.
    pub learned: Option<(NaiveDate, NaiveDate)>,
    /// The days to come.
    pub days: Vec<ForecastDay>,
    /// How good the method was in the last weeks; `None` when there are less than three.
    pub backtest: Option<Backtest>,
}

/// The visits to expect on a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ForecastDay {
    zone: Zone,
    /// The local date.
    pub date: NaiveDate,
    /// The visits to expect, rounded to hundredths.
    pub expected: f64,
    /// Within these bounds are four of five days, as far as the errors of the last weeks tell; `None` without a backtest.
    pub interval: Option<(f64, f64)>,
}

impl ForecastDay {
    /// The instant at which the day starts.
    #[must_use]
    pub fn starts_at(&self) -> DateTime<Utc> {
        self.zone.start_of_day(self.date)
    }
}

/// How far forecasts of the last weeks, each from the weeks before it, were from what happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backtest {
    /// The number of days.
    pub days: usize,
    /// The mean absolute error of a day, in visits, rounded to hundredths.
    pub error: f64,
    /// The same of a forecast that says what happened a week before.
    pub naive_error: f64,
}

impl Session {
    /// The visits to expect on `days` days from today on, or from the day after the filter's range if that is earlier. The
    /// forecast learns from the days of the range that are over.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `days` is not in `1..=92`; otherwise what the database says.
    pub async fn forecast(&self, filter: &TokenFilter, days: i32) -> Result<Forecast, Error> {
        let days = checked_size(Argument::DAYS, days, MAX_FORECAST_DAYS)?;
        made("forecast", async {
            let zone = filter.zone;
            let last = zone.date_at(self.now()).pred_opt().min(filter.range.to().or(Some(NaiveDate::MAX)));
            let earliest = last.and_then(|last| last.checked_sub_days(Days::new(7 * WEEKS[0] as u64 - 1)));
            let recorded = self.recorded_from(zone).await?;
            let first = recorded.zip(earliest).map(|(recorded, earliest)| recorded.max(earliest));
            let first = first.map(|first| filter.range.from().map_or(first, |from| from.max(first)));
            let nothing = Forecast { learned: None, days: Vec::new(), backtest: None };
            let (Some(first), Some(last)) = (first, last) else { return Ok(nothing) };
            let weeks = usize::try_from((last - first).num_days() + 1).unwrap_or(0) / 7;
            if weeks < WEEKS[1] {
                return Ok(nothing);
            }
            let first = last - Days::new(7 * weeks as u64 - 1);
            let history = TokenFilter { range: DateRange::between(first, last), ..filter.clone() };
            let by = By::Bucket(Calendar::new(zone, Granularity::Day, Week::default()));
            let counted = self.counts(&history, by, Measures { visits: true, ..Measures::default() }).await?;
            let visits = |date| counted.get(&Place::Bucket(Bucket::of_date(date))).map_or(0, |counts| counts.visits);
            let visits: Vec<_> = first.iter_days().take(7 * weeks).map(visits).collect();
            let is_reported = |day: usize| filter.weekdays.contains((first + Days::new(day as u64)).weekday());
            let tested = Tested::of(&visits, is_reported);
            let dates = (last + Days::new(1)).iter_days().zip(expected(&visits, days));
            let day = |(date, expected): (NaiveDate, f64)| ForecastDay {
                zone,
                date,
                expected: rounded(expected),
                interval: tested.as_ref().map(|tested| tested.interval(expected)),
            };
            let is_listed = |day: &ForecastDay| filter.weekdays.contains(day.date.weekday()) && zone.has_day(day.date);
            Ok(Forecast {
                learned: Some((first, last)),
                days: dates.map(day).filter(is_listed).collect(),
                backtest: tested.map(|tested| tested.backtest),
            })
        })
        .await
    }
}

/// The visits to expect on the days after `visits`, which are those of whole weeks.
#[expect(clippy::cast_precision_loss, reason = "counts of tokens stay far below 2^53")]
fn expected(visits: &[i64], days: usize) -> Vec<f64> {
    let weeks: Vec<f64> = visits.chunks_exact(7).map(|week| week.iter().sum::<i64>() as f64).collect();
    let (mut level, mut trend) = (weeks.first().copied().unwrap_or_default(), 0.0);
    for week in weeks.iter().skip(1) {
        let before = level;
        level = LEVEL * week + (1.0 - LEVEL) * (before + DAMPING * trend);
        trend = TREND * (level - before) + (1.0 - TREND) * DAMPING * trend;
    }
    let mut on = [0; 7];
    for (day, visits) in visits.iter().enumerate().skip(visits.len().saturating_sub(7 * SHARE_WEEKS)) {
        on[day % 7] += visits;
    }
    let all = on.iter().sum::<i64>();
    let mut damping = 0.0;
    let mut left = 1.0;
    let mut totals = Vec::new();
    for _ in 0..days.div_ceil(7) {
        left *= DAMPING;
        damping += left;
        totals.push(f64::max(level + damping * trend, 0.0));
    }
    let share = |day: usize| if all == 0 { 0.0 } else { on[day % 7] as f64 / all as f64 };
    (0..days).map(|day| totals[day / 7] * share(day)).collect()
}

/// A backtest, and the errors in it.
struct Tested {
    backtest: Backtest,
    /// Errors divided by the root of what was expected, as the spread of counts grows with their root; ascending.
    errors: Vec<f64>,
}

impl Tested {
    /// Forecasts each of the last weeks from the weeks before it. `None` when there is no such week.
    #[expect(clippy::cast_precision_loss, reason = "counts of tokens stay far below 2^53")]
    fn of(visits: &[i64], is_reported: impl Fn(usize) -> bool) -> Option<Self> {
        let (mut error, mut naive_error, mut errors) = (0.0, 0.0, Vec::new());
        let least = 7 * WEEKS[1];
        for weeks in (1..=BACKTEST_WEEKS).rev() {
            let Some(end) = visits.len().checked_sub(7 * weeks).filter(|end| *end >= least) else { continue };
            for (day, expected) in expected(&visits[..end], 7).into_iter().enumerate() {
                if is_reported(end + day) {
                    let actual = visits[end + day] as f64;
                    error += (actual - expected).abs();
                    naive_error += (actual - visits[end + day - 7] as f64).abs();
                    errors.push((actual - expected) / expected.max(1.0).sqrt());
                }
            }
        }
        errors.sort_unstable_by(f64::total_cmp);
        let days = errors.len();
        let mean = |sum: f64| rounded(sum / days as f64);
        let backtest = Backtest { days, error: mean(error), naive_error: mean(naive_error) };
        (days > 0).then_some(Self { backtest, errors })
    }

    /// From the tenth to the ninetieth percentile of the errors, by nearest rank; never less than no visit.
    fn interval(&self, expected: f64) -> (f64, f64) {
        let at = |percent: usize| self.errors[(self.errors.len() * percent).div_ceil(100) - 1];
        let bound = |percent| expected + at(percent) * expected.max(1.0).sqrt();
        (rounded(bound(10).min(expected).max(0.0)), rounded(bound(90).max(expected)))
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weeks that are all alike are expected to come again, with no error and no spread.
    #[test]
    fn what_always_happens_is_expected() {
        let week = [10, 20, 30, 20, 10, 0, 0_i32];
        let visits: Vec<_> = std::iter::repeat_n(week.map(i64::from), 12).flatten().collect();
        let days = expected(&visits, 10);
        let again = week.iter().cycle().take(10);
        assert!(days.iter().zip(again).all(|(day, usual)| (day - f64::from(*usual)).abs() < 1e-9), "{days:?}");
        let tested = Tested::of(&visits, |_| true).unwrap();
        assert_eq!(tested.backtest, Backtest { days: 56, error: 0.0, naive_error: 0.0 });
        assert_eq!(tested.interval(20.0), (20.0, 20.0));
    }

    /// A space that grows by a twentieth of the first week each week: the trend is followed, and better than by the week
    /// before.
    #[test]
    fn growth_goes_on_and_fades() {
        let visits: Vec<i64> = (0..40).flat_map(|week| [100 + 5 * week; 7]).collect();
        let days = expected(&visits, 92);
        assert!(days[0] > 296.0 && days[0] < 300.0, "{}", days[0]);
        assert!(days.windows(8).all(|days| days[7] > days[0]), "later weeks have more");
        let growth = |week: usize| days[7 * week + 7] - days[7 * week];
        assert!(growth(10) < growth(0), "but grow less");
        let Backtest { error, naive_error, .. } = Tested::of(&visits, |_| true).unwrap().backtest;
        assert!(error < naive_error, "{error} {naive_error}");
    }

    #[test]
    fn nothing_is_expected_after_nothing() {
        assert_eq!(expected(&[0; 21], 8), [0.0; 8]);
        assert!(Tested::of(&[0; 14], |_| true).is_none(), "a week needs two before it");
        let tested = Tested::of(&[0; 21], |_| true).unwrap();
        assert_eq!((tested.backtest.days, tested.interval(0.0)), (7, (0.0, 0.0)));
    }

    #[test]
    fn an_interval_has_the_middle_of_the_errors() {
        let errors: Vec<_> = (-10..=10).map(f64::from).collect();
        let tested = Tested { backtest: Backtest { days: 21, error: 0.0, naive_error: 0.0 }, errors };
        assert_eq!(tested.interval(100.0), (20.0, 180.0));
        assert_eq!(tested.interval(0.04), (0.0, 8.04));
    }
}
