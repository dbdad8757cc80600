//! `userVisits`: the list of members with their visits, as a Relay connection.

mod before;
mod input;

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Lookahead, Name, Object, Result, SimpleObject, Value};

use self::before::{Befores, PreviousUserVisits, comparisons};
pub(in crate::graphql) use self::input::UserVisitsOrderInput;
use crate::{
    access::NotGranted,
    config::limits::PageLimits,
    graphql::{
        cost,
        error::client_error,
        guard,
        reports::{
            usage::comparison::{Comparison, Extent},
            user_visits::input::UserVisitsFilterInput,
        },
        types::{
            rows::{Rows, row},
            scalars::DateTime,
            user::{self, User},
        },
    },
    reports::{
        self, Session, UserVisitsParts,
        model::{UserVisitsPage, ratio},
        page::{Page, PageArguments, UserVisitsOrder},
    },
};

/// The fields of members that the scope `reports` is enough for: those of the legacy report, and `__typename`.
const LEGACY: [&str; 4] = ["userId", "tokensIssued", "joinedAt", "__typename"];

/// The root of `userVisits`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct UserVisitsQuery;

#[Object]
impl UserVisitsQuery {
    /// Members with their visits, one page at a time. A member is listed when a door code was issued to the member in
    /// the range of `filter`; with the basis `USED_AT`, a member is also listed when a door code of the member was
    /// used in it. Other members are listed only if the filter asks for them. Use `first` with `after:
    /// pageInfo.endCursor` for the next page, and `last` with `before: pageInfo.startCursor` for the page before;
    /// pages stay right while visits are recorded. The scope `reports` is enough for the totals, for `pageInfo`, and
    /// for `userId`, `tokensIssued` and `joinedAt` of each member. All other fields of members, `others`, a filter,
    /// and an order other than that by `USER_ID` need the scope `members` as well.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn user_visits(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The members to list, and the door codes that count. All members with door codes are \
                          listed, and all door codes count, when the filter is left out. A filter needs the scope \
                          `members`.")]
        filter: Option<UserVisitsFilterInput>,
        #[graphql(desc = "The order of the list. Members are ordered by id, ascending, when it is left out. Any \
                          order other than that by `USER_ID` needs the scope `members`.")]
        order_by: Option<UserVisitsOrderInput>,
        #[graphql(desc = "The number of members to list, from the top of the order, or from behind `after`: 1 to \
                          1000 unless configured otherwise. The number is 100 when neither `first` nor `last` is \
                          given. `first` and `last` cannot be combined.")]
        first: Option<i32>,
        #[graphql(desc = "The cursor of the member after which the page begins.")] after: Option<String>,
        #[graphql(desc = "The number of members to list, up to the end of the order, or up to `before`: 1 to 1000 \
                          unless configured otherwise. `last` and `first` cannot be combined.")]
        last: Option<i32>,
        #[graphql(desc = "The cursor of the member before which the page ends.")] before: Option<String>,
    ) -> Option<Result<UserVisitsConnection>> {
        let order = order_by.map_or_else(UserVisitsOrder::default, Into::into);
        let selection = ctx.look_ahead();
        let parts = parts(&selection);
        let page = async {
            check_access(ctx)?;
            let filter = filter.unwrap_or_default().into_filter(ctx)?;
            let arguments = PageArguments { first, after: after.as_deref(), last, before: before.as_deref() };
            let page = Page::new(arguments, order, *ctx.data_unchecked::<PageLimits>())?;
            let session = ctx.data_unchecked::<Arc<Session>>();
            let comparisons = comparisons(session, &selection, &filter)?;
            let page = session.user_visits(&filter, order, &page, parts).await?;
            let before = Befores::of(session, comparisons, &page.rows).await?;
            Ok::<_, reports::Error>(UserVisitsConnection { page, order, before: Arc::new(before) })
        };
        Some(page.await.map_err(client_error))
    }
}

/// A page of members, and what is true of the whole list.
struct UserVisitsConnection {
    page: UserVisitsPage,
    order: UserVisitsOrder,
    before: Arc<Befores>,
}

/// One page of members with their visits, and sums over all members that the filter matches.
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

    /// The position of this page in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::of(&self.page, self.order)
    }

    /// The number of members that the filter matches, on all pages together.
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

    /// Sums over the members that the filter matches and that are not on this page. With `orderBy: {field: VISITS,
    /// direction: DESC}, first: 10` it gives the slice "others" of a pie chart of the ten members with the most
    /// visits. Needs the scope `members`.
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
            before: Arc::clone(&self.before),
        }
    }
}

/// Sums over the members that the filter matches and that are not on this page.
#[derive(Debug, SimpleObject)]
struct UserVisitsOthers {
    /// The number of these members.
    users: i64,
    /// Visits of these members: door codes that were used.
    visits: i64,
    /// Door codes issued to these members.
    tokens_issued: i64,
    /// Door codes issued to these members and not used so far.
    tokens_unused: i64,
    /// The share of these members in all visits that the filter matches, from 0 to 1; null when there are no visits.
    share: Option<f64>,
}

