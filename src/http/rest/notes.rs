//! `/api/reports/notes`: the space's notes on dates.

use crate::{
    access::Scope,
    config::notes::Note,
    http::rest::{
        parameters::{FORMAT, RANGE},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Date, Text},
            headings, written,
        },
    },
};

pub(in crate::http) static REPORT: Report = Report {
    name: "notes",
    about: "The notes on dates that the people of the space wrote down for their charts, such as holidays, by date.",
    parameters: &[&FORMAT, &RANGE],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

static COLUMNS: [Column<Note>; 3] = [
    Column::new("from", Date, "The first local date.", |note| note.from.into()),
    Column::new("to", Date, "The last local date; that of `from` where the note is on a single day.", |note| {
        note.to.into()
    }),
    Column::new("text", Text, "The text.", |note| note.text.as_str().into()),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let range = request.dates()?;
        let notes: Vec<_> = request.session.notes(range).cloned().collect();
        request.answer(written(request.format, &COLUMNS, notes), range).await
    })
}
