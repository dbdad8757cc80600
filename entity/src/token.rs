//! One-time door codes, without their secrets.

use sea_orm::entity::prelude::*;

/// A one-time door code issued to a member. Its secret, the column `token`, is not mapped.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tokens")]
pub struct Model {
    /// Identifier, assigned by the coworking service.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// The id of the member to whom the door code was issued.
    pub user_id: i32,
    /// When the door code was issued: UTC, microseconds, stored without a zone.
    pub created_at: DateTime,
    /// When the door code was used, in UTC; null until then. May be before `created_at`.
    pub used_at: Option<DateTime>,
    /// The member to whom the door code was issued.
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
