//! `members`: members by the time since their last visit, as a Relay connection.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, InputObject, Object, Result, SimpleObject};

use crate::{
    config::limits::PageLimits,
    graphql::{
        error::client_error,
        guard,
        names::give_names,
        reports::user_visits::{PageInfo, UserVisitsOrderInput, cost, parts},
        types::{
            inputs,
            rows::{Rows, row},
            scalars::{Date, DateTime, TimeZone},
            user::{self, User},
        },
    },
    reports::{
        self, Argument, Here, InvalidArgument, Session, Thresholds, UserVisitsParts,
        filter::UserFilter,
        model::{UserVisits, UserVisitsPage},
        name::NamePart,
        page::{Page, PageArguments, UserVisitsOrder},
        time_zone::Zone,
    },
};

/// The root of `members`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct MembersQuery;

#[Object]
impl MembersQuery {
    /// Members by the time since their last visit, with their door codes and visits of all time. Visits count at the
    /// time at which door codes opened the door. Members without any door code are listed too. Pages work as those of
    /// `userVisits` do: use `first` with `after: pageInfo.endCursor` for the next page, and `last` with `before:
    /// pageInfo.startCursor` for the page before. Needs the scope `members`.
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The segment to list. Members of all segments are listed when it is left out.")]
        segment: Option<MemberSegment>,
        #[graphql(
            desc = "The number of local days after the day of joining for which a member is new: 1 to 3650.",
            default = 30
        )]
        new_within_days: i32,
        #[graphql(
            desc = "The number of local days after the day of the last visit for which a member is active: 1 to \
                    3650.",
            default = 30
        )]
        active_within_days: i32,
        #[graphql(
            desc = "The number of local days after the day of the last visit beyond which a member has lapsed: 1 to \
                    3650, and not less than `activeWithinDays`.",
            default = 90
        )]
        lapsed_after_days: i32,
        #[graphql(desc = "The members to list. All members are listed when the filter is left out.")] filter: Option<
            MembersFilterInput,
        >,
        #[graphql(desc = "The time zone of the days, and of the dates in `filter`. It is the default zone when it \
                                  is left out: UTC unless configured otherwise.")]
        time_zone: Option<TimeZone>,
        #[graphql(desc = "The order of the list. Members are ordered by id, ascending, when it is left out.")]
        order_by: Option<
            UserVisitsOrderInput,
        >,
        #[graphql(desc = "The number of members to list, from the top of the order, or from behind `after`: 1 to \
                          1000 unless configured otherwise. The number is 100 when neither `first` nor `last` is \
                          given. `first` and `last` cannot be combined.")]
        first: Option<i32>,
        #[graphql(desc = "The cursor of the member after which the page begins.")] after: Option<String>,
        #[graphql(desc = "The number of members to list, up to the end of the order, or up to `before`: 1 to 1000 \
                          unless configured otherwise. `last` and `first` cannot be combined.")]
        last: Option<i32>,
        #[graphql(desc = "The cursor of the member before which the page ends.")] before: Option<String>,
    ) -> Option<Result<MemberConnection>> {
        let order = order_by.map_or_else(UserVisitsOrder::default, Into::into);
        // Every row has a segment, which needs the times of visits.
        let parts = UserVisitsParts { visit_times: true, ..parts(&ctx.look_ahead()) };
        let page = async {
            guard::members(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), None)?;
            let thresholds = Thresholds::new(new_within_days, active_within_days, lapsed_after_days)?;
            let users = filter.unwrap_or_default().users(here)?;
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

/// The group that a member belongs to, by the time of the last visit. Every member is in exactly one of `ACTIVE`,
/// `LAPSING`, `LAPSED` and `NEVER_CAME`; a `NEW` member is in one of these as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::MemberSegment")]
pub(in crate::graphql) enum MemberSegment {
    /// The member joined at most `newWithinDays` local days ago.
    New,
    /// The member last came at most `activeWithinDays` local days ago.
    Active,
    /// The member last came more than `activeWithinDays` and at most `lapsedAfterDays` local days ago. A message may
    /// bring the member back.
    Lapsing,
    /// The member last came more than `lapsedAfterDays` local days ago.
    Lapsed,
    /// The member never came.
    NeverCame,
}

give_names!(reports::MemberSegment as MemberSegment);

/// The members that `members` lists. A member is listed when all conditions are met.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct MembersFilterInput {
    /// Only the members with these ids: at most 1,000 ids. An empty list matches no member.
    user_ids: Option<Vec<i32>>,
    /// Only members who joined on this local date or later.
    joined_from: Option<Date>,
    /// Only members who joined on this local date or earlier.
    joined_to: Option<Date>,
    /// Only members whose membership is active now (true), or is not active now (false).
    is_active: Option<bool>,
    /// Only members whose name contains this text, in upper or lower case: 1 to 101 characters of the first name, a
    /// space and the last name. `%`, `_` and `\\` mean themselves, accents count, and control characters are refused.
    /// Needs the scope `members`.
    name_contains: Option<String>,
}

impl MembersFilterInput {
    pub(in crate::graphql) fn users(self, here: Here) -> Result<UserFilter, InvalidArgument> {
        let (from, to) = (inputs::text(self.joined_from.as_ref()), inputs::text(self.joined_to.as_ref()));
        let name = self.name_contains.as_deref().map(NamePart::new).transpose()?;
        Ok(here.users(self.user_ids, from, to, self.is_active)?.named(name))
    }
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

    /// The position of this page in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo::of(&self.page, self.order)
    }

    /// The number of members on all pages together.
    async fn total_count(&self) -> i64 {
        self.page.totals.unwrap_or_default().users
    }
}

/// A member on a page, with a cursor.
#[derive(Debug, SimpleObject)]
struct MemberEdge {
    /// The position of the member in the list, for `after` and `before`. A cursor is valid only with the same
    /// `orderBy`.
    cursor: String,
    /// The member.
    node: Member,
}

/// A member, and the time since the member's last visit.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
struct Member {
    /// The member's id.
    user_id: i32,
    /// `ACTIVE`, `LAPSING`, `LAPSED` or `NEVER_CAME`. New members have one of these too, never `NEW`.
    segment: MemberSegment,
    /// The number of local days from the day of the last visit to today: 0 for a visit of today, and for a visit that
    /// lies in the future because clocks differ. Null for a member who never came.
    days_since_last_visit: Option<i64>,
    /// Visits of all time: door codes that were used.
    visits: i64,
    /// Door codes issued, of all time.
    tokens_issued: i64,
    /// The instant of the first visit, in UTC; null without any visit.
    first_visit_at: Option<DateTime>,
    /// The instant of the last visit, in UTC; null without any visit.
    last_visit_at: Option<DateTime>,
    /// The instant at which the member joined, in UTC; null where the member no longer has a row in the database.
    joined_at: Option<DateTime>,
    /// Whether the membership is active now; null where the member no longer has a row in the database.
    is_active: Option<bool>,
}

#[ComplexObject]
impl Member {
    /// The member's own data; null where the member no longer has a row in the database. All members of a list are
    /// loaded at once. Needs the scope `members`.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        user::load(ctx, self.user_id).await
    }
}

row!(Member: user_id, segment, days_since_last_visit, visits, tokens_issued, first_visit_at, last_visit_at, joined_at, is_active);
