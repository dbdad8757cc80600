//! GraphQL over HTTP: a thin layer over the library's own request and response.

mod accept;
mod cross_site;
mod parameters;
mod persisted;
mod status;

use async_graphql::{Response as Answer, ServerError};
use async_graphql_axum::GraphQLResponse;
use axum::{
    Json,
    body::{Body, HttpBody as _},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Serialize;
use tracing::{Instrument as _, debug_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub(super) use self::cross_site::cors;
pub use self::persisted::{FolderError, PersistedDocuments};
use self::{
    accept::MediaType,
    parameters::Parameters,
    persisted::Refused,
    status::{Outcome, status},
};
use super::{Gateway, error::Failure};
use crate::{
    graphql::{Prepared, RequestedOperation, error::code_of, limits::Limit},
    metrics,
};

/// The answer to a request of which nothing was executed.
#[derive(Debug, Serialize)]
struct Refusal<'a> {
    errors: &'a [ServerError],
}

/// Executes what the query string holds. A browser that asks for a page is shown the IDE.
pub(super) async fn get(State(gateway): State<Gateway>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    if query.is_empty() && accept::names(&headers, |essence| essence == "text/html") {
        return vary(Redirect::temporary("/graphiql").into_response());
    }
    let Some(accepted) = accept::negotiate(&headers) else { return vary(Failure::NotAcceptable.into_response()) };
    if cross_site::is_cross_site(&headers, &gateway.config.cors_origins) {
        return fail(&gateway, accepted, &Failure::CrossSite);
    }
    match Parameters::from_query_string(&query, &gateway.config.limits) {
        Ok(parameters) => execute(&gateway, accepted, &Method::GET, parameters).await,
        Err(failure) => fail(&gateway, accepted, &failure),
    }
}

/// Executes what the JSON body holds.
pub(super) async fn post(State(gateway): State<Gateway>, headers: HeaderMap, body: Body) -> Response {
    let Some(accepted) = accept::negotiate(&headers) else { return vary(Failure::NotAcceptable.into_response()) };
    match Parameters::from_body(&headers, body, &gateway.config.limits).await {
        Ok(parameters) => execute(&gateway, accepted, &Method::POST, parameters).await,
        Err(failure) => fail(&gateway, accepted, &failure),
    }
}

async fn execute(gateway: &Gateway, accepted: MediaType, method: &Method, parameters: Parameters) -> Response {
    let found = match gateway.documents.find(&parameters) {
        Ok(found) => found,
        Err(Refused::Failure(failure)) => return fail(gateway, accepted, &failure),
        Err(Refused::Error(error)) => return refuse(gateway, accepted, error),
    };
    let Parameters { operation_name, variables, .. } = parameters;
    let prepared = match gateway.executor.prepare(&found.text, operation_name.as_deref(), variables) {
        Ok(prepared) => prepared,
        Err(error) => return refuse(gateway, accepted, error),
    };
    let operation = prepared.operation().clone();
    if method == Method::GET && operation.kind() == "mutation" {
        return fail(gateway, accepted, &Failure::MethodNotAllowed(method.clone(), Some("POST")));
    }
    let answer = run(gateway, prepared, &operation).await;
    if Outcome::of(&answer) != Outcome::Refused {
        gateway.documents.remember(found);
    }
    let mut response = respond(gateway, accepted, &operation, answer);
    response.extensions_mut().insert(operation);
    response
}

async fn run(gateway: &Gateway, prepared: Prepared, operation: &RequestedOperation) -> Answer {
    let span = debug_span!("operation");
    span.set_attribute("graphql.operation.name", operation.name().unwrap_or_default().to_owned());
    gateway.executor.execute(prepared, &gateway.reports).instrument(span).await
}

/// The answer to a request that is GraphQL's to refuse.
fn refuse(gateway: &Gateway, accepted: MediaType, error: ServerError) -> Response {
    respond(gateway, accepted, &RequestedOperation::default(), gateway.executor.refuse(error))
}

/// The library writes the body; status and media type are as GraphQL over HTTP has them.
fn respond(gateway: &Gateway, accepted: MediaType, operation: &RequestedOperation, answer: Answer) -> Response {
    metrics::graphql_answered(operation.kind(), answer.errors.first().map_or("OK", code_of));
    let mut outcome = Outcome::of(&answer);
    let mut body = body(outcome, answer);
    let maximum = gateway.config.limits.response_bytes;
    if body.size_hint().lower() > u64::try_from(maximum).unwrap_or(u64::MAX) {
        outcome = Outcome::Refused;
        body = self::body(outcome, gateway.executor.refuse(Limit::ResponseBytes.exceeded(maximum, None)));
    }
    let (status, media_type) = status(gateway.config.edition, outcome, accepted);
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, media_type.header());
    vary(response)
}

fn body(outcome: Outcome, answer: Answer) -> Body {
    if outcome.has_data() {
        GraphQLResponse::from(answer).into_response().into_body()
    } else {
        // Where nothing was executed there is no `data`, not even null; the library always writes it.
        Json(Refusal { errors: &answer.errors }).into_response().into_body()
    }
}

/// The answer to a request that never reached GraphQL.
fn fail(gateway: &Gateway, accepted: MediaType, failure: &Failure) -> Response {
    let outcome = match failure {
        Failure::BadJson(_) => Some(Outcome::NoJson),
        Failure::BadParameters(_) => Some(Outcome::NoRequest),
        _ => None,
    };
    let (status, media_type) =
        outcome.map_or((failure.status(), accepted), |outcome| status(gateway.config.edition, outcome, accepted));
    let mut response = failure.response();
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, media_type.header());
    vary(response)
}

/// The answer to a request that took too long, in whichever step.
pub(super) fn timed_out(gateway: &Gateway, headers: &HeaderMap) -> Response {
    fail(gateway, accept::negotiate(headers).unwrap_or(MediaType::Json), &Failure::TimedOut)
}

/// Answers differ by what the client accepts.
fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    response
}
