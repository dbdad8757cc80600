//! The reports as plain HTTP: the legacy ones byte for byte when no parameter is given; with parameters filtered, and as
//! CSV or lines of JSON for tools that speak no GraphQL. A report is a file, with the declaration that makes its route.

#[cfg(any(test, fuzzing))]
pub(in crate::http) mod fuzzing;
mod legacy;
pub(in crate::http) mod openapi;
mod parameters;
mod report;
mod request;
mod stream;
mod table;

mod active_users;
mod daily_usage;
mod frequency;
mod heatmap;
mod members;
mod retention;
mod token_funnel;
mod usage;
mod user_visits;

use axum::{
    Extension, Router,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use serde_json::json;

use self::{
    report::Report,
    request::{Answering, Request},
};
use crate::{
    access::Scope,
    http::{Gateway, body, connections::admission::Client, error::Failure},
};

/// Answers requests for a report.
type Answer = fn(Request) -> Answering;

/// Every report, in the order in which they are listed, and what answers requests for it.
static REPORTS: [(&Report, Answer); 9] = [
    (&daily_usage::REPORT, daily_usage::answer),
    (&user_visits::REPORT, user_visits::answer),
    (&usage::REPORT, usage::answer),
    (&heatmap::REPORT, heatmap::answer),
    (&retention::REPORT, retention::answer),
    (&members::REPORT, members::answer),
    (&active_users::REPORT, active_users::answer),
    (&token_funnel::REPORT, token_funnel::answer),
    (&frequency::REPORT, frequency::answer),
];

/// Where the reports are listed.
const INDEX: &str = "/api/reports";

pub(in crate::http) fn routes() -> Router<Gateway> {
    let routes = Router::new().route(INDEX, get(index)).route("/api/reports/", get(index));
    REPORTS.iter().fold(routes, |routes, (report, answer)| {
        let answer = async |State(gateway): State<Gateway>,
                            Extension(client): Extension<Client>,
                            RawQuery(query): RawQuery,
                            headers: HeaderMap| {
            let request = Request::read(report, gateway, client, query.as_deref(), headers)?;
            answer(request).await
        };
        routes.route(&report.path(), get(answer))
    })
}

/// Every report, and what can be asked of it.
async fn index(Extension(client): Extension<Client>) -> Result<Response, Failure> {
    client.caller.require(Scope::Reports)?;
    let reports: Vec<_> = REPORTS.iter().map(|(report, _)| report.listed()).collect();
    Ok(body("application/json", json!(reports).to_string() + "\n"))
}
