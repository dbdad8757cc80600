//! `userVisits`: the list of members with their visits, as a Relay connection.

use std::sync::Arc;

use async_graphql::{
    ComplexObject, Context, Enum, InputObject, InputType as _, Lookahead, Object, Result, SimpleObject, Value,
    dataloader::DataLoader,
};

use super::{
    error::client_error,
    input::{Here, OrderDirection, RelativeRange, TimeBasis},
    limits,
    loader::UserLoader,
    rows::{Row, Rows},
    scalar::{Date, DateTime, TimeZone},
};
use crate::reports::{
    self, InvalidArgument, Session, UserVisitsParts,
    filter::{self, VisitsRange},
    model::UserVisitsPage,
    page::{Page, PageArguments, PageLimits, UserVisitsField, UserVisitsOrder},
};

/// The root of `userVisits`.
#[derive(Debug, Default)]
pub(super) struct UserVisitsQuery;

#[Object]
impl UserVisitsQuery {
    /// Members with their visits, a page at a time. A member is listed when a token was issued to them
    /// in the range of `filter` (with `USED_AT` also when one was used in it); members without any are
    /// listed only if the filter asks for them. Page on with `first` and `after: pageInfo.endCursor`,
    /// back with `last` and `before: pageInfo.startCursor`; pages stay right while visits are recorded.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn user_visits(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which members are listed, and which of their tokens count; everything when left out.")]
        filter: Option<UserVisitsFilterInput>,
        #[graphql(desc = "The order of the list: by user id, ascending, when left out.")] order_by: Option<
            UserVisitsOrderInput,
        >,
        #[graphql(desc = "So many members from the top of the order, or from behind `after`: 1 to 1000 unless \
                          configured otherwise; 100 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Begin behind the member with this cursor.")] after: Option<String>,
        #[graphql(desc = "So many members up to the end of the order, or up to `before`; not together with `first`.")]
        last: Option<i32>,
        #[graphql(desc = "End before the member with this cursor.")] before: Option<String>,
    ) -> Option<Result<UserVisitsConnection>> {
        let order = order_by.map_or_else(UserVisitsOrder::default, Into::into);
        let parts = parts(&ctx.look_ahead());
        let page = async {
            let filter = filter.unwrap_or_default().into_filter(ctx)?;
            let arguments = PageArguments { first, after: after.as_deref(), last, before: before.as_deref() };
            let page = Page::new(arguments, order, *ctx.data_unchecked::<PageLimits>())?;
            ctx.data_unchecked::<Arc<Session>>().user_visits(&filter, order, &page, parts).await
        };
        Some(page.await.map(|page| UserVisitsConnection { page, order }).map_err(client_error))
    }
}

/// A page of members, and what is true of the whole list.
struct UserVisitsConnection {
    page: UserVisitsPage,
    order: UserVisitsOrder,
}

/// One page of members with their visits, and sums over all that the filter matches.
#[Object]
impl UserVisitsConnection {
    /// The members on this page.
    async fn nodes(&self) -> Rows<UserVisits> {
        Rows(self.page.rows.iter().map(UserVisits::from).collect())
    }

    /// The members on this page, each with its cursor.
    async fn edges(&self) -> Vec<UserVisitsEdge> {
        let edge = |row| UserVisitsEdge { cursor: self.order.cursor(row), node: UserVisits::from(row) };
        self.page.rows.iter().map(edge).collect()
    }

    /// Where this page lies in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.page.has_next,
            has_previous_page: self.page.has_previous,
            start_cursor: self.page.rows.first().map(|row| self.order.cursor(row)),
            end_cursor: self.page.rows.last().map(|row| self.order.cursor(row)),
        }
    }

    /// How many members the filter matches, on all pages together.
    async fn total_count(&self) -> i64 {
        self.page.totals.unwrap_or_default().users
    }

    /// Sums over all members that the filter matches, on all pages together.
    async fn totals(&self) -> UserVisitsTotals {
        let totals = self.page.totals.unwrap_or_default();
        UserVisitsTotals {
            visits: totals.visits,
            tokens_issued: totals.tokens_issued,
            tokens_unused: totals.tokens_unused,
            conversion_rate: totals.conversion_rate(),
        }
    }
}

/// A member on a page.
#[derive(Debug, SimpleObject)]
struct UserVisitsEdge {
    /// The member's place in the list, for `after` and `before`. Valid for the same `orderBy` only.
    cursor: String,
    /// The member.
    node: UserVisits,
}

/// Where a page lies in its list.
#[derive(Debug, SimpleObject)]
struct PageInfo {
    /// Whether members follow this page.
    has_next_page: bool,
    /// Whether members precede this page.
    has_previous_page: bool,
    /// The cursor of the first member on the page; null on an empty page.
    start_cursor: Option<String>,
    /// The cursor of the last member on the page; null on an empty page.
    end_cursor: Option<String>,
}

/// Sums over all members that a filter matches.
#[derive(Debug, SimpleObject)]
struct UserVisitsTotals {
    /// Tokens used.
    visits: i64,
    /// Tokens issued.
    tokens_issued: i64,
    /// Tokens issued and never used so far.
    tokens_unused: i64,
    /// `visits` divided by `tokensIssued`; null when none was issued.
    conversion_rate: Option<f64>,
}

