//! Door codes issued to and used by each member.

mod before;
mod kept;
mod segments;

use chrono::NaiveDate;
use entity::{token, user};
use sea_orm::{
    DbBackend, QueryResult,
    sea_query::{
        CaseStatement, Cond, Condition, Expr, ExprTrait, Func, IntoColumnRef, JoinType, Order, Query, SelectStatement,
        WindowStatement, WithClause,
    },
};

pub use self::{
    before::{Placed, UserVisitsBefore, UserVisitsComparison},
    segments::SegmentSize,
};
use super::{
    Error, Session, Wait,
    dialect::{Local, from_tokens, instant, join_users, readable},
    filter::{TimeBasis, UserVisitsFilter},
    made,
    model::{UserVisits, UserVisitsPage, UserVisitsTotals},
    page::{Page, UserVisitsCursor, UserVisitsField, UserVisitsOrder},
    rollup,
    selection::{cte, user_condition},
};

/// What to compute in addition to the rows. Parts that are not requested cost nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of parts, each asked for or not")]
pub struct UserVisitsParts {
    /// Earliest and latest visit.
    pub visit_times: bool,
    /// When members joined, and whether they are active.
    pub membership: bool,
    /// Sums over the whole filtered set.
    pub totals: bool,
    /// Members' names.
    pub names: bool,
    /// Each member's rank by visits among all members that the filter matches.
    pub rank: bool,
    /// Whether there are members on the other side of the cursor from which the page starts.
    pub behind: bool,
}

/// Names of the statement's tables and columns.
mod name {
    pub(super) const COUNTED: &str = "counted";
    pub(super) const MEMBERS: &str = "members";
    pub(super) const TOTALS: &str = "totals";
    pub(super) const PAGE: &str = "page";
    pub(super) const USER_ID: &str = "user_id";
    pub(super) const VISITS: &str = "visits";
    pub(super) const ISSUED: &str = "tokens_issued";
    pub(super) const UNUSED: &str = "tokens_unused";
    pub(super) const FIRST: &str = "first_visit_at";
    pub(super) const LAST: &str = "last_visit_at";
    pub(super) const JOINED: &str = "joined_at";
    pub(super) const ACTIVE: &str = "is_active";
    pub(super) const FIRST_NAME: &str = "first_name";
    pub(super) const LAST_NAME: &str = "last_name";
    pub(super) const RANK: &str = "place";
    pub(super) const BEHIND: &str = "behind";
    pub(super) const TOTAL_USERS: &str = "total_users";
    pub(super) const TOTAL_VISITS: &str = "total_visits";
    pub(super) const TOTAL_ISSUED: &str = "total_tokens_issued";
    pub(super) const TOTAL_UNUSED: &str = "total_tokens_unused";
}

