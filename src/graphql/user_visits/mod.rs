//! `userVisits`: the list of members with their visits, as a Relay connection.

mod input;

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, InputType as _, Lookahead, Object, Result, SimpleObject, Value};

use self::input::UserVisitsFilterInput;
pub(super) use self::input::{UserVisitsOrderField, UserVisitsOrderInput};
use super::{
    error::client_error,
    guard, limits,
    rows::{Row, Rows},
    scalar::DateTime,
    user::{self, User},
};
use crate::config::limits::PageLimits;
use crate::reports::{
    self, Session, UserVisitsParts,
    model::{UserVisitsPage, ratio},
    page::{Page, PageArguments, UserVisitsOrder},
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
            guard::user_visits(ctx)?;
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
        Rows(self.page.rows.iter().map(|row| self.node(row)).collect())
    }

    /// The members on this page, each with its cursor.
    async fn edges(&self) -> Vec<UserVisitsEdge> {
        let edge = |row| UserVisitsEdge { cursor: self.order.cursor(row), node: self.node(row) };
        self.page.rows.iter().map(edge).collect()
    }

    /// Where this page lies in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::of(&self.page, self.order)
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

    /// Sums over the members that the filter matches and that are not on this page: with
    /// `orderBy: {field: VISITS, direction: DESC}, first: 10` the "others" of a pie of the ten who come most.
    async fn others(&self) -> UserVisitsOthers {
        let totals = self.page.totals.unwrap_or_default();
        let others = totals.without(&self.page.rows);
        UserVisitsOthers {
            users: others.users,
            visits: others.visits,
            tokens_issued: others.tokens_issued,
            tokens_unused: others.tokens_unused,
            share: ratio(others.visits, totals.visits),
        }
    }
}

impl UserVisitsConnection {
    fn node(&self, row: &reports::model::UserVisits) -> UserVisits {
        UserVisits {
            user_id: row.user_id,
            visits: row.visits,
            tokens_issued: row.tokens_issued,
            tokens_unused: row.tokens_unused,
            rank: row.rank,
            share: ratio(row.visits, self.page.totals.unwrap_or_default().visits),
            first_visit_at: row.first_visit_at.map(Into::into),
            last_visit_at: row.last_visit_at.map(Into::into),
            joined_at: row.joined_at.map(Into::into),
            is_active: row.is_active,
        }
    }
}

/// Sums over the members that are not on a page.
#[derive(Debug, SimpleObject)]
struct UserVisitsOthers {
    /// How many members they are.
    users: i64,
    /// Tokens used.
    visits: i64,
    /// Tokens issued.
    tokens_issued: i64,
    /// Tokens issued and never used so far.
    tokens_unused: i64,
    /// Their part of all visits; null when there are none.
    share: Option<f64>,
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
pub(super) struct PageInfo {
    /// Whether members follow this page.
    has_next_page: bool,
    /// Whether members precede this page.
    has_previous_page: bool,
    /// The cursor of the first member on the page; null on an empty page.
    start_cursor: Option<String>,
    /// The cursor of the last member on the page; null on an empty page.
    end_cursor: Option<String>,
}

impl PageInfo {
    pub(super) fn of(page: &UserVisitsPage, order: UserVisitsOrder) -> Self {
        Self {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.rows.first().map(|row| order.cursor(row)),
            end_cursor: page.rows.last().map(|row| order.cursor(row)),
        }
    }
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
    /// The member's place by visits among all that the filter matches, whatever the order of the list: 1 for
    /// most visits. Members with as many visits share a place.
    rank: i64,
    /// The member's part of all visits that the filter matches; null when there are none.
    share: Option<f64>,
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
        user::load(ctx, self.user_id).await
    }
}

impl Row for UserVisits {
    fn value(&self, field: &str) -> Option<Value> {
        Some(match field {
            "userId" => self.user_id.to_value(),
            "visits" => self.visits.to_value(),
            "tokensIssued" => self.tokens_issued.to_value(),
            "tokensUnused" => self.tokens_unused.to_value(),
            "rank" => self.rank.to_value(),
            "share" => self.share.to_value(),
            "firstVisitAt" => self.first_visit_at.to_value(),
            "lastVisitAt" => self.last_visit_at.to_value(),
            "joinedAt" => self.joined_at.to_value(),
            "isActive" => self.is_active.to_value(),
            // `user` is loaded.
            _ => return None,
        })
    }
}

/// The parts that the client selected.
pub(super) fn parts(selection: &Lookahead<'_>) -> UserVisitsParts {
    let rows = [selection.field("nodes"), selection.field("edges").field("node")];
    let in_rows = |fields: &[&str]| rows.iter().any(|row| fields.iter().any(|field| row.field(field).exists()));
    UserVisitsParts {
        visit_times: in_rows(&["firstVisitAt", "lastVisitAt"]),
        membership: in_rows(&["joinedAt", "isActive"]),
        totals: ["totalCount", "totals", "others"].iter().any(|field| selection.field(field).exists())
            || in_rows(&["share"]),
        names: false,
        rank: in_rows(&["rank"]),
        behind: ["hasNextPage", "hasPreviousPage"]
            .iter()
            .any(|field| selection.field("pageInfo").field(field).exists()),
    }
}

pub(super) fn cost(first: Option<i32>, last: Option<i32>, child_complexity: usize) -> usize {
    let rows = first.or(last).and_then(|rows| usize::try_from(rows).ok()).unwrap_or(PageLimits::default().default);
    limits::cost(rows, child_complexity)
}