/// One member's tokens and visits in the range of the filter.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
struct UserVisits {
    /// The member's id.
    user_id: i32,
    /// Tokens used: visits. (The legacy report's `visits` is `tokensIssued` here.)
    visits: i64,
    /// Tokens issued, used or not.
    tokens_issued: i64,
    /// Tokens issued and never used so far.
    tokens_unused: i64,
    /// The earliest of the visits; null without any.
    first_visit_at: Option<DateTime>,
    /// The latest of the visits; null without any.
    last_visit_at: Option<DateTime>,
    /// When the member joined; null where the member's own row is gone.
    joined_at: Option<DateTime>,
    /// Whether the membership is active now; null where the member's own row is gone.
    is_active: Option<bool>,
}

#[ComplexObject]
impl UserVisits {
    /// The member's own data; null where that row is gone. All members of a list are loaded at once.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        let user = ctx.data_unchecked::<DataLoader<UserLoader>>().load_one(self.user_id).await;
        user.map(|user| user.map(User::from)).map_err(client_error).transpose()
    }
}

impl Row for UserVisits {
    fn value(&self, field: &str) -> Option<Value> {
        Some(match field {
            "userId" => self.user_id.to_value(),
            "visits" => self.visits.to_value(),
            "tokensIssued" => self.tokens_issued.to_value(),
            "tokensUnused" => self.tokens_unused.to_value(),
            "firstVisitAt" => self.first_visit_at.to_value(),
            "lastVisitAt" => self.last_visit_at.to_value(),
            "joinedAt" => self.joined_at.to_value(),
            "isActive" => self.is_active.to_value(),
            // `user` is loaded.
            _ => return None,
        })
    }
}

impl From<&reports::model::UserVisits> for UserVisits {
    fn from(row: &reports::model::UserVisits) -> Self {
        Self {
            user_id: row.user_id,
            visits: row.visits,
            tokens_issued: row.tokens_issued,
            tokens_unused: row.tokens_unused,
            first_visit_at: row.first_visit_at.map(Into::into),
            last_visit_at: row.last_visit_at.map(Into::into),
            joined_at: row.joined_at.map(Into::into),
            is_active: row.is_active,
        }
    }
}

/// A member of the space.
#[derive(Debug, SimpleObject)]
struct User {
    /// The member's id.
    id: i32,
    /// Given name.
    first_name: String,
    /// Family name.
    last_name: String,
    /// When the member joined.
    joined_at: DateTime,
    /// Whether the membership is active now.
    is_active: bool,
}

impl From<entity::user::Model> for User {
    fn from(user: entity::user::Model) -> Self {
        Self {
            id: user.id,
            first_name: user.first_name,
            last_name: user.last_name,
            joined_at: user.joined_at.into(),
            is_active: user.is_active,
        }
    }
}

/// Which members `userVisits` lists, and which of their tokens count. Conditions are combined with "and".
#[derive(Debug, Default, InputObject)]
struct UserVisitsFilterInput {
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
    fn into_filter(self, ctx: &Context<'_>) -> Result<filter::UserVisitsFilter, InvalidArgument> {
        let here = Here::new(ctx, "filter.timeZone", &self.time_zone, None)?;
        Ok(filter::UserVisitsFilter {
            range: here.range(self.range, self.from.as_ref(), self.to.as_ref())?,
            users: here.users(self.user_ids, self.joined_from.as_ref(), self.joined_to.as_ref(), self.is_active)?,
            zone: here.zone,
            basis: self.basis.into(),
            visits: VisitsRange::new(self.min_visits, self.max_visits)?,
            last_visit_before: here.date("filter.lastVisitBefore", self.last_visit_before.as_ref())?,
            include_users_without_visits: self.include_users_without_visits,
        })
    }
}

/// The order of `userVisits`. Ties are in order of the user id; members without the value come last.
#[derive(Debug, Clone, Copy, InputObject)]
struct UserVisitsOrderInput {
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
enum UserVisitsOrderField {
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

/// The parts that the client selected.
fn parts(selection: &Lookahead<'_>) -> UserVisitsParts {
    let rows = [selection.field("nodes"), selection.field("edges").field("node")];
    let in_rows = |fields: &[&str]| rows.iter().any(|row| fields.iter().any(|field| row.field(field).exists()));
    UserVisitsParts {
        visit_times: in_rows(&["firstVisitAt", "lastVisitAt"]),
        membership: in_rows(&["joinedAt", "isActive"]),
        totals: selection.field("totalCount").exists() || selection.field("totals").exists(),
        behind: ["hasNextPage", "hasPreviousPage"]
            .iter()
            .any(|field| selection.field("pageInfo").field(field).exists()),
    }
}

fn cost(first: Option<i32>, last: Option<i32>, child_complexity: usize) -> usize {
    let rows = first.or(last).and_then(|rows| usize::try_from(rows).ok()).unwrap_or(PageLimits::default().default);
    limits::cost(rows, child_complexity)
}
