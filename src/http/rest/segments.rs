//! `/api/reports/segments`: how many members each segment has.

use crate::{
    access::Scope,
    graphql::Named as _,
    http::rest::{
        parameters::{FORMAT, JOINED, NAME, THRESHOLDS, USERS, ZONE},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Text, Whole},
            headings, written,
        },
    },
    reports::{SegmentSize, range::DateRange},
};

pub(in crate::http) static REPORT: Report = Report {
    name: "segments",
    about: "The number of members in each segment: new, active, lapsing, lapsed, never came. Members in NEW are in one of \
            the others as well.",
    parameters: &[&FORMAT, &THRESHOLDS, &ZONE, &USERS, &JOINED, &NAME],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

static COLUMNS: [Column<SegmentSize>; 3] = [
    Column::new("segment", Text, "NEW, ACTIVE, LAPSING, LAPSED or NEVER_CAME.", |row| row.segment.name().into()),
    Column::new("members", Whole, "The members in the segment.", |row| row.members.into()),
    Column::new("active_members", Whole, "Those of them whose membership is active now.", |row| {
        row.active_members.into()
    }),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let (users, thresholds, zone) = request.thresholds()?;
        let rows = request.session.segments(thresholds, users, zone).await?;
        request.answer(written(request.format, &COLUMNS, rows), DateRange::default()).await
    })
}
