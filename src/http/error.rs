//! Requests that end before, or beside, a report: one shape of answer for all of them, GraphQL's own.

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    graphql::error::{BAD_USER_INPUT, INTERNAL_SERVER_ERROR, REQUEST_TIMEOUT, SERVICE_UNAVAILABLE},
    reports,
};

/// Why a request got no answer of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The request cannot be understood; the sentence says what is wrong.
    BadRequest(String),
    /// There is nothing at this path.
    NotFound(String),
    /// The path is right, the method is not.
    MethodNotAllowed(Method),
    /// The body is larger than so many bytes.
    TooLarge(usize),
    /// The body is of a media type that is not taken.
    UnsupportedMediaType,
    /// It took too long.
    TimedOut,
    /// The fault is on this side.
    Internal,
    /// A legacy report failed; the legacy service answered 500 whatever the cause.
    Report(&'static str),
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal | Self::Report(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BAD_REQUEST",
            Self::NotFound(_) => "NOT_FOUND",
            Self::MethodNotAllowed(_) => "METHOD_NOT_ALLOWED",
            Self::TooLarge(_) => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::TimedOut => REQUEST_TIMEOUT,
            Self::Internal => INTERNAL_SERVER_ERROR,
            Self::Report(code) => code,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::BadRequest(problem) => problem.clone(),
            Self::NotFound(path) => {
                let path: String = path.chars().take(128).collect();
                format!("There is nothing at {path}; reports are at /graphql and under /api/reports/.")
            }
            Self::MethodNotAllowed(method) => format!("{method} is not allowed here; the Allow header lists what is."),
            Self::TooLarge(limit) => format!("The request body is larger than {limit} bytes."),
            Self::UnsupportedMediaType => {
                "The request body must be JSON; send Content-Type: application/json.".to_owned()
            }
            Self::TimedOut => "The request took too long; narrow the range and try again.".to_owned(),
            Self::Internal => "The request failed; the operators' log has the cause.".to_owned(),
            Self::Report(_) => "The report failed; the operators' log has the cause.".to_owned(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = json!({ "message": self.message(), "extensions": { "code": self.code() } });
        let mut body = json!({ "errors": [error] }).to_string();
        body.push('\n');
        let json = HeaderValue::from_static("application/json");
        (self.status(), [(header::CONTENT_TYPE, json)], body).into_response()
    }
}

/// A legacy report that failed.
impl From<reports::Error> for Failure {
    fn from(error: reports::Error) -> Self {
        error.log();
        Self::Report(match error {
            reports::Error::InvalidArgument(_) => BAD_USER_INPUT,
            reports::Error::Timeout(_) => REQUEST_TIMEOUT,
            reports::Error::Unavailable(_) => SERVICE_UNAVAILABLE,
            reports::Error::Database(_) => INTERNAL_SERVER_ERROR,
        })
    }
}
