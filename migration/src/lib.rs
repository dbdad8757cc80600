//! Migrations of the coworking database. Tables that the coworking service made already are adopted: no migration
//! changes a row of them, and undoing a migration never drops them.
//!
//! Applied migrations are recorded in `seaql_migrations`, the table that sea-orm-migration used in earlier versions.

mod m20261123_000001_adopt_or_create_tables;
mod m20261123_000002_create_report_views;
mod m20261127_000003_index_times;
mod m20261127_000004_create_report_functions;

use std::time::{SystemTime, UNIX_EPOCH};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, TransactionTrait as _,
    sea_query::{Expr, ExprTrait as _, Query},
};

/// The table of applied migrations, with the time of each (seconds since 1970, UTC).
const APPLIED: &str = "seaql_migrations";

/// Makes the indexes on the times of `tokens` in SQLite, where they are missing.
pub const TIMES_IN_SQLITE: &str = include_str!("indexes.sqlite.sql");

/// A migration of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migration {
    /// `users` and `tokens`: created when they are missing, adopted when they exist.
    AdoptOrCreateTables,
    /// `report_daily_usage` and `report_user_visits`: reports as views, for tools that use only SQL.
    CreateReportViews,
    /// Indexes on the times of `tokens`; SQLite only.
    IndexTimes,
    /// The reports as functions of dates and a time zone, for tools that use only SQL; PostgreSQL only.
    CreateReportFunctions,
}

impl Migration {
    /// All migrations, in the order in which they are applied.
    pub const ALL: [Self; 4] =
        [Self::AdoptOrCreateTables, Self::CreateReportViews, Self::IndexTimes, Self::CreateReportFunctions];

    /// The name under which the migration is recorded.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AdoptOrCreateTables => "m20261123_000001_adopt_or_create_tables",
            Self::CreateReportViews => "m20261123_000002_create_report_views",
            Self::IndexTimes => "m20261127_000003_index_times",
            Self::CreateReportFunctions => "m20261127_000004_create_report_functions",
        }
    }

    async fn apply(self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        match self {
            Self::AdoptOrCreateTables => m20261123_000001_adopt_or_create_tables::apply(transaction).await,
            Self::CreateReportViews => m20261123_000002_create_report_views::apply(transaction).await,
            Self::IndexTimes => m20261127_000003_index_times::apply(transaction).await,
            Self::CreateReportFunctions => m20261127_000004_create_report_functions::apply(transaction).await,
        }
    }

    async fn undo(self, transaction: &DatabaseTransaction) -> Result<(), DbErr> {
        match self {
            // The tables and their rows belong to the coworking service, so they stay.
            Self::AdoptOrCreateTables => Ok(()),
            Self::CreateReportViews => m20261123_000002_create_report_views::undo(transaction).await,
            Self::IndexTimes => m20261127_000003_index_times::undo(transaction).await,
            Self::CreateReportFunctions => m20261127_000004_create_report_functions::undo(transaction).await,
        }
    }
}

/// Applies the migrations that are missing, each in its own transaction.
///
/// # Errors
/// What the database says; then the failed migration changed nothing.
pub async fn up(connection: &DatabaseConnection) -> Result<(), DbErr> {
    if !has_table(connection, APPLIED).await? {
        let columns = "version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL";
        connection.execute_unprepared(&format!("CREATE TABLE IF NOT EXISTS {APPLIED} ({columns})")).await?;
    }
    for (migration, is_applied) in status(connection).await? {
        if !is_applied {
            let transaction = connection.begin().await?;
            migration.apply(&transaction).await?;
            let note = Query::insert()
                .into_table(APPLIED)
                .columns(["version", "applied_at"])
                .values_panic([migration.name().into(), seconds_since_1970().into()])
                .take();
            transaction.execute(&note).await?;
            transaction.commit().await?;
        }
    }
    Ok(())
}

/// Undoes the migration that was applied last, if any.
///
/// # Errors
/// What the database says; then nothing was undone.
pub async fn down(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let applied = status(connection).await?.into_iter().rev().find(|(_, is_applied)| *is_applied);
    let Some((migration, _)) = applied else { return Ok(()) };
    let transaction = connection.begin().await?;
    migration.undo(&transaction).await?;
    let forget = Query::delete().from_table(APPLIED).and_where(Expr::col("version").eq(migration.name())).take();
    transaction.execute(&forget).await?;
    transaction.commit().await
}

/// All migrations, and whether each is applied. Only reads.
///
/// # Errors
/// When the database has a migration that this version does not know, or cannot be read.
pub async fn status(connection: &DatabaseConnection) -> Result<Vec<(Migration, bool)>, DbErr> {
    let mut applied = Vec::new();
    if has_table(connection, APPLIED).await? {
        for row in connection.query_all(&Query::select().column("version").from(APPLIED).take()).await? {
            applied.push(row.try_get::<String>("", "version")?);
        }
    }
    let is_known = |version: &&String| Migration::ALL.iter().any(|migration| migration.name() == *version);
    if let Some(unknown) = applied.iter().find(|version| !is_known(version)) {
        let problem =
            format!("the database has the migration {unknown}, which this version does not know: use a newer one");
        return Err(DbErr::Migration(problem));
    }
    Ok(Migration::ALL.map(|migration| (migration, applied.iter().any(|version| version == migration.name()))).into())
}

/// Whether the database has a table or a view with this name.
async fn has_table(connection: &impl ConnectionTrait, name: &str) -> Result<bool, DbErr> {
    let found = match connection.get_database_backend() {
        DbBackend::Sqlite => Query::select()
            .expr(Expr::val(1))
            .from("sqlite_master")
            .and_where(Expr::col("type").is_in(["table", "view"]))
            .and_where(Expr::col("name").eq(name))
            .take(),
        _ => Query::select()
            .expr(Expr::val(1))
            .and_where(Expr::cust_with_values("to_regclass($1) IS NOT NULL", [name]))
            .take(),
    };
    Ok(connection.query_one(&found).await?.is_some())
}

fn seconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
