//! The reports as plain HTTP: the legacy ones byte for byte when nothing is asked of them; with parameters filtered,
//! and as CSV or lines of JSON for tools that speak no GraphQL. The numbers are `reports`' own.

pub(in crate::http) mod fuzzing;
mod legacy;
pub(in crate::http) mod openapi;
mod parameters;
mod stream;
mod table;
mod tables;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

pub(in crate::http) use crate::http::rest::{
    parameters::{Kind, Parameter},
    table::{Column, Format, Holds},
    tables::{REPORTS, Report},
};
use crate::{
    access::Scope,
    graphql::error::INTERNAL_SERVER_ERROR,
    http::{
        Gateway, body,
        connections::admission::Client,
        error::Failure,
        graphql::preferred,
        rest::{
            parameters::{Asked, renamed},
            stream::List,
        },
    },
    reports::{Error, Granularity, LegacyDailyUsage, Measures, Session, UsageQuestion, range::DateRange},
};

/// Parameters by which a report picks out single members.
const PERSONAL: [&str; 3] = ["user_ids", "joined_from", "joined_to"];
/// What a report that is not kept costs its caller, as a field of GraphQL does.
const REPORT_COST: u64 = 1_000;
/// The same of a list of members, of any length.
const LIST_COST: u64 = 50_000;

/// Where the reports are listed.
pub(in crate::http) const INDEX: &str = "/api/reports";

pub(in crate::http) fn routes() -> Router<Gateway> {
    Router::new()
        .route(INDEX, get(index))
        .route("/api/reports/", get(index))
        .route(tables::DAILY_USAGE.path, get(daily_usage))
        .route(tables::USER_VISITS.path, get(user_visits))
        .route(tables::USAGE.path, get(usage))
        .route(tables::HEATMAP.path, get(heatmap))
        .route(tables::RETENTION.path, get(retention))
        .route(tables::MEMBERS.path, get(members))
        .route(tables::ACTIVE_USERS.path, get(active_users))
        .route(tables::TOKEN_FUNNEL.path, get(token_funnel))
}

/// Every report, and what can be asked of it.
async fn index(Extension(client): Extension<Client>) -> Result<Response, Failure> {
    client.caller.require(Scope::Reports)?;
    let reports: Vec<_> = REPORTS.iter().map(|report| report.listed()).collect();
    Ok(body("application/json", json!(reports).to_string() + "\n"))
}

async fn daily_usage(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asking = Asking::read(&gateway, client, &tables::DAILY_USAGE, query.as_deref(), &headers)?;
    if asking.is_legacy {
        return legacy::daily_usage(&gateway, &asking.client, &headers).await;
    }
    let filter = asking.filter(Asked::tokens)?;
    let range = filter.range;
    let gaps = asking.asked.one("gaps").map_err(|error| renamed(&error))?.unwrap_or_default();
    let question = UsageQuestion::new(filter, Granularity::Day, None, None, gaps).map_err(|error| renamed(&error))?;
    if asking.format == Format::Json {
        let measures = Measures { visits: true, ..Measures::default() };
        let days = asking.session.daily_usage(&question, measures, None).await.map_err(failure)?;
        let mut json = serde_json::to_string(&LegacyDailyUsage(&days.rows)).map_err(|_| Failure::Internal)?;
        json.push('\n');
        return Ok(asking.written(json, range));
    }
    let days = asking.session.daily_usage(&question, Measures::ALL, None).await.map_err(failure)?;
    Ok(asking.written(tables::daily_usage(asking.format, &days.rows), range))
}

async fn user_visits(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asking = Asking::read(&gateway, client, &tables::USER_VISITS, query.as_deref(), &headers)?;
    if asking.is_legacy {
        return legacy::user_visits(&gateway, &asking.client, &headers).await;
    }
    let filter = asking.filter(Asked::members)?;
    let order = asking.asked.order().map_err(|error| renamed(&error))?;
    let range = filter.range;
    let list = match asking.format {
        Format::Json => List::map(),
        _ => List::rows(&asking, tables::user_visits),
    };
    let body = stream::members(&gateway, &asking, filter, order, list).await?;
    Ok(asking.written(body, range))
}

async fn usage(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asking = Asking::read(&gateway, client, &tables::USAGE, query.as_deref(), &headers)?;
    let question = asking.filter(|asked, session| {
        let granularity = asked.one("granularity")?.unwrap_or_default();
        let gaps = asked.one("gaps")?.unwrap_or_default();
        UsageQuestion::new(asked.tokens(session)?, granularity, asked.week_start()?, asked.relative()?, gaps)
    })?;
    let series = asking.session.usage(&question, Measures::ALL, None).await.map_err(failure)?;
    Ok(asking.written(tables::usage(asking.format, &series.rows), question.filter.range))
}

