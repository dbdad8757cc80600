//! GraphQL over HTTP: a thin layer over the library's own request and response.

use async_graphql::{Request, Response as Answer, ServerError, Variables};
use async_graphql_axum::GraphQLResponse;
use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::{Instrument as _, debug_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{Gateway, error::Failure};
use crate::{
    graphql::{self, error as code},
    metrics,
};

const GRAPHQL_JSON: &str = "application/graphql-response+json";

/// What a client sends, in a body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    extensions: Option<Map<String, Value>>,
}

/// The same in a query string, where `variables` and `extensions` are JSON texts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryString {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// The answer to a request of which nothing was executed.
#[derive(Debug, Serialize)]
struct Refusal<'a> {
    errors: &'a [ServerError],
}

/// Executes what the query string holds. A browser that asks for a page is shown the IDE.
pub(super) async fn get(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters: QueryString = serde_urlencoded::from_str(query.as_deref().unwrap_or_default())
        .map_err(|error| Failure::BadRequest(format!("The query string cannot be read: {error}.")))?;
    if parameters.query.is_none() && accepts(&headers, "text/html") {
        return Ok(Redirect::temporary("/graphiql").into_response());
    }
    let parameters = Parameters {
        query: parameters.query,
        operation_name: parameters.operation_name,
        variables: parse_map("variables", parameters.variables)?,
        extensions: parse_map("extensions", parameters.extensions)?,
    };
    execute(&gateway, &headers, parameters).await
}

/// Executes what the JSON body holds.
pub(super) async fn post(State(gateway): State<Gateway>, headers: HeaderMap, body: Body) -> Result<Response, Failure> {
    if !is_json(&headers) {
        return Err(Failure::UnsupportedMediaType);
    }
    let limit = gateway.max_body_bytes;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Failure::TooLarge(limit));
    }
    let bytes = to_bytes(body, limit).await.map_err(|_| Failure::TooLarge(limit))?;
    // By way of a map: the derived reader would take an array for the struct.
    let parameters = serde_json::from_slice::<Map<String, Value>>(&bytes)
        .and_then(|body| serde_json::from_value(Value::Object(body)))
        .map_err(|error| Failure::BadRequest(format!("The request body is no GraphQL request in JSON: {error}.")))?;
    execute(&gateway, &headers, parameters).await
}

async fn execute(gateway: &Gateway, headers: &HeaderMap, parameters: Parameters) -> Result<Response, Failure> {
    let Some(query) = parameters.query.filter(|query| !query.trim().is_empty()) else {
        return Err(Failure::BadRequest("The request has no `query`.".to_owned()));
    };
    let mut request = Request::new(query);
    request.operation_name = parameters.operation_name;
    request.variables = Variables::from_json(Value::Object(parameters.variables.unwrap_or_default()));
    request.extensions.extend(
        parameters
            .extensions
            .into_iter()
            .flatten()
            .map(|(name, value)| (name, async_graphql::Value::from_json(value).unwrap_or_default())),
    );
    let (request, operation) = graphql::prepare(request, &gateway.reports);
    let span = debug_span!("operation");
    let answer = gateway.schema.execute(request).instrument(span.clone()).await;
    metrics::graphql_answered(operation.kind(), code::code_of(&answer));
    span.set_attribute("graphql.operation.name", operation.name().unwrap_or_default().to_owned());
    let mut response = respond(answer, accepts(headers, GRAPHQL_JSON));
    response.extensions_mut().insert(operation);
    Ok(response)
}

/// The library writes the body; status and media type are as GraphQL over HTTP has them, and an
/// outage is one to load balancers and monitors as well.
fn respond(answer: Answer, graphql_json: bool) -> Response {
    let has = |code: &str| {
        let code = async_graphql::Value::from(code);
        answer.errors.iter().any(|error| error.extensions.as_ref().and_then(|values| values.get("code")) == Some(&code))
    };
    let executed = answer.data != async_graphql::Value::Null || answer.errors.is_empty();
    let status = if has(code::SERVICE_UNAVAILABLE) {
        StatusCode::SERVICE_UNAVAILABLE
    } else if has(code::REQUEST_TIMEOUT) {
        StatusCode::GATEWAY_TIMEOUT
    } else if graphql_json && !executed {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    let media_type = if graphql_json { GRAPHQL_JSON } else { "application/json" };
    // Where nothing was executed there is no `data`, not even null; the library always writes it.
    let mut response = if executed {
        GraphQLResponse::from(answer).into_response()
    } else {
        Json(Refusal { errors: &answer.errors }).into_response()
    };
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn parse_map(name: &str, text: Option<String>) -> Result<Option<Map<String, Value>>, Failure> {
    let parsed = text.filter(|text| !text.is_empty()).map(|text| serde_json::from_str(&text)).transpose();
    parsed.map_err(|error| Failure::BadRequest(format!("`{name}` is no JSON object: {error}.")))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(','));
    ranges.any(|range| range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case(media_type)))
}
