//! The rollup in SQLite: the same days and members, in tables of the same file, and a log that triggers keep. Readers see
//! a snapshot of the file, with the log, the rollup and the door codes of one moment.
//!
//! The log has dates and members, without a stretch or a number of either: SQLite has one writer at a time, so a refresh
//! counts again what the log names, and deletes that from it, in one transaction.

mod install;
mod refresh;
mod verify;

use chrono::NaiveDateTime;
use entity::token;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, FromQueryResult as _, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _, Value,
    sea_query::{CommonTableExpression, Expr, ExprTrait as _, Query, SelectStatement, UnionType},
};

pub(super) use self::{
    install::{create, drop_all, rebuild, upgrade},
    refresh::refresh,
    verify::verify,
};
use super::{Status, read::within};
use crate::reports::{
    dialect::{FIRST, from_tokens_near, from_tokens_that, ids_on_days, instant},
    selection::cte,
    time_zone::UtcBounds,
};

/// Whether the rollup may be read: the schema did not change since the triggers were seen in it, the log names all that
/// was not counted, and all members have ids that the days can keep.
pub(super) const IS_FOLLOWED: &str = "(EXISTS (SELECT 1 FROM rollup_state \
    WHERE is_listed AND fingerprint = (SELECT schema_version FROM pragma_schema_version)) \
    AND NOT EXISTS (SELECT 1 FROM rollup_log WHERE what = 'odd'))";

/// Which refresh was the last.
pub(super) const REFRESH_ID: &str = "generation || ' ' || coalesce(refreshed_at, '')";
/// Rows of the log that say that `users` changed.
pub(super) const USERS_CHANGED: &str = "what = 'users'";
/// Rows of the log that are a date within the years 1 to 9999; before those are numbers, after those other texts.
const IS_DAY: &str = "what >= '0001' AND what < ':'";
/// Rows of the log that are a member's id.
pub(super) const IS_MEMBER: &str = "what < ''";
/// With more days than this in the log, it is faster to read the door codes than to read the rollup around the log.
const DAYS_MAX: i64 = 10;

/// The beginning of a day, and its end; null at the end of the last one.
pub(super) const MIDNIGHT: &str = "day || ' 00:00:00'";
pub(super) const NEXT_MIDNIGHT: &str = "date(day, '+1 day') || ' 00:00:00'";

/// The beginning of the slot of a time, in the form in which reports compare times.
pub(super) fn slot(at: &str) -> String {
    format!("substr({at}, 1, 14) || substr('00153045', CAST(substr({at}, 15, 2) AS INTEGER) / 15 * 2 + 1, 2) || ':00'")
}

/// The table `stretches`: whether the rollup may be read.
pub(super) fn state() -> CommonTableExpression {
    cte("stretches", Query::select().expr_as(Expr::cust(IS_FOLLOWED), "is_followed").take())
}

/// The table `days`: the days in the log that end after `since`, when the rollup may be read.
pub(super) fn days(since: Option<NaiveDateTime>) -> CommonTableExpression {
    let mut days = Query::select();
    days.expr_as(Expr::cust("what"), "day")
        .from("rollup_log")
        .and_where(Expr::cust(IS_DAY))
        .and_where(Expr::cust("(SELECT is_followed FROM stretches)"));
    if let Some(since) = since {
        days.and_where(Expr::cust("what").gte(since.format("%Y-%m-%d").to_string()));
    }
    cte("days", days)
}

/// The door codes within these bounds, when the rollup may be read; without columns yet.
pub(super) fn tokens_before(column: token::Column, bounds: UtcBounds) -> SelectStatement {
    let mut codes = Query::select();
    from_tokens_near(&mut codes, column, bounds);
    codes
        .cond_where(within(DbBackend::Sqlite, &Expr::col(column), bounds))
        .and_where(Expr::col(column).gte(instant(DbBackend::Sqlite, FIRST)))
        .and_where(Expr::cust("(SELECT is_followed FROM stretches)"))
        .take()
}

/// The door codes of the table `days`, within these bounds, without columns yet.
pub(super) fn tokens_on_days(column: token::Column, bounds: UtcBounds) -> SelectStatement {
    let mut codes = Query::select();
    from_tokens_that(&mut codes, Some(Expr::col(token::Column::Id).in_subquery(ids_on_days(column))));
    let date = Expr::cust_with_expr("substr(?, 1, 10)", Expr::col(column));
    let days = Query::select().column("day").from("days").take();
    codes.cond_where(within(DbBackend::Sqlite, &Expr::col(column), bounds)).and_where(date.in_subquery(days)).take()
}

/// Whether a member in `rollup_users` is up to date.
pub(super) const IS_NOT_LOGGED: &str = "user_id NOT IN (SELECT id FROM stretches)";

