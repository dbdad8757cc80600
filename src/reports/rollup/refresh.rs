//! Brings the rollup up to date, one bounded step at a time. A step counts anew, in one snapshot, what the
//! log of that snapshot names, and deletes exactly the rows of the log that it saw: whatever commits
//! meanwhile stays in the log. Nothing is added or subtracted, so nothing can drift.

use sea_orm::{
    AccessMode, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    QueryResult, Statement, TransactionTrait as _, Value,
};

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Another process is at it.
    Busy,
    /// Everything is up to date.
    Done,
    /// Counted up to there; there is more to do.
    Underway {
        /// The end of the time that was counted.
        slots_until: Option<String>,
        /// The member up to whom was counted.
        users_until: Option<i64>,
    },
}

/// A step counts no more than so much time, and so many members.
const SLOTS_PER_STEP: &str = "32 days";
const USERS_PER_STEP: i64 = 20_000;

/// The part of the log that this step works off, and the rest; nothing beyond the rows that there are.
const SLOTS: &str = "
WITH extent AS (
    SELECT tsrange(min(at), max(at), '[]') AS whole FROM (
        (SELECT created_at AS at FROM tokens ORDER BY created_at LIMIT 1)
        UNION ALL (SELECT created_at FROM tokens ORDER BY created_at DESC LIMIT 1)
        UNION ALL (SELECT used_at FROM tokens WHERE used_at IS NOT NULL ORDER BY used_at LIMIT 1)
        UNION ALL (SELECT used_at FROM tokens WHERE used_at IS NOT NULL ORDER BY used_at DESC LIMIT 1)
        UNION ALL SELECT min(slot) FROM rollup_slots
        UNION ALL SELECT max(slot) FROM rollup_slots
    ) AS ends
), logged AS (
    SELECT coalesce(range_agg(slots), '{}') AS slots FROM rollup_log
), bounded AS (
    -- Whole slots: what is cut to the extent begins and ends with one.
    SELECT slots * tsmultirange(tsrange(
        date_bin('15 minutes', lower(whole), TIMESTAMP '2000-01-01'),
        date_bin('15 minutes', upper(whole), TIMESTAMP '2000-01-01') + INTERVAL '15 minutes'
    )) AS slots FROM logged, extent WHERE isfinite(lower(whole))
), step AS (
    SELECT slots, tsmultirange(tsrange(NULL, lower(slots) + $1::INTERVAL)) AS now FROM bounded
)
SELECT (slots * now)::TEXT AS work, (slots - now)::TEXT AS rest, upper(slots * now)::TEXT AS until FROM step";

const USERS: &str = "
WITH extent AS (
    SELECT int8range(min(id), max(id), '[]') AS whole FROM (
        (SELECT user_id::BIGINT AS id FROM tokens ORDER BY user_id LIMIT 1)
        UNION ALL (SELECT user_id FROM tokens ORDER BY user_id DESC LIMIT 1)
        UNION ALL SELECT min(user_id) FROM rollup_users
        UNION ALL SELECT max(user_id) FROM rollup_users
    ) AS ends
), logged AS (
    SELECT coalesce(range_agg(users), '{}') AS users FROM rollup_log
), bounded AS (
    SELECT users * int8multirange(whole) AS users FROM logged, extent WHERE lower(whole) IS NOT NULL
), step AS (
    SELECT users, int8multirange(int8range(NULL, lower(users) + $1)) AS now FROM bounded
)
SELECT (users * now)::TEXT AS work, (users - now)::TEXT AS rest, upper(users * now) AS until FROM step";

/// `OFFSET 0` keeps each stretch one index range scan: joined, it is taken for a ninth of the table.
const COUNT_SLOTS: [&str; 4] = [
    "DELETE FROM rollup_slots USING unnest($1::TSMULTIRANGE) AS stretch
     WHERE slot >= lower(stretch) AND slot < upper(stretch)",
    "INSERT INTO rollup_slots (slot, issued, issued_and_used, used)
     SELECT slot, sum(issued), sum(issued_and_used), sum(used) FROM (
         SELECT date_bin('15 minutes', created_at, TIMESTAMP '2000-01-01') AS slot,
                1 AS issued, (used_at IS NOT NULL)::INTEGER AS issued_and_used, 0 AS used
         FROM unnest($1::TSMULTIRANGE) AS stretch CROSS JOIN LATERAL (
             SELECT created_at, used_at FROM tokens
             WHERE created_at >= lower(stretch) AND created_at < upper(stretch) OFFSET 0
         ) AS issues
         UNION ALL
         SELECT date_bin('15 minutes', used_at, TIMESTAMP '2000-01-01'), 0, 0, 1
         FROM unnest($1::TSMULTIRANGE) AS stretch CROSS JOIN LATERAL (
             SELECT used_at FROM tokens WHERE used_at >= lower(stretch) AND used_at < upper(stretch) OFFSET 0
         ) AS uses
     ) AS events GROUP BY slot",
    "DELETE FROM rollup_visitors USING unnest($1::TSMULTIRANGE) AS stretch
     WHERE slot >= lower(stretch) AND slot < upper(stretch)",
    "INSERT INTO rollup_visitors (slot, by_issue, by_use)
     SELECT slot, coalesce(string_agg(int4send(user_id), '' ORDER BY user_id) FILTER (WHERE is_issue), ''),
            coalesce(string_agg(int4send(user_id), '' ORDER BY user_id) FILTER (WHERE NOT is_issue), '')
     FROM (
         SELECT date_bin('15 minutes', created_at, TIMESTAMP '2000-01-01') AS slot, user_id, TRUE AS is_issue
         FROM unnest($1::TSMULTIRANGE) AS stretch CROSS JOIN LATERAL (
             SELECT created_at, user_id FROM tokens
             WHERE created_at >= lower(stretch) AND created_at < upper(stretch) AND used_at IS NOT NULL OFFSET 0
         ) AS issues
         UNION
         SELECT date_bin('15 minutes', used_at, TIMESTAMP '2000-01-01'), user_id, FALSE
         FROM unnest($1::TSMULTIRANGE) AS stretch CROSS JOIN LATERAL (
             SELECT used_at, user_id FROM tokens WHERE used_at >= lower(stretch) AND used_at < upper(stretch) OFFSET 0
         ) AS uses
     ) AS events GROUP BY slot",
];

