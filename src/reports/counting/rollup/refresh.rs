//! Brings the rollup up to date, one bounded step at a time. In one snapshot, a step counts again what the log names,
//! and deletes the log rows that it saw. What commits meanwhile stays in the log. Counts are replaced, never added to
//! or subtracted from, so errors cannot add up.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike as _};
use futures_util::TryStreamExt as _;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, FromQueryResult,
    IsolationLevel, QueryResult, RuntimeErr, Statement, StreamTrait as _, TransactionTrait as _, Value,
};
use tracing::warn;

use super::{
    days::{Row, SLOT_SECONDS, SLOTS, Slot, Slots, no_slots},
    faults::{Check, begin_anew, faults},
    place::Place,
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

/// How the members' counts follow from the door codes of a part, `$1`. `OFFSET 0` makes PostgreSQL scan one index range
/// for each stretch; in a plain join, it estimates a stretch at a ninth of the table.
const MEMBERS: &str = "
SELECT user_id, count(*) AS issued, count(used_at) AS used,
       min(used_at) FILTER (WHERE used_at >= '0001-01-01' AND used_at < '10000-01-01') AS first_visit_at,
       max(used_at) FILTER (WHERE used_at >= '0001-01-01' AND used_at < '10000-01-01') AS last_visit_at,
       min(created_at) FILTER (WHERE used_at IS NOT NULL AND created_at >= '0001-01-01' AND created_at < '10000-01-01')
           AS first_visit_issued_at
FROM unnest($1::INT8MULTIRANGE) AS stretch CROSS JOIN LATERAL (
    SELECT user_id, used_at, created_at FROM {tokens} WHERE user_id >= lower(stretch) AND user_id < upper(stretch) OFFSET 0
) AS members GROUP BY user_id";
const MEMBERS_COLUMNS: &str = "user_id, issued, used, first_visit_at, last_visit_at, first_visit_issued_at";
/// The kept counts of a part, for `DELETE FROM`.
const KEPT_MEMBERS: &str = "{schema}.rollup_users USING unnest($1::INT8MULTIRANGE) AS stretch \
                            WHERE user_id >= lower(stretch) AND user_id < upper(stretch)";

/// Counts the members of the part again.
async fn count_members(step: &DatabaseTransaction, place: &Place, part: &str) -> Result<(), DbErr> {
    run(step, &place.sql(&format!("DELETE FROM {KEPT_MEMBERS}")), [part.into()]).await?;
    let insert = format!("INSERT INTO {{schema}}.rollup_users ({MEMBERS_COLUMNS}) {MEMBERS}");
    run(step, &place.sql(&insert), [part.into()]).await
}

/// The first few members of the part whose counts differ from the door codes.
pub(super) async fn differing_members(
    step: &DatabaseTransaction,
    place: &Place,
    part: &str,
) -> Result<Vec<String>, DbErr> {
    let kept = KEPT_MEMBERS.replace(" USING ", ", ");
    let sql = format!(
        "WITH kept AS (SELECT {MEMBERS_COLUMNS} FROM {kept}), counted AS ({MEMBERS}) \
         SELECT DISTINCT user_id::TEXT AS place FROM \
         ((TABLE kept EXCEPT TABLE counted) UNION ALL (TABLE counted EXCEPT TABLE kept)) AS different ORDER BY 1 LIMIT 5"
    );
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, place.sql(&sql), [part.into()]);
    let rows = step.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok(format!("rollup_users {}", row.try_get::<String>("", "place")?))).collect()
}

/// The door codes of the part, `$1`, by time of issue.
const ISSUES: &str = "
SELECT created_at AS at, user_id, used_at IS NOT NULL AS is_used,
       CASE WHEN used_at >= '0001-01-01' AND used_at < '10000-01-01' THEN used_at END AS used_at
