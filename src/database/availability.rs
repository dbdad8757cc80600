//! Whether the database is there. While it is known not to be, requests fail at once instead of
//! each waiting for a connection; a watcher finds out when it is back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// How long an attempt to connect may take.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How often a database that is down is tried.
const PAUSE: Duration = Duration::from_millis(250);

/// What is known of the database; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Availability {
    state: Arc<State>,
    /// Where to knock; nothing for a database inside the process.
    target: Option<Arc<PgConnectOptions>>,
}

#[derive(Debug, Default)]
struct State {
    down: AtomicBool,
    watched: AtomicBool,
}

impl Availability {
    /// A database that cannot be out of reach.
    pub(super) fn always() -> Self {
        Self::default()
    }

    /// A database behind a network.
    pub(super) fn watching(target: PgConnectOptions) -> Self {
        Self { target: Some(Arc::new(target)), ..Self::default() }
    }

    pub(super) fn is_down(&self) -> bool {
        self.state.down.load(Ordering::Relaxed)
    }

    /// Tries to connect, outside of the pool, and watches the database until that works. A pool that
    /// is merely busy is told from an outage thereby.
    pub(super) fn investigate(&self) {
        let Some(target) = self.target.clone() else { return };
        if self.state.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            while !answers(&target).await {
                if !state.down.swap(true, Ordering::Relaxed) {
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

async fn answers(target: &PgConnectOptions) -> bool {
    let attempt = async {
        let connection = target.connect().await?;
        connection.close().await
    };
    matches!(timeout(ATTEMPT, attempt).await, Ok(Ok(())))
}
