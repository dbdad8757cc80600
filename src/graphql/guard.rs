//! What each report needs of its caller.

use async_graphql::{Context, Lookahead, Name, Value};

use crate::access::{Caller, NotGranted, Scope};

/// Conditions by which a filter picks out single members.
const PERSONAL: [&str; 3] = ["userIds", "joinedFrom", "joinedTo"];
/// What the legacy report said of each member, and what stands around it.
const LEGACY: [&str; 4] = ["userId", "tokensIssued", "joinedAt", "__typename"];

/// The root of a report that says nothing of single members, unless its filter picks them out.
pub(super) fn aggregate(ctx: &Context<'_>) -> Result<(), NotGranted> {
    require(ctx, Scope::Reports)?;
    match argument(ctx, "filter") {
        Some(Value::Object(filter)) if PERSONAL.iter().any(|name| filter.get(*name).is_some_and(is_given)) => {
            members(ctx)
        }
        _ => Ok(()),
    }
}

/// What is said of single members.
pub(super) fn members(ctx: &Context<'_>) -> Result<(), NotGranted> {
    require(ctx, Scope::Members)
}

/// The root of `userVisits`: what the legacy report said, of all and of each member, and no more.
pub(super) fn user_visits(ctx: &Context<'_>) -> Result<(), NotGranted> {
    require(ctx, Scope::Reports)?;
    let selection = ctx.look_ahead();
    let is_legacy = |row: &Lookahead<'_>| {
        let fields = row.selection_fields();
        fields.iter().all(|row| row.selection_set().all(|field| LEGACY.contains(&field.name())))
    };
    let order = match argument(ctx, "orderBy") {
        Some(Value::Object(order)) => {
            order.get("field").is_none_or(|field| *field == Value::Enum(Name::new("USER_ID")))
        }
        _ => true,
    };
    let rows = [selection.field("nodes"), selection.field("edges").field("node")];
    let asks_more = argument(ctx, "filter").is_some_and(|filter| is_given(&filter))
        || !order
        || selection.field("others").exists()
        || !rows.iter().all(is_legacy);
    if asks_more { members(ctx) } else { Ok(()) }
}

fn require(ctx: &Context<'_>, scope: Scope) -> Result<(), NotGranted> {
    ctx.data_unchecked::<Caller>().require(scope)
}

/// The argument with its variables filled in.
fn argument(ctx: &Context<'_>, name: &str) -> Option<Value> {
    let arguments = ctx.field().arguments().unwrap_or_default();
    arguments.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn is_given(value: &Value) -> bool {
    *value != Value::Null
}