async fn heatmap(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asking = Asking::read(&gateway, client, &tables::HEATMAP, query.as_deref(), &headers)?;
    let filter = asking.filter(Asked::tokens)?;
    let heatmap = asking.session.heatmap(&filter).await.map_err(failure)?;
    Ok(asking.written(tables::heatmap(asking.format, &heatmap), filter.range))
}

async fn retention(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asking = Asking::read(&gateway, client, &tables::RETENTION, query.as_deref(), &headers)?;
    let question = asking.filter(Asked::cohorts)?;
    let cohorts = asking.session.retention(&question).await.map_err(failure)?;
    Ok(asking.written(tables::retention(asking.format, &cohorts), DateRange::default()))
}

async fn members(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asking = Asking::read(&gateway, client, &tables::MEMBERS, query.as_deref(), &headers)?;
    let (filter, thresholds) = asking.filter(Asked::segment)?;
    let order = asking.asked.order().map_err(|error| renamed(&error))?;
    let (session, zone) = (Arc::clone(&asking.session), filter.zone);
    let list = List::rows(&asking, move |writer, member| {
        let days = session.days_since_last_visit(&member, zone);
        tables::member(writer, member, thresholds.segment(days), days);
    });
    let body = stream::members(&gateway, &asking, filter, order, list).await?;
    Ok(asking.written(body, DateRange::default()))
}

async fn active_users(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asking = Asking::read(&gateway, client, &tables::ACTIVE_USERS, query.as_deref(), &headers)?;
    let filter = asking.filter(Asked::tokens)?;
    let days = asking.session.active_users(&filter).await.map_err(failure)?;
    Ok(asking.written(tables::active_users(asking.format, &days), filter.range))
}

async fn token_funnel(
    State(gateway): State<Gateway>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let asking = Asking::read(&gateway, client, &tables::TOKEN_FUNNEL, query.as_deref(), &headers)?;
    let filter = asking.filter(Asked::tokens)?;
    let funnel = asking.session.token_funnel(&filter).await.map_err(failure)?;
    Ok(asking.written(tables::token_funnel(asking.format, &funnel), filter.range))
}

/// A request for a report, read as far as all reports are alike.
struct Asking {
    report: &'static Report,
    asked: Asked,
    format: Format,
    /// Whether nothing is asked that the legacy service did not answer.
    is_legacy: bool,
    client: Client,
    session: Arc<Session>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Asking {
    fn read(
        gateway: &Gateway,
        client: Client,
        report: &'static Report,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Self, Failure> {
        client.caller.require(report.scope)?;
        let asked = Asked::read(report.parameters, query.unwrap_or_default())?;
        let accepted = preferred(headers, &["application/json", "text/csv", "application/x-ndjson"]);
        let format = asked.format(accepted).map_err(|error| renamed(&error))?;
        let is_legacy = report.is_legacy && asked.is_empty() && format == Format::Json;
        let is_personal = report.is_personal && !is_legacy || PERSONAL.iter().any(|name| asked.text(name).is_some());
        if is_personal {
            client.caller.require(Scope::Members)?;
        }
        // The legacy reports may be kept: they see to it themselves.
        let place = if is_legacy { None } else { Some(gateway.load.begin()?) };
        if !is_legacy {
            client.meter.charge(if report.is_personal { LIST_COST } else { REPORT_COST });
        }
        let session = gateway.reports.snapshot_session();
        Ok(Self { report, asked, format, is_legacy, client, session, _place: place })
    }

    fn filter<T>(
        &self,
        read: impl FnOnce(&Asked, &Session) -> Result<T, crate::reports::InvalidArgument>,
    ) -> Result<T, Failure> {
        read(&self.asked, &self.session).map_err(|error| renamed(&error))
    }

    /// The answer, with the name of a file for those who save it.
    fn written(&self, body: impl Into<axum::body::Body>, range: DateRange) -> Response {
        let mut response = (StatusCode::OK, body.into()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.format.header());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Authorization, X-Api-Key"));
        if self.format != Format::Json {
            let dates = [range.from(), range.to()].into_iter().flatten().map(|date| format!("_{date}"));
            let name: String = std::iter::once(self.report.name.to_owned()).chain(dates).collect();
            let file = format!("attachment; filename=\"{name}.{}\"", self.format.extension());
            if let Ok(file) = HeaderValue::from_str(&file) {
                headers.insert(header::CONTENT_DISPOSITION, file);
            }
        }
        response
    }
}

/// A report that failed, with the status of its cause.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failure(error: Error) -> Failure {
    error.log();
    match &error {
        Error::NotGranted(missing) => (*missing).into(),
        Error::InvalidArgument(invalid) => renamed(invalid),
        Error::Timeout(_) => Failure::TimedOut,
        Error::Unavailable(_) => Failure::Unavailable,
        Error::Database(_) => Failure::Report(INTERNAL_SERVER_ERROR),
    }
}
