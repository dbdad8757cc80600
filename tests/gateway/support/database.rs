//! One database for each test: an SQLite file, or a database on the test run's own PostgreSQL.

use std::path::{Path, PathBuf};

use coworking_analytics::database::{Access, Database};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use tempfile::TempDir;
use uuid::Uuid;

use super::config;

/// The kinds of database that every report runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A database for one test. An SQLite file is deleted after the test.
pub struct TestDatabase {
    pub backend: Backend,
    pub url: String,
    /// A connection with the right to write, like that of the coworking service.
    pub owner: DatabaseConnection,
    _folder: Option<TempDir>,
}

impl TestDatabase {
    /// An empty database.
    pub async fn bare(backend: Backend) -> Self {
        let (url, folder) = match backend {
            Backend::Sqlite => {
                let folder = TempDir::new().unwrap();
                (format!("sqlite:{}", folder.path().join("test.db").display()), Some(folder))
            }
            Backend::Postgres => (create_postgres_database().await, None),
        };
        let owner = open(&url).await;
        Self { backend, url, owner, _folder: folder }
    }

    /// A database with the tables, without rows.
    pub async fn empty(backend: Backend) -> Self {
        let database = Self::bare(backend).await;
        migration::up(&database.owner).await.unwrap();
        database
    }

    /// A database with the recorded legacy data.
    pub async fn recorded(backend: Backend) -> Self {
        let database = Self::empty(backend).await;
        database.execute(&fixture("data.sql")).await;
        database
    }

    /// An existing PostgreSQL database.
    pub async fn at(url: &str) -> Self {
        Self { backend: Backend::Postgres, url: url.to_owned(), owner: open(url).await, _folder: None }
    }

    /// The same database, with another connection.
    pub async fn again(&self) -> Self {
        Self::at(&self.url).await
    }

    /// The same database with the connection of a role whose password is its name.
    pub async fn seen_by(&self, role: &str) -> Self {
        let (_, address) = self.url.rsplit_once('@').unwrap();
        Self { url: format!("postgres://{role}:{role}@{address}"), ..self.again().await }
    }

    /// The same database at another address, as of a pooler; `owner` stays connected to the server.
    pub async fn through(&self, url: String) -> Self {
        Self { url, ..self.again().await }
    }

    pub async fn execute(&self, sql: &str) {
        self.owner.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{error} in {sql:.200}"));
    }
}

pub fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy").join(name)
}

pub fn fixture(name: &str) -> String {
    std::fs::read_to_string(fixture_path(name)).unwrap()
}

/// The URL of the PostgreSQL that `make test` started. Without it the test fails; it is not skipped.
#[expect(clippy::disallowed_methods, reason = "the test run's own setting")]
pub fn postgres_url() -> String {
    let test = std::thread::current().name().map(str::to_owned).filter(|name| name.contains("::"));
    assert!(test.is_none_or(|test| test.contains("postgres")), "a test that needs PostgreSQL is made by on_postgres!");
    std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL is not set; run the tests with `make test`")
}

/// The file of the authority that signed this PostgreSQL's certificate.
#[expect(clippy::disallowed_methods, reason = "the test run's own setting")]
pub fn postgres_authority() -> String {
    std::env::var("TEST_POSTGRES_AUTHORITY")
        .expect("TEST_POSTGRES_AUTHORITY is not set; run the tests with `make test`")
}

/// Creates a database on the test run's PostgreSQL and returns its URL. It is deleted with the cluster.
pub async fn create_postgres_database() -> String {
    copy_of_postgres_database("template1").await
}

/// Copies the database of that name, which must have no connections.
pub async fn copy_of_postgres_database(template: &str) -> String {
    let server = postgres_url();
    let name = format!("test_{}", Uuid::new_v4().simple());
    let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
    open(&server).await.execute_unprepared(&create).await.unwrap();
    let (address, _) = server.rsplit_once('/').unwrap();
    format!("{address}/{name}")
}

async fn open(url: &str) -> DatabaseConnection {
    let config = config(url, &[("DB_MAX_CONNECTIONS", "1")]);
    Database::connect(&config.database, Access::Maintain).await.unwrap().connection().clone()
}

/// Waits until another session waits for a lock in this database.
pub async fn waits_for_a_lock(connection: &sea_orm::DatabaseTransaction) {
    tokio::time::timeout(super::process::PATIENCE, async {
        while waiting(connection).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

/// The number of sessions that wait for a lock in this database.
pub async fn waiting(connection: &sea_orm::DatabaseTransaction) -> i64 {
    let waiting = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, waiting);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}
