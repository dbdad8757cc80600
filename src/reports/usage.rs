//! The general series: tokens by hour, day, week, month, quarter or year, and what it is compared with.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    Error, InvalidArgument, Session,
    calendar::{Bucket, Calendar, Granularity, Week},
    counts::{By, Counts, Measures},
    filter::{GapFill, TokenFilter},
    made,
    model::Figures,
    range::{DateRange, RelativeRange},
    running::Running,
};

/// The most buckets that one report fills or lists: of days, a little over ten years.
pub const MAX_BUCKETS: usize = 3_700;

/// What `usage` is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageQuestion {
    /// Which tokens count.
    pub filter: TokenFilter,
    /// The buckets, of the filter's zone.
    pub calendar: Calendar,
    /// What stands for buckets without tokens.
    pub gaps: GapFill,
}

/// A series of buckets, in order of time.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// The buckets, in order.
    pub rows: Vec<SeriesRow>,
    /// Sums over the full data, where they were asked for.
    pub running: Option<Running>,
}

/// One bucket of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRow {
    pub(super) calendar: Calendar,
    pub(super) bucket: Bucket,
    /// Whether the bucket was not over when the report was made, or the range leaves some of it out.
    pub is_partial: bool,
    /// The measures.
    pub figures: Figures,
}

impl SeriesRow {
    /// Its first local date.
    #[must_use]
    pub fn date(&self) -> NaiveDate {
        self.bucket.date()
    }

    /// Its first instant.
    #[must_use]
    pub fn start(&self) -> DateTime<Utc> {
        self.calendar.instants(self.bucket).0
    }

    /// The first instant after it.
    #[must_use]
    pub fn end(&self) -> DateTime<Utc> {
        self.calendar.instants(self.bucket).1
    }

    /// What to call it on the axis of a chart.
    #[must_use]
    pub fn label(&self) -> String {
        self.calendar.label(self.bucket)
    }
}

impl UsageQuestion {
    /// The question about `filter`, in buckets of `granularity`.
    ///
    /// # Errors
    /// When `week_start` says where weeks start, and none are asked for: neither by `granularity` nor by `range`.
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

/// Fails where weeks are given a start, and nothing has weeks.
pub(super) fn check_week_start(
    week_start: Option<Week>,
    has_weeks: bool,
    range: Option<RelativeRange>,
) -> Result<(), InvalidArgument> {
    if week_start.is_some() && !has_weeks && !range.is_some_and(RelativeRange::is_of_weeks) {
        return Err(InvalidArgument::new("weekStart", "was given, and nothing here is cut into weeks; leave it out"));
    }
    Ok(())
}

impl Session {
    /// The series of `question`; with `look_back`, also sums of which the longest goes back so many buckets.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there would be more than [`MAX_BUCKETS`] buckets; otherwise what the
    /// database says.
    pub async fn usage(
        &self,
        question: &UsageQuestion,
        measures: Measures,
        look_back: Option<u32>,
    ) -> Result<Series, Error> {
        made("usage", async {
            let series = self.series(question, measures, look_back).await?;
            check_listed("granularity", series.rows.len())?;
            Ok(series)
        })
        .await
    }

