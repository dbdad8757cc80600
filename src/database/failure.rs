//! Messages for people about why a database cannot be used: the database's own words, without the libraries' names of
//! error kinds, and what to do next.

use std::{fmt, io};

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, error::DatabaseError},
};

use crate::config::database::{DatabaseTarget, PostgresTarget};

/// Why a database cannot be used: a sentence that names the database and, where known, ends with what to do. It
/// contains no password.
#[derive(Debug)]
pub struct Failure {
    target: DatabaseTarget,
    error: DbErr,
}

impl Failure {
    /// The failure of `target` with `error`.
    #[must_use]
    pub fn new(target: &DatabaseTarget, error: DbErr) -> Self {
        Self { target: target.clone(), error }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Messages of this program are complete sentences.
        if let DbErr::Custom(sentence) | DbErr::Migration(sentence) = &self.error {
            return f.write_str(sentence);
        }
        write!(f, "cannot use {}: {}", self.target, words(&self.error))?;
        let advice = match &self.target {
            DatabaseTarget::Postgres(target) => on_postgres(target, &self.error),
            DatabaseTarget::Sqlite(_) => on_sqlite(false, &self.error),
            DatabaseTarget::Embedded(_) => on_sqlite(true, &self.error),
        };
        advice.map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

/// The message of the database, or of the connection to it.
#[must_use]
pub fn words(error: &DbErr) -> String {
    match error {
        DbErr::Custom(text) | DbErr::Migration(text) => text.clone(),
        DbErr::ConnectionAcquire(_) => "no connection became free in time".to_owned(),
        error => match source(error) {
            Some(sqlx::Error::Database(said)) => said.message().to_owned(),
            Some(sqlx::Error::Io(said)) => said.to_string(),
            Some(sqlx::Error::Tls(said) | sqlx::Error::Configuration(said)) => said.to_string(),
            Some(sqlx::Error::Protocol(said)) => said.clone(),
            Some(sqlx::Error::PoolTimedOut) => "no answer in time".to_owned(),
            Some(other) => other.to_string(),
            None => error.to_string(),
        },
    }
}

/// The error of the database driver.
fn source(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(source))
        | DbErr::Exec(RuntimeErr::SqlxError(source))
        | DbErr::Query(RuntimeErr::SqlxError(source)) => Some(source),
        _ => None,
    }
}

/// Error codes: <https://www.postgresql.org/docs/15/errcodes-appendix.html>
fn on_postgres(target: &PostgresTarget, error: &DbErr) -> Option<&'static str> {
    let or = |parts, url| if matches!(target, PostgresTarget::Url { .. }) { url } else { parts };
    let code = match source(error) {
        Some(sqlx::Error::Database(said)) => said.code().unwrap_or_default(),
        // The instructions in PostgreSQL's manual make such certificates. The TLS library cannot read them, even when
        // certificates are not checked.
        Some(sqlx::Error::Io(said)) if said.to_string().contains("UnsupportedCertVersion") => {
            return Some(
                "the server's certificate is of X.509 version 1: give it one of version 3 (`openssl x509 … -extfile`), \
                 or set DB_SSLMODE=disable",
            );
        }
        Some(sqlx::Error::Io(said)) if said.to_string().contains("peer certificate") => {
            return Some("check DB_SSLMODE and DB_SSLROOTCERT");
        }
        Some(sqlx::Error::Tls(_) | sqlx::Error::Configuration(_)) => {
            return Some("check DB_SSLMODE and DB_SSLROOTCERT");
        }
        None if !matches!(error, DbErr::ConnectionAcquire(_)) => return None,
        Some(sqlx::Error::Io(said)) => return Some(on_network(said, or)),
        Some(sqlx::Error::PoolTimedOut) => {
            return Some(or(
                "check DB_HOST and DB_PORT, and that no firewall or security group is in the way",
                "check the address in DATABASE_URL, and that no firewall or security group is in the way",
            ));
        }
        _ => return Some(on_network(&io::ErrorKind::Other.into(), or)),
    };
    if words(error).contains("statement pooling mode") {
        return Some("set PgBouncer's pool_mode to transaction or session");
    }
    match code.as_ref() {
        "28P01" => Some(or("check DB_USERNAME and DB_PASSWORD", "check the user and the password in DATABASE_URL")),
        // The name of the file is the same in every language.
        "28000" if words(error).contains("pg_hba.conf") => Some(
            "add this host, role and database to the server's pg_hba.conf; or, if it asks for encryption, set \
             DB_SSLMODE=require",
        ),
        "28000" => Some(or(
            "check DB_USERNAME and DB_SSLMODE, and that the role may log in",
            "check the user in DATABASE_URL, DB_SSLMODE, and that the role may log in",
        )),
        "3D000" => Some(or("check DB_NAME", "check the name at the end of DATABASE_URL")),
        "42501" => Some("grant the role what it needs: docs/postgresql.md"),
        "53300" => Some("close some connections, or lower DB_MAX_CONNECTIONS, and try again"),
        "53100" => Some("make room on the server's disk, and try again"),
        "55P03" => Some("another session is changing it: try again"),
        _ => None,
    }
}

