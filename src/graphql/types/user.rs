//! The type of members.

use async_graphql::{Context, Result, SimpleObject, dataloader::DataLoader};

use crate::{
    graphql::{
        error::client_error,
        guard,
        types::{loader::UserLoader, scalars::DateTime},
    },
    reports::Member,
};

/// A member of the coworking space.
#[derive(Debug, SimpleObject)]
pub(in crate::graphql) struct User {
    /// The member's id.
    id: i32,
    /// The member's given name.
    first_name: String,
    /// The member's family name.
    last_name: String,
    /// The instant at which the member joined, in UTC; null where the database holds no instant of the years 1 to
    /// 9999.
    joined_at: Option<DateTime>,
    /// Whether the membership is active now.
    is_active: bool,
}

impl From<Member> for User {
    fn from(user: Member) -> Self {
        Self {
            id: user.id,
            first_name: user.first_name,
            last_name: user.last_name,
            joined_at: user.joined_at.map(Into::into),
            is_active: user.is_active,
        }
    }
}

/// The member with that id. All members of a list are loaded in one statement.
pub(in crate::graphql) async fn load(ctx: &Context<'_>, id: i32) -> Option<Result<User>> {
    if let Err(missing) = guard::members(ctx) {
        return Some(Err(client_error(missing.into())));
    }
    let user = ctx.data_unchecked::<DataLoader<UserLoader>>().load_one(id).await;
    user.map(|user| user.map(User::from)).map_err(client_error).transpose()
}
