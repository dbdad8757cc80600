//! The legacy reports, byte for byte. This file only writes their JSON; the numbers come from `reports`.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode},
    response::Response,
};
use chrono::{NaiveDateTime, Timelike as _};
use serde::{Serialize, Serializer};

use crate::{
    http::{
        Gateway,
        answers::{Answer, Question},
        connections::admission::Client,
        error::Failure,
        rest::request::send,
    },
    reports::{
        Error, LegacyDailyUsage, Measures, UsageQuestion, UserVisitsParts,
        filter::UserVisitsFilter,
        model::UserVisits,
        page::{Page, UserVisitsOrder},
    },
};

/// What a legacy report costs its caller when it is computed. A cached one costs nothing extra.
const LEGACY_COST: u64 = 10_000;

/// `{"2024-03-01":18,…}`: door codes that were used, by the UTC day of their issue. Days without any are absent.
pub(in crate::http) async fn daily_usage(
    gateway: &Gateway,
    client: &Client,
    request: &HeaderMap,
) -> Result<Response, Failure> {
    let made = async || {
        let _place = gateway.load.begin(client.address())?;
        client.meter.charge(LEGACY_COST);
        let measures = Measures { visits: true, ..Measures::default() };
        let days = gateway.reports.session().daily_usage(&UsageQuestion::default(), measures, None).await;
        let days = days.map_err(failed)?;
        json(&LegacyDailyUsage(&days.rows))
    };
    kept(gateway, "/api/reports/daily_usage", request, made).await
}

/// `{"1":{"joined_at":"…","visits":6},…}`: the number of door codes, used or not, of every member who has any.
pub(in crate::http) async fn user_visits(
    gateway: &Gateway,
    client: &Client,
    request: &HeaderMap,
) -> Result<Response, Failure> {
    let made = async || {
        let _place = gateway.load.begin(client.address())?;
        client.meter.charge(LEGACY_COST);
        let (filter, order) = (UserVisitsFilter::default(), UserVisitsOrder::default());
        let parts = UserVisitsParts { membership: true, ..UserVisitsParts::default() };
        let session = gateway.reports.session();
        session.mark_heavy();
        let page = session.user_visits(&filter, order, &Page::all(), parts).await.map_err(failed)?;
        json(&LegacyUserVisits(&page.rows))
    };
    kept(gateway, "/api/reports/user_visits", request, made).await
}

/// The report from the cache, or `made` when the data has changed since.
async fn kept(
    gateway: &Gateway,
    path: &'static str,
    request: &HeaderMap,
    made: impl AsyncFnOnce() -> Result<Answer, Failure>,
) -> Result<Response, Failure> {
    let question = Question { text: path.into(), details: String::new() };
    let answer = gateway.answers.find(&gateway.reports, question, request, made).await?;
    send(gateway, request, &answer)
}

/// The legacy service answered 500 whatever the cause. Only a missing scope has its own status.
fn failed(error: Error) -> Failure {
    match Failure::from(error) {
        Failure::NotGranted(missing) => Failure::NotGranted(missing),
        failure => Failure::Report(failure.code()),
    }
}

/// Compact JSON and a newline, as Flask's `jsonify` writes it.
fn json(report: &impl Serialize) -> Result<Answer, Failure> {
    let mut bytes = serde_json::to_vec(report).map_err(|_| Failure::Internal)?;
    bytes.push(b'\n');
    Ok(Answer::new(StatusCode::OK, HeaderValue::from_static("application/json"), bytes.into()))
}

struct LegacyUserVisits<'a>(&'a [UserVisits]);

impl Serialize for LegacyUserVisits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|row| (row.user_id, Entry::of(row))))
    }
}

/// A member's entry in the legacy report.
#[derive(Serialize)]
pub(in crate::http) struct Entry {
    joined_at: String,
    visits: i64,
}

impl Entry {
    pub(in crate::http) fn of(row: &UserVisits) -> Self {
        Self { joined_at: python_str(row.joined_at), visits: row.tokens_issued }
    }
}

/// Python's `str(datetime)`, with six digits of a second or none; `None` for a missing value.
fn python_str(instant: Option<NaiveDateTime>) -> String {
    match instant {
        None => "None".to_owned(),
        Some(instant) if instant.nanosecond() / 1_000 == 0 => instant.format("%Y-%m-%d %H:%M:%S").to_string(),
        Some(instant) => instant.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
    }
}
