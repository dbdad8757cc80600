//! Inputs that several reports share, and their way into the domain.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject};
use chrono::{DateTime, NaiveDate, Utc};

use super::scalar::{Date, TimeZone};
use crate::reports::{
    InvalidArgument, Session, Week,
    filter::{self, TokenFilter, UserFilter},
    range::{self, DateRange},
    time_zone::{Zone, parse_date_in},
};

/// Which of a token's two times decides the day that a visit belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "filter::TimeBasis")]
pub(super) enum TimeBasis {
    /// A visit counts on the day on which its token was issued. The legacy reports count so.
    #[default]
    IssuedAt,
    /// A visit counts on the day on which its token opened the door.
    UsedAt,
}

/// What stands for days without a single token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "filter::GapFill")]
pub(super) enum GapFill {
    /// Nothing: such days are left out.
    #[default]
    Omit,
    /// A row whose measures are 0 (and whose ratios are null), so that a line drops to the axis.
    Zero,
    /// A row whose measures are null, so that a line is interrupted.
    Null,
}

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "filter::Direction")]
pub(super) enum OrderDirection {
    /// Smallest, earliest, first.
    #[default]
    #[graphql(name = "ASC")]
    Ascending,
    /// Largest, latest, first.
    #[graphql(name = "DESC")]
    Descending,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "chrono::Weekday")]
pub(super) enum Weekday {
    /// Monday.
    #[graphql(name = "MONDAY")]
    Mon,
    /// Tuesday.
    #[graphql(name = "TUESDAY")]
    Tue,
    /// Wednesday.
    #[graphql(name = "WEDNESDAY")]
    Wed,
    /// Thursday.
    #[graphql(name = "THURSDAY")]
    Thu,
    /// Friday.
    #[graphql(name = "FRIDAY")]
    Fri,
    /// Saturday.
    #[graphql(name = "SATURDAY")]
    Sat,
    /// Sunday.
    #[graphql(name = "SUNDAY")]
    Sun,
}

/// A range that moves with the days. Ranges of "this" week, month, quarter and year run up to today; those of
/// the "last" ones are whole; the "last n days" end with today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "range::RelativeRange")]
pub(super) enum RelativeRange {
    /// Today alone: still partial.
    Today,
    /// The day before today.
    Yesterday,
    /// Today and the six days before.
    #[graphql(name = "LAST_7_DAYS")]
    Last7Days,
    /// Today and the 29 days before.
    #[graphql(name = "LAST_30_DAYS")]
    Last30Days,
    /// Today and the 89 days before.
    #[graphql(name = "LAST_90_DAYS")]
    Last90Days,
    /// Today and the 364 days before.
    #[graphql(name = "LAST_365_DAYS")]
    Last365Days,
    /// From the first day of this week up to today. Weeks start on Monday, or on the field's `weekStart`.
    ThisWeek,
    /// The seven days of the week before this one.
    LastWeek,
    /// From the 1st of this month up to today.
    ThisMonth,
    /// The whole month before this one.
    LastMonth,
    /// From the first day of this quarter up to today. Quarters start in January, April, July and October.
    ThisQuarter,
    /// The whole quarter before this one.
    LastQuarter,
    /// From January 1st up to today.
    ThisYear,
    /// The whole year before this one.
    LastYear,
}

/// Where and when a filter's dates are meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here {
    pub(super) zone: Zone,
    pub(super) now: DateTime<Utc>,
    pub(super) week_start: Week,
}

impl Here {
    /// In the zone of that argument, when the request looks at the world.
    pub(super) fn new(
        ctx: &Context<'_>,
        argument: &'static str,
        time_zone: &TimeZone,
        week_start: Option<Weekday>,
    ) -> Result<Self, InvalidArgument> {
        let zone = Zone::parse(argument, &time_zone.0)?;
        let week_start = week(week_start).unwrap_or_default();
        Ok(Self { zone, now: ctx.data_unchecked::<Arc<Session>>().now(), week_start })
    }

    /// The range of two optional dates, named by the argument that holds the first, or a relative one.
    pub(super) fn range(
        self,
        relative: Option<RelativeRange>,
        from: Option<&Date>,
        to: Option<&Date>,
    ) -> Result<DateRange, InvalidArgument> {
        let Some(relative) = relative else { return self.dates(("filter.from", from), ("filter.to", to)) };
        if let Some(other) = [("filter.from", from), ("filter.to", to)].into_iter().find(|(_, date)| date.is_some()) {
            let problem = format!("came with `{}`; a range is relative, or it has dates", other.0);
            return Err(InvalidArgument::new("filter.range", problem));
        }
        Ok(DateRange::relative(relative.into(), self.zone.date_at(self.now), self.week_start.0))
    }

    /// The range of two optional dates.
    fn dates(
        self,
        (from_name, from): (&'static str, Option<&Date>),
        (to_name, to): (&'static str, Option<&Date>),
    ) -> Result<DateRange, InvalidArgument> {
        DateRange::new(from_name, self.date(from_name, from)?, self.date(to_name, to)?)
    }

    pub(super) fn date(
        self,
        argument: &'static str,
        date: Option<&Date>,
    ) -> Result<Option<NaiveDate>, InvalidArgument> {
        date.map(|Date(text)| parse_date_in(self.zone, argument, text)).transpose()
    }

    pub(super) fn users(
        self,
        ids: Option<Vec<i32>>,
        joined_from: Option<&Date>,
        joined_to: Option<&Date>,
        is_active: Option<bool>,
    ) -> Result<UserFilter, InvalidArgument> {
        let joined = self.dates(("filter.joinedFrom", joined_from), ("filter.joinedTo", joined_to))?;
        UserFilter::new("filter.userIds", ids, joined, is_active)
    }
}

/// The day on which weeks start, where it was given.
pub(super) fn week(day: Option<Weekday>) -> Option<Week> {
    day.map(|day| Week(day.into()))
}

/// Which tokens count. Conditions are combined with "and".
#[derive(Debug, Default, InputObject)]
#[graphql(name = "DailyUsageFilterInput")]
pub(super) struct TokenFilterInput {
    /// First local date, included.
    from: Option<Date>,
    /// Last local date, included.
    to: Option<Date>,
    /// Dates that move with the days, such as `LAST_30_DAYS`; instead of `from` and `to`.
    pub(super) range: Option<RelativeRange>,
    /// Only tokens of these members: at most 1,000 ids. An empty list matches nobody.
    user_ids: Option<Vec<i32>>,
    /// Only tokens of members who joined on this local date or later.
    joined_from: Option<Date>,
    /// Only tokens of members who joined on this local date or earlier.
    joined_to: Option<Date>,
    /// Only tokens of members whose membership is active now (true), or is not (false).
    is_active: Option<bool>,
    /// Only these days of the week; every day when left out.
    weekdays: Option<Vec<Weekday>>,
}

impl TokenFilterInput {
    pub(super) fn into_filter(self, here: Here, basis: TimeBasis) -> Result<TokenFilter, InvalidArgument> {
        Ok(TokenFilter {
            range: here.range(self.range, self.from.as_ref(), self.to.as_ref())?,
            users: here.users(self.user_ids, self.joined_from.as_ref(), self.joined_to.as_ref(), self.is_active)?,
            weekdays: self.weekdays.map(|days| days.into_iter().map(Into::into).collect()).unwrap_or_default(),
            zone: here.zone,
            basis: basis.into(),
        })
    }
}
