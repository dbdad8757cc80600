//! Connections to PostgreSQL or SQLite, and whether the database answers.

mod availability;
mod failure;
mod file;
mod heavy;
mod pooler;

use std::{
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{
    ConnAcquireErr, DatabaseConnection, DbBackend, DbErr, SqlxPostgresConnector, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions as _, Executor as _,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};
use secrecy::ExposeSecret as _;
use tracing::log::LevelFilter;

pub use self::failure::{Failure, words};
use self::{availability::Availability, file::File, heavy::HeavyPlaces, pooler::Link};
pub(crate) use self::{failure::ELSEWHERE, heavy::HeavyPlace};
use crate::config::database::{DatabaseConfig, DatabaseTarget, PoolMode, PostgresTarget};

/// How long an attempt to connect may take, if requests do not wait longer than this for a connection.
const ATTEMPT: Duration = Duration::from_secs(2);

/// SQLite calls its progress handler once per this many of its instructions, which take some tens of microseconds.
const SQLITE_STEPS_PER_CHECK: i32 = 10_000;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reports: nothing can be written, and statements are cancelled at the statement timeout.
    Report,
    /// Migrations and sample data: may write, without a statement timeout. Creates an SQLite file that is missing.
    Maintain,
    /// The rollup of a database that is there: as `Maintain`.
    Keep,
}

/// A pool of connections, and the state of the database behind it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    connection: DatabaseConnection,
    watching: DatabaseConnection,
    watching_since: Arc<AtomicU64>,
    availability: Availability,
    max_connections: u32,
    heavy: HeavyPlaces,
    statements: Arc<AtomicU32>,
}

/// The state of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Connections in use by a statement or an open snapshot.
    pub used: u32,
    /// Connections that are open and idle.
    pub idle: u32,
    /// Statements that wait for a connection. Statements of one snapshot share a connection; one that waits for another
    /// of them counts as well.
    pub waiting: u32,
    /// Connections that may be open at once.
    pub max: u32,
}

impl PoolState {
    /// Whether all connections that may be open are.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.used + self.idle >= self.max
    }
}

/// Counts a statement that runs, or waits for a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<AtomicU32>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Database {
    /// A pool for the configured database. A PostgreSQL connection is opened for the first statement, so the gateway
    /// can start without the database and recovers from an outage. An SQLite file is opened at once.
    ///
    /// # Errors
    /// When the SQLite file cannot be opened, or the PostgreSQL address is malformed.
    pub async fn connect(config: &DatabaseConfig, access: Access) -> Result<Self, DbErr> {
        match &config.target {
            DatabaseTarget::Postgres(target) => {
                let options = postgres_options(target).map_err(connect_error)?;
                let link = Link::to(options.clone(), config.acquire_timeout.max(ATTEMPT), config.pool_mode);
                let pool = |size| {
                    let pool = PgPoolOptions::new().max_connections(size).acquire_timeout(config.acquire_timeout);
                    let pool = link.clone().prepare(pool, access, config.statement_timeout);
                    SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(options.clone()))
                };
                let (pool, watching) = (pool(config.max_connections), pool(1));
                Ok(Self::new(
                    pool,
                    watching,
                    Arc::default(),
                    Availability::watching(config.target.clone(), link),
                    config,
                ))
            }
            DatabaseTarget::Embedded(path) | DatabaseTarget::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(access == Access::Maintain)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
                    .foreign_keys(true)
                    .busy_timeout(config.acquire_timeout)
                    .log_statements(LevelFilter::Trace);
                let file = Arc::new(File::at(path));
                let pool =
                    sqlite_pool(options.clone(), Arc::clone(&file), config, access).await.map_err(connect_error)?;
                let since = Arc::<AtomicU64>::default();
                let watching = watching_pool(options, file, Arc::clone(&since));
                let watching = SqlxSqliteConnector::from_sqlx_sqlite_pool(watching);
                let pool = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
                Ok(Self::new(pool, watching, since, Availability::always(), config))
            }
        }
    }

    fn new(
        connection: DatabaseConnection,
        watching: DatabaseConnection,
        watching_since: Arc<AtomicU64>,
        availability: Availability,
        config: &DatabaseConfig,
    ) -> Self {
        Self {
            connection,
            watching,
            watching_since,
            availability,
            max_connections: config.max_connections,
            heavy: HeavyPlaces::new(config.max_connections, config.acquire_timeout),
            statements: Arc::default(),
        }
    }

    /// The pool.
    #[must_use]
    pub fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// One extra connection, for checking whether the data changed while all others are busy.
    pub(crate) fn watching(&self) -> &DatabaseConnection {
        &self.watching
    }

    /// A number that changes when the `watching` connection is opened again. SQLite's data version can only be compared
    /// within one connection.
    pub(crate) fn watching_since(&self) -> u64 {
        self.watching_since.load(Ordering::SeqCst)
    }

    /// Counts a statement until the returned value is dropped.
    pub(crate) fn running(&self) -> Running {
        self.statements.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(&self.statements))
    }

    /// One of the connections that heavy questions may use, until it is dropped: half of all, at least one.
    ///
    /// # Errors
    /// When none became free within `DB_ACQUIRE_TIMEOUT`, or too many wait already.
    pub(crate) async fn heavy_place(&self) -> Result<HeavyPlace, DbErr> {
        Box::pin(self.heavy.take()).await.ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }

    /// How many connections heavy questions may use at once.
    #[must_use]
    pub fn heavy_places(connections: u32) -> usize {
        heavy::places(connections)
    }

    /// Notes that the database answered a statement.
    pub(crate) fn answered(&self) {
        self.availability.answered();
    }

    /// Whether the database answered a statement within that time.
    #[must_use]
    pub fn answered_within(&self, time: Duration) -> bool {
        self.availability.answered_within(time)
    }

    /// The current state of the pool.
    #[must_use]
    pub fn pool(&self) -> PoolState {
        let (open, idle) = if self.connection.get_database_backend() == DbBackend::Postgres {
            let pool = self.connection.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        } else {
            let pool = self.connection.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        };
        let idle = u32::try_from(idle).unwrap_or(u32::MAX);
        let used = open.saturating_sub(idle);
        let waiting = self.statements.load(Ordering::Relaxed).saturating_sub(used);
        PoolState { used, idle, waiting, max: self.max_connections }
    }

    /// Connects for the first time, outside of the pool, without waiting for success: if that fails, the log says why,
    /// and requests fail at once until it works.
    pub(crate) async fn reach(&self) -> bool {
        match self.availability.knock().await {
            Ok(()) => true,
            Err(error) => {
                self.availability.not_reached(error);
                false
            }
        }
    }

    /// Connects once, outside of the pool. The pool would try again and again, and then report only a timeout.
    ///
    /// # Errors
    /// Why the database cannot be reached.
    pub async fn knock(&self) -> Result<(), DbErr> {
        self.availability.knock().await.map_err(connect_error)
    }

    /// Whether a connection is a session of its own, as far as is known. Behind a pooler, each use of a connection is
    /// one transaction, perhaps in another session.
    pub(crate) fn keeps_sessions(&self) -> bool {
        self.availability.link().is_none_or(|link| link.mode() == Some(PoolMode::Session))
    }

    /// Waits until everything that was written is stored. Behind a pooler, a transaction ends when the connection comes
    /// back to its pool, which must have one connection only.
    ///
    /// # Errors
    /// Why the last transaction was not stored.
    pub(crate) async fn settle(&self) -> Result<(), DbErr> {
        let Some(link) = self.availability.link().filter(|_| !self.keeps_sessions()) else { return Ok(()) };
        drop(self.connection.get_postgres_connection_pool().acquire().await.map_err(connect_error)?);
        link.take_lost().map_or(Ok(()), |error| Err(connect_error(error)))
    }

    /// Whether the database is known to be unreachable, so that a statement would only wait.
    pub(crate) fn is_away(&self) -> bool {
        self.availability.is_down()
    }

    /// Why the database cannot be reached, in a sentence with what to check first; `None` unless that is known.
    pub(crate) fn cause(&self) -> Option<Arc<str>> {
        self.availability.cause()
    }

    /// Checks whether the database is reachable, after an error that may mean that it is not.
    pub(crate) fn investigate(&self) {
        self.availability.investigate();
    }
}

