//! Counts parts of the rollup from the door codes, to keep them or to compare them.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike as _};
use futures_util::TryStreamExt as _;
use sea_orm::{
    ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, Statement, StreamTrait as _, Value,
};

use super::{
    days::{Row, SLOT_SECONDS, SLOTS, Slot, Slots, no_slots, seconds_between},
    place::Place,
};

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
pub(super) async fn count_members(step: &DatabaseTransaction, place: &Place, part: &str) -> Result<(), DbErr> {
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
pub(super) async fn count_days(step: &DatabaseTransaction, place: &Place, part: &str) -> Result<(), DbErr> {
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

/// Runs a statement without rows.
pub(super) async fn run<const N: usize>(
    step: &DatabaseTransaction,
    sql: &str,
    values: [Value; N],
) -> Result<(), DbErr> {
    step.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await.map(drop)
}