impl Session {
    /// One page of members with their visits. Ties are in order of ascending user id. A member is listed when a door
    /// code was issued to them in the range or, by time of use, used in it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn user_visits(
        &self,
        filter: &UserVisitsFilter,
        order: UserVisitsOrder,
        page: &Page,
        parts: UserVisitsParts,
    ) -> Result<UserVisitsPage, Error> {
        let parts = parts.needed_for(filter, order);
        made("user_visits", async {
            match self.kept_user_visits(filter, order, page, parts).await? {
                Some(page) => Ok(page),
                None => self.counted_user_visits(filter, order, page, parts).await,
            }
        })
        .await
    }

    async fn counted_user_visits(
        &self,
        filter: &UserVisitsFilter,
        order: UserVisitsOrder,
        page: &Page,
        parts: UserVisitsParts,
    ) -> Result<UserVisitsPage, Error> {
        let statement = |from_rollup| self.user_visits_statement(filter, order, page, parts, from_rollup);
        let is_of_all_time = filter.range.is_unbounded();
        let kept = if is_of_all_time { self.query_rollup(&statement(true)).await? } else { None };
        let answer = match kept {
            Some(rows) => rows,
            None => self.query_all(&statement(false)).await?,
        };
        let mut totals = None;
        let mut behind = false;
        let mut rows = Vec::with_capacity(answer.len());
        for row in &answer {
            if rows.is_empty() {
                totals = parts.totals.then(|| read_totals(row)).transpose()?;
                behind = parts.behind && page.is_bounded_behind() && row.try_get("", name::BEHIND)?;
            }
            // A page without members still has one row, for the totals; its user id is null.
            if row.try_get::<Option<i32>>("", name::USER_ID)?.is_some() {
                rows.push(read_member(row, parts)?);
            }
        }
        let ahead = page.size().is_some_and(|size| rows.len() > size);
        rows.truncate(page.size().unwrap_or(usize::MAX));
        if page.is_backward() {
            rows.reverse();
        }
        let (has_previous, has_next) = if page.is_backward() { (ahead, behind) } else { (behind, ahead) };
        Ok(UserVisitsPage { rows, totals, has_previous, has_next })
    }

    /// Passes the members of the page to `take` one by one, so that memory does not grow with their number. `take` may
    /// return a future to wait for before the next member.
    ///
    /// # Errors
    /// What the database says.
    pub async fn each_user_visits(
        &self,
        filter: &UserVisitsFilter,
        order: UserVisitsOrder,
        page: &Page,
        parts: UserVisitsParts,
        mut take: impl FnMut(UserVisits) -> Option<Wait> + Send,
    ) -> Result<(), Error> {
        let parts = parts.needed_for(filter, order);
        let from_rollup = self.rollup.is_usable() && filter.range.is_unbounded();
        let statement = self.user_visits_statement(filter, order, page, parts, from_rollup);
        let mut left = page.size().unwrap_or(usize::MAX);
        let each = self.for_each_waiting(&statement, |row| {
            // The statement selects one row more than the page has.
            if left == 0 {
                return Ok(None);
            }
            left -= 1;
            Ok(take(read_member(row, parts)?))
        });
        made("user_visits", each).await
    }

    fn user_visits_statement(
        &self,
        filter: &UserVisitsFilter,
        order: UserVisitsOrder,
        page: &Page,
        parts: UserVisitsParts,
        from_rollup: bool,
    ) -> SelectStatement {
        let mut with = self.listed(filter, parts, from_rollup);
        let mut rows = Query::select();
        rows.expr(Expr::col(sea_orm::sea_query::Asterisk)).from(name::MEMBERS);
        for (cursor, forward) in [(page.after(), true), (page.before(), false)] {
            if let Some(cursor) = cursor {
                rows.cond_where(beyond(self.backend(), cursor, order, forward));
            }
        }
        sort(&mut rows, order, page.is_backward());
        if let Some(size) = page.size() {
            rows.limit(size as u64 + 1);
        }
        let behind = page.behind().filter(|_| parts.behind);
        if !parts.totals && behind.is_none() {
            return rows.with_cte(with).take();
        }
        with.cte(cte(name::TOTALS, totals(self.backend(), order, behind, parts)));
        with.cte(cte(name::PAGE, rows));
        let mut all = Query::select();
        all.expr(Expr::col((name::TOTALS, sea_orm::sea_query::Asterisk)))
            .expr(Expr::col((name::PAGE, sea_orm::sea_query::Asterisk)))
            .from(name::TOTALS)
            .join(JoinType::LeftJoin, name::PAGE, Expr::val(1).eq(1));
        sort(&mut all, order, page.is_backward());
        all.with_cte(with).take()
    }

    /// The members to list, as the table `members`.
    fn listed(&self, filter: &UserVisitsFilter, parts: UserVisitsParts, from_rollup: bool) -> WithClause {
        let mut with = WithClause::new();
        let mut counted = self.counted(filter, parts, from_rollup);
        if from_rollup {
            let (stretches, around) =
                rollup::around_log(self.backend(), counted, filter.users.ids(), None, kept_columns(parts));
            with.cte(stretches);
            counted = around;
        }
        with.cte(cte(name::COUNTED, counted));
        with.cte(cte(name::MEMBERS, self.members(filter, parts)));
        with
    }

    /// Door codes grouped by member; for [`rollup::around_log`] if `from_rollup`.
    fn counted(&self, filter: &UserVisitsFilter, parts: UserVisitsParts, from_rollup: bool) -> SelectStatement {
        let (backend, now) = (self.backend(), self.now().naive_utc());
        let (issued_at, used_at) = (Expr::col(token::Column::CreatedAt), Expr::col(token::Column::UsedAt));
        let local = |column: &Expr| Local::of(backend, column.clone(), filter.range, filter.zone, now);
        let within = |column: &Expr| {
            let local = local(column);
            local.in_range().add(local.outside(&filter.left_out))
        };
        let every_token = filter.range.is_unbounded();
        // By time of issue, only rows in the range count. By time of use, a row may count as issued, as used, or as
        // both.
        let (issued, unused, visit, counted_at) = if filter.basis == TimeBasis::IssuedAt || every_token {
            let rows = if every_token { Cond::all() } else { within(&issued_at) };
            (Expr::col(token::Column::Id), when(used_at.clone().is_null(), 1), used_at.clone(), rows)
        } else {
            (
                when(within(&issued_at), 1),
                when(within(&issued_at).add(used_at.clone().is_null()), 1),
                when(within(&used_at), used_at.clone()),
                Cond::any().add(within(&issued_at)).add(within(&used_at)),
            )
        };
        let mut select = Query::select();
        match filter.basis {
            _ if from_rollup => rollup::from_tokens_in_log(&mut select, backend),
            TimeBasis::IssuedAt => from_tokens(&mut select, backend, &[&local(&issued_at)]),
            TimeBasis::UsedAt => from_tokens(&mut select, backend, &[&local(&issued_at), &local(&used_at)]),
        }
        select
            .column(token::Column::UserId)
            .expr_as(visit.clone().count(), name::VISITS)
            .expr_as(issued.count(), name::ISSUED)
            .expr_as(unused.count(), name::UNUSED)
            .cond_where(counted_at)
            .cond_where(
                Cond::all().add_option(
                    filter.users.ids().map(|ids| Expr::col(token::Column::UserId).is_in(ids.iter().copied())),
                ),
            )
            .group_by_col(token::Column::UserId);
        if parts.visit_times {
            let visit = readable(backend, &visit);
            select.expr_as(Func::min(visit.clone()), name::FIRST).expr_as(Func::max(visit), name::LAST);
        }
        select
    }

    /// The members to list: their counts, joined with `users` where needed.
    fn members(&self, filter: &UserVisitsFilter, parts: UserVisitsParts) -> SelectStatement {
        let backend = self.backend();
        let counted = |column| Expr::col((name::COUNTED, column));
        let of_user = |column: user::Column| Expr::col((user::Entity, column));
        let or_none = |column| Expr::from(Func::coalesce([counted(column), Expr::val(0)]));
        let everyone = filter.include_users_without_visits;
        let (user_id, count): (Expr, &dyn Fn(&'static str) -> Expr) = if everyone {
            (Func::coalesce([counted(name::USER_ID), of_user(user::Column::Id)]).into(), &or_none)
        } else {
            (counted(name::USER_ID), &counted)
        };
        let mut select = Query::select();
        select
            .expr_as(user_id.clone(), name::USER_ID)
            .expr_as(count(name::VISITS), name::VISITS)
            .expr_as(count(name::ISSUED), name::ISSUED)
            .expr_as(count(name::UNUSED), name::UNUSED)
            .from(name::COUNTED);
        if parts.visit_times {
            select.expr(counted(name::FIRST)).expr(counted(name::LAST));
        }
        if parts.membership || parts.names || everyone || filter.users.restricts_users() {
            let join = if everyone { JoinType::FullOuterJoin } else { JoinType::LeftJoin };
            join_users(&mut select, backend, join, of_user(user::Column::Id).eq(counted(name::USER_ID)));
        }
        if parts.membership {
            select
                .expr_as(readable(backend, &of_user(user::Column::JoinedAt)), name::JOINED)
                .expr_as(of_user(user::Column::IsActive), name::ACTIVE);
        }
        if parts.names {
            select
                .expr_as(of_user(user::Column::FirstName), name::FIRST_NAME)
                .expr_as(of_user(user::Column::LastName), name::LAST_NAME);
        }
        if filter.users.restricts_users() {
            select.cond_where(user_condition(backend, &filter.users, filter.zone, self.now().naive_utc()));
        }
        let start = |date: NaiveDate| instant(backend, filter.zone.start_of_day(date).naive_utc());
        select.cond_where(
            Cond::all()
                .add_option(filter.users.ids().filter(|_| everyone).map(|ids| user_id.is_in(ids.iter().copied())))
                .add_option(filter.visits.min().map(|least| count(name::VISITS).gte(least)))
                .add_option(filter.visits.max().map(|most| count(name::VISITS).lte(most)))
                .add_option(filter.last_visit_before.map(|date| counted(name::LAST).lt(start(date))))
                .add_option(filter.last_visit_from.map(|date| counted(name::LAST).gte(start(date)))),
        );
        if parts.rank {
            let by_visits = WindowStatement::new().order_by_expr(count(name::VISITS), Order::Desc).take();
            select.expr_window_as(Func::cust("rank"), by_visits, name::RANK);
        }
        select
    }
}

