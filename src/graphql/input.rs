//! Inputs that several reports share, and their way into the domain.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject};

use super::scalar::{Date, TimeZone};
use crate::reports::{
    Here, InvalidArgument, Session, Week,
    filter::{self, TokenFilter},
    range,
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

/// The zone that an argument gave, when the request looks at the world.
pub(super) fn here(
    ctx: &Context<'_>,
    argument: &'static str,
    time_zone: &TimeZone,
    week_start: Option<Weekday>,
) -> Result<Here, InvalidArgument> {
    Here::new(ctx.data_unchecked::<Arc<Session>>(), argument, &time_zone.0, week(week_start))
}

/// The day on which weeks start, where it was given.
pub(super) fn week(day: Option<Weekday>) -> Option<Week> {
    day.map(|day| Week(day.into()))
}

/// What was written for a date.
pub(super) fn text(date: Option<&Date>) -> Option<&str> {
    date.map(|Date(text)| text.as_str())
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
            range: here.range(self.range.map(Into::into), text(self.from.as_ref()), text(self.to.as_ref()))?,
            users: here.users(
                self.user_ids,
                text(self.joined_from.as_ref()),
                text(self.joined_to.as_ref()),
                self.is_active,
            )?,
            weekdays: self.weekdays.map(|days| days.into_iter().map(Into::into).collect()).unwrap_or_default(),
            zone: here.zone,
            basis: basis.into(),
            ..TokenFilter::default()
        })
    }
}
