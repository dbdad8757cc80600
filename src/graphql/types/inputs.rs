//! Inputs that several reports share, and their conversion into those of `reports`.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject};

use crate::{
    graphql::{
        guard,
        names::give_names,
        types::scalars::{Date, TimeZone},
    },
    reports::{
        Argument, Error, Here, InvalidArgument, Session, Week,
        filter::{self, TokenFilter},
        range,
    },
};

/// The time of a door code that decides when its visit counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "filter::TimeBasis")]
pub(in crate::graphql) enum TimeBasis {
    /// A visit counts at the time at which its door code was issued. The legacy reports count visits this way.
    #[default]
    IssuedAt,
    /// A visit counts at the time at which its door code opened the door.
    UsedAt,
}

give_names!(filter::TimeBasis as TimeBasis);

/// The rows for days, or other buckets, without any door code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "filter::GapFill")]
pub(in crate::graphql) enum GapFill {
    /// Days and buckets without door codes have no row.
    #[default]
    Omit,
    /// A row whose measures are 0 and whose ratios are null, so that the line of a chart drops to the axis.
    Zero,
    /// A row whose measures are null, so that the line of a chart is interrupted.
    Null,
}

give_names!(filter::GapFill as GapFill);

/// The direction in which a list is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "filter::Direction")]
pub(in crate::graphql) enum OrderDirection {
    /// Ascending: the smallest or earliest value comes first.
    #[default]
    #[graphql(name = "ASC")]
    Ascending,
    /// Descending: the largest or latest value comes first.
    #[graphql(name = "DESC")]
    Descending,
}

give_names!(filter::Direction as OrderDirection);

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "chrono::Weekday")]
pub(in crate::graphql) enum Weekday {
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

give_names!(chrono::Weekday as Weekday);

/// A range of local dates that moves with the days. The ranges named "this" week, month, quarter or year run up to
/// today; those named "last" week, month, quarter or year are whole; the "last n days" end with today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "range::RelativeRange")]
pub(in crate::graphql) enum RelativeRange {
    /// Today alone, which is still partial.
    Today,
    /// The day before today.
    Yesterday,
    /// Today and the 6 days before.
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
    /// The seven days of the week before this one. Weeks start on Monday, or on the field's `weekStart`.
    LastWeek,
    /// From the 1st of this month up to today.
    ThisMonth,
    /// The whole month before this one.
    LastMonth,
    /// From the first day of this quarter up to today. Quarters start in January, April, July and October.
    ThisQuarter,
    /// The whole quarter before this one. Quarters start in January, April, July and October.
    LastQuarter,
    /// From January 1st of this year up to today.
    ThisYear,
    /// The whole year before this one.
    LastYear,
    /// All dates, as without a range. The range has no beginning, so nothing is compared with a period before it.
    All,
}

give_names!(range::RelativeRange as RelativeRange);

/// The zone and the week of the arguments, at the time of the request.
pub(in crate::graphql) fn here(
    ctx: &Context<'_>,
    argument: Argument,
    time_zone: Option<&TimeZone>,
    week_start: Option<Weekday>,
) -> Result<Here, InvalidArgument> {
    let session = ctx.data_unchecked::<Arc<Session>>();
    Here::new(session, argument, time_zone.map(|zone| zone.0.as_str()), week(week_start))
}

/// The basis of a question, or the default one.
pub(in crate::graphql) fn basis(ctx: &Context<'_>, basis: Option<TimeBasis>) -> filter::TimeBasis {
    ctx.data_unchecked::<Arc<Session>>().basis(basis.map(Into::into))
}

/// The first day of weeks, if it was given.
pub(in crate::graphql) fn week(day: Option<Weekday>) -> Option<Week> {
    day.map(|day| Week(day.into()))
}

/// The text of a date.
pub(in crate::graphql) fn text(date: Option<&Date>) -> Option<&str> {
    date.map(|Date(text)| text.as_str())
}

/// The door codes that count. A door code counts when it meets all conditions. Conditions on `userIds`, `joinedFrom`
/// and `joinedTo` need the scope `members`.
#[derive(Debug, Default, InputObject)]
#[graphql(name = "DailyUsageFilterInput")]
pub(in crate::graphql) struct TokenFilterInput {
    /// The first local date, included. The range has no beginning when it is left out.
    from: Option<Date>,
    /// The last local date, included. The range has no end when it is left out.
    to: Option<Date>,
    /// A range of dates that moves with the days, such as `LAST_30_DAYS`. It cannot be combined with `from` or `to`.
    pub(in crate::graphql) range: Option<RelativeRange>,
    /// Only door codes of these members, by id: at most 1,000 ids. An empty list matches no member. Needs the scope
    /// `members`.
    user_ids: Option<Vec<i32>>,
    /// Only door codes of members who joined on this local date or later. Needs the scope `members`.
    joined_from: Option<Date>,
    /// Only door codes of members who joined on this local date or earlier. Needs the scope `members`.
    joined_to: Option<Date>,
    /// Only door codes of members whose membership is active now (true), or is not active now (false).
    is_active: Option<bool>,
    /// Only these local days of the week. Every day counts when it is left out; an empty list matches no day.
    weekdays: Option<Vec<Weekday>>,
}

impl TokenFilterInput {
    pub(in crate::graphql) fn into_filter(
        self,
        ctx: &Context<'_>,
        here: Here,
        time_basis: Option<TimeBasis>,
    ) -> Result<TokenFilter, Error> {
        let users =
            here.users(self.user_ids, text(self.joined_from.as_ref()), text(self.joined_to.as_ref()), self.is_active)?;
        Ok(TokenFilter {
            range: here.range(self.range.map(Into::into), text(self.from.as_ref()), text(self.to.as_ref()))?,
            users: guard::permitted(ctx, users)?,
            weekdays: self.weekdays.map(|days| days.into_iter().map(Into::into).collect()).unwrap_or_default(),
            zone: here.zone,
            basis: basis(ctx, time_basis),
            ..TokenFilter::default()
        })
    }
}
