//! What all report requests share: reading a request, and the headers of its answer.

use std::{pin::Pin, sync::Arc};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header},
    response::Response,
};

use crate::{
    access::Scope,
    graphql::{Named, REPORT_COST},
    http::{
        Gateway,
        answers::{self, Answer, Question},
        connections::{admission::Client, load::Slot},
        error::Failure,
        graphql::preferred,
        rest::{parameters::Asked, report::Report, table::Format},
    },
    reports::{
        Defaults, Session, Thresholds, Week,
        filter::{TokenFilter, UserFilter, UserVisitsFilter},
        page::UserVisitsOrder,
        range::{DateRange, RelativeRange},
        time_zone::Zone,
    },
};

/// The configured defaults that the answer used.
const DEFAULTS: HeaderName = HeaderName::from_static("x-defaults");

/// What a list of members costs its caller, whatever its length.
const LIST_COST: u64 = 50_000;

/// Sends the answer, or says that the client has it already.
pub(in crate::http) fn send(gateway: &Gateway, request: &HeaderMap, answer: &Answer) -> Result<Response, Failure> {
    let response = answer.tagged(request);
    if response.status() == StatusCode::NOT_MODIFIED { Ok(response) } else { gateway.load.send(response, &answer.body) }
}

/// An answer that is being made.
pub(in crate::http) type Answering = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>;

/// A request for a report.
pub(in crate::http) struct Request {
    pub(in crate::http) gateway: Gateway,
    pub(in crate::http) client: Client,
    pub(in crate::http) headers: HeaderMap,
    pub(in crate::http) version: Version,
    pub(in crate::http) session: Arc<Session>,
    pub(in crate::http) format: Format,
    /// Whether the request is one that the legacy service answered: no parameters, and JSON.
    pub(in crate::http) is_legacy: bool,
    report: &'static Report,
    query: String,
    asked: Asked,
    _slot: Option<Slot>,
}

impl Request {
    pub(in crate::http) fn read(
        report: &'static Report,
        gateway: Gateway,
        client: Client,
        query: Option<&str>,
        headers: HeaderMap,
        version: Version,
    ) -> Result<Self, Failure> {
        client.caller.require(report.scope)?;
        let asked = Asked::read(report.parameters, query.unwrap_or_default())?;
        let accepted = preferred(&headers, &["application/json", "text/csv", "application/x-ndjson"]);
        let format = asked.format(accepted)?;
        let is_legacy = report.legacy.is_some() && asked.is_empty() && format == Format::Json;
        if report.is_list && !is_legacy {
            client.caller.require(Scope::Members)?;
        }
        // Legacy reports may be cached, so they take a slot and charge the caller only when they are computed.
        let slot = if is_legacy { None } else { Some(gateway.load.begin(client.address())?) };
        if !is_legacy {
            client.meter.charge(if report.is_list { LIST_COST } else { REPORT_COST as u64 });
        }
        let session = gateway.reports.snapshot_session();
        if report.is_list {
            session.mark_heavy();
        }
        let query = query.unwrap_or_default().to_owned();
        Ok(Self { gateway, client, headers, version, session, format, is_legacy, report, query, asked, _slot: slot })
    }

    /// The value of a parameter that takes one of the schema's names.
    pub(in crate::http) fn one<T: Named>(&self, name: &'static str) -> Result<Option<T>, Failure> {
        self.asked.one(name)
    }

    pub(in crate::http) fn whole(&self, name: &'static str) -> Result<Option<i32>, Failure> {
        self.asked.whole(name)
    }

    pub(in crate::http) fn flag(&self, name: &'static str) -> Result<Option<bool>, Failure> {
        self.asked.flag(name)
    }

    pub(in crate::http) fn week_start(&self) -> Result<Option<Week>, Failure> {
        self.asked.week_start()
    }

    pub(in crate::http) fn relative(&self) -> Result<Option<RelativeRange>, Failure> {
        self.asked.relative()
    }

    pub(in crate::http) fn order(&self) -> Result<UserVisitsOrder, Failure> {
        self.asked.order()
    }

    /// The range, without anything else.
    pub(in crate::http) fn dates(&self) -> Result<DateRange, Failure> {
        self.asked.dates(&self.session)
    }

    /// The door codes that count, if the caller has the scope for this filter.
    pub(in crate::http) fn tokens(&self) -> Result<TokenFilter, Failure> {
        let filter = self.asked.tokens(&self.session)?;
        self.permit(&filter.users)?;
        Ok(filter)
    }

    /// The members to list, if the caller has the scope for this filter.
    pub(in crate::http) fn members(&self) -> Result<UserVisitsFilter, Failure> {
        let filter = self.asked.members(&self.session)?;
        self.permit(&filter.users)?;
        Ok(filter)
    }

    /// The members of a segment, if the caller has the scope for this filter, and the thresholds between segments.
    pub(in crate::http) fn segment(&self) -> Result<(UserVisitsFilter, Thresholds), Failure> {
        let (filter, thresholds) = self.asked.segment(&self.session)?;
        self.permit(&filter.users)?;
        Ok((filter, thresholds))
    }

    /// The members to count, if the caller has the scope for this filter, the thresholds between segments, and the zone
    /// of the days.
    pub(in crate::http) fn thresholds(&self) -> Result<(UserFilter, Thresholds, Zone), Failure> {
        let (users, thresholds, zone) = self.asked.thresholds(&self.session)?;
        self.permit(&users)?;
        Ok((users, thresholds, zone))
    }

    fn permit(&self, users: &UserFilter) -> Result<(), Failure> {
        Ok(self.client.caller.require(users.scope())?)
    }

    /// The answer with this text, or the answer that the client has it already.
    pub(in crate::http) async fn answer(&self, text: String, range: DateRange) -> Result<Response, Failure> {
        let answer = Answer::new(StatusCode::OK, self.format.header(), text.into()).fitting(&self.headers).await;
        Ok(self.dressed(send(&self.gateway, &self.headers, &answer)?, range))
    }

    /// Everything that the answer depends on besides the data and the time.
    pub(in crate::http) fn question(&self) -> Question {
        let details = (&self.query, self.format.media_type(), self.client.caller.scopes);
        Question { text: self.report.path().into(), details: serde_json::to_string(&details).unwrap_or_default() }
    }

    /// The response with the headers of a report. Formats other than JSON have a file name, which includes the range.
    pub(in crate::http) fn dressed(&self, mut response: Response, range: DateRange) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, answers::VARY);
        let Defaults { zone, basis } = self.session.used_defaults();
        let used = [zone.map(|zone| format!("time_zone={zone}")), basis.map(|basis| format!("basis={}", basis.name()))];
        let used = used.into_iter().flatten().collect::<Vec<_>>().join("; ");
        if let Some(used) = HeaderValue::from_str(&used).ok().filter(|used| !used.is_empty()) {
            headers.insert(DEFAULTS, used);
        }
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
