//! GraphQL over HTTP: converts requests and responses to and from those of the GraphQL library.

mod accept;
mod answering;
mod batch;
mod cross_site;
mod live;
mod parameters;
mod persisted;
mod socket;
mod status;
mod streaming;

use std::sync::Arc;

use async_graphql::{ServerError, Variables};
use async_graphql_axum::GraphQLResponse;
use axum::{
    Extension, Json,
    body::{Body, Bytes, to_bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Serialize;
use tracing::{Instrument as _, debug_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use self::{
    accept::Wanted,
    answering::Answering,
    parameters::{Parameters, Posted},
    persisted::{Found, Refused},
    status::{Outcome, status},
};
pub(super) use self::{
    accept::{MediaType, preferred},
    cross_site::cors,
    socket::connect,
};
pub use self::{
    live::Live,
    persisted::{FolderError, PersistedDocuments},
};
use crate::{
    access::Scopes,
    codes::LIMIT_EXCEEDED,
    graphql::{RequestedOperation, error::code_of, execution::limits::Limit},
    http::{
        Gateway,
        answers::{self, Answer, Question},
        connections::admission::Client,
        error::Failure,
    },
    metrics,
};

/// How a request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Transport {
    Get,
    Post,
    /// As a request for an event stream, or over a WebSocket.
    Live,
}

/// The body of an answer when nothing was executed.
#[derive(Debug, Serialize)]
struct Refusal<'a> {
    errors: &'a [ServerError],
}

/// An answer that is not cached: one with errors, with the code of the first error; or a failure outside of GraphQL.
#[derive(Debug, Clone)]
enum Unkept {
    Answer { answer: Answer, outcome: Outcome, code: &'static str },
    Failure(Failure),
}

impl From<Failure> for Unkept {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Executes the query string. A browser that opens the address gets `GraphiQL`.
pub(super) async fn get(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    if query.is_empty() && accept::names(&headers, |essence| essence == "text/html") {
        return vary(Redirect::temporary("/graphiql").into_response());
    }
    let wanted = match accept::negotiate(&headers) {
        Ok(wanted) => wanted,
        Err(failure) => return vary(failure.into_response()),
    };
    if cross_site::is_cross_site(&headers, &gateway.config.cors_origins) {
        return fail(&gateway, wanted.media_type(), &Failure::CrossSite);
    }
    let parameters = Parameters::from_query_string(&query, &gateway.config.limits);
    respond(&gateway, client, &headers, wanted, Transport::Get, parameters).await
}

/// Executes the JSON body.
pub(super) async fn post(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let wanted = match accept::negotiate(&headers) {
        Ok(wanted) => wanted,
        Err(failure) => return vary(failure.into_response()),
    };
    let parameters = match Parameters::from_body(&gateway, &headers, body).await {
        Ok(Posted::One(parameters)) => Ok(parameters),
        Ok(Posted::Batch(requests)) => {
            let accepted = wanted.media_type();
            let response = batch::respond(&gateway, &client, accepted, &headers, requests).await;
            return response.map_or_else(|failure| fail(&gateway, accepted, &failure), vary);
        }
        Err(failure) => Err(failure),
    };
    respond(&gateway, client, &headers, wanted, Transport::Post, parameters).await
}

/// Sends one answer, or an event stream if the client wants one.
async fn respond(
    gateway: &Gateway,
    client: Client,
    headers: &HeaderMap,
    wanted: Wanted,
    transport: Transport,
    parameters: Result<Parameters, Failure>,
) -> Response {
    let accepted = wanted.media_type();
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(failure) => return fail(gateway, accepted, &failure),
    };
    if let Some(form) = wanted.stream {
        let answering = Answering::begin(gateway, &client, parameters.clone()).await;
        if answering.is_followed() || wanted.single.is_none() {
            return streaming::respond(gateway, &client, form, answering)
                .map_or_else(|failure| fail(gateway, accepted, &failure), vary);
        }
    }
    let answered = answer(gateway, &client, accepted, headers, transport, parameters).await;
    let complete = |answer: &Answer| match transport {
        Transport::Get => answer.tagged(headers),
        Transport::Post | Transport::Live => answer.response(),
    };
    send(gateway, accepted, &answered, complete)
}

/// Counts and sends the answer. `complete` makes the response of an answer without errors.
fn send(
    gateway: &Gateway,
    accepted: MediaType,
    answered: &Result<Answer, Unkept>,
    complete: impl Fn(&Answer) -> Response,
) -> Response {
    let answer = match noted(answered) {
        Ok(answer) => answer,
        Err(failure) => return fail(gateway, accepted, failure),
    };
    let response = if answered.is_ok() { complete(answer) } else { answer.response() };
    // A response 304 has no body.
    let sent = if response.status() == StatusCode::NOT_MODIFIED {
        Ok(response)
    } else {
        gateway.load.send(response, &answer.body)
    };
    sent.map_or_else(|failure| fail(gateway, accepted, &failure), vary)
}

/// The answer, which is counted, or why there is none.
fn noted(answered: &Result<Answer, Unkept>) -> Result<&Answer, &Failure> {
    let (answer, code) = match answered {
        Ok(answer) => (answer, "OK"),
        Err(Unkept::Answer { answer, code, .. }) => (answer, *code),
        Err(Unkept::Failure(failure)) => return Err(failure),
    };
    metrics::graphql_answered(answer.kind(), code);
    Ok(answer)
}

/// The answer, from the cache if the data has not changed since.
async fn answer(
    gateway: &Gateway,
    client: &Client,
    accepted: MediaType,
    headers: &HeaderMap,
    transport: Transport,
    parameters: Parameters,
) -> Result<Answer, Unkept> {
    let found = match gateway.documents.find(&parameters) {
        Ok(found) => found,
        Err(Refused::Failure(failure)) => return Err(failure.into()),
        Err(Refused::Error(error)) => return written(gateway, accepted, None, gateway.executor.refuse(error)).await,
    };
    let question = question(transport, accepted, client.caller.scopes, &found, &parameters);
    let Parameters { operation_name, variables, .. } = parameters;
    let compute = || execute(gateway, client, accepted, transport, &found.text, operation_name.as_deref(), variables);
    let answered = gateway.answers.find(&gateway.reports, question, headers, compute).await;
    let is_valid = match &answered {
        Ok(_) => true,
        Err(Unkept::Answer { outcome, .. }) => outcome.is_valid(),
        Err(Unkept::Failure(_)) => false,
    };
    if is_valid {
        gateway.documents.remember(&found);
    }
    answered
}

/// The key of the cache: everything that the answer depends on besides the data, including the caller's scopes.
fn question(
    transport: Transport,
    accepted: MediaType,
    scopes: Scopes,
    found: &Found,
    parameters: &Parameters,
) -> Question {
    let details = (transport, accepted, scopes, &parameters.operation_name, &parameters.variables);
    Question { text: Arc::clone(&found.text), details: serde_json::to_string(&details).unwrap_or_default() }
}

async fn execute(
    gateway: &Gateway,
    client: &Client,
    accepted: MediaType,
    transport: Transport,
    document: &str,
    operation_name: Option<&str>,
    variables: Variables,
) -> Result<Answer, Unkept> {
    // Only the request that computes an answer uses a slot; requests that wait for the same answer do not.
    let _place = gateway.load.begin(client.address())?;
    let prepared = match gateway.executor.prepare(document, operation_name, variables, &client.caller) {
        Ok(prepared) => prepared,
        Err(error) => return written(gateway, accepted, None, gateway.executor.refuse(error)).await,
    };
    let operation = prepared.operation().clone();
    if transport == Transport::Get && operation.kind() == "mutation" {
        return Err(Failure::MethodNotAllowed(Method::GET, Some("POST")).into());
    }
    if transport != Transport::Live && operation.is_subscription() {
        return Err(Failure::NeedsStream.into());
    }
    let span = debug_span!("operation");
    span.set_attribute("graphql.operation.name", operation.name().unwrap_or_default().to_owned());
    let Client { caller, meter, .. } = client.clone();
    let response = gateway.executor.execute(prepared, &gateway.reports, caller, meter).instrument(span).await;
    written(gateway, accepted, Some(operation), response).await
}

/// Writes the answer. The library writes the body; status and media type follow GraphQL over HTTP.
async fn written(
    gateway: &Gateway,
    accepted: MediaType,
    operation: Option<RequestedOperation>,
    response: async_graphql::Response,
) -> Result<Answer, Unkept> {
    let mut code = response.errors.first().map_or("OK", code_of);
    let mut outcome = Outcome::of(&response);
    let mut bytes = body(outcome, response).await;
    let maximum = gateway.config.limits.response_bytes;
    if bytes.len() > maximum {
        (outcome, code) = (Outcome::Refused, LIMIT_EXCEEDED);
        bytes = body(outcome, gateway.executor.refuse(Limit::ResponseBytes.exceeded(maximum, None))).await;
    }
    let (status, media_type) = status(gateway.config.edition, outcome, accepted);
    let mut answer = Answer::new(status, media_type.header(), bytes);
    answer.operation = operation;
    if outcome == Outcome::Complete { Ok(answer) } else { Err(Unkept::Answer { answer, outcome, code }) }
}

async fn body(outcome: Outcome, response: async_graphql::Response) -> Bytes {
    let written = if outcome.has_data() {
        GraphQLResponse::from(response).into_response()
    } else {
        // Without execution the specification allows no `data`, not even null; the library always writes it.
        Json(Refusal { errors: &response.errors }).into_response()
    };
    let body = to_bytes(written.into_body(), usize::MAX).await.unwrap_or_default();
    // A copy without spare capacity, because answers are cached; up to half of the buffer may be spare.
    Bytes::copy_from_slice(&body)
}

/// The response to a request that failed before GraphQL.
pub(super) fn fail(gateway: &Gateway, accepted: MediaType, failure: &Failure) -> Response {
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

/// The media type of the response to a request that is not admitted, or takes too long in any step.
pub(super) fn media_type(headers: &HeaderMap) -> MediaType {
    accept::negotiate(headers).map_or(MediaType::Json, Wanted::media_type)
}

/// Declares the headers that answers depend on.
fn vary(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, answers::VARY);
    response
}
