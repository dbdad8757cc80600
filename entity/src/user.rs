//! Members of the coworking space.

use sea_orm::entity::prelude::*;

/// A member of the space, as stored by the coworking service.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Identifier, assigned by the coworking service.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Given name, up to 50 characters.
    pub first_name: String,
    /// Family name, up to 50 characters.
    pub last_name: String,
    /// When the member joined: UTC, microseconds, stored without a zone.
    pub joined_at: DateTime,
    /// Whether the membership is active now.
    pub is_active: bool,
    /// The door codes issued to this member.
    #[sea_orm(has_many)]
    pub tokens: HasMany<super::token::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
