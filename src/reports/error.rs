//! Errors of reports, grouped by what the caller can do about them.

use sea_orm::{
    ConnAcquireErr, DbErr, RuntimeErr,
    sqlx::{self, error::DatabaseError, postgres::PgDatabaseError},
};
use tracing::{error, warn};

use crate::{
    access::NotGranted,
    database::{Database, words},
    reports::asking::argument::InvalidArgument,
};

/// Why a report has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The caller lacks a scope.
    #[error(transparent)]
    NotGranted(#[from] NotGranted),
    /// An argument is wrong; the same request will fail again.
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    /// The database cancelled the statement at the statement timeout, or the statement waited too long for a lock.
    #[error("the database did not answer in time")]
    Timeout(#[source] DbErr),
    /// All connections to the database were in use, and none became free in time.
    #[error("the database is busy with other requests")]
    Busy(#[source] DbErr),
    /// The database cannot be reached now.
    #[error("the database is out of reach")]
    Unavailable(#[source] Option<DbErr>),
    /// The database refused the statement: for example a missing table, a missing right, or a damaged file.
    #[error("the database refused the statement")]
    Database(#[source] DbErr),
}

impl Error {
    /// Fails at once while the database is known to be unreachable.
    pub(super) fn unless_away(database: &Database) -> Result<(), Self> {
        if database.is_away() { Err(Self::Unavailable(None)) } else { Ok(()) }
    }

    /// Starts a check of the database if the error may mean an outage. An exhausted pool alone is none.
    pub(super) fn noted(self, database: &Database) -> Self {
        let Self::Unavailable(Some(source)) = self else { return self };
        database.investigate();
        let is_exhausted = source == DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) && database.pool().is_full();
        if is_exhausted { Self::Busy(source) } else { Self::Unavailable(Some(source)) }
    }

    /// The outcome of a report in one word, for metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::NotGranted(_) => "denied",
            Self::InvalidArgument(_) => "invalid",
            Self::Timeout(_) => "timeout",
            Self::Busy(_) => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Database(_) => "failed",
        }
    }

    /// Whether a standby cancelled the statement because of a conflict, so that it can be sent again.
    pub(super) fn is_conflict(&self) -> bool {
        let Self::Unavailable(Some(
            DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source)),
        )) = self
        else {
            return false;
        };
        source.as_database_error().is_some_and(|error| is_postgres(error) && error.code().as_deref() == Some(CONFLICT))
    }

    /// The error with the database's own message, for operators.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self {
            Self::Timeout(source) | Self::Busy(source) | Self::Unavailable(Some(source)) | Self::Database(source) => {
                format!("{self}: {}", words(source))
            }
            Self::NotGranted(_) | Self::InvalidArgument(_) | Self::Unavailable(None) => self.to_string(),
        }
    }

    /// Logs what the client does not see. To be called once, where the error leaves the domain. Nothing is logged while
    /// the database is known to be unreachable, since that is in the log already.
    pub fn log(&self) {
        match self {
            Self::NotGranted(_) | Self::InvalidArgument(_) | Self::Unavailable(None) => {}
            Self::Timeout(source) => warn!(error = words(source), "report cancelled at the statement timeout"),
            Self::Busy(_) => warn!("report failed: no connection to the database was free within DB_ACQUIRE_TIMEOUT"),
            Self::Unavailable(Some(source)) => warn!(error = words(source), "report failed: database out of reach"),
            Self::Database(source) => error!(error = words(source), "report failed: database refused the statement"),
        }
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Unavailable(Some(error)),
            DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source)) => {
                match source.as_ref() {
                    sqlx::Error::Database(source) if was_cancelled(source.as_ref()) => Self::Timeout(error),
                    sqlx::Error::Database(source) if went_away(source.as_ref()) => Self::Unavailable(Some(error)),
                    sqlx::Error::Io(_)
                    // A connection that broke in the middle of an answer.
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed => Self::Unavailable(Some(error)),
                    _ => Self::Database(error),
                }
            }
            _ => Self::Database(error),
        }
    }
}

/// PostgreSQL: `query_canceled` and `lock_not_available`. SQLite: `SQLITE_INTERRUPT` and `SQLITE_BUSY`.
fn was_cancelled(error: &dyn DatabaseError) -> bool {
    let codes: &[&str] = if is_postgres(error) { &["57014", "55P03"] } else { &["9", "5"] };
    error.code().is_some_and(|code| codes.contains(&code.as_ref()))
}

/// PostgreSQL: classes 08 (connection), 53 (resources) and 57P (operator intervention), and `serialization_failure`,
/// with which a standby cancels a statement that conflicts with its replay. Sending the statement again helps.
/// Source: <https://www.postgresql.org/docs/15/errcodes-appendix.html>
fn went_away(error: &dyn DatabaseError) -> bool {
    is_postgres(error)
        && error.code().is_some_and(|code| ["08", "53", "57P", CONFLICT].iter().any(|class| code.starts_with(class)))
}

/// `serialization_failure`.
const CONFLICT: &str = "40001";

fn is_postgres(error: &dyn DatabaseError) -> bool {
    error.try_downcast_ref::<PgDatabaseError>().is_some()
}
