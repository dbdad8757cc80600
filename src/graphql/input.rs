//! Inputs that several reports share, and their way into the domain.

use async_graphql::Enum;
use chrono::NaiveDate;

use super::scalar::{Date, TimeZone};
use crate::reports::{
    InvalidArgument,
    filter::{self, DateRange, UserFilter},
    time_zone::{Zone, parse_date},
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

/// The range of two optional dates, named by the argument that holds the first.
pub(super) fn range(
    (from_name, from): (&'static str, Option<&Date>),
    (to_name, to): (&'static str, Option<&Date>),
) -> Result<DateRange, InvalidArgument> {
    DateRange::new(from_name, date(from_name, from)?, date(to_name, to)?)
}

pub(super) fn date(argument: &'static str, date: Option<&Date>) -> Result<Option<NaiveDate>, InvalidArgument> {
    date.map(|Date(text)| parse_date(argument, text)).transpose()
}

pub(super) fn zone(argument: &'static str, TimeZone(name): &TimeZone) -> Result<Zone, InvalidArgument> {
    Zone::parse(argument, name)
}

pub(super) fn users(
    ids: Option<Vec<i32>>,
    joined_from: Option<&Date>,
    joined_to: Option<&Date>,
    is_active: Option<bool>,
) -> Result<UserFilter, InvalidArgument> {
    let joined = range(("filter.joinedFrom", joined_from), ("filter.joinedTo", joined_to))?;
    UserFilter::new("filter.userIds", ids, joined, is_active)
}
