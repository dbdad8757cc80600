//! What a caller may ask for. Fields are private and the constructors check, so that a filter that
//! exists is valid. Dates are local to the filter's time zone and inclusive at both ends.

use chrono::{Datelike as _, NaiveDate, Weekday};

use crate::{
    reports::{
        Argument, InvalidArgument,
        calendar::{Bucket, Calendar, Granularity},
        range::DateRange,
        time_zone::Zone,
    },
    scopes::Scope,
};

/// The most user ids that one filter may name.
pub const MAX_USER_IDS: usize = 1_000;

/// Which of a token's two times decides the day that a visit belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeBasis {
    /// The day on which the token was issued, as the legacy reports count.
    #[default]
    IssuedAt,
    /// The day on which the token opened the door.
    UsedAt,
}

/// What stands for days without tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GapFill {
    /// Nothing: the day is left out.
    #[default]
    Omit,
    /// A row of zeros.
    Zero,
    /// A row without measures.
    Null,
}

/// Ascending or descending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Smallest, or earliest, first.
    #[default]
    Ascending,
    /// Largest, or latest, first.
    Descending,
}

/// Which members count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    ids: Option<Vec<i32>>,
    pub(in crate::reports) joined: DateRange,
    is_active: Option<bool>,
}

impl UserFilter {
    /// Members with one of these ids, who joined on one of these local dates, and are active or not.
    /// What is `None` or open does not restrict; an empty list of ids matches nobody.
    ///
    /// # Errors
    /// When there are more than [`MAX_USER_IDS`] ids; the error names `argument`.
    pub fn new(
        argument: Argument,
        ids: Option<Vec<i32>>,
        joined: DateRange,
        is_active: Option<bool>,
    ) -> Result<Self, InvalidArgument> {
        match &ids {
            Some(ids) if ids.len() > MAX_USER_IDS => Err(InvalidArgument::new(
                argument,
                format!("has {} ids; at most {MAX_USER_IDS} are allowed", ids.len()),
            )),
            _ => Ok(Self { ids, joined, is_active }),
        }
    }

    /// The scope that a question with this filter needs: a filter that picks out single members, by their ids or by when
    /// they joined, tells of them.
    #[must_use]
    pub fn scope(&self) -> Scope {
        if self.ids.is_some() || !self.joined.is_unbounded() { Scope::Members } else { Scope::Reports }
    }

    pub(in crate::reports) fn ids(&self) -> Option<&[i32]> {
        self.ids.as_deref()
    }

    pub(in crate::reports) fn joined(&self) -> DateRange {
        self.joined
    }

    pub(in crate::reports) fn is_active(&self) -> Option<bool> {
        self.is_active
    }

    /// Whether it leaves nobody out.
    pub(in crate::reports) fn is_everybody(&self) -> bool {
        self.ids.is_none() && !self.restricts_users()
    }

    /// Whether the filter needs to see the `users` table.
    pub(in crate::reports) fn restricts_users(&self) -> bool {
        !self.joined.is_unbounded() || self.is_active.is_some()
    }
}

/// A set of days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays(u8);

impl Default for Weekdays {
    fn default() -> Self {
        Self(0b111_1111)
    }
}

impl Weekdays {
    pub(in crate::reports) fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }

    /// Whether it leaves no day out.
    pub(in crate::reports) fn is_every_day(self) -> bool {
        self == Self::default()
    }
}

impl FromIterator<Weekday> for Weekdays {
    fn from_iter<I: IntoIterator<Item = Weekday>>(days: I) -> Self {
        Self(days.into_iter().fold(0, |set, day| set | 1 << day.num_days_from_monday()))
    }
}

/// Which tokens count, and where on the calendar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// The local dates to report.
    pub range: DateRange,
    /// Stretches of those dates that are left out all the same.
    pub left_out: Vec<DateRange>,
    /// Whose tokens count.
    pub users: UserFilter,
    /// The local days of the week to report.
    pub weekdays: Weekdays,
    /// The zone that cuts the days.
    pub zone: Zone,
    /// What puts a visit on a day.
    pub basis: TimeBasis,
}

impl TokenFilter {
    /// Whether a day is in the range, and on one of the days of the week.
    pub(in crate::reports) fn contains(&self, date: NaiveDate) -> bool {
        self.range.contains(date)
            && self.weekdays.contains(date.weekday())
            && !self.left_out.iter().any(|dates| dates.contains(date))
    }

    /// Whether a day is reported: it is one that the filter contains, and the zone has it.
    pub(in crate::reports) fn reports(&self, date: NaiveDate) -> bool {
        // A day that the zone skipped altogether has no instant.
        self.contains(date) && self.zone.has_day(date)
    }

    /// Whether a day of the bucket is reported.
    pub(in crate::reports) fn reports_any(&self, calendar: Calendar, bucket: Bucket) -> bool {
        if matches!(calendar.granularity, Granularity::Hour | Granularity::Day) {
            return self.reports(bucket.date());
        }
        let (first, last) = calendar.dates(bucket);
        first.iter_days().take_while(|date| *date <= last).any(|date| self.reports(date))
    }

    /// Whether some of the bucket's dates, or moments, are left out; days of the week apart.
    pub(in crate::reports) fn cuts(&self, calendar: Calendar, bucket: Bucket) -> bool {
        let (first, last) = calendar.dates(bucket);
        let range = self.range;
        let is_left_out =
            |dates: &DateRange| dates.from().is_none_or(|from| from <= last) && dates.to().is_none_or(|to| first <= to);
        !(range.contains(first) && range.contains(last))
            || self.left_out.iter().any(is_left_out)
            || range.end().is_some_and(|end| end < calendar.instants(bucket).1.naive_utc())
    }
}

/// A number of visits, both ends included, either of them open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VisitsRange {
    min: Option<i32>,
    max: Option<i32>,
}

impl VisitsRange {
    /// No visit at all.
    pub(in crate::reports) const NONE: Self = Self { min: None, max: Some(0) };

    /// `min` to `max` visits.
    ///
    /// # Errors
    /// When a bound is negative, or `min` exceeds `max`.
    pub fn new(min: Option<i32>, max: Option<i32>) -> Result<Self, InvalidArgument> {
        for (argument, bound) in [(Argument::MIN_VISITS, min), (Argument::MAX_VISITS, max)] {
            if let Some(bound) = bound.filter(|bound| *bound < 0) {
                return Err(InvalidArgument::new(argument, format!("is {bound}; it cannot be negative")));
            }
        }
        match (min, max) {
            (Some(least), Some(most)) if least > most => {
                Err(InvalidArgument::new(Argument::MIN_VISITS, format!("is {least}, which is more than "))
                    .and(Argument::MAX_VISITS, format!(", {most}")))
            }
            _ => Ok(Self { min, max }),
        }
    }

    pub(in crate::reports) fn min(self) -> Option<i32> {
        self.min
    }

    pub(in crate::reports) fn max(self) -> Option<i32> {
        self.max
    }
}

/// What `user_visits` is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserVisitsFilter {
    /// The local dates in which tokens count.
    pub range: DateRange,
    /// Which members are listed.
    pub users: UserFilter,
    /// The zone of every date in this filter.
    pub zone: Zone,
    /// What puts a visit into the range.
    pub basis: TimeBasis,
    /// Only members with so many visits.
    pub visits: VisitsRange,
    /// Only members whose last visit lies before this local date.
    pub last_visit_before: Option<NaiveDate>,
    /// Only members whose last visit lies on this local date or later.
    pub last_visit_from: Option<NaiveDate>,
    /// Also list members without a token in the range.
    pub include_users_without_visits: bool,
}
