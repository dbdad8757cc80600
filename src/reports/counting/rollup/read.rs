//! Statements that read the rollup where it is up to date, and the table `tokens` where it is not, in one snapshot. The
//! answer is exact at the time of the snapshot, however old the last refresh is.

use chrono::NaiveDateTime;
use entity::token;
use sea_orm::{
    DbBackend, DbErr, QueryResult,
    sea_query::{
        CaseStatement, CommonTableExpression, Cond, Condition, Expr, ExprTrait as _, Func, JoinType, NullOrdering,
        Order, Query, SelectStatement, UnionType, WithClause,
    },
};

use super::{
    days::{Columns, Numbers, Slot},
    refresh::USERS_CHANGED,
    sqlite,
};
use crate::reports::{
    dialect::{FIRST, LAST, Width, instant, packed, packed_counts, readable, seconds_between},
    filter::{TimeBasis, TokenFilter},
    ids::unpacked,
    selection::cte,
    time_zone::UtcBounds,
};

/// Names of the statements' tables and columns.
mod name {
    pub(super) const LOGGED: &str = "logged";
    pub(super) const STRETCHES: &str = "stretches";
}

/// What a report reads of the door codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of parts, each wanted or not")]
pub(in crate::reports) struct Wanted {
    /// Door codes by time of issue, used ones.
    pub(in crate::reports) used: bool,
    /// Door codes by time of issue, not used.
    pub(in crate::reports) unused: bool,
    /// Door codes by time of use.
    pub(in crate::reports) came: bool,
    /// Which members they belong to, and not only how many there are.
    pub(in crate::reports) members: bool,
    /// How long it took to use them.
    pub(in crate::reports) waits: bool,
}

impl Wanted {
    /// Everything that counts at its time.
    pub(in crate::reports) fn all(filter: &TokenFilter) -> Self {
        Self { used: true, unused: true, came: filter.basis == TimeBasis::UsedAt, ..Self::default() }
    }

    /// Visits alone.
    pub(in crate::reports) fn visits(filter: &TokenFilter) -> Self {
        let is_by_issue = filter.basis == TimeBasis::IssuedAt;
        Self { used: is_by_issue, came: !is_by_issue, ..Self::default() }
    }

    /// The columns of a day that are read.
    pub(in crate::reports) fn columns(self) -> Columns {
        let of = |asked: bool| asked && self.members;
        Columns { used: of(self.used), waits: self.waits, unused: of(self.unused), came: of(self.came) }
    }
}

/// The kinds of rows of [`codes`].
pub(in crate::reports) mod kind {
    /// Whether the rollup can be read, and which members match.
    pub(in crate::reports) const STATE: i32 = 0;
    /// A stretch of time that is out of date.
    pub(in crate::reports) const STRETCH: i32 = 1;
    /// A day.
    pub(in crate::reports) const DAY: i32 = 2;
    /// A door code that was issued in such a stretch, or those of a slot.
    pub(in crate::reports) const ISSUE: i32 = 3;
    /// A door code that was used in such a stretch, or those of a slot.
    pub(in crate::reports) const USE: i32 = 4;
}

/// The columns of every row: its kind; times; bytes; a member; a flag; a text.
const COLUMNS: [(&str, &str); 12] = [
    ("kind", "INTEGER"),
    ("at", "TIMESTAMP"),
    ("until", "TIMESTAMP"),
    ("counts", "BYTEA"),
    ("used", "BYTEA"),
    ("waits", "BYTEA"),
    ("unused", "BYTEA"),
    ("came", "BYTEA"),
    ("member", "INTEGER"),
    ("flag", "BOOLEAN"),
    ("users_id", "TEXT"),
    ("members", "BYTEA"),
];

fn row(backend: DbBackend, select: SelectStatement, columns: &[(&str, Expr)]) -> SelectStatement {
    row_of(backend, &COLUMNS, select, columns)
}

