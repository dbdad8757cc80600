//! The service that every face asks, and the session that makes all the reports of one request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures_util::{TryStreamExt as _, future::BoxFuture};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, StreamTrait as _, sea_query::SelectStatement,
};
use tokio::sync::OnceCell;
use tracing::{Instrument as _, debug_span, warn};

use super::{
    Error, Rollup, dialect, rollup,
    version::{Version, Versions},
};
use crate::{
    clock::Clock,
    database::{Database, PoolState, words},
    metrics,
};

/// The reports: the one service that every face calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reports {
    database: Database,
    clock: Clock,
    rollup: Rollup,
    versions: Versions,
}

/// What whoever takes rows waits for before the next one; an error ends the answer.
pub type Wait = BoxFuture<'static, Result<(), Error>>;

/// All the reports of one request. They agree with each other: one `now`, and, where there are several
/// statements, one snapshot of the database.
#[derive(Debug)]
pub struct Session {
    database: Database,
    now: DateTime<Utc>,
    pub(super) rollup: Rollup,
    pub(super) shares: bool,
    snapshot: OnceCell<DatabaseTransaction>,
    /// Whether a statement was asked.
    has_asked: AtomicBool,
}

impl Reports {
    /// Reports on `database`, with days that end by `clock`. To be called within a runtime.
    #[must_use]
    pub fn new(database: Database, clock: Clock) -> Self {
        let rollup = Rollup::default();
        let versions = Versions::of(database.clone(), rollup.clone());
        Self { database, clock, rollup, versions }
    }

    /// The state of the data, by a check that begins after this call; none where it cannot be known now.
    pub async fn version(&self) -> Option<Version> {
        self.versions.now().await
    }

    /// The clock by which reports look at the world.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The instant at which reports look at the world.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// What the database's connections are doing now.
    #[must_use]
    pub fn pool(&self) -> PoolState {
        self.database.pool()
    }

    /// The quarter of an hour since 1970, UTC: days end with one in every zone, and with them what is today, and partial.
    #[must_use]
    pub fn quarter(&self) -> i64 {
        self.now().timestamp().div_euclid(15 * 60)
    }

    /// Reports for one request: each is one statement, and reads without a transaction.
    #[must_use]
    pub fn session(&self) -> Arc<Session> {
        self.begin(false)
    }

    /// Reports for one request that may take several statements: all read one and the same snapshot.
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
            snapshot: OnceCell::new(),
            has_asked: AtomicBool::new(false),
        })
    }

    /// Looks whether the database has a rollup that reports had better read, and keeps that in mind.
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

    /// Whether reports can be made now: the database answers and has tokens to read.
    ///
    /// # Errors
    /// Why they cannot.
    pub async fn check(&self) -> Result<(), Error> {
        Error::unless_away(&self.database)?;
        // One token's existence: cheap on a table of any size, and fails where reports would.
        let answer = self.database.connection().execute_unprepared("SELECT 1 FROM tokens LIMIT 1").await;
        answer.map(drop).map_err(|error| Error::from(error).noted(&self.database))
    }

    /// Whether a report was answered within that time.
    #[must_use]
    pub fn answered_within(&self, time: Duration) -> bool {
        self.database.answered_within(time)
    }
}

/// Makes a report: traced, counted and timed under its name.
pub(super) async fn made<T>(report: &'static str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let started = Instant::now();
    let result = work.instrument(debug_span!("report", "otel.name" = report)).await;
    let outcome = result.as_ref().map_or_else(Error::outcome, |_| "ok");
    metrics::report_made(report, outcome, started.elapsed());
    result
}

impl Session {
    /// The instant at which this request looks at the world.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.database.connection().get_database_backend()
    }

    /// Asks the rollup where that is possible, and the tokens where it is not, or is gone.
    pub(super) async fn query_rollup_or(
        &self,
        rolled: impl FnOnce() -> Option<SelectStatement>,
        direct: impl FnOnce() -> SelectStatement,
    ) -> Result<Vec<QueryResult>, Error> {
        if self.rollup.is_usable()
            && let Some(statement) = rolled()
        {
            match self.query_all(&statement).await {
                // A shared snapshot is lost with the statement that fails in it.
                Err(Error::Database(error)) if !self.shares => self.distrust_rollup(&error),
                answer => return answer,
            }
        }
        self.query_all(&direct()).await
    }

    /// Asks the tokens from now on, since a statement that reads the rollup failed.
    pub(super) fn distrust_rollup(&self, error: &DbErr) {
        warn!(error = words(error), "the rollup cannot be read: asking the tokens until it is looked for again");
        self.rollup.distrust();
        self.has_asked.store(false, Ordering::Relaxed);
    }

    /// Holds that statements of one answer agree: one agrees with itself, several share a snapshot.
    fn about_to_ask(&self) {
        let again = self.has_asked.swap(true, Ordering::Relaxed);
        debug_assert!(self.shares || !again, "a second statement, and no snapshot that both read");
    }

    /// Hands the rows of an answer to `take`, one after the other: as many as there are take no more memory than one.
    pub(super) async fn for_each(
        &self,
        statement: &SelectStatement,
        mut take: impl FnMut(&QueryResult) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        self.for_each_waiting(statement, |row| take(row).map(|()| None)).await
    }

    /// The same, where `take` may have something to wait for before the next row.
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
                async move {
                    match taken? {
                        Some(wait) => wait.await,
                        None => Ok(()),
                    }
                }
            };
            if self.shares {
                let snapshot = self.snapshot.get_or_try_init(|| dialect::begin_snapshot(connection)).await?;
                snapshot.stream_raw(statement).await?.map_err(Error::from).try_for_each(take).await
            } else {
                connection.stream_raw(statement).await?.map_err(Error::from).try_for_each(take).await
            }
        };
        let rows: Result<(), Error> = rows.instrument(span).await;
        if rows.is_ok() {
            self.database.answered();
        }
        rows.map_err(|error| error.noted(&self.database))
    }

    /// Asked once more where a standby gave up a statement in favour of what it replays; not within a snapshot, which is lost
    /// with it.
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
        // The text has placeholders only: bound values are in no log and no trace.
        let span = debug_span!("statement", "otel.kind" = "client", "db.query.text" = statement.sql);
        let _running = self.database.running();
        let rows = async {
            if self.shares {
                match self.snapshot.get_or_try_init(|| dialect::begin_snapshot(connection)).await {
                    Ok(snapshot) => snapshot.query_all_raw(statement.clone()).await,
                    Err(error) => Err(error),
                }
            } else {
                connection.query_all_raw(statement.clone()).await
            }
        };
        let rows = rows.instrument(span).await;
        if rows.is_ok() {
            self.database.answered();
        }
        rows.map_err(|error| Error::from(error).noted(&self.database))
    }
}
