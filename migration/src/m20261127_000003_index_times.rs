//! Indexes on times in SQLite, so that a report of a range reads that range. On PostgreSQL, `rollup create` makes its
//! own, without blocking writers.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr};

pub(crate) async fn apply(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    each(transaction, crate::TIMES_IN_SQLITE).await
}

pub(crate) async fn undo(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let names = ["created_at", "created_at_odd", "used_at", "used_at_odd"];
    each(transaction, &names.map(|name| format!("DROP INDEX IF EXISTS tokens_{name}_index;")).concat()).await
}

async fn each(transaction: &DatabaseTransaction, script: &str) -> Result<(), DbErr> {
    match transaction.get_database_backend() {
        DbBackend::Sqlite => transaction.execute_unprepared(script).await.map(drop),
        _ => Ok(()),
    }
}