impl UserVisitsParts {
    fn needed_for(mut self, filter: &UserVisitsFilter, order: UserVisitsOrder) -> Self {
        use UserVisitsField::{FirstVisitAt, JoinedAt, LastVisitAt};
        self.visit_times |= filter.last_visit_before.is_some()
            || filter.last_visit_from.is_some()
            || matches!(order.field, FirstVisitAt | LastVisitAt);
        self.membership |= order.field == JoinedAt;
        self
    }
}

/// The columns of [`Session::counted`], from the rollup.
fn kept_columns(parts: UserVisitsParts) -> &'static [(&'static str, &'static str)] {
    const ALL: [(&str, &str); 5] = [
        ("CAST(used AS BIGINT)", name::VISITS),
        ("CAST(issued AS BIGINT)", name::ISSUED),
        ("CAST(issued - used AS BIGINT)", name::UNUSED),
        ("first_visit_at", name::FIRST),
        ("last_visit_at", name::LAST),
    ];
    if parts.visit_times { &ALL } else { &ALL[..3] }
}

fn totals(
    backend: DbBackend,
    order: UserVisitsOrder,
    behind: Option<(&UserVisitsCursor, bool)>,
    parts: UserVisitsParts,
) -> SelectStatement {
    let mut select = Query::select();
    if parts.totals {
        let sum = |column: &'static str| {
            // PostgreSQL sums 64-bit integers into `numeric`.
            Expr::from(Func::coalesce([Expr::col(column).sum().cast_as("bigint"), Expr::val(0)]))
        };
        select
            .expr_as(Expr::col(name::USER_ID).count(), name::TOTAL_USERS)
            .expr_as(sum(name::VISITS), name::TOTAL_VISITS)
            .expr_as(sum(name::ISSUED), name::TOTAL_ISSUED)
            .expr_as(sum(name::UNUSED), name::TOTAL_UNUSED)
            .from(name::MEMBERS);
    }
    if let Some((cursor, forward)) = behind {
        let rest = Query::select()
            .expr(Expr::val(1))
            .from(name::MEMBERS)
            .cond_where(beyond(backend, cursor, order, forward).not())
            .take();
        select.expr_as(Expr::exists(rest), name::BEHIND);
    }
    select
}