fn on_network(error: &io::Error, or: impl Fn(&'static str, &'static str) -> &'static str) -> &'static str {
    match error.kind() {
        // What the search for an address says has no kind of its own.
        _ if error.to_string().contains("lookup address") => or(
            "check DB_HOST: no address is known under this name",
            "check the host in DATABASE_URL: no address is known under this name",
        ),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => or(
            "check that DB_HOST is the folder of the server's socket, and that this user may use it",
            "check that the host in DATABASE_URL is the folder of the server's socket, and that this user may use it",
        ),
        _ => or(
            "check DB_HOST and DB_PORT, and that the server runs",
            "check the address in DATABASE_URL, and that the server runs",
        ),
    }
}

/// Error codes: <https://www.sqlite.org/rescode.html>
fn on_sqlite(is_embedded: bool, error: &DbErr) -> Option<&'static str> {
    let or = |embedded, file| Some(if is_embedded { embedded } else { file });
    let Some(sqlx::Error::Database(said)) = source(error) else { return None };
    match primary_code(said.as_ref())? {
        5 | 6 => Some("another process is writing to it: try again"),
        8 => or(
            "let this user write that file and its folder, or start in another folder",
            "let this user write that file and its folder",
        ),
        10 => Some("the disk is full, or broken: make room, or look at it, and try again"),
        13 => Some("make room on the disk, and try again"),
        14 => or(ELSEWHERE, "`coworking-analytics migrate` creates a missing file, where this user may write"),
        11 | 26 => or(ANEW, "check that DATABASE_URL names the right file"),
        _ if is_embedded => Some(ANEW),
        _ => None,
    }
}

/// The primary code within an extended code.
fn primary_code(error: &dyn DatabaseError) -> Option<u32> {
    Some(error.code()?.parse::<u32>().ok()? & 0xff)
}

/// What to do when the sample database cannot be created.
pub(crate) const ELSEWHERE: &str =
    "start in a folder where this user may write, or name your own database with DATABASE_URL or DB_HOST";
const ANEW: &str = "remove the folder `data` to start with new sample data";

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sea_orm::{ConnectionTrait as _, SqlxSqliteConnector, sqlx::sqlite::SqlitePoolOptions};

    use super::*;

    /// SQLite reports the same error for a full disk and for a file that must not grow.
    #[tokio::test]
    async fn a_full_disk_is_told_in_the_databases_own_words() {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
        connection.execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
        let error = connection.execute_unprepared("CREATE TABLE full (id INTEGER)").await.unwrap_err();
        let failure = Failure::new(&DatabaseTarget::Embedded(PathBuf::from("data/coworking.db")), error);
        let told = "cannot use the database file data/coworking.db: database or disk is full; \
                    make room on the disk, and try again";
        assert_eq!(failure.to_string(), told);
    }
}
