//! What other parts of a larger graph may ask of this one by key (Apollo Federation 2: `_entities`).

use async_graphql::{Context, Object, Result};

use crate::graphql::types::user::{self, User};

/// The entities. Off unless `FEDERATION` is on.
#[derive(Debug, Default)]
pub(in crate::graphql) struct Entities;

#[Object]
impl Entities {
    /// The member with that id, if there is one. All members of a request are loaded at once. Needs the scope `members`.
    #[graphql(entity)]
    async fn find_user_by_id(&self, ctx: &Context<'_>, id: i32) -> Result<Option<User>> {
        user::load(ctx, id).await.transpose()
    }
}
