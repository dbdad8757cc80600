//! Brings the rollup up to date, one bounded step at a time. In one snapshot, a step counts again what the log names,
//! and deletes the log rows that it saw. What commits meanwhile stays in the log. Counts are replaced, never added to
//! or subtracted from, so errors cannot add up.

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    QueryResult, RuntimeErr, Statement, TransactionTrait as _, Value,
};
use tracing::warn;

use super::{
    count::{count_days, count_members, run},
    faults::{Check, begin_anew, faults},
    place::Place,
    sqlite,
};

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Another process has been refreshing for a minute.
    Busy,
    /// The rollup cannot follow the tables; [`Status::trouble`](super::Status::trouble) says why. Reports read the door
    /// codes.
    Barred,
    /// Everything is up to date.
    Done,
    /// Counted up to here; there is more to do.
    Underway {
        /// The end of the time that was counted, in UTC; `None` when all time was.
        slots_until: Option<String>,
        /// The member id up to which was counted; `None` when all members were.
        users_until: Option<String>,
    },
}

/// A step counts at most this much time, from its first door code on, and at most `MEMBERS_PER_STEP` members.
const SLOTS_PER_STEP: &str = "8 days";
const MEMBERS_PER_STEP: i64 = 20_000;

/// Splits `{pending}`, within the years 1 to 9999, into the part that a step counts and the rest; both are whole slots.
/// Time without door codes is skipped at no cost.
const NEXT_SLOTS: &str = "
WITH pending AS (
    SELECT {pending} * '{[0001-01-01,10000-01-01)}'::TSMULTIRANGE AS slots FROM {schema}.rollup_log
), first AS (
    SELECT slots, (SELECT min(at) FROM (
        (SELECT created_at AS at FROM {tokens} WHERE created_at >= lower(slots) ORDER BY created_at LIMIT 1)
        UNION ALL (SELECT used_at FROM {tokens} WHERE used_at >= lower(slots) ORDER BY used_at LIMIT 1)
        UNION ALL (SELECT greatest(day, lower(slots)) FROM {schema}.rollup_days WHERE day >= lower(slots)::DATE ORDER BY day LIMIT 1)
    ) AS events) AS at FROM pending
), step AS (
    SELECT slots, tsmultirange(tsrange(NULL, CASE
        WHEN at < '9999-01-01' THEN date_trunc('day', at) + $1::INTERVAL
    END)) AS now FROM first
)
SELECT (slots * now)::TEXT AS work, (slots - now)::TEXT AS rest, upper(slots * now)::TEXT AS until FROM step";

const NEXT_USERS: &str = "
WITH pending AS (
    SELECT {pending} * '{[-2147483648,2147483648)}'::INT8MULTIRANGE AS users FROM {schema}.rollup_log
), first AS (
    SELECT users, (SELECT min(id) FROM (
        (SELECT user_id AS id FROM {tokens} WHERE user_id >= lower(users) ORDER BY user_id LIMIT 1)
        UNION ALL (SELECT user_id FROM {schema}.rollup_users WHERE user_id >= lower(users) ORDER BY user_id LIMIT 1)
    ) AS members) AS id FROM pending
), step AS (
    SELECT users, int8multirange(int8range(NULL, (
        SELECT users.id::BIGINT + 1 FROM {users} AS users WHERE users.id >= first.id ORDER BY users.id OFFSET $1 LIMIT 1
    ))) AS now FROM first
)
SELECT (users * now)::TEXT AS work, (users - now)::TEXT AS rest, upper(users * now) AS until FROM step";

/// The next part to count. `pending` is an expression over the log.
pub(super) async fn next_slots(
    step: &DatabaseTransaction,
    place: &Place,
    pending: &str,
    per_step: &str,
) -> Result<Part, DbErr> {
    let sql = place.sql(&NEXT_SLOTS.replace("{pending}", pending));
    Part::of(one(step, &sql, [per_step.into()]).await?, |row| row.try_get("", "until"))
}

/// Like [`next_slots`], for members.
pub(super) async fn next_users(
    step: &DatabaseTransaction,
    place: &Place,
    pending: &str,
    members: i64,
) -> Result<Part, DbErr> {
    let sql = place.sql(&NEXT_USERS.replace("{pending}", pending));
    let until = |row: &QueryResult| Ok(row.try_get::<Option<i64>>("", "until")?.map(|until| until.to_string()));
    Part::of(one(step, &sql, [members.into()]).await?, until)
}

/// A part of what is pending, and the rest, as multiranges.
pub(super) struct Part {
    pub(super) work: String,
    rest: String,
    /// The end of the part; `None` when it is empty.
    pub(super) until: Option<String>,
}

impl Part {
    fn of(
        row: Option<QueryResult>,
        until: impl Fn(&QueryResult) -> Result<Option<String>, DbErr>,
    ) -> Result<Self, DbErr> {
        let row = row.ok_or_else(|| DbErr::RecordNotFound("what is pending".to_owned()))?;
        Ok(Self { work: row.try_get("", "work")?, rest: row.try_get("", "rest")?, until: until(&row)? })
    }

    pub(super) fn is_last(&self) -> bool {
        self.rest == "{}"
    }
}

/// What the log says is out of date.
const LOGGED_SLOTS: &str = "coalesce(range_agg(slots), '{}')";
const LOGGED_USERS: &str = "coalesce(range_agg(users), '{}')";

