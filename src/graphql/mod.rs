//! The GraphQL face: types, inputs, and resolvers of three lines that call `reports`. It holds no
//! numbers and no SQL of its own. Descriptions here are what people read in `GraphiQL`.

mod active_users;
mod checks;
mod coercion;
#[cfg(test)]
mod conformance;
mod daily_usage;
mod document;
pub mod error;
mod guard;
mod heatmap;
mod input;
pub mod limits;
mod loader;
mod measure;
mod members;
mod names;
mod operation;
mod retention;
mod rows;
mod scalar;
mod series;
mod snapshot;
mod subscription;
mod token_funnel;
mod tokens;
mod usage;
mod user;
mod user_visits;
mod variables;

use std::sync::Arc;

use async_graphql::{
    EmptyMutation, MergedObject, Response, SDLExportOptions, SchemaBuilder, ServerError, ServerResult, Variables,
    futures_util::StreamExt as _, parser::types::ExecutableDocument,
};

use self::{
    active_users::ActiveUsersQuery,
    checks::Checks,
    daily_usage::DailyUsageQuery,
    error::{VALIDATION_FAILED, with_code},
    heatmap::HeatmapQuery,
    limits::MAX_NESTING,
    members::MembersQuery,
    retention::RetentionQuery,
    subscription::Subscription,
    token_funnel::TokenFunnelQuery,
    usage::UsageQuery,
    user_visits::UserVisitsQuery,
};
pub use self::{names::Named, operation::RequestedOperation};
use crate::{
    access::{Caller, Meter, Scope},
    config::{
        graphql::GraphqlConfig,
        limits::{Limits, PageLimits},
    },
    reports::{Reports, Session},
};

/// Reports on the check-ins of a coworking space. Members get one-time door codes, and a door code that was used is a
/// visit; fields and types call door codes `tokens`. Dates are local to the time zone that you give, and both ends of
/// a range are included. Measures that you do not select are not computed. Every field needs the scope `reports`,
/// except `members`, which needs the scope `members`; further fields and filters that need the scope `members` say
/// so.
#[derive(Debug, Default, MergedObject)]
pub struct Query(
    DailyUsageQuery,
    UsageQuery,
    HeatmapQuery,
    ActiveUsersQuery,
    RetentionQuery,
    TokenFunnelQuery,
    UserVisitsQuery,
    MembersQuery,
);

type Schema = async_graphql::Schema<Query, EmptyMutation, Subscription>;

/// The schema, without the data that its resolvers need.
fn builder() -> SchemaBuilder<Query, EmptyMutation, Subscription> {
    Schema::build(Query::default(), EmptyMutation, Subscription::default())
}

/// The schema in GraphQL's own language, as `schema.graphql` holds it. Needs no database.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new().include_specified_by())
}

/// What executes documents, within limits. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    schema: Schema,
    limits: Limits,
    introspection: bool,
}

/// A document that passed every check that needs no database, with what it runs on.
pub struct Prepared {
    request: async_graphql::Request,
    operation: RequestedOperation,
    several_statements: bool,
}

impl Prepared {
    /// The operation that will run.
    #[must_use]
    pub fn operation(&self) -> &RequestedOperation {
        &self.operation
    }
}

impl Executor {
    /// An executor for a gateway whose pages are bounded by `pages`.
    #[must_use]
    pub fn new(config: &GraphqlConfig, pages: PageLimits) -> Self {
        let checks = Checks { complexity: config.limits.complexity };
        // The library's own limits walk every expansion of a fragment; by then there is little to walk.
        let builder = builder().data(pages).limit_recursive_depth(MAX_NESTING).extension(checks);
        let builder = if config.introspection { builder } else { builder.disable_suggestions() };
        Self { schema: builder.finish(), limits: config.limits, introspection: config.introspection }
    }

    /// Reads a document, and finds the operation to run.
    ///
    /// # Errors
    /// When the document is no GraphQL, exceeds a limit, or has no such operation.
    pub fn prepare(
        &self,
        document: &str,
        operation: Option<&str>,
        variables: Variables,
        caller: &Caller,
    ) -> ServerResult<Prepared> {
        let mut parsed = document::read(document, &self.limits)?;
        subscription::unfold(&mut parsed)?;
        self.check_introspection(&parsed, caller)?;
        let (name, definition) = operation::find(&parsed, operation)?;
        let operation = RequestedOperation::of(&definition.node, name);
        let several_statements = snapshot::may_need_several_statements(&parsed);
        let mut request = async_graphql::Request::new("").variables(variables).data(operation.clone());
        request.operation_name = operation.name().map(ToOwned::to_owned);
        request.set_parsed_query(parsed);
        Ok(Prepared { request, operation, several_statements })
    }

    fn check_introspection(&self, document: &ExecutableDocument, caller: &Caller) -> ServerResult<()> {
        let asks = |name: &str| matches!(name, "__schema" | "__type");
        let may = self.introspection || caller.scopes.has(Scope::Admin);
        if may || !document::any_field(document, |field| asks(&field.name.node)) {
            return Ok(());
        }
        let problem = "Introspection is off; the schema is published as schema.graphql.";
        Err(with_code(ServerError::new(problem, None), VALIDATION_FAILED))
    }

    /// Runs a document on reports that share one session; a subscription, once. What it costs is taken from the
    /// caller's budget.
    pub async fn execute(&self, prepared: Prepared, reports: &Reports, caller: Caller, meter: Meter) -> Response {
        let is_subscription = prepared.operation.is_subscription();
        let session: Arc<Session> =
            if prepared.several_statements { reports.snapshot_session() } else { reports.session() };
        let request = prepared.request.data(caller).data(meter);
        let request = request.data(loader::users(Arc::clone(&session))).data(session);
        let answer = if is_subscription {
            self.schema.execute_stream(request).next().await.unwrap_or_default()
        } else {
            self.schema.execute(request).await
        };
        self.present(answer)
    }

    /// The answer to a request of which nothing was executed.
    #[must_use]
    pub fn refuse(&self, error: ServerError) -> Response {
        self.present(Response::from_errors(vec![error]))
    }

    fn present(&self, mut answer: Response) -> Response {
        limits::present(&mut answer, self.limits.errors);
        answer
    }
}
