//! Failures of requests. All of them have the same body, in the shape of GraphQL errors.

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    access::{Denied, NotGranted},
    codes::{
        self, BAD_USER_INPUT, DATABASE_BUSY, INTERNAL_SERVER_ERROR, LIMIT_EXCEEDED, RATE_LIMITED, REQUEST_TIMEOUT,
        SERVICE_UNAVAILABLE, UNAUTHENTICATED,
    },
    graphql::{error::code_of_missing, execution::limits::Limit},
    reports::{self, Argument, InvalidArgument},
};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The text should be JSON and is not; the sentence says what is wrong.
    BadJson(String),
    /// The request is not a GraphQL request; the sentence says what is wrong.
    BadParameters(String),
    /// A parameter of a report has an invalid value.
    BadParameter {
        /// The parameter's name.
        argument: String,
        /// What is wrong, as the rest of a sentence that begins with its name.
        problem: String,
    },
    /// The request may come from a page of another site.
    CrossSite,
    /// A page of another origin tries to open a WebSocket to this host.
    ForeignOrigin {
        /// The origin of the page.
        origin: String,
        /// The host, as the request names it.
        host: String,
    },
    /// The credential is not valid; the sentence says why.
    Unauthenticated(&'static str),
    /// The caller lacks a scope.
    NotGranted(NotGranted),
    /// The credential cannot be checked now.
    Unidentified,
    /// The caller's budget is used up; the number of seconds until it is not.
    RateLimited(u64),
    /// There are too many requests.
    Overloaded,
    /// The connection is not encrypted, and the port accepts TLS only.
    NotEncrypted,
    /// The body took too long to arrive.
    SlowBody,
    /// The client accepts no format in which the answer can be written.
    NotAcceptable,
    /// The request is a subscription, and the client accepts no event stream.
    NeedsStream,
    /// The request does not open a WebSocket, and the endpoint accepts only those.
    NeedsWebSocket,
    /// The list is longer than an answer may be over HTTP/1.0, in bytes.
    TooLongForHttp10(usize),
    /// There is nothing at this path.
    NotFound(String),
    /// The path does not allow the method. Holds the value of the header `Allow` unless the router sets it.
    MethodNotAllowed(Method, Option<&'static str>),
    /// The request exceeds a limit; the limit and its maximum.
    Limit(Limit, usize),
    /// The body has a media type that is not accepted.
    UnsupportedMediaType,
    /// The request took too long.
    TimedOut,
    /// An error in the gateway.
    Internal,
    /// All connections to the database are in use.
    Busy,
    /// The database is not available.
    Unavailable,
    /// A report failed in the database, or a legacy report failed for any reason except a missing scope. Always 500, as
    /// in the legacy service; the code is that of the cause.
    Report(&'static str),
}

impl Failure {
    /// The HTTP status. For GraphQL requests, the configured edition of GraphQL over HTTP can require a different one.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::BadJson(_) | Self::BadParameters(_) | Self::BadParameter { .. } | Self::NotEncrypted => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthenticated(_) | Self::NotGranted(NotGranted::Unauthenticated(_)) => StatusCode::UNAUTHORIZED,
            Self::CrossSite | Self::ForeignOrigin { .. } | Self::NotGranted(NotGranted::Forbidden(_)) => {
                StatusCode::FORBIDDEN
            }
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::RateLimited(_)
            | Self::Limit(Limit::RequestsPerAddress | Limit::ConnectionsPerAddress | Limit::ExportsPerAddress, _) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::NotAcceptable | Self::NeedsStream => StatusCode::NOT_ACCEPTABLE,
            Self::NeedsWebSocket | Self::TooLongForHttp10(_) => StatusCode::UPGRADE_REQUIRED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(..) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Limit(Limit::Connections | Limit::Exports, _)
            | Self::Busy
            | Self::Unavailable
            | Self::Unidentified
            | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Limit(..) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal | Self::Report(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::BadJson(_) | Self::BadParameters(_) => codes::BAD_REQUEST,
            Self::Unauthenticated(_) => UNAUTHENTICATED,
            Self::NotGranted(missing) => code_of_missing(*missing),
            Self::RateLimited(_) => RATE_LIMITED,
            Self::NotEncrypted => codes::TLS_REQUIRED,
            Self::CrossSite | Self::ForeignOrigin { .. } => codes::CROSS_SITE_REQUEST,
            Self::NotAcceptable | Self::NeedsStream => codes::NOT_ACCEPTABLE,
            Self::NeedsWebSocket | Self::TooLongForHttp10(_) => codes::UPGRADE_REQUIRED,
            Self::NotFound(_) => codes::NOT_FOUND,
            Self::MethodNotAllowed(..) => codes::METHOD_NOT_ALLOWED,
            Self::Limit(..) => LIMIT_EXCEEDED,
            Self::UnsupportedMediaType => codes::UNSUPPORTED_MEDIA_TYPE,
            Self::TimedOut | Self::SlowBody => REQUEST_TIMEOUT,
            Self::Internal => INTERNAL_SERVER_ERROR,
            Self::Report(code) => code,
            Self::BadParameter { .. } => BAD_USER_INPUT,
            Self::Busy => DATABASE_BUSY,
            Self::Unavailable | Self::Unidentified | Self::Overloaded => SERVICE_UNAVAILABLE,
        }
    }

    /// Why a request was refused before it was computed, as a label of the metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::RateLimited(_) => "rate",
            Self::NotEncrypted => "not_encrypted",
            Self::Unidentified => "unidentified",
            Self::Limit(..) => "address",
            _ => "overloaded",
        }
    }

    /// What is wrong, in a sentence for the client.
    pub(super) fn message(&self) -> String {
        match self {
            Self::BadJson(problem) | Self::BadParameters(problem) => problem.clone(),
            Self::Unauthenticated(problem) => (*problem).to_owned(),
            Self::NotGranted(missing) => format!("This {missing}."),
            Self::Unidentified => Denied::Unavailable.to_string(),
            Self::RateLimited(seconds) => {
                format!("The budget for a minute is used up: try again in {seconds} s.")
            }
            Self::Overloaded => "There are too many requests at once: try again shortly.".to_owned(),
            Self::NotEncrypted => "This port accepts TLS only: use https://.".to_owned(),
            Self::SlowBody => "The request body took too long to arrive.".to_owned(),
            Self::BadParameter { argument, problem } => format!("`{argument}` {problem}"),
            Self::Busy => "The database is busy with other requests: try again shortly.".to_owned(),
            Self::Unavailable => "The database is not available for now: try again shortly.".to_owned(),
            Self::CrossSite => {
                "The request may come from a page of another site: list its origin in CORS_ORIGINS. Clients \
                                send Accept: application/graphql-response+json, or the header apollo-require-preflight."
                    .to_owned()
            }
            Self::ForeignOrigin { origin, host } => {
                let [origin, host] = [origin, host].map(|text| text.chars().take(128).collect::<String>());
                format!(
                    "A page of {origin} cannot open a WebSocket to {host}: list the origin in CORS_ORIGINS. Behind a proxy \
                     that changes Host, let it send X-Forwarded-Host, and set TRUSTED_PROXY_HOPS."
                )
            }
            Self::NotAcceptable => {
                "Answers are application/graphql-response+json or application/json in UTF-8, and text/event-stream or \
                 multipart/mixed;subscriptionSpec=1.0 for subscriptions: send an Accept header that allows one of them."
                    .to_owned()
            }
            Self::NeedsStream => {
                "A subscription needs a stream: send Accept: text/event-stream, or multipart/mixed;subscriptionSpec=1.0, or \
                 use a WebSocket at /graphql/ws."
                    .to_owned()
            }
            Self::NeedsWebSocket => {
                "This endpoint accepts WebSocket connections only (graphql-transport-ws): send single queries to \
                 /graphql."
                    .to_owned()
            }
            Self::TooLongForHttp10(maximum) => format!(
                "The list is longer than {maximum} bytes, and in HTTP/1.0 a part of it would look like the whole: use \
                 HTTP/1.1 (in nginx, proxy_http_version 1.1), or ask for fewer rows with `first`."
            ),
            Self::NotFound(path) => {
                let path: String = path.chars().take(128).collect();
                format!("There is nothing at {path}: reports are at /graphql and under /api/reports/.")
            }
            Self::MethodNotAllowed(method, _) => {
                format!("{method} is not allowed here: the Allow header lists the methods that are.")
            }
            Self::Limit(limit, maximum) => limit.message(*maximum),
            Self::UnsupportedMediaType => {
                "The request body must be JSON in UTF-8, not compressed: send Content-Type: application/json."
                    .to_owned()
            }
            Self::TimedOut => "The request took too long: narrow the range and try again.".to_owned(),
            Self::Internal => "The request failed: the log of the gateway has the cause.".to_owned(),
            Self::Report(_) => "The report failed: the log of the gateway has the cause.".to_owned(),
        }
    }
}

