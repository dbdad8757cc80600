//! The filter and the order of `userVisits`.

use async_graphql::{Context, Enum, InputObject};

use crate::{
    graphql::{
        names::give_names,
        types::{
            inputs::{self, OrderDirection, RelativeRange, TimeBasis},
            scalars::{Date, TimeZone},
        },
    },
    reports::{
        Argument, InvalidArgument,
        filter::{self, VisitsRange},
        name::NamePart,
        page::{UserVisitsField, UserVisitsOrder},
    },
};

/// The members that `userVisits` lists, and the door codes that count. A member is listed when all conditions are
/// met. A filter needs the scope `members`.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct UserVisitsFilterInput {
    /// Only the members with these ids: at most 1,000 ids. An empty list matches no member.
    user_ids: Option<Vec<i32>>,
    /// The first local date on which door codes count, included.
    from: Option<Date>,
    /// The last local date on which door codes count, included.
    to: Option<Date>,
    /// A range of dates that moves with the days, such as `LAST_30_DAYS`. It cannot be combined with `from` or `to`.
    range: Option<RelativeRange>,
    /// The time zone of the dates in this filter. It is the default zone when it is left out: UTC unless configured
    /// otherwise.
    time_zone: Option<TimeZone>,
    /// The time that decides whether a visit is in the range: the time at which its door code was issued, or the time
    /// at which it was used. It is the default basis when it is left out: `ISSUED_AT` unless configured otherwise.
    basis: Option<TimeBasis>,
    /// Only members who joined on this local date or later.
    joined_from: Option<Date>,
    /// Only members who joined on this local date or earlier.
    joined_to: Option<Date>,
    /// Only members whose membership is active now (true), or is not active now (false).
    is_active: Option<bool>,
    /// Only members whose name contains this text, in upper or lower case: 1 to 101 characters of the first name, a
    /// space and the last name. `%`, `_` and `\\` mean themselves, accents count, and control characters are refused.
    name_contains: Option<String>,
    /// Only members with at least this number of visits in the range. It cannot be negative, nor more than
    /// `maxVisits`.
    min_visits: Option<i32>,
    /// Only members with at most this number of visits in the range. It cannot be negative, nor less than
    /// `minVisits`.
    max_visits: Option<i32>,
    /// Only members whose last visit in the range was before this local date: members who stopped coming. Members
    /// without a visit are not listed.
    last_visit_before: Option<Date>,
    /// List members without any door code in the range as well, with zeros.
    #[graphql(default)]
    include_users_without_visits: bool,
}

impl UserVisitsFilterInput {
    pub(in crate::graphql) fn into_filter(
        self,
        ctx: &Context<'_>,
    ) -> Result<filter::UserVisitsFilter, InvalidArgument> {
        let here = inputs::here(ctx, Argument::TIME_ZONE_OF_FILTER, self.time_zone.as_ref(), None)?;
        Ok(filter::UserVisitsFilter {
            range: here.range(
                self.range.map(Into::into),
                inputs::text(self.from.as_ref()),
                inputs::text(self.to.as_ref()),
            )?,
            left_out: Vec::new(),
            users: here
                .users(
                    self.user_ids,
                    inputs::text(self.joined_from.as_ref()),
                    inputs::text(self.joined_to.as_ref()),
                    self.is_active,
                )?
                .named(self.name_contains.as_deref().map(NamePart::new).transpose()?),
            zone: here.zone,
            basis: inputs::basis(ctx, self.basis),
            visits: VisitsRange::new(self.min_visits, self.max_visits)?,
            last_visit_from: None,
            last_visit_before: here.date(Argument::LAST_VISIT_BEFORE, inputs::text(self.last_visit_before.as_ref()))?,
            include_users_without_visits: self.include_users_without_visits,
        })
    }
}

/// The order of `userVisits` and of `members`. Ties are ordered by member id; members without the value come last.
#[derive(Debug, Clone, Copy, InputObject)]
pub(in crate::graphql) struct UserVisitsOrderInput {
    /// The value to sort by.
    #[graphql(default)]
    field: UserVisitsOrderField,
    /// Sort direction.
    #[graphql(default)]
    direction: OrderDirection,
}

impl From<UserVisitsOrderInput> for UserVisitsOrder {
    fn from(input: UserVisitsOrderInput) -> Self {
        Self { field: input.field.into(), direction: input.direction.into() }
    }
}

/// The values that `userVisits` and `members` can be sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "UserVisitsField")]
pub(in crate::graphql) enum UserVisitsOrderField {
    /// The member's id.
    #[default]
    UserId,
    /// Visits: door codes that were used.
    Visits,
    /// Door codes issued.
    TokensIssued,
    /// The instant at which the member joined.
    JoinedAt,
    /// The instant of the earliest visit.
    FirstVisitAt,
    /// The instant of the latest visit.
    LastVisitAt,
}

give_names!(UserVisitsField as UserVisitsOrderField);
