//! The reports over plain HTTP, for tools without GraphQL. Without parameters, the legacy reports answer byte for byte
//! as before. All reports take parameters and can be CSV or lines of JSON. Each report is a file with a declaration,
//! from which its route is made.

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
mod forecast;
mod frequency;
mod heatmap;
mod members;
mod membership;
mod notes;
mod retention;
mod segments;
mod token_funnel;
mod usage;
mod user_visits;

use axum::{
    Extension, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, Version},
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

/// All reports, in the order in which `/api/reports` lists them, with the functions that answer.
static REPORTS: [(&Report, Answer); 13] = [
    (&daily_usage::REPORT, daily_usage::answer),
    (&user_visits::REPORT, user_visits::answer),
    (&usage::REPORT, usage::answer),
    (&heatmap::REPORT, heatmap::answer),
    (&retention::REPORT, retention::answer),
    (&members::REPORT, members::answer),
    (&segments::REPORT, segments::answer),
    (&membership::REPORT, membership::answer),
    (&active_users::REPORT, active_users::answer),
    (&token_funnel::REPORT, token_funnel::answer),
    (&frequency::REPORT, frequency::answer),
    (&forecast::REPORT, forecast::answer),
    (&notes::REPORT, notes::answer),
];

/// The path of the list of reports.
const INDEX: &str = "/api/reports";

pub(in crate::http) fn routes() -> Router<Gateway> {
    let routes = Router::new().route(INDEX, get(index)).route("/api/reports/", get(index));
    REPORTS.iter().fold(routes, |routes, (report, answer)| {
        let answer = async |State(gateway): State<Gateway>,
                            Extension(client): Extension<Client>,
                            RawQuery(query): RawQuery,
                            headers: HeaderMap,
                            version: Version| {
            let request = Request::read(report, gateway, client, query.as_deref(), headers, version)?;
            answer(request).await
        };
        routes.route(&report.path(), get(answer))
    })
}

/// Lists all reports with their parameters, columns and formats.
async fn index(Extension(client): Extension<Client>) -> Result<Response, Failure> {
    client.caller.require(Scope::Reports)?;
    let reports: Vec<_> = REPORTS.iter().map(|(report, _)| report.listed()).collect();
    Ok(body("application/json", json!(reports).to_string() + "\n"))
}
