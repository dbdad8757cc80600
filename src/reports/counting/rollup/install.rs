//! Makes a rollup, upgrades one of an earlier version, and removes one. A step that fails is undone.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Statement, TransactionTrait as _,
    sqlx::{self, AssertSqlSafe, Executor as _, PgConnection},
};
use tracing::{info, warn};

use super::{
    faults::{BEGIN_ANEW, Check, EVERYTHING, faults},
    place::Place,
    refresh::{self, refresh},
    sqlite,
};
use crate::database::words;

/// The tables, functions and triggers, in one transaction.
const INSTALL: &str = include_str!("install.sql");

/// From now on, reports count from the door codes, and refreshes do nothing.
const RETIRE: [&str; 3] =
    ["LOCK TABLE {schema}.rollup_state IN EXCLUSIVE MODE", EVERYTHING, "DELETE FROM {schema}.rollup_state"];

/// Drops the rollup. `CASCADE` also drops triggers that call its functions on tables of other owners.
const DROP: &str = "
DROP TABLE IF EXISTS {schema}.rollup_state, {schema}.rollup_log, {schema}.rollup_days, {schema}.rollup_users,
    {schema}.rollup_slots, {schema}.rollup_visitors;
DROP FUNCTION IF EXISTS {schema}.rollup_log_inserted(), {schema}.rollup_log_updated(), {schema}.rollup_log_deleted(),
    {schema}.rollup_log_truncated(), {schema}.rollup_log_users(), {schema}.rollup_log_row(), {schema}.rollup_log_users_row(),
    {schema}.rollup_log_everything(TEXT), {schema}.rollup_fingerprint(REGCLASS, REGCLASS) CASCADE";

/// Indexes with which an answer reads one index range for each stretch of the log: the first column, the end of the
/// index's name, and the rest of the statement.
const INDEXES: [(&str, &str, &str); 3] = [
    ("created_at", "_created_at_used_at_index", "(created_at) INCLUDE (used_at)"),
    ("used_at", "_used_at_index", "(used_at) WHERE used_at IS NOT NULL"),
    ("user_id", "_user_id_used_at_index", "(user_id) INCLUDE (used_at)"),
];

/// Whether the table `$1` has another index that begins with the column `$2` and serves as well. Each index costs
/// writers time.
const SERVES: &str = "SELECT EXISTS (
    SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
    WHERE indrelid = $1::REGCLASS AND amname = 'btree' AND indisvalid AND indpred IS NULL
    AND indkey[0] = (SELECT attnum FROM pg_attribute WHERE attrelid = indrelid AND attname = $2)
    AND (SELECT attnum FROM pg_attribute WHERE attrelid = indrelid AND attname = 'used_at') = ANY (indkey)
)";

/// How long a statement may wait for a lock. Meanwhile, writers wait behind it.
const BRIEFLY: &str = "SET LOCAL lock_timeout = '5s'";

/// Makes the rollup, and takes the first step of a refresh. Reads are exact all the time; later refreshes fill the
/// rest. `patience` is how long building an index may wait for open transactions on the table `tokens`; on SQLite,
/// nothing waits.
///
/// # Errors
/// When there is a rollup already, the tables cannot be followed, or what the database says. Then nothing is left
/// behind, unless the undo fails, which is logged.
pub async fn create(connection: &DatabaseConnection, patience: Duration) -> Result<(), DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return sqlite::create(connection).await;
    }
    let place = Place::of(connection).await?;
    if exists(connection, &place).await? {
        let problem = "there is a rollup already; `rollup refresh` brings it up to date, `rollup rebuild` counts anew, \
                       `rollup upgrade` makes its triggers anew";
        return Err(DbErr::Custom(problem.to_owned()));
    }
    let indexes = install(connection, &place, patience).await?;
    // Refreshes now, to find out whether the data can be counted.
    let Err(error) = refresh(connection).await else { return Ok(()) };
    if let Err(left) = undo(connection, &place, &indexes).await {
        warn!(error = words(&left), "the rollup was not undone: run `coworking-analytics rollup drop`");
    }
    Err(error)
}

