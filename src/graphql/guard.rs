//! Checks of the scopes that fields need.

use async_graphql::Context;

use crate::{
    access::{Caller, NotGranted, Scope},
    reports::filter::UserFilter,
};

/// The check for the root field of an aggregate report. Filters that select members are checked by [`permitted`].
pub(in crate::graphql) fn reports(ctx: &Context<'_>) -> Result<(), NotGranted> {
    require(ctx, Scope::Reports)
}

/// The check for data about individual members.
pub(in crate::graphql) fn members(ctx: &Context<'_>) -> Result<(), NotGranted> {
    require(ctx, Scope::Members)
}

/// Returns the filter if the caller has the scope that it needs.
pub(in crate::graphql) fn permitted(ctx: &Context<'_>, users: UserFilter) -> Result<UserFilter, NotGranted> {
    require(ctx, users.scope())?;
    Ok(users)
}

fn require(ctx: &Context<'_>, scope: Scope) -> Result<(), NotGranted> {
    ctx.data_unchecked::<Caller>().require(scope)
}
