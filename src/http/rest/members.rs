//! `/api/reports/members`: members by the time since their last visit.

use std::sync::Arc;

use crate::{
    access::Scope,
    graphql::Named as _,
    http::{
        rest::stream::{self, Mapped},
        rest::{
            parameters::{FORMAT, JOINED, Kind, LIST, NAME, Parameter, THRESHOLDS, USERS, ZONE, parameter},
            report::Report,
            request::{Answering, Request},
            table::{
                Column,
                Holds::{Flag, Instant, Text, Whole},
                Writer, headings,
            },
        },
    },
    reports::{MemberSegment, model::UserVisits, range::DateRange},
};

pub(in crate::http) static REPORT: Report = Report {
    name: "members",
    about: "Members by the time since their last visit: new, active, lapsing, lapsed, or never came. Visits are of all \
            time. Lists of any length are sent while they are read.",
    parameters: &[&FORMAT, &SEGMENT, &THRESHOLDS, &ZONE, &USERS, &JOINED, &NAME, &LIST],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Members,
    is_list: true,
};

const SEGMENT: [Parameter; 1] =
    [parameter("segment", Kind::Name(MemberSegment::names), "The segment to list: all members when it is left out.")];

/// A member with the member's segment.
struct Row {
    member: UserVisits,
    segment: MemberSegment,
    days_since_last_visit: Option<i64>,
}

static COLUMNS: [Column<Row>; 11] = [
    Column::new("user_id", Whole, "The member's id.", |row| row.member.user_id.into()),
    Column::new("first_name", Text, "The member's given name.", |row| {
        row.member.name.as_ref().map(|name| &name.0).into()
    }),
    Column::new("last_name", Text, "The member's family name.", |row| {
        row.member.name.as_ref().map(|name| &name.1).into()
    }),
    Column::new("segment", Text, "ACTIVE, LAPSING, LAPSED or NEVER_CAME.", |row| row.segment.name().into()),
    Column::new("days_since_last_visit", Whole, "The local days since the day of the last visit.", |row| {
        row.days_since_last_visit.into()
    }),
    Column::new("visits", Whole, "Visits of all time.", |row| row.member.visits.into()),
    Column::new("tokens_issued", Whole, "Door codes issued, of all time.", |row| row.member.tokens_issued.into()),
    Column::new("first_visit_at", Instant, "The first visit.", |row| row.member.first_visit_at.into()),
    Column::new("last_visit_at", Instant, "The last visit.", |row| row.member.last_visit_at.into()),
    Column::new("joined_at", Instant, "The instant at which the member joined.", |row| row.member.joined_at.into()),
    Column::new("is_active", Flag, "Whether the membership is active now.", |row| row.member.is_active.into()),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let ((filter, thresholds), order) = (request.segment()?, request.order()?);
        let (session, zone) = (Arc::clone(&request.session), filter.zone);
        let row = move |member: UserVisits| {
            let days_since_last_visit = session.days_since_last_visit(&member, zone);
            Row { segment: thresholds.segment(days_since_last_visit), days_since_last_visit, member }
        };
        let rows = Mapped(Writer::new(request.format, &COLUMNS), row);
        stream::members(&request, filter, order, rows, DateRange::default()).await
    })
}
