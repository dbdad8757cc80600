//! Filters of reports. Parts that can be invalid are checked by their constructors, so an existing filter is valid.
//! Dates are local to the filter's time zone, and both ends are included.

use chrono::{Datelike as _, NaiveDate, Weekday};

use crate::{
    reports::{
        Argument, InvalidArgument,
        asking::name::NamePart,
        calendar::{Bucket, Calendar, Granularity},
        range::DateRange,
        time_zone::Zone,
    },
    scopes::Scope,
};

/// The most user ids in one filter.
pub const MAX_USER_IDS: usize = 1_000;

/// Which of a door code's two times decides the day that a visit belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeBasis {
    /// The day on which the door code was issued, as in the legacy reports.
    #[default]
    IssuedAt,
    /// The day on which the door code was used.
    UsedAt,
}

/// How days, or longer buckets, without door codes are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GapFill {
    /// They are left out.
    #[default]
    Omit,
    /// As a row of zeros.
    Zero,
    /// As a row without measures.
    Null,
}

/// The direction of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Smallest, or earliest, first.
    #[default]
    Ascending,
    /// Largest, or latest, first.
    Descending,
}

/// The members that count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    ids: Option<Vec<i32>>,
    pub(in crate::reports) joined: DateRange,
    is_active: Option<bool>,
    name: Option<NamePart>,
}

impl UserFilter {
    /// Members with one of these ids, who joined on one of these local dates, and whose membership is active or not.
    /// `None` and open ends do not restrict; an empty list of ids matches nobody.
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
            _ => Ok(Self { ids, joined, is_active, name: None }),
        }
    }

    /// The same members, as far as their names contain this.
    #[must_use]
    pub fn named(self, name: Option<NamePart>) -> Self {
        Self { name, ..self }
    }

    /// The scope that this filter needs. Ids, dates of joining and names can select single members, so they need
    /// [`Scope::Members`].
    #[must_use]
    pub fn scope(&self) -> Scope {
        if self.ids.is_some() || !self.joined.is_unbounded() || self.name.is_some() {
            Scope::Members
        } else {
            Scope::Reports
        }
    }

    pub(in crate::reports) fn ids(&self) -> Option<&[i32]> {
        self.ids.as_deref()
    }

    /// The conditions alone.
    pub(in crate::reports) fn without_ids(&self) -> Self {
        Self { ids: None, ..self.clone() }
    }

    /// The same conditions, for these members.
    pub(in crate::reports) fn with_ids(self, ids: Vec<i32>) -> Self {
        Self { ids: Some(ids), ..self }
    }

    pub(in crate::reports) fn joined(&self) -> DateRange {
        self.joined
    }

    pub(in crate::reports) fn is_active(&self) -> Option<bool> {
        self.is_active
    }

    pub(in crate::reports) fn name(&self) -> Option<&NamePart> {
        self.name.as_ref()
    }

    /// Whether the filter matches every member.
    pub(in crate::reports) fn is_everybody(&self) -> bool {
        self.ids.is_none() && !self.restricts_users()
    }

    /// Whether the filter needs the table `users`.
    pub(in crate::reports) fn restricts_users(&self) -> bool {
        !self.joined.is_unbounded() || self.is_active.is_some() || self.name.is_some()
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

    /// Whether the set has all seven days.
    pub(in crate::reports) fn is_every_day(self) -> bool {
        self == Self::default()
    }
}

impl FromIterator<Weekday> for Weekdays {
    fn from_iter<I: IntoIterator<Item = Weekday>>(days: I) -> Self {
        Self(days.into_iter().fold(0, |set, day| set | 1 << day.num_days_from_monday()))
    }
}

/// The door codes that count, and their place on the calendar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// The local dates to report.
    pub range: DateRange,
    /// Dates within the range that are left out.
    pub left_out: Vec<DateRange>,
    /// The members whose door codes count.
    pub users: UserFilter,
    /// The local days of the week to report.
    pub weekdays: Weekdays,
    /// The time zone of the days.
    pub zone: Zone,
    /// Which time decides the day of a visit.
    pub basis: TimeBasis,
}

impl TokenFilter {
    /// Whether the filter includes this date: it is in the range, not left out, and on one of the days of the week.
    pub(in crate::reports) fn contains(&self, date: NaiveDate) -> bool {
        self.range.contains(date)
            && self.weekdays.contains(date.weekday())
            && !self.left_out.iter().any(|dates| dates.contains(date))
    }

    /// Whether a day is reported: the filter includes it, and the zone has it.
    pub(in crate::reports) fn reports(&self, date: NaiveDate) -> bool {
        self.contains(date) && self.zone.has_day(date)
    }

    /// Whether at least one day of the bucket is reported.
    pub(in crate::reports) fn reports_any(&self, calendar: Calendar, bucket: Bucket) -> bool {
        if matches!(calendar.granularity, Granularity::Hour | Granularity::Day) {
            return self.reports(bucket.date());
        }
        let (first, last) = calendar.dates(bucket);
        first.iter_days().take_while(|date| *date <= last).any(|date| self.reports(date))
    }

    /// Whether the range leaves out a part of the bucket. Days of the week do not matter.
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

/// A range of numbers of visits, both ends included, either of them open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VisitsRange {
    min: Option<i32>,
    max: Option<i32>,
}

impl VisitsRange {
    /// No visit.
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

/// The filter of `user_visits`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserVisitsFilter {
    /// The local dates in which door codes count.
    pub range: DateRange,
    /// Dates within the range that are left out.
    pub left_out: Vec<DateRange>,
    /// The members that are listed.
    pub users: UserFilter,
    /// The zone of every date in this filter.
    pub zone: Zone,
    /// Which time decides whether a visit is in the range.
    pub basis: TimeBasis,
    /// Only members with this many visits.
    pub visits: VisitsRange,
    /// Only members whose last visit was before this local date.
    pub last_visit_before: Option<NaiveDate>,
    /// Only members whose last visit was on this local date or later.
    pub last_visit_from: Option<NaiveDate>,
    /// Also list members without a door code in the range.
    pub include_users_without_visits: bool,
}

impl UserVisitsFilter {
    /// The door codes that count.
    pub(in crate::reports) fn tokens(&self) -> TokenFilter {
        TokenFilter {
            range: self.range,
            left_out: self.left_out.clone(),
            users: self.users.clone(),
            zone: self.zone,
            basis: self.basis,
            ..TokenFilter::default()
        }
    }
}
