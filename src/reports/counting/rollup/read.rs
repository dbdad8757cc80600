//! Statements that read the rollup where it is up to date, and the table `tokens` where it is not, in one snapshot. The
//! answer is exact at the time of the snapshot, however old the last refresh is.

use chrono::NaiveDateTime;
use entity::token;
use sea_orm::{
    DbBackend,
    sea_query::{
        CommonTableExpression, Cond, Condition, Expr, ExprTrait as _, Func, JoinType, Order, Query, SelectStatement,
        UnionType, WithClause,
    },
};

use crate::reports::{
    counts::{By, Measures},
    dialect::Local,
    filter::{TimeBasis, TokenFilter},
    selection::cte,
    time_zone::UtcBounds,
};

/// Names of the statements' tables and columns.
mod name {
    pub(super) const LOGGED: &str = "logged";
    pub(super) const STRETCHES: &str = "stretches";
    pub(super) const EVENTS: &str = "events";
    pub(super) const AT: &str = "at";
    pub(super) const ISSUED: &str = "issued";
    pub(super) const ISSUED_AND_USED: &str = "issued_and_used";
    pub(super) const USED: &str = "used";
    pub(super) const MEMBERS: &str = "members";
}

/// Counts of door codes; `None` for unique visitors and for filters on members, since slots are not kept by member.
pub(in crate::reports) fn counts(
    now: NaiveDateTime,
    filter: &TokenFilter,
    by: By,
    measures: Measures,
) -> Option<SelectStatement> {
    if measures.unique_visitors || !filter.users.is_everybody() {
        return None;
    }
    let bounds = filter.range.bounds(filter.zone);
    // Before this instant, local days do not consist of whole slots, so the door codes themselves are counted.
    let since = filter.zone.quarters_since().filter(|since| bounds.from.is_none_or(|from| from < *since));
    let sum = |asked: bool, column: &'static str| {
        if asked { Func::coalesce([Expr::col(column).sum(), Expr::val(0_i64)]).into() } else { Expr::val(0_i64) }
    };
    let nothing = || Expr::val(0_i64);
    let placed = |column: token::Column| {
        let local = Local::of(DbBackend::Postgres, Expr::col(name::AT), filter.range, filter.zone, now);
        let mut select = Query::select();
        select.from_subquery(events(column, bounds), name::EVENTS);
        if !bounds.exact {
            select.cond_where(local.in_range());
        }
        select.cond_where(local.outside(&filter.left_out).add_option(local.on(filter.weekdays)));
        by.place(&mut select, &local);
        select
    };
    let mut issued = placed(token::Column::CreatedAt);
    issued.expr_as(sum(measures.tokens_issued || measures.tokens_unused, name::ISSUED), "issued");
    match filter.basis {
        TimeBasis::IssuedAt => {
            let visits = sum(measures.visits || measures.tokens_unused, name::ISSUED_AND_USED);
            issued
                .expr_as(visits.clone(), "issued_and_used")
                .expr_as(visits, "visits")
                .expr_as(nothing(), "unique_visitors");
        }
        TimeBasis::UsedAt => {
            issued
                .expr_as(sum(measures.tokens_unused, name::ISSUED_AND_USED), "issued_and_used")
                .expr_as(nothing(), "visits")
                .expr_as(nothing(), "unique_visitors");
            let mut visits = placed(token::Column::UsedAt);
            visits
                .expr_as(nothing(), "issued")
                .expr_as(nothing(), "issued_and_used")
                .expr_as(sum(measures.visits, name::USED), "visits")
                .expr_as(nothing(), "unique_visitors");
            issued.union(UnionType::All, visits);
        }
    }
    let mut with = WithClause::new();
    with.cte(logged_slots(since));
    Some(issued.with_cte(with).take())
}

/// Visitors: times with sets of member ids, in order of time. `None` for filters on members, since the rollup has only
/// their ids. Some times may lie on dates next to the filter's.
pub(in crate::reports) fn visitors(filter: &TokenFilter) -> Option<SelectStatement> {
    if !filter.users.is_everybody() {
        return None;
    }
    let bounds = filter.range.bounds(filter.zone);
    let since = filter.zone.quarters_since().filter(|since| bounds.from.is_none_or(|from| from < *since));
    let (column, set) = match filter.basis {
        TimeBasis::IssuedAt => (token::Column::CreatedAt, "by_issue"),
        TimeBasis::UsedAt => (token::Column::UsedAt, "by_use"),
    };
    let slot = Expr::col("slot");
    let mut kept = Query::select();
    kept.expr_as(slot.clone(), name::AT).expr_as(Expr::col(set), name::MEMBERS).from("rollup_visitors").cond_where(
        within(&slot, bounds)
            .add(Expr::cust(format!("{set} <> ''")))
            .add(Expr::cust("NOT slot <@ (SELECT logged FROM stretches)")),
    );
    let mut in_stretch = touched(column, bounds);
    in_stretch.columns([column, token::Column::UserId]).and_where(Expr::col(token::Column::UsedAt).is_not_null());
    let mut live = Query::select();
    live.expr_as(Expr::col(column), name::AT)
        .expr_as(Expr::cust("int4send(user_id)"), name::MEMBERS)
        .from_subquery(stretches(TIMES), "live")
        .join_lateral(JoinType::InnerJoin, in_stretch, "touched", Expr::val(true));
    kept.union(UnionType::All, live).order_by(name::AT, Order::Asc);
    let mut with = WithClause::new();
    with.cte(logged_slots(since));
    Some(kept.with_cte(with).take())
}

