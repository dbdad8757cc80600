//! Whether the database is reachable. While it is known not to be, requests fail at once instead of waiting for a
//! connection. A task tries to connect until the database is back.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::sqlx;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{Failure, connect_error, pooler::Link};
use crate::config::database::DatabaseTarget;

/// The pause between attempts while the database is unreachable.
const PAUSE: Duration = Duration::from_millis(250);
/// PostgreSQL's error code when it has no connection left.
const TOO_MANY_CONNECTIONS: &str = "53300";
/// PgBouncer's words for the same, which have no code of their own.
const POOLER_IS_FULL: &str = "no more connections allowed";

/// The state of the database; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Availability {
    state: Arc<State>,
    /// What is connected to, and how; `None` for SQLite.
    target: Option<(Arc<DatabaseTarget>, Link)>,
}

#[derive(Debug, Default)]
struct State {
    down: AtomicBool,
    watched: AtomicBool,
    last_answer: Mutex<Option<Instant>>,
    /// Why the database is out of reach, as a sentence.
    cause: Mutex<Option<Arc<str>>>,
}

impl State {
    fn answered_within(&self, time: Duration) -> bool {
        let last = *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < time)
    }

    fn cause(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs the cause when the database was within reach before.
    fn gone(&self, target: &DatabaseTarget, error: sqlx::Error) {
        let error = Failure::new(target, connect_error(error)).to_string();
        *self.cause() = Some(error.as_str().into());
        if !self.down.swap(true, Ordering::Relaxed) {
            warn!(error, "database out of reach: requests fail at once until it is back");
        }
    }

    fn back(&self) {
        if self.down.swap(false, Ordering::Relaxed) {
            info!("database back");
        }
        *self.cause() = None;
    }
}

impl Availability {
    /// A database that is always reachable, such as an SQLite file.
    pub(super) fn always() -> Self {
        Self::default()
    }

    /// A database on a network.
    pub(super) fn watching(target: DatabaseTarget, link: Link) -> Self {
        Self { target: Some((Arc::new(target), link)), ..Self::default() }
    }

    /// The way to it; `None` for SQLite.
    pub(super) fn link(&self) -> Option<&Link> {
        self.target.as_ref().map(|(_, link)| link)
    }

    /// Notes that a statement was answered.
    pub(super) fn answered(&self) {
        *self.state.last_answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a statement was answered within the last `time`.
    pub(super) fn answered_within(&self, time: Duration) -> bool {
        self.state.answered_within(time)
    }

    pub(super) fn is_down(&self) -> bool {
        self.state.down.load(Ordering::Relaxed)
    }

    /// Why it is down, in a sentence; `None` while it is not.
    pub(super) fn cause(&self) -> Option<Arc<str>> {
        self.state.cause().clone()
    }

    /// Notes that the first attempt to connect failed. The connections of requests may work all the same, so a
    /// doubtful failure is told, and nothing follows from it.
    pub(super) fn not_reached(&self, error: sqlx::Error) {
        let Some((target, _)) = &self.target else { return };
        if is_doubtful(&error) {
            let error = Failure::new(target, connect_error(error)).to_string();
            warn!(error, "database not reached yet: it may have no connection left, or be slow");
        } else {
            self.state.gone(target, error);
            self.investigate();
        }
    }

    /// Tries to connect, outside of the pool. Always succeeds for SQLite.
    pub(super) async fn knock(&self) -> Result<(), sqlx::Error> {
        match &self.target {
            Some((_, link)) => link.knock().await,
            None => Ok(()),
        }
    }

    /// Tries to connect, outside of the pool, again and again until that works. This distinguishes an outage from a
    /// pool that is merely busy.
    pub(super) fn investigate(&self) {
        let Some((target, link)) = self.target.clone() else { return };
        if self.state.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            while let Err(error) = link.knock().await {
                if !is_doubtful(&error) || !state.answered_within(link.patience) {
                    state.gone(&target, error);
                }
                sleep(PAUSE).await;
            }
            state.back();
            state.watched.store(false, Ordering::Release);
        });
    }
}

/// Whether the database may have no connection left, or be slow, so that open connections still work.
fn is_doubtful(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(said) => {
            said.code().as_deref() == Some(TOO_MANY_CONNECTIONS) || said.message().starts_with(POOLER_IS_FULL)
        }
        error => matches!(error, sqlx::Error::PoolTimedOut),
    }
}
