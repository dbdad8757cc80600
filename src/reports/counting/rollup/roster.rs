//! The statement that reads the members: their counts of all time, which the rollup keeps, what `users` says of them, and
//! the counts of those whose door codes changed since they were counted, all in one snapshot.

use entity::{token, user};
use sea_orm::{
    DbBackend,
    sea_query::{
        CaseStatement, CommonTableExpression, Expr, ExprTrait as _, Func, Order, Query, SelectStatement, UnionType,
        WithClause,
    },
};

use super::{
    Members,
    read::{IS_FOLLOWED, from_tokens_in_log, number, only_logged, row_of, stretches_of_members},
    refresh::USERS_CHANGED,
    sqlite,
};
use crate::reports::{
    dialect::{Width, from_users_if, packed, readable},
    name::NamePart,
    names,
    selection::cte,
};

/// The kinds of rows of [`members`].
pub(in crate::reports) mod kind {
    /// Whether the rollup can be read, and what of it is sent.
    pub(in crate::reports) const STATE: i32 = 0;
    /// A stretch of ids whose kept counts are out of date.
    pub(in crate::reports) const STRETCH: i32 = 1;
    /// The counts of these members.
    pub(in crate::reports) const LIVE: i32 = 2;
    /// The members whose names contain what is looked for.
    pub(in crate::reports) const NAMED: i32 = 3;
    /// The kept counts of the members of a chunk.
    pub(in crate::reports) const KEPT: i32 = 4;
    /// What `users` says of the members of a chunk.
    pub(in crate::reports) const USERS: i32 = 5;
}

/// The members of a chunk have ids that differ in as many bits.
pub(in crate::reports) const CHUNK_BITS: u32 = 13;

/// The columns of every row: its kind; its chunk; a flag; what the members were read from; a stretch of ids; numbers of
/// four bytes, and times, of each member.
const COLUMNS: [(&str, &str); 9] = [
    ("kind", "INTEGER"),
    ("chunk", "INTEGER"),
    ("flag", "BOOLEAN"),
    ("refresh_id", "TEXT"),
    ("users_id", "TEXT"),
    ("low", "BIGINT"),
    ("high", "BIGINT"),
    ("numbers", "BYTEA"),
    ("times", "BYTEA"),
];

fn row(backend: DbBackend, select: SelectStatement, kind: i32, columns: &[(&str, Expr)]) -> SelectStatement {
    let columns: Vec<_> = columns.iter().cloned().chain([("kind", number(kind))]).collect();
    row_of(backend, &COLUMNS, select, &columns)
}

/// Every member, in chunks of ids in ascending order, unless they are as they were when `known` was read; always those that
/// the log names, and with `name`, the ids of the members whose names contain it.
pub(in crate::reports) fn members(
    backend: DbBackend,
    known: Option<&Members>,
    name: Option<&NamePart>,
) -> SelectStatement {
    let is_sqlite = backend == DbBackend::Sqlite;
    let state = Query::select().from("state").and_where(Expr::cust("is_followed")).take();
    let mut all = row(
        backend,
        state,
        kind::STATE,
        &[
            ("flag", Expr::cust("is_sent")),
            ("refresh_id", Expr::col("refresh_id")),
            ("users_id", Expr::col("users_id")),
        ],
    );

    let (stretches, low, high) = if is_sqlite {
        (Query::select().from("stretches").take(), "id", "id + 1")
    } else {
        (Query::select().from_subquery(stretches_of_members(), "stretch").take(), "first", "last + 1")
    };
    all.union(
        UnionType::All,
        row(backend, stretches, kind::STRETCH, &[("low", Expr::cust(low)), ("high", Expr::cust(high))]),
    );

    let live = row(backend, Query::select().from_subquery(live(backend), "live").take(), kind::LIVE, &counts(backend));
    all.union(UnionType::All, live);

    if let Some(name) = name {
        let mut named = Query::select();
        from_users_if(&mut named, backend, Expr::cust("(SELECT is_followed FROM state)"));
        named.and_where(names::contains(backend, name));
        let ids = packed(backend, Width::Four, &[Expr::col(user::Column::Id)], None);
        all.union(UnionType::All, row(backend, named, kind::NAMED, &[("numbers", ids)]));
    }

    let chunk = |id: &str| Expr::cust(format!("CAST({id} AS INTEGER) >> {CHUNK_BITS}"));
    let is_sent = || Expr::cust("(SELECT is_sent FROM state)");
    let mut kept = Query::select().from("rollup_users").and_where(is_sent()).take();
    let mut columns = counts(backend);
    columns.push(("chunk", chunk("user_id")));
    kept = row(backend, kept, kind::KEPT, &columns);
    all.union(UnionType::All, kept.group_by_col("chunk").take());

    let mut users = Query::select();
    from_users_if(&mut users, backend, is_sent());
    let is_active = Expr::cust("CASE WHEN is_active THEN 1 WHEN is_active IS NULL THEN 2 ELSE 0 END");
    let joined_at = readable(backend, &Expr::col(user::Column::JoinedAt));
    let columns = [
        ("chunk", chunk("id")),
        ("numbers", packed(backend, Width::Four, &[Expr::col(user::Column::Id), is_active], None)),
        ("times", packed(backend, Width::Time, &[joined_at], None)),
    ];
    all.union(UnionType::All, row(backend, users, kind::USERS, &columns).group_by_col("chunk").take());

    let mut with = WithClause::new();
    with.cte(self::state(backend, known)).cte(logged(backend));
    Query::select()
        .column(sea_orm::sea_query::Asterisk)
        .from_subquery(all, "rows")
        .order_by_expr(Expr::cust(format!("kind >= {}", kind::KEPT)), Order::Asc)
        .order_by("chunk", Order::Asc)
        .order_by("kind", Order::Asc)
        .with_cte(with)
        .take()
}

