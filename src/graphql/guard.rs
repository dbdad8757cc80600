//! What each report needs of its caller.

use async_graphql::{Context, Value};

use crate::access::{Caller, NotGranted, Scope};

/// Conditions by which a filter picks out single members.
const PERSONAL: [&str; 3] = ["userIds", "joinedFrom", "joinedTo"];
/// The root of a report that says nothing of single members, unless its filter picks them out.
pub(in crate::graphql) fn aggregate(ctx: &Context<'_>) -> Result<(), NotGranted> {
    require(ctx, Scope::Reports)?;
    match argument(ctx, "filter") {
        Some(Value::Object(filter)) if PERSONAL.iter().any(|name| filter.get(*name).is_some_and(is_given)) => {
            members(ctx)
        }
        _ => Ok(()),
    }
}

/// What is said of single members.
pub(in crate::graphql) fn members(ctx: &Context<'_>) -> Result<(), NotGranted> {
    require(ctx, Scope::Members)
}

pub(in crate::graphql) fn require(ctx: &Context<'_>, scope: Scope) -> Result<(), NotGranted> {
    ctx.data_unchecked::<Caller>().require(scope)
}

/// The argument with its variables filled in.
pub(in crate::graphql) fn argument(ctx: &Context<'_>, name: &str) -> Option<Value> {
    let arguments = ctx.field().arguments().unwrap_or_default();
    arguments.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

pub(in crate::graphql) fn is_given(value: &Value) -> bool {
    *value != Value::Null
}
