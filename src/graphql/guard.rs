//! What a field needs of its caller.

use async_graphql::Context;

use crate::{
    access::{Caller, NotGranted, Scope},
    reports::filter::UserFilter,
};

/// The root of a report that tells nothing of single members, unless its filter picks them out.
pub(in crate::graphql) fn reports(ctx: &Context<'_>) -> Result<(), NotGranted> {
    require(ctx, Scope::Reports)
}

/// What tells of single members.
pub(in crate::graphql) fn members(ctx: &Context<'_>) -> Result<(), NotGranted> {
    require(ctx, Scope::Members)
}

/// A filter that the caller may use.
pub(in crate::graphql) fn permitted(ctx: &Context<'_>, users: UserFilter) -> Result<UserFilter, NotGranted> {
    require(ctx, users.scope())?;
    Ok(users)
}

fn require(ctx: &Context<'_>, scope: Scope) -> Result<(), NotGranted> {
    ctx.data_unchecked::<Caller>().require(scope)
}
