//! Migrations of the coworking database. A database that the coworking service already made is
//! adopted as it is: no migration touches a row of it, and undoing one never drops its tables.

use sea_orm_migration::prelude::*;

mod m20261123_000001_adopt_or_create_tables;
mod m20261123_000002_create_report_views;

pub use sea_orm_migration::{MigrationStatus, MigratorTrait};

/// Every migration, in the order in which they are applied.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_adopt_or_create_tables::Migration),
            Box::new(m20261123_000002_create_report_views::Migration),
        ]
    }
}
