use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr};

use crate::has_table;

/// The columns that the gateway reads. The tables may have more.
const EXPECTED: [&str; 2] = [
    "SELECT id, first_name, last_name, joined_at, is_active FROM users LIMIT 0",
    "SELECT id, user_id, created_at, used_at FROM tokens LIMIT 0",
];

pub(crate) async fn apply(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    if !(has_table(transaction, "users").await? && has_table(transaction, "tokens").await?) {
        let tables = match transaction.get_database_backend() {
            DbBackend::Sqlite => include_str!("tables.sqlite.sql"),
            _ => include_str!("tables.postgres.sql"),
        };
        transaction.execute_unprepared(tables).await?;
    }
    for columns in EXPECTED {
        transaction.execute_unprepared(columns).await?;
    }
    Ok(())
}