const COUNT_USERS: [&str; 2] = [
    "DELETE FROM rollup_users USING unnest($1::INT8MULTIRANGE) AS stretch
     WHERE user_id >= lower(stretch) AND user_id < upper(stretch)",
    "INSERT INTO rollup_users (user_id, issued, used, first_visit_at, last_visit_at)
     SELECT user_id, count(*), count(used_at), min(used_at), max(used_at)
     FROM unnest($1::INT8MULTIRANGE) AS stretch CROSS JOIN LATERAL (
         SELECT user_id, used_at FROM tokens WHERE user_id >= lower(stretch) AND user_id < upper(stretch) OFFSET 0
     ) AS members
     GROUP BY user_id",
];

/// Takes one step.
///
/// # Errors
/// What the database says; then nothing has changed.
pub async fn refresh(connection: &DatabaseConnection) -> Result<Progress, DbErr> {
    let step = connection.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadWrite)).await?;
    // Compiling its expressions takes longer than a step.
    step.execute_unprepared("SET LOCAL statement_timeout = '5min'; SET LOCAL jit = off").await?;
    // One at a time, across all processes, and before the snapshot is taken: locking takes none.
    if let Err(error) = step.execute_unprepared("LOCK TABLE rollup_state IN EXCLUSIVE MODE NOWAIT").await {
        step.rollback().await?;
        return if error.to_string().contains("could not obtain lock") { Ok(Progress::Busy) } else { Err(error) };
    }
    // A rollup that is about to go has no state any more.
    let is_empty = one(&step, "SELECT NOT EXISTS (SELECT FROM rollup_log, rollup_state) AS is_empty", []).await?;
    if is_empty.map_or(Ok(false), |row| row.try_get::<bool>("", "is_empty"))? {
        step.rollback().await?;
        return Ok(Progress::Done);
    }
    let slots = one(&step, SLOTS, [SLOTS_PER_STEP.into()]).await?;
    let users = one(&step, USERS, [USERS_PER_STEP.into()]).await?;
    run(&step, "DELETE FROM rollup_log", []).await?;
    let slots_until =
        work_off(&step, slots.as_ref(), &COUNT_SLOTS, "INSERT INTO rollup_log (slots) SELECT unnest($1::TSMULTIRANGE)")
            .await?;
    let users_until = work_off(
        &step,
        users.as_ref(),
        &COUNT_USERS,
        "INSERT INTO rollup_log (users) SELECT unnest($1::INT8MULTIRANGE)",
    )
    .await?;
    run(&step, "UPDATE rollup_state SET generation = generation + 1, refreshed_at = now()", []).await?;
    step.commit().await?;
    if !slots_until && !users_until {
        return Ok(Progress::Done);
    }
    Ok(Progress::Underway {
        slots_until: slots.filter(|_| slots_until).and_then(|row| row.try_get("", "until").ok()),
        users_until: users.filter(|_| users_until).and_then(|row| row.try_get("", "until").ok()),
    })
}

/// Counts the part that this step is about, and logs the rest again; whether there is a rest.
async fn work_off(
    step: &DatabaseTransaction,
    part: Option<&QueryResult>,
    count: &[&str],
    log: &str,
) -> Result<bool, DbErr> {
    let Some(part) = part else { return Ok(false) };
    let work: String = part.try_get("", "work")?;
    let rest: Option<String> = part.try_get("", "rest")?;
    for statement in count {
        run(step, statement, [work.clone().into()]).await?;
    }
    let Some(rest) = rest.filter(|rest| rest != "{}") else { return Ok(false) };
    run(step, log, [rest.into()]).await?;
    Ok(true)
}

async fn one<const N: usize>(
    step: &DatabaseTransaction,
    sql: &str,
    values: [Value; N],
) -> Result<Option<QueryResult>, DbErr> {
    step.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await
}

async fn run<const N: usize>(step: &DatabaseTransaction, sql: &str, values: [Value; N]) -> Result<(), DbErr> {
    step.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await.map(drop)
}
