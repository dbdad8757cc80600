//! Members by id, for lists that name them.

use std::collections::HashMap;

use entity::user;
use sea_orm::{
    FromQueryResult, Iterable,
    sea_query::{Expr, ExprTrait, Query},
};

use super::{Error, Session, made};

impl Session {
    /// The members with these ids that exist, in one statement however many there are.
    ///
    /// # Errors
    /// What the database says.
    pub async fn users(&self, ids: &[i32]) -> Result<HashMap<i32, user::Model>, Error> {
        let statement = Query::select()
            .columns(user::Column::iter())
            .from(user::Entity)
            .and_where(Expr::col(user::Column::Id).is_in(ids.iter().copied()))
            .take();
        let rows = made("users", self.query_all(&statement)).await?;
        rows.iter()
            .map(|row| user::Model::from_query_result(row, "").map(|user| (user.id, user)))
            .collect::<Result<_, _>>()
            .map_err(Error::from)
    }
}
