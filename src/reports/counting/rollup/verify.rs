//! Counts parts of the rollup again and compares, which finds errors of any cause.

use sea_orm::{AccessMode, ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr};

use super::{
    count::{differing_members, differing_slots},
    faults::EVERYTHING,
    place::Place,
    refresh::{Part, begin, is_followed, next_slots, next_users},
    sqlite,
};

/// How much is compared at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portion {
    /// A day and 2,000 members: costs little beside reports.
    Small,
    /// 8 days and 20,000 members: as much as one statement should take.
    Large,
}

impl Portion {
    pub(super) fn days(self) -> i64 {
        if self == Self::Small { 1 } else { 8 }
    }

    pub(super) fn members(self) -> i64 {
        if self == Self::Small { 2_000 } else { 20_000 }
    }
}

/// How far a comparison has come. After the end, it starts again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// The end of the time compared so far, in UTC; `None` at the start, and after the end.
    pub slots_until: Option<String>,
    /// The member id up to which was compared; `None` at the start, and after the end.
    pub users_until: Option<String>,
}

impl Position {
    /// Whether nothing was compared yet, or everything was.
    #[must_use]
    pub fn is_at_an_end(&self) -> bool {
        self.slots_until.is_none() && self.users_until.is_none()
    }
}

/// Compares the next portion of the rollup, except what the log names, with the door codes, in one snapshot. Returns
/// the first few places that differ. If any differ, everything is logged as out of date, and so counted again.
///
/// # Errors
/// What the database says.
pub async fn verify(
    connection: &DatabaseConnection,
    position: &mut Position,
    portion: Portion,
) -> Result<Vec<String>, DbErr> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return sqlite::verify(connection, position, portion).await;
    }
    let place = Place::of(connection).await?;
    let step = begin(connection, AccessMode::ReadOnly).await?;
    if is_followed(&step, &place).await? != Some(true) {
        // The rollup is not read now, so there is nothing to compare.
        *position = Position::default();
        step.rollback().await?;
        return Ok(Vec::new());
    }
    // From the start, times and members are both compared; the one that ends first waits for the other.
    let begins = position.is_at_an_end();
    let mut differences = Vec::new();
    if begins || position.slots_until.is_some() {
        let from = position.slots_until.as_deref().unwrap_or("0001-01-01");
        let pending = format!("(tsmultirange(tsrange('{from}', NULL)) - coalesce(range_agg(slots), '{{}}'))");
        let part = next_slots(&step, &place, &pending, &format!("{} days", portion.days())).await?;
        differences.extend(differing_slots(&step, &place, &part.work).await?);
        position.slots_until = after(part);
    }
    if begins || position.users_until.is_some() {
        let from = position.users_until.as_deref().unwrap_or("-2147483648");
        let pending = format!("(int8multirange(int8range({from}, NULL)) - coalesce(range_agg(users), '{{}}'))");
        let part = next_users(&step, &place, &pending, portion.members()).await?;
        differences.extend(differing_members(&step, &place, &part.work).await?);
        position.users_until = after(part);
    }
    step.rollback().await?;
    if !differences.is_empty() {
        connection.execute_unprepared(&place.sql(EVERYTHING)).await?;
    }
    Ok(differences)
}

fn after(part: Part) -> Option<String> {
    if part.is_last() { None } else { part.until }
}
