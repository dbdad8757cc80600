//! The codes under `extensions.code` of an error, and how errors come by one.

use async_graphql::{ErrorExtensionValues, ServerError};

use crate::{access::NotGranted, reports};

/// The document is not GraphQL.
pub const PARSE_FAILED: &str = "GRAPHQL_PARSE_FAILED";
/// The document does not fit the schema.
pub const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
/// The request asks for more than is taken; `extensions.limit` says of what.
pub const LIMIT_EXCEEDED: &str = "LIMIT_EXCEEDED";
/// An argument or a variable has a value that means nothing.
pub const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
/// The request has a document's id alone, and none is known by it.
pub const PERSISTED_QUERY_NOT_FOUND: &str = "PERSISTED_QUERY_NOT_FOUND";
/// The field needs a scope, and the caller did not say who they are; or who they say cannot be.
pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
/// The field needs a scope that the caller does not have.
pub const FORBIDDEN: &str = "FORBIDDEN";
/// The caller's budget is used up for now.
pub const RATE_LIMITED: &str = "RATE_LIMITED";
/// The database took longer than the statement timeout, or the request longer than its own.
pub const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
/// The database is out of reach for now; asking again later helps.
pub const SERVICE_UNAVAILABLE: &str = "SERVICE_UNAVAILABLE";
/// The fault is on this side; the log has the cause.
pub const INTERNAL_SERVER_ERROR: &str = "INTERNAL_SERVER_ERROR";

/// Every code of a GraphQL error.
pub const CODES: [&str; 11] = [
    PARSE_FAILED,
    VALIDATION_FAILED,
    LIMIT_EXCEEDED,
    BAD_USER_INPUT,
    PERSISTED_QUERY_NOT_FOUND,
    UNAUTHENTICATED,
    FORBIDDEN,
    RATE_LIMITED,
    REQUEST_TIMEOUT,
    SERVICE_UNAVAILABLE,
    INTERNAL_SERVER_ERROR,
];

/// The code of an error, as one of the constants above.
#[must_use]
pub fn code_of(error: &ServerError) -> &'static str {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    CODES.into_iter().find(|known| code == Some(&(*known).into())).unwrap_or(INTERNAL_SERVER_ERROR)
}

/// The one place where a report's error becomes a client's: a fixed sentence and a code. What the
/// database said goes to the log, and only there.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn client_error(error: reports::Error) -> async_graphql::Error {
    error.log();
    let (code, message) = match &error {
        reports::Error::NotGranted(missing) => (code_of_missing(*missing), format!("This {missing}.")),
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
    if let reports::Error::NotGranted(missing) = &error {
        extensions.set("scope", missing.scope().name());
    }
    async_graphql::Error { message, source: None, extensions: Some(extensions) }
}

/// The code of a missing scope.
#[must_use]
pub fn code_of_missing(missing: NotGranted) -> &'static str {
    match missing {
        NotGranted::Unauthenticated(_) => UNAUTHENTICATED,
        NotGranted::Forbidden(_) => FORBIDDEN,
    }
}

/// The same error, with a code unless it has one.
#[must_use]
pub fn with_code(mut error: ServerError, code: &'static str) -> ServerError {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        extensions.set("code", code);
    }
    error
}