FROM unnest($1::TSMULTIRANGE) AS stretch CROSS JOIN LATERAL (
    SELECT created_at, user_id, used_at FROM {tokens}
    WHERE created_at >= lower(stretch) AND created_at < upper(stretch) OFFSET 0
) AS issues";
/// The same, by time of use.
const USES: &str = "
SELECT used_at AS at, user_id FROM unnest($1::TSMULTIRANGE) AS stretch CROSS JOIN LATERAL (
    SELECT used_at, user_id FROM {tokens} WHERE used_at >= lower(stretch) AND used_at < upper(stretch) OFFSET 0
) AS uses";
/// The kept days that have a slot in the part.
const DAYS: &str = "
SELECT day, counts, used, waits, unused, came FROM {schema}.rollup_days
WHERE tsrange(day, day + INTERVAL '1 day') && $1::TSMULTIRANGE";

/// The slots of some days.
type Days = BTreeMap<NaiveDate, Slots>;

fn slot_of(at: NaiveDateTime) -> usize {
    (at.hour() * 4 + at.minute() / 15) as usize
}

fn slot_at(days: &mut Days, at: NaiveDateTime) -> &mut Slot {
    &mut days.entry(at.date()).or_insert_with(no_slots)[slot_of(at)]
}

/// Counts the door codes of the part, whose stretches are whole slots.
async fn count_slots(step: &DatabaseTransaction, place: &Place, part: &str) -> Result<Days, DbErr> {
    let mut days = Days::new();
    let statement = |sql| Statement::from_sql_and_values(DbBackend::Postgres, place.sql(sql), [part.into()]);
    let mut issues = step.stream_raw(statement(ISSUES)).await?;
    while let Some(row) = issues.try_next().await? {
        let at: NaiveDateTime = row.try_get_by_index(0)?;
        let used_at: Option<NaiveDateTime> = row.try_get_by_index(3)?;
        let slot = slot_at(&mut days, at);
        if row.try_get_by_index(2)? {
            slot.used.push(row.try_get_by_index(1)?);
            slot.waits.push(used_at.map(|used_at| seconds_between(at, used_at)));
        } else {
            slot.unused.push(row.try_get_by_index(1)?);
        }
    }
    drop(issues);
    let mut uses = step.stream_raw(statement(USES)).await?;
    while let Some(row) = uses.try_next().await? {
        slot_at(&mut days, row.try_get_by_index(0)?).came.push(row.try_get_by_index(1)?);
    }
    drop(uses);
    days.values_mut().flat_map(|slots| slots.iter_mut()).for_each(Slot::sort);
    Ok(days)
}

/// Whole seconds, rounded down.
pub(in crate::reports) fn seconds_between(earlier: NaiveDateTime, later: NaiveDateTime) -> i64 {
    let between = later - earlier;
    between.num_seconds() - i64::from(between.subsec_nanos() < 0)
}

/// The kept days of the part; `None` for a damaged one.
async fn kept_days(
    step: &DatabaseTransaction,
    place: &Place,
    part: &str,
) -> Result<BTreeMap<NaiveDate, Option<Slots>>, DbErr> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, place.sql(DAYS), [part.into()]);
    let mut kept = BTreeMap::new();
    let mut rows = step.stream_raw(statement).await?;
    while let Some(row) = rows.try_next().await? {
        let day = Row {
            counts: row.try_get_by_index(1)?,
            used: row.try_get_by_index(2)?,
            waits: row.try_get_by_index(3)?,
            unused: row.try_get_by_index(4)?,
            came: row.try_get_by_index(5)?,
        };
        kept.insert(row.try_get_by_index(0)?, day.slots());
    }
    Ok(kept)
}

/// Which slots of a day are in the stretches, which are in order.
fn slots_in(stretches: &[Stretch], date: NaiveDate) -> impl Iterator<Item = usize> {
    let midnight = date.and_time(NaiveTime::MIN);
    let first = stretches.partition_point(|stretch| stretch.end.is_some_and(|end| end <= midnight));
    let mut stretches = stretches[first..].iter().peekable();
    (0..SLOTS).filter(move |slot| {
        let at = midnight + TimeDelta::seconds(i64::try_from(*slot).unwrap_or(0) * SLOT_SECONDS);
        while stretches.next_if(|stretch| stretch.end.is_some_and(|end| end <= at)).is_some() {}
        stretches.peek().is_some_and(|stretch| stretch.begin.is_none_or(|begin| begin <= at))
    })
}

