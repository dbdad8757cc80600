//! The general series: door codes by hour, day, week, month, quarter or year, and its comparison with an earlier
//! period.

pub mod comparison;
pub mod running;
pub mod series;

use std::collections::BTreeMap;

use crate::reports::Argument;
use crate::reports::{
    Error, Session,
    calendar::Bucket,
    counts::{By, Counts, Measures, Place},
    filter::{GapFill, TokenFilter},
    made,
    model::Figures,
    range::DateRange,
    running::Running,
    series::{SeriesRow, UsageQuestion, check_listed},
};

/// A series of buckets.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// The buckets, in order of time.
    pub rows: Vec<SeriesRow>,
    /// Running sums over the full data, if requested.
    pub running: Option<Running>,
}

impl Series {
    /// The bucket with the most visits, and of several the first one; `None` when nobody came.
    #[must_use]
    pub fn busiest(&self) -> Option<&SeriesRow> {
        let came = self.rows.iter().rev().filter(|row| row.figures.visits.is_some_and(|visits| visits > 0));
        came.max_by_key(|row| row.figures.visits)
    }
}

impl Session {
    /// The series of `question`. With `look_back`, also running sums, which allow averages over up to `look_back`
    /// buckets.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there would be more than [`MAX_BUCKETS`](series::MAX_BUCKETS) buckets; otherwise
    /// what the database says.
    pub async fn usage(
        &self,
        question: &UsageQuestion,
        measures: Measures,
        look_back: Option<u32>,
    ) -> Result<Series, Error> {
        made("usage", async {
            let series = self.series(question, measures, look_back).await?;
            check_listed(Argument::GRANULARITY, series.rows.len())?;
            Ok(series)
        })
        .await
    }

    pub(in crate::reports) async fn series(
        &self,
        question: &UsageQuestion,
        measures: Measures,
        look_back: Option<u32>,
    ) -> Result<Series, Error> {
        // Checked before a statement is sent. An open end is today, or later.
        let range = question.filter.range.until(question.filter.zone.date_at(self.now()));
        if let (Some(from), Some(to), true) = (range.from(), range.to(), question.gaps != GapFill::Omit) {
            question.check_filled(from, to)?;
        }
        let counted = self.by_bucket(question, measures).await?;
        let rows = self.fill(question, measures, &counted)?;
        let running = match look_back {
            None => None,
            Some(look_back) => {
                let mut beyond = BTreeMap::<Bucket, Counts>::new();
                for question in [question.earlier(look_back), question.later()].into_iter().flatten() {
                    // Averages and sums are of door codes.
                    for (bucket, counts) in self.by_bucket(&question, measures.without_members()).await? {
                        beyond.entry(bucket).or_default().add(counts);
                    }
                }
                Some(Running::of(question, &rows, look_back, &beyond, &counted, self.now())?)
            }
        };
        Ok(Series { rows, running })
    }

    /// The measures over the whole range. Members who visited in several buckets are counted once.
    ///
    /// # Errors
    /// What the database says.
    pub async fn usage_totals(&self, filter: &TokenFilter, measures: Measures) -> Result<Figures, Error> {
        made("usage_totals", async {
            let totals = match self.noted_totals(filter, measures) {
                Some(totals) => totals,
                None => self.counts(filter, By::All, measures).await?.into_values().next().unwrap_or_default(),
            };
            Ok(totals.figures(measures))
        })
        .await
    }

    pub(in crate::reports) async fn by_bucket(
        &self,
        question: &UsageQuestion,
        measures: Measures,
    ) -> Result<BTreeMap<Bucket, Counts>, Error> {
        let counted = self.counts(&question.filter, By::Bucket(question.calendar), measures).await?;
        let bucket = |(place, counts)| if let Place::Bucket(bucket) = place { Some((bucket, counts)) } else { None };
        Ok(counted.into_iter().filter_map(bucket).collect())
    }

    pub(in crate::reports) fn row(&self, question: &UsageQuestion, bucket: Bucket, figures: Figures) -> SeriesRow {
        let calendar = question.calendar;
        let last = calendar.dates(bucket).1;
        let today = question.filter.zone.date_at(self.now());
        // A bucket whose last day is before yesterday is over in any case, so its instants are not computed.
        let is_over = today.pred_opt() > Some(last) || calendar.instants(bucket).1 <= self.now();
        let is_cut = question.filter.cuts(calendar, bucket);
        SeriesRow { calendar, bucket, is_partial: !is_over || is_cut, figures }
    }

    fn fill(
        &self,
        question: &UsageQuestion,
        measures: Measures,
        counted: &BTreeMap<Bucket, Counts>,
    ) -> Result<Vec<SeriesRow>, Error> {
        let row = |bucket, counts: Option<Counts>| {
            let figures = counts.map_or_else(Figures::default, |counts| counts.figures(measures));
            self.row(question, bucket, figures)
        };
        let gap = match question.gaps {
            GapFill::Omit => return Ok(counted.iter().map(|(bucket, counts)| row(*bucket, Some(*counts))).collect()),
            GapFill::Zero => Some(Counts::default()),
            GapFill::Null => None,
        };
        // An open beginning is the first bucket with a row. An open end is today, or the last bucket with a row if that
        // is later.
        let range = question.filter.range;
        let today = question.filter.zone.date_at(self.now());
        let first = range.from().or_else(|| counted.keys().next().map(|bucket| bucket.date()));
        let latest = counted.keys().next_back().map(|bucket| bucket.date());
        let last = range.to().or_else(|| Ord::max(latest, Some(today)));
        let (Some(first), Some(last)) = (first, last) else { return Ok(Vec::new()) };
        question.check_filled(first, last)?;
        let buckets = question.calendar.between(first, last);
        // The last bucket with a row is listed even when it reaches beyond today.
        let reach = last.max(counted.keys().next_back().map_or(last, |bucket| question.calendar.dates(*bucket).1));
        let reach = range.to().unwrap_or(reach);
        let closed = TokenFilter { range: DateRange::between(first, reach), ..question.filter.clone() };
        let (first_row, last_row) = (counted.keys().next(), counted.keys().next_back());
        let buckets = buckets.filter(|bucket| {
            let is_before = range.from().is_none() && Some(bucket) < first_row;
            let is_after = range.to().is_none() && bucket.date() > today && Some(bucket) > last_row;
            !is_before && !is_after && closed.reports_any(question.calendar, *bucket)
        });
        Ok(buckets.map(|bucket| row(bucket, counted.get(&bucket).copied().or(gap))).collect())
    }
}
