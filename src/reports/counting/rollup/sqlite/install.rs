//! Makes a rollup, and removes one. All that a step does is one transaction.
//!
//! Whoever writes door codes sets off the triggers, which cannot catch errors. So each only inserts values into the log
//! that meet no constraint; with `ON CONFLICT DO NOTHING` also where the writer's statement says what happens on a
//! conflict, as that would be said of the trigger's statements, too.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement};
use tracing::info;

use super::{begin, exists, run};
use crate::reports::dialect::utc_date;

/// Why a rollup cannot be made twice.
const EXISTS: &str = "there is a rollup already; `rollup refresh` brings it up to date, `rollup rebuild` counts anew, \
                      `rollup upgrade` makes its triggers anew";
const NONE: &str = "there is no rollup; `rollup create` makes one";

/// Makes the rollup. Refreshes fill it.
pub(in super::super) async fn create(connection: &DatabaseConnection) -> Result<(), DbErr> {
    if exists(connection).await? {
        return Err(DbErr::Custom(EXISTS.to_owned()));
    }
    install(connection).await
}

/// Makes the triggers again, and counts everything again.
pub(in super::super) async fn upgrade(connection: &DatabaseConnection) -> Result<(), DbErr> {
    if !exists(connection).await? {
        return Err(DbErr::Custom(NONE.to_owned()));
    }
    install(connection).await
}

async fn install(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let faults = faults(connection).await?;
    if !faults.is_empty() {
        return Err(DbErr::Custom(format!("no rollup can be kept here: {}", faults.join("; "))));
    }
    let step = begin(connection).await?;
    begin_anew(&step).await?;
    step.commit().await
}

/// Makes what is missing of the rollup, and the triggers, for the tables as they are now; all is to be counted again.
pub(super) async fn begin_anew(step: &DatabaseTransaction) -> Result<(), DbErr> {
    step.execute_unprepared(migration::TIMES_IN_SQLITE).await?;
    step.execute_unprepared(include_str!("tables.sql")).await?;
    for (name, sql) in triggers(step).await? {
        step.execute_unprepared(&format!("DROP TRIGGER IF EXISTS {name}; {sql}")).await?;
    }
    let state = "INSERT INTO rollup_state (generation, users_id, fingerprint, is_listed) \
                 SELECT 0, hex(randomblob(16)), 0, FALSE WHERE NOT EXISTS (SELECT 1 FROM rollup_state)";
    run(step, state, []).await?;
    let begun = "UPDATE rollup_state SET generation = generation + 1, is_listed = FALSE, \
                 fingerprint = (SELECT schema_version FROM pragma_schema_version)";
    run(step, begun, []).await
}

/// Marks everything as out of date; the next refreshes count it again.
pub(in super::super) async fn rebuild(connection: &DatabaseConnection) -> Result<(), DbErr> {
    if !exists(connection).await? {
        return Err(DbErr::Custom(NONE.to_owned()));
    }
    run(connection, "UPDATE rollup_state SET is_listed = FALSE", []).await
}

/// Removes the rollup. Reads stay exact meanwhile, and no request fails if `notice` is long enough for running gateways
/// to check for the rollup and to finish their requests.
pub(in super::super) async fn drop_all(connection: &DatabaseConnection, notice: Duration) -> Result<(), DbErr> {
    if !exists(connection).await? {
        return Ok(());
    }
    run(connection, "DELETE FROM rollup_state", []).await?;
    if !notice.is_zero() {
        info!(?notice, "waiting until gateways that run have taken notice");
        tokio::time::sleep(notice).await;
    }
    let step = begin(connection).await?;
    let names = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'rollup\\_%' ESCAPE '\\'";
    for row in step.query_all_raw(Statement::from_string(DbBackend::Sqlite, names)).await? {
        step.execute_unprepared(&format!("DROP TRIGGER {}", quoted(&row.try_get::<String>("", "name")?))).await?;
    }
    for table in ["rollup_state", "rollup_log", "rollup_days", "rollup_users"] {
        step.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}")).await?;
    }
    step.commit().await
}

/// Why a rollup cannot follow changes of the tables, as sentences; empty when it can.
pub(super) async fn faults(connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT wanted.name AS name, type, wr FROM (SELECT 'tokens' AS name UNION ALL SELECT 'users') AS wanted \
               LEFT JOIN pragma_table_list AS known ON schema = 'main' AND lower(known.name) = wanted.name ORDER BY 1";
    let mut faults = Vec::new();
    for row in connection.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await? {
        let (name, kind): (String, Option<String>) = (row.try_get("", "name")?, row.try_get("", "type")?);
        match kind.as_deref() {
            Some("table") if row.try_get::<i64>("", "wr")? == 0 => {}
            Some("table") => faults.push(format!("{name} is a table WITHOUT ROWID")),
            Some(kind) => faults.push(format!("{name} is a {kind}: a rollup is made beside the table itself")),
            None => faults.push(format!("there is no table {name}; `coworking-analytics migrate` makes it")),
        }
    }
    if !faults.is_empty() {
        return Ok(faults);
    }
    if unique_keys(connection).await?.contains(&None) {
        faults.push("tokens has a unique index on an expression, whose replaced rows are not seen".to_owned());
    }
    Ok(faults)
}

