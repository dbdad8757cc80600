//! GraphQL over HTTP: a thin layer over the library's own request and response.

mod accept;
mod cross_site;
mod parameters;
mod persisted;
mod status;

use std::sync::Arc;

use async_graphql::{Response as Answer, ServerError, Variables};
use async_graphql_axum::GraphQLResponse;
use axum::{
    Json,
    body::{Body, Bytes, to_bytes},
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
use super::{
    Gateway,
    answers::{self, Question},
    error::Failure,
};
use crate::{
    graphql::{RequestedOperation, error::code_of, limits::Limit},
    metrics,
};

/// The answer to a request of which nothing was executed.
#[derive(Debug, Serialize)]
struct Refusal<'a> {
    errors: &'a [ServerError],
}

/// An answer of GraphQL's, and what came of the request.
#[derive(Debug, Clone)]
pub struct Executed {
    answer: super::answers::Answer,
    outcome: Outcome,
    operation: RequestedOperation,
    code: &'static str,
}

impl Executed {
    /// The answer's size in bytes.
    pub(super) fn size(&self) -> usize {
        self.answer.body.len() + self.operation.name().map_or(0, str::len)
    }
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
    let answered = match Parameters::from_query_string(&query, &gateway.config.limits) {
        Ok(parameters) => answer(&gateway, accepted, &headers, &Method::GET, parameters).await,
        Err(failure) => Err(failure),
    };
    match answered {
        Ok(executed) if executed.outcome == Outcome::Complete => {
            with_operation(executed.answer.tagged(&headers), &executed)
        }
        Ok(executed) => with_operation(executed.answer.response(), &executed),
        Err(failure) => fail(&gateway, accepted, &failure),
    }
}

/// Executes what the JSON body holds.
pub(super) async fn post(State(gateway): State<Gateway>, headers: HeaderMap, body: Body) -> Response {
    let Some(accepted) = accept::negotiate(&headers) else { return vary(Failure::NotAcceptable.into_response()) };
    let answered = match Parameters::from_body(&headers, body, &gateway.config.limits).await {
        Ok(parameters) => answer(&gateway, accepted, &headers, &Method::POST, parameters).await,
        Err(failure) => Err(failure),
    };
    match answered {
        Ok(executed) => with_operation(executed.answer.response(), &executed),
        Err(failure) => fail(&gateway, accepted, &failure),
    }
}

/// What GraphQL says to the request: as it did before, where nothing changed since.
async fn answer(
    gateway: &Gateway,
    accepted: MediaType,
    headers: &HeaderMap,
    method: &Method,
    parameters: Parameters,
) -> Result<Executed, Failure> {
    let found = match gateway.documents.find(&parameters) {
        Ok(found) => found,
        Err(Refused::Failure(failure)) => return Err(failure),
        Err(Refused::Error(error)) => return Ok(refuse(gateway, accepted, error).await),
    };
    let Parameters { operation_name, variables, .. } = parameters;
    let question = Question {
        text: Arc::clone(&found.text),
        details: serde_json::to_string(&(method.as_str(), accepted, &operation_name, &variables)).unwrap_or_default(),
    };
    let compute = async {
        match execute(gateway, accepted, method, &found.text, operation_name.as_deref(), variables).await {
            Ok(executed) if executed.outcome == Outcome::Complete => Ok(executed),
            Ok(executed) => Err(Ok(executed)),
            Err(failure) => Err(Err(failure)),
        }
    };
    let anew = answers::wants_anew(headers);
    let executed = gateway.answers.find(&gateway.reports, question, anew, compute).await.or_else(|other| other)?;
    if executed.outcome.is_valid() {
        gateway.documents.remember(found);
    }
    metrics::graphql_answered(executed.operation.kind(), executed.code);
    Ok(executed)
}

async fn execute(
    gateway: &Gateway,
    accepted: MediaType,
    method: &Method,
    document: &str,
    operation_name: Option<&str>,
    variables: Variables,
) -> Result<Executed, Failure> {
    let prepared = match gateway.executor.prepare(document, operation_name, variables) {
        Ok(prepared) => prepared,
        Err(error) => return Ok(refused(gateway, accepted, error).await),
    };
    let operation = prepared.operation().clone();
    if method == Method::GET && operation.kind() == "mutation" {
        return Err(Failure::MethodNotAllowed(method.clone(), Some("POST")));
    }
    let span = debug_span!("operation");
    span.set_attribute("graphql.operation.name", operation.name().unwrap_or_default().to_owned());
    let answer = gateway.executor.execute(prepared, &gateway.reports).instrument(span).await;
    Ok(written(gateway, accepted, operation, answer).await)
}

/// The answer to a request that is GraphQL's to refuse.
async fn refuse(gateway: &Gateway, accepted: MediaType, error: ServerError) -> Executed {
    let executed = refused(gateway, accepted, error).await;
    metrics::graphql_answered(executed.operation.kind(), executed.code);
    executed
}

async fn refused(gateway: &Gateway, accepted: MediaType, error: ServerError) -> Executed {
    written(gateway, accepted, RequestedOperation::default(), gateway.executor.refuse(error)).await
}

/// The library writes the body; status and media type are as GraphQL over HTTP has them.
async fn written(gateway: &Gateway, accepted: MediaType, operation: RequestedOperation, answer: Answer) -> Executed {
    let code = answer.errors.first().map_or("OK", code_of);
    let mut outcome = Outcome::of(&answer);
    let mut body = body(outcome, answer).await;
    let maximum = gateway.config.limits.response_bytes;
    if body.len() > maximum {
        outcome = Outcome::Refused;
        body = self::body(outcome, gateway.executor.refuse(Limit::ResponseBytes.exceeded(maximum, None))).await;
    }
    let (status, media_type) = status(gateway.config.edition, outcome, accepted);
    let answer = super::answers::Answer::new(status, media_type.header(), body);
    Executed { answer, outcome, operation, code }
}

async fn body(outcome: Outcome, answer: Answer) -> Bytes {
    let written = if outcome.has_data() {
        GraphQLResponse::from(answer).into_response()
    } else {
        // Where nothing was executed there is no `data`, not even null; the library always writes it.
        Json(Refusal { errors: &answer.errors }).into_response()
    };
    to_bytes(written.into_body(), usize::MAX).await.unwrap_or_default()
}

/// The log tells which operation it was.
fn with_operation(mut response: Response, executed: &Executed) -> Response {
    response.extensions_mut().insert(executed.operation.clone());
    vary(response)
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
