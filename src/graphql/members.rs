//! `members`: who is new, who comes, who stopped, who never came, as a Relay connection.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, InputObject, InputType as _, Object, Result, SimpleObject, Value};

use super::{
    error::client_error,
    guard, input,
    rows::{Row, Rows},
    scalar::{Date, DateTime, TimeZone},
    user::{self, User},
    user_visits::{PageInfo, UserVisitsOrderInput, cost, parts},
};
use crate::config::limits::PageLimits;
use crate::reports::{
    self, Session, Thresholds, UserVisitsParts,
    model::{UserVisits, UserVisitsPage},
    page::{Page, PageArguments, UserVisitsOrder},
    time_zone::Zone,
};

/// The root of `members`.
#[derive(Debug, Default)]
pub(super) struct MembersQuery;

#[Object]
impl MembersQuery {
    /// Members by how long ago they last came: their visits of all time, by the time at which tokens opened the
    /// door. Also lists members without any token. Pages are as of `userVisits`.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this segment; everybody when left out.")] segment: Option<MemberSegment>,
        #[graphql(
            desc = "Members are new for so many local days after the one on which they joined: 1 to 3650.",
            default = 30
        )]
        new_within_days: i32,
        #[graphql(
            desc = "Members are active for so many local days after the one on which they last came: 1 to \
                          3650.",
            default = 30
        )]
        active_within_days: i32,
        #[graphql(
            desc = "Members have lapsed after so many local days since they last came: 1 to 3650, and no less \
                          than `activeWithinDays`.",
            default = 90
        )]
        lapsed_after_days: i32,
        #[graphql(desc = "Which members; everybody when left out.")] filter: Option<MembersFilterInput>,
        #[graphql(desc = "The zone of the days, and of the dates in `filter`.", default)] time_zone: TimeZone,
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
    ) -> Option<Result<MemberConnection>> {
        let order = order_by.map_or_else(UserVisitsOrder::default, Into::into);
        // Every row has a segment.
        let parts = UserVisitsParts { visit_times: true, ..parts(&ctx.look_ahead()) };
        let page = async {
            guard::members(ctx)?;
            let here = input::here(ctx, "timeZone", &time_zone, None)?;
            let thresholds = Thresholds::new(new_within_days, active_within_days, lapsed_after_days)?;
            let filter = filter.unwrap_or_default();
            let users = here.users(
                filter.user_ids,
                input::text(filter.joined_from.as_ref()),
                input::text(filter.joined_to.as_ref()),
                filter.is_active,
            )?;
            let arguments = PageArguments { first, after: after.as_deref(), last, before: before.as_deref() };
            let page = Page::new(arguments, order, *ctx.data_unchecked::<PageLimits>())?;
            let session = ctx.data_unchecked::<Arc<Session>>();
            let filter = session.segment_filter(segment.map(Into::into), thresholds, users, here.zone);
            let page = session.user_visits(&filter, order, &page, parts).await?;
            let session = Arc::clone(session);
            Ok::<_, reports::Error>(MemberConnection { session, page, order, thresholds, zone: here.zone })
        };
        Some(page.await.map_err(client_error))
    }
}

/// Where a member stands. `ACTIVE`, `LAPSING`, `LAPSED` and `NEVER_CAME` divide all members; `NEW` ones are in one of
/// these as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::MemberSegment")]
pub(super) enum MemberSegment {
    /// Joined at most `newWithinDays` ago.
    New,
    /// Last came at most `activeWithinDays` ago.
    Active,
    /// Last came longer ago than that, and at most `lapsedAfterDays` ago: a message may bring them back.
    Lapsing,
    /// Last came more than `lapsedAfterDays` ago.
    Lapsed,
    /// Never came.
    NeverCame,
}

