//! `/api/reports/heatmap`: visits by day of the week and hour of the day.

use crate::{
    access::Scope,
    graphql::Named as _,
    http::rest::{
        parameters::{BASIS, FORMAT, JOINED, RANGE, USERS, WEEKDAYS},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Number, Text, Whole},
            headings, written,
        },
    },
    reports::{HeatmapCell, model::ratio},
};

pub(in crate::http) static REPORT: Report = Report {
    name: "heatmap",
    about: "Visits by day of the week and hour of the local day: the share of all visits, and the average.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

/// A cell and its share of all visits.
struct Row {
    cell: HeatmapCell,
    share: Option<f64>,
}

static COLUMNS: [Column<Row>; 9] = [
    Column::new("weekday", Text, "The local day of the week.", |row| row.cell.weekday.name().into()),
    Column::new("hour", Whole, "The hour of the local day: 0 to 23.", |row| row.cell.hour.into()),
    Column::new("visits", Whole, "Visits in this hour, on all such days.", |row| row.cell.visits.into()),
    Column::new("share", Number, "The share of all visits, from 0 to 1; null without visits.", |row| row.share.into()),
    Column::new("occurrences", Whole, "How often this hour of such a day occurred in the range, up to now.", |row| {
        row.cell.occurrences.into()
    }),
    Column::new("average", Number, "Visits to expect in this hour; null where occurrences is 0.", |row| {
        row.cell.average().into()
    }),
    Column::new("tokens_issued", Whole, "Door codes issued in this hour, on all such days.", |row| {
        row.cell.tokens_issued.into()
    }),
    Column::new("tokens_unused", Whole, "Those of them not used so far.", |row| row.cell.tokens_unused.into()),
    Column::new("conversion_rate", Number, "visits divided by tokens_issued; null without door codes.", |row| {
        ratio(row.cell.visits, row.cell.tokens_issued).into()
    }),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let filter = request.tokens()?;
        let heatmap = request.session.heatmap(&filter, true).await?;
        let rows = heatmap.cells.iter().map(|cell| Row { share: heatmap.share(cell), cell: *cell });
        request.answer(written(request.format, &COLUMNS, rows), filter.range).await
    })
}
