//! The rollup: kept beside the door codes, so that answers do not get slower as their number grows. It has the door codes
//! of each day in few bytes, by 15 minutes of UTC, of which the days of every current time zone consist, and counts by
//! member. Only after `coworking-analytics rollup create`, except in the sample database, which has one from the start; see
//! `docs/architecture.md`. Most of these files are about PostgreSQL; `sqlite` has what SQLite does otherwise.

mod count;
mod days;
mod faults;
mod install;
mod place;
mod read;
mod refresh;
pub(in crate::reports) mod roster;
mod sqlite;
mod verify;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Statement};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

pub(in crate::reports) use self::{
    days::{Columns, Numbers, Row as Day, SLOT_SECONDS, SLOTS, Slot, seconds_between},
    read::{Wanted, around_log, codes, from_tokens_in_log, kind},
};
use self::{faults::Check, place::Place};
pub use self::{
    install::{create, drop_all, rebuild, upgrade},
    refresh::{Progress, refresh},
    verify::{Portion, Position, verify},
};
use crate::reports::{
    filter::{TokenFilter, UserFilter},
    ids::Ids,
    roster::Chunk,
    time_zone::Zone,
};

/// With more rows in the log than this, it is faster to read the door codes than to read the rollup around the log.
const LOG_MAX: i64 = 5_000;

/// Whether reports may read the rollup. Cheap to clone. [`Rollup::look`] keeps it up to date.
#[derive(Debug, Clone, Default)]
pub struct Rollup {
    usable: Arc<AtomicBool>,
    matching: Arc<Mutex<Vec<Matching>>>,
    members: Arc<Mutex<Option<Members>>>,
    /// Whoever reads all members holds this, so that memory does not grow with the number of requests that need them.
    reads_members: Arc<AsyncMutex<()>>,
}

/// The members as a refresh left them, for as long as neither another refresh nor `users` changes them.
#[derive(Debug, Clone)]
pub(in crate::reports) struct Members {
    pub(in crate::reports) refresh_id: String,
    pub(in crate::reports) users_id: String,
    pub(in crate::reports) chunks: Arc<Vec<Chunk>>,
}

/// The members that match the conditions of a filter, for as long as the table `users` does not change.
#[derive(Debug)]
struct Matching {
    users_id: String,
    users: UserFilter,
    zone: Zone,
    ids: Arc<Ids>,
}

/// Of how many conditions the members are kept; each takes a bit for each member.
const MATCHING_MAX: usize = 8;

/// How often the log tells the progress of refreshes, which take many short steps.
pub const TOLD_EVERY: Duration = Duration::from_secs(5);

/// The state of a database's rollup.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct Status {
    /// The number of refreshes.
    pub generation: i64,
    /// When the last refresh ended; `None` before the first.
    pub refreshed_at: Option<DateTime<Utc>>,
    /// Rows in the log: stretches of time (on SQLite, days), and members, that are counted from the door codes for each answer. Counted
    /// up to 100,000.
    pub log_rows: i64,
    /// Whether the tables changed without the triggers, or much is out of date (more than 10 days, or on PostgreSQL 20,000
    /// members in one stretch), as before the first refreshes.
    pub is_behind: bool,
    /// Why the rollup is not used until an operator does something, as a sentence; `None` when there is no such reason.
    pub trouble: Option<String>,
}

impl Rollup {
    /// Whether reports may read the rollup now.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable.load(Ordering::Relaxed)
    }

    /// The members that match the conditions of this filter, if they are kept, and for which state of `users`.
    pub(in crate::reports) fn matching(&self, filter: &TokenFilter) -> Option<(String, Arc<Ids>)> {
        let kept = self.matching.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.iter().find(|kept| kept.users == filter.users.without_ids() && kept.zone == filter.zone);
        kept.map(|kept| (kept.users_id.clone(), kept.ids.clone()))
    }

    /// Keeps the members that match the conditions of this filter.
    pub(in crate::reports) fn remember(&self, filter: &TokenFilter, users_id: String, ids: Arc<Ids>) {
        let (users, zone) = (filter.users.without_ids(), filter.zone);
        let mut kept = self.matching.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.users_id == users_id && !(kept.users == users && kept.zone == zone));
        if kept.len() >= MATCHING_MAX {
            kept.remove(0);
        }
        kept.push(Matching { users_id, users, zone, ids });
    }

    /// The members that are kept, and what they were read from.
    pub(in crate::reports) fn members(&self) -> Option<Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nobody else reads all members.
    pub(in crate::reports) fn turn_to_read_members(&self) -> impl Future<Output = OwnedMutexGuard<()>> + use<> {
        Arc::clone(&self.reads_members).lock_owned()
    }

    /// Keeps these members instead, or none.
    pub(in crate::reports) fn keep_members(&self, members: Option<Members>) {
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = members;
    }

    /// Makes reports read the door codes until the next [`Rollup::look`].
    pub(in crate::reports) fn distrust(&self) {
        self.usable.store(false, Ordering::Relaxed);
    }

    /// Checks whether there is a rollup, and whether reading it saves time.
    ///
    /// # Errors
    /// What the database says.
    pub async fn look(&self, connection: &DatabaseConnection) -> Result<Option<Status>, DbErr> {
        let status = status(connection).await?;
        let pays = status.as_ref().is_some_and(|status| !status.is_behind && status.log_rows <= LOG_MAX);
        self.usable.store(pays, Ordering::Relaxed);
        Ok(status)
    }
}