    pub(super) async fn series(
        &self,
        question: &UsageQuestion,
        measures: Measures,
        look_back: Option<u32>,
    ) -> Result<Series, Error> {
        // Before the database is asked: an open end is today, or later.
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
                    for (bucket, counts) in self.by_bucket(&question, measures).await? {
                        beyond.entry(bucket).or_default().add(counts);
                    }
                }
                Some(Running::of(question, &rows, look_back, &beyond, &counted, self.now())?)
            }
        };
        Ok(Series { rows, running })
    }

    /// The measures over the whole range; members who came in several buckets are counted once.
    ///
    /// # Errors
    /// What the database says.
    pub async fn usage_totals(&self, filter: &TokenFilter, measures: Measures) -> Result<Figures, Error> {
        made("usage_totals", async {
            let mut totals = Counts::default();
            for (_, counts) in self.counts(filter, By::All, measures.additive()).await? {
                totals.add(counts);
            }
            if measures.unique_visitors {
                totals.unique_visitors = self.visitors(filter).await?;
            }
            Ok(totals.figures(measures))
        })
        .await
    }

    pub(super) async fn by_bucket(
        &self,
        question: &UsageQuestion,
        measures: Measures,
    ) -> Result<BTreeMap<Bucket, Counts>, Error> {
        let calendar = question.calendar;
        let mut buckets = BTreeMap::<Bucket, Counts>::new();
        let mut measures = measures;
        if measures.unique_visitors {
            let place = |at| calendar.bucket_at(at);
            let finish = |bucket, members: Vec<i32>| {
                buckets.entry(bucket).or_default().unique_visitors += i64::try_from(members.len()).unwrap_or(0);
            };
            measures.unique_visitors = !self.kept_visitors(&question.filter, place, finish).await?;
        }
        for (row, counts) in self.counts(&question.filter, By::Bucket(calendar), measures).await? {
            buckets.entry(Bucket::read(&row, calendar)?).or_default().add(counts);
        }
        Ok(buckets)
    }

    pub(super) fn row(&self, question: &UsageQuestion, bucket: Bucket, figures: Figures) -> SeriesRow {
        let calendar = question.calendar;
        let last = calendar.dates(bucket).1;
        let today = question.filter.zone.date_at(self.now());
        // Of buckets that ended before yesterday, no clock has to be asked.
        let is_over = today.pred_opt() > Some(last) || calendar.instants(bucket).1 <= self.now();
        let is_cut = calendar.is_cut(bucket, &question.filter);
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
        // An open beginning is the first bucket with a row; an open end is today, or a later one with a row.
        let range = question.filter.range;
        let today = question.filter.zone.date_at(self.now());
        let first = range.from().or_else(|| counted.keys().next().map(|bucket| bucket.date()));
        let latest = counted.keys().next_back().map(|bucket| bucket.date());
        let last = range.to().or_else(|| Ord::max(latest, Some(today)));
        let (Some(first), Some(last)) = (first, last) else { return Ok(Vec::new()) };
        question.check_filled(first, last)?;
        let buckets = question.calendar.between(first, last);
        let closed = TokenFilter { range: DateRange::between(first, last), ..question.filter.clone() };
        let (first_row, last_row) = (counted.keys().next(), counted.keys().next_back());
        let buckets = buckets.filter(|bucket| {
            let is_before = range.from().is_none() && Some(bucket) < first_row;
            let is_after = range.to().is_none() && bucket.date() > today && Some(bucket) > last_row;
            !is_before && !is_after && question.calendar.is_reported(*bucket, &closed)
        });
        Ok(buckets.map(|bucket| row(bucket, counted.get(&bucket).copied().or(gap))).collect())
    }
}

impl UsageQuestion {
    /// Fails where there are too many buckets from one date to another to fill.
    fn check_filled(&self, first: NaiveDate, last: NaiveDate) -> Result<(), InvalidArgument> {
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
            let problem = format!(
                "asks for {each} {unit} to be filled; at most {MAX_BUCKETS} are: narrow `filter.from` and `filter.to`, or ask `usage` for longer buckets"
            );
            return Err(InvalidArgument::new("gaps", problem));
        }
        Ok(())
    }

    /// The same about the days after the range that belong to its last bucket: averages are made of whole ones.
    fn later(&self) -> Option<Self> {
        let end = self.filter.range.to()?;
        let last = self.calendar.dates(self.calendar.bucket_of(end)).1;
        let range = DateRange::between(end.succ_opt().filter(|first| *first <= last)?, last);
        Some(Self { filter: TokenFilter { range, ..self.filter.clone() }, ..self.clone() })
    }

    /// The same about the days before the range of which averages in it are made: whole buckets.
    fn earlier(&self, look_back: u32) -> Option<Self> {
        let calendar = self.calendar;
        let begin = self.filter.range.from()?;
        let from = calendar.back(calendar.bucket_of(begin), look_back.saturating_sub(1)).date();
        let range = DateRange::between(from, begin.pred_opt().filter(|last| from <= *last)?);
        Some(Self { filter: TokenFilter { range, ..self.filter.clone() }, ..self.clone() })
    }
}

/// Fails where there are too many buckets to list.
pub(super) fn check_listed(argument: &'static str, buckets: usize) -> Result<(), InvalidArgument> {
    if buckets > MAX_BUCKETS {
        let problem = format!(
            "makes {buckets} buckets; at most {MAX_BUCKETS} are listed: choose longer ones, or narrow `filter.from` \
             and `filter.to`"
        );
        return Err(InvalidArgument::new(argument, problem));
    }
    Ok(())
}
