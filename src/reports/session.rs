//! [`Reports`], the service that GraphQL, REST and jobs call, and [`Session`], which makes all reports of one request.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures_util::{TryStreamExt as _, future::BoxFuture};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, StreamTrait as _, sea_query::SelectStatement,
};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tracing::{Instrument as _, debug_span, warn};

use super::{
    Error, Rollup,
    asking::defaults::{Defaults, Used},
    counts::{Counts, Measures},
    dialect,
    filter::TokenFilter,
    rollup,
    roster::Roster,
    version::{Version, Versions},
};
use crate::{
    clock::Clock,
    config::notes::Note,
    database::{Database, HeavyPlace, PoolState, words},
    metrics,
};

/// The service that makes reports. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reports {
    database: Database,
    clock: Clock,
    rollup: Rollup,
    versions: Versions,
    defaults: Defaults,
    notes: Arc<[Note]>,
}

/// What the reader of rows waits for before it takes the next row; an error ends the answer.
pub type Wait = BoxFuture<'static, Result<(), Error>>;

/// All reports of one request. They are consistent: they share one `now` and, if they need several statements, one
/// snapshot of the database.
#[derive(Debug)]
pub struct Session {
    database: Database,
    now: DateTime<Utc>,
    pub(super) rollup: Rollup,
    pub(super) shares: bool,
    snapshot: Arc<OnceCell<Snapshot>>,
    /// Whether the request is one of those that may use a part of the connections only.
    is_heavy: AtomicBool,
    /// Whether a statement was sent already.
    has_asked: AtomicBool,
    pub(super) defaults: Defaults,
    pub(super) used: Used,
    pub(super) notes: Arc<[Note]>,
    /// What was counted over whole ranges.
    pub(super) totals: Mutex<Vec<(TokenFilter, Measures, Counts)>>,
    /// The members, once a report read them.
    pub(super) roster: AsyncMutex<Option<Arc<Roster>>>,
}

/// A transaction in which all statements of a session read the same, and its place among the heavy ones.
#[derive(Debug)]
struct Snapshot {
    transaction: DatabaseTransaction,
    _place: Option<HeavyPlace>,
}

impl Reports {
    /// Reports on `database`, with the time of `clock`. Must be called within a runtime.
    #[must_use]
    pub fn new(database: Database, clock: Clock) -> Self {
        let rollup = Rollup::default();
        let versions = Versions::of(database.clone(), rollup.clone());
        Self { database, clock, rollup, versions, defaults: Defaults::default(), notes: Arc::default() }
    }

    /// The same, with these defaults for what questions leave out.
    #[must_use]
    pub fn with_defaults(self, defaults: Defaults) -> Self {
        Self { defaults, ..self }
    }

    /// The same, with these notes on dates.
    #[must_use]
    pub fn with_notes(self, notes: &[Note]) -> Self {
        Self { notes: notes.into(), ..self }
    }

    /// The version of the data, found by a check that begins after this call; `None` when it cannot be found now.
    pub async fn version(&self) -> Option<Version> {
        self.versions.now().await
    }

    /// The clock that reports use.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The current time of that clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The current state of the connection pool.
    #[must_use]
    pub fn pool(&self) -> PoolState {
        self.database.pool()
    }

    /// The number of quarters of an hour since 1970, in UTC. Local days end on such a quarter in every zone, so "today"
    /// and "partial" change only when this number does.
    #[must_use]
    pub fn quarter(&self) -> i64 {
        self.now().timestamp().div_euclid(15 * 60)
    }

    /// A session for one statement, which is sent without a transaction.
    #[must_use]
    pub fn session(&self) -> Arc<Session> {
        self.begin(false)
    }

    /// A session for several statements, which all read the same snapshot.
    #[must_use]
    pub fn snapshot_session(&self) -> Arc<Session> {
        self.begin(true)
    }

    fn begin(&self, shares: bool) -> Arc<Session> {
        let (database, now, rollup) = (self.database.clone(), self.clock.now(), self.rollup.clone());
        Arc::new(Session {
            database,
            now,
            rollup,
            shares,
            snapshot: Arc::default(),
            is_heavy: AtomicBool::new(false),
            has_asked: AtomicBool::new(false),
            defaults: self.defaults,
            used: Used::default(),
            notes: Arc::clone(&self.notes),
            totals: Mutex::default(),
            roster: AsyncMutex::default(),
        })
    }