async fn undo(connection: &DatabaseConnection, place: &Place, indexes: &[String]) -> Result<(), DbErr> {
    drop_all(connection, Duration::ZERO).await?;
    for index in indexes {
        connection.execute_unprepared(&place.sql(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"))).await?;
    }
    Ok(())
}

/// Makes the triggers and functions of a rollup again, also on tables that have none yet, and counts everything again.
/// Its tables, and the rights on them, stay.
///
/// # Errors
/// When there is no rollup, the tables cannot be followed, or what the database says.
pub async fn upgrade(connection: &DatabaseConnection, patience: Duration) -> Result<(), DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return sqlite::upgrade(connection).await;
    }
    let place = Place::of(connection).await?;
    if !exists(connection, &place).await? {
        return Err(DbErr::Custom("there is no rollup; `rollup create` makes one".to_owned()));
    }
    install(connection, &place, patience).await.map(drop)
}

/// Makes indexes, tables, functions and triggers. Returns the indexes that it made.
async fn install(connection: &DatabaseConnection, place: &Place, patience: Duration) -> Result<Vec<String>, DbErr> {
    let faults = faults(connection, place, Check::Tables).await?;
    if !faults.is_empty() {
        return Err(DbErr::Custom(format!("no rollup can be kept here: {}", faults.join("; "))));
    }
    let indexes = build_indexes(connection, place, patience).await?;
    let installed = async {
        let [everything, begun] = BEGIN_ANEW;
        patiently(connection, place, &[INSTALL, everything, begun]).await
    };
    if let Err(error) = installed.await {
        for index in &indexes {
            connection.execute_unprepared(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
        }
        return Err(error);
    }
    let made: Option<Role> = Role::find_by_statement(Statement::from_string(
        DbBackend::Postgres,
        place.sql(
            "SELECT pg_get_userbyid(relowner)::TEXT AS role FROM pg_class \
             WHERE oid = '{schema}.rollup_state'::REGCLASS AND relowner <> current_user::REGROLE",
        ),
    ))
    .one(connection)
    .await?;
    if let Some(Role { role }) = made {
        info!(role, "the rollup belongs to this role, which may do nothing else, rather than to a superuser");
    }
    Ok(indexes)
}

#[derive(FromQueryResult)]
struct Role {
    role: String,
}

#[derive(FromQueryResult)]
struct Table {
    name: String,
    schema: String,
    relname: String,
    is_partitioned: bool,
}

/// Builds missing indexes without blocking writers. On a partitioned table, it does so partition by partition.
async fn build_indexes(
    connection: &DatabaseConnection,
    place: &Place,
    patience: Duration,
) -> Result<Vec<String>, DbErr> {
    let sql = "{parts} SELECT id::REGCLASS::TEXT AS name, quote_ident(nspname) AS schema, relname::TEXT, relkind = 'p' AS is_partitioned \
               FROM parts JOIN pg_class ON pg_class.oid = id JOIN pg_namespace ON pg_namespace.oid = relnamespace \
               WHERE root = 'tokens' AND (relkind = 'r' OR id = '{tokens}'::REGCLASS) ORDER BY relkind DESC, id";
    let tables =
        Table::find_by_statement(Statement::from_string(DbBackend::Postgres, place.sql(sql))).all(connection).await?;
    // A separate connection, which is closed afterwards because its settings are changed.
    let mut session = connection.get_postgres_connection_pool().acquire().await.map_err(query_error)?;
    run(&mut session, format!("SET lock_timeout = {}", patience.as_millis())).await?;
    let of_partitions = tables.iter().any(|table| table.is_partitioned);
    let mut made = Vec::new();
    let mut built = Ok(());
    'tables: for table in &tables {
        for (first, suffix, what) in INDEXES {
            let short: String = table.relname.chars().take(63 - suffix.len()).collect();
            let plain = format!("{short}{suffix}").replace('"', "\"\"");
            let index = format!("{}.\"{plain}\"", table.schema);
            let state = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)";
            let valid: Option<bool> =
                sqlx::query_scalar(state).bind(&index).fetch_optional(&mut *session).await.map_err(query_error)?;
            if valid == Some(true) {
                continue;
            }
            // The index of a partitioned table takes over only indexes with the same definition from its partitions.
            if !of_partitions {
                let serves = sqlx::query_scalar(SERVES).bind(&table.name).bind(first).fetch_one(&mut *session);
                if serves.await.map_err(query_error)? {
                    continue;
                }
            }
            let concurrently = if table.is_partitioned { "" } else { "CONCURRENTLY" };
            if valid == Some(false) {
                run(&mut session, format!("DROP INDEX {concurrently} {index}")).await?;
            }
            made.push(index);
            let create = format!("CREATE INDEX {concurrently} \"{plain}\" ON {} {what}", table.name);
            if let Err(error) = run(&mut session, create).await {
                built = Err(error);
                break 'tables;
            }
        }
    }
    if let Err(error) = built {
        for index in &made {
            if let Err(left) = run(&mut session, format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await {
                warn!(index, error = words(&left), "an index is left, invalid; the next attempt makes it anew");
            }
        }
        session.close().await.map_err(query_error)?;
        return Err(if refresh::code(&error).as_deref() == Some(refresh::LOCK_NOT_AVAILABLE) {
            let problem = "a transaction has been open for so long that no index could be built beside it: see \
                           pg_stat_activity for the oldest xact_start, and try again once it has ended";
            DbErr::Custom(problem.to_owned())
        } else {
            error
        });
    }
    session.close().await.map_err(query_error)?;
    Ok(made)
}

