//! Whether the database is there. While it is known not to be, requests fail at once instead of
//! each waiting for a connection; a watcher finds out when it is back.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// How long an attempt to connect may take, or longer, where requests wait longer for a connection.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How often a database that is down is tried.
const PAUSE: Duration = Duration::from_millis(250);
/// What PostgreSQL answers when it has no connection left.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// What is known of the database; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Availability {
    state: Arc<State>,
    /// Where to knock, and for how long; nothing for a database inside the process.
    target: Option<(Arc<PgConnectOptions>, Duration)>,
}

#[derive(Debug, Default)]
struct State {
    down: AtomicBool,
    watched: AtomicBool,
    last_answer: Mutex<Option<Instant>>,
}

impl State {
    fn answered_within(&self, time: Duration) -> bool {
        let last = *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < time)
    }
}

/// What came of knocking.
enum Attempt {
    Connected,
    Failed,
    /// The database has no connection left, or no time: those that are open may work all the same.
    Doubtful,
}

impl Availability {
    /// A database that cannot be out of reach.
    pub(super) fn always() -> Self {
        Self::default()
    }

    /// A database behind a network, and how long requests wait for a connection to it.
    pub(super) fn watching(target: PgConnectOptions, patience: Duration) -> Self {
        Self { target: Some((Arc::new(target), patience.max(ATTEMPT))), ..Self::default() }
    }

    /// Notes that a statement was answered.
    pub(super) fn answered(&self) {
        *self.state.last_answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a statement was answered within that time.
    pub(super) fn answered_within(&self, time: Duration) -> bool {
        self.state.answered_within(time)
    }

    pub(super) fn is_down(&self) -> bool {
        self.state.down.load(Ordering::Relaxed)
    }

    /// Tries to connect, outside of the pool; a database inside the process needs no knocking.
    pub(super) async fn knock(&self) -> Result<(), sqlx::Error> {
        match &self.target {
            Some((target, patience)) => knock(target, *patience).await,
            None => Ok(()),
        }
    }

    /// Tries to connect, outside of the pool, and watches the database until that works. A pool that
    /// is merely busy is told from an outage thereby.
    pub(super) fn investigate(&self) {
        let Some((target, patience)) = self.target.clone() else { return };
        if self.state.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            loop {
                let is_gone = match attempt(&target, patience).await {
                    Attempt::Connected => break,
                    Attempt::Failed => true,
                    Attempt::Doubtful => !state.answered_within(patience),
                };
                if is_gone && !state.down.swap(true, Ordering::Relaxed) {
                    warn!("database out of reach: requests fail at once until it is back");
                }
                sleep(PAUSE).await;
            }
            if state.down.swap(false, Ordering::Relaxed) {
                info!("database back");
            }
            state.watched.store(false, Ordering::Release);
        });
    }
}

async fn attempt(target: &PgConnectOptions, patience: Duration) -> Attempt {
    match knock(target, patience).await {
        Ok(()) => Attempt::Connected,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(TOO_MANY_CONNECTIONS) => Attempt::Doubtful,
        Err(sqlx::Error::PoolTimedOut) => Attempt::Doubtful,
        Err(_) => Attempt::Failed,
    }
}

async fn knock(target: &PgConnectOptions, patience: Duration) -> Result<(), sqlx::Error> {
    let attempt = async {
        let connection = target.connect().await?;
        connection.close().await
    };
    timeout(patience, attempt).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