impl Failure {
    /// The failure as JSON, in the shape of GraphQL errors.
    pub(super) fn body(&self) -> String {
        let mut extensions = json!({ "code": self.code() });
        if let Self::Limit(limit, maximum) = self {
            extensions["limit"] = limit.name().into();
            extensions["maximum"] = (*maximum).into();
        }
        if let Self::NotGranted(missing) = self {
            extensions["scope"] = missing.scope().name().into();
        }
        if let Self::RateLimited(seconds) = self {
            extensions["retryAfter"] = (*seconds).into();
        }
        if let Self::BadParameter { argument, .. } = self {
            extensions["argument"] = argument.as_str().into();
        }
        json!({ "errors": [{ "message": self.message(), "extensions": extensions }] }).to_string()
    }

    /// The response to the request.
    pub(super) fn response(&self) -> Response {
        let body = self.body() + "\n";
        let json = HeaderValue::from_static("application/json");
        let mut response = (self.status(), [(header::CONTENT_TYPE, json)], body).into_response();
        let status = response.status();
        let lacks_a_right = matches!(self, Self::Unauthenticated(_) | Self::NotGranted(_));
        if let Some(challenge) = challenge(status).filter(|_| lacks_a_right) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        let retry_after = match self {
            Self::RateLimited(seconds) => Some(*seconds),
            _ => matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS).then_some(1),
        };
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if let Self::MethodNotAllowed(_, Some(allowed)) = self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        let protocol = match self {
            Self::NeedsWebSocket => Some("websocket"),
            Self::TooLongForHttp10(_) => Some("HTTP/1.1"),
            _ => None,
        };
        if let Some(protocol) = protocol {
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(protocol));
        }
        response
    }
}