/// Whether the tables are the ones that the triggers follow, without other changes. Only then is the log complete.
const IS_FOLLOWED: &str =
    "(SELECT fingerprint FROM rollup_state) = rollup_fingerprint(to_regclass('tokens'), to_regclass('users'))";

/// What is out of date, as one multirange, which merges stretches that were logged twice.
fn logged_slots(since: Option<NaiveDateTime>) -> CommonTableExpression {
    let logged = format!("CASE WHEN {IS_FOLLOWED} THEN coalesce(range_agg(slots), '{{}}') ELSE '{{(,)}}' END");
    let all = match since {
        None => Expr::cust(logged),
        Some(since) => Expr::cust_with_values(format!("{logged} + tsmultirange(tsrange(NULL, $1))"), [since]),
    };
    cte(name::STRETCHES, Query::select().expr_as(all, name::LOGGED).from("rollup_log").take())
}

/// Door codes by time of issue or of use: slots that are up to date, and single door codes in the others.
fn events(column: token::Column, bounds: UtcBounds) -> SelectStatement {
    let slot = Expr::col("slot");
    let is_issue = matches!(column, token::Column::CreatedAt);
    let count = if is_issue { name::ISSUED } else { name::USED };
    let one = |asked: bool| Expr::cust(if asked { "1" } else { "0" });
    let mut kept = Query::select();
    kept.expr_as(slot.clone(), name::AT)
        .column(name::ISSUED)
        .column(name::ISSUED_AND_USED)
        .column(name::USED)
        .from("rollup_slots")
        .cond_where(
            within(&slot, bounds)
                .add(Expr::col(count).gt(0))
                .add(Expr::cust("NOT slot <@ (SELECT logged FROM stretches)")),
        );
    let mut in_stretch = touched(column, bounds);
    in_stretch.columns([token::Column::CreatedAt, token::Column::UsedAt]);
    let mut live = Query::select();
    live.expr_as(Expr::col(column), name::AT)
        .expr_as(one(is_issue), name::ISSUED)
        .expr_as(Expr::cust(if is_issue { "(used_at IS NOT NULL)::INTEGER" } else { "0" }), name::ISSUED_AND_USED)
        .expr_as(one(!is_issue), name::USED)
        .from_subquery(stretches(TIMES), "live")
        .join_lateral(JoinType::InnerJoin, in_stretch, "touched", Expr::val(true));
    kept.union(UnionType::All, live);
    kept
}

fn within(at: &Expr, bounds: UtcBounds) -> Condition {
    Cond::all()
        .add_option(bounds.from.map(|from| at.clone().gte(from)))
        .add_option(bounds.to.map(|to| at.clone().lt(to)))
}

/// The door codes of a stretch that is out of date, without columns yet. `OFFSET 0` makes PostgreSQL scan one index
/// range for each stretch; in a plain join, it estimates a stretch at a ninth of the table.
fn touched(column: token::Column, bounds: UtcBounds) -> SelectStatement {
    let at = Expr::col((token::Entity, column));
    Query::select()
        .from(token::Entity)
        .cond_where(within(&at, bounds).add(at.clone().gte(Expr::col("first"))).add(at.lte(Expr::col("last"))))
        .offset(0)
        .take()
}

/// The first and the last value of a stretch. Times have microseconds, and may be infinite.
const TIMES: [&str; 2] =
    ["coalesce(lower(stretch), '-infinity')", "coalesce(upper(stretch), 'infinity') - INTERVAL '1 microsecond'"];
const IDS: [&str; 2] = ["coalesce(lower(stretch), -2147483648)", "coalesce(upper(stretch), 2147483648) - 1"];

/// One row for each stretch that is out of date.
fn stretches([first, last]: [&'static str; 2]) -> SelectStatement {
    let each = Query::select().expr_as(Expr::cust("unnest(logged)"), "stretch").from(name::STRETCHES).take();
    Query::select()
        .expr_as(Expr::cust(first), "first")
        .expr_as(Expr::cust(last), "last")
        .from_subquery(each, "each")
        .take()
}

/// Door codes of all time by member. Counts that are up to date come from the rollup; `direct` is restricted to members
/// whose counts are not. Also returns the table expression that the statement needs.
pub(in crate::reports) fn around_log(
    mut direct: SelectStatement,
    ids: Option<&[i32]>,
    visit_times: bool,
) -> (CommonTableExpression, SelectStatement) {
    let logged = format!("CASE WHEN {IS_FOLLOWED} THEN coalesce(range_agg(users), '{{}}') ELSE '{{(,)}}' END");
    let logged = Query::select().expr_as(Expr::cust(logged), name::LOGGED).from("rollup_log").take();
    let user_id = Expr::col((token::Entity, token::Column::UserId));
    direct.join_subquery(
        JoinType::InnerJoin,
        stretches(IDS),
        "live",
        Cond::all().add(user_id.clone().gte(Expr::col("first"))).add(user_id.lte(Expr::col("last"))),
    );
    let mut kept = Query::select();
    // The same columns as in the direct statement.
    kept.column("user_id")
        .expr_as(Expr::cust("used::BIGINT"), "visits")
        .expr_as(Expr::cust("issued::BIGINT"), "tokens_issued")
        .expr_as(Expr::cust("(issued - used)::BIGINT"), "tokens_unused")
        .from("rollup_users")
        .cond_where(
            Cond::all()
                .add(Expr::cust("NOT user_id::BIGINT <@ (SELECT logged FROM stretches)"))
                .add_option(ids.map(|ids| Expr::col("user_id").is_in(ids.iter().copied()))),
        );
    if visit_times {
        kept.column("first_visit_at").column("last_visit_at");
    }
    kept.union(UnionType::All, direct);
    (cte(name::STRETCHES, logged), kept)
}
