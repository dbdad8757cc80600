//! One line a request, under a request id that the answer carries too.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument as _, Level, event, info_span};
use uuid::Uuid;

use crate::graphql::RequestedOperation;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id, and operation name, that is taken over from a client.
const MAX_LENGTH: usize = 128;

/// Logs each request with its route, status and duration; probes that succeed only at debug level.
pub(super) async fn requests(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request.headers().get(REQUEST_ID).filter(|id| is_presentable(id)).cloned().unwrap_or_else(new_id);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let method = request.method().clone();
    // The pattern, not the path: what a stranger types is no field to search by.
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let request_id = id.to_str().unwrap_or_default().to_owned();
    let span = info_span!("request", request_id);
    async move {
        let mut response = next.run(request).await;
        let status = response.status().as_u16();
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let operation =
            response.extensions().get::<RequestedOperation>().and_then(RequestedOperation::name).map(shortened);
        let is_probe = matches!(route.as_str(), "/health_check" | "/readiness_check");
        if status >= 500 {
            event!(Level::WARN, %method, route, status, duration_ms, operation, "request failed");
        } else if is_probe {
            event!(Level::DEBUG, %method, route, status, duration_ms, "probe answered");
        } else {
            event!(Level::INFO, %method, route, status, duration_ms, operation, "request answered");
        }
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }
    .instrument(span)
    .await
}

fn is_presentable(id: &HeaderValue) -> bool {
    !id.is_empty() && id.len() <= MAX_LENGTH && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&Uuid::new_v4().to_string()).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

fn shortened(name: &str) -> String {
    name.chars().take(MAX_LENGTH).collect()
}