/// The counts of all rows, whose columns are those of `rollup_users`.
fn counts(backend: DbBackend) -> Vec<(&'static str, Expr)> {
    let columns = |names: [&'static str; 3]| names.map(Expr::col);
    let numbers = columns(["user_id", "issued", "used"]);
    let times = columns(["first_visit_at", "last_visit_at", "first_visit_issued_at"]);
    vec![
        ("numbers", packed(backend, Width::Four, &numbers, None)),
        ("times", packed(backend, Width::Time, &times, None)),
    ]
}

/// Whether the rollup may be read, and whether what is kept of the members is sent.
fn state(backend: DbBackend, known: Option<&Members>) -> CommonTableExpression {
    let is_sqlite = backend == DbBackend::Sqlite;
    let (is_followed, refresh_id, users_changed) = if is_sqlite {
        (sqlite::IS_FOLLOWED.to_owned(), sqlite::REFRESH_ID, sqlite::USERS_CHANGED)
    } else {
        (format!("coalesce({IS_FOLLOWED}, FALSE)"), "refresh_id::TEXT", USERS_CHANGED)
    };
    let unchanged = format!("NOT EXISTS (SELECT 1 FROM rollup_log WHERE {users_changed})");
    let now = Query::select()
        .expr_as(Expr::cust(is_followed), "is_followed")
        .expr_as(Expr::cust(refresh_id), "refresh_id")
        .expr_as(Expr::cust(format!("CASE WHEN {unchanged} THEN CAST(users_id AS TEXT) END")), "users_id")
        .from("rollup_state")
        .take();
    let is_known = match known {
        Some(Members { refresh_id, users_id, .. }) => Expr::col("refresh_id")
            .eq(refresh_id.as_str())
            .and(Func::coalesce([Expr::col("users_id"), Expr::val("")]).eq(users_id.as_str())),
        None => Expr::val(false),
    };
    let state = Query::select()
        .columns(["is_followed", "refresh_id", "users_id"])
        .expr_as(Expr::cust("is_followed").and(is_known.not()), "is_sent")
        .from_subquery(now, "now")
        .take();
    cte("state", state)
}

/// The members that the log names, as the table `stretches`.
fn logged(backend: DbBackend) -> CommonTableExpression {
    let mut logged = Query::select();
    logged.from("rollup_log").and_where(Expr::cust("(SELECT is_followed FROM state)"));
    match backend {
        DbBackend::Sqlite => logged.expr_as(Expr::cust("what"), "id").and_where(Expr::cust(sqlite::IS_MEMBER)),
        _ => logged.expr_as(Expr::cust("coalesce(range_agg(users), '{}')"), "logged"),
    };
    cte("stretches", logged)
}

/// The counts of these members from the door codes.
fn live(backend: DbBackend) -> SelectStatement {
    let mut live = Query::select();
    from_tokens_in_log(&mut live, backend);
    only_logged(&mut live, backend);
    count_members(&mut live, backend);
    live
}

/// Counts the selected door codes by member, in the columns of `rollup_users` and in their order.
pub(super) fn count_members(tokens: &mut SelectStatement, backend: DbBackend) {
    let used_at = Expr::col(token::Column::UsedAt);
    let visit = readable(backend, &used_at);
    let issued_at = readable(backend, &Expr::col(token::Column::CreatedAt));
    let issued_and_used = CaseStatement::new().case(used_at.clone().is_not_null(), issued_at);
    tokens
        .column(token::Column::UserId)
        .expr_as(Expr::cust("count(*)"), "issued")
        .expr_as(used_at.count(), "used")
        .expr_as(Func::min(visit.clone()), "first_visit_at")
        .expr_as(Func::max(visit), "last_visit_at")
        .expr_as(Func::min(issued_and_used), "first_visit_issued_at")
        .group_by_col(token::Column::UserId);
}
