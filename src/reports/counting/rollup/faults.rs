//! Whether a rollup can follow its tables, and the start of a new count.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::place::Place;

/// What is true of the tables now, and that all has to be counted.
pub(super) const BEGIN_ANEW: [&str; 2] = [
    EVERYTHING,
    "UPDATE {schema}.rollup_state SET generation = generation + 1, refresh_id = gen_random_uuid(), \
     fingerprint = {schema}.rollup_fingerprint('{tokens}', '{users}')",
];

/// Logs that all is out of date.
pub(super) const EVERYTHING: &str =
    "INSERT INTO {schema}.rollup_log (slots, users) VALUES (tsrange(NULL, NULL), int8range(NULL, NULL))";

/// Which of the faults that would make a rollup lie are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Those of the tables.
    Tables,
    /// Those of the triggers, too.
    TablesAndTriggers,
}

/// Why a rollup cannot tell what changes in the tables; nothing where it can.
pub(super) async fn faults(
    connection: &impl ConnectionTrait,
    place: &Place,
    check: Check,
) -> Result<Vec<String>, DbErr> {
    let missing = if check == Check::Tables { "" } else { include_str!("missing.sql") };
    let sql = place.sql(&include_str!("faults.sql").replace("{and triggers}", missing));
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    rows.iter().map(|row| row.try_get("", "sentence")).collect()
}

/// Takes the tables as they are now for those that the rollup follows, and counts everything anew.
pub(super) async fn begin_anew(connection: &impl ConnectionTrait, place: &Place) -> Result<(), DbErr> {
    for statement in BEGIN_ANEW {
        connection.execute_unprepared(&place.sql(statement)).await?;
    }
    Ok(())
}