fn connect_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(sea_orm::RuntimeErr::SqlxError(error.into()))
}

fn postgres_options(target: &PostgresTarget) -> Result<PgConnectOptions, sqlx::Error> {
    let options = match target {
        PostgresTarget::Url { url, .. } => PgConnectOptions::from_str(url.expose_secret())?,
        PostgresTarget::Parts { host, port, database, username, password, .. } => {
            PgConnectOptions::new_without_pgpass()
                .host(host)
                .port(*port)
                .database(database)
                .username(username)
                .password(password.expose_secret())
        }
    };
    let tls = target.tls();
    let options = if let Some(mode) = tls.mode { options.ssl_mode(mode) } else { options };
    let options = if let Some(path) = &tls.root_certificate { options.ssl_root_cert(path) } else { options };
    // Poolers refuse the parameter with which the driver asks for all digits, which every PostgreSQL since 12 sends.
    Ok(options.application_name("coworking-analytics").extra_float_digits(None).log_statements(LevelFilter::Trace))
}

async fn sqlite_pool(
    options: SqliteConnectOptions,
    file: Arc<File>,
    config: &DatabaseConfig,
    access: Access,
) -> Result<sqlx::SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new().acquire_timeout(config.acquire_timeout);
    if access == Access::Maintain {
        return pool.max_connections(1).connect_with(options).await;
    }
    if access == Access::Keep {
        return pool
            .max_connections(1)
            .before_acquire(move |_, known| {
                let is_current = file.is_read_by(known.age);
                Box::pin(async move { Ok(is_current) })
            })
            .connect_with(options)
            .await;
    }
    let limit = config.statement_timeout;
    pool.max_connections(config.max_connections)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute("PRAGMA query_only = ON").await?;
                arm(connection, limit).await
            })
        })
        .before_acquire(move |connection, known| {
            let is_current = file.is_read_by(known.age);
            Box::pin(async move { arm(connection, limit).await.map(|()| is_current) })
        })
        .connect_with(options)
        .await
}

/// A pool of one connection, which is kept as long as the file is the same one, since its data version can only be
/// compared with itself.
fn watching_pool(options: SqliteConnectOptions, file: Arc<File>, since: Arc<AtomicU64>) -> sqlx::SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            let since = Arc::clone(&since);
            Box::pin(async move {
                since.fetch_add(1, Ordering::SeqCst);
                connection.execute("PRAGMA query_only = ON").await.map(drop)
            })
        })
        .before_acquire(move |_, known| {
            let is_current = file.is_read_by(known.age);
            Box::pin(async move { Ok(is_current) })
        })
        .connect_lazy_with(options)
}

/// Lets SQLite run for `limit` from now on, in place of a statement timeout.
async fn arm(connection: &mut SqliteConnection, limit: Duration) -> Result<(), sqlx::Error> {
    let started = Instant::now();
    let mut handle = connection.lock_handle().await?;
    handle.set_progress_handler(SQLITE_STEPS_PER_CHECK, move || started.elapsed() < limit);
    Ok(())
}