/// A member on a page, with a cursor.
#[derive(Debug, SimpleObject)]
struct UserVisitsEdge {
    /// The position of the member in the list, for `after` and `before`. A cursor is valid only with the same
    /// `orderBy`.
    cursor: String,
    /// The member with the visits.
    node: UserVisits,
}

/// The position of a page in its list.
#[derive(Debug, SimpleObject)]
#[graphql(shareable)]
pub(in crate::graphql) struct PageInfo {
    /// Whether more members follow this page.
    has_next_page: bool,
    /// Whether members precede this page.
    has_previous_page: bool,
    /// The cursor of the first member on the page; null on an empty page.
    start_cursor: Option<String>,
    /// The cursor of the last member on the page; null on an empty page.
    end_cursor: Option<String>,
}

impl PageInfo {
    pub(in crate::graphql) fn of(page: &UserVisitsPage, order: UserVisitsOrder) -> Self {
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
    /// Visits: door codes that were used.
    visits: i64,
    /// Door codes issued.
    tokens_issued: i64,
    /// Door codes issued and not used so far.
    tokens_unused: i64,
    /// `visits` divided by `tokensIssued`; null when no door code was issued.
    conversion_rate: Option<f64>,
}

/// The door codes and visits of one member in the range of the filter.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
struct UserVisits {
    /// The member's id.
    user_id: i32,
    /// Visits: door codes that were used. The legacy report's `visits` is `tokensIssued` here. Needs the scope
    /// `members`.
    visits: i64,
    /// Door codes issued, used or not.
    tokens_issued: i64,
    /// Door codes issued and not used so far. Needs the scope `members`.
    tokens_unused: i64,
    /// The rank of the member by visits among all members that the filter matches, whatever the order of the list: 1
    /// is the member with the most visits. Members with the same number of visits have the same rank. Needs the scope
    /// `members`.
    rank: i64,
    /// The share of the member in all visits that the filter matches, from 0 to 1; null when there are no visits.
    /// Needs the scope `members`.
    share: Option<f64>,
    /// The instant of the earliest visit in the range, in UTC; null without any visit. Needs the scope `members`.
    first_visit_at: Option<DateTime>,
    /// The instant of the latest visit in the range, in UTC; null without any visit. Needs the scope `members`.
    last_visit_at: Option<DateTime>,
    /// The instant at which the member joined, in UTC; null where the member no longer has a row in the database.
    joined_at: Option<DateTime>,
    /// Whether the membership is active now; null where the member no longer has a row in the database. Needs the
    /// scope `members`.
    is_active: Option<bool>,
    #[graphql(skip)]
    before: Arc<Befores>,
}

#[ComplexObject]
impl UserVisits {
    /// The same member in an earlier period, for example to compare the ten members with the most visits of this
    /// quarter with the last quarter. Needs a `filter` whose range has a beginning, and the scope `members`.
    async fn previous(
        &self,
        #[graphql(desc = "The period to compare with.", default)] compare_to: Comparison,
        #[graphql(desc = "The part of the range that is compared.", default)] extent: Extent,
    ) -> Option<PreviousUserVisits> {
        self.before.member(self.user_id, compare_to, extent)
    }

    /// The member's own data; null where the member no longer has a row in the database. All members of a list are
    /// loaded at once. Needs the scope `members`.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        user::load(ctx, self.user_id).await
    }
}

row!(UserVisits: user_id, visits, tokens_issued, tokens_unused, rank, share, first_visit_at, last_visit_at, joined_at, is_active; resolved: before);

/// The parts that the client selected.
pub(in crate::graphql) fn parts(selection: &Lookahead<'_>) -> UserVisitsParts {
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

pub(in crate::graphql) fn cost(first: Option<i32>, last: Option<i32>, child_complexity: usize) -> usize {
    let rows = first.or(last).and_then(|rows| usize::try_from(rows).ok()).unwrap_or(PageLimits::default().default);
    cost::of(rows, child_complexity)
}

/// The scope `reports` is enough for what the legacy report published: the list, its totals, and [`LEGACY`] of each
/// member. Everything else needs `members`.
fn check_access(ctx: &Context<'_>) -> Result<(), NotGranted> {
    guard::reports(ctx)?;
    let selection = ctx.look_ahead();
    let is_legacy = |row: &Lookahead<'_>| {
        let fields = row.selection_fields();
        fields.iter().all(|row| row.selection_set().all(|field| LEGACY.contains(&field.name())))
    };
    let order = match argument(ctx, "orderBy") {
        Some(Value::Object(order)) => {
            order.get("field").is_none_or(|field| *field == Value::Enum(Name::new("USER_ID")))
        }
        _ => true,
    };
    let rows = [selection.field("nodes"), selection.field("edges").field("node")];
    let asks_more = argument(ctx, "filter").is_some_and(|filter| filter != Value::Null)
        || !order
        || selection.field("others").exists()
        || !rows.iter().all(is_legacy);
    if asks_more { guard::members(ctx) } else { Ok(()) }
}

/// An argument of the field, with the values of its variables.
fn argument(ctx: &Context<'_>, name: &str) -> Option<Value> {
    let arguments = ctx.field().arguments().unwrap_or_default();
    arguments.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}
