//! Whether each connection is a session of its own, as PostgreSQL gives it, or leads to a pooler such as PgBouncer,
//! which may run each transaction in another session. There, every use of a connection is one transaction, and leaves
//! nothing behind: no setting, and no named statement.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sea_orm::sqlx::{
    self, AssertSqlSafe, ConnectOptions as _, Connection as _, Database, Executor as _, PgConnection, Postgres,
    Row as _, SqlSafeStr as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use sqlx_core::transaction::TransactionManager as _;
use tokio::time::timeout;
use tracing::{debug, info};

use super::Access;
use crate::config::database::PoolMode;

/// A connection that was used within this time is not asked whether it is alive before it is used again, which would be a
/// round trip for every statement under load.
const LIVELY: Duration = Duration::from_millis(100);

/// A setting of no meaning. A server gives it back if the session began with this connection.
const SIGN: &str = "coworking_analytics.sign";
/// PostgreSQL's classes of errors that say nothing about the parameters of a connection: authorization, database,
/// resources, and an operator's intervention. Source: <https://www.postgresql.org/docs/15/errcodes-appendix.html>
const OTHER_REASONS: [&str; 4] = ["28", "3D", "53", "57"];

type Manager = <Postgres as Database>::TransactionManager;

/// The way to a PostgreSQL, and what lies on it; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Link {
    target: Arc<PgConnectOptions>,
    /// How long an attempt to connect may take.
    pub(super) patience: Duration,
    /// The configured mode; `None` to find it out.
    told: Option<PoolMode>,
    found: Arc<Mutex<Option<PoolMode>>>,
    /// One attempt to find out at a time.
    finding: Arc<tokio::sync::Mutex<()>>,
    /// Why the last transaction of a connection that writes was not stored.
    lost: Arc<Mutex<Option<sqlx::Error>>>,
}

impl Link {
    pub(super) fn to(target: PgConnectOptions, patience: Duration, told: Option<PoolMode>) -> Self {
        Self {
            target: Arc::new(target),
            patience,
            told,
            found: Arc::new(Mutex::new(told)),
            finding: Arc::default(),
            lost: Arc::default(),
        }
    }

    /// The mode; `None` while nothing was found out.
    pub(super) fn mode(&self) -> Option<PoolMode> {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects once, outside of the pool, and finds out the mode.
    pub(super) async fn knock(&self) -> Result<(), sqlx::Error> {
        timeout(self.patience, self.look()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn look(&self) -> Result<(), sqlx::Error> {
        if self.told == Some(PoolMode::Session) {
            return self.target.connect().await?.close().await;
        }
        let sign = format!("{:032x}", fastrand::u128(..));
        let mut connection = self.connect_with(&sign).await?;
        let shown = format!("SELECT current_setting('{SIGN}', true)");
        let shown: Option<String> = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(shown))).await?.try_get(0)?;
        let mode = if shown == Some(sign) { PoolMode::Session } else { PoolMode::Transaction };
        if mode == PoolMode::Transaction {
            // Poolers that run each statement in another session refuse this.
            connection.execute("BEGIN; COMMIT").await?;
        }
        self.remember(mode);
        connection.close().await
    }

    /// A connection; with the sign, unless a pooler is known to be there or refuses it.
    async fn connect_with(&self, sign: &str) -> Result<PgConnection, sqlx::Error> {
        if self.mode() != Some(PoolMode::Transaction) {
            match PgConnectOptions::clone(&self.target).options([(SIGN, sign)]).connect().await {
                Err(sqlx::Error::Database(error)) if error.code().is_none_or(|code| says_nothing_else(&code)) => {}
                connected => return connected,
            }
        }
        self.target.connect().await
    }

    /// What was a pooler once stays one, since open connections may still lead to it.
    fn remember(&self, mode: PoolMode) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        match (*found, mode) {
            (None | Some(PoolMode::Session), PoolMode::Transaction) => info!(
                pool_mode = "transaction",
                "a pooler is in front of the database: every use of a connection is one transaction and leaves nothing behind"
            ),
            (None, PoolMode::Session) => debug!(pool_mode = "session", "no pooler is in front of the database"),
            _ => return,
        }
        *found = Some(mode);
    }

