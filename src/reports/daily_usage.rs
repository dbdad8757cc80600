//! Door codes issued and used per local day, in any order.

use std::cmp::Ordering;

use super::{
    Argument, Error, InvalidArgument, Session,
    counts::Measures,
    filter::Direction,
    made,
    series::{MAX_BUCKETS, SeriesRow, UsageQuestion},
    usage::Series,
};

impl Session {
    /// One row per local day, ascending. A day has a row when a door code was issued on it or, by time of use, used on
    /// it. `question.gaps` says how other days are shown; `question.calendar` must have days as buckets.
    ///
    /// # Errors
    /// The same as [`Session::usage`], except that there may be more than [`MAX_BUCKETS`] days without gap filling.
    pub async fn daily_usage(
        &self,
        question: &UsageQuestion,
        measures: Measures,
        look_back: Option<u32>,
    ) -> Result<Series, Error> {
        made("daily_usage", self.series(question, measures, look_back)).await
    }
}

/// The sort key of days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DailyUsageField {
    /// The local date.
    #[default]
    Date,
    /// Door codes used.
    Visits,
    /// Door codes issued.
    TokensIssued,
    /// Door codes issued and not used so far.
    TokensUnused,
    /// Visits per issued door code.
    ConversionRate,
    /// Number of different members among the visits.
    UniqueVisitors,
}

/// An order of days: by a field, then by ascending date. Days without the measure come last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DailyUsageOrder {
    /// The sort key.
    pub field: DailyUsageField,
    /// The direction.
    pub direction: Direction,
}

impl DailyUsageOrder {
    /// The measures that sorting needs.
    #[must_use]
    pub fn measures(self) -> Measures {
        use DailyUsageField as Field;
        Measures {
            visits: matches!(self.field, Field::Visits | Field::ConversionRate),
            tokens_issued: matches!(self.field, Field::TokensIssued | Field::ConversionRate),
            tokens_unused: self.field == Field::TokensUnused,
            unique_visitors: self.field == Field::UniqueVisitors,
            new_visitors: false,
            time_to_use: false,
        }
    }

    /// The first `limit` days in this order, or all days.
    ///
    /// # Errors
    /// When `limit` is `None` and there are more than [`MAX_BUCKETS`] days.
    pub fn take(self, mut days: Vec<SeriesRow>, limit: Option<usize>) -> Result<Vec<SeriesRow>, InvalidArgument> {
        if limit.is_none() && days.len() > MAX_BUCKETS {
            let problem =
                format!("is left out, and the list has {} days; at most {MAX_BUCKETS} are allowed", days.len());
            return Err(InvalidArgument::new(Argument::FIRST, problem));
        }
        // The days arrive in order of their dates, and the sort is stable.
        match self.field {
            DailyUsageField::Date if self.direction == Direction::Descending => days.reverse(),
            DailyUsageField::Date => {}
            DailyUsageField::Visits => self.sort(&mut days, |day| day.figures.visits),
            DailyUsageField::TokensIssued => self.sort(&mut days, |day| day.figures.tokens_issued),
            DailyUsageField::TokensUnused => self.sort(&mut days, |day| day.figures.tokens_unused),
            DailyUsageField::UniqueVisitors => self.sort(&mut days, |day| day.figures.unique_visitors),
            DailyUsageField::ConversionRate => self.sort(&mut days, |day| day.figures.conversion_rate()),
        }
        days.truncate(limit.unwrap_or(MAX_BUCKETS));
        Ok(days)
    }

    fn sort<K: PartialOrd>(self, days: &mut [SeriesRow], key: impl Fn(&SeriesRow) -> Option<K>) {
        days.sort_by(|left, right| match (key(left), key(right)) {
            (Some(left), Some(right)) => {
                let ascending = left.partial_cmp(&right).unwrap_or(Ordering::Equal);
                if self.direction == Direction::Ascending { ascending } else { ascending.reverse() }
            }
            (left, right) => left.is_none().cmp(&right.is_none()),
        });
    }
}