async fn run(session: &mut PgConnection, sql: String) -> Result<(), DbErr> {
    session.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(drop).map_err(query_error)
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(sea_orm::RuntimeErr::SqlxError(error.into()))
}

/// Marks everything as out of date; the next refreshes count it again.
///
/// # Errors
/// When there is no rollup, or what the database says.
pub async fn rebuild(connection: &DatabaseConnection) -> Result<(), DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return sqlite::rebuild(connection).await;
    }
    let place = Place::of(connection).await?;
    if !exists(connection, &place).await? {
        return Err(DbErr::Custom("there is no rollup; `rollup create` makes one".to_owned()));
    }
    connection.execute_unprepared(&place.sql(EVERYTHING)).await.map(drop)
}

/// Removes the rollup, but not its indexes. Reads stay exact meanwhile. No request fails if `notice` is long enough for
/// running gateways to check for the rollup and to finish their requests.
///
/// # Errors
/// What the database says.
pub async fn drop_all(connection: &DatabaseConnection, notice: Duration) -> Result<(), DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return sqlite::drop_all(connection, notice).await;
    }
    let place = Place::of(connection).await?;
    if !exists(connection, &place).await? {
        return Ok(());
    }
    patiently(connection, &place, &RETIRE).await?;
    if !notice.is_zero() {
        info!(?notice, "waiting until gateways that run have taken notice");
        tokio::time::sleep(notice).await;
    }
    // Table by table: locking two tables at once could deadlock with a transaction that locks them in another order.
    let triggers = "SELECT format('DROP TRIGGER IF EXISTS %I ON %s', tgname, tgrelid::REGCLASS) AS sql FROM pg_trigger \
                    JOIN pg_proc ON pg_proc.oid = tgfoid \
                    WHERE pronamespace = '{schema}'::REGNAMESPACE AND proname LIKE 'rollup\\_log\\_%' AND NOT tgisinternal";
    for row in connection.query_all_raw(Statement::from_string(DbBackend::Postgres, place.sql(triggers))).await? {
        let sql: String = row.try_get("", "sql")?;
        patiently(connection, &place, &[&sql]).await?;
    }
    patiently(connection, &place, &[DROP]).await
}

async fn exists(connection: &DatabaseConnection, place: &Place) -> Result<bool, DbErr> {
    let sql = place.sql("SELECT to_regclass('{schema}.rollup_state') IS NOT NULL AS rollup_exists");
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    row.map_or(Ok(false), |row| row.try_get("", "rollup_exists"))
}

/// Runs scripts in one transaction that does not wait long for locks, since later writers wait behind it.
async fn patiently(connection: &DatabaseConnection, place: &Place, scripts: &[&str]) -> Result<(), DbErr> {
    let transaction = connection.begin().await?;
    transaction.execute_unprepared(BRIEFLY).await?;
    for script in scripts {
        transaction.execute_unprepared(&place.sql(script)).await?;
    }
    transaction.commit().await
}