    /// The mode for a new connection. While it cannot be found out, a pooler is assumed.
    async fn mode_of_new(&self) -> PoolMode {
        if self.mode().is_none() {
            let _one_at_a_time = self.finding.lock().await;
            if self.mode().is_none()
                && let Err(error) = self.knock().await
            {
                debug!(%error, "whether a pooler is in front of the database could not be found out");
            }
        }
        self.mode().unwrap_or(PoolMode::Transaction)
    }

    /// What `access` needs of each connection of a pool. Reports take milliseconds, where JIT compilation of their
    /// expressions takes seconds.
    pub(super) fn prepare(self, options: PgPoolOptions, access: Access, statement_timeout: Duration) -> PgPoolOptions {
        let (limit, settings) = (statement_timeout.as_millis(), "SET LOCAL TimeZone = 'UTC'");
        // The isolation is that of all transactions with more than one statement: none within may ask for another.
        let begin: Arc<str> = match access {
            Access::Report => format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {settings}; SET LOCAL statement_timeout = {limit}; SET LOCAL jit = off"
            ),
            Access::Maintain | Access::Keep => format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; {settings}"),
        }
        .into();
        let link = self;
        let options = match access {
            Access::Report => options,
            // A connection that is too old is closed when it comes back, and its transaction would be lost.
            Access::Maintain | Access::Keep => options.max_lifetime(None),
        };
        options
            .test_before_acquire(false)
            .after_connect({
                let (link, begin) = (link.clone(), Arc::clone(&begin));
                move |connection, _| {
                    let (link, begin) = (link.clone(), Arc::clone(&begin));
                    Box::pin(async move {
                        match (link.mode_of_new().await, access) {
                            (PoolMode::Transaction, _) => open(connection, &begin).await,
                            (PoolMode::Session, Access::Report) => set_up(connection, limit).await,
                            (PoolMode::Session, Access::Maintain | Access::Keep) => Ok(()),
                        }
                    })
                }
            })
            .before_acquire({
                let link = link.clone();
                move |connection, known| {
                    let begin = (link.mode() == Some(PoolMode::Transaction)).then(|| Arc::clone(&begin));
                    Box::pin(async move {
                        if known.idle_for > LIVELY && connection.ping().await.is_err() {
                            return Ok(false);
                        }
                        if let Some(begin) = begin {
                            open(connection, &begin).await?;
                        }
                        Ok(true)
                    })
                }
            })
            .after_release(move |connection, _| {
                let link = link.clone();
                Box::pin(async move {
                    if !connection.is_in_transaction() {
                        return Ok(true);
                    }
                    if let Err(error) = end(connection).await {
                        debug!(%error, "the transaction of a connection could not be ended");
                        *link.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        return Ok(false);
                    }
                    // A session for which a pooler was assumed has not the settings of a session.
                    Ok(link.mode() == Some(PoolMode::Transaction))
                })
            })
    }

    /// Why a transaction that a connection began by itself was not stored, if one was not.
    pub(super) fn take_lost(&self) -> Option<sqlx::Error> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn says_nothing_else(code: &str) -> bool {
    !OTHER_REASONS.iter().any(|class| code.starts_with(class))
}

/// The settings of a session. The database cancels what takes too long, also when the client does not wait any more.
async fn set_up(connection: &mut PgConnection, limit: u128) -> Result<(), sqlx::Error> {
    let settings = "SELECT set_config('statement_timeout', $1, false), \
                    set_config('default_transaction_read_only', 'on', false), set_config('jit', 'off', false)";
    sqlx::query(settings).bind(limit.to_string()).execute(connection).await.map(drop)
}

/// Begins the transaction that one use of a connection is. Transactions within are savepoints of it.
async fn open(connection: &mut PgConnection, begin: &str) -> Result<(), sqlx::Error> {
    Manager::begin(connection, Some(AssertSqlSafe(begin.to_owned()).into_sql_str())).await
}

/// Ends it, and forgets its statements while they can still be reached.
async fn end(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.clear_cached_statements().await?;
    Manager::commit(connection).await
}
