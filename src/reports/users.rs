//! Members by id, for lists that name them.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use entity::user;
use sea_orm::{
    FromQueryResult,
    sea_query::{Expr, ExprTrait, Query},
};

use super::{
    Error, Session,
    dialect::{from_users, readable},
    made,
};

/// A member with name.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct Member {
    /// The member's id.
    pub id: i32,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// When the member joined, in UTC; `None` when the stored value is not a time in the years 1 to 9999.
    pub joined_at: Option<NaiveDateTime>,
    /// Whether the membership is active now.
    pub is_active: bool,
}

impl Session {
    /// The members with these ids that exist. One statement, for any number of ids.
    ///
    /// # Errors
    /// What the database says.
    pub async fn users(&self, ids: &[i32]) -> Result<HashMap<i32, Member>, Error> {
        let mut statement = Query::select();
        from_users(&mut statement, self.backend());
        statement
            .columns([user::Column::Id, user::Column::FirstName, user::Column::LastName, user::Column::IsActive])
            .expr_as(readable(self.backend(), &Expr::col(user::Column::JoinedAt)), "joined_at")
            .and_where(Expr::col(user::Column::Id).is_in(ids.iter().copied()));
        let rows = made("users", self.query_all(&statement)).await?;
        rows.iter()
            .map(|row| Member::from_query_result(row, "").map(|member| (member.id, member)))
            .collect::<Result<_, _>>()
            .map_err(Error::from)
    }
}
