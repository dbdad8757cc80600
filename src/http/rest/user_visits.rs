//! `/api/reports/user_visits`: members with their visits.

use serde_json::json;

use crate::{
    access::Scope,
    http::{
        rest::{
            legacy,
            stream::{self, Map},
        },
        rest::{
            parameters::{BASIS, FORMAT, JOINED, Kind, LIST, NAME, Parameter, RANGE, USERS, parameter},
            report::Report,
            request::{Answering, Request},
            table::{
                Column, Format,
                Holds::{Flag, Instant, Text, Whole},
                Writer, headings,
            },
        },
    },
    reports::model::UserVisits,
};

pub(in crate::http) static REPORT: Report = Report {
    name: "user_visits",
    about: "Members with their visits. As JSON, a map from ids to the time of joining and to the number of door codes, \
            used or not, which the map calls visits. Lists of any length are sent while they are read.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &NAME, &BASIS, &VISITS, &LIST],
    columns: || headings(&COLUMNS),
    legacy: Some(|| {
        json!({ "type": "object", "additionalProperties": {
            "type": "object",
            "required": ["joined_at", "visits"],
            "properties": { "joined_at": { "type": "string" }, "visits": { "type": "integer" } },
        } })
    }),
    scope: Scope::Reports,
    is_list: true,
};

const VISITS: [Parameter; 4] = [
    parameter("min_visits", Kind::Whole(0, i32::MAX), "Only members with at least this number of visits in the range."),
    parameter("max_visits", Kind::Whole(0, i32::MAX), "Only members with at most this number of visits in the range."),
    parameter("last_visit_before", Kind::Date, "Only members whose last visit is before this local date."),
    parameter(
        "include_users_without_visits",
        Kind::Flag,
        "Whether members without any door code in the range are listed as well.",
    ),
];

static COLUMNS: [Column<UserVisits>; 10] = [
    Column::new("user_id", Whole, "The member's id.", |row| row.user_id.into()),
    Column::new("first_name", Text, "The member's given name.", |row| row.name.as_ref().map(|name| &name.0).into()),
    Column::new("last_name", Text, "The member's family name.", |row| row.name.as_ref().map(|name| &name.1).into()),
    Column::new("visits", Whole, "Visits in the range: door codes that were used.", |row| row.visits.into()),
    Column::new("tokens_issued", Whole, "Door codes issued in the range.", |row| row.tokens_issued.into()),
    Column::new("tokens_unused", Whole, "Door codes issued and not used so far.", |row| row.tokens_unused.into()),
    Column::new("first_visit_at", Instant, "The earliest visit in the range.", |row| row.first_visit_at.into()),
    Column::new("last_visit_at", Instant, "The latest visit in the range.", |row| row.last_visit_at.into()),
    Column::new("joined_at", Instant, "The instant at which the member joined.", |row| row.joined_at.into()),
    Column::new("is_active", Flag, "Whether the membership is active now.", |row| row.is_active.into()),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        if request.is_legacy {
            return legacy::user_visits(&request.gateway, &request.client, &request.headers).await;
        }
        let (filter, order) = (request.members()?, request.order()?);
        let range = filter.range;
        match request.format {
            Format::Json => stream::members(&request, filter, order, Map::default(), range).await,
            format => stream::members(&request, filter, order, Writer::new(format, &COLUMNS), range).await,
        }
    })
}