    /// Checks whether the database has a rollup that is worth reading, and remembers the result.
    ///
    /// # Errors
    /// What the database says.
    pub async fn look_for_rollup(&self) -> Result<Option<rollup::Status>, Error> {
        Error::unless_away(&self.database)?;
        self.rollup.look(self.database.connection()).await.map_err(|error| Error::from(error).noted(&self.database))
    }

    /// Whether reports may read the rollup now.
    #[must_use]
    pub fn reads_rollup(&self) -> bool {
        self.rollup.is_usable()
    }

    /// Whether reports can be made now: the database answers and the table `tokens` can be read.
    ///
    /// # Errors
    /// Why reports cannot be made.
    pub async fn check(&self) -> Result<(), Error> {
        if let Some(cause) = self.database.cause() {
            return Err(Error::Unavailable(Some(DbErr::Custom(cause.to_string()))));
        }
        // Cheap on a table of any size, and fails where reports would fail.
        let answer = self.database.connection().execute_unprepared("SELECT 1 FROM tokens LIMIT 1").await;
        answer.map(drop).map_err(|error| Error::from(error).noted(&self.database))
    }

    /// Whether the database answered a report's statement within this time.
    #[must_use]
    pub fn answered_within(&self, time: Duration) -> bool {
        self.database.answered_within(time)
    }
}

/// Runs a report with a trace span, a counter and a timer under its name.
pub(super) async fn made<T>(report: &'static str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let started = Instant::now();
    let result = work.instrument(debug_span!("report", "otel.name" = report)).await;
    let outcome = result.as_ref().map_or_else(Error::outcome, |_| "ok");
    metrics::report_made(report, outcome, started.elapsed());
    result
}

impl Session {
    /// The time of this request.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// A session on the same snapshot that reads nothing but the door codes: what comparisons compare with.
    #[must_use]
    pub fn from_door_codes(&self) -> Arc<Self> {
        Arc::new(Self {
            database: self.database.clone(),
            now: self.now,
            rollup: Rollup::default(),
            shares: self.shares,
            snapshot: Arc::clone(&self.snapshot),
            is_heavy: AtomicBool::new(self.is_heavy.load(Ordering::Relaxed)),
            has_asked: AtomicBool::new(false),
            defaults: self.defaults,
            used: Used::default(),
            notes: Arc::clone(&self.notes),
            totals: Mutex::default(),
            roster: AsyncMutex::default(),
        })
    }

    /// Says, before anything is asked, that the request is heavy: it then waits for one of the connections that heavy
    /// requests may use, so that light ones find a free connection beside it.
    pub fn mark_heavy(&self) {
        self.is_heavy.store(true, Ordering::Relaxed);
    }

    /// A place among the heavy requests, if this is one.
    async fn place(&self) -> Result<Option<HeavyPlace>, Error> {
        if !self.is_heavy.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.database.heavy_place().await.map(Some).map_err(Error::Busy)
    }

    /// The snapshot that all statements of this session read.
    async fn snapshot(&self) -> Result<&DatabaseTransaction, Error> {
        let begin = async {
            let place = self.place().await?;
            let transaction = dialect::begin_snapshot(self.database.connection()).await?;
            Ok::<_, Error>(Snapshot { transaction, _place: place })
        };
        Ok(&self.snapshot.get_or_try_init(|| begin).await?.transaction)
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.database.connection().get_database_backend()
    }

    /// All rows of a statement on the rollup; `None` when it cannot be read, so that the door codes are to be asked.
    pub(super) async fn query_rollup(&self, statement: &SelectStatement) -> Result<Option<Vec<QueryResult>>, Error> {
        if !self.rollup.is_usable() {
            return Ok(None);
        }
        match self.query_all(statement).await {
            Err(Error::Database(error)) if self.outlives_failures() => {
                self.distrust_rollup(&error);
                Ok(None)
            }
            rows => rows.map(Some),
        }
    }

