//! `report_daily_usage` and `report_user_visits`: the reports as views, for tools that speak only SQL.
//! The gateway itself reads neither.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DbBackend, RuntimeErr},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Both views or none, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let views = match manager.get_database_backend() {
            DbBackend::Sqlite => include_str!("views.sqlite.sql"),
            _ => include_str!("views.postgres.sql"),
        };
        manager.get_connection().execute_unprepared(views).await.map(drop).map_err(|error| {
            let said = match &error {
                DbErr::Exec(RuntimeErr::SqlxError(source)) => {
                    source.as_database_error().map(|said| said.message().to_owned())
                }
                _ => None,
            };
            let said = said.unwrap_or_else(|| error.to_string());
            DbErr::Migration(format!("the views for SQL tools were not made, and nothing was replaced: {said}"))
        })
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop_views = "DROP VIEW IF EXISTS report_daily_usage; DROP VIEW IF EXISTS report_user_visits";
        manager.get_connection().execute_unprepared(drop_views).await.map(drop)
    }
}
