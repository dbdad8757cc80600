//! Executes documents: parses them within limits, checks them, and runs them on one snapshot of the database.

mod checks;
#[cfg(test)]
mod conformance;
mod document;
mod lexing;
pub mod limits;
mod measuring;
mod operation;
mod paging;
mod schema;
mod snapshot;
mod subscription;

use std::sync::Arc;

use async_graphql::{
    Name, Response, ServerError, ServerResult, Value, Variables, indexmap::IndexMap, parser::types::ExecutableDocument,
};

use self::schema::Schema;
pub use self::{operation::RequestedOperation, schema::sdl};
use crate::{
    access::{Caller, Meter, Scope},
    codes::VALIDATION_FAILED,
    config::{
        graphql::GraphqlConfig,
        limits::{Limits, PageLimits},
    },
    graphql::{Named as _, error::with_code, types::loader},
    reports::{Defaults, Reports, Session},
};

/// Executes documents within limits. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    schema: Schema,
    limits: Limits,
    introspection: bool,
}

/// A document that passed all checks that need no execution, with its variables and operation.
pub struct Prepared {
    request: async_graphql::Request,
    operation: RequestedOperation,
    several_statements: bool,
}

impl Prepared {
    /// The operation to run.
    #[must_use]
    pub fn operation(&self) -> &RequestedOperation {
        &self.operation
    }
}

impl Executor {
    /// An executor with the limits of `config` and `pages`.
    #[must_use]
    pub fn new(config: &GraphqlConfig, pages: PageLimits) -> Self {
        Self { schema: Schema::new(config, pages), limits: config.limits, introspection: config.introspection }
    }

    /// Parses a document and finds the operation to run.
    ///
    /// # Errors
    /// When the document is not GraphQL, exceeds a limit, or has no such operation.
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
        let asks = |name: &str| matches!(name, "__schema" | "__type" | "_service");
        let may = self.introspection || caller.scopes.has(Scope::Admin);
        if may || !document::any_field(document, |field| asks(&field.name.node)) {
            return Ok(());
        }
        let problem = "Introspection is off; the schema is published as schema.graphql.";
        Err(with_code(ServerError::new(problem, None), VALIDATION_FAILED))
    }

    /// Runs a document on reports that share one session. A subscription runs once and gives one answer. The cost is
    /// charged to `meter`.
    pub async fn execute(&self, prepared: Prepared, reports: &Reports, caller: Caller, meter: Meter) -> Response {
        let is_subscription = prepared.operation.is_subscription();
        let session: Arc<Session> =
            if prepared.several_statements { reports.snapshot_session() } else { reports.session() };
        let request = prepared.request.data(caller).data(meter);
        let request = request.data(loader::users(Arc::clone(&session))).data(Arc::clone(&session));
        let mut answer =
            if is_subscription { self.schema.execute_once(request).await } else { self.schema.execute(request).await };
        let Defaults { zone, basis } = session.used_defaults();
        let used =
            [("timeZone", zone.map(|zone| zone.to_string())), ("basis", basis.map(|basis| basis.name().to_owned()))];
        let used = used.into_iter().filter_map(|(name, value)| Some((Name::new(name), Value::from(value?))));
        let used: IndexMap<_, _> = used.collect();
        if !used.is_empty() {
            answer.extensions.insert("defaults".to_owned(), Value::Object(used));
        }
        self.present(answer)
    }

    /// The answer to a request that is not executed.
    #[must_use]
    pub fn refuse(&self, error: ServerError) -> Response {
        self.present(Response::from_errors(vec![error]))
    }

    fn present(&self, mut answer: Response) -> Response {
        limits::present(&mut answer, self.limits.errors);
        answer
    }
}
