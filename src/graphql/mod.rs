//! The GraphQL face: types, inputs, and resolvers of three lines that call `reports`. It holds no
//! numbers and no SQL of its own. Descriptions here are what people read in `GraphiQL`.

mod daily_usage;
pub mod error;
mod expansion;
mod input;
mod loader;
mod operation;
mod scalar;
mod snapshot;
mod user_visits;
mod variables;

use std::sync::Arc;

pub use self::operation::RequestedOperation;
use async_graphql::{EmptyMutation, EmptySubscription, MergedObject, SDLExportOptions, SchemaBuilder};

use self::{
    daily_usage::DailyUsageQuery, error::ErrorCodes, expansion::ExpansionLimit, snapshot::SharedSnapshot,
    user_visits::UserVisitsQuery, variables::OmittedVariables,
};
use crate::reports::{Reports, Session, page::PageLimits};

/// What a report costs before its first row, in the units of the complexity limit.
const REPORT_COST: usize = 1_000;
/// The most that one document may cost: some tens of reports, or a few of the largest lists.
const MAX_COMPLEXITY: usize = 100_000;
/// Room for the introspection of today's tools, which takes 15 and 17.
const MAX_DEPTH: usize = 16;
const MAX_RECURSIVE_DEPTH: usize = 24;
const MAX_ALIASES: usize = 64;
const MAX_DIRECTIVES: usize = 16;

/// Reports on the check-ins of a coworking space: members get one-time door codes (tokens), and a
/// token that was used is a visit. Dates are local to the time zone that you give; both ends of a
/// range are included. A measure that you do not select is not computed.
#[derive(Debug, Default, MergedObject)]
pub struct Query(DailyUsageQuery, UserVisitsQuery);

/// The schema, ready to execute.
pub type Schema = async_graphql::Schema<Query, EmptyMutation, EmptySubscription>;

/// The schema with its limits, without the data that its resolvers need.
fn builder() -> SchemaBuilder<Query, EmptyMutation, EmptySubscription> {
    Schema::build(Query::default(), EmptyMutation, EmptySubscription)
        .limit_complexity(MAX_COMPLEXITY)
        .limit_depth(MAX_DEPTH)
        .limit_recursive_depth(MAX_RECURSIVE_DEPTH)
        .limit_aliases(MAX_ALIASES)
        .limit_directives(MAX_DIRECTIVES)
        .extension(ErrorCodes)
        .extension(SharedSnapshot)
        .extension(OmittedVariables)
        .extension(ExpansionLimit)
}

/// The schema for a gateway whose pages are bounded by `limits`.
#[must_use]
pub fn schema(limits: PageLimits) -> Schema {
    builder().data(limits).finish()
}

/// The schema in GraphQL's own language, as `schema.graphql` holds it. Needs no database.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new().include_specified_by())
}

/// Attaches to a request what its resolvers need, and what tells which operation it runs.
#[must_use]
pub fn prepare(request: async_graphql::Request, reports: &Reports) -> (async_graphql::Request, RequestedOperation) {
    let session: Arc<Session> = reports.session();
    let operation = RequestedOperation::new(request.operation_name.clone());
    (request.data(loader::users(Arc::clone(&session))).data(session).data(operation.clone()), operation)
}
