//! The probes of Kubernetes: liveness and readiness.

use std::time::Duration;

use axum::{extract::State, http::StatusCode, response::Response};
use tokio::time::timeout;
use tracing::warn;

use crate::{
    http::{Gateway, legacy_text},
    metrics, reports,
};

/// A database that gave an answer within this time, or within the statement timeout, counts as busy, not as
/// unavailable.
pub(in crate::http) const BUSY: Duration = Duration::from_secs(5);

/// Liveness. The database is not checked: a short outage of the database is no reason to restart all replicas.
pub(in crate::http) async fn health_check() -> Response {
    legacy_text(StatusCode::OK, "ok")
}

/// Readiness: the process is not about to stop, and the table of door codes can be read.
pub(in crate::http) async fn readiness_check(State(gateway): State<Gateway>) -> Response {
    let ready = !gateway.ending.draining.is_cancelled() && can_read(&gateway).await;
    metrics::readiness(ready);
    if ready { legacy_text(StatusCode::OK, "ok") } else { legacy_text(StatusCode::INTERNAL_SERVER_ERROR, "failed") }
}

async fn can_read(gateway: &Gateway) -> bool {
    match timeout(gateway.readiness_timeout, gateway.reports.check()).await {
        Ok(Ok(())) => return true,
        // All connections are busy, and reports are being answered. A failure here would take every replica out of
        // service under load.
        Ok(Err(reports::Error::Busy(_))) | Err(_) if gateway.reports.answered_within(gateway.busy_timeout) => {
            return true;
        }
        Ok(Err(error)) => warn!(error = error.in_full(), "not ready: the database cannot be read"),
        Err(_) => warn!(timeout = ?gateway.readiness_timeout, "not ready: the database did not answer in time"),
    }
    false
}
