//! `/api/reports/heatmap`: visits by day of the week and hour of the day.

use crate::{
    access::Scope,
    graphql::Named as _,
    http::rest::{
        parameters::{BASIS, FORMAT, JOINED, Kind, Parameter, RANGE, USERS, WEEKDAYS, parameter},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Number, Text, Whole},
            headings, written,
        },
    },
    reports::{Heatmap, HeatmapCell, HeatmapParts, model::ratio},
};

pub(in crate::http) static REPORT: Report = Report {
    name: "heatmap",
    about: "Visits by day of the week and hour of the local day: the share of all visits, and the average.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS, &MONTHS],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

const MONTHS: [Parameter; 1] = [parameter(
    "months",
    Kind::Flag,
    "Whether to list the cells of each calendar month of the range (true), of which there are at most 240, or those of \
     the whole range (false, and when it is left out).",
)];

/// A cell, its share of all visits, and the month, where months are told apart.
struct Row {
    month: Option<String>,
    cell: HeatmapCell,
    share: Option<f64>,
}

static COLUMNS: [Column<Row>; 11] = [
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
    Column::new(
        "average_time_to_use",
        Number,
        "Seconds from the issue of these door codes to their use, on average; null where none was used.",
        |row| row.cell.average_time_to_use().into(),
    ),
    Column::new("month", Text, "The month, such as 2026-10, with months=true; null otherwise.", |row| {
        row.month.clone().into()
    }),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let filter = request.tokens()?;
        let months = request.flag("months")?.unwrap_or_default();
        let parts = HeatmapParts { issued: true, time_to_use: true, months };
        let heatmap = request.session.heatmap(&filter, parts).await?;
        let rows_of = |heatmap: &Heatmap| {
            let month = heatmap.from.filter(|_| months).map(|from| from.format("%Y-%m").to_string());
            let row = |cell: &HeatmapCell| Row { month: month.clone(), share: heatmap.share(cell), cell: *cell };
            heatmap.cells.iter().map(row).collect::<Vec<_>>()
        };
        let rows: Vec<_> = if months { heatmap.months.iter().flat_map(rows_of).collect() } else { rows_of(&heatmap) };
        request.answer(written(request.format, &COLUMNS, rows), filter.range).await
    })
}
