//! `/metrics`, on its own port.

use axum::{Router, extract::State, response::Response, routing::get};

use crate::{
    database::Database,
    http::body,
    metrics::{self, Metrics},
};

/// The state of the route.
#[derive(Clone)]
struct Scrape {
    metrics: Metrics,
    database: Database,
}

/// The one route of the metrics port.
pub fn router(metrics: Metrics, database: Database) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(Scrape { metrics, database })
}

async fn scrape(State(Scrape { metrics, database }): State<Scrape>) -> Response {
    let pool = database.pool();
    metrics::pool(pool.used, pool.idle, pool.waiting, pool.max);
    body("text/plain; version=0.0.4; charset=utf-8", metrics.render())
}
