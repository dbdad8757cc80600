//! The codes under `extensions.code` of an error, and how errors come by one.

use std::sync::Arc;

use crate::reports;
use async_graphql::{
    ErrorExtensionValues, Response, ServerError, ServerResult, ValidationResult, Variables, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextRequest, NextValidation},
    parser::types::ExecutableDocument,
};

/// The document is not GraphQL.
pub const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
/// The document does not fit the schema, or exceeds a limit.
pub const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
/// The document asks for more than is taken, whatever it asks for.
pub const LIMIT_EXCEEDED: &str = "LIMIT_EXCEEDED";
/// An argument or a variable has a value that means nothing.
pub const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
/// The database took longer than the statement timeout, or the request longer than its own.
pub const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
/// The database is out of reach for now; asking again later helps.
pub const SERVICE_UNAVAILABLE: &str = "SERVICE_UNAVAILABLE";
/// The fault is on this side; the log has the cause.
pub const INTERNAL_SERVER_ERROR: &str = "INTERNAL_SERVER_ERROR";

/// The code of an answer's first error, as one of the constants above; `OK` without one.
#[must_use]
pub fn code_of(answer: &Response) -> &'static str {
    const CODES: [&str; 7] = [
        PARSE_FAILED,
        VALIDATION_FAILED,
        LIMIT_EXCEEDED,
        BAD_USER_INPUT,
        REQUEST_TIMEOUT,
        SERVICE_UNAVAILABLE,
        INTERNAL_SERVER_ERROR,
    ];
    let Some(error) = answer.errors.first() else { return "OK" };
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    CODES.into_iter().find(|known| code == Some(&(*known).into())).unwrap_or(INTERNAL_SERVER_ERROR)
}

/// The one place where a report's error becomes a client's: a fixed sentence and a code. What the
/// database said goes to the log, and only there.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn client_error(error: reports::Error) -> async_graphql::Error {
    error.log();
    let (code, message) = match &error {
        reports::Error::InvalidArgument(invalid) => (BAD_USER_INPUT, invalid.to_string()),
        reports::Error::Timeout(_) => {
            (REQUEST_TIMEOUT, "The database did not answer in time; narrow the range and try again.".to_owned())
        }
        reports::Error::Unavailable(_) => {
            (SERVICE_UNAVAILABLE, "The database is out of reach for now; try again shortly.".to_owned())
        }
        reports::Error::Database(_) => {
            (INTERNAL_SERVER_ERROR, "The report failed; the operators' log has the cause.".to_owned())
        }
    };
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    if let reports::Error::InvalidArgument(invalid) = &error {
        extensions.set("argument", invalid.argument);
    }
    async_graphql::Error { message, source: None, extensions: Some(extensions) }
}

/// The same error, with a code unless it has one.
pub(super) fn with_code(mut error: ServerError, code: &'static str) -> ServerError {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        extensions.set("code", code);
    }
    error
}

/// Messages quote what a client sent, which may be a megabyte.
fn shortened(mut error: ServerError) -> ServerError {
    const MAX: usize = 500;
    if let Some((end, _)) = error.message.char_indices().nth(MAX) {
        error.message.truncate(end);
        error.message.push('…');
    }
    error
}

/// Gives a code to the library's own errors, by the step that they come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct ErrorCodes;

impl ExtensionFactory for ErrorCodes {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for ErrorCodes {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        next.run(ctx, query, variables).await.map_err(|mut error| {
            // The parser draws the line in question, which may be the whole document; its last line says
            // what it expected there, and the position stands beside the message.
            if let Some((_, expected)) = error.message.rsplit_once("\n  = ") {
                error.message = format!("The document is not GraphQL: {expected}");
            }
            with_code(error, PARSE_FAILED)
        })
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let errors = |errors: Vec<_>| errors.into_iter().map(|error| with_code(error, VALIDATION_FAILED)).collect();
        next.run(ctx).await.map_err(errors)
    }

    /// What is left are arguments and variables that could not be read: resolvers code their own.
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        let mut response = next.run(ctx).await;
        let shortened = |error| shortened(with_code(error, BAD_USER_INPUT));
        response.errors = response.errors.into_iter().map(shortened).collect();
        response
    }
}
