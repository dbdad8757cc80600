//! `users` and `tokens`: created where they are missing, adopted where they exist.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// The columns that the gateway reads; the tables' owner may have more.
const EXPECTED: [&str; 2] = [
    "SELECT id, first_name, last_name, joined_at, is_active FROM users LIMIT 0",
    "SELECT id, user_id, created_at, used_at FROM tokens LIMIT 0",
];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        if !(manager.has_table("users").await? && manager.has_table("tokens").await?) {
            let tables = match manager.get_database_backend() {
                DbBackend::Sqlite => include_str!("tables.sqlite.sql"),
                _ => include_str!("tables.postgres.sql"),
            };
            connection.execute_unprepared(tables).await?;
        }
        for columns in EXPECTED {
            connection.execute_unprepared(columns).await?;
        }
        Ok(())
    }

    /// The tables stay: they, and every row in them, belong to the coworking service.
    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}
