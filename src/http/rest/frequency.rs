//! `/api/reports/frequency`: how many members came how often.

use crate::{
    access::Scope,
    http::rest::{
        parameters::{BASIS, FORMAT, JOINED, RANGE, USERS, WEEKDAYS},
        report::Report,
        request::{Answering, Request},
        table::{Column, Holds::Whole, headings, written},
    },
    reports::Frequency,
};

pub(in crate::http) static REPORT: Report = Report {
    name: "frequency",
    about: "The number of members for each number of visits in the range. Members who did not come are in no row.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

static COLUMNS: [Column<Frequency>; 3] = [
    Column::new("visits", Whole, "The number of visits: 1 or more.", |row| row.visits.into()),
    Column::new("members", Whole, "Members who came exactly this number of times.", |row| row.members.into()),
    Column::new("members_at_least", Whole, "Members who came at least this number of times.", |row| {
        row.members_at_least.into()
    }),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let filter = request.tokens()?;
        let rows = request.session.frequency(&filter).await?;
        request.answer(written(request.format, &COLUMNS, rows), filter.range).await
    })
}
