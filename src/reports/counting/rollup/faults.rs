//! Whether a rollup can follow its tables, and the start of a new count.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::place::Place;

/// Logs that everything is out of date, and records the current state of the tables.
pub(super) const BEGIN_ANEW: [&str; 2] = [
    EVERYTHING,
    "UPDATE {schema}.rollup_state SET generation = generation + 1, refresh_id = gen_random_uuid(), \
     fingerprint = {schema}.rollup_fingerprint('{tokens}', '{users}')",
];

/// Logs that everything is out of date.
pub(super) const EVERYTHING: &str =
    "INSERT INTO {schema}.rollup_log (slots, users) VALUES (tsrange(NULL, NULL), int8range(NULL, NULL))";

/// Which faults to look for. A fault would make the rollup's counts wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Faults of the tables.
    Tables,
    /// Faults of the tables and of the triggers.
    TablesAndTriggers,
}

/// Why a rollup cannot follow changes of the tables, as sentences; empty when it can.
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

/// Makes the rollup follow the tables as they are now, and count everything again.
pub(super) async fn begin_anew(connection: &impl ConnectionTrait, place: &Place) -> Result<(), DbErr> {
    for statement in BEGIN_ANEW {
        connection.execute_unprepared(&place.sql(statement)).await?;
    }
    Ok(())
}
