//! The HTTP status of an answer, by the configured edition of GraphQL over HTTP.

use async_graphql::{Response as Answer, Value};
use axum::http::StatusCode;

use super::accept::MediaType;
use crate::{
    codes::{DATABASE_BUSY, FORBIDDEN, PARSE_FAILED, REQUEST_TIMEOUT, SERVICE_UNAVAILABLE, UNAUTHENTICATED},
    config::graphql::Edition,
    graphql::error::code_of,
};

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Data, and no errors.
    Complete,
    /// Data, and errors.
    Partial,
    /// The body, or a parameter in the query string, is not JSON.
    NoJson,
    /// JSON, but not a GraphQL request.
    NoRequest,
    /// The document cannot be parsed.
    NoGraphql,
    /// Nothing was executed: the document is not valid, the variables do not fit, or a limit is exceeded.
    Refused,
    /// No data: the caller sent no credential, and a scope is missing.
    Unauthenticated,
    /// No data: the caller lacks a scope.
    Forbidden,
    /// No data: the database did not answer in time.
    TimedOut,
    /// No data: the database is not available, or busy.
    Unavailable,
}

impl Outcome {
    pub(super) fn of(answer: &Answer) -> Self {
        let Some(error) = answer.errors.first() else { return Self::Complete };
        let was_executed = !error.path.is_empty() || answer.data != Value::Null;
        let is_empty = match &answer.data {
            Value::Object(fields) => fields.values().all(|field| *field == Value::Null),
            data => *data == Value::Null,
        };
        let has = |code| answer.errors.iter().any(|error| code_of(error) == code);
        match was_executed {
            false if code_of(error) == PARSE_FAILED => Self::NoGraphql,
            false => Self::Refused,
            true if is_empty && (has(SERVICE_UNAVAILABLE) || has(DATABASE_BUSY)) => Self::Unavailable,
            true if is_empty && has(REQUEST_TIMEOUT) => Self::TimedOut,
            true if is_empty && has(UNAUTHENTICATED) => Self::Unauthenticated,
            true if is_empty && has(FORBIDDEN) => Self::Forbidden,
            true => Self::Partial,
        }
    }

    /// Whether the document is valid and could be executed.
    pub(super) fn is_valid(self) -> bool {
        !matches!(self, Self::NoJson | Self::NoRequest | Self::NoGraphql | Self::Refused)
    }

    /// Whether the same request would get the same answer however the data changes.
    pub(super) fn is_final(self) -> bool {
        !self.is_valid() || matches!(self, Self::Unauthenticated | Self::Forbidden)
    }

    /// Whether the body has `data`, possibly with null fields.
    pub(super) fn has_data(self) -> bool {
        matches!(self, Self::Complete | Self::Partial)
    }
}

/// The status and the media type of an answer.
/// Sources: `serverAudits` of the npm package `graphql-http`;
/// <https://http-spec.graphql.org/September2026/#sec-Status-Codes>
pub(super) fn status(edition: Edition, outcome: Outcome, accepted: MediaType) -> (StatusCode, MediaType) {
    let status = match (edition, outcome) {
        (_, Outcome::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        (_, Outcome::TimedOut) => StatusCode::GATEWAY_TIMEOUT,
        (_, Outcome::Unauthenticated) => StatusCode::UNAUTHORIZED,
        (_, Outcome::Forbidden) => StatusCode::FORBIDDEN,
        (_, Outcome::Complete) | (Edition::Audits, Outcome::Partial) => StatusCode::OK,
        // Above, `application/json` has 503 for an outage too, so that load balancers and monitors notice it.
        (Edition::Audits, Outcome::NoGraphql | Outcome::Refused) if accepted == MediaType::Json => StatusCode::OK,
        (Edition::Audits, _) | (_, Outcome::NoJson | Outcome::NoGraphql) => StatusCode::BAD_REQUEST,
        (Edition::September2026, Outcome::NoRequest | Outcome::Refused) => StatusCode::UNPROCESSABLE_ENTITY,
        (Edition::September2026, Outcome::Partial) => partial_success(),
    };
    // Clients may read `application/json` as a GraphQL response only when the status is a success.
    let media_type = match edition {
        Edition::September2026 if !status.is_success() => MediaType::GraphqlJson,
        _ => accepted,
    };
    (status, media_type)
}

/// `294 Partial Success`, a status that the edition introduces.
fn partial_success() -> StatusCode {
    StatusCode::from_u16(294).unwrap_or(StatusCode::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_editions_have_their_table() {
        // The statuses for `application/graphql-response+json` and `application/json`: first by the audits, then by the
        // edition.
        for (outcome, expected) in [
            (Outcome::Complete, [200, 200, 200, 200]),
            (Outcome::Partial, [200, 200, 294, 294]),
            (Outcome::NoJson, [400, 400, 400, 400]),
            (Outcome::NoRequest, [400, 400, 422, 422]),
            (Outcome::NoGraphql, [400, 200, 400, 400]),
            (Outcome::Refused, [400, 200, 422, 422]),
            (Outcome::Unauthenticated, [401, 401, 401, 401]),
            (Outcome::Forbidden, [403, 403, 403, 403]),
            (Outcome::TimedOut, [504, 504, 504, 504]),
            (Outcome::Unavailable, [503, 503, 503, 503]),
        ] {
            let found = [
                (Edition::Audits, MediaType::GraphqlJson),
                (Edition::Audits, MediaType::Json),
                (Edition::September2026, MediaType::GraphqlJson),
                (Edition::September2026, MediaType::Json),
            ]
            .map(|(edition, accepted)| {
                let (status, media_type) = status(edition, outcome, accepted);
                let keeps = edition == Edition::Audits || status.is_success();
                assert_eq!(
                    media_type,
                    if keeps { accepted } else { MediaType::GraphqlJson },
                    "{edition:?} {outcome:?}"
                );
                status.as_u16()
            });
            assert_eq!(found, expected, "{outcome:?}");
        }
    }
}