/// The `WWW-Authenticate` header for a client without credentials or without a scope.
/// Source: <https://www.rfc-editor.org/rfc/rfc6750#section-3>
pub(super) fn challenge(status: StatusCode) -> Option<HeaderValue> {
    match status {
        StatusCode::UNAUTHORIZED => Some(HeaderValue::from_static(r#"Bearer realm="coworking-analytics""#)),
        StatusCode::FORBIDDEN => Some(HeaderValue::from_static(r#"Bearer error="insufficient_scope""#)),
        _ => None,
    }
}

impl From<&Denied> for Failure {
    fn from(denied: &Denied) -> Self {
        match denied {
            Denied::Invalid(problem) => Self::Unauthenticated(problem),
            Denied::Unavailable => Self::Unidentified,
        }
    }
}

impl From<NotGranted> for Failure {
    fn from(missing: NotGranted) -> Self {
        Self::NotGranted(missing)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.response()
    }
}

/// Names the argument like the parameter of the route.
impl From<InvalidArgument> for Failure {
    fn from(error: InvalidArgument) -> Self {
        let spelled = |argument: Argument| argument.words().collect::<Vec<_>>().join("_");
        Self::BadParameter { argument: spelled(error.argument()), problem: error.problem(spelled) }
    }
}

/// A failed report, with the status that fits its cause.
impl From<reports::Error> for Failure {
    fn from(error: reports::Error) -> Self {
        error.log();
        match error {
            reports::Error::NotGranted(missing) => missing.into(),
            reports::Error::InvalidArgument(invalid) => invalid.into(),
            reports::Error::Timeout(_) => Self::TimedOut,
            reports::Error::Busy(_) => Self::Busy,
            reports::Error::Unavailable(_) => Self::Unavailable,
            reports::Error::Database(_) => Self::Report(INTERNAL_SERVER_ERROR),
        }
    }
}