/// Which members `members` lists. Conditions are combined with "and".
#[derive(Debug, Default, InputObject)]
struct MembersFilterInput {
    /// Only these members: at most 1,000 ids. An empty list matches nobody.
    user_ids: Option<Vec<i32>>,
    /// Only members who joined on this local date or later.
    joined_from: Option<Date>,
    /// Only members who joined on this local date or earlier.
    joined_to: Option<Date>,
    /// Only members whose membership is active now (true), or is not (false).
    is_active: Option<bool>,
}

/// A page of members.
struct MemberConnection {
    session: Arc<Session>,
    page: UserVisitsPage,
    order: UserVisitsOrder,
    thresholds: Thresholds,
    zone: Zone,
}

impl MemberConnection {
    fn node(&self, row: &UserVisits) -> Member {
        let days_since_last_visit = self.session.days_since_last_visit(row, self.zone);
        Member {
            user_id: row.user_id,
            segment: self.thresholds.segment(days_since_last_visit).into(),
            days_since_last_visit,
            visits: row.visits,
            tokens_issued: row.tokens_issued,
            first_visit_at: row.first_visit_at.map(Into::into),
            last_visit_at: row.last_visit_at.map(Into::into),
            joined_at: row.joined_at.map(Into::into),
            is_active: row.is_active,
        }
    }
}

/// One page of members.
#[Object]
impl MemberConnection {
    /// The members on this page.
    async fn nodes(&self) -> Rows<Member> {
        Rows(self.page.rows.iter().map(|row| self.node(row)).collect())
    }

    /// The members on this page, each with its cursor.
    async fn edges(&self) -> Vec<MemberEdge> {
        let edge = |row| MemberEdge { cursor: self.order.cursor(row), node: self.node(row) };
        self.page.rows.iter().map(edge).collect()
    }

    /// Where this page lies in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::of(&self.page, self.order)
    }

    /// How many members there are, on all pages together.
    async fn total_count(&self) -> i64 {
        self.page.totals.unwrap_or_default().users
    }
}

/// A member on a page.
#[derive(Debug, SimpleObject)]
struct MemberEdge {
    /// The member's place in the list, for `after` and `before`. Valid for the same `orderBy` only.
    cursor: String,
    /// The member.
    node: Member,
}

/// A member, and how long ago they last came.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
struct Member {
    /// The member's id.
    user_id: i32,
    /// `ACTIVE`, `LAPSING`, `LAPSED` or `NEVER_CAME`, also for members who are new.
    segment: MemberSegment,
    /// Local days since the one of the last visit: 0 for today, and for a visit that lies in the future, by clocks that differ.
    /// Null for members who never came.
    days_since_last_visit: Option<i64>,
    /// Tokens used: visits of all time.
    visits: i64,
    /// Tokens issued, of all time.
    tokens_issued: i64,
    /// The first visit; null without any.
    first_visit_at: Option<DateTime>,
    /// The last visit; null without any.
    last_visit_at: Option<DateTime>,
    /// When the member joined; null where the member's own row is gone.
    joined_at: Option<DateTime>,
    /// Whether the membership is active now; null where the member's own row is gone.
    is_active: Option<bool>,
}

#[ComplexObject]
impl Member {
    /// The member's own data; null where that row is gone. All members of a list are loaded at once.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        user::load(ctx, self.user_id).await
    }
}

impl Row for Member {
    fn value(&self, field: &str) -> Option<Value> {
        Some(match field {
            "userId" => self.user_id.to_value(),
            "segment" => self.segment.to_value(),
            "daysSinceLastVisit" => self.days_since_last_visit.to_value(),
            "visits" => self.visits.to_value(),
            "tokensIssued" => self.tokens_issued.to_value(),
            "firstVisitAt" => self.first_visit_at.to_value(),
            "lastVisitAt" => self.last_visit_at.to_value(),
            "joinedAt" => self.joined_at.to_value(),
            "isActive" => self.is_active.to_value(),
            // `user` is loaded.
            _ => return None,
        })
    }
}
