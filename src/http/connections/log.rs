//! The log line, the metrics and the trace of each request. The answer carries the request id of the log line.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    response::Response,
};
use tracing::{Instrument as _, Span, debug, debug_span, info, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use crate::{
    access::Identity,
    graphql::RequestedOperation,
    metrics::{self, Counted},
    telemetry::{UNTRACED, traces},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken from a client, in bytes; also the longest operation name, or name of a caller,
/// that is logged, in characters.
const MAX_LENGTH: usize = 128;

/// Logs, counts, times and traces each request. Successful probes are logged at debug level; probes are not traced.
pub(in crate::http) async fn requests(mut request: Request, answer: impl AsyncFnOnce(Request) -> Response) -> Response {
    let started = Instant::now();
    let _in_flight = Counted::request();
    let id = request.headers().get(REQUEST_ID).filter(|id| is_presentable(id)).cloned().unwrap_or_else(new_id);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let method = request.method().clone();
    // The route's pattern instead of the path: clients choose paths freely, so they are unsuitable as metric labels.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let is_probe = matches!(route, "/health_check" | "/readiness_check");
    let trace = if is_probe { Span::none() } else { trace_span(&method, route, request.headers()) };
    let trace_id = traces::trace_id(&trace);
    let line = info_span!(target: UNTRACED, "request", request_id = id.to_str().unwrap_or_default(), trace_id);
    let answered = async {
        let mut response = answer(request).await;
        traces::tell(&trace, response.headers_mut());
        let status = response.status().as_u16();
        let took = started.elapsed();
        metrics::request_answered(route, method.as_str(), status, took);
        trace.set_attribute("http.response.status_code", i64::from(status));
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let operation =
            response.extensions().get::<RequestedOperation>().and_then(RequestedOperation::name).map(shortened);
        let caller = response.extensions().get::<Identity>().filter(|identity| **identity != Identity::Anonymous);
        let caller = caller.map(|identity| shortened(&identity.to_string()));
        if status >= 500 {
            warn!(%method, route, status, duration_ms, operation, caller, "request failed");
        } else if is_probe {
            debug!(%method, route, status, duration_ms, "probe answered");
        } else {
            info!(%method, route, status, duration_ms, operation, caller, "request answered");
        }
        response.headers_mut().insert(REQUEST_ID, id);
        response
    };
    answered.instrument(line).instrument(trace.clone()).await
}

/// The request's span, which continues the caller's trace if there is one.
fn trace_span(method: &Method, route: &str, headers: &HeaderMap) -> Span {
    let span = debug_span!("http", "otel.name" = format!("{method} {route}"), "otel.kind" = "server");
    if span.is_disabled() {
        return span;
    }
    span.set_attribute("http.request.method", method.to_string());
    span.set_attribute("http.route", route.to_owned());
    traces::join(&span, headers);
    span
}

fn is_presentable(id: &HeaderValue) -> bool {
    !id.is_empty() && id.len() <= MAX_LENGTH && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn new_id() -> HeaderValue {
    // An id has to be unlike others, not secret, which would cost a call of the system.
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
        .unwrap_or_else(|_| HeaderValue::from_static("none"))
}

fn shortened(name: &str) -> String {
    name.chars().take(MAX_LENGTH).collect()
}
