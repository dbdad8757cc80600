//! Brings the rollup up to date, one short step at a time: meanwhile, nobody else writes.

use std::time::{Duration, Instant};

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, Statement, Value,
    sea_query::{Expr, Query, SelectStatement, WithClause},
};
use tracing::warn;

use super::{IS_DAY, IS_MEMBER, ODD_MEMBERS, State, USERS_CHANGED, begin, install, is, one, run};
use crate::reports::{
    dialect::{from_tokens_that, utc_date},
    rollup::{
        Day, Progress, SLOT_SECONDS, Slot,
        days::{Slots, no_slots},
        read::{Wanted, by_slot, kind},
        roster::count_members,
    },
    selection::cte,
    time_zone::UtcBounds,
};

use entity::token;

/// How long a step counts: writers wait for it.
const STEP: Duration = Duration::from_millis(100);
/// How many members are counted by a statement.
const MEMBERS: i64 = 100;

/// Takes one step.
pub(in super::super) async fn refresh(connection: &DatabaseConnection) -> Result<Progress, DbErr> {
    match step(connection).await {
        Err(error) if is_code(&error, LOCKED) => Ok(Progress::Busy),
        // A file that this process may only read is kept by another one, or by none.
        Err(error) if is_code(&error, READONLY) => Ok(Progress::Barred),
        progress => progress,
    }
}

async fn step(connection: &DatabaseConnection) -> Result<Progress, DbErr> {
    let began = Instant::now();
    let Some(state) = State::of(connection).await? else { return Ok(Progress::Done) };
    if !state.is_same_schema {
        return follow_again(connection).await;
    }
    if !state.is_listed {
        list(connection).await?;
    } else if is(connection, "NOT EXISTS (SELECT 1 FROM rollup_log)").await? {
        return Ok(Progress::Done);
    }
    let progress = count(connection).await?;
    if matches!(progress, Progress::Underway { .. }) {
        // Writers that wait look for their turn now and then: after a tenth of a second, every 25 to 50 ms.
        // Source: `sqliteDefaultBusyCallback` in SQLite's main.c
        tokio::time::sleep((began.elapsed() / 2).clamp(STEP / 2, STEP)).await;
    }
    Ok(progress)
}

/// Counts some of what the log names.
async fn count(connection: &DatabaseConnection) -> Result<Progress, DbErr> {
    let step = begin(connection).await?;
    let began = Instant::now();
    if State::of(&step).await? != Some(State { is_same_schema: true, is_listed: true }) {
        step.rollback().await?;
        return Ok(Progress::Underway { slots_until: None, users_until: None });
    }
    if is(&step, "EXISTS (SELECT 1 FROM rollup_log WHERE what = 'odd')").await?
        && is(&step, &format!("EXISTS ({ODD_MEMBERS})")).await?
    {
        step.rollback().await?;
        return Ok(Progress::Barred);
    }
    // The last six digits of the time are random: in a copy of the file, a refresh in the same millisecond is another.
    let done = format!(
        "UPDATE rollup_state SET generation = generation + 1, \
         refreshed_at = strftime('%Y-%m-%d %H:%M:%f', 'now') || printf('%06d', random() & 524287), users_id = CASE \
         WHEN EXISTS (SELECT 1 FROM rollup_log WHERE {USERS_CHANGED}) THEN hex(randomblob(16)) ELSE users_id END"
    );
    run(&step, &done, []).await?;
    run(&step, &format!("DELETE FROM rollup_log WHERE NOT ({IS_DAY}) AND NOT ({IS_MEMBER})"), []).await?;
    let (mut slots_until, mut users_until) = (None, None);
    while began.elapsed() < STEP {
        let next = format!("SELECT what AS day FROM rollup_log WHERE {IS_DAY} ORDER BY what LIMIT 1");
        let Some(row) = one(&step, &next, []).await? else {
            slots_until = None;
            break;
        };
        let day: String = row.try_get("", "day")?;
        keep_day(&step, &day).await?;
        run(&step, "DELETE FROM rollup_log WHERE what = ?", [day.clone().into()]).await?;
        slots_until = Some(day);
    }
    while began.elapsed() < STEP {
        let last = format!(
            "SELECT max(what) AS last FROM (SELECT what FROM rollup_log WHERE {IS_MEMBER} ORDER BY what LIMIT {MEMBERS})"
        );
        let last = one(&step, &last, []).await?.map_or(Ok(None), |row| row.try_get::<Option<i64>>("", "last"))?;
        users_until = last.map(|last| last.to_string());
        let Some(last) = last else { break };
        let logged = format!("(SELECT what FROM rollup_log WHERE {IS_MEMBER} AND what <= {last})");
        run(&step, &format!("DELETE FROM rollup_users WHERE user_id IN {logged}"), []).await?;
        step.execute_raw(keep_members(&logged)).await?;
        run(&step, "DELETE FROM rollup_log WHERE what <= ?", [last.into()]).await?;
    }
    let is_done = is(&step, "NOT EXISTS (SELECT 1 FROM rollup_log)").await?;
    step.commit().await?;
    Ok(if is_done { Progress::Done } else { Progress::Underway { slots_until, users_until } })
}