/// The columns of each unique index of the door codes, as conditions that another row has the values of `NEW`; `None`
/// for an index on an expression.
async fn unique_keys(connection: &impl ConnectionTrait) -> Result<Vec<Option<String>>, DbErr> {
    let sql = "SELECT known.name AS \"index\", part.name AS \"column\", part.coll AS collation \
               FROM pragma_index_list('tokens') AS known JOIN pragma_index_xinfo(known.name) AS part \
               WHERE known.\"unique\" AND part.\"key\" ORDER BY known.name, part.seqno";
    let mut keys: Vec<(String, Option<String>)> = Vec::new();
    for row in connection.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await? {
        let index: String = row.try_get("", "index")?;
        let (column, collation): (Option<String>, String) = (row.try_get("", "column")?, row.try_get("", "collation")?);
        let same = column.map(|column| {
            let column = quoted(&column);
            format!("{column} = NEW.{column} COLLATE {}", quoted(&collation))
        });
        match keys.last_mut() {
            Some((last, key)) if *last == index => {
                *key = key.take().zip(same).map(|(key, same)| format!("{key} AND {same}"));
            }
            _ => keys.push((index, same)),
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// The names and the statements of the triggers.
async fn triggers(connection: &impl ConnectionTrait) -> Result<Vec<(&'static str, String)>, DbErr> {
    let keys: Vec<String> = unique_keys(connection).await?.into_iter().flatten().collect();
    let mut made = vec![
        ("rollup_tokens_inserted", "AFTER INSERT ON tokens".to_owned(), log("NEW.", "")),
        ("rollup_tokens_deleted", "AFTER DELETE ON tokens".to_owned(), log("OLD.", "")),
    ];
    let changed = ["user_id", "created_at", "used_at"].map(|column| format!("OLD.{column} IS NOT NEW.{column}"));
    let when = format!("AFTER UPDATE ON tokens WHEN {}", changed.join(" OR "));
    made.push(("rollup_tokens_updated", when, log("OLD.", "") + &log("NEW.", "")));
    // Rows that `INSERT OR REPLACE` and `UPDATE OR REPLACE` delete set off no trigger of their own.
    for (name, event, others) in [
        ("rollup_tokens_replaced", "INSERT", ""),
        ("rollup_tokens_replaced_by_update", "UPDATE", " AND rowid <> OLD.rowid"),
    ] {
        let keys = std::iter::once("rowid = NEW.rowid").chain(keys.iter().map(String::as_str));
        let keys: Vec<String> = keys.map(|key| format!(" FROM tokens WHERE {key}{others}")).collect();
        let any: Vec<String> = keys.iter().map(|rows| format!("EXISTS (SELECT 1{rows})")).collect();
        let when = format!("BEFORE {event} ON tokens WHEN {}", any.join(" OR "));
        made.push((name, when, keys.iter().map(|rows| log("", rows)).collect()));
    }
    for (name, event) in
        [("rollup_users_inserted", "INSERT"), ("rollup_users_updated", "UPDATE"), ("rollup_users_deleted", "DELETE")]
    {
        made.push((name, format!("BEFORE {event} ON users"), logged(&["'users'".to_owned()], "")));
    }
    Ok(made
        .into_iter()
        .map(|(name, event, body)| (name, format!("CREATE TRIGGER {name} {event} BEGIN{body} END")))
        .collect())
}

/// Logs the days and the member of a row, or of these rows.
fn log(row: &str, rows: &str) -> String {
    let member = format!(
        "CASE WHEN typeof({row}user_id) = 'integer' AND {row}user_id BETWEEN -2147483648 AND 2147483647 \
         THEN {row}user_id ELSE 'odd' END"
    );
    let day = |column: &str| format!("coalesce({}, '')", utc_date(&format!("{row}{column}")));
    logged(&[day("created_at"), day("used_at"), member], rows)
}

/// Writes values into the log, in one statement, which costs writers a third of three. The condition keeps SQLite from
/// taking `ON CONFLICT` for a part of a join.
fn logged(values: &[String], rows: &str) -> String {
    let rows = if rows.is_empty() { " WHERE TRUE" } else { rows };
    let selects: Vec<String> = values.iter().map(|value| format!("SELECT {value}{rows}")).collect();
    format!(" INSERT INTO rollup_log {} ON CONFLICT DO NOTHING;", selects.join(" UNION ALL "))
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
