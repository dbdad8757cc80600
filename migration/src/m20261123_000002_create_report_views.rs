//! Creates the views for SQL tools. The gateway itself does not read them.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr};

pub(crate) async fn apply(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let views = match transaction.get_database_backend() {
        DbBackend::Sqlite => include_str!("views.sqlite.sql"),
        _ => include_str!("views.postgres.sql"),
    };
    transaction.execute_unprepared(views).await.map(drop).map_err(|error| {
        DbErr::Migration(format!("the views for SQL tools were not made, and nothing was replaced: {error}"))
    })
}

pub(crate) async fn undo(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let drop_views = "DROP VIEW IF EXISTS report_daily_usage; DROP VIEW IF EXISTS report_user_visits";
    transaction.execute_unprepared(drop_views).await.map(drop)
}