    /// Whether another statement can be sent after one that failed. On PostgreSQL, that one ends a shared snapshot.
    pub(super) fn outlives_failures(&self) -> bool {
        !self.shares || self.backend() == DbBackend::Sqlite
    }

    /// Stops reading the rollup, since a statement on it failed.
    pub(super) fn distrust_rollup(&self, error: &DbErr) {
        warn!(error = words(error), "the rollup cannot be read: asking the tokens until it is looked for again");
        self.rollup.distrust();
        self.ask_again();
    }

    /// Says that the statement before gave no part of the answer, so that the next one need not read its snapshot.
    pub(super) fn ask_again(&self) {
        self.has_asked.store(false, Ordering::Relaxed);
    }

    /// Checks in debug builds that all statements of a session read the same snapshot.
    fn about_to_ask(&self) {
        let again = self.has_asked.swap(true, Ordering::Relaxed);
        debug_assert!(self.shares || !again, "a second statement, and no snapshot that both read");
    }

    /// Passes the rows of an answer to `take` one by one, so that memory does not grow with their number.
    pub(super) async fn for_each(
        &self,
        statement: &SelectStatement,
        mut take: impl FnMut(&QueryResult) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        self.for_each_waiting(statement, |row| take(row).map(|()| None)).await
    }

    /// Like [`Self::for_each`], but `take` may return a future to wait for before the next row.
    pub(super) async fn for_each_waiting(
        &self,
        statement: &SelectStatement,
        mut take: impl FnMut(&QueryResult) -> Result<Option<Wait>, Error> + Send,
    ) -> Result<(), Error> {
        Error::unless_away(&self.database)?;
        self.about_to_ask();
        let connection = self.database.connection();
        let statement = connection.get_database_backend().build(statement);
        let span = debug_span!("statement", "otel.kind" = "client", "db.query.text" = statement.sql);
        let _running = self.database.running();
        let rows = async {
            let take = |row| {
                let taken = take(&row);
                // A list of many pieces is one long statement, which the database answers all the time.
                if matches!(taken, Ok(Some(_))) {
                    self.database.answered();
                }
                async move {
                    match taken? {
                        Some(wait) => wait.await,
                        None => Ok(()),
                    }
                }
            };
            if self.shares {
                self.snapshot().await?.stream_raw(statement).await?.map_err(Error::from).try_for_each(take).await
            } else {
                let _place = self.place().await?;
                connection.stream_raw(statement).await?.map_err(Error::from).try_for_each(take).await
            }
        };
        let rows: Result<(), Error> = rows.instrument(span).await;
        if rows.is_ok() {
            self.database.answered();
        }
        rows.map_err(|error| error.noted(&self.database))
    }

    /// All rows of an answer. If a standby cancelled the statement because it conflicts with replay, it is sent once
    /// more. That is not possible in a shared snapshot, which ends with the failed statement.
    pub(super) async fn query_all(&self, statement: &SelectStatement) -> Result<Vec<QueryResult>, Error> {
        self.about_to_ask();
        match self.query_all_once(statement).await {
            Err(error) if error.is_conflict() && !self.shares => self.query_all_once(statement).await,
            rows => rows,
        }
    }

    async fn query_all_once(&self, statement: &SelectStatement) -> Result<Vec<QueryResult>, Error> {
        Error::unless_away(&self.database)?;
        let connection = self.database.connection();
        let statement = &connection.get_database_backend().build(statement);
        // The SQL text has placeholders only, so bound values never get into a log or a trace.
        let span = debug_span!("statement", "otel.kind" = "client", "db.query.text" = statement.sql);
        let _running = self.database.running();
        let rows = async {
            if self.shares {
                Ok(self.snapshot().await?.query_all_raw(statement.clone()).await?)
            } else {
                let _place = self.place().await?;
                Ok(connection.query_all_raw(statement.clone()).await?)
            }
        };
        let rows: Result<_, Error> = rows.instrument(span).await;
        if rows.is_ok() {
            self.database.answered();
        }
        rows.map_err(|error| error.noted(&self.database))
    }
}