/// Whether a row of the log can mean that `users` changed: the table, not the counts by member.
pub(super) const USERS_CHANGED: &str = "(slots IS NULL AND users IS NULL) OR lower_inf(users)";

/// How long to wait for the step of another process.
const TURN: &str = "60s";

/// A transaction that reads one snapshot, with a fixed search path.
pub(super) async fn begin(connection: &DatabaseConnection, mode: AccessMode) -> Result<DatabaseTransaction, DbErr> {
    let step = connection.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(mode)).await?;
    // JIT compilation of the expressions would take longer than a step.
    step.execute_unprepared(
        "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL statement_timeout = '5min'; SET LOCAL jit = off",
    )
    .await?;
    Ok(step)
}

/// Whether the tables are still the ones that the log follows; `None` when there is no state, as during the removal of
/// a rollup.
pub(super) async fn is_followed(step: &impl ConnectionTrait, place: &Place) -> Result<Option<bool>, DbErr> {
    let sql = place.sql(
        "SELECT coalesce(fingerprint = {schema}.rollup_fingerprint('{tokens}', '{users}'), FALSE) AS is_followed \
         FROM {schema}.rollup_state",
    );
    let row = step.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    row.map(|row| row.try_get("", "is_followed")).transpose()
}

/// Takes one step.
///
/// # Errors
/// What the database says; then nothing was changed.
pub async fn refresh(connection: &DatabaseConnection) -> Result<Progress, DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return sqlite::refresh(connection).await;
    }
    let place = Place::of(connection).await?;
    let step = begin(connection, AccessMode::ReadWrite).await?;
    // One step at a time, across all processes. The lock comes before the snapshot, which it does not take. Waiting for
    // the lock, instead of failing at once, avoids errors in the server's log.
    let lock = format!("SET LOCAL lock_timeout = '{TURN}'; LOCK TABLE {{schema}}.rollup_state IN EXCLUSIVE MODE");
    if let Err(error) = step.execute_unprepared(&place.sql(&lock)).await {
        step.rollback().await?;
        return if code(&error).as_deref() == Some(LOCK_NOT_AVAILABLE) { Ok(Progress::Busy) } else { Err(error) };
    }
    let Some(is_followed) = is_followed(&step, &place).await? else {
        // A rollup that is being removed has no state.
        step.rollback().await?;
        return Ok(Progress::Done);
    };
    if !is_followed {
        return follow_again(step, &place).await;
    }
    let is_empty = place.sql("SELECT NOT EXISTS (SELECT FROM {schema}.rollup_log) AS is_empty");
    if one(&step, &is_empty, []).await?.map_or(Ok(false), |row| row.try_get::<bool>("", "is_empty"))? {
        step.rollback().await?;
        return Ok(Progress::Done);
    }
    let slots = next_slots(&step, &place, LOGGED_SLOTS, SLOTS_PER_STEP).await?;
    let users = next_users(&step, &place, LOGGED_USERS, MEMBERS_PER_STEP).await?;
    let users_changed = format!("SELECT EXISTS (SELECT FROM {{schema}}.rollup_log WHERE {USERS_CHANGED}) AS changed");
    let users_changed =
        one(&step, &place.sql(&users_changed), []).await?.map_or(Ok(true), |row| row.try_get("", "changed"))?;
    run(&step, &place.sql("DELETE FROM {schema}.rollup_log"), []).await?;
    count_days(&step, &place, &slots.work).await?;
    count_members(&step, &place, &users.work).await?;
    for (part, log) in [
        (&slots, "INSERT INTO {schema}.rollup_log (slots) SELECT unnest($1::TSMULTIRANGE)"),
        (&users, "INSERT INTO {schema}.rollup_log (users) SELECT unnest($1::INT8MULTIRANGE)"),
    ] {
        run(&step, &place.sql(log), [part.rest.clone().into()]).await?;
    }
    let done = "UPDATE {schema}.rollup_state SET generation = generation + 1, refresh_id = gen_random_uuid(), \
                users_id = CASE WHEN $1 THEN gen_random_uuid() ELSE users_id END, refreshed_at = now()";
    run(&step, &place.sql(done), [users_changed.into()]).await?;
    step.commit().await?;
    if slots.is_last() && users.is_last() {
        return Ok(Progress::Done);
    }
    let until = |part: Part| if part.is_last() { None } else { part.until };
    Ok(Progress::Underway { slots_until: until(slots), users_until: until(users) })
}

/// The tables are not the ones that were counted, or were changed without the triggers. Once all triggers are in place
/// again, everything is counted again. Until then, reports count from the door codes.
async fn follow_again(step: DatabaseTransaction, place: &Place) -> Result<Progress, DbErr> {
    let faults = faults(&step, place, Check::TablesAndTriggers).await?;
    if !faults.is_empty() {
        step.rollback().await?;
        return Ok(Progress::Barred);
    }
    begin_anew(&step, place).await?;
    step.commit().await?;
    warn!(
        "tables, partitions or triggers were changed, and tokens perhaps with them: the rollup counts everything anew"
    );
    Ok(Progress::Underway { slots_until: None, users_until: None })
}

/// `lock_not_available`: <https://www.postgresql.org/docs/15/errcodes-appendix.html>
pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";

/// PostgreSQL's error code, which does not depend on the language of its messages.
pub(super) fn code(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source))) = error else {
        return None;
    };
    source.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

async fn one<const N: usize>(
    step: &DatabaseTransaction,
    sql: &str,
    values: [Value; N],
) -> Result<Option<QueryResult>, DbErr> {
    step.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await
}
