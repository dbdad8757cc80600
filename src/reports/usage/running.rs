//! Running averages and sums. They are over the full data, whatever part of the series is listed, and in whatever
//! order.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::reports::{
    Argument, InvalidArgument,
    calendar::Bucket,
    counts::Counts,
    filter::TokenFilter,
    range::DateRange,
    series::{MAX_BUCKETS, SeriesRow, UsageQuestion, check_listed},
};

/// The most buckets in an average.
pub const MAX_AVERAGED: u32 = 366;

/// Measures that can be added up over buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AdditiveMeasure {
    /// Door codes used.
    #[default]
    Visits,
    /// Door codes issued.
    TokensIssued,
    /// Door codes issued and not used so far.
    TokensUnused,
}

/// Cumulative sums without gaps, from before the first listed bucket to the last.
#[derive(Debug, Clone)]
pub struct Running {
    buckets: Vec<Bucket>,
    /// How many of the buckets have begun; they are the first ones.
    begun: usize,
    /// One element more than `buckets`: the sums before each bucket, and the sums over all.
    sums: Vec<Sums>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// The counts in the range and before it, and those after it in its last bucket.
    all: Counts,
    /// The counts in the range.
    own: Counts,
    /// The number of buckets with at least one reported day.
    reported: i32,
}

/// Checks the number of buckets in an average.
///
/// # Errors
/// When it is not in `1..=`[`MAX_AVERAGED`].
pub fn checked_average(argument: Argument, buckets: i32) -> Result<u32, InvalidArgument> {
    crate::reports::checked_size(argument, buckets, MAX_AVERAGED as usize)
        .map(|buckets| u32::try_from(buckets).unwrap_or(MAX_AVERAGED))
}

impl Running {
    /// The sums along `rows`, starting `look_back - 1` buckets before the first row. `own` has the counts in the range;
    /// `beyond` has those before it, and those after it that belong to its last bucket.
    pub(in crate::reports) fn of(
        question: &UsageQuestion,
        rows: &[SeriesRow],
        look_back: u32,
        beyond: &BTreeMap<Bucket, Counts>,
        own: &BTreeMap<Bucket, Counts>,
        now: DateTime<Utc>,
    ) -> Result<Self, InvalidArgument> {
        let calendar = question.calendar;
        let mut running = Self { buckets: Vec::new(), begun: 0, sums: vec![Sums::default()] };
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(running) };
        let anytime = TokenFilter { range: DateRange::default(), ..question.filter.clone() };
        let from = calendar.back(first.bucket, look_back.saturating_sub(1));
        let mut sums = Sums::default();
        for bucket in calendar.from(from).take_while(|bucket| *bucket <= last.bucket) {
            // Rows may lie far apart, so the number of buckets is checked.
            if running.buckets.len() > 10 * MAX_BUCKETS {
                check_listed(Argument::FROM, running.buckets.len())?;
            }
            sums.reported += i32::from(anytime.reports_any(calendar, bucket));
            if let Some(counts) = own.get(&bucket) {
                sums.own.add(*counts);
                sums.all.add(*counts);
            }
            if let Some(counts) = beyond.get(&bucket) {
                sums.all.add(*counts);
            }
            running.buckets.push(bucket);
            running.sums.push(sums);
        }
        running.begun = running.buckets.partition_point(|bucket| calendar.instants(*bucket).0 <= now);
        Ok(running)
    }

    /// The average over the `buckets` buckets that end with the row's bucket. Buckets without door codes count as 0;
    /// buckets without a reported day do not count. `None` for a row that has not begun, and when no bucket counts.
    #[must_use]
    pub fn average(&self, row: &SeriesRow, buckets: u32, measure: AdditiveMeasure) -> Option<f64> {
        let at = self.buckets.binary_search(&row.bucket).ok().filter(|at| *at < self.begun)?;
        let (sum, start) = (self.sums[at + 1], self.sums[(at + 1).saturating_sub(buckets as usize)]);
        let averaged = sum.reported - start.reported;
        #[expect(clippy::cast_precision_loss, reason = "counts of tokens stay far below 2^53")]
        let total = (measure.of(sum.all) - measure.of(start.all)) as f64;
        (averaged > 0).then(|| total / f64::from(averaged))
    }

    /// The sum over the range's buckets up to and including the row's.
    #[must_use]
    pub fn cumulative(&self, row: &SeriesRow, measure: AdditiveMeasure) -> Option<i64> {
        let at = self.buckets.binary_search(&row.bucket).ok()?;
        Some(measure.of(self.sums[at + 1].own))
    }
}

impl AdditiveMeasure {
    fn of(self, counts: Counts) -> i64 {
        match self {
            Self::Visits => counts.visits,
            Self::TokensIssued => counts.tokens_issued,
            Self::TokensUnused => counts.tokens_issued - counts.issued_and_used,
        }
    }
}
