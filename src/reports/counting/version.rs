//! Finds the version of the data without reading the data. Cached answers are valid as long as the version is the same.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, Statement};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use crate::reports::{Error, rollup::Rollup};
use crate::{database::Database, metrics};

/// How long a check may take. After that, requests go on without a version.
const PATIENCE: Duration = Duration::from_millis(500);
/// The least time between the beginnings of two checks, so that more requests share each check.
const PAUSE: Duration = Duration::from_millis(1);
/// With this many waiting requests, a check begins without that pause.
const ENOUGH: usize = 16;
/// How many requests may wait for the next check.
const WAITING: usize = 1_024;

/// A version of the data. Equal versions have the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Arc<str>);

/// Checks the version for all requests. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::reports) struct Versions(mpsc::Sender<oneshot::Sender<Option<Version>>>);

impl Versions {
    /// Starts the task that checks. It ends when the last clone is dropped.
    pub(in crate::reports) fn of(database: Database, rollup: Rollup) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(check_for_all(database, rollup, receiver));
        Self(sender)
    }

    /// The version, found by a check that begins after this call; `None` when it cannot be found now.
    pub(in crate::reports) async fn now(&self) -> Option<Version> {
        let (sender, receiver) = oneshot::channel();
        self.0.send(sender).await.ok()?;
        receiver.await.ok()?
    }
}

/// Each check answers all requests that arrived before it began. Checks run one after the other.
async fn check_for_all(
    database: Database,
    rollup: Rollup,
    mut requests: mpsc::Receiver<oneshot::Sender<Option<Version>>>,
) {
    let mut waiting = Vec::new();
    let mut next = Instant::now();
    let mut last = None;
    while requests.recv_many(&mut waiting, WAITING).await > 0 {
        while waiting.len() < ENOUGH
            && let Ok(Some(request)) = timeout_at(next, requests.recv()).await
        {
            waiting.push(request);
        }
        waiting.extend(std::iter::from_fn(|| requests.try_recv().ok()).take(WAITING));
        next = Instant::now() + PAUSE;
        let version = match Error::unless_away(&database) {
            Ok(()) => timeout(PATIENCE, check(&database, &rollup, &mut last)).await.ok().and_then(Result::ok).flatten(),
            Err(_) => None,
        };
        metrics::version_checked(version.is_some());
        for request in waiting.drain(..) {
            // Sending fails when the request was given up.
            let _ = request.send(version.clone());
        }
    }
}

/// Identifies the server process. Another server, or the same one after a crash that lost its last commits, may report
/// the same snapshot. A crash ends the session; behind a pooler, which changes sessions, the checkpoint after it tells.
fn server(database: &Database) -> &'static str {
    if database.keeps_sessions() {
        "pg_postmaster_start_time(), pg_backend_pid()"
    } else {
        "pg_postmaster_start_time(), (SELECT checkpoint_lsn FROM pg_control_checkpoint())"
    }
}

/// A version that was found, and what tells cheaply that it is still the same.
#[derive(Debug)]
struct Found {
    snapshot: String,
    by_rollup: bool,
    version: Version,
}

/// `None` when rows may change without a transaction on this server: in a foreign table (also behind a view, or as a
/// partition), and in a Citus database.
async fn check(database: &Database, rollup: &Rollup, last: &mut Option<Found>) -> Result<Option<Version>, DbErr> {
    let connection = database.watching();
    if connection.get_database_backend() == DbBackend::Sqlite {
        let version = text(connection, "SELECT CAST(data_version AS TEXT) AS version FROM pragma_data_version").await?;
        return Ok(Some(Version(format!("file {} {}", database.watching_since(), version.unwrap_or_default()).into())));
    }
    let server = server(database);
    // As long as no transaction began or ended, nothing changed, and the rest, which takes longer, need not be asked. A
    // snapshot never comes again, so what is found after it holds while it lasts.
    let snapshot = text(connection, &format!("SELECT {} AS version", snapshot(server))).await?.unwrap_or_default();
    let by_rollup = rollup.is_usable();
    if let Some(found) = last.as_ref().filter(|found| found.snapshot == snapshot && found.by_rollup == by_rollup) {
        return Ok(Some(found.version.clone()));
    }
    let version = version(connection, server, by_rollup).await?;
    *last = version.clone().map(|version| Found { snapshot, by_rollup, version });
    Ok(version)
}

/// Which transactions are visible, so every write in the cluster changes it. On a standby, a snapshot leaves out
/// transactions in progress; there, the replay position in the write-ahead log changes whenever a commit becomes visible.
fn snapshot(server: &str) -> String {
    format!(
        "concat_ws(' ', 'snapshot', {server}, pg_current_snapshot(), \
             CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END)"
    )
}

async fn version(connection: &DatabaseConnection, server: &str, by_rollup: bool) -> Result<Option<Version>, DbErr> {
    if by_rollup {
        // Between two refreshes the log only grows, so its length shows changes. That holds while the tables are the
        // ones that its triggers follow.
        let of_rollup = format!(
            "SELECT concat_ws(' ', 'rollup', {server}, generation, refresh_id, fingerprint, \
                 (SELECT count(*) FROM rollup_log)) AS version \
             FROM rollup_state WHERE fingerprint = rollup_fingerprint(to_regclass('tokens'), to_regclass('users'))"
        );
        if let Ok(Some(version)) = text(connection, &of_rollup).await {
            return Ok(Some(Version(version.into())));
        }
    }
    let of_snapshot = format!(
        "WITH RECURSIVE parts (id) AS ( \
             SELECT unnest(ARRAY[to_regclass('tokens'), to_regclass('users')])::OID \
             UNION \
             SELECT part.id FROM parts CROSS JOIN LATERAL ( \
                 SELECT inhrelid FROM pg_inherits WHERE inhparent = parts.id \
                 UNION ALL \
                 SELECT refobjid FROM pg_rewrite JOIN pg_depend ON classid = 'pg_rewrite'::REGCLASS AND objid = pg_rewrite.oid \
                 WHERE ev_class = parts.id AND refclassid = 'pg_class'::REGCLASS \
             ) AS part (id) \
         ) \
         SELECT {} AS version \
         WHERE to_regclass('pg_catalog.pg_dist_partition') IS NULL \
         AND NOT EXISTS (SELECT FROM parts JOIN pg_class ON pg_class.oid = id WHERE relkind = 'f')",
        snapshot(server)
    );
    Ok(text(connection, &of_snapshot).await?.map(|version| Version(version.into())))
}

async fn text(connection: &DatabaseConnection, sql: &str) -> Result<Option<String>, DbErr> {
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await?;
    row.map(|row| row.try_get("", "version")).transpose()
}