/// A row with all of these columns, which have types; those without a value are null.
pub(super) fn row_of(
    backend: DbBackend,
    all: &[(&'static str, &str)],
    mut select: SelectStatement,
    columns: &[(&str, Expr)],
) -> SelectStatement {
    for (name, kind) in all {
        let value = columns.iter().find(|(column, _)| column == name).map(|(_, value)| value.clone());
        let null = if backend == DbBackend::Sqlite { "NULL".to_owned() } else { format!("NULL::{kind}") };
        select.expr_as(value.unwrap_or_else(|| Expr::cust(null)), *name);
    }
    select
}

/// A kind of rows.
pub(super) fn number(kind: i32) -> Expr {
    Expr::cust(kind.to_string())
}

/// Door codes within `bounds`, in order of time: days that are kept, stretches that are out of date, and the door codes
/// of these. `since` is the instant before which kept slots are not read. `members` selects the ids of matching members;
/// they are not sent again when nothing changed since `known`.
pub(in crate::reports) fn codes(
    backend: DbBackend,
    bounds: UtcBounds,
    since: Option<NaiveDateTime>,
    wanted: Wanted,
    members: Option<SelectStatement>,
    known: Option<&str>,
) -> SelectStatement {
    let is_sqlite = backend == DbBackend::Sqlite;
    let mut state = Query::select();
    state.from("rollup_state");
    let mut columns = vec![("kind", number(kind::STATE)), ("flag", is_followed())];
    if let Some(ids) = members {
        let users_changed = if is_sqlite { sqlite::USERS_CHANGED } else { USERS_CHANGED };
        let unchanged = || Expr::cust(format!("NOT EXISTS (SELECT 1 FROM rollup_log WHERE {users_changed})"));
        let users_id = || Expr::cust("CAST(users_id AS TEXT)");
        let all = Query::select()
            .expr(Expr::cust_with_expr(
                if is_sqlite { "coalesce(?, '')" } else { "coalesce($1, '')" },
                packed(backend, Width::Four, &[Expr::col("id")], None),
            ))
            .from_subquery(ids, "matching")
            .take();
        let is_known = Cond::all().add(users_id().eq(known.unwrap_or_default())).add(unchanged());
        let sent = CaseStatement::new()
            .case(is_known, Expr::cust("NULL"))
            .case(is_followed(), Expr::SubQuery(None, Box::new(all.into())));
        columns.push(("users_id", CaseStatement::new().case(unchanged(), users_id()).into()));
        columns.push(("members", sent.into()));
    }
    let mut all = row(backend, state, &columns);
    for stretch in logged_stretches(backend, since) {
        all.union(UnionType::All, stretch);
    }

    let mut days = Query::select();
    days.from("rollup_days").and_where(is_followed());
    if let Some(from) = bounds.from {
        days.and_where(Expr::col("day").gte(from.date()));
    }
    if let Some(to) = bounds.to.filter(|to| *to <= LAST) {
        days.and_where(Expr::col("day").lte(to.date()));
    }
    let midnight = Expr::cust(if is_sqlite { sqlite::MIDNIGHT } else { "day::TIMESTAMP" });
    let mut columns = vec![("kind", number(kind::DAY)), ("at", midnight), ("counts", Expr::col("counts"))];
    let Columns { used, waits, unused, came } = wanted.columns();
    let parts = [("used", used), ("waits", waits), ("unused", unused), ("came", came)];
    columns.extend(parts.into_iter().filter(|(_, asked)| *asked).map(|(column, _)| (column, Expr::col(column))));
    all.union(UnionType::All, row(backend, days, &columns));

    for (column, asked) in
        [(token::Column::CreatedAt, wanted.used || wanted.unused), (token::Column::UsedAt, wanted.came)]
    {
        if !asked {
            continue;
        }
        // Before `since`, local days do not consist of whole slots, so that each door code has its own time.
        let (before, after) = (earlier(bounds, since), later(bounds, since));
        if let Some(bounds) = before {
            all.union(UnionType::All, single(backend, column, bounds));
        }
        all.union(UnionType::All, by_slot(backend, column, after, wanted));
    }
    let mut with = WithClause::new();
    if is_sqlite {
        with.cte(sqlite::state()).cte(sqlite::days(since));
    } else {
        with.cte(logged_slots(since));
    }
    // The state is first, then the stretches; a day comes before its door codes.
    Query::select()
        .column(sea_orm::sea_query::Asterisk)
        .from_subquery(all, "codes")
        .order_by_expr(Expr::cust("kind > 1"), Order::Asc)
        .order_by_with_nulls("at", Order::Asc, NullOrdering::First)
        .order_by("kind", Order::Asc)
        .with_cte(with)
        .take()
}

/// Whether the rollup may be read, within the statement of [`codes`].
fn is_followed() -> Expr {
    Expr::cust("(SELECT is_followed FROM stretches)")
}

/// Rows for what is out of date.
fn logged_stretches(backend: DbBackend, since: Option<NaiveDateTime>) -> Vec<SelectStatement> {
    let stretch = |select: SelectStatement, at: &'static str, until: Expr| {
        row(backend, select, &[("kind", number(kind::STRETCH)), ("at", Expr::cust(at)), ("until", until)])
    };
    if backend == DbBackend::Sqlite {
        let days = Query::select().from("days").take();
        let before = |since| stretch(Query::select().take(), "NULL", instant(backend, since));
        return since
            .map(before)
            .into_iter()
            .chain([stretch(days, sqlite::MIDNIGHT, Expr::cust(sqlite::NEXT_MIDNIGHT))])
            .collect();
    }
    let each = Query::select().expr_as(Expr::cust("unnest(logged)"), "stretch").from(name::STRETCHES).take();
    let each = Query::select().from_subquery(each, "each").take();
    vec![stretch(each, "lower(stretch)", Expr::cust("upper(stretch)"))]
}

/// The part of the bounds before an instant; `None` without an instant.
fn earlier(bounds: UtcBounds, instant: Option<NaiveDateTime>) -> Option<UtcBounds> {
    let instant = instant?;
    Some(UtcBounds { to: Some(bounds.to.map_or(instant, |to| Ord::min(to, instant))), ..bounds })
}

/// The part of the bounds from an instant on; all without an instant.
fn later(bounds: UtcBounds, instant: Option<NaiveDateTime>) -> UtcBounds {
    UtcBounds { from: Ord::max(bounds.from, instant), ..bounds }
}

/// The door codes of the stretches that are out of date, one by one.
fn single(backend: DbBackend, column: token::Column, bounds: UtcBounds) -> SelectStatement {
    let codes = match backend {
        DbBackend::Sqlite => sqlite::tokens_before(column, bounds),
        _ => in_stretches(column, bounds),
    };
    row(
        backend,
        codes,
        &[
            ("kind", number(kind_of(column))),
            ("at", Expr::col(column)),
            ("until", readable(backend, &Expr::col(token::Column::UsedAt))),
            ("member", Expr::col(token::Column::UserId)),
            ("flag", Expr::cust("used_at IS NOT NULL")),
        ],
    )
}

fn kind_of(column: token::Column) -> i32 {
    if matches!(column, token::Column::UsedAt) { kind::USE } else { kind::ISSUE }
}

/// The same, packed by slot: in the last quarter of an hour of a busy space, there may be thousands. Members are only sent
/// when they are wanted, and numbers otherwise. Both lists of those that were used are in the order of the rows.
pub(super) fn by_slot(backend: DbBackend, column: token::Column, bounds: UtcBounds, wanted: Wanted) -> SelectStatement {
    let is_sqlite = backend == DbBackend::Sqlite;
    let is_use = matches!(column, token::Column::UsedAt);
    let at = if is_use { "used_at" } else { "created_at" };
    let slot =
        if is_sqlite { sqlite::slot(at) } else { format!("date_bin('15 minutes', {at}, TIMESTAMP '2000-01-01')") };
    // The first slot may be one of which the beginning is left out.
    let slot = match bounds.from {
        Some(from) if is_sqlite => Expr::cust_with_expr(format!("max({slot}, ?)"), instant(backend, from)),
        Some(from) => Expr::cust_with_values(format!("greatest({slot}, $1)"), [from]),
        None => Expr::cust(slot),
    };
    let (used, unused) = ("used_at IS NOT NULL", "used_at IS NULL");
    let counted: &[&str] = if is_use { &["TRUE"] } else { &[used, unused] };
    let members = |which| packed(backend, Width::Four, &[Expr::col(token::Column::UserId)], which);
    let mut columns = vec![("kind", number(kind_of(column))), ("at", slot)];
    if !wanted.members {
        columns.push(("counts", packed_counts(backend, counted)));
    } else if is_use {
        columns.push(("came", members(None)));
    } else {
        columns.push(("used", members(Some(used))));
        columns.push(("unused", members(Some(unused))));
    }
    if wanted.waits && !is_use {
        let used_at = readable(backend, &Expr::col(token::Column::UsedAt));
        let wait = seconds_between(backend, Expr::col(token::Column::CreatedAt), used_at);
        let wait = Func::coalesce([wait, Expr::cust(NO_WAIT.to_string())]).into();
        columns.push(("waits", packed(backend, Width::Eight, &[wait], Some(used))));
    }
    let mut codes = match backend {
        DbBackend::Sqlite => sqlite::tokens_on_days(column, bounds),
        _ => in_stretches(column, bounds),
    };
    codes
        .and_where(Expr::col(column).gte(instant(backend, FIRST)))
        .and_where(Expr::col(column).lte(instant(backend, LAST)));
    let mut packed = row(backend, codes, &columns);
    packed.group_by_col("at");
    packed
}

/// Stands for a wait that is not known.
const NO_WAIT: i64 = i64::MIN + 1;

impl Slot {
    /// The door codes of a row of [`by_slot`] of this kind: how many, and where they were wanted, which.
    ///
    /// # Errors
    /// When a column is not what it should be.
    pub(in crate::reports) fn packed(kind: i32, row: &QueryResult) -> Result<(Numbers, Self), DbErr> {
        let bytes = |column| row.try_get_by_index::<Option<Vec<u8>>>(column).map(Option::unwrap_or_default);
        let ids = |column| bytes(column).map(|bytes| unpacked(&bytes).collect::<Vec<i32>>());
        let waits = bytes(5)?;
        let waits = waits.chunks_exact(8).filter_map(|wait| wait.try_into().ok()).map(i64::from_be_bytes);
        let slot = Self {
            used: ids(4)?,
            waits: waits.map(|wait| (wait != NO_WAIT).then_some(wait)).collect(),
            unused: ids(6)?,
            came: ids(7)?,
        };
        let counts: Vec<_> = ids(3)?.into_iter().map(|count| usize::try_from(count).unwrap_or(0)).collect();
        let numbers = match counts[..] {
            [came] if kind == super::kind::USE => Numbers { came, ..Numbers::default() },
            [used, unused] => Numbers { used, unused, ..Numbers::default() },
            _ => slot.numbers(),
        };
        Ok((numbers, slot))
    }
}

/// The door codes of the stretches that are out of date, without columns yet. PostgreSQL only.
fn in_stretches(column: token::Column, bounds: UtcBounds) -> SelectStatement {
    let mut touched = touched(column, bounds);
    touched.columns([token::Column::CreatedAt, token::Column::UsedAt, token::Column::UserId]);
    let mut select = Query::select();
    select.from_subquery(stretches(TIMES), "live").join_lateral(
        JoinType::InnerJoin,
        touched,
        "touched",
        Expr::val(true),
    );
    select
}

/// Whether the tables are the ones that the triggers follow, without other changes. Only then is the log complete.
pub(super) const IS_FOLLOWED: &str =
    "(SELECT fingerprint FROM rollup_state) = rollup_fingerprint(to_regclass('tokens'), to_regclass('users'))";

/// Whether the rollup may be read, and what is out of date, as one multirange, which merges stretches that were logged
/// twice. Without a rollup to read, nothing is.
fn logged_slots(since: Option<NaiveDateTime>) -> CommonTableExpression {
    let mut log = Query::select();
    log.expr_as(Expr::cust(format!("coalesce({IS_FOLLOWED}, FALSE)")), "is_followed")
        .expr_as(Expr::cust("coalesce(range_agg(slots), '{}')"), name::LOGGED)
        .from("rollup_log");
    let before = since.map_or_else(
        || Expr::cust("'{}'::TSMULTIRANGE"),
        |since| Expr::cust_with_values("tsmultirange(tsrange(NULL, $1))", [since]),
    );
    let all = Expr::cust_with_expr("CASE WHEN is_followed THEN logged + $1 ELSE '{}' END", before);
    let mut stretches = Query::select();
    stretches.column("is_followed").expr_as(all, name::LOGGED).from_subquery(log, "log");
    cte(name::STRETCHES, stretches)
}

/// Whether a time is within bounds; those after the year 9999 are none, as their texts sort before others.
pub(super) fn within(backend: DbBackend, at: &Expr, bounds: UtcBounds) -> Condition {
    Cond::all()
        .add_option(bounds.from.map(|from| at.clone().gte(instant(backend, from))))
        .add_option(bounds.to.filter(|to| *to <= LAST).map(|to| at.clone().lt(instant(backend, to))))
}

/// The door codes of a stretch that is out of date, without columns yet. `OFFSET 0` makes PostgreSQL scan one index
/// range for each stretch; in a plain join, it estimates a stretch at a ninth of the table.
fn touched(column: token::Column, bounds: UtcBounds) -> SelectStatement {
    let at = Expr::col((token::Entity, column));
    Query::select()
        .from(token::Entity)
        .cond_where(
            within(DbBackend::Postgres, &at, bounds)
                .add(at.clone().gte(Expr::col("first")))
                .add(at.lte(Expr::col("last"))),
        )
        .offset(0)
        .take()
}

/// The first and the last value of a stretch. Times have microseconds, and may be infinite.
const TIMES: [&str; 2] =
    ["coalesce(lower(stretch), '-infinity')", "coalesce(upper(stretch), 'infinity') - INTERVAL '1 microsecond'"];
const IDS: [&str; 2] = ["coalesce(lower(stretch), -2147483648)", "coalesce(upper(stretch), 2147483648) - 1"];

/// One row for each stretch of members' ids that is out of date: the first and the last id.
pub(super) fn stretches_of_members() -> SelectStatement {
    stretches(IDS)
}

/// One row for each stretch that is out of date.
fn stretches([first, last]: [&'static str; 2]) -> SelectStatement {
    let each = Query::select().expr_as(Expr::cust("unnest(logged)"), "stretch").from(name::STRETCHES).take();
    Query::select()
        .expr_as(Expr::cust(first), "first")
        .expr_as(Expr::cust(last), "last")
        .from_subquery(each, "each")
        .take()
}

/// Selects from the door codes, for [`only_logged`]: on SQLite, those of members in the log.
pub(in crate::reports) fn from_tokens_in_log(select: &mut SelectStatement, backend: DbBackend) {
    match backend {
        DbBackend::Sqlite => sqlite::from_tokens_in_log(select),
        _ => {
            select.from(token::Entity);
        }
    }
}

/// Leaves those of members in the log, which the table expression `stretches` has.
pub(super) fn only_logged(from_tokens_in_log: &mut SelectStatement, backend: DbBackend) {
    if backend != DbBackend::Sqlite {
        let user_id = Expr::col((token::Entity, token::Column::UserId));
        let within = user_id.clone().gte(Expr::col("first")).and(user_id.lte(Expr::col("last")));
        from_tokens_in_log.join_subquery(JoinType::InnerJoin, stretches_of_members(), "live", within);
    }
}

/// Values of all time by member. Those that are up to date come from the rollup, where `columns` has their expressions
/// and names; `direct`, which has the same columns after the member's id and reads [`from_tokens_in_log`], is of the other
/// members. Both are restricted by `matching`, a condition on the member's id: beyond the union, the planner would
/// neglect its cost. Also returns the table expression that the statement needs.
pub(in crate::reports) fn around_log(
    backend: DbBackend,
    mut direct: SelectStatement,
    ids: Option<&[i32]>,
    matching: Option<Expr>,
    columns: &[(&'static str, &'static str)],
) -> (CommonTableExpression, SelectStatement) {
    let mut kept = Query::select();
    kept.column("user_id").from("rollup_users").cond_where(
        Cond::all()
            .add_option(ids.map(|ids| Expr::col("user_id").is_in(ids.iter().copied())))
            .add_option(matching.clone()),
    );
    for (value, name) in columns {
        kept.expr_as(Expr::cust(*value), *name);
    }
    direct.cond_where(Cond::all().add_option(matching));
    only_logged(&mut direct, backend);
    let logged = if backend == DbBackend::Sqlite {
        kept.and_where(Expr::cust(sqlite::IS_FOLLOWED)).and_where(Expr::cust(sqlite::IS_NOT_LOGGED));
        sqlite::logged_members()
    } else {
        kept.and_where(Expr::cust("NOT user_id::BIGINT <@ (SELECT logged FROM stretches)"));
        let logged = format!("CASE WHEN {IS_FOLLOWED} THEN coalesce(range_agg(users), '{{}}') ELSE '{{(,)}}' END");
        Query::select().expr_as(Expr::cust(logged), name::LOGGED).from("rollup_log").take()
    };
    kept.union(UnionType::All, direct);
    (cte(name::STRETCHES, logged), kept)
}
