//! One-time door codes, without the codes themselves.

use sea_orm::entity::prelude::*;

/// A one-time door code issued to a member. The code itself is a credential and is not mapped.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tokens")]
pub struct Model {
    /// Identifier, assigned by the coworking service.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// The member whom the code was issued to.
    pub user_id: i32,
    /// When the code was issued: UTC, microseconds, stored without a zone.
    pub created_at: DateTime,
    /// When the code opened the door, in UTC; null until then. May lie before `created_at`.
    pub used_at: Option<DateTime>,
    /// The member whom the code was issued to.
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
