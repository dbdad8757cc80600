//! Codes and messages of errors.

use async_graphql::{ErrorExtensionValues, ServerError};

use crate::{
    access::NotGranted,
    codes::{
        self, BAD_USER_INPUT, DATABASE_BUSY, FORBIDDEN, INTERNAL_SERVER_ERROR, REQUEST_TIMEOUT, SERVICE_UNAVAILABLE,
        UNAUTHENTICATED,
    },
    graphql::names::camel_case,
    reports::{self, Argument},
};

/// The code of an error: one of [`codes`].
#[must_use]
pub fn code_of(error: &ServerError) -> &'static str {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    codes::ALL.iter().copied().find(|known| code == Some(&(*known).into())).unwrap_or(INTERNAL_SERVER_ERROR)
}

/// Converts a report's error into a client's error: a code and a fixed sentence. The database's message is only logged.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn client_error(error: reports::Error) -> async_graphql::Error {
    error.log();
    let (code, message) = match &error {
        reports::Error::NotGranted(missing) => (code_of_missing(*missing), format!("This {missing}.")),
        reports::Error::InvalidArgument(invalid) => {
            (BAD_USER_INPUT, format!("`{}` {}", spelled(invalid.argument()), invalid.problem(spelled)))
        }
        reports::Error::Timeout(_) => {
            (REQUEST_TIMEOUT, "The database did not answer in time: narrow the range and try again.".to_owned())
        }
        reports::Error::Busy(_) => {
            (DATABASE_BUSY, "The database is busy with other requests: try again shortly.".to_owned())
        }
        reports::Error::Unavailable(_) => {
            (SERVICE_UNAVAILABLE, "The database is not available for now: try again shortly.".to_owned())
        }
        reports::Error::Database(_) => {
            (INTERNAL_SERVER_ERROR, "The report failed: the log of the gateway has the cause.".to_owned())
        }
    };
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    if let reports::Error::InvalidArgument(invalid) = &error {
        extensions.set("argument", spelled(invalid.argument()));
    }
    if let reports::Error::NotGranted(missing) = &error {
        extensions.set("scope", missing.scope().name());
    }
    async_graphql::Error { message, source: None, extensions: Some(extensions) }
}

/// The argument's name in the schema, such as `filter.joinedFrom`.
fn spelled(argument: Argument) -> String {
    let place = if argument.is_of_filter() { "filter." } else { "" };
    place.to_owned() + &camel_case(argument.words())
}

/// The error code for a missing scope.
#[must_use]
pub fn code_of_missing(missing: NotGranted) -> &'static str {
    match missing {
        NotGranted::Unauthenticated(_) => UNAUTHENTICATED,
        NotGranted::Forbidden(_) => FORBIDDEN,
    }
}

/// The error, with `code` unless it has a code already.
#[must_use]
pub fn with_code(mut error: ServerError, code: &'static str) -> ServerError {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        extensions.set("code", code);
    }
    error
}
