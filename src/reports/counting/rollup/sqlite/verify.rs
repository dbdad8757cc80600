//! Counts parts of the rollup again and compares.

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement, TransactionTrait as _,
    Value,
};

use super::{
    IS_DAY, IS_MEMBER, State, one,
    refresh::{counted_day, counted_members},
};
use crate::reports::{
    dialect::utc_date,
    rollup::{Day, Portion, Position, days::no_slots},
};

/// Compares the next portion. Returns the first few places that differ; if any do, everything is counted again.
pub(in super::super) async fn verify(
    connection: &DatabaseConnection,
    position: &mut Position,
    portion: Portion,
) -> Result<Vec<String>, DbErr> {
    // A deferred transaction keeps the snapshot of its first read.
    let step = connection.begin().await?;
    if State::of(&step).await? != Some(State { is_same_schema: true, is_listed: true }) {
        *position = Position::default();
        step.rollback().await?;
        return Ok(Vec::new());
    }
    let begins = position.is_at_an_end();
    let mut differences = Vec::new();
    if begins || position.slots_until.is_some() {
        let until = position.slots_until.take();
        position.slots_until = differing_days(&step, until, portion.days(), &mut differences).await?;
    }
    if begins || position.users_until.is_some() {
        let until = position.users_until.take();
        position.users_until = differing_members(&step, until, portion.members(), &mut differences).await?;
    }
    step.rollback().await?;
    if !differences.is_empty() {
        super::rebuild(connection).await?;
    }
    differences.truncate(10);
    Ok(differences)
}

/// Compares the days after one. Returns the last of these days, or `None` at the end.
async fn differing_days(
    step: &DatabaseTransaction,
    after: Option<String>,
    days: i64,
    differences: &mut Vec<String>,
) -> Result<Option<String>, DbErr> {
    let after = after.unwrap_or_default();
    let until = "SELECT max(day) AS until, count(*) AS days FROM (SELECT day FROM rollup_days WHERE day > ? ORDER BY day LIMIT ?)";
    let until = one(step, until, [after.clone().into(), days.into()]).await?;
    let is_last = until.as_ref().map_or(Ok(true), |row| row.try_get::<i64>("", "days").map(|found| found < days))?;
    let until: Option<String> = until.map_or(Ok(None), |row| row.try_get("", "until"))?;
    let until = if is_last { "9999-12-31".to_owned() } else { until.unwrap_or_default() };
    // Days that are kept, and days that should be: those that door codes of these dates, or of texts without, are on.
    let of = |column: &str| {
        let date = utc_date(column);
        format!(
            "SELECT {date} AS day FROM tokens WHERE {column} >= coalesce(date($1, '-4 days'), '') AND {column} <= $2 || '~' \
             UNION SELECT {date} FROM tokens WHERE substr({column}, 5, 1) <> '-'"
        )
    };
    let sql = format!(
        "SELECT DISTINCT day AS what FROM (SELECT day FROM rollup_days UNION {} UNION {}) \
         WHERE day > $1 AND day <= $2 AND {} AND day NOT IN (SELECT what FROM rollup_log) ORDER BY day",
        of("created_at"),
        of("used_at"),
        IS_DAY.replace("what", "day"),
    );
    let values: [Value; 2] = [after.into(), until.clone().into()];
    for row in step.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await? {
        let day: String = row.try_get("", "what")?;
        let counted = counted_day(step, &day).await?;
        let kept =
            one(step, "SELECT counts, used, waits, unused, came FROM rollup_days WHERE day = ?", [day.clone().into()]);
        let kept = match kept.await? {
            None => Some(no_slots()),
            Some(row) => Day {
                counts: row.try_get_by_index(0)?,
                used: row.try_get_by_index(1)?,
                waits: row.try_get_by_index(2)?,
                unused: row.try_get_by_index(3)?,
                came: row.try_get_by_index(4)?,
            }
            .slots(),
        };
        if kept.is_none_or(|kept| kept != counted) {
            differences.push(format!("rollup_days {day}"));
        }
    }
    Ok((!is_last).then_some(until))
}

/// Compares the members after one. Returns the last of these, or `None` at the end.
async fn differing_members(
    step: &DatabaseTransaction,
    after: Option<String>,
    members: i64,
    differences: &mut Vec<String>,
) -> Result<Option<String>, DbErr> {
    let after = after.unwrap_or_else(|| i64::from(i32::MIN).saturating_sub(1).to_string());
    let until = format!(
        "SELECT max(user_id) AS until, count(*) AS members \
         FROM (SELECT user_id FROM rollup_users WHERE user_id > {after} ORDER BY user_id LIMIT {members})"
    );
    let until = one(step, &until, []).await?;
    let found = until.as_ref().map_or(Ok(0), |row| row.try_get::<i64>("", "members"))?;
    let until: Option<i64> = until.map_or(Ok(None), |row| row.try_get("", "until"))?;
    let is_last = found < members;
    let until = until.filter(|_| !is_last).unwrap_or_else(|| i32::MAX.into());
    let within = format!("user_id > {after} AND user_id <= {until}");
    let logged = format!("(SELECT what FROM rollup_log WHERE {IS_MEMBER})");
    let ids = format!("(SELECT user_id FROM tokens WHERE {within})");
    let counted = DbBackend::Sqlite.build(&counted_members(&ids));
    let sql = format!(
        "WITH counted (user_id, issued, used, first_visit_at, last_visit_at, first_visit_issued_at) AS ({}), \
         kept AS (SELECT * FROM rollup_users WHERE {within}) SELECT DISTINCT user_id AS id FROM ( \
         SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept) UNION ALL \
         SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted)) WHERE user_id NOT IN {logged} ORDER BY id LIMIT 5",
        counted.sql
    );
    for row in step.query_all_raw(Statement { sql, ..counted }).await? {
        differences.push(format!("rollup_users {}", row.try_get::<i64>("", "id")?));
    }
    Ok((!is_last).then(|| until.to_string()))
}
