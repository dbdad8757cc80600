//! Whether the database is reachable. While it is known not to be, requests fail at once instead of waiting for a
//! connection. A task tries to connect until the database is back.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::sqlx;
use tokio::time::sleep;
use tracing::{info, warn};

use super::pooler::Link;

/// The pause between attempts while the database is unreachable.
const PAUSE: Duration = Duration::from_millis(250);
/// PostgreSQL's error code when it has no connection left.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// The state of the database; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Availability {
    state: Arc<State>,
    /// How to connect; `None` for SQLite.
    link: Option<Link>,
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

/// The result of an attempt to connect.
enum Attempt {
    Connected,
    Failed,
    /// The database has no connection left, or did not answer in time. Open connections may still work.
    Doubtful,
}

impl Availability {
    /// A database that is always reachable, such as an SQLite file.
    pub(super) fn always() -> Self {
        Self::default()
    }

    /// A database on a network.
    pub(super) fn watching(link: Link) -> Self {
        Self { link: Some(link), ..Self::default() }
    }

    /// The way to it; `None` for SQLite.
    pub(super) fn link(&self) -> Option<&Link> {
        self.link.as_ref()
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

    /// Tries to connect, outside of the pool. Always succeeds for SQLite.
    pub(super) async fn knock(&self) -> Result<(), sqlx::Error> {
        match &self.link {
            Some(link) => link.knock().await,
            None => Ok(()),
        }
    }

    /// Tries to connect, outside of the pool, again and again until that works. This distinguishes an outage from a
    /// pool that is merely busy.
    pub(super) fn investigate(&self) {
        let Some(link) = self.link.clone() else { return };
        if self.state.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            loop {
                let is_gone = match attempt(&link).await {
                    Attempt::Connected => break,
                    Attempt::Failed => true,
                    Attempt::Doubtful => !state.answered_within(link.patience),
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

async fn attempt(link: &Link) -> Attempt {
    match link.knock().await {
        Ok(()) => Attempt::Connected,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(TOO_MANY_CONNECTIONS) => Attempt::Doubtful,
        Err(sqlx::Error::PoolTimedOut) => Attempt::Doubtful,
        Err(_) => Attempt::Failed,
    }
}
