//! Counts that are kept beside the tokens, so that the cost of an answer does not grow with them: by 15
//! minutes of UTC, of which every current time zone's days are made, and by member. PostgreSQL only, and
//! only where somebody made them: see `docs/architecture.md`.

mod read;
mod refresh;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Statement, TransactionTrait as _,
};

pub(super) use self::read::{around_log, counts, visitors};
pub use self::refresh::{Progress, refresh};

/// With more rows in the log than this, reading past the rollup costs less than reading around the log.
const LOG_MAX: i64 = 5_000;

/// The tables, triggers and functions, in one transaction.
const CREATE: &str = include_str!("create.sql");
const RETIRE: &str = include_str!("retire.sql");
const DROP: &str = include_str!("drop.sql");

/// Logs that all is out of date.
const EVERYTHING: &str = "INSERT INTO rollup_log (slots, users) VALUES (tsrange('-infinity', 'infinity'), int8range(-2147483648, 2147483648))";

/// What the live part of an answer needs: one index range for each stretch of the log. Built without
/// keeping writers waiting, and kept when the rollup goes.
const INDEXES: [&str; 3] = [
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS tokens_created_at_used_at_index ON tokens (created_at) INCLUDE (used_at)",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS tokens_used_at_index ON tokens (used_at) WHERE used_at IS NOT NULL",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS tokens_user_id_used_at_index ON tokens (user_id) INCLUDE (used_at)",
];

/// Whether reports may read the rollup. Cheap to clone; found out, and kept right, by [`Rollup::look`].
#[derive(Debug, Clone, Default)]
pub struct Rollup {
    usable: Arc<AtomicBool>,
}

/// What is known of a database's rollup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub struct Status {
    /// How many refreshes there were.
    pub generation: i64,
    /// When the last one ended; none before the first.
    pub refreshed_at: Option<DateTime<Utc>>,
    /// Rows in the log: stretches of time, and members, that are counted anew for each answer.
    pub log_rows: i64,
    /// Whether long stretches are out of date, as all is before the first refreshes.
    pub is_behind: bool,
}

impl Rollup {
    /// Whether reports may read the rollup now.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable.load(Ordering::Relaxed)
    }

    /// Reports read the tokens themselves from now on, until somebody looks again.
    pub(super) fn distrust(&self) {
        self.usable.store(false, Ordering::Relaxed);
    }

    /// Looks whether there is a rollup, and whether reading it pays.
    ///
    /// # Errors
    /// What the database says.
    pub async fn look(&self, connection: &DatabaseConnection) -> Result<Option<Status>, DbErr> {
        let status = status(connection).await?;
        let pays = status.is_some_and(|status| !status.is_behind && status.log_rows <= LOG_MAX);
        self.usable.store(pays, Ordering::Relaxed);
        Ok(status)
    }
}

/// What is known of the rollup; none where there is none that this role may read.
///
/// # Errors
/// What the database says.
pub async fn status(connection: &DatabaseConnection) -> Result<Option<Status>, DbErr> {
    if connection.get_database_backend() != DbBackend::Postgres || !may(connection, "SELECT").await? {
        return Ok(None);
    }
    // Counted no further than it matters.
    let sql = "SELECT generation, refreshed_at, \
                   (SELECT count(*) FROM (SELECT FROM rollup_log LIMIT 100000) AS log) AS log_rows, \
                   EXISTS (SELECT FROM rollup_log WHERE upper(slots) > lower(slots) + INTERVAL '40 days' \
                           OR upper(users) > lower(users) + 20000) AS is_behind \
               FROM rollup_state";
    Status::find_by_statement(Statement::from_string(DbBackend::Postgres, sql)).one(connection).await
}

/// Whether this role may refresh the rollup, here and now: not on a standby, for one.
///
/// # Errors
/// What the database says.
pub async fn is_refreshable(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    Ok(connection.get_database_backend() == DbBackend::Postgres && may(connection, "INSERT").await?)
}

async fn may(connection: &DatabaseConnection, privilege: &str) -> Result<bool, DbErr> {
    let sql = "SELECT coalesce(bool_and(has_table_privilege(to_regclass(name), $1)), false) \
                   AND count(to_regclass(name)) = 5 \
                   AND ($1 = 'SELECT' OR NOT pg_is_in_recovery()) AS may \
               FROM unnest(ARRAY['rollup_slots', 'rollup_visitors', 'rollup_users', 'rollup_log', 'rollup_state']) AS name";
    let row =
        connection.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [privilege.into()])).await?;
    row.map_or(Ok(false), |row| row.try_get("", "may"))
}

/// Makes the rollup, still empty: every read stays exact, and the next refreshes fill it.
///
/// # Errors
/// When there is one already, the database is no PostgreSQL, or what it says.
pub async fn create(connection: &DatabaseConnection) -> Result<(), DbErr> {
    only_postgres(connection)?;
    if exists(connection).await? {
        let problem = "there is a rollup already; `rollup refresh` brings it up to date, `rollup rebuild` counts anew";
        return Err(DbErr::Custom(problem.to_owned()));
    }
    for index in INDEXES {
        connection.execute_unprepared(index).await?;
    }
    // Nothing is counted yet. By now the triggers see every write.
    patiently(connection, &[CREATE, EVERYTHING]).await
}

/// Counts everything anew: at once all is out of date, and the next refreshes fill it.
///
/// # Errors
/// When there is no rollup, the database is no PostgreSQL, or what it says.
pub async fn rebuild(connection: &DatabaseConnection) -> Result<(), DbErr> {
    only_postgres(connection)?;
    if !exists(connection).await? {
        return Err(DbErr::Custom("there is no rollup; `rollup create` makes one".to_owned()));
    }
    connection.execute_unprepared(EVERYTHING).await.map(drop)
}

/// Removes the rollup; its indexes stay. Reads stay exact meanwhile.
///
/// # Errors
/// What the database says.
pub async fn drop_all(connection: &DatabaseConnection) -> Result<(), DbErr> {
    only_postgres(connection)?;
    if !exists(connection).await? {
        return Ok(());
    }
    // Step by step: writers lock tokens before the log, and readers the log before tokens, so that whoever
    // locked both exclusively would be at odds with one of them. Retired first, since then nobody takes the
    // log for all that changes any more.
    patiently(connection, &[EVERYTHING, RETIRE]).await?;
    patiently(connection, &["DROP TRIGGER IF EXISTS rollup_users_changed ON users"]).await?;
    patiently(connection, &[DROP]).await
}

async fn exists(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    let sql = "SELECT to_regclass('rollup_state') IS NOT NULL AS rollup_exists";
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    row.map_or(Ok(false), |row| row.try_get("", "rollup_exists"))
}

/// Runs statements in a transaction that does not wait long for locks: what has to wait for writers makes
/// later ones wait as well.
async fn patiently(connection: &DatabaseConnection, scripts: &[&str]) -> Result<(), DbErr> {
    let transaction = connection.begin().await?;
    transaction.execute_unprepared("SET LOCAL lock_timeout = '5s'").await?;
    for script in scripts {
        transaction.execute_unprepared(script).await?;
    }
    transaction.commit().await
}

fn only_postgres(connection: &DatabaseConnection) -> Result<(), DbErr> {
    if connection.get_database_backend() == DbBackend::Postgres {
        return Ok(());
    }
    Err(DbErr::Custom("rollups are for PostgreSQL; SQLite answers from the tokens directly".to_owned()))
}