/// The state of the rollup; `None` when there is none that this role may read.
///
/// # Errors
/// What the database says.
pub async fn status(connection: &DatabaseConnection) -> Result<Option<Status>, DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return sqlite::status(connection).await;
    }
    if !may(connection, "SELECT").await? {
        return Ok(None);
    }
    if let Some(trouble) = stranger(connection).await? {
        let (generation, refreshed_at, log_rows) = (0, None, 0);
        return Ok(Some(Status { generation, refreshed_at, log_rows, is_behind: true, trouble: Some(trouble) }));
    }
    // The log is counted up to a limit only.
    let sql = "SELECT generation, refreshed_at, NULL AS trouble, \
                   (SELECT count(*) FROM (SELECT FROM rollup_log LIMIT 100000) AS log) AS log_rows, \
                   fingerprint IS DISTINCT FROM rollup_fingerprint(to_regclass('tokens'), to_regclass('users')) \
                   OR EXISTS (SELECT FROM rollup_log \
                              WHERE lower_inf(slots) OR upper_inf(slots) OR upper(slots) > lower(slots) + INTERVAL '10 days' \
                              OR lower_inf(users) OR upper_inf(users) OR upper(users) > lower(users) + 20000) AS is_behind \
               FROM rollup_state";
    let status = Status::find_by_statement(Statement::from_string(DbBackend::Postgres, sql)).one(connection).await?;
    let Some(mut status) = status else { return Ok(None) };
    if status.is_behind {
        let place = Place::of(connection).await?;
        if refresh::is_followed(connection, &place).await? == Some(false) {
            let faults = faults::faults(connection, &place, Check::TablesAndTriggers).await?;
            status.trouble = (!faults.is_empty()).then(|| faults.join("; "));
        }
    }
    Ok(Some(status))
}

/// Why the tables are not a rollup that this version may trust; `None` when they are.
async fn stranger(connection: &DatabaseConnection) -> Result<Option<String>, DbErr> {
    let sql = "SELECT EXISTS (SELECT FROM pg_attribute \
                   WHERE attrelid = to_regclass('rollup_state') AND attname = 'users_id' AND NOT attisdropped) AS is_current, \
                   (SELECT format('%s belongs to %s', oid::REGCLASS, pg_get_userbyid(relowner)) FROM pg_class \
                    WHERE relname IN ('rollup_days', 'rollup_users', 'rollup_log', 'rollup_state') \
                    AND relnamespace = tokens.relnamespace \
                    AND relowner NOT IN (SELECT oid FROM pg_roles WHERE rolsuper OR rolname = 'coworking_rollup' OR oid = tokens.relowner) \
                    LIMIT 1) AS strange \
               FROM pg_class AS tokens WHERE tokens.oid = to_regclass('tokens')";
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    let Some(row) = row else { return Ok(None) };
    if let Some(strange) = row.try_get::<Option<String>>("", "strange")? {
        return Ok(Some(format!(
            "{strange}, who owns neither tokens nor a rollup: it is not trusted; look who made it"
        )));
    }
    let is_current: bool = row.try_get("", "is_current")?;
    Ok((!is_current).then(|| "it is an earlier version's: run `coworking-analytics rollup upgrade`".to_owned()))
}

/// Rollups in this database whose trigger functions run with the rights of their owner, and without a fixed search
/// path. Whoever may write tokens can run code as the owner. Earlier versions made such functions. One sentence for
/// each.
///
/// # Errors
/// What the database says.
pub async fn unsafe_rollups(connection: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    if connection.get_database_backend() != DbBackend::Postgres {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT format('the rollup in schema %s lets whoever may write tokens act as %s', nspname, pg_get_userbyid(proowner)) AS sentence \
               FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace \
               WHERE proname LIKE 'rollup\\_log\\_%' AND prosecdef AND prorettype = 'trigger'::REGTYPE \
               AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), FALSE)";
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    rows.iter().map(|row| row.try_get("", "sentence")).collect()
}

/// Whether this role may refresh the rollup on this server; never on a standby. On SQLite, a refresh itself finds out.
///
/// # Errors
/// What the database says.
pub async fn is_refreshable(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    Ok(connection.get_database_backend() == DbBackend::Sqlite || may(connection, "INSERT").await?)
}

async fn may(connection: &DatabaseConnection, privilege: &str) -> Result<bool, DbErr> {
    // Only tables in the schema of `tokens` count. A rollup in another schema of the search path is about other tables.
    // One of an earlier version has no `rollup_days`; `stranger` says what to do about that.
    let sql = "SELECT coalesce(bool_and(has_table_privilege(pg_class.oid, $1)), false) \
                   AND count(pg_class.oid) FILTER (WHERE name <> 'rollup_days') = 3 \
                   AND ($1 = 'SELECT' OR NOT pg_is_in_recovery()) AS may \
               FROM unnest(ARRAY['rollup_days', 'rollup_users', 'rollup_log', 'rollup_state']) AS name \
               LEFT JOIN pg_class ON pg_class.oid = to_regclass(name) \
                   AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('tokens'))";
    let row =
        connection.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [privilege.into()])).await?;
    row.map_or(Ok(false), |row| row.try_get("", "may"))
}
