//! What Kubernetes asks: is the process alive, and can it serve.

use std::time::Duration;

use axum::{extract::State, http::StatusCode, response::Response};
use tokio::time::timeout;
use tracing::warn;

use crate::{
    http::{Gateway, legacy_text},
    metrics,
};

/// How old an answer may be that shows a busy database at work.
const BUSY: Duration = Duration::from_secs(5);

/// Alive. The database is not asked: a database that hiccups is no reason to restart every replica.
pub(in crate::http) async fn health_check() -> Response {
    legacy_text(StatusCode::OK, "ok")
}

/// Able to serve: not about to stop, and the database has tokens to read.
pub(in crate::http) async fn readiness_check(State(gateway): State<Gateway>) -> Response {
    let ready = !gateway.ending.draining.is_cancelled() && can_read(&gateway).await;
    metrics::readiness(ready);
    if ready { legacy_text(StatusCode::OK, "ok") } else { legacy_text(StatusCode::INTERNAL_SERVER_ERROR, "failed") }
}

async fn can_read(gateway: &Gateway) -> bool {
    match timeout(gateway.readiness_timeout, gateway.reports.check()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => warn!(error = error.in_full(), "not ready: the database cannot be read"),
        // Every connection is busy, and answers come: were that a failure, load would end every replica.
        Err(_) if gateway.reports.answered_within(BUSY) => return true,
        Err(_) => warn!(timeout = ?gateway.readiness_timeout, "not ready: the database did not answer in time"),
    }
    false
}