/// The condition for members strictly after (`forward`) or before a cursor in the given order.
fn beyond(backend: DbBackend, cursor: &UserVisitsCursor, order: UserVisitsOrder, forward: bool) -> Condition {
    let key = Expr::col(order.field.column());
    let id = Expr::col(name::USER_ID);
    let next_id = if forward { id.gt(cursor.user_id) } else { id.lt(cursor.user_id) };
    let Some(value) = cursor.key.map(|key| key.value(backend)) else {
        // Members without the value come last, in order of their ids.
        return if forward {
            Cond::all().add(key.is_null()).add(next_id)
        } else {
            Cond::any().add(key.is_not_null()).add(Cond::all().add(next_id))
        };
    };
    let further =
        if forward == order.is_ascending() { key.clone().gt(value.clone()) } else { key.clone().lt(value.clone()) };
    let mut condition = Cond::any().add(further);
    if order.field != UserVisitsField::UserId {
        condition = condition.add(Cond::all().add(key.clone().eq(value)).add(next_id));
    }
    if forward && order.field.is_nullable() { condition.add(key.is_null()) } else { condition }
}

fn sort(select: &mut SelectStatement, order: UserVisitsOrder, backward: bool) {
    use Order::{Asc, Desc};
    let direction = |ascending: bool| if ascending == backward { Desc } else { Asc };
    let key = Expr::col(order.field.column());
    if order.field.is_nullable() {
        select.order_by_expr(key.clone().is_null(), direction(true));
    }
    select.order_by_expr(key, direction(order.is_ascending()));
    if order.field != UserVisitsField::UserId {
        select.order_by(name::USER_ID.into_column_ref(), direction(true));
    }
}

fn read_member(row: &QueryResult, parts: UserVisitsParts) -> Result<UserVisits, Error> {
    let time = |asked: bool, column| if asked { row.try_get("", column) } else { Ok(None) };
    Ok(UserVisits {
        user_id: row.try_get("", name::USER_ID)?,
        visits: row.try_get("", name::VISITS)?,
        tokens_issued: row.try_get("", name::ISSUED)?,
        tokens_unused: row.try_get("", name::UNUSED)?,
        first_visit_at: time(parts.visit_times, name::FIRST)?,
        last_visit_at: time(parts.visit_times, name::LAST)?,
        joined_at: time(parts.membership, name::JOINED)?,
        name: if parts.names { read_name(row)? } else { None },
        rank: if parts.rank { row.try_get("", name::RANK)? } else { 0 },
        is_active: if parts.membership { row.try_get("", name::ACTIVE)? } else { None },
    })
}

fn read_name(row: &QueryResult) -> Result<Option<(String, String)>, Error> {
    let part = |column| row.try_get::<Option<String>>("", column);
    Ok(part(name::FIRST_NAME)?.zip(part(name::LAST_NAME)?))
}

fn read_totals(row: &QueryResult) -> Result<UserVisitsTotals, Error> {
    Ok(UserVisitsTotals {
        users: row.try_get("", name::TOTAL_USERS)?,
        visits: row.try_get("", name::TOTAL_VISITS)?,
        tokens_issued: row.try_get("", name::TOTAL_ISSUED)?,
        tokens_unused: row.try_get("", name::TOTAL_UNUSED)?,
    })
}

fn when(condition: impl sea_orm::sea_query::IntoCondition, then: impl Into<Expr>) -> Expr {
    CaseStatement::new().case(condition, then).into()
}