/// A stretch of time in UTC; an open end is `None`.
#[derive(FromQueryResult)]
struct Stretch {
    begin: Option<NaiveDateTime>,
    end: Option<NaiveDateTime>,
}

async fn stretches(step: &DatabaseTransaction, part: &str) -> Result<Vec<Stretch>, DbErr> {
    let sql = "SELECT lower(stretch) AS begin, upper(stretch) AS end FROM unnest($1::TSMULTIRANGE) AS stretch ORDER BY stretch";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [part.into()]);
    Stretch::find_by_statement(statement).all(step).await
}

/// Counts the slots of the part again.
async fn count_days(step: &DatabaseTransaction, place: &Place, part: &str) -> Result<(), DbErr> {
    let stretches = stretches(step, part).await?;
    let mut counted = count_slots(step, place, part).await?;
    for (date, kept) in kept_days(step, place, part).await? {
        // A damaged day is counted as a whole by the next step.
        let Some(mut kept) = kept else {
            counted.insert(date, no_slots());
            let log = "INSERT INTO {schema}.rollup_log (slots) VALUES (tsrange($1, $1 + INTERVAL '1 day'))";
            run(step, &place.sql(log), [date.and_time(NaiveTime::MIN).into()]).await?;
            continue;
        };
        let mut anew = counted.remove(&date).unwrap_or_else(no_slots);
        for slot in slots_in(&stretches, date) {
            std::mem::swap(&mut kept[slot], &mut anew[slot]);
        }
        counted.insert(date, kept);
    }
    for (date, slots) in counted {
        match Row::of(&slots) {
            Some(Row { counts, used, waits, unused, came }) => {
                let sql = "INSERT INTO {schema}.rollup_days (day, counts, used, waits, unused, came) \
                           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (day) DO UPDATE SET counts = excluded.counts, \
                           used = excluded.used, waits = excluded.waits, unused = excluded.unused, came = excluded.came";
                let bytes = [counts, used, waits, unused, came].map(Value::from);
                let [counts, used, waits, unused, came] = bytes;
                run(step, &place.sql(sql), [date.into(), counts, used, waits, unused, came]).await?;
            }
            None => run(step, &place.sql("DELETE FROM {schema}.rollup_days WHERE day = $1"), [date.into()]).await?,
        }
    }
    Ok(())
}

/// The first few slots of the part that differ from the door codes.
pub(super) async fn differing_slots(
    step: &DatabaseTransaction,
    place: &Place,
    part: &str,
) -> Result<Vec<String>, DbErr> {
    let stretches = stretches(step, part).await?;
    let mut counted = count_slots(step, place, part).await?;
    let mut differing = Vec::new();
    let mut compare = |date: NaiveDate, kept: Option<&[Slot; SLOTS]>, counted: &[Slot; SLOTS]| {
        let differs = |slot: &usize| kept.is_none_or(|kept| kept[*slot] != counted[*slot]);
        if let Some(slot) = slots_in(&stretches, date).find(differs) {
            differing.push(format!("rollup_days {date} {:02}:{:02}", slot / 4, slot % 4 * 15));
        }
    };
    for (date, kept) in kept_days(step, place, part).await? {
        compare(date, kept.as_deref(), &counted.remove(&date).unwrap_or_else(no_slots));
    }
    for (date, counted) in counted {
        compare(date, Some(&no_slots()), &counted);
    }
    differing.sort_unstable();
    differing.truncate(5);
    Ok(differing)
}

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

async fn run<const N: usize>(step: &DatabaseTransaction, sql: &str, values: [Value; N]) -> Result<(), DbErr> {
    step.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await.map(drop)
}
