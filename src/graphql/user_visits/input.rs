//! What `userVisits` is asked: its filter and its order.

use async_graphql::{Context, Enum, InputObject};

use super::super::{
    input::{self, OrderDirection, RelativeRange, TimeBasis},
    scalar::{Date, TimeZone},
};
use crate::reports::{
    InvalidArgument,
    filter::{self, VisitsRange},
    page::{UserVisitsField, UserVisitsOrder},
};

/// Which members `userVisits` lists, and which of their tokens count. Conditions are combined with "and".
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct UserVisitsFilterInput {
    /// Only these members: at most 1,000 ids. An empty list matches nobody.
    user_ids: Option<Vec<i32>>,
    /// Count tokens from this local date on, included.
    from: Option<Date>,
    /// Count tokens up to this local date, included.
    to: Option<Date>,
    /// Dates that move with the days, such as `LAST_30_DAYS`; instead of `from` and `to`.
    range: Option<RelativeRange>,
    /// The zone that the dates of this filter are of.
    #[graphql(default)]
    time_zone: TimeZone,
    /// What puts a visit into the range: the token's issue, or its use.
    #[graphql(default)]
    basis: TimeBasis,
    /// Only members who joined on this local date or later.
    joined_from: Option<Date>,
    /// Only members who joined on this local date or earlier.
    joined_to: Option<Date>,
    /// Only members whose membership is active now (true), or is not (false).
    is_active: Option<bool>,
    /// Only members with at least so many visits in the range.
    min_visits: Option<i32>,
    /// Only members with at most so many visits in the range.
    max_visits: Option<i32>,
    /// Only members whose last visit in the range lies before this local date: those who stopped
    /// coming. Members who never came are no part of it.
    last_visit_before: Option<Date>,
    /// List members without any token in the range as well, with zeros.
    #[graphql(default)]
    include_users_without_visits: bool,
}

impl UserVisitsFilterInput {
    pub(super) fn into_filter(self, ctx: &Context<'_>) -> Result<filter::UserVisitsFilter, InvalidArgument> {
        let here = input::here(ctx, "filter.timeZone", &self.time_zone, None)?;
        Ok(filter::UserVisitsFilter {
            range: here.range(
                self.range.map(Into::into),
                input::text(self.from.as_ref()),
                input::text(self.to.as_ref()),
            )?,
            users: here.users(
                self.user_ids,
                input::text(self.joined_from.as_ref()),
                input::text(self.joined_to.as_ref()),
                self.is_active,
            )?,
            zone: here.zone,
            basis: self.basis.into(),
            visits: VisitsRange::new(self.min_visits, self.max_visits)?,
            last_visit_from: None,
            last_visit_before: here.date("filter.lastVisitBefore", input::text(self.last_visit_before.as_ref()))?,
            include_users_without_visits: self.include_users_without_visits,
        })
    }
}

/// The order of `userVisits`. Ties are in order of the user id; members without the value come last.
#[derive(Debug, Clone, Copy, InputObject)]
pub(in crate::graphql) struct UserVisitsOrderInput {
    /// What to sort by.
    #[graphql(default)]
    field: UserVisitsOrderField,
    /// Which way.
    #[graphql(default)]
    direction: OrderDirection,
}

impl From<UserVisitsOrderInput> for UserVisitsOrder {
    fn from(input: UserVisitsOrderInput) -> Self {
        Self { field: input.field.into(), direction: input.direction.into() }
    }
}

/// What `userVisits` can be sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "UserVisitsField")]
pub(in crate::graphql) enum UserVisitsOrderField {
    /// The member's id.
    #[default]
    UserId,
    /// Tokens used.
    Visits,
    /// Tokens issued.
    TokensIssued,
    /// When the member joined.
    JoinedAt,
    /// The earliest visit.
    FirstVisitAt,
    /// The latest visit.
    LastVisitAt,
}