/// The members that are read from the door codes, as the table `stretches`: those in the log, or all.
pub(super) fn logged_members() -> SelectStatement {
    let state = Query::select().expr_as(Expr::cust(IS_FOLLOWED), "is_followed").take();
    let everybody = Query::select()
        .column((token::Entity, token::Column::UserId))
        .from_subquery(state, "state")
        .cross_join(token::Entity)
        .and_where(Expr::cust("NOT is_followed"))
        .take();
    Query::select()
        .expr_as(Expr::cust("what"), "id")
        .from("rollup_log")
        .and_where(Expr::cust(IS_MEMBER))
        .union(UnionType::All, everybody)
        .take()
}

/// Selects from the door codes of these members.
pub(super) fn from_tokens_in_log(select: &mut SelectStatement) {
    let ids = Query::select().column("id").from("stretches").take();
    from_tokens_that(select, Some(Expr::col(token::Column::UserId).in_subquery(ids)));
}

/// What the rollup rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// Whether the schema is the one that the triggers were seen in, and the log is there.
    is_same_schema: bool,
    is_listed: bool,
}

impl State {
    /// The state; `None` when there is no rollup.
    async fn of(connection: &impl ConnectionTrait) -> Result<Option<Self>, DbErr> {
        if !exists(connection).await? {
            return Ok(None);
        }
        let sql = "SELECT is_listed, fingerprint = (SELECT schema_version FROM pragma_schema_version) \
                       AND EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'rollup_log') AS is_same_schema \
                   FROM rollup_state";
        let Some(row) = one(connection, sql, []).await? else { return Ok(None) };
        Ok(Some(Self { is_same_schema: row.try_get("", "is_same_schema")?, is_listed: row.try_get("", "is_listed")? }))
    }
}

/// Whether the file has a rollup.
async fn exists(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    is(connection, "EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'rollup_state')").await
}

/// The state of the rollup; `None` when there is none.
pub(super) async fn status(connection: &DatabaseConnection) -> Result<Option<Status>, DbErr> {
    let Some(state) = State::of(connection).await? else { return Ok(None) };
    let log = if state.is_same_schema {
        format!(
            "(SELECT count(*) FROM (SELECT 1 FROM rollup_log LIMIT 100000)) AS log_rows, \
             NOT {IS_FOLLOWED} OR (SELECT count(*) FROM rollup_log WHERE {IS_DAY}) > {DAYS_MAX} AS is_behind"
        )
    } else {
        "0 AS log_rows, TRUE AS is_behind".to_owned()
    };
    let sql = format!("SELECT generation, refreshed_at, NULL AS trouble, {log} FROM rollup_state");
    let status = Status::find_by_statement(Statement::from_string(DbBackend::Sqlite, sql)).one(connection).await?;
    let Some(mut status) = status else { return Ok(None) };
    status.trouble = trouble(connection, state).await?;
    Ok(Some(status))
}

/// Why the rollup is not used until somebody does something.
async fn trouble(connection: &impl ConnectionTrait, state: State) -> Result<Option<String>, DbErr> {
    if !state.is_same_schema {
        let faults = install::faults(connection).await?;
        return Ok((!faults.is_empty()).then(|| faults.join("; ")));
    }
    if is(connection, "EXISTS (SELECT 1 FROM rollup_log WHERE what = 'odd')").await?
        && is(connection, &format!("EXISTS ({ODD_MEMBERS})")).await?
    {
        return Ok(Some("a door code in tokens has a user_id that is no number of 32 bits".to_owned()));
    }
    Ok(None)
}

/// Door codes of members whose ids the days cannot keep.
const ODD_MEMBERS: &str =
    "SELECT 1 FROM tokens WHERE typeof(user_id) <> 'integer' OR user_id NOT BETWEEN -2147483648 AND 2147483647";

/// Begins a transaction that writes: it has the only place of a writer from the beginning, so that nothing which it reads
/// changes meanwhile.
async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
    connection.begin_with_options(TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() }).await
}

async fn one<const N: usize>(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<Option<QueryResult>, DbErr> {
    connection.query_one_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await
}

/// Whether a condition is true.
async fn is(connection: &impl ConnectionTrait, condition: &str) -> Result<bool, DbErr> {
    let row = one(connection, &format!("SELECT {condition} AS is_true"), []).await?;
    row.map_or(Ok(false), |row| row.try_get("", "is_true"))
}

/// Runs a statement without rows.
async fn run<const N: usize>(connection: &impl ConnectionTrait, sql: &str, values: [Value; N]) -> Result<(), DbErr> {
    connection.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await.map(drop)
}