/// The schema is not the one in which the tables were counted: something may be missing of the triggers, or of the log,
/// without which every writer fails. All of it is made again.
async fn follow_again(connection: &DatabaseConnection) -> Result<Progress, DbErr> {
    let step = begin(connection).await?;
    // Another process may have been quicker, or dropped the rollup.
    if State::of(&step).await?.is_some_and(|state| !state.is_same_schema) {
        if !install::faults(&step).await?.is_empty() {
            step.rollback().await?;
            return Ok(Progress::Barred);
        }
        install::begin_anew(&step).await?;
        warn!("the schema of the database changed, and tokens perhaps with it: the rollup counts everything anew");
    }
    step.commit().await?;
    Ok(Progress::Underway { slots_until: None, users_until: None })
}

/// Logs every day and every member. They are found without keeping writers waiting: what changes meanwhile is logged by
/// the triggers.
async fn list(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let seen = one(connection, "SELECT schema_version FROM pragma_schema_version", []).await?;
    let seen: i64 = seen.map_or(Ok(0), |row| row.try_get("", "schema_version"))?;
    let sql = format!(
        "SELECT json_group_array(what) AS list FROM (SELECT {} AS what FROM tokens UNION SELECT {} FROM tokens \
         UNION SELECT day FROM rollup_days UNION SELECT user_id FROM rollup_users UNION SELECT CASE \
         WHEN typeof(user_id) = 'integer' AND user_id BETWEEN -2147483648 AND 2147483647 THEN user_id ELSE 'odd' END \
         FROM tokens) WHERE what IS NOT NULL",
        utc_date("created_at"),
        utc_date("used_at")
    );
    let list = one(connection, &sql, []).await?.map_or(Ok("[]".to_owned()), |row| row.try_get("", "list"))?;
    let step = begin(connection).await?;
    let log = "INSERT INTO rollup_log SELECT value FROM json_each(?) WHERE TRUE ON CONFLICT DO NOTHING";
    run(&step, log, [list.into()]).await?;
    run(&step, "UPDATE rollup_state SET is_listed = TRUE WHERE fingerprint = ?", [seen.into()]).await?;
    step.commit().await
}

/// Counts the door codes of a UTC day: with the statement with which reports read what is out of date.
pub(super) async fn counted_day(step: &DatabaseTransaction, day: &str) -> Result<Slots, DbErr> {
    let mut slots = no_slots();
    let midnight = day.parse::<NaiveDate>().map_err(|error| DbErr::Type(error.to_string()))?.and_time(NaiveTime::MIN);
    let day = Query::select().expr_as(Expr::val(day), "day").take();
    let everything = Wanted { members: true, waits: true, ..Wanted::default() };
    let always = UtcBounds { from: None, to: None, exact: true };
    for column in [token::Column::CreatedAt, token::Column::UsedAt] {
        let mut with = WithClause::new();
        with.cte(cte("days", day.clone()));
        let statement = by_slot(DbBackend::Sqlite, column, always, everything).with_cte(with).take();
        for row in step.query_all(&statement).await? {
            let at: NaiveDateTime = row.try_get_by_index(1)?;
            let number = (at - midnight).num_seconds() / SLOT_SECONDS;
            let slot = usize::try_from(number).ok().and_then(|number| slots.get_mut(number));
            let slot = slot.ok_or_else(|| DbErr::Type(format!("{at} is not on its day")))?;
            let number = row.try_get_by_index(0)?;
            let (_, Slot { used, waits, unused, came }) = Slot::packed(number, &row)?;
            if number == kind::USE {
                slot.came = came;
            } else {
                (slot.used, slot.waits, slot.unused) = (used, waits, unused);
            }
        }
    }
    slots.iter_mut().for_each(Slot::sort);
    Ok(slots)
}

/// Counts a UTC day again.
async fn keep_day(step: &DatabaseTransaction, day: &str) -> Result<(), DbErr> {
    let slots = counted_day(step, day).await?;
    let Some(Day { counts, used, waits, unused, came }) = Day::of(&slots) else {
        return run(step, "DELETE FROM rollup_days WHERE day = ?", [day.into()]).await;
    };
    let [counts, used, waits, unused, came] = [counts, used, waits, unused, came].map(Value::from);
    let sql = "INSERT OR REPLACE INTO rollup_days (day, counts, used, waits, unused, came) VALUES (?, ?, ?, ?, ?, ?)";
    run(step, sql, [day.into(), counts, used, waits, unused, came]).await
}

/// The counts of the members that `ids` selects, in the order of the columns of `rollup_users`.
pub(super) fn counted_members(ids: &str) -> SelectStatement {
    let mut members = Query::select();
    from_tokens_that(&mut members, Some(Expr::cust(format!("user_id IN {ids}"))));
    count_members(&mut members, DbBackend::Sqlite);
    members
}

fn keep_members(ids: &str) -> Statement {
    let counted = DbBackend::Sqlite.build(&counted_members(ids));
    Statement { sql: format!("INSERT INTO rollup_users {}", counted.sql), ..counted }
}

/// `SQLITE_BUSY` and `SQLITE_READONLY`: <https://www.sqlite.org/rescode.html>. The other bits of a code say more.
const LOCKED: i32 = 5;
const READONLY: i32 = 8;

fn is_code(error: &DbErr, code: i32) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source))) = error else {
        return false;
    };
    let known = source.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    known.is_some_and(|known| known & 0xff == code)
}
